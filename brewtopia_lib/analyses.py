"""What sold, where, when and against what: one frame for each question.

Each analysis runs the SQL file of its name. The period is the `7 * weeks` days that end on
`until`; the period before is as long and ends the day before it starts; last year is 364 days
earlier, so that weekdays match. `branch=None` is the whole chain.

    bt.analyses.daily(bt.open_warehouse(), until=date(2024, 6, 30), weeks=4)

In every frame days are datetime64, counts int64, money float64 in pounds rounded to the penny
(added up exactly in SQL), and shares, changes and averages float64 rounded to six decimals. A
change is a fraction: 0.04 is 4 % more. What is not known is missing (NaN), never zero: a count
that may be unknown is float64.

Levels speak of all branches. Changes are like for like: they add up only branch-days that traded
on both sides, at branches whose data reach back to the start of the earlier period. docs/metrics.md
has each formula.
"""

from datetime import date, datetime
from typing import Any

import pandas as pd

from brewtopia_lib.errors import ParameterError
from brewtopia_lib.queries import Queryable, run_query
from brewtopia_lib.shared import is_shared, once

_COLUMNS = {
    "str": "branch product product_a product_b size flavour payment day_part reason source feed",
    "datetime64[us]": "first_day last_day sold_on week_start last_sold_on cleaned_at loaded_at",
    "bool": "complete comparable",
    "int64": "orders items units units_before lines rows files rejected days days_traded"
    " days_traded_before days_traded_last_year days_silent branches branches_before"
    " branches_last_year comparable_branches comparable_days weekday hour revenue_rank units_rank"
    " orders_together orders_a orders_b",
}
_PENCE = (
    "revenue revenue_before revenue_last_year revenue_same_weekday_last_week revenue_comparable"
    " revenue_comparable_before revenue_not_counted revenue_a revenue_b change_pounds price_effect"
    " volume_effect mix_effect difference"
)
_TYPE: dict[str, Any] = {
    column: dtype for dtype, columns in _COLUMNS.items() for column in columns.split()
}
_DECIMALS = dict.fromkeys(_PENCE.split(), 2)


def _typed(column: pd.Series) -> pd.Series:
    """The column in the one type its name stands for, whatever the engine gave."""
    dtype = _TYPE.get(str(column.name))
    if dtype:
        return column.astype(dtype)
    rounded = column.astype("float64").round(_DECIMALS.get(str(column.name), 6))
    return rounded + 0.0  # makes -0.0 plain zero


def _run(warehouse: Queryable, name: str, **values: object) -> pd.DataFrame:
    """The answer of a SQL file; what is of the whole chain, the pages of a batch share."""

    def run() -> pd.DataFrame:
        frame = run_query(warehouse, name, **values)
        return pd.DataFrame({column: _typed(frame[column]) for column in frame.columns})

    if values.get("branch") is not None:
        return run()
    return once(warehouse, ("analysis", name, *values.items()), run)


def _period(until: date, weeks: int, branch: str | None) -> dict[str, object]:
    if not isinstance(until, date):
        raise ParameterError(f"until is {until!r}: it must be a date, such as date(2024, 6, 30)")
    if isinstance(weeks, bool) or not isinstance(weeks, int) or weeks < 1:
        raise ParameterError(f"weeks is {weeks!r}: it must be a whole number from 1")
    day = until.date() if isinstance(until, datetime) else until
    return {"until": day, "weeks": weeks, "branch": branch}


def _limit(limit: int) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ParameterError(f"limit is {limit!r}: it must be a whole number from 1")
    return limit


def coverage(warehouse: Queryable) -> pd.DataFrame:
    """What the warehouse holds, in one row.

        bt.analyses.coverage(warehouse)

    Columns: first_day, last_day (NaT when empty), branches, orders, lines, revenue, files
    (current ones), loaded_at (of the newest), rejected (rows), revenue_not_counted (£ of rejected
    rows whose total could be read; repeated rows are counted already and add nothing).
    """
    return _run(warehouse, "coverage")


