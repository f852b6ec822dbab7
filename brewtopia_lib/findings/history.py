"""What the findings are found in: dense arrays of a chain's sales, read from the warehouse."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brewtopia_lib.findings.calendar_days import days_from, holidays
from brewtopia_lib.findings.significance import Bools, Floats
from brewtopia_lib.queries import Queryable, run_query

RECENT_DAYS = 56


@dataclass(frozen=True)
class History:
    """The sales of some weeks, as arrays; B branches, P products, T days.

    `units` are B × P × T, `orders_by_hour` B × T × 24, `takings` (what customers paid, pounds)
    B × T, `pence` (of all the window) B × P. Of the last eight weeks, `sizes` has a row per branch,
    product and size with units and pence; `pairs` a row per branch and two products with the
    orders that have either and both.
    """

    first_day: date
    branches: tuple[str, ...]
    products: tuple[str, ...]
    units: NDArray[np.float32]
    orders_by_hour: NDArray[np.float32]
    takings: Floats
    pence: Floats
    sizes: pd.DataFrame
    pairs: pd.DataFrame

    @cached_property
    def dates(self) -> list[date]:
        """The days, in order."""
        return days_from(self.first_day, self.units.shape[-1])

    @cached_property
    def weekday(self) -> NDArray[np.int64]:
        """Of each day, from 0 for Monday."""
        return (self.first_day.weekday() + np.arange(len(self.dates))) % 7

    @cached_property
    def orders(self) -> Floats:
        """Orders of each branch-day, B × T."""
        orders: Floats = self.orders_by_hour.sum(axis=-1, dtype=np.float64)
        return orders

    @cached_property
    def traded(self) -> Bools:
        """Whether the branch had orders on the day, B × T."""
        return self.orders > 0

    @cached_property
    def holiday(self) -> Bools:
        """Whether the calendar sets the day apart."""
        return holidays(self.dates)

    @cached_property
    def observed(self) -> Bools:
        """Whether the branch-day is one to learn from, B × T."""
        return self.traded & ~self.holiday

    @cached_property
    def price(self) -> Floats:
        """What a unit brings at the branch, pounds, B × P: of late, or else in the window."""
        units = self.units.sum(axis=-1, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            late = self.recent("pence") / self.recent("units") / 100
            all_along = self.pence / units / 100
        return np.where(np.isfinite(late), late, all_along)

    def recent(self, column: str) -> Floats:
        """The `units` or `pence` of the last eight weeks, B × P."""
        sums = np.zeros(self.pence.shape)
        places = tuple(
            pd.Index(known).get_indexer(pd.Index(self.sizes[kind]))
            for kind, known in (("branch", self.branches), ("product", self.products))
        )
        np.add.at(sums, places, self.sizes[column].to_numpy(dtype=float))
        return sums


def read_history(warehouse: Queryable, *, until: date, weeks: int) -> History:
    """The `weeks` weeks that end on `until`, or as many of them as there are."""
    first_day = until - timedelta(7 * weeks - 1)
    window = {"first_day": first_day, "until": until}
    recent = {"first_day": max(first_day, until - timedelta(RECENT_DAYS - 1)), "until": until}
    sold = run_query(warehouse, "product_weeks", **window)
    (branch, branches), (product, products) = (
        pd.factorize(sold[kind], sort=True) for kind in ("branch", "product")
    )
    units = np.zeros((len(branches), len(products), weeks, 7), dtype=np.float32)
    days = sold[[f"units_{day}" for day in range(7)]].to_numpy()
    units[branch, product, sold["first_day_no"].to_numpy() // 7] = days
    pence = np.zeros((len(branches), len(products)))
    np.add.at(pence, (branch, product), sold["pence"].to_numpy(dtype=float))

    hours = run_query(warehouse, "hourly_orders", **window)
    named, names = pd.factorize(hours["branch"])
    hours = hours.assign(branch_no=branches.get_indexer(names)[named])
    hours = hours[hours["branch_no"] >= 0]
    branch_day = (hours["branch_no"].to_numpy(), hours["day_no"].to_numpy())
    orders = np.zeros((len(branches), 7 * weeks, 24), dtype=np.float32)
    orders[*branch_day, hours["hour"].to_numpy()] = hours["orders"].to_numpy()
    takings = np.zeros((len(branches), 7 * weeks))
    np.add.at(takings, branch_day, hours["pence"].to_numpy() / 100)

    # A load in between might bring names that were not there.
    sizes = run_query(warehouse, "product_sizes", **recent)
    pairs = run_query(warehouse, "branch_pairs", **recent)
    sizes = sizes[sizes["branch"].isin(branches) & sizes["product"].isin(products)]
    pairs = pairs[pairs["branch"].isin(branches) & pairs["product_a"].isin(products)]
    start = int(branch_day[1].min()) if hours.size else 0
    return History(
        first_day=first_day + timedelta(start),
        branches=tuple(branches),
        products=tuple(products),
        units=units.reshape(*units.shape[:2], -1)[..., start:],
        orders_by_hour=orders[:, start:],
        takings=takings[:, start:],
        pence=pence,
        sizes=sizes,
        pairs=pairs,
    )
