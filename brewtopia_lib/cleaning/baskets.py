"""Baskets: each distinct list of items, cut into lines, and what the lines come to.

Texts are cut and looked up in DuckDB; the lines of many baskets are then added up as arrays.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from duckdb import DuckDBPyConnection

from brewtopia_lib.cleaning.feeds import Feed
from brewtopia_lib.cleaning.items import Item, item_parts, make_item, parse_item, split_items
from brewtopia_lib.cleaning.tables import append, clean_sql, fill
from brewtopia_lib.cleaning.values import marks, pounds

Numbers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

_LINE_TEXTS = ("product", "size", "flavour", "unit_price", "quantity", "line_total")

# Two of DuckDB's row groups (122,880) for each of two cores; some two million lines are in memory.
_AT_ONCE = 4 * 122_880
# So many baskets have nearly all items; the others are looked for where they are.
_SAMPLED = 25_000
_LOW_HALF = (1 << 63) - 1


class Items:
    """Distinct items, numbered as they come; a text that says one is parsed once.

    Attributes:
        of_text: the number of the item that each text says, in the order in which they came.
        marks: two numbers of 63 bits for each item, which stand for all that it says.
    """

    def __init__(self, feed: Feed) -> None:
        self.of_text: dict[str, int] = {}
        self.marks: list[tuple[int, int]] = []
        self._feed = feed
        self._numbers: dict[Item, int] = {}

    def __iter__(self) -> Iterator[Item]:
        return iter(self._numbers)

    def number(self, item: Item) -> int:
        number = self._numbers.setdefault(item, len(self._numbers))
        if number == len(self.marks):
            self.marks.append(marks("item", tuple(item)))
        return number

    def amounts(self) -> tuple[Numbers, Numbers]:
        """How many pieces each item is, and its pence."""
        pairs = [(item.quantity or 0, item.line_pence or 0) for item in self]
        quantity, pence = np.array(pairs, np.int64).reshape(-1, 2).T
        return quantity, pence

    def learn(self, texts: Iterable[str]) -> None:
        """Parse the texts that are new."""
        for text in texts:
            if text not in self.of_text:
                is_null = self._feed.is_null(text)
                item = Item(problem="no_items") if is_null else parse_item(text, self._feed)
                self.of_text[text] = self.number(item)

    def keep(self, connection: DuckDBPyConnection) -> None:
        """Make the table items, one row per item."""
        fill(
            connection, "items",
            "item_no bigint, product varchar, size varchar, flavour varchar, quantity integer,"
            " unit_price decimal(12, 2), line_total decimal(12, 2), problem varchar",
            [
                (
                    number, item.product, item.size, item.flavour, item.quantity,
                    pounds(item.unit_pence), pounds(item.line_pence), item.problem,
                )
                for number, item in enumerate(self)
            ],
        )  # fmt: skip


def parse_baskets(connection: DuckDBPyConnection, feed: Feed) -> None:
    """Make items, basket_lines and baskets: of each distinct items text of `raw`."""
    assert feed.items is not None
    connection.execute("set variable separator = ?", [feed.items.separator])
    connection.execute(clean_sql("pieces"))
    connection.execute(clean_sql("baskets"))
    ((count,),) = connection.execute("select count(*) from items_texts").fetchall()
    items = Items(feed)
    if count:
        sample = connection.execute(
            "select distinct unnest(pieces) from basket_pieces where basket_no % ? = 0",
            [count // _SAMPLED + 1],
        )
        items.learn(text for (text,) in sample.fetchall())
        fill(connection, "item_texts", "text varchar", [(text,) for text in items.of_text])
        connection.execute("create or replace temp type item_text as enum (from item_texts)")
        of_code = np.array(list(items.of_text.values()))
        for first in range(0, count, _AT_ONCE):
            _cut(connection, feed, items, of_code, first)
    items.keep(connection)


def _cut(
    connection: DuckDBPyConnection, feed: Feed, items: Items, of_code: Numbers, first: int
) -> None:
    """Add the baskets from number `first` on; `of_code` has the items of the type item_text."""
    some = [first, first + _AT_ONCE - 1]
    keys = _arrays(connection, "select key from items_texts where rowid between ? and ?", some)[0]
    basket_no, code = _arrays(
        connection,
        "select basket_no, enum_code(try_cast(unnest(pieces) as item_text)) as code"
        " from basket_pieces where basket_no between ? and ?",
        some,
    )
    item_no = of_code[np.ma.filled(code, 0)]
    is_new = np.ma.getmaskarray(code)
    if is_new.any():
        _list_baskets(connection, np.unique(basket_no[is_new]))
        new = [text for (text,) in connection.execute(clean_sql("new_pieces")).fetchall()]
        items.learn(new)
        item_no[is_new] = [items.of_text[text] for text in new]

    def key_of(numbers: Numbers) -> Keys:
        of_basket: Keys = keys[numbers - first]
        return of_basket

    is_bad = np.array([item.problem is not None for item in items])[item_no]
    if is_bad.any():
        is_sure = ~np.isin(basket_no, basket_no[is_bad])
        _look_again(connection, feed, items, basket_no[is_bad], item_no[is_bad], key_of)
        basket_no, item_no = basket_no[is_sure], item_no[is_sure]
    _add_up(connection, items, basket_no, item_no, key_of)


def _look_again(
    connection: DuckDBPyConnection,
    feed: Feed,
    items: Items,
    basket_no: Numbers,
    item_no: Numbers,
    key_of: Callable[[Numbers], Keys],
) -> None:
    """Add baskets that do not fall apart at the separators alone: these are their bad lines."""
    of_item = [item.problem or "" for item in items]
    problems: dict[int, str] = {}
    for basket, number in zip(basket_no.tolist(), item_no.tolist(), strict=True):
        problems[basket] = max(problems.get(basket, ""), of_item[number], key=_weight)
    _list_baskets(connection, problems)
    separator = (feed.items and feed.items.separator) or ""
    lines: list[tuple[int, int]] = []
    doubtful = []
    for basket, text in connection.execute(clean_sql("listed_texts")).fetchall():
        if found := split_items(text, feed):
            del problems[basket]
            lines += [(basket, items.number(item)) for item in found]
            if separator and any(separator.strip(" ") in _names(item) for item in found):
                doubtful.append(basket)
    if lines:
        joined_basket_no, joined_item_no = np.array(lines).T
        _add_up(connection, items, joined_basket_no, joined_item_no, key_of)
    keys = key_of(np.array(list(problems), np.int64)).tolist()
    append(
        connection, "baskets",
        [(key, *one) for key, one in zip(keys, problems.items(), strict=True)],
        ["key", "basket_no", "problem"], "by name from appended",
    )  # fmt: skip
    _list_baskets(connection, doubtful)
    connection.execute(clean_sql("doubtful_baskets"))


def _weight(problem: str) -> tuple[bool, str]:
    """Of several problems of a basket the heaviest is told."""
    return problem == "bad_price", problem


def _names(item: Item) -> str:
    return " ".join(filter(None, (item.size, item.product, item.flavour)))


def _list_baskets(connection: DuckDBPyConnection, numbers: Iterable[int]) -> None:
    given = {"basket_no": np.array(list(numbers), np.int64)}  # noqa: F841 - found by its name
    connection.execute("create or replace temp table listed as from given")


def parse_line_items(connection: DuckDBPyConnection, feed: Feed) -> Items:
    """Make items, and item_texts: what each distinct combination of a line's texts says."""
    items = Items(feed)
    combinations = connection.execute(f"select distinct {', '.join(_LINE_TEXTS)} from raw")
    rows = []
    for texts in combinations.fetchall():
        item = _line_item(dict(zip(_LINE_TEXTS, texts, strict=True)), feed)
        rows.append((*texts, items.number(item), item.problem))
    columns = ", ".join(f"{name}_text varchar" for name in _LINE_TEXTS)
    fill(connection, "item_texts", f"{columns}, item_no bigint, problem varchar", rows)
    items.keep(connection)
    return items


