"""Item texts → order lines, by a feed's grammar. Each distinct text is parsed once."""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from brewtopia_lib.feeds import Feed
from brewtopia_lib.values import LONG_NUMBER, parse_pence, parse_quantity

_MAX_PIECES = 400
_MAX_JOINED_PIECES = 12


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
    assert feed.item_pattern is not None
    match = feed.item_pattern.fullmatch(text.strip())
    if match is None:
        return Item(problem="bad_items")
    groups = {name: value for name, value in match.groupdict().items() if value is not None}
    return make_item(feed, groups)


def make_item(feed: Feed, parts: Mapping[str, str]) -> Item:
    """An item from its parts' texts: product, size, flavour, price, quantity, line_total."""
    product = _named(parts.get("product"), feed.values.product, feed)
    if product is None:
        return Item(problem="no_items")
    size = _named(parts.get("size"), feed.values.size, feed)
    flavour = _named(parts.get("flavour"), feed.values.flavour, feed)
    if any(name and LONG_NUMBER.search(name) for name in (product, size, flavour)):
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
    if unit_pence is None or line_pence is None:
        return Item(problem="bad_price")
    return Item(product, size, flavour, quantity, unit_pence, line_pence)


def split_items(text: str, feed: Feed) -> list[Item] | None:
    """The items of one order where its text does not fall apart at the separators alone.

    Neighbouring pieces are joined again as far as needed (a comma in a product's name, a grammar
    whose fields and items are parted by the same mark), shortest items first; None where anything
    is left over.
    """
    assert feed.items is not None
    separator = feed.items.separator or ""
    for mark in dict.fromkeys((separator, separator.strip())):
        pieces = [piece for piece in text.split(mark) if piece.strip()] if mark else []
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
    return None


def _named(text: str | None, aliases: Mapping[str, str], feed: Feed) -> str | None:
    name = (text or "").strip()
    return None if not name or name in feed.null else aliases.get(name, name)


def _pence(text: str | None, feed: Feed) -> int | None:
    return parse_pence(text or "", feed.money.decimal_mark, feed.money.currency)
