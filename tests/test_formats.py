"""Numbers, money and dates as people write them."""

from datetime import date
from decimal import Decimal

import pandas as pd
import pytest

from brewtopia_lib import formats


@pytest.mark.parametrize(
    ("value", "options", "written"),
    [
        (1234.4, {}, "£1,234"),
        (Decimal("7.745"), {"pence": True}, "£7.74"),
        (-76, {}, "−£76"),
        (38, {"signed": True}, "+£38"),
        (0.2, {"signed": True}, "£0"),
        (-0.2, {}, "£0"),
        (-0.4, {"pence": True}, "−£0.40"),
    ],
)
def test_pounds(value: object, options: dict[str, bool], written: str) -> None:
    """Money has its pound sign after the sign, thousands separators, and no signed zero."""
    assert formats.pounds(value, **options) == written


@pytest.mark.parametrize(
    ("value", "options", "written"),
    [
        (0.412, {}, "41.2%"),
        (0.031, {"signed": True}, "+3.1%"),
        (-0.05, {"signed": True}, "−5.0%"),
        (-0.0001, {"signed": True}, "0.0%"),
        (0.5, {"digits": 0}, "50%"),
    ],
)
def test_percent(value: float, options: dict[str, bool], written: str) -> None:
    """A fraction is written as per cent, signed where asked, and no signed zero."""
    assert formats.percent(value, **options) == written


def test_dates() -> None:
    """Dates are written as people in Britain write them, whatever the locale."""
    last = date(2024, 6, 30)
    assert formats.day(last) == "30 Jun"
    assert formats.day_and_year(last) == "30 Jun 2024"
    assert formats.weekday_and_day(last) == "Sun 30 Jun"
    assert formats.full_day(last) == "Sun 30 June 2024"


@pytest.mark.parametrize("value", [None, float("nan"), pd.NaT, pd.NA, "", float("inf")])
def test_what_is_missing_is_no_number(value: object) -> None:
    """Every way a frame says `missing` is None, so that nothing is written for it."""
    assert formats.number(value) is None


def test_names_are_cut_and_made_printable() -> None:
    """A name is on one line without control characters, and cut with an ellipsis if long."""
    assert formats.shortened("Flat\n\x00white\u202e", 20) == "Flat white"
    assert formats.shortened("Flavoured iced latte - Hazelnut", 12) == "Flavoured i…"


def test_lists_and_counts() -> None:
    """Counts agree with their nouns, and lists end with `and`."""
    assert formats.plural(1, "branch", "branches") == "1 branch"
    assert formats.plural(1200, "day") == "1,200 days"
    assert formats.listed(["a", "b", "c"]) == "a, b and c"
    assert formats.listed(["a"]) == "a"
