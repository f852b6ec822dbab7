"""A forecast as a manager reads it: a headline, how good it is, and lines for a terminal; pure."""

from typing import Any

import pandas as pd

from brewtopia_lib.forecast import Forecast
from brewtopia_lib.formats import count, percent, plural, pounds, records, weekday_and_day
from brewtopia_lib.pages.headline import Headline


def headline(made: Forecast, branch: str | None = None) -> Headline | None:
    """What the days to come should bring in all; None where there is no forecast of it."""
    own = made.of(branch)
    if own.days.empty:
        return None
    judged = _judged(own, "revenue")
    text = (
        f"The next {plural(len(own.days), 'day')} should bring about {pounds(judged['in_all'])}: "
        f"four times in five between {pounds(judged['in_all_low_80'])} and "
        f"{pounds(judged['in_all_high_80'])}"
    )
    rows = records(own.days)
    best, least = (choose(rows, key=lambda row: row["revenue"]) for choose in (max, min))
    return Headline(
        text,
        f"Most on {weekday_and_day(best['sold_on'])}, about {pounds(best['revenue'])}; least on "
        f"{weekday_and_day(least['sold_on'])}, about {pounds(least['revenue'])}.",
    )


def no_forecast(made: Forecast, branch: str | None = None) -> Headline | None:
    """That there is none; None where there is one."""
    return Headline("There is no forecast yet", "") if made.of(branch).days.empty else None


def aside(made: Forecast, branch: str | None = None) -> str:
    """How good it is, and what else there is to know of it."""
    own = made.of(branch)
    every = branch is None or own.days.empty
    notes = [note for note in own.notes if every or str(branch) in note]
    return " ".join(filter(None, [how_good(made, branch), *notes]))


def how_good(made: Forecast, branch: str | None = None) -> str | None:
    """How far off such forecasts were on past days; None where there is no forecast."""
    own = made.of(branch)
    if own.days.empty:
        return None
    judged = _judged(own, "revenue")
    said = (
        f"Tried on past days it was not shown, from {plural(judged['origins'], 'date')}: half of "
        f"the days came within {percent(judged['typical_error'], digits=0)} of the forecast"
    )
    if judged["method"] == "model":
        less = 1 - judged["mase"] / judged["mase_naive"]
        said += (
            f", its errors {percent(less, digits=0)} smaller than those of taking last week’s same "
            "day"
        )
    else:
        said += "; it repeats last week’s same day, because the model was no better here"
    if pd.notna(judged["covered_80"]):
        said += (
            f". {percent(judged['covered_80'], digits=0)} of the days tested fell within the range "
            "meant for 80%"
        )
    return f"{said}."


def lines(made: Forecast, branch: str | None = None) -> list[str]:
    """The forecast of the chain, or of one branch, as text: day by day, then what is in it."""
    own = made.of(branch)
    said = [one for one in (headline(made, branch), how_good(made, branch)) if one]
    opening = [one.text + "." if isinstance(one, Headline) else one for one in said]
    rows = [
        f"  {weekday_and_day(row['sold_on']):<11} {pounds(row['revenue']):>9}   "
        f"{pounds(row['revenue_low_80'])} to {pounds(row['revenue_high_80']):<9} "
        f"{count(row['orders']):>7} orders"
        for row in records(own.days)
    ]
    parts = made.backtest
    if branch is None and len(parts):
        parts = parts[(parts["measure"] == "revenue") & parts["branch"].notna()]
        rows += ["", *(f"  {row['branch']}: {_in_all(row)}" for row in records(parts))]
    return [*opening, *([""] if rows else []), *rows, *(f"\n{note}" for note in made.notes)]


def _in_all(row: dict[str, Any]) -> str:
    low, high = (pounds(row[f"in_all_{end}_80"]) for end in ("low", "high"))
    return f"{pounds(row['in_all'])} in all, {low} to {high}"


def _judged(own: Forecast, measure: str) -> dict[str, Any]:
    backtest: pd.DataFrame = own.backtest[own.backtest["measure"] == measure]
    return records(backtest)[0]
