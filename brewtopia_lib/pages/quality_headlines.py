"""What the frames on the quality of the data, and on what is missing, say in one sentence; pure."""

import pandas as pd

from brewtopia_lib.formats import (
    count,
    listed,
    plural,
    pounds,
    records,
)
from brewtopia_lib.pages.headline import Headline
from brewtopia_lib.pages.scopes import Scope

_DAYS_FOR_MISSING = 8
"""Days with sales of which one weekday at least has come round again."""
_DAYS_FOR_SILENT = 10
"""Seven days on which a product is sold, and three on which it is not."""


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


def branch_days(known: pd.DataFrame) -> Headline | None:
    """Whether all branches have sales of the same days; `known` is the analysis `branches`."""
    if known.empty:
        return None
    days = [int(value) for value in known["days"]]
    branches, numbers = (
        plural(len(days), "branch", "branches"),
        f"From {min(days)} to {max(days)} days.",
    )
    if len(days) == 1 or min(days) == max(days):
        return Headline(f"{branches} with sales on {plural(max(days), 'day')}", numbers)
    few = sum(2 * one < max(days) for one in days)
    if few:
        text = f"{few} of {branches} {'has' if few == 1 else 'have'} fewer than half of the days of others"
        return Headline(text, numbers)
    return Headline(f"{branches} with sales on {min(days)} to {max(days)} days", numbers)


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


def missing(missing_days: pd.DataFrame, scope: Scope, days: int) -> Headline:
    """How many branch-days are without sales that usually have some, and what they usually take.

    `days` is how many with sales there are to tell it from.
    """
    if missing_days.empty:
        if days < _DAYS_FOR_MISSING:
            return _too_few(days, "a day is missing")
        return Headline("No day is missing that usually has sales", "Nothing was found.")
    lost = float(missing_days["expected_revenue"].astype(float).sum())
    without = plural(len(missing_days), "day" if scope.branch else "branch-day")
    text = f"{without} without sales, usually worth {pounds(lost)}"
    return Headline(text, text + ".")


def silent(silent_products: pd.DataFrame, scope: Scope, days: int) -> Headline:
    """How many products went silent at a branch, and what they brought; `days` as in `missing`."""
    if silent_products.empty:
        if days < _DAYS_FOR_SILENT:
            return _too_few(days, "a product has gone silent")
        return Headline("No product has gone silent", "Nothing was found.")
    lost = float(silent_products["weekly_revenue"].astype(float).sum())
    have = "has" if len(silent_products) == 1 else "have"
    text = (
        f"{plural(len(silent_products), 'product')} {have} gone silent "
        f"{'here' if scope.branch else 'at a branch'}, which used to bring {pounds(lost)} a week"
    )
    return Headline(text, text + ".")


def days_with_sales(daily: pd.DataFrame) -> int:
    """How many days of the period, and of the eight weeks before it, have sales."""
    return int(daily["revenue"].notna().sum())


def _too_few(days: int, what: str) -> Headline:
    text = f"Too few days of sales to tell whether {what}"
    return Headline(text, f"There {'is' if days == 1 else 'are'} {plural(days, 'day')} of them.")
