"""Item texts → order lines, by a feed's grammar. Each distinct text is parsed once."""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from brewtopia_lib.cleaning.feeds import Feed
from brewtopia_lib.cleaning.values import (
    LONG_NUMBER,
    MAX_NAME_LENGTH,
    MAX_PENCE,
    parse_pence,
    parse_quantity,
)

_MAX_PIECES = 400
_MAX_JOINED_PIECES = 12
# No item is as long, and patterns may take time that grows with its square.
_MAX_ITEM_LENGTH = 500


class Item(NamedTuple):
    """One order line as its text says it; money in pence."""

    product: str | None = None
    size: str | None = None
    flavour: str | None = None
    quantity: int | None = None
    unit_pence: int | None = None
    line_pence: int | None = None
    problem: str | None = None


def parse_item(text: str, feed: Feed) -> Item:
    """One item by the feed's grammar; `problem` says what keeps it from being one."""
    parts = item_parts(text, feed)
    return Item(problem="bad_items") if parts is None else make_item(feed, parts)


def item_parts(text: str, feed: Feed) -> dict[str, str] | None:
    """The named groups of the feed's item pattern; None where the text is no such item."""
    assert feed.item_pattern is not None
    text = text.strip()
    match = feed.item_pattern.fullmatch(text) if len(text) <= _MAX_ITEM_LENGTH else None
    return match and {name: part for name, part in match.groupdict().items() if part}


def make_item(feed: Feed, parts: Mapping[str, str]) -> Item:
    """An item from its parts' texts: product, size, flavour, price, quantity, line_total."""
    product = _named(parts.get("product"), feed.values.product, feed)
    if product is None:
        return Item(problem="no_items")
    size = _named(parts.get("size"), feed.values.size, feed)
    flavour = _named(parts.get("flavour"), feed.values.flavour, feed)
    names = [name for name in (product, size, flavour) if name]
    if any(len(name) > MAX_NAME_LENGTH or LONG_NUMBER.search(name) for name in names):
        return Item(problem="bad_items")
    quantity = parse_quantity(parts.get("quantity", ""))
    if quantity is None:
        return Item(problem="bad_quantity")
    unit_pence = _pence(parts.get("price"), feed)
    line_pence = _pence(parts.get("line_total"), feed)
    if unit_pence is None and not parts.get("price", "").strip() and line_pence is not None:
        unit_pence = round(Decimal(line_pence) / quantity)
    elif line_pence is None and not parts.get("line_total", "").strip() and unit_pence is not None:
        line_pence = unit_pence * quantity
    if unit_pence is None or line_pence is None or abs(line_pence) > MAX_PENCE:
        return Item(problem="bad_price")
    return Item(product, size, flavour, quantity, unit_pence, line_pence)


def split_items(text: str, feed: Feed) -> list[Item] | None:
    """The items of one order where its text does not fall apart at the separators alone.

    Neighbouring pieces are joined again as far as needed (a comma in a product's name, a grammar
    whose fields and items are parted by the same mark), shortest items first, and what is blank
    between two separators is left out if it must be; None where anything else is left over.
    """
    assert feed.items is not None
    separator = feed.items.separator or ""
    for mark in dict.fromkeys((separator, separator.strip())):
        pieces = text.split(mark) if mark else []
        if len(pieces) <= _MAX_PIECES:
            items = _joined(pieces, mark, 0, feed, set())
            if items:
                return items
    return None


def _joined(
    pieces: list[str], mark: str, start: int, feed: Feed, dead: set[int]
) -> list[Item] | None:
    if start == len(pieces):
        return []
    if start in dead:
        return None
    for end in range(start + 1, min(start + _MAX_JOINED_PIECES, len(pieces)) + 1):
        item = parse_item(mark.join(pieces[start:end]), feed)
        if item.problem is None:
            rest = _joined(pieces, mark, end, feed, dead)
            if rest is not None:
                return [item, *rest]
    dead.add(start)
    return None if pieces[start].strip() else _joined(pieces, mark, start + 1, feed, dead)


def _named(text: str | None, aliases: Mapping[str, str], feed: Feed) -> str | None:
    name = (text or "").strip()
    return None if feed.is_null(name) else aliases.get(name, name)


def _pence(text: str | None, feed: Feed) -> int | None:
    return parse_pence(text or "", feed.money.decimal_mark, feed.money.currency)
