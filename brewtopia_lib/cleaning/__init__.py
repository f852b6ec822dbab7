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

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, Self

import duckdb
import numpy as np
import pandas as pd
from duckdb import DuckDBPyConnection

from brewtopia_lib.cleaning.feeds import Feed, load_feeds
from brewtopia_lib.cleaning.items import Item, item_parts, make_item, parse_item, split_items
from brewtopia_lib.cleaning.reading import RawReader, RawText, append, fill
from brewtopia_lib.cleaning.recognition import Recognised, recognise, recognise_frame
from brewtopia_lib.cleaning.values import parse_branch, parse_payment, parse_pence
from brewtopia_lib.errors import SourceError
from brewtopia_lib.settings import load_settings
from brewtopia_lib.sources import list_objects
from brewtopia_lib.sources.fetching import fetching

_ITEM_COLUMNS = (
    "product varchar, size varchar, flavour varchar, quantity integer,"
    " unit_price decimal(12, 2), line_total decimal(12, 2), problem varchar, high bigint, low bigint"
)
_MARK_COLUMNS = "high bigint, low bigint"
_SHOWN = 5
_LINE_TEXTS = ("product", "size", "flavour", "unit_price", "quantity", "line_total")


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
    raw: str | Path | pd.DataFrame | Sequence[str | Path], *, feeds: Sequence[Feed] | None = None
) -> Cleaned:
    """Try the cleaning step on till files or on a frame, without loading anything.

        bt.clean("data/raw/leeds_01-09-2021_09-00-00.csv")
        bt.clean("data/raw/leeds_01-09-2021_09-00-00.csv").rejects
        bt.clean(pandas.read_csv("till.csv", header=None, dtype=str)).sales

    Args:
        raw: files, folders of them, `s3://` objects or prefixes, or a frame whose columns are those of a till file: with its
            header's names, or numbered from 0 where it has none. Read it with `dtype=str`, so
            that it holds what the file does.
        feeds: the feeds to choose from; by default the configured ones.

    Raises:
        FeedError: no feed takes the data, or more than one.
        SourceError: a file cannot be read, or there is none.
    """
    feeds = load_feeds(load_settings().feeds) if feeds is None else feeds
    parts = []
    with closing(connect()) as connection, _recognised(raw, feeds) as found:
        for name in dict.fromkeys(one.feed.name if one.feed else "" for one in found):
            group = [one for one in found if (one.feed.name if one.feed else "") == name]
            with Cleaning(connection, group[0].feed or feeds[0]) as cleaning:
                texts = [one.text for one in group if one.text is not None]
                for text in texts:
                    cleaning.add(text)
                cleaning.finish()
                fill(
                    cleaning.connection, "sources", "object_no integer, source varchar",
                    [(one.text.object_no, one.source) for one in group if one.text is not None],
                )  # fmt: skip
                cleaning.connection.execute(_sql("preview"))
                parts.append(
                    [
                        cleaning.connection.execute(f"from preview_{table}").df()
                        for table in ("orders", "sales", "rejects")
                    ]
                )
    return Cleaned(*(pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True)))


@contextmanager
def _recognised(
    raw: str | Path | pd.DataFrame | Sequence[str | Path], feeds: Sequence[Feed]
) -> Iterator[list[Recognised]]:
    if isinstance(raw, pd.DataFrame):
        yield [recognise_frame(raw, feeds)]
        return
    paths = [raw] if isinstance(raw, str | Path) else raw
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
        connection.execute(_sql("date_order"))
        connection.execute("set variable per_line = ?", [feed.per_line])
        _parse_values(connection, feed)
        if feed.per_line:
            _parse_line_items(connection, feed)
            connection.execute("set variable continuation = ?", [feed.continuation])
            for step in ("lines", "sums", "orders_of_lines", "results_of_lines", "results"):
                connection.execute(_sql(step))
        else:
            _parse_baskets(connection, feed)
            for step in ("sums", "orders"):
                connection.execute(_sql(step))
            if _counted(connection, "parsed") != _counted(connection, "raw"):
                # two texts have one key: as good as never, and rows would be there twice
                connection.execute(_sql("new_keys"))
                connection.execute(_sql("orders"))
            _find_suspects(connection)
            for step in ("repeats", "results_of_orders", "results"):
                connection.execute(_sql(step))
        return _counts(connection)


def _counted(connection: DuckDBPyConnection, table: str) -> int:
    rows: list[tuple[int]] = connection.execute(f"select count(*) from {table}").fetchall()
    return rows[0][0]


def _find_suspects(connection: DuckDBPyConnection) -> None:
    """Fill suspects: what several orders have for one half of their number; nearly all have their own."""
    found = connection.execute("select order_high from parsed where reason is null").fetchnumpy()
    numbers = np.sort(found["order_high"])  # a third of the time that grouping takes
    suspects = pd.DataFrame({"order_high": np.unique(numbers[1:][numbers[1:] == numbers[:-1]])})
    connection.register("appended", suspects)
    connection.execute("create or replace temp table suspects as select * from appended")
    connection.unregister("appended")


