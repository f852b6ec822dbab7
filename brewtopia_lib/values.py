"""One text → one value: amounts, branch names, items. Each distinct text is parsed once."""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from brewtopia_lib.feeds import Feed

# An order or a price beyond this is no café's: digits of something else have slipped in.
MAX_PENCE = 100_000_00
_MAX_PIECES = 400
_MAX_JOINED_PIECES = 12

_LONG_NUMBER = re.compile(r"(?:\d[ \-.]?){9,}")
_LOWER_WORDS = frozenset("and at by de du in la le of on sur the under upon".split())
_SHORT_WORDS = frozenset("st".split())


class Item(NamedTuple):
    """One order line as its text says it; money in pence."""

    product: str | None = None
    size: str | None = None
    flavour: str | None = None
    quantity: int | None = None
    unit_pence: int | None = None
    line_pence: int | None = None
    problem: str | None = None


def parse_pence(text: str, decimal_mark: str = ".", currency: tuple[str, ...] = ("£",)) -> int | None:
    """An amount in pence, or None where the text is not exactly an amount in whole pence.

    Takes a currency sign before or after, a sign, and well-placed thousands marks; never rounds.
    """
    text = text.strip()
    negative = text.startswith("-")
    text = text.removeprefix("-").strip()
    for sign in currency:
        if text.startswith(sign):
            text = text.removeprefix(sign).strip()
            break
        if text.endswith(sign):
            text = text.removesuffix(sign).strip()
            break
    if text.startswith("-") and not negative:
        negative, text = True, text[1:]
    match = _amount(decimal_mark).fullmatch(text)
    if match is None:
        return None
    whole = re.sub(r"\D", "", match["whole"] or "0")
    if len(whole) > 9:
        return None
    pence = int(whole) * 100 + int((match["fraction"] or "").ljust(2, "0")[:2])
    if (match["fraction"] or "")[2:].strip("0") or pence > MAX_PENCE:
        return None
    return -pence if negative else pence


@lru_cache
def _amount(decimal_mark: str) -> re.Pattern[str]:
    thousands = "[,' \u00a0\u202f]" if decimal_mark == "." else "[.' \u00a0\u202f]"
    mark = re.escape(decimal_mark)
    return re.compile(
        rf"(?=[0-9{mark}])(?P<whole>[0-9]+|[0-9]{{1,3}}(?:{thousands}[0-9]{{3}})+)?"
        rf"(?:{mark}(?P<fraction>[0-9]+))?"
    )


def parse_branch(text: str, aliases: Mapping[str, str] | None = None) -> str | None:
    """A branch's one name, the same for every case and spacing of it; None if it names none.

    A pure function of the letters, whichever spelling came first: words start with a capital,
    small words between them do not, and codes of up to two letters or with digits are capitals.
    """
    folded = " ".join(text.casefold().replace("_", " ").split())
    if not folded or _LONG_NUMBER.search(folded):
        return None
    for spelling, name in (aliases or {}).items():
        if " ".join(spelling.casefold().replace("_", " ").split()) == folded:
            return name
    parts = re.split(r"([ \-/(]+)", folded)
    return "".join(
        _cased(part, first=index == 0) if index % 2 == 0 else part
        for index, part in enumerate(parts)
    )


def _cased(word: str, *, first: bool) -> str:
    if not first and word in _LOWER_WORDS:
        return word
    if word in _SHORT_WORDS or word in _LOWER_WORDS:
        return word.capitalize()
    if len(word) <= 2 or re.search(r"\d", word):
        return word.upper()
    return word[:1].upper() + word[1:]


def parse_payment(text: str, feed: Feed) -> str:
    """CARD, CASH, a value the feed declares, or UNKNOWN: never the raw text itself."""
    folded = text.strip().casefold()
    for spelling, payment in feed.values.payment.items():
        if spelling.casefold() == folded:
            return payment
    known = {"CARD", "CASH", *feed.values.payment.values()}
    return next((payment for payment in known if payment.casefold() == folded), "UNKNOWN")


def parse_quantity(text: str) -> int | None:
    """A whole number of pieces (`2`, `2.0`, `-1` for a return); 1 where nothing is said."""
    text = text.strip()
    match = re.fullmatch(r"(-?[0-9]{1,6})(?:[.,]0+)?", text)
    if not text:
        return 1
    return int(match[1]) if match and int(match[1]) != 0 else None


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
    if any(name and _LONG_NUMBER.search(name) for name in (product, size, flavour)):
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
        pieces = text.split(mark) if mark else []
        if 1 < len(pieces) <= _MAX_PIECES:
            items = _joined(pieces, mark, 0, feed, set())
            if items is not None:
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
