"""Raw till files → orders, order lines and rejects, set-based in DuckDB.

Nothing of a row but what its feed names goes past the parser. Each distinct text (an item, a
list of items, an amount, a branch) is parsed once, however many rows share it.

An order's id has two halves of 63 bits. Every value an order holds (its branch, payment, total,
till transaction, and each item at its line number) has a mark of both, cut from a SHA-256 or MD5
of what it is and says; a half is the exclusive or of the marks and the time, the low one also of
the ordinal among equal orders of one object. Orders of the same values differ for certain: at
another time in the high half, of another ordinal in the low one. Any other two share an id only if
their marks agree by chance: 2⁻¹²⁶. Among n = 10⁹ orders the chance of any such pair is at most
n²/2 · 2⁻¹²⁶ ≈ 6 · 10⁻²¹, far below 10⁻⁹.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import NamedTuple, Self

import duckdb
import numpy as np
import pandas as pd
from duckdb import DuckDBPyConnection

from brewtopia_lib.cleaning.baskets import add_up_lines, parse_baskets, parse_line_items
from brewtopia_lib.cleaning.feeds import Feed, load_feeds
from brewtopia_lib.cleaning.parsing import parse_values
from brewtopia_lib.cleaning.raw_texts import RawText
from brewtopia_lib.cleaning.reading import RawReader
from brewtopia_lib.cleaning.recognition import Recognised, recognise, recognise_frame
from brewtopia_lib.cleaning.tables import clean_sql, fill
from brewtopia_lib.errors import SourceError, UsageError
from brewtopia_lib.settings import load_settings
from brewtopia_lib.sources import list_objects
from brewtopia_lib.sources.fetching import fetching

_SHOWN = 5


class Counts(NamedTuple):
    """What the rows of one object came to; revenue in pounds."""

    rows: int
    orders: int
    lines: int
    rejected: int
    revenue: Decimal


@dataclass(frozen=True, repr=False)
class Cleaned:
    """What raw till data become, and what is rejected and why; a notebook shows a bit of each.

    Attributes:
        orders: one row per order, with the columns of the warehouse's `orders`.
        sales: one row per order line, with the columns of the warehouse's `sales`.
        rejects: one row per rejected raw row, with the columns of the warehouse's `rejects`.
    """

    orders: pd.DataFrame
    sales: pd.DataFrame
    rejects: pd.DataFrame

    @property
    def reasons(self) -> "pd.Series[int]":
        """How many rows were rejected, by reason."""
        return self.rejects["reason"].value_counts()

    def __repr__(self) -> str:
        revenue = sum(map(Decimal, self.orders["total"].map("{:.2f}".format)), Decimal(0))
        branches = sorted(set(self.orders["branch"]))
        where = f" at {', '.join(branches)}" if 0 < len(branches) <= 5 else ""
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.reasons.items())
        return (
            f"{len(self.orders):,} orders, {len(self.sales):,} lines, £{revenue:,}{where}; "
            f"{len(self.rejects):,} rows rejected" + (f": {reasons}" if reasons else "")
        )

    def _repr_html_(self) -> str:
        pieces = [f"<p>{escape(repr(self))}</p>"]
        for title, frame in (("sales", self.sales), ("rejects", self.rejects)):
            if len(frame):
                rest = f", the first {_SHOWN} of {len(frame):,}" if len(frame) > _SHOWN else ""
                rows = frame.drop(columns=["order_id", "source"], errors="ignore").head(_SHOWN)
                pieces.append(f"<p><b>{title}</b>{rest}</p>{rows.to_html(index=False, na_rep='')}")
        return "".join(pieces)


def clean(
    raw: str | Path | pd.DataFrame | Sequence[str | Path],
    *,
    feeds: Sequence[Feed] | None = None,
    name: str | None = None,
) -> Cleaned:
    """Try the cleaning step on till files or on a frame, without loading anything.

        bt.clean("data/raw/leeds_01-09-2021_09-00-00.csv")
        bt.clean("data/raw/leeds_01-09-2021_09-00-00.csv").rejects
        bt.clean(pandas.read_csv("till.csv", header=None, dtype=str)).sales

    Args:
        raw: files, folders of them, `s3://` objects or prefixes; or a frame whose columns are
            those of a till file, with its header's names or numbered from 0 where it has none.
            Read it with `dtype=str`, so that it holds what the file does.
        feeds: the feeds to choose from; by default the configured ones.
        name: what a frame's file is called, for feeds that go by it.

    Raises:
        FeedError: no feed takes the data, or more than one.
        SourceError: a file cannot be read, or there is none.
        UsageError: `raw` is none of these.
    """
    feeds = load_feeds(load_settings().feeds) if feeds is None else feeds
    if not feeds:
        raise UsageError("there are no feeds to choose from: leave feeds out for those there are")
    parts = []
    with closing(connect()) as connection, _recognised(raw, feeds, name) as found:
        groups: dict[str, list[Recognised]] = {}
        for one in found:
            groups.setdefault(one.feed.name if one.feed else "", []).append(one)
        for group in groups.values():
            with Cleaning(connection, group[0].feed or feeds[0]) as cleaning:
                sources = []
                for one in group:
                    if one.text is not None:
                        cleaning.add(one.text)
                        sources.append((one.text.object_no, one.source))
                cleaning.finish()
                fill(cleaning.connection, "sources", "object_no integer, source varchar", sources)
                cleaning.connection.execute(clean_sql("preview"))
                parts.append(
                    [
                        cleaning.connection.execute(f"from preview_{table}").df()
                        for table in ("orders", "sales", "rejects")
                    ]
                )
    return Cleaned(*(pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True)))


@contextmanager
def _recognised(
    raw: str | Path | pd.DataFrame | Sequence[str | Path],
    feeds: Sequence[Feed],
    name: str | None,
) -> Iterator[list[Recognised]]:
    if isinstance(raw, pd.DataFrame):
        yield [recognise_frame(raw, feeds, name)]
        return
    paths = [raw] if isinstance(raw, str | Path) else raw
    # what is none of these may hold rows of a till: only its type is told
    if not isinstance(paths, list | tuple | Iterator):
        raise UsageError(f"clean() takes paths of till files or a frame, and no {_kind(raw)}")
    paths = list(paths)
    for path in paths:
        if not isinstance(path, str | Path):
            raise UsageError(
                f"clean() takes paths of till files, or one frame, and no list of {_kind(path)}"
            )
    if not paths:
        raise SourceError("there are no till files in an empty list: name one", source="")
    objects, failures = list_objects("", [str(path) for path in paths])
    if failures:
        raise SourceError(failures[0][1], source=failures[0][0])
    if not objects:
        raise SourceError(f"there are no till files in {raw}", source=str(raw))
    with fetching(objects) as outcomes:
        found = []
        for number, fetched in enumerate(outcomes, start=1):
            if isinstance(fetched, SourceError):
                raise fetched
            found.append(recognise(fetched, feeds, number))
        yield found


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def connect(temp_folder: Path | None = None, memory_limit: str | None = None) -> DuckDBPyConnection:
    """A private in-memory DuckDB for cleaning; what it spills goes to `temp_folder`."""
    connection = duckdb.connect()
    connection.execute("set enable_progress_bar = false")
    connection.execute("set autoinstall_known_extensions = false")
    connection.execute("set autoload_known_extensions = false")
    # every row has a match in what it is joined with: looking for those that have none is in vain
    connection.execute("set disabled_optimizers = 'join_filter_pushdown'")
    if temp_folder is not None:
        connection.execute("set temp_directory = ?", [str(temp_folder)])
    if memory_limit is not None:
        connection.execute("set memory_limit = ?", [memory_limit])
    return connection


class Cleaning:
    """Objects of one feed on their way through the cleaning step, in tables of their own.

    They are read while more are added. A context manager, whose end drops the tables.

    Attributes:
        connection: where `finish` leaves `clean_orders` (object_no, order_high, order_low, branch,
            sold_at, payment, total, total_matches, basket_no), `clean_lines` (basket_no, line_no,
            item_no), `clean_items` (item_no, product, size, flavour, quantity, unit_price,
            line_total) and `clean_rejects` (object_no, line_number, reason, branch, sold_on,
            total, row_length).
    """

    def __init__(self, connection: DuckDBPyConnection, feed: Feed) -> None:
        self.connection = connection.cursor()
        self._feed = feed
        self._reader = RawReader(self.connection, feed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the tables."""
        self._reader.close()
        self.connection.close()

    def add(self, text: RawText) -> None:
        """Take one more object."""
        self._reader.add(text)

    def finish(self) -> dict[int, Counts]:
        """Clean what was added; gives object_no → what it came to.

        Raises duckdb.Error for what the engine cannot hold and where it has no room, and ValueError
        if a row is neither kept nor rejected: then nothing may be published.
        """
        self._reader.finish()
        connection, feed = self.connection, self._feed
        fill(connection, "ambiguous_rows", "row_no bigint", [])
        if connection.execute("from raw where unread_time is not null limit 1").fetchall():
            connection.execute(clean_sql("date_order"))
        connection.execute("set variable per_line = ?", [feed.per_line])
        parse_values(connection, feed)
        if feed.per_line:
            items = parse_line_items(connection, feed)
            connection.execute("set variable continuation = ?", [feed.continuation])
            connection.execute(clean_sql("lines"))
            add_up_lines(connection, items)
            for step in ("orders_of_lines", "results_of_lines", "results"):
                connection.execute(clean_sql(step))
        else:
            parse_baskets(connection, feed)
            connection.execute(clean_sql("orders"))
            if _counted(connection, "parsed") != _counted(connection, "raw"):
                # two texts have one key: as good as never, and rows would be there twice
                connection.execute(clean_sql("new_keys"))
                connection.execute(clean_sql("orders"))
            _find_suspects(connection)
            for step in ("repeats", "results_of_orders", "results"):
                connection.execute(clean_sql(step))
        return _counts(connection)