def branches(warehouse: Queryable) -> pd.DataFrame:
    """Every branch and how far its data reach, by name.

        bt.analyses.branches(warehouse)

    Columns: branch, first_day, last_day, days (with orders), orders, revenue.
    """
    return _run(warehouse, "branches")


def headline(
    warehouse: Queryable, *, until: date, weeks: int = 4, branch: str | None = None
) -> pd.DataFrame:
    """The period in one row, beside the period before and last year.

        bt.analyses.headline(warehouse, until=date(2024, 6, 30), weeks=4, branch="Leeds")

    Columns: revenue, orders, average_basket (£ an order), items, items_per_order, days_traded
    (branch-days with orders), branches (with orders); the same with `_before` and `_last_year`,
    of which all but days_traded and branches are NaN where that window starts before the first
    day with data. These are levels: where branches or days differ, use the like-for-like ones.

    Like for like with the period before: comparable_branches, comparable_days (branch-days),
    revenue_comparable, revenue_comparable_before, change_comparable (of revenue); the same for
    orders and items (orders_comparable, orders_comparable_before, change_orders_comparable, …);
    change_average_basket_comparable; and with last year change_comparable_last_year (revenue).
    NaN where there is nothing to compare.
    """
    return _run(warehouse, "headline", **_period(until, weeks, branch))


def daily(
    warehouse: Queryable, *, until: date, weeks: int = 4, branch: str | None = None
) -> pd.DataFrame:
    """Each day of the period and of the eight weeks before it, from the first day with data.

        bt.analyses.daily(warehouse, until=date(2024, 6, 30), weeks=4, branch="Leeds")

    Columns: sold_on, weekday (1 is Monday), revenue (NaN on a day without data), orders, items,
    average_basket, revenue_same_weekday_last_week, revenue_four_week_average (the same weekday
    in the four weeks before, at least two of them), revenue_last_year (364 days earlier), and
    change_same_weekday_last_week, change_four_week_average, change_last_year.
    """
    return _run(warehouse, "daily", **_period(until, weeks, branch))


def weekly(
    warehouse: Queryable, *, until: date, weeks: int = 4, branch: str | None = None
) -> pd.DataFrame:
    """Each of the last 26 weeks, Monday to Sunday (or of `2 * weeks`, if that is more).

        bt.analyses.weekly(warehouse, until=date(2024, 6, 30), weeks=4, branch="Leeds")

    Columns: week_start, days (branch-days with orders), complete (all seven days lie between the
    first day with data and `until`), revenue, orders, items, average_basket, change_week_before,
    four_week_average (£ that the same days of the four weeks before took on average),
    change_four_week_average, change_last_year. A week cut short is compared with the same days
    of the other weeks.
    """
    return _run(warehouse, "weekly", **_period(until, weeks, branch))


def top_products(
    warehouse: Queryable, *, until: date, weeks: int = 4, branch: str | None = None, limit: int = 10
) -> pd.DataFrame:
    """The `limit` products of most revenue and the `limit` of most units: up to twice `limit` rows.

        bt.analyses.top_products(warehouse, until=date(2024, 6, 30), weeks=4, branch="Leeds")

    Columns: product (with ` - flavour` where it has one, sizes together), revenue, units,
    revenue_share, unit_share (of all products), revenue_rank, units_rank, revenue_before,
    change (of revenue, like for like).
    """
    period = _period(until, weeks, branch)
    return _run(warehouse, "top_products", **period, limit=_limit(limit))


def product_weekly(
    warehouse: Queryable,
    *,
    until: date,
    weeks: int = 4,
    branch: str | None = None,
    product: str | None = None,
) -> pd.DataFrame:
    """What a product (with ` - flavour`; None is all of them) sold in each of the last 26 weeks.

        bt.analyses.product_weekly(warehouse, until=date(2024, 6, 30), product="Latte")

    Columns: week_start, days (branch-days on which anything was sold), complete (as in `weekly`),
    units, revenue, average_price (£ a unit). A week in which nothing at all was sold has no row.
    """
    return _run(warehouse, "product_weekly", **_period(until, weeks, branch), product=product)


