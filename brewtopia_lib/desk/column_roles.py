"""What the columns of an unknown till file seem to hold: times, branch, items, money, people."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import product as combinations

from brewtopia_lib.cleaning.headers import folded_header
from brewtopia_lib.cleaning.values import LONG_NUMBER, parse_branch, parse_pence

Column = Sequence[str]

NAMES: Mapping[str, Sequence[str]] = {
    "sold_at": ["timestamp", "datetime", "date time", "sold at", "created at", "when"],
    "date": ["date", "day", "sale date", "business date", "order date"],
    "time": ["time", "sale time", "order time"],
    "branch": ["branch", "location", "site", "store", "shop", "outlet", "branch name", "store name",
               "shop name", "site name"],
    "items": ["items", "items ordered", "basket", "order items", "products", "orders"],
    "order": ["transaction id", "transaction", "transaction no", "order id", "order no",
              "order number", "receipt", "receipt no", "receipt number", "ticket", "bill"],
    "product": ["product", "item", "product name", "item name", "description", "what"],
    "size": ["size"],
    "flavour": ["flavour", "flavor", "syrup"],
    "quantity": ["quantity", "qty", "pieces", "units", "count"],
    "unit_price": ["unit price", "price", "each", "item price"],
    "line_total": ["line total", "line amount"],
    "total": ["total", "total amount", "total price", "amount", "order total", "sum"],
    "payment": ["payment", "payment method", "payment type", "paid", "paid by", "tender", "method"],
}  # fmt: skip
"""How headers name a role; the first of the file's columns that does so has it."""

PAID = {
    "CARD": ["card", "visa", "mastercard", "amex", "american express", "maestro", "debit", "credit",
             "debit card", "credit card", "contactless", "chip and pin", "apple pay", "google pay"],
    "CASH": ["cash", "notes", "coins", "notes and coins", "bar"],
}  # fmt: skip

_PEOPLE = re.compile(
    r"customer|client|guest|member|name|card|pan\b|phone|mobile|mail|address|postcode|birth|loyalty"
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_DATES = ["%d/%m/%Y", "%Y-%m-%d", "%d-%m-%Y", "%d.%m.%Y", "%Y/%m/%d", "%d/%m/%y", "%d %b %Y",
          "%d-%b-%Y", "%m/%d/%Y", "%Y%m%d"]  # fmt: skip
_TIMES = ["%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M%p", "%H.%M", "%I:%M:%S %p"]
_SIZE = "(?P<size>Small|Medium|Regular|Large)"
_FLAVOUR = r"(?:{0}(?P<flavour>[^\d(),]+?))?"
_SEPARATORS = [", ", " | ", "; ", " / ", " + ", "|", ";", "/", ","]
_MOST_BRANCHES = 0.2
_ENOUGH = 0.8


def role_named(header: str) -> str | None:
    """The role that a column's name stands for."""
    folded = folded_header(header)
    return next((role for role, names in NAMES.items() if folded in names), None)


def is_personal(header: str | None, column: Column) -> bool:
    """Whether a column is to be kept out: its name speaks of people, or it holds their numbers."""
    if header and role_named(header) is None and _PEOPLE.search(folded_header(header)):
        return True
    if time_format(column) or day_format(column):  # long numbers too, with marks between
        return False
    return max(_share(column, LONG_NUMBER.search), _share(column, _EMAIL.search)) > 0.2


def time_format(column: Column) -> str | None:
    """The form of a column that holds days with times; day before month where both would do."""
    forms = (f"{day}{gap}{time}" for gap, day, time in combinations([" ", "T"], _DATES, _TIMES))
    return _form_of(column, forms)


def day_format(column: Column) -> str | None:
    """The form of a column that holds days alone."""
    return _form_of(column, _DATES)


def clock_format(column: Column) -> str | None:
    """The form of a column that holds times alone."""
    return _form_of(column, _TIMES)


def decimal_mark(column: Column) -> str | None:
    """The mark before the pence, `.` or `,`, where a column holds amounts; else None."""
    shares = {mark: _share(column, partial(_is_amount, mark=mark)) for mark in (".", ",")}
    best = max(shares, key=lambda mark: shares[mark])
    return best if shares[best] >= _ENOUGH else None


def is_payment(column: Column) -> bool:
    """Whether a column holds ways of paying that are known."""
    known = {name for names in PAID.values() for name in names}
    return _share([text.strip().casefold() for text in column], known.__contains__) >= 0.5


def may_be_branch(column: Column) -> bool:
    """Whether a column holds few names, each in many rows: a customer's would differ."""
    names = Counter(parse_branch(text) for text in column if text.strip())
    if None in names or not names or any(re.fullmatch(r"[\d\W]*", str(name)) for name in names):
        return False
    rows = sum(names.values())
    return rows >= 3 and len(names) <= max(1, _MOST_BRANCHES * rows)


def item_grammar(column: Column, mark: str) -> tuple[float, str, str]:
    """The share of cells that are items with prices, by which separator and which pattern."""
    found = []
    for pattern, separator in combinations(_patterns(mark), _SEPARATORS):
        one = re.compile(pattern)

        holds = partial(_holds_items, one=one, separator=separator)
        found.append((_share(column, holds), separator, pattern))
    return max(found, key=lambda one: one[0])


def _patterns(mark: str) -> Iterable[str]:
    """One item, in the ways tills write it; sizes as words or in brackets."""
    price = rf"(?P<price>-?£?\d+(?:{re.escape(mark)}\d{{1,2}})?)"
    many = r"(?:(?P<quantity>\d+) ?[x×] ?)?"
    name = r"(?P<product>[^\d(),]+?)"
    for gap in (" - ", ": ", " @ ", " "):
        flavour = _FLAVOUR.format(" - ")
        yield rf"{many}(?:{_SIZE} +)?{name}{flavour}{gap}{price}"
        yield rf"{many}{name}(?: \((?P<size>[^\d(),]+)\))?{flavour}{gap}{price}"
        yield rf"{price}{gap}{many}(?:{_SIZE} +)?{name}{flavour}"


def _form_of(column: Column, forms: Iterable[str]) -> str | None:
    best = max(
        ((_share(column, partial(_is_time, form=form)), form) for form in forms),
        key=lambda one: one[0],
    )
    return best[1] if best[0] >= _ENOUGH else None


def _is_amount(text: str, mark: str) -> bool:
    return parse_pence(text, mark) is not None


def _holds_items(text: str, one: re.Pattern[str], separator: str) -> bool:
    return all(one.fullmatch(item.strip()) for item in text.split(separator))


def _is_time(text: str, form: str) -> bool:
    try:
        datetime.strptime(text.strip(), form)
    except ValueError:
        return False
    return True


def _share(column: Column, holds: Callable[[str], object]) -> float:
    """Of the cells that are not blank, the share for which something holds."""
    cells = [text for text in column if text.strip()]
    return sum(bool(holds(text)) for text in cells) / len(cells) if cells else 0.0