def _counted(connection: DuckDBPyConnection, table: str) -> int:
    rows: list[tuple[int]] = connection.execute(f"select count(*) from {table}").fetchall()
    return rows[0][0]


def _find_suspects(connection: DuckDBPyConnection) -> None:
    """Fill suspects: what several orders have for one half of their number; nearly all have their own."""
    found = connection.execute("select order_high from parsed where reason is null").fetchnumpy()
    numbers = np.sort(found["order_high"])  # a third of the time that grouping takes
    order_high = np.unique(numbers[1:][numbers[1:] == numbers[:-1]])
    several = pd.DataFrame({"order_high": order_high})  # noqa: F841 - found by name
    connection.execute("create or replace temp table suspects as select * from several")


def _counts(connection: DuckDBPyConnection) -> dict[int, Counts]:
    result = {}
    for object_no, *numbers, revenue, accounted in connection.execute(
        clean_sql("counts")
    ).fetchall():
        if not accounted:
            raise ValueError(f"rows of object {object_no} are not accounted for")
        result[object_no] = Counts._make((*numbers, revenue))
    return result


def rejected_by_reason(
    connection: DuckDBPyConnection, object_nos: Sequence[int]
) -> list[tuple[str, int, Decimal]]:
    """How many rows of these objects were rejected, by reason, and the pounds not counted so.

    The total of a row that repeats another is counted with that.
    """
    return connection.execute(
        "select reason, count(*),"
        " cast(coalesce(sum(total) filter (where reason <> 'duplicate_row'), 0) as decimal(14, 2))"
        " from clean_rejects where object_no in (select unnest(?))"
        " group by reason order by reason",
        [object_nos],
    ).fetchall()
