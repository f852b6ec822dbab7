"""Raw till files → orders, order lines and rejects, set-based in DuckDB.

Nothing of a row but what its feed names goes past the parser. Each distinct text (an item, a
list of items, an amount, a branch, a time) is parsed once, however many rows share it.
"""

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from brewtopia_lib.feeds import Feed
from brewtopia_lib.items import Item, make_item, parse_item, split_items
from brewtopia_lib.reading import RawText, fill, read_raw
from brewtopia_lib.values import parse_branch, parse_payment, parse_pence

_ITEM_COLUMNS = (
    "product varchar, size varchar, flavour varchar, quantity integer,"
    " unit_price decimal(12, 2), line_total decimal(12, 2), problem varchar"
)
_LINE_TEXTS = ("product", "size", "flavour", "unit_price", "quantity", "line_total")


def connect(temp_folder: Path | None = None, memory_limit: str | None = None) -> DuckDBPyConnection:
    """A private in-memory DuckDB for cleaning; what it spills goes to `temp_folder`."""
    connection = duckdb.connect()
    connection.execute("set autoinstall_known_extensions = false")
    connection.execute("set autoload_known_extensions = false")
    if temp_folder is not None:
        connection.execute("set temp_directory = ?", [str(temp_folder)])
    if memory_limit is not None:
        connection.execute("set memory_limit = ?", [memory_limit])
    return connection


def clean_texts(connection: DuckDBPyConnection, feed: Feed, texts: Sequence[RawText]) -> None:
    """Clean objects of one feed into the connection's temp tables and views.

    Leaves `clean_orders` (object_no, order_id, branch, sold_at, payment, total, total_matches,
    basket_no), `clean_lines` (basket_no, basket_id, line_no, product, size, flavour, quantity,
    unit_price, line_total) and `clean_rejects` (object_no, line_number, reason, branch, sold_on, total,
    row_length).
    """
    read_raw(connection, feed, texts)
    connection.execute("set variable per_line = ?", [feed.per_line])
    _parse_values(connection, feed)
    if feed.per_line:
        _parse_line_items(connection, feed)
        connection.execute("set variable continuation = ?", [feed.continuation])
        for step in ("lines", "sums", "orders_of_lines", "results_of_lines", "results"):
            connection.execute(_sql(step))
    else:
        _parse_baskets(connection, feed)
        for step in ("items", "sums", "baskets", "orders", "results_of_orders", "results"):
            connection.execute(_sql(step))


def _parse_values(connection: DuckDBPyConnection, feed: Feed) -> None:
    blank = ("", *feed.null)
    connection.execute("set variable timestamp_formats = ?", [list(feed.timestamp.formats)])
    connection.execute(_sql("times"))
    fill(
        connection, "branches", "text varchar, branch varchar",
        [
            (text, None if text.strip() in blank else parse_branch(text, feed.values.branch))
            for text in _distinct(connection, "branch")
        ],
    )  # fmt: skip
    fill(
        connection, "payments", "text varchar, payment varchar",
        [(text, parse_payment(text, feed.values.payment)) for text in _distinct(connection, "payment")],
    )  # fmt: skip
    mark, currency = feed.money.decimal_mark, feed.money.currency
    has_total = "total" in feed.columns
    fill(
        connection, "totals", "text varchar, total decimal(12, 2), is_absent boolean",
        [
            (text, _pounds(parse_pence(text, mark, currency)), not has_total)
            for text in _distinct(connection, "total")
        ],
    )  # fmt: skip
    if feed.per_line:
        texts = _distinct(connection, "order")
        fill(
            connection, "order_texts", "text varchar",
            [(text,) for text in texts if text.strip() not in blank],
        )  # fmt: skip


def _parse_baskets(connection: DuckDBPyConnection, feed: Feed) -> None:
    """Fill items (each distinct piece of text) and joined_lines (texts that need joining)."""
    assert feed.items is not None
    connection.execute("set variable separator = ?", [feed.items.separator])
    connection.execute("set variable nulls = ?", [["", *feed.null]])
    connection.execute(_sql("pieces"))
    pieces = connection.execute("select distinct text from basket_pieces").fetchall()
    fill(
        connection, "items", f"text varchar, {_ITEM_COLUMNS}",
        [(text, *_item_row(parse_item(text, feed))) for (text,) in pieces],
    )  # fmt: skip
    doubtful = connection.execute(
        "select basket_no, text from basket_texts where basket_no in"
        " (select basket_no from basket_pieces join items using (text) where problem is not null)"
    ).fetchall()
    joined = [
        (basket_no, line_no, *_item_row(item))
        for basket_no, text in doubtful
        for line_no, item in enumerate(split_items(text, feed) or (), start=1)
    ]
    fill(connection, "joined_lines", f"basket_no bigint, line_no integer, {_ITEM_COLUMNS}", joined)


def _parse_line_items(connection: DuckDBPyConnection, feed: Feed) -> None:
    """Fill line_items: each distinct combination of product, size, flavour, prices, quantity."""
    combinations = connection.execute(f"select distinct {', '.join(_LINE_TEXTS)} from raw")
    rows = [
        (number, *texts, *_item_row(_line_item(dict(zip(_LINE_TEXTS, texts, strict=True)), feed)))
        for number, texts in enumerate(combinations.fetchall())
    ]
    texts = ", ".join(f"{name}_text varchar" for name in _LINE_TEXTS)
    fill(connection, "line_items", f"line_item_no bigint, {texts}, {_ITEM_COLUMNS}", rows)


def _line_item(texts: dict[str, str], feed: Feed) -> Item:
    texts["price"] = texts.pop("unit_price")
    if feed.item_pattern is not None:
        match = feed.item_pattern.fullmatch(texts["product"].strip())
        if match is None:
            return Item(problem="bad_items")
        texts |= {name: text for name, text in match.groupdict().items() if text}
    return make_item(feed, texts)


def _item_row(item: Item) -> tuple[Any, ...]:
    return (
        item.product, item.size, item.flavour, item.quantity,
        _pounds(item.unit_pence), _pounds(item.line_pence), item.problem,
    )  # fmt: skip


def _pounds(pence: int | None) -> Decimal | None:
    return None if pence is None else Decimal(pence).scaleb(-2)


def _distinct(connection: DuckDBPyConnection, column: str) -> list[str]:
    return [row[0] for row in connection.execute(f'select distinct "{column}" from raw').fetchall()]


@cache
def _sql(name: str) -> str:
    return (resources.files("brewtopia_lib") / "sql" / "clean" / f"{name}.sql").read_text("utf-8")


def counts(connection: DuckDBPyConnection) -> dict[int, tuple[int, int, int, int, Decimal]]:
    """object_no → rows, orders, lines, rejected rows and revenue (pounds) of what was cleaned.

    Raises ValueError if a row is neither kept nor rejected: then nothing may be published.
    """
    result = {}
    for object_no, *numbers, revenue, accounted in connection.execute(_sql("counts")).fetchall():
        if not accounted:
            raise ValueError(f"rows of object {object_no} are not accounted for")
        result[object_no] = (*numbers, revenue)
    return result


def rejected_by_reason(
    connection: DuckDBPyConnection, object_nos: Sequence[int]
) -> list[tuple[str, int]]:
    """How many rows of these objects were rejected, by reason."""
    return connection.execute(
        "select reason, count(*) from clean_rejects where object_no in (select unnest(?))"
        " group by reason order by reason",
        [object_nos],
    ).fetchall()
