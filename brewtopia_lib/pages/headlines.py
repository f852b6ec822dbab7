"""What each frame says in one sentence, computed from its numbers; pure.

What changed and is more than chance is for the findings to say: headlines tell how things are.

Every function gives a Headline: what to say, and the numbers behind it for those who cannot see
the chart. It is None where there is nothing to look at, and says so where nothing stands out.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from brewtopia_lib.formats import (
    WEEKDAYS,
    count,
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
from brewtopia_lib.pages.scopes import Scope

LEVEL = 0.01
"""A change below this fraction is called level."""
PAIR_LIFT = 1.2
"""Pairs bought together less often than this times chance are not spoken of."""
PAIR_DEVIATIONS = 4
"""Nor are those less far above chance than this: the top of several hundred pairs is lucky."""


@dataclass(frozen=True)
class Headline:
    """What a frame says in one sentence, and the numbers behind it."""

    text: str
    numbers: str


def moved(change: float, against: str) -> str:
    """A change in words: `3.1% more than in the 4 weeks before`."""
    if abs(change) < LEVEL:
        return f"within {percent(LEVEL, digits=0)} of {against}"
    return f"{percent(abs(change))} {'more' if change > 0 else 'less'} than in {against}"


def _best(rows: list[dict[str, Any]], column: str) -> dict[str, Any]:
    return max(rows, key=lambda row: number(row[column]) or 0.0)


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
    last, best = complete[-1], _best(complete, "revenue")
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
    """Which branches traded on less than half as many days as others; `rows` is the league."""
    branches = records(rows)
    most = max((int(row["days_traded"]) for row in branches), default=0)
    few = [str(row["branch"]) for row in branches if 2 * int(row["days_traded"]) < most]
    if not few:
        return None
    return (
        f"{len(few)} of {plural(len(branches), 'branch', 'branches')} have sales on less than "
        f"half of the {plural(most, 'day')} that others have ({some(few)}): totals by day "
        "rise and fall with them."
    )


def standing(row: pd.DataFrame, scope: Scope) -> str | None:
    """Where one branch stands among all, by level and by change; `row` is its league row."""
    if row.empty:
        return None
    branch = records(row)[0]
    text = (
        f"{branch['branch']} is {_ordinal(branch['revenue_rank'])} of {scope.branches} by revenue"
    )
    change_rank = number(branch["change_rank"])
    if change_rank is not None:
        text += f" and {_ordinal(change_rank)} by change"
    return text + "."


def against_chain(branch: pd.DataFrame, chain: pd.DataFrame, scope: Scope) -> Headline | None:
    """Change of one branch beside that of the chain, over the same period."""
    own, whole = (number(one.iloc[0]["change_comparable"]) for one in (branch, chain))
    if own is None or whole is None:
        return None
    both = f"{percent(own, signed=True)} like for like, the chain {percent(whole, signed=True)}"
    return Headline(f"{scope.branch} took {both}", f"Both are changes on {scope.before}.")


def weekday_hours(cells: pd.DataFrame) -> Headline | None:
    """The busiest hour of the week, where one stands out."""
    rows = records(cells)
    if not rows:
        return None
    top = _best(rows, "revenue_per_hour")
    mean = sum(float(row["revenue_per_hour"]) for row in rows) / len(rows)
    takings = float(top["revenue_per_hour"])
    when = (
        f"{WEEKDAYS[int(top['weekday']) - 1]} {hour(int(top['hour']))}–{hour(int(top['hour']) + 1)}"
    )
    numbers = (
        f"{when} takes {pounds(takings)} an hour; the average over all hours is {pounds(mean)}."
    )
    if len({row["weekday"] for row in rows}) == 1:
        return Headline(
            f"Sales of one weekday only; its busiest hour is {hour(int(top['hour']))}", numbers
        )
    if takings < 1.2 * mean:
        return Headline("No hour of the week stands out", numbers)
    return Headline(
        f"{when} is the busiest hour: {pounds(takings)}, {takings / mean:.1f} times the average",
        numbers,
    )


def day_parts(parts: pd.DataFrame) -> Headline | None:
    """The part of the day that earns most."""
    rows = records(parts)
    if not rows:
        return None
    top = _best(rows, "share")
    return Headline(
        f"{top['day_part']} brings {percent(top['share'], digits=0)} of revenue",
        _shares(rows, "day_part", "share"),
    )


def top_products(top: pd.DataFrame) -> Headline | None:
    """What earns most and what sells most often."""
    rows = records(top)
    if not rows:
        return None
    earner = min(rows, key=lambda row: int(row["revenue_rank"]))
    seller = min(rows, key=lambda row: int(row["units_rank"]))
    share = percent(earner["revenue_share"], digits=0)
    if earner is seller:
        text = f"{earner['product']} both earns most and sells most often"
    else:
        text = f"{earner['product']} earns most; {seller['product']} sells most often"
    return Headline(
        text,
        f"{earner['product']} took {pounds(earner['revenue'])}, {share} of revenue; "
        f"{count(seller['units'])} units of {seller['product']} were sold.",
    )


def movers(moved_products: pd.DataFrame, scope: Scope) -> Headline | None:
    """What the changes of all products add up to; None where not one of them moved."""
    if not moved_products["change_pounds"].any():
        return None
    columns = ["change_pounds", "price_effect", "volume_effect", "mix_effect"]
    total, price, volume, mix = (
        float(moved_products[name].astype(float).sum()) / scope.weeks for name in columns
    )
    effects = {"volume": volume, "price": price, "mix": mix}
    main = max(effects, key=lambda name: abs(effects[name]))
    numbers = (
        f"Together {pounds(total, signed=True)} a week: volume {pounds(volume, signed=True)}, "
        f"price {pounds(price, signed=True)}, mix {pounds(mix, signed=True)}."
    )
    before = float(moved_products["revenue_before"].astype(float).sum()) / scope.weeks
    if abs(total) < LEVEL * before:
        return Headline(f"Products together earned what they did in {scope.before}", numbers)
    same = effects[main] * total > 0
    because = f", mostly by {main} ({pounds(effects[main], signed=True)})" if same else ""
    return Headline(
        f"Products together earned {pounds(abs(total))} a week {'more' if total > 0 else 'less'} "
        f"like for like{because}",
        numbers,
    )


def sizes(mix: pd.DataFrame) -> Headline | None:
    """The size sold most."""
    rows = records(mix)
    if not rows:
        return None
    top = _best(rows, "unit_share")
    text = f"{top['size']} is {percent(top['unit_share'], digits=0)} of what comes in sizes"
    return Headline(text, _shares(rows, "size", "unit_share"))


def flavours(mix: pd.DataFrame) -> Headline | None:
    """The flavour sold most; `mix` is one row per flavour with units and unit_share."""
    rows = records(mix)
    if not rows:
        return None
    top = _best(rows, "units")
    share = percent(top["unit_share"], digits=0)
    return Headline(
        f"{top['flavour']} is the flavour sold most: {share} of flavoured units",
        f"{count(top['units'])} units of {plural(sum(row['units'] for row in rows), 'unit')} "
        "with a flavour.",
    )


def baskets(sizes_of_orders: pd.DataFrame) -> Headline | None:
    """How many items most orders hold."""
    rows = records(sizes_of_orders)
    if not rows:
        return None
    small = sum(float(row["order_share"]) for row in rows if int(row["items"]) <= 2)
    return Headline(
        f"{percent(small, digits=0)} of orders hold one or two items",
        listed(
            [
                f"{percent(row['order_share'], digits=0)} hold {row['items']}"
                + (" or more" if int(row["items"]) == 7 else "")
                for row in rows
            ]
        ).capitalize()
        + ".",
    )


def often_together(pairs_found: pd.DataFrame) -> pd.DataFrame:
    """The pairs bought together clearly more often than by chance, most above it first."""
    expected = pairs_found["orders_together"] / pairs_found["lift"]
    deviations = (pairs_found["orders_together"] - expected) / expected**0.5
    return pairs_found[(pairs_found["lift"] >= PAIR_LIFT) & (deviations >= PAIR_DEVIATIONS)]


def pairs(pairs_found: pd.DataFrame) -> Headline | None:
    """The pair of products bought together most above chance, where there is one."""
    if pairs_found.empty:
        return None
    rows = records(often_together(pairs_found))
    if not rows:
        return Headline(
            "No pair is bought together much more often than by chance",
            f"{plural(len(pairs_found), 'frequent pair')} looked at.",
        )
    top = rows[0]
    a, b, lift = top["product_a"], top["product_b"], float(top["lift"])
    return Headline(
        f"{percent(top['attach_rate'], digits=0)} of orders with {a} also hold {b}, "
        f"{lift:.1f} times what chance would give",
        f"{count(top['orders_together'])} orders hold both {a} and {b}.",
    )


def tenders(mix: pd.DataFrame) -> Headline | None:
    """How most orders are paid for."""
    rows = records(mix)
    if not rows:
        return None
    top = _best(rows, "order_share")
    name = tender(str(top["payment"]))
    text = f"{name} pays for {percent(top['order_share'], digits=0)} of orders"
    named = [{**row, "payment": tender(str(row["payment"]))} for row in rows]
    return Headline(text, _shares(named, "payment", "order_share"))


def unlike_chain(rows: pd.DataFrame, scope: Scope) -> Headline | None:
    """The product it sells whose share of units differs most from the chain's."""
    sold = records(rows[rows["share"] > 0])
    if not sold:
        return None
    top = sold[0]
    share, chain = percent(top["share"]), percent(top["share_chain"])
    numbers = f"{top['product']} is {share} of units at {scope.branch}, {chain} in the chain."
    if abs(float(top["share"]) - float(top["share_chain"])) < 2 * LEVEL:
        return Headline(f"{scope.branch} sells much the same as the chain", numbers)
    way = "more" if top["share"] > top["share_chain"] else "less"
    return Headline(
        f"{top['product']} sells {way} here: {share} of units, {chain} in the chain", numbers
    )


