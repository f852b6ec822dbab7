"""What the findings are found in: dense arrays of a chain's sales, read from the warehouse."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brewtopia_lib.errors import WarehouseError
from brewtopia_lib.findings.calendar_days import days_from, holidays
from brewtopia_lib.findings.significance import Bools, Floats
from brewtopia_lib.queries import Queryable, run_query

RECENT_DAYS = 56
_READS = 3


@dataclass(frozen=True)
class History:
    """The sales of some weeks, as arrays; B branches, P products, T days.

    `units` are B × P × T, `orders_by_hour` B × T × 24, `takings` (what customers paid, pounds)
    B × T. `sizes` has a row per branch, product and size with units and pence of the window and
    of its last eight weeks (`recent_…`); `pairs` a row per branch and two products with the
    orders of those weeks that have either and both.
    """

    first_day: date
    branches: tuple[str, ...]
    products: tuple[str, ...]
    units: NDArray[np.float32]
    orders_by_hour: NDArray[np.float32]
    takings: Floats
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
        with np.errstate(divide="ignore", invalid="ignore"):
            late = self.recent("pence") / self.recent("units") / 100
            all_along = self._by_product("pence") / self._by_product("units") / 100
        return np.where(np.isfinite(late), late, all_along)

    def recent(self, column: str) -> Floats:
        """The `units` or `pence` of the last eight weeks, B × P."""
        return self._by_product(f"recent_{column}")

    def _by_product(self, column: str) -> Floats:
        sums = np.zeros((len(self.branches), len(self.products)))
        places = (self.sizes["branch_no"].to_numpy(), self.sizes["product_no"].to_numpy())
        np.add.at(sums, places, self.sizes[column].to_numpy(dtype=float))
        return sums


def read_history(warehouse: Queryable, *, until: date, weeks: int) -> History:
    """The `weeks` weeks that end on `until`, or as many of them as there are."""
    first_day = until - timedelta(7 * weeks - 1)
    recent_day = max(first_day, until - timedelta(RECENT_DAYS - 1))
    window = {"first_day": first_day, "until": until}
    for _ in range(_READS):
        sizes = run_query(warehouse, "product_sizes", **window, recent_day=recent_day)
        sold = run_query(warehouse, "product_days", **window)
        branches = _names(sizes, "branch")
        products = _names(sizes, "product")
        units = _dense(sold, len(branches), len(products), 7 * weeks)
        # A load in between might have numbered the names anew.
        if units is not None and units.sum(dtype=np.float64) == sizes["units"].sum():
            break
    else:
        raise WarehouseError("the warehouse keeps changing while it is read: try again later")
    hours = run_query(warehouse, "hourly_orders", **window)
    pairs = run_query(warehouse, "branch_pairs", first_day=recent_day, until=until)
    known = hours["branch"].isin(branches)
    hours = hours[known]
    place = hours["branch"].map({name: number for number, name in enumerate(branches)}).to_numpy()
    day = hours["day_no"].to_numpy()
    orders = np.zeros((len(branches), 7 * weeks, 24), dtype=np.float32)
    orders[place, day, hours["hour"].to_numpy()] = hours["orders"].to_numpy()
    takings = np.zeros((len(branches), 7 * weeks))
    np.add.at(takings, (place, day), hours["pence"].to_numpy() / 100)
    start = 0
    if hours.size:
        start = int(day.min())
    return History(
        first_day=first_day + timedelta(start),
        branches=branches,
        products=products,
        units=units[..., start:],
        orders_by_hour=orders[:, start:],
        takings=takings[:, start:],
        sizes=sizes,
        pairs=pairs,
    )


def _names(sizes: pd.DataFrame, kind: str) -> tuple[str, ...]:
    named = sizes[[f"{kind}_no", kind]].drop_duplicates().sort_values(f"{kind}_no")
    return tuple(str(name) for name in named[kind])


def _dense(
    sold: pd.DataFrame, branches: int, products: int, days: int
) -> NDArray[np.float32] | None:
    units = np.zeros((branches, products, days), dtype=np.float32)
    places = tuple(sold[f"{axis}_no"].to_numpy() for axis in ("branch", "product", "day"))
    shape = units.shape
    if any(len(place) and place.max() >= size for place, size in zip(places, shape, strict=True)):
        return None
    units[places] = sold["units"].to_numpy()
    return units