def _line_item(texts: dict[str, str], feed: Feed) -> Item:
    texts["price"] = texts.pop("unit_price")
    if feed.item_pattern is not None:
        parts = item_parts(texts["product"], feed)
        if parts is None:
            return Item(problem="bad_items")
        texts |= parts
    return make_item(feed, texts)


def add_up_lines(connection: DuckDBPyConnection, items: Items) -> None:
    """Make basket_lines and baskets, of the order lines in `kept`."""
    connection.execute(clean_sql("baskets"))
    ((count,),) = connection.execute("select coalesce(max(basket_no), 0) from kept").fetchall()
    for first in range(1, count + 1, _AT_ONCE):
        basket_no, item_no = _arrays(
            connection,
            "select basket_no, item_no from kept where basket_no between ? and ?"
            " order by basket_no, row_no",
            [first, first + _AT_ONCE - 1],
        )
        _add_up(
            connection, items, basket_no, item_no,
            lambda numbers: np.zeros(len(numbers), np.uint64),
        )  # fmt: skip


def _arrays(connection: DuckDBPyConnection, query: str, values: list[int]) -> list[Any]:
    """The columns of what a query gives; one with nulls is a masked array."""
    return list(connection.execute(query, values).fetchnumpy().values())


def _add_up(
    connection: DuckDBPyConnection,
    items: Items,
    basket_no: Numbers,
    item_no: Numbers,
    key_of: Callable[[Numbers], Keys],
) -> None:
    """Add baskets: these are their good lines, each basket's in their order and together.

    A line has other marks at each line number, so that the order of the lines counts for a
    basket's own two, which are made of them all.
    """
    starts = np.flatnonzero(np.diff(basket_no, prepend=-1))
    line_count = np.diff(starts, append=len(basket_no))
    line_no = np.arange(1, len(basket_no) + 1) - np.repeat(starts, line_count)
    place, places = pd.factorize((item_no.astype(np.int64) << 32) | line_no)
    place_marks = [_place_marks(items, one) for one in places.tolist()]
    high, low = np.array(place_marks, np.int64).reshape(-1, 2).T
    quantity, pence = items.amounts()
    # tables found by their names: a frame would copy the arrays
    lines = {"basket_no": basket_no, "line_no": line_no, "item_no": item_no}  # noqa: F841
    added = {  # noqa: F841
        "key": key_of(basket_no[starts]),
        "basket_no": basket_no[starts],
        "line_count": line_count,
        "units": np.add.reduceat(quantity[item_no], starts),
        "pence": np.add.reduceat(pence[item_no], starts),
        "high": np.bitwise_xor.reduceat(high[place], starts),
        "low": np.bitwise_xor.reduceat(low[place], starts),
    }
    connection.execute("insert into basket_lines from lines")
    connection.execute(
        "insert into baskets by name select * exclude (pence),"
        " cast(pence * 0.01 as decimal(12, 2)) as lines_total from added"
    )


def _place_marks(items: Items, place: int) -> tuple[int, int]:
    """Two numbers of 63 bits that stand for an item at a line number."""
    high, low = items.marks[place >> 32]
    digest = hashlib.md5(f"{high}:{low}:{place & 0xFFFF_FFFF}".encode(), usedforsecurity=False)
    number = int.from_bytes(digest.digest(), "little")
    return number >> 65, number & _LOW_HALF