def incomplete(weekly: pd.DataFrame) -> str | None:
    """A word on weeks that are not whole, where there are any."""
    if weekly["complete"].all():
        return None
    return "Outlined weeks are not complete from Monday to Sunday."


def missing(missing_days: pd.DataFrame) -> Headline:
    """How many branch-days are without sales that usually have some, and what they usually take."""
    if missing_days.empty:
        return Headline("No day is missing that usually has sales", "Nothing was found.")
    lost = float(missing_days["expected_revenue"].astype(float).sum())
    days = plural(len(missing_days), "branch-day")
    text = f"{days} without sales, usually worth {pounds(lost)}"
    return Headline(text, text + ".")


def quality(covered: pd.DataFrame) -> Headline:
    """How many raw rows were rejected, and what money is not counted because of it."""
    row = records(covered)[0]
    lost = pounds(row["revenue_not_counted"], pence=True)
    text = (
        f"{plural(row['rejected'], 'row')} could not be used: {lost} is not counted"
        if row["rejected"]
        else f"Every row of {plural(row['files'], 'file')} could be used"
    )
    return Headline(text, f"{count(row['orders'])} orders were counted.")


def file_problems(files: pd.DataFrame) -> Headline:
    """How many files had rejected rows or no rows at all."""
    bad, empty = int((files["rejected"] > 0).sum()), int((files["rows"] == 0).sum())
    numbers = f"{plural(len(files), 'file')} in all."
    if not bad and not empty:
        return Headline("No file has problems", numbers)
    said = [f"{plural(bad, 'file')} with rejected rows"] if bad else []
    said += [f"{plural(empty, 'file')} without any row"] if empty else []
    return Headline(f"{listed(said)}, of {count(len(files))}", numbers)


