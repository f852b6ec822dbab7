"""What the next days will bring: revenue and orders of each branch and of the chain.

    import brewtopia_lib as bt

    with bt.open_warehouse() as warehouse:
        bt.forecast.forecast(warehouse, until=date(2024, 6, 30)).days

Branches and chain add up. How good it is, is measured on past days that the model was not shown;
where it does not beat last week's same weekday, that is what is forecast, and the notes say so.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from brewtopia_lib import analyses
from brewtopia_lib.errors import ParameterError
from brewtopia_lib.findings.calendar_days import days_from, holidays
from brewtopia_lib.findings.significance import Bools, Floats
from brewtopia_lib.forecast.backtests import LEAST_DAYS, LEVELS, Tested, foresee
from brewtopia_lib.formats import full_day, listed, plural, some
from brewtopia_lib.queries import Queryable, run_query
from brewtopia_lib.shared import once

HISTORY_WEEKS = 39
LONGEST_DAYS = 56
"""How far ahead a forecast may go."""
MEASURES = ("revenue", "orders")

_DIGITS = {"revenue": 2, "orders": 1}
_NO_SALES = "There are no sales to forecast from."


@dataclass(frozen=True)
class Sales:
    """Revenue (pounds) and orders of each branch-day, both B × T, from `first_day` on."""

    first_day: date
    branches: tuple[str, ...]
    revenue: Floats
    orders: Floats

    @cached_property
    def dates(self) -> list[date]:
        """The days, in order."""
        return days_from(self.first_day, self.orders.shape[1])

    @cached_property
    def learnt_from(self) -> Bools:
        """Whether the branch-day had sales and the calendar does not set it apart."""
        return (self.orders > 0) & (self.revenue > 0) & ~holidays(self.dates)


@dataclass(frozen=True)
class Forecast:
    """The days to come, how good such forecasts were, and what there is to know of them.

    `days` has a row a branch (None is the whole chain) and day: branch, sold_on, and for revenue
    (pounds) and orders the expected value and the ends of the intervals: `revenue`,
    `revenue_low_80`, `revenue_high_80`, `revenue_low_95`, … `backtest` has a row a branch and
    measure: branch, measure, method (`model` or `seasonal_naive`), origins (past days it was
    tried from), mase, mase_naive, typical_error (median, a fraction), covered_80 and covered_95
    (shares of past days within the intervals); and of all days together in_all, in_all_low_80
    and in_all_high_80. Both are empty where the history is too short. `unknown` says of each branch
    without a forecast why there is none.
    """

    days: pd.DataFrame
    backtest: pd.DataFrame
    notes: list[str]
    unknown: dict[str, str] = field(default_factory=dict)

    def of(self, branch: str | None) -> "Forecast":
        """The same for one branch, or None for the chain alone."""
        own = (
            frame["branch"].isna() if branch is None else frame["branch"] == branch
            for frame in (self.days, self.backtest)
        )
        days, judged = (
            frame[one].reset_index(drop=True)
            for frame, one in zip((self.days, self.backtest), own, strict=True)
        )
        if branch is None or len(days):
            return Forecast(days, judged, self.notes)
        return Forecast(days, judged, [self.unknown.get(branch, _NO_SALES)])

    def to_json(self) -> dict[str, object]:
        """Ready for JSON: money to the penny, days as text."""
        days = self.days.assign(sold_on=self.days["sold_on"].astype(str))
        return {
            "days": _plain_rows(days),
            "backtest": _plain_rows(self.backtest),
            "notes": self.notes,
        }


def _plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows = frame.astype(object).where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def forecast(
    warehouse: Queryable, *, until: date, days: int = 14, branch: str | None = None
) -> Forecast:
    """The `days` days after `until`, for the chain and every branch, or for one branch alone.

    Raises ParameterError for a number of days that cannot be, or a branch that is not known.
    """
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= LONGEST_DAYS:
        raise ParameterError(
            f"days is {days!r}: it must be a whole number from 1 to {LONGEST_DAYS}"
        )
    made = once(
        warehouse,
        ("forecast", until, days),
        lambda: foretell(read_sales(warehouse, until=until), days),
    )
    if branch is None:
        return made
    if branch not in set(analyses.branches(warehouse)["branch"]):
        raise ParameterError(f"there is no branch {branch!r}")
    return made.of(branch)


def read_sales(warehouse: Queryable, *, until: date) -> Sales:
    """The branch-days that a forecast learns from: 39 weeks, or as many as there are."""
    first_day = until - timedelta(7 * HISTORY_WEEKS - 1)
    rows = run_query(warehouse, "branch_days", first_day=first_day, until=until)
    branches = tuple(sorted({str(name) for name in rows["branch"]}))
    place = rows["branch"].map({name: number for number, name in enumerate(branches)}).to_numpy()
    start = int(rows["day_no"].min()) if len(rows) else 0
    sums = np.zeros((2, len(branches), 7 * HISTORY_WEEKS - start))
    for values, column in zip(sums, ("pence", "orders"), strict=True):
        values[place, rows["day_no"].to_numpy() - start] = rows[column].to_numpy()
    pence, orders = sums
    return Sales(first_day + timedelta(start), branches, pence / 100, orders)


def foretell(sales: Sales, days: int = 14) -> Forecast:
    """The forecast from sales that were read before."""
    tested = {
        measure: foresee(getattr(sales, measure), sales.learnt_from, days) for measure in MEASURES
    }
    revenue, orders = tested["revenue"], tested["orders"]
    if revenue is None or orders is None:
        columns = ["branch", "sold_on", *(name for m in MEASURES for name in _names(m))]
        return Forecast(
            pd.DataFrame(columns=columns),
            pd.DataFrame(columns=["branch"]),
            [_too_short(int((sales.orders > 0).any(axis=0).sum()), days)],
            {
                name: _too_short(int(there), days)
                for name, there in zip(sales.branches, (sales.orders > 0).sum(axis=1), strict=True)
            },
        )
    rows = [0, *(1 + row for row in revenue.branches)]
    names = [sales.branches[row - 1] if row else None for row in rows]
    ahead = [sales.dates[-1] + timedelta(day) for day in range(1, days + 1)]
    frame = pd.DataFrame(
        {
            "branch": pd.Series([name for name in names for _ in ahead], dtype=object),
            "sold_on": ahead * len(rows),
        }
    )
    known = {"revenue": revenue, "orders": orders}
    for measure, one in known.items():
        frame = frame.assign(**_columns(measure, one, rows))
    judged = [
        {"branch": name, "measure": measure, **_judged(one, row)}
        for name, row in zip(names, rows, strict=True)
        for measure, one in known.items()
    ]
    left_out = [name for name in sales.branches if name not in names]
    return Forecast(
        frame,
        pd.DataFrame(judged),
        _notes(sales, revenue, ahead, left_out),
        {name: _not_forecast([name]) for name in left_out},
    )


def _names(measure: str) -> list[str]:
    ends = [f"{measure}_{end}_{level}" for level in LEVELS for end in ("low", "high")]
    return [measure, *ends]


def _columns(measure: str, tested: Tested, rows: list[int]) -> dict[str, Floats]:
    """The columns of a measure, row after row; the chain is the sum of the rounded branches."""
    digits = _DIGITS[measure]
    expected = tested.expected[rows].round(digits)
    expected[0] = expected[1:].sum(axis=0)
    ends = [end[rows] for level in LEVELS for end in tested.intervals[level]]
    values = [expected, *(np.nan_to_num(end).round(digits) for end in ends)]
    return {
        name: value.ravel().round(digits)
        for name, value in zip(_names(measure), values, strict=True)
    }


def _judged(tested: Tested, row: int) -> dict[str, object]:
    """How good forecasts of one row were, and what its days bring together."""
    low, high = tested.in_all[row]
    return {
        "method": "model" if tested.from_model[row] else "seasonal_naive",
        "origins": tested.origins,
        "mase": round(float(tested.mase[row]), 3),
        "mase_naive": round(float(tested.mase_naive[row]), 3),
        "typical_error": round(float(tested.typical_error[row]), 4),
        **{f"covered_{level}": round(float(tested.covered[level][row]), 3) for level in LEVELS},
        "in_all": round(float(np.nansum(tested.expected[row])), 2),
        "in_all_low_80": round(float(low), 2),
        "in_all_high_80": round(float(high), 2),
    }


def _too_short(there: int, days: int) -> str:
    least = LEAST_DAYS + days
    if not there:
        return _NO_SALES
    return (
        f"Sales of {plural(there, 'day')} are too few for a forecast: it learns from at "
        f"least {plural(LEAST_DAYS, 'trading day')} and is tried on the {plural(days, 'day')} after "
        f"them, so it needs {plural(least, 'day')}."
    )


def _not_forecast(names: list[str]) -> str:
    return (
        f"{some(names)} {'is' if len(names) == 1 else 'are'} not forecast and not in the chain’s "
        "sum: without recent sales, or with fewer than 14 days of them."
    )


def _notes(sales: Sales, revenue: Tested, ahead: list[date], left_out: list[str]) -> list[str]:
    """What is forecast otherwise than by the model, and what is not forecast at all."""
    said = []
    plain = [sales.branches[row] for row in revenue.branches if not revenue.from_model[1 + row]]
    if not revenue.from_model[0]:
        plain.insert(0, "the chain")
    if plain:
        said.append(
            f"Revenue of {some(plain)}: the model was no better there than last week’s same day, so "
            "that is what is forecast."
        )
    if left_out:
        said.append(_not_forecast(left_out))
    off = [day for day, is_off in zip(ahead, holidays(ahead), strict=True) if is_off]
    if off:
        said.append(
            f"{listed([full_day(day) for day in off])} {'is' if len(off) == 1 else 'are'} set apart "
            "by the calendar: trade is likely to differ from this forecast, which is that of a "
            "usual day."
        )
    return said
