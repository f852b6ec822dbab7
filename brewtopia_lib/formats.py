"""Numbers, money and dates as people in Britain write them."""

import math
import re
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MINUS = "\N{MINUS SIGN}"


def number(value: Any) -> float | None:
    """The value as a float, or None where it is missing (None, NaN, NaT, NA)."""
    try:
        as_float = float(value)
    except (TypeError, ValueError):
        return None
    return as_float if math.isfinite(as_float) else None


def count(value: Any) -> str:
    """A whole number with thousands separators: 1,234."""
    return f"{value:,.0f}".replace("-", MINUS)


def pounds(value: Any, *, pence: bool = False, signed: bool = False) -> str:
    """Money in pounds: £1,234, £7.74 with pence, +£38 or −£76 signed."""
    amount = f"{abs(value):,.{2 if pence else 0}f}"
    return f"{_sign(value, amount, signed)}£{amount}"


def percent(fraction: Any, *, signed: bool = False, digits: int = 1) -> str:
    """A fraction as per cent: 41.2%, +3.1% or −5.0% signed."""
    amount = f"{abs(fraction) * 100:,.{digits}f}"
    return f"{_sign(fraction, amount, signed)}{amount}%"


def _sign(value: Any, amount: str, signed: bool) -> str:
    """The sign to write before `amount`; none where it is rounded to zero."""
    if not any(digit in "123456789" for digit in amount):
        return ""
    return MINUS if value < 0 else "+" if signed else ""


def day(value: date) -> str:
    """A day without its year: 3 Jun."""
    return f"{value.day} {MONTHS[value.month - 1][:3]}"


def day_and_year(value: date) -> str:
    """A day with its year: 3 Jun 2024."""
    return f"{day(value)} {value.year}"


def weekday_and_day(value: date) -> str:
    """A day with its weekday: Sun 30 Jun."""
    return f"{WEEKDAYS[value.weekday()][:3]} {day(value)}"


def full_day(value: date) -> str:
    """A day in full: Sun 30 June 2024."""
    return f"{WEEKDAYS[value.weekday()][:3]} {value.day} {MONTHS[value.month - 1]} {value.year}"


def hour(value: int) -> str:
    """The hour that begins then: 12:00."""
    return f"{value:02d}:00"


def plural(value: Any, one: str, many: str | None = None) -> str:
    """A count with its noun: 1 day, 2 days, 3 branches."""
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def listed(names: list[str]) -> str:
    """Names in a sentence: a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def some(names: list[str], most: int = 4) -> str:
    """Names in a sentence, of many only the first few: a, b, c and 5 more."""
    few = len(names) <= most
    return listed(names if few else [*names[: most - 1], f"{count(len(names) - most + 1)} more"])


def one_line(text: str) -> str:
    """The text without line breaks and terminal colours."""
    return " ".join(without_colours(text).split())


def without_colours(text: str) -> str:
    """The text without what colours it on a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def printable(text: str) -> str:
    """The text on one line, without characters that cannot be shown or that steer others."""
    return "".join(c if c.isprintable() else " " for c in text)


def shortened(text: str, length: int) -> str:
    """The text on one line, cut with an ellipsis where it is longer than `length`."""
    line = " ".join(printable(text).split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of a frame as dictionaries, columns by name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
