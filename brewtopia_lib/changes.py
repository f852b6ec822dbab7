"""What changed in a period, and what it is worth: the list that opens a report; pure.

It says what the tills took, before and after. Whether a change is more than chance is not its
business, and its wording does not claim so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from brewtopia_lib.formats import (
    count,
    day,
    full_day,
    listed,
    number,
    percent,
    plural,
    pounds,
    records,
)
from brewtopia_lib.scopes import Scope

Kind = Literal["branch", "product", "day_part", "missing_day", "silent_product"]

HOURS = {
    "Morning": "before 11:00",
    "Midday": "11:00 to 14:00",
    "Afternoon": "14:00 to 17:00",
    "Evening": "from 17:00",
}
SMALLEST_POUNDS = 5.0
"""A week's worth below this is not worth a manager's time."""
SMALLEST_CHANGE = 0.03
"""A change below this fraction of what it was is called level."""
MOST_OF_A_KIND = 3


@dataclass(frozen=True)
class Change:
    """One thing to know: its worth in pounds a week (losses negative) and a sentence.

    `once` is the worth in all of what does not go on, such as a day without sales.
    """

    kind: Kind
    pounds_a_week: float
    sentence: str
    detail: str = ""
    once: float | None = None


def what_changed(
    *,
    scope: Scope,
    movers: pd.DataFrame,
    day_parts: pd.DataFrame,
    missing_days: pd.DataFrame,
    silent_products: pd.DataFrame,
    league: pd.DataFrame | None = None,
    parts_by_branch: Mapping[str, pd.DataFrame] | None = None,
    limit: int = 6,
) -> list[Change]:
    """The largest changes of the period on the one before, largest first.

    Takes the frames of those analyses. For the whole chain also `league`, and the day parts of
    each of `moved_branches`, to say when in the day a branch gained or lost. At most three of a
    kind, so that many branches do not hide a product, and what is missing always has a place:
    it can be put right. Where there is no period before, nothing else remains.
    """
    missing = _missing(missing_days, scope) + _largest(_silent(silent_products))[:2]
    moved = [
        _branches(league, parts_by_branch or {}, scope) if league is not None else [],
        _products(movers, scope),
        _day_parts(day_parts, scope),
    ]
    largest = _largest([one for kind in moved for one in _largest(kind)[:MOST_OF_A_KIND]])
    return _largest(missing + largest[: limit - len(missing)])


def _largest(changes: list[Change]) -> list[Change]:
    return sorted(changes, key=lambda change: (-abs(change.pounds_a_week), change.sentence))


def _level(a_week: float, change: float | None) -> bool:
    return abs(a_week) < SMALLEST_POUNDS or (change is not None and abs(change) < SMALLEST_CHANGE)


def _moved(subject: str, verb: str, a_week: float, change: float, scope: Scope) -> str:
    way = "up" if a_week > 0 else "down"
    return (
        f"{subject} {verb} {way} {pounds(abs(a_week))} a week "
        f"({percent(change, signed=True)}) on {scope.before}."
    )


def _gained(row: dict[str, Any], scope: Scope) -> tuple[float, float] | None:
    """Pounds a week and fraction gained like for like; None where that is not known."""
    change = number(row["change"])
    if change is None or change <= -1:
        return None
    return float(row["revenue"]) * change / (1 + change) / scope.weeks, change


def moved_branches(league: pd.DataFrame, scope: Scope) -> list[str]:
    """The branches whose change is worth telling, largest first."""
    gained = {str(row["branch"]): _gained(row, scope) for row in records(league)}
    worth = {name: one[0] for name, one in gained.items() if one and not _level(*one)}
    return sorted(worth, key=lambda name: (-abs(worth[name]), name))[:MOST_OF_A_KIND]


def _branches(
    league: pd.DataFrame, parts_by_branch: Mapping[str, pd.DataFrame], scope: Scope
) -> list[Change]:
    rows = {str(row["branch"]): row for row in records(league)}
    found = []
    for name in moved_branches(league, scope):
        gained = _gained(rows[name], scope)
        if gained:
            detail = f"{pounds(float(rows[name]['revenue']) / scope.weeks)} a week now"
            if name in parts_by_branch:
                detail += _when(parts_by_branch[name], gained[0], scope)
            sentence = _moved(name, "is", *gained, scope)
            found.append(Change("branch", gained[0], sentence, detail))
    return found


def _when(parts: pd.DataFrame, a_week: float, scope: Scope) -> str:
    """The part of the day that makes up most of a change; nothing where none does."""
    for row in records(parts):
        gained = _gained(row, scope)
        if gained and gained[0] / a_week > 0.5:
            name = str(row["day_part"]).lower()
            return f"; mostly the {name}, {pounds(gained[0], signed=True)} a week"
    return ""


def _day_parts(parts: pd.DataFrame, scope: Scope) -> list[Change]:
    found = []
    for row in records(parts):
        gained, name = _gained(row, scope), str(row["day_part"])
        if gained and not _level(*gained):
            sentence = _moved(f"{name} revenue", "is", *gained, scope)
            found.append(Change("day_part", gained[0], sentence, f"{name} is {HOURS[name]}"))
    return found


def _products(movers: pd.DataFrame, scope: Scope) -> list[Change]:
    found = []
    for row in records(movers):
        a_week, change = float(row["change_pounds"]) / scope.weeks, number(row["change"])
        product = str(row["product"])
        if _level(a_week, change):
            continue
        if not row["units_before"]:
            sentence = f"{product} is new: it brings {pounds(a_week)} a week."
        elif not row["units"]:
            sentence = f"{product} no longer sells: it brought {pounds(-a_week)} a week."
        elif change is not None:
            sentence = _moved(product, "is", a_week, change, scope)
        else:
            continue
        found.append(Change("product", a_week, sentence, _effects(row, scope)))
    return found


def _effects(row: dict[str, Any], scope: Scope) -> str:
    parts = [
        f"{name} {pounds(float(row[f'{name}_effect']) / scope.weeks, signed=True)}"
        for name in ("volume", "price", "mix")
    ]
    units = f"{count(row['units'])} sold, {count(row['units_before'])} before"
    return f"{units}; {listed(parts)} a week"


def _missing(missing_days: pd.DataFrame, scope: Scope) -> list[Change]:
    rows = records(missing_days)
    if not rows:
        return []
    worth = sum(float(row["expected_revenue"]) for row in rows)
    if len(rows) == 1:
        where, on = rows[0]["branch"], full_day(rows[0]["sold_on"])
        sentence = f"{where} has no sales on {on}; it usually takes {pounds(worth)}."
        return [Change("missing_day", -worth / scope.weeks, sentence, once=-worth)]
    sentence = (
        f"{plural(len(rows), 'branch-day')} have no sales; they usually take {pounds(worth)}: "
        "files may be missing."
    )
    shown = [f"{row['branch']} on {day(row['sold_on'])}" for row in rows[:3]]
    shown += [f"{count(len(rows) - 3)} more"] if len(rows) > 3 else []
    return [Change("missing_day", -worth / scope.weeks, sentence, listed(shown), -worth)]


def _silent(silent_products: pd.DataFrame) -> list[Change]:
    return [
        Change(
            "silent_product",
            -float(row["weekly_revenue"]),
            f"{row['product']} has not sold at {row['branch']} since {day(row['last_sold_on'])}; "
            f"it used to bring {pounds(row['weekly_revenue'])} a week.",
            f"{plural(row['days_silent'], 'trading day')} without a sale, "
            f"{count(row['expected_units'])} expected",
        )
        for row in records(silent_products)
    ]
