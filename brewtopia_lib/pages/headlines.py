"""What each frame says in one sentence, computed from its numbers; pure.

What changed and is more than chance is for the findings to say: headlines tell how things are.

Every function gives a Headline: what to say, and the numbers behind it for those who cannot see
the chart. It is None where there is nothing to look at, and says so where nothing stands out.
"""

from typing import Any

import pandas as pd

from brewtopia_lib.formats import (
    WEEKDAYS,
    day,
    full_day,
    hour,
    listed,
    number,
    percent,
    plural,
    pounds,
    records,
    some,
)
from brewtopia_lib.pages.headline import LEVEL, NEAR, Headline, greatest, shares
from brewtopia_lib.pages.scopes import Scope

_WEEKS_FOR_LINE = 3


def moved(change: float, against: str) -> str:
    """A change in words: `3.1% more than in the 4 weeks before`."""
    if abs(change) < LEVEL:
        return f"within {percent(LEVEL, digits=0)} of {against}"
    return f"{percent(abs(change))} {'more' if change > 0 else 'less'} than in {against}"


def in_period(daily: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    """The days of the period that have sales."""
    on = pd.to_datetime(daily["sold_on"])
    return daily[(on >= pd.Timestamp(scope.first)) & daily["revenue"].notna()]


def days(daily: pd.DataFrame, headline: pd.DataFrame, scope: Scope) -> Headline | None:
    """Revenue a day in the period, its like-for-like change, its best and worst day."""
    rows = records(in_period(daily, scope))
    if not rows:
        return None
    if len(rows) == 1:
        text = f"One day of sales: {pounds(rows[0]['revenue'])} on {full_day(rows[0]['sold_on'])}"
        return Headline(text, text + ".")
    mean = sum(float(row["revenue"]) for row in rows) / len(rows)
    change = number(headline.iloc[0]["change_comparable"])
    text = f"Revenue averaged {pounds(mean)} a day"
    if change is not None:
        text += f"; like for like that is {moved(change, scope.before)}"
    best, worst = (choose(rows, key=lambda row: float(row["revenue"])) for choose in (max, min))
    return Headline(
        text,
        f"{plural(len(rows), 'day')} with sales; the most was {pounds(best['revenue'])} on "
        f"{full_day(best['sold_on'])}, the least {pounds(worst['revenue'])} on "
        f"{full_day(worst['sold_on'])}.",
    )


def weeks(weekly: pd.DataFrame) -> Headline | None:
    """The last complete week against its four-week average and last year; None without one."""
    complete = records(weekly[weekly["complete"]])
    if not complete:
        return None
    last, best = complete[-1], greatest(complete, "revenue")
    text = f"The week from {day(last['week_start'])} took {pounds(last['revenue'])}"
    average = number(last["change_four_week_average"])
    year = number(last["change_last_year"])
    if average is not None:
        text += f", {percent(average, signed=True)} on its four-week average"
    if year is not None:
        text += f", {percent(year, signed=True)} on last year"
    return Headline(
        text,
        f"{plural(len(complete), 'complete week')}; the best began on {day(best['week_start'])} "
        f"with {pounds(best['revenue'])}.",
    )


def league(rows: pd.DataFrame) -> Headline | None:
    """Which branch takes most."""
    branches = records(rows)
    if not branches:
        return None
    lead = branches[0]
    last = branches[-1]
    return Headline(
        f"{lead['branch']} leads with {pounds(lead['revenue'])}",
        f"{plural(len(branches), 'branch', 'branches')}, from {pounds(lead['revenue'])} to "
        f"{pounds(last['revenue'])} ({last['branch']}).",
    )


def uneven(rows: pd.DataFrame) -> str | None:
    """Which branches traded on fewer than half as many days as others; `rows` is the league."""
    few, most = _with_few_days(rows)
    if not few:
        return None
    return (
        f"{len(few)} of {plural(len(rows), 'branch', 'branches')} "
        f"{'has' if len(few) == 1 else 'have'} sales on fewer than half of the "
        f"{plural(most, 'day')} that others have ({some(few)}): totals by day rise and fall with "
        f"{'it' if len(few) == 1 else 'them'}."
    )


def _with_few_days(rows: pd.DataFrame) -> tuple[list[str], int]:
    """The branches with fewer than half of the days of another, and how many that one has."""
    branches = records(rows)
    most = max((int(row["days_traded"]) for row in branches), default=0)
    return [str(row["branch"]) for row in branches if 2 * int(row["days_traded"]) < most], most


def standing(rows: pd.DataFrame, scope: Scope) -> str | None:
    """Where one branch stands among all, by level and by change; `rows` is the league.

    By level only where all have sales on about as many days.
    """
    traded = rows[rows["days_traded"] > 0]
    own = records(traded[traded["branch"] == scope.branch])
    if not own:
        return None
    ranks = ["revenue", "change"] if not _with_few_days(traded)[0] else ["change"]
    said = [
        f"{_ordinal(rank)} of {int(traded[f'{name}_rank'].notna().sum())} by {name}"
        for name in ranks
        if (rank := number(own[0][f"{name}_rank"])) is not None
    ]
    return f"{scope.branch} is {listed(said)}." if said else None


def of_chain(headline: pd.DataFrame, scope: Scope) -> str:
    """What a figure of the chain beside one of the branch covers, where the branch has few days."""
    few = 2 * int(headline.iloc[0]["days_traded"]) < 7 * scope.weeks
    return "the chain’s (over all the chain’s days)" if few else "the chain’s"


def comparable_weeks(weekly: pd.DataFrame) -> bool:
    """Whether there are complete weeks enough to draw a line of them beside another's."""
    return int(weekly["complete"].sum()) >= _WEEKS_FOR_LINE


def against_chain(branch: pd.DataFrame, chain: pd.DataFrame, scope: Scope) -> Headline | None:
    """Change of one branch beside that of the chain, over the same period."""
    own, whole = (number(one.iloc[0]["change_comparable"]) for one in (branch, chain))
    if own is None or whole is None:
        return None
    both = f"{percent(own, signed=True)} like for like, the chain {percent(whole, signed=True)}"
    return Headline(f"{scope.branch} took {both}", f"Both are changes on {scope.before}.")


def weekday_hours(cells: pd.DataFrame) -> Headline | None:
    """The busiest hour of the week, where one stands out, or those that are about as busy."""
    rows = records(cells)
    if not rows:
        return None
    top = greatest(rows, "revenue_per_hour")
    mean = sum(float(row["revenue_per_hour"]) for row in rows) / len(rows)
    takings = float(top["revenue_per_hour"])
    when = _hour_of_week(top)
    numbers = (
        f"{when} takes {pounds(takings)} an hour; the average over all hours is {pounds(mean)}."
    )
    if len({row["weekday"] for row in rows}) == 1:
        return Headline(
            f"Sales of one weekday only; its busiest hour is {hour(int(top['hour']))}", numbers
        )
    if takings < 1.2 * mean:
        return Headline("No hour of the week stands out", numbers)
    busiest = [row for row in rows if float(row["revenue_per_hour"]) > (1 - NEAR) * takings]
    if 1 < len(busiest) <= 3:
        busiest.sort(key=lambda row: -float(row["revenue_per_hour"]))
        text = f"{listed([_hour_of_week(row) for row in busiest])} are the busiest hours"
        return Headline(f"{text}: about {pounds(takings)}", numbers)
    if len(busiest) > 3:
        text = f"{when} and {plural(len(busiest) - 1, 'other hour')} are the busiest"
        return Headline(
            f"{text}: about {pounds(takings)}, {takings / mean:.1f} times the average", numbers
        )
    return Headline(
        f"{when} is the busiest hour: {pounds(takings)}, {takings / mean:.1f} times the average",
        numbers,
    )


def left_out(rows: pd.DataFrame) -> str | None:
    """A word on branches that the hours leave out, where there are any; `rows` is the league."""
    few, most = _with_few_days(rows)
    if not few:
        return None
    return f"Without {some(few)}, with sales on fewer than half of the {plural(most, 'day')} of others."


def _hour_of_week(row: dict[str, Any]) -> str:
    start = int(row["hour"])
    return f"{WEEKDAYS[int(row['weekday']) - 1]} {hour(start)}–{hour(start + 1)}"


def day_parts(parts: pd.DataFrame) -> Headline | None:
    """The part of the day that earns most."""
    rows = records(parts)
    if not rows:
        return None
    top = greatest(rows, "share")
    return Headline(
        f"{top['day_part']} brings {percent(top['share'], digits=0)} of revenue",
        shares(rows, "day_part", "share"),
    )


def incomplete(weekly: pd.DataFrame) -> str | None:
    """A word on weeks that are not whole, where there are any."""
    if weekly["complete"].all():
        return None
    return "Outlined weeks are not complete from Monday to Sunday."


def _ordinal(value: Any) -> str:
    rank = int(value)
    if 10 <= rank % 100 <= 20:
        return f"{rank}th"
    return f"{rank}" + {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