def mismatched_totals(rows: pd.DataFrame) -> Headline:
    """How many orders have a total that is not the sum of their lines."""
    if rows.empty:
        return Headline("Every order’s total is the sum of its lines", "No order differs.")
    apart = float(rows["difference"].astype(float).sum())
    orders = plural(rows["orders"].sum(), "order")
    worth = pounds(apart, pence=True, signed=True)
    text = f"{orders} with a total that is not the sum of the lines: {worth} in all"
    return Headline(text, text + ".")


def look_alikes(rows: pd.DataFrame) -> Headline:
    """How many products have names that look alike."""
    if rows.empty:
        return Headline("No two product names look alike", "Nothing was found.")
    top = records(rows)[0]
    text = f"{plural(len(rows), 'pair')} of products with names that look alike"
    return Headline(text, f"For one, {top['product_a']} and {top['product_b']}.")


def tender(payment: str) -> str:
    """A way of paying in words."""
    return {"CARD": "Card", "CASH": "Cash", "UNKNOWN": "Unknown"}.get(payment, payment)


def _shares(rows: list[dict[str, Any]], label: str, share: str) -> str:
    return listed([f"{row[label]} {percent(row[share] or 0)}" for row in rows]) + "."


def _ordinal(value: Any) -> str:
    rank = int(value)
    if 10 <= rank % 100 <= 20:
        return f"{rank}th"
    return f"{rank}" + {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
