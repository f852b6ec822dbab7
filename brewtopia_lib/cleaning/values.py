"""One text → one value: amounts, quantities, branch names, payments; and what stands for a value."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

# An order or a price beyond this is no café's: digits of something else have slipped in.
MAX_PENCE = 100_000_00

MAX_QUANTITY = 10_000
MAX_NAME_LENGTH = 120

LONG_NUMBER = re.compile(r"\d(?:[\W_]{0,3}\d){8,}")
"""Digits enough for a card, whatever marks part them: no name of a branch or product has them."""

_LOWER_WORDS = frozenset(
    ["and", "at", "by", "de", "du", "in", "la", "le", "of", "on", "sur", "the", "under", "upon"]
)
_SHORT_WORDS = frozenset(["st"])


def parse_pence(
    text: str, decimal_mark: str = ".", currency: tuple[str, ...] = ("£",)
) -> int | None:
    """An amount in pence, or None where the text is not exactly an amount in whole pence.

    Takes a currency sign before or after, a minus before or after or brackets in its place, and
    well-placed thousands marks; never rounds.
    """
    text, is_negative = _unsigned(text.strip().replace("\u2212", "-"))
    for sign in currency:
        if text.startswith(sign):
            text = text.removeprefix(sign).strip()
            break
        if text.endswith(sign):
            text = text.removesuffix(sign).strip()
            break
    if not is_negative:
        text, is_negative = _unsigned(text)
    match = _amount(decimal_mark).fullmatch(text)
    if match is None:
        return None
    whole = re.sub(r"\D", "", match["whole"] or "0")
    if len(whole) > 9:
        return None
    pence = int(whole) * 100 + int((match["fraction"] or "").ljust(2, "0")[:2])
    if (match["fraction"] or "")[2:].strip("0") or pence > MAX_PENCE:
        return None
    return -pence if is_negative else pence


def _unsigned(text: str) -> tuple[str, bool]:
    """An amount without what makes it one to pay back, and whether it had that."""
    if text.startswith("(") and text.endswith(")"):
        return text[1:-1].strip(), True
    if text.startswith("-"):
        return text[1:].strip(), True
    return text.removesuffix("-").strip(), text.endswith("-")


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
    folded = _folded(text)
    if not folded or len(folded) > MAX_NAME_LENGTH or LONG_NUMBER.search(folded):
        return None
    for spelling, name in (aliases or {}).items():
        if _folded(spelling) == folded:
            return name
    parts = re.split(r"([ \-/(]+)", folded)
    return "".join(
        _cased(part, first=index == 0) if index % 2 == 0 else part
        for index, part in enumerate(parts)
    )


def _folded(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    return " ".join(composed.casefold().replace("_", " ").split())


def _cased(word: str, *, first: bool) -> str:
    if not first and word in _LOWER_WORDS:
        return word
    if word in _SHORT_WORDS or word in _LOWER_WORDS:
        return word.capitalize()
    if len(word) <= 2 or re.search(r"\d", word):
        return word.upper()
    return word[:1].upper() + word[1:]


def parse_payment(text: str, aliases: Mapping[str, str] | None = None) -> str:
    """CARD, CASH, a value of `aliases`, or UNKNOWN: never the raw text itself."""
    folded = text.strip().casefold()
    # whatever its letters, a name that the feed says is one of those there are before it
    named = {
        name.casefold(): name for name in reversed(("CARD", "CASH", *(aliases or {}).values()))
    }
    known = named | {
        spelling.casefold(): named[name.casefold()] for spelling, name in (aliases or {}).items()
    }
    return known.get(folded, "UNKNOWN")


def parse_quantity(text: str) -> int | None:
    """A whole number of pieces (`2`, `2.0`, `-1` for a return); 1 where nothing is said."""
    text = text.strip()
    match = re.fullmatch(r"(-?[0-9]{1,6})(?:[.,]0+)?", text)
    if not text:
        return 1
    return int(match[1]) if match and 0 < abs(int(match[1])) <= MAX_QUANTITY else None


def pounds(pence: int | None) -> Decimal | None:
    return None if pence is None else Decimal(pence).scaleb(-2)


def marks(role: str, value: object) -> tuple[int, int]:
    """Two numbers of 63 bits that stand for a value in its role; see the package's docstring."""
    digest = hashlib.sha256(repr((role, value)).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1, int.from_bytes(digest[8:16]) >> 1