def movers(
    warehouse: Queryable, *, until: date, weeks: int = 4, branch: str | None = None
) -> pd.DataFrame:
    """How far each product's revenue moved, and how much of that is price, volume and mix.

        bt.analyses.movers(warehouse, until=date(2024, 6, 30), weeks=4, branch="Leeds")

    All like for like: revenue here is that of comparable branch-days, and without any the frame
    is empty. The largest move in pounds comes first.

    Columns: product (with ` - flavour`), revenue, revenue_before, change_pounds, change,
    price_effect, volume_effect, mix_effect (they add up to change_pounds to the penny), units,
    units_before. Volume is the change in units at the average price before; price is the change
    in price of each size at each branch, at the units of now; mix is the rest.
    """
    return _run(warehouse, "movers", **_period(until, weeks, branch))


def weekday_hours(
    warehouse: Queryable, *, until: date, weeks: int = 4, branch: str | None = None
) -> pd.DataFrame:
    """What all branches take together in each hour of the week, on average over the period.

        bt.analyses.weekday_hours(warehouse, until=date(2024, 6, 30), weeks=4, branch="Leeds")

    Columns: weekday (1 is Monday), hour (10 is from 10:00 to 10:59), revenue_per_hour and
    orders_per_hour (sums of each branch's own average), branches (that sold something in it), days
    (theirs with orders on that weekday: what the averages are over). A branch with fewer than half
    of the days of another is left out.
    """
    return _run(warehouse, "weekday_hours", **_period(until, weeks, branch))


def day_parts(
    warehouse: Queryable, *, until: date, weeks: int = 4, branch: str | None = None
) -> pd.DataFrame:
    """Morning (before 11:00), Midday (to 14:00), Afternoon (to 17:00) and Evening, in this order.

        bt.analyses.day_parts(warehouse, until=date(2024, 6, 30), weeks=4, branch="Leeds")

    Columns: day_part, revenue, orders, share (of revenue), revenue_before, share_before, change
    (of revenue, like for like). A part without an order in either period has no row.
    """
    return _run(warehouse, "day_parts", **_period(until, weeks, branch))


def product_mix(
    warehouse: Queryable, *, until: date, weeks: int = 4, branch: str | None = None
) -> pd.DataFrame:
    """Every product, size and flavour sold in the period, by revenue.

        bt.analyses.product_mix(warehouse, until=date(2024, 6, 30), weeks=4, branch="Leeds")

    Columns: product (plain), size, flavour (NaN where it has none), units, revenue, unit_share,
    revenue_share, average_price (£ a unit).
    """
    return _run(warehouse, "product_mix", **_period(until, weeks, branch))


def size_mix(
    warehouse: Queryable, *, until: date, weeks: int = 4, branch: str | None = None
) -> pd.DataFrame:
    """Which sizes sell, among products that come in more than one.

        bt.analyses.size_mix(warehouse, until=date(2024, 6, 30), weeks=4, branch="Leeds")

    Columns: size, units, revenue, unit_share, unit_share_before.
    """
    return _run(warehouse, "size_mix", **_period(until, weeks, branch))


def branch_league(
    warehouse: Queryable, *, until: date, weeks: int = 4, branch: str | None = None
) -> pd.DataFrame:
    """Branches by revenue and by change; with `branch`, that one's row with its rank in the chain.

        bt.analyses.branch_league(warehouse, until=date(2024, 6, 30), weeks=4)

    Columns: branch, revenue, orders, average_basket, revenue_before, change (like for like),
    revenue_rank, change_rank (NaN without a change), days_traded, days_traded_before, comparable
    (its data reach back and it traded on as many days in both periods).
    """
    period = _period(until, weeks, branch)
    if branch is None or not is_shared():
        return _run(warehouse, "branch_league", **period)
    league = _run(warehouse, "branch_league", **period | {"branch": None})
    return league[league["branch"] == branch].reset_index(drop=True)


