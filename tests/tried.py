"""One run of `ingest` over made-up till files, and a search of all that it leaves behind."""

import contextlib
import io
import logging
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tills import settings_in, write_files

from brewtopia_lib.cleaning.feeds import load_feeds
from brewtopia_lib.ingest import IngestSummary, ingest
from brewtopia_lib.settings import Settings

# Every customer's name and card in the rows made here holds these.
NAME, CARD = "Quackenbush", "98765432"


def row(number: int = 0, **changes: str) -> str:
    """One row of the headerless layout, sold at a minute of its own."""
    fields = {
        "time": f"25/08/2021 {9 + number // 60:02}:{number % 60:02}",
        "branch": "Leeds",
        "customer": f"Zelda {NAME} {number}",
        "items": "Regular Latte - 2.15",
        "total": "2.15",
        "payment": "CARD",
        "card": f"{CARD}{number:08}",
    } | changes
    quoted = (f'"{text}"' if "," in text else text for text in fields.values())
    return ",".join(quoted) + "\n"


GOOD_NAME = "good.csv"
GOOD = "".join(
    row(number, branch="York", items=items, total=total)
    for number, (items, total) in enumerate(
        [("Regular Latte - 2.15", "2.15"), ("Large Tea - Mint - 1.60, Bun - 1.00", "2.6")]
    )
)
GOOD_SALES = [
    ("25/08/2021 09:00", 1, "Latte", "Regular", None, 1, Decimal("2.15"), Decimal("2.15"), "CARD"),
    ("25/08/2021 09:01", 1, "Tea", "Large", "Mint", 1, Decimal("1.60"), Decimal("1.60"), "CARD"),
    ("25/08/2021 09:01", 2, "Bun", None, None, 1, Decimal("1.00"), Decimal("1.00"), "CARD"),
]

SALES = (
    "strftime(sold_at, '%d/%m/%Y %H:%M'), line_no, product, size, flavour, quantity, unit_price,"
    " line_total, payment"
)


@dataclass(frozen=True)
class Tried:
    """What a run said and wrote."""

    settings: Settings
    summary: IngestSummary
    said: str

    @cached_property
    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every table and view of the warehouse, whole."""
        with self.connected() as connection:
            names = connection.execute(
                "select table_name from information_schema.tables where table_catalog = 'w'"
            ).fetchall()
            return {
                name: connection.execute(f'select * from w."{name}"').fetchall()
                for (name,) in names
            }

    @contextlib.contextmanager
    def connected(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with contextlib.closing(duckdb.connect()) as connection:
            connection.execute(f"attach '{self.settings.warehouse}' as w (read_only)")
            yield connection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.connected() as connection:
            connection.execute("use w")
            return connection.execute(sql).fetchall()

    def sales(self, where: str = "branch <> 'York'") -> list[tuple[Any, ...]]:
        """Order lines as (time, line_no, product, size, flavour, quantity, unit price, line total,
        payment)."""
        return self.rows(
            f"select {SALES} from sales where {where} order by sold_at, order_id, line_no"
        )

    def totals(self, where: str = "branch <> 'York'") -> list[Decimal]:
        query = f"select total from orders where {where} order by sold_at, total"
        return [total for (total,) in self.rows(query)]

    def reasons(self, source: str) -> list[tuple[int, str]]:
        """(line number, reason) of a file's rejected rows."""
        return self.rows(
            f"select line_number, reason from rejects where source = '{source}' order by all"
        )

    def load(self, source: str) -> tuple[int, int, int, int]:
        """Rows, orders, lines and rejected rows of a file."""
        name = source.replace("'", "''")
        found = self.rows(
            f"select rows, orders, lines, rejected from loads where source = '{name}' and is_current"
        )
        assert len(found) == 1, source
        return found[0]  # type: ignore[return-value]


def try_files(folder: Path, files: Mapping[str, bytes | str], feeds: Iterable[str] = ()) -> Tried:
    """Ingest the files, and one that is good, from a folder."""
    written = {
        name: text if isinstance(text, bytes) else text.encode() for name, text in files.items()
    }
    write_files(folder / "raw", {GOOD_NAME: GOOD.encode()} | written)
    return try_folder(folder, feeds)


def try_folder(folder: Path, feeds: Iterable[str] = (), **changes: Any) -> Tried:
    """Ingest what lies in `folder`/raw, with these feeds beside the built-in ones."""
    settings = settings_in(folder)
    for number, feed in enumerate(feeds):
        write_files(folder / "feeds", {f"{number}.toml": feed.encode()})
        settings = settings.model_copy(update={"feeds": folder / "feeds"})
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logging.getLogger().addHandler(handler)
    (folder / "tmp").mkdir(exist_ok=True)
    try:
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            patch.setenv("TMPDIR", str(folder / "tmp"))
            patch.setattr(tempfile, "tempdir", str(folder / "tmp"))
            summary = ingest(settings.model_copy(update=changes), [str(folder / "raw")])
    finally:
        logging.getLogger().removeHandler(handler)
    return Tried(settings, summary, said.getvalue() + str(summary.to_json()))


def check(tried: Tried, *secrets: str) -> None:
    """What must hold after any run: nothing leaked, nothing lost, the good file done."""
    check_no_leak(tried, NAME, CARD, *secrets)
    check_conserved(tried)
    assert tried.sales("branch = 'York'") == GOOD_SALES


def check_conserved(tried: Tried) -> None:
    """Rows are orders (or lines) and rejected rows, and the reasons add up, for every file."""
    per_line = {feed.name: feed.per_line for feed in load_feeds(tried.settings.feeds)}
    loads = tried.rows(
        "select source, feed, rows, orders, lines, rejected, revenue from loads where is_current"
    )
    rejects = Counter(source for (source,) in tried.rows("select source from rejects"))
    for source, feed, rows, orders, lines, rejected, _ in loads:
        assert rows == (lines if per_line.get(feed) else orders) + rejected, source
        assert rejects[source] == rejected, source
    clean = tried.summary.clean
    columns = [sum(load[place] for load in loads) for place in range(2, 7)]
    assert columns == [clean.rows, clean.orders, clean.lines, clean.rejected, clean.revenue]
    reasons = Counter(reason for (reason,) in tried.rows("select reason from rejects"))
    assert reasons == clean.rejected_by_reason
    [(empty,)] = tried.rows("select count(*) from rejects where reason is null or reason = ''")
    assert empty == 0


def check_no_leak(tried: Tried, *secrets: str) -> None:
    """None of the secrets is in anything the run wrote or said, in any spelling of case."""
    traces = dict(_traces(tried))
    for secret in secrets:
        for place, trace in traces.items():
            assert secret.casefold() not in trace, f"{secret!r} is in {place}"


def _traces(tried: Tried) -> Iterator[tuple[str, str]]:
    folder = Path(tried.settings.lake).parent
    yield "what was said", tried.said.casefold()
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_relative_to(folder / "raw"):
            content = path.read_bytes()
            yield str(path), content.decode("latin-1").casefold()
            yield f"{path} as UTF-8", content.decode("utf-8", "ignore").casefold()
    # Parquet and DuckDB files are compressed: their bytes alone prove little.
    for path in Path(tried.settings.lake).rglob("*.parquet"):
        yield (
            f"rows of {path}",
            str(duckdb.execute("from read_parquet(?)", [str(path)]).fetchall()).casefold(),
        )
    for name, rows in tried.tables.items():
        yield f"table {name}", str(rows).casefold()
    assert not list((folder / "tmp").rglob("*")), "a temp file is left"