def _parse_values(connection: DuckDBPyConnection, feed: Feed) -> None:
    connection.execute(_sql("texts"))
    given = connection.execute(
        "select object_no, text, branch from branch_texts join object using (object_no)"
    ).fetchall()
    branches = [
        (object_no, text, name, *_marks("branch", name))
        for object_no, text, constant in given
        for name in [constant or _branch(text, feed)]
    ]
    fill(
        connection, "branches",
        f"object_no integer, text varchar, branch varchar, {_MARK_COLUMNS}", branches,
    )  # fmt: skip
    payments = [
        (text, parse_payment(text, feed.values.payment))
        for text in _distinct(connection, "tender_texts", "payment")
    ]
    fill(
        connection, "payments", f"text varchar, payment varchar, {_MARK_COLUMNS}",
        [(text, payment, *_marks("payment", payment)) for text, payment in payments],
    )  # fmt: skip
    connection.execute(_sql("names"))
    mark, currency = feed.money.decimal_mark, feed.money.currency
    totals = [
        (text, parse_pence(text, mark, currency))
        for text in _distinct(connection, "tender_texts", "total")
    ]
    is_absent = "total" not in feed.columns
    fill(
        connection, "totals",
        f"text varchar, total decimal(12, 2), is_absent boolean, {_MARK_COLUMNS}",
        [(text, _pounds(pence), is_absent, *_marks("total", pence)) for text, pence in totals],
    )  # fmt: skip
    if feed.per_line:
        orders = [
            (text, text.strip())
            for text in _distinct(connection, "raw", "order")
            if not feed.is_null(text)
        ]
        fill(
            connection, "order_texts", f'text varchar, "order" varchar, {_MARK_COLUMNS}',
            [(text, order, *_marks("order", order)) for text, order in orders],
        )  # fmt: skip


def _branch(text: str, feed: Feed) -> str | None:
    return None if feed.is_null(text) else parse_branch(text, feed.values.branch)


def _marks(role: str, value: object) -> tuple[int, int]:
    """Two numbers of 63 bits that stand for a value in its role; see the module's docstring."""
    digest = hashlib.sha256(repr((role, value)).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1, int.from_bytes(digest[8:16]) >> 1


def _parse_baskets(connection: DuckDBPyConnection, feed: Feed) -> None:
    """Fill items (each distinct piece of text) and basket_lines (the lines of each text)."""
    assert feed.items is not None
    connection.execute("set variable separator = ?", [feed.items.separator])
    connection.execute(_sql("pieces"))
    pieces = connection.execute("select distinct text from basket_pieces").fetchall()
    items = [
        (text, Item(problem="no_items") if feed.is_null(text) else parse_item(text, feed))
        for (text,) in pieces
    ]
    _fill_items(connection, "text varchar", [((text,), item) for text, item in items])
    connection.execute(_sql("items"))
    doubtful = connection.execute(
        "select basket_no, text from basket_texts where basket_no in"
        " (select basket_no from basket_lines join items using (item_no) where problem is not null)"
    ).fetchall()
    joined = [(number, split_items(text, feed) or []) for number, text in doubtful]
    numbers = {item: number for number, (_, item) in enumerate(items) if item.problem is None}
    first_new = len(items)
    for item in dict.fromkeys(item for _, found in joined for item in found):
        numbers.setdefault(item, len(items))
        if numbers[item] == len(items):
            items.append(("", item))
    append(
        connection, "items",
        [_item_row(number, (None,), items[number][1]) for number in range(first_new, len(items))],
    )  # fmt: skip
    fill(
        connection, "joined_lines", "basket_no bigint, line_no integer, item_no bigint",
        [
            (basket_no, line_no, numbers[item])
            for basket_no, found in joined
            for line_no, item in enumerate(found, start=1)
        ],
    )  # fmt: skip
    connection.execute(_sql("joined_items"))


def _parse_line_items(connection: DuckDBPyConnection, feed: Feed) -> None:
    """Fill items: each distinct combination of product, size, flavour, prices, quantity."""
    combinations = connection.execute(f"select distinct {', '.join(_LINE_TEXTS)} from raw")
    _fill_items(
        connection, ", ".join(f"{name}_text varchar" for name in _LINE_TEXTS),
        [
            (texts, _line_item(dict(zip(_LINE_TEXTS, texts, strict=True)), feed))
            for texts in combinations.fetchall()
        ],
    )  # fmt: skip


def _line_item(texts: dict[str, str], feed: Feed) -> Item:
    texts["price"] = texts.pop("unit_price")
    if feed.item_pattern is not None:
        parts = item_parts(texts["product"], feed)
        if parts is None:
            return Item(problem="bad_items")
        texts |= parts
    return make_item(feed, texts)


def _fill_items(
    connection: DuckDBPyConnection, key_columns: str, items: Sequence[tuple[tuple[str, ...], Item]]
) -> None:
    rows = [_item_row(number, key, item) for number, (key, item) in enumerate(items)]
    fill(connection, "items", f"item_no bigint, {key_columns}, {_ITEM_COLUMNS}", rows)


def _item_row(number: int, key: tuple[str | None, ...], item: Item) -> tuple[Any, ...]:
    return (
        number, *key, item.product, item.size, item.flavour, item.quantity,
        _pounds(item.unit_pence), _pounds(item.line_pence), item.problem, *_marks("item", tuple(item)),
    )  # fmt: skip


def _pounds(pence: int | None) -> Decimal | None:
    return None if pence is None else Decimal(pence).scaleb(-2)


def _distinct(connection: DuckDBPyConnection, table: str, column: str) -> list[str]:
    found = connection.execute(f'select distinct "{column}" from {table}').fetchall()
    return [text for (text,) in found]


@cache
def _sql(name: str) -> str:
    return (resources.files("brewtopia_lib") / "sql" / "clean" / f"{name}.sql").read_text("utf-8")


def _counts(connection: DuckDBPyConnection) -> dict[int, Counts]:
    result = {}
    for object_no, *numbers, revenue, accounted in connection.execute(_sql("counts")).fetchall():
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
