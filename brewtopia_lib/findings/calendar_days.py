"""Which days the calendar sets apart; pure."""

from datetime import date, timedelta

import numpy as np
from holidays.countries.united_kingdom import UnitedKingdom

from brewtopia_lib.findings.significance import Bools

_CHRISTMAS = {
    (12, 24),
    (12, 25),
    (12, 26),
    (12, 27),
    (12, 28),
    (12, 29),
    (12, 30),
    (12, 31),
    (1, 1),
}


def days_from(first_day: date, count: int) -> list[date]:
    """That many days, from the first."""
    return [first_day + timedelta(day) for day in range(count)]


def holidays(days: list[date]) -> Bools:
    """Whether each day is a bank holiday of England and Wales, or lies between Christmas Eve and
    New Year's Day.

    Trade on them says little about other days, so nothing is learnt from them.
    """
    years = {day.year for day in days}
    # England's holidays contain those of Wales.
    bank = UnitedKingdom(subdiv="ENG", years=years) if years else {}
    return np.array([day in bank or (day.month, day.day) in _CHRISTMAS for day in days], dtype=bool)
