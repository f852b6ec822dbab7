"""Each distinct text of the `raw` table, parsed once, as tables of what the texts say."""

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from duckdb import DuckDBPyConnection

from brewtopia_lib.cleaning.feeds import Feed
from brewtopia_lib.cleaning.items import Item, item_parts, make_item, parse_item, split_items
from brewtopia_lib.cleaning.tables import append, clean_sql, fill
from brewtopia_lib.cleaning.values import parse_branch, parse_payment, parse_pence

_ITEM_COLUMNS = (
    "product varchar, size varchar, flavour varchar, quantity integer,"
    " unit_price decimal(12, 2), line_total decimal(12, 2), problem varchar, high bigint, low bigint"
)
_MARK_COLUMNS = "high bigint, low bigint"
_LINE_TEXTS = ("product", "size", "flavour", "unit_price", "quantity", "line_total")


def parse_values(connection: DuckDBPyConnection, feed: Feed) -> None:
    connection.execute(clean_sql("texts"))
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
    connection.execute(clean_sql("names"))
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


def parse_baskets(connection: DuckDBPyConnection, feed: Feed) -> None:
    """Fill items (each distinct piece of text) and basket_lines (the lines of each text)."""
    assert feed.items is not None
    connection.execute("set variable separator = ?", [feed.items.separator])
    connection.execute(clean_sql("pieces"))
    pieces = connection.execute("select distinct text from basket_pieces").fetchall()
    items = [
        (text, Item(problem="no_items") if feed.is_null(text) else parse_item(text, feed))
        for (text,) in pieces
    ]
    _fill_items(connection, "text varchar", [((text,), item) for text, item in items])
    connection.execute(clean_sql("items"))
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
    connection.execute(clean_sql("joined_items"))


def parse_line_items(connection: DuckDBPyConnection, feed: Feed) -> None:
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