def tender_mix(
    warehouse: Queryable, *, until: date, weeks: int = 4, branch: str | None = None
) -> pd.DataFrame:
    """How customers pay.

        bt.analyses.tender_mix(warehouse, until=date(2024, 6, 30), weeks=4, branch="Leeds")

    Columns: payment (CARD, CASH, UNKNOWN or what a feed declares), orders, revenue, order_share,
    revenue_share, revenue_before, order_share_before.
    """
    return _run(warehouse, "tender_mix", **_period(until, weeks, branch))


def basket_sizes(
    warehouse: Queryable, *, until: date, weeks: int = 4, branch: str | None = None
) -> pd.DataFrame:
    """How many items an order has.

        bt.analyses.basket_sizes(warehouse, until=date(2024, 6, 30), weeks=4, branch="Leeds")

    Columns: items (7 is seven or more), orders, order_share, revenue.
    """
    return _run(warehouse, "basket_sizes", **_period(until, weeks, branch))


def pairs(
    warehouse: Queryable, *, until: date, weeks: int = 4, branch: str | None = None, limit: int = 10
) -> pd.DataFrame:
    """The `limit` pairs bought together most beyond chance, among the 40 products in most orders.

        bt.analyses.pairs(warehouse, until=date(2024, 6, 30), weeks=4, branch="Leeds")

    Columns: product_a, product_b (with ` - flavour`; a is in fewer orders), orders_together (at
    least 30), orders_a, orders_b, attach_rate (share of a's orders with b), lift (how many times
    as often as by chance within each branch; with few orders together 1.2 is still chance).
    """
    return _run(warehouse, "pairs", **_period(until, weeks, branch), limit=_limit(limit))


def missing_days(
    warehouse: Queryable, *, until: date, weeks: int = 4, branch: str | None = None
) -> pd.DataFrame:
    """Branch-days of the period without an order on a weekday the branch normally trades.

        bt.analyses.missing_days(warehouse, until=date(2024, 6, 30), weeks=4, branch="Leeds")

    Columns: branch, sold_on, weekday (1 is Monday), expected_revenue (mean of the branch's same
    weekdays that traded, among the eight before).
    """
    return _run(warehouse, "missing_days", **_period(until, weeks, branch))


def silent_products(
    warehouse: Queryable, *, until: date, weeks: int = 4, branch: str | None = None
) -> pd.DataFrame:
    """Products that a branch sold nearly every day and then, during the period, not at all.

        bt.analyses.silent_products(warehouse, until=date(2024, 6, 30), weeks=4, branch="Leeds")

    Columns: branch, product (with ` - flavour`), last_sold_on, days_silent (trading days since),
    expected_units (over those days), weekly_revenue (£ a week it took before).
    """
    return _run(warehouse, "silent_products", **_period(until, weeks, branch))


def quality_summary(warehouse: Queryable) -> pd.DataFrame:
    """Rejected rows by reason, most rows first.

        bt.analyses.quality_summary(warehouse)

    Columns: reason, rows, files, revenue_not_counted (£; nothing for repeated rows).
    """
    return _run(warehouse, "quality_summary")


def quality_files(warehouse: Queryable) -> pd.DataFrame:
    """The current version of every file; first those with rejected rows or without rows.

        bt.analyses.quality_files(warehouse)

    Columns: source, feed, rows, orders, lines, rejected, revenue, revenue_not_counted,
    cleaned_at.
    """
    return _run(warehouse, "quality_files")


def mismatched_totals(warehouse: Queryable) -> pd.DataFrame:
    """Orders whose total at the till is not the sum of their lines, by branch.

        bt.analyses.mismatched_totals(warehouse)

    Columns: branch, orders, difference (£, till total minus lines).
    """
    return _run(warehouse, "mismatched_totals")


def look_alikes(warehouse: Queryable) -> pd.DataFrame:
    """Pairs of product names equal but for case, spaces and punctuation.

        bt.analyses.look_alikes(warehouse)

    Columns: product_a (earns more), product_b, revenue_a, revenue_b, average_price_a,
    average_price_b.
    """
    return _run(warehouse, "look_alikes")
