"""What is planted in sample data: trends, shifts, gaps and shocks, each with its true size."""

from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta

import numpy as np
from numpy.random import Generator

from brewtopia_lib.sample.chain import PAIRS, Branch, open_branches

TREND_DAYS = 182
MORNING_ENDS = 11
# Shorter samples have no changes in time: a change needs two weeks before it to be seen.
LEAST_DAYS = 42


@dataclass(frozen=True)
class Plant:
    """One planted fact; days are inclusive, `change` and `change_per_week` are fractions."""

    kind: str
    first_day: date
    last_day: date
    branch: str | None = None
    product: str | None = None
    other_product: str | None = None
    change: float | None = None
    change_per_week: float | None = None

    def as_truth(self) -> dict[str, object]:
        """The fields and the direction of the change, ready for JSON."""
        size = self.change if self.change is not None else self.change_per_week
        direction = None if size is None else "rising" if size > 0 else "falling"
        days = {"first_day": str(self.first_day), "last_day": str(self.last_day)}
        return {**asdict(self), **days, "direction": direction}


@dataclass(frozen=True)
class Plan:
    """A chain, its days and what is planted; `weather` is one shared shock a day, about ±1."""

    branches: list[Branch]
    days: list[date]
    weather: list[float]
    pay_days: list[date]
    plants: list[Plant]


def plan_sample(branches: int, days: int, seed: int, until: date) -> Plan:
    """Invent a chain and what is planted in it; the same arguments give the same plan."""
    rng = np.random.default_rng([seed, 0])
    calendar = [until - timedelta(days=back) for back in reversed(range(days))]
    planting = _Planting(open_branches(branches, rng), calendar, rng)
    planting.plant_all()
    return Plan(
        planting.branches,
        calendar,
        _weather(days, rng),
        [day for day in calendar if _is_pay_day(day)],
        planting.plants,
    )


def _weather(days: int, rng: Generator) -> list[float]:
    """Shocks with unit variance; half of a day's weather stays for the next."""
    today, weather = 0.0, []
    for shock in rng.standard_normal(days):
        today = 0.5 * today + 0.75**0.5 * float(shock)
        weather.append(today)
    return weather


def _is_pay_day(day: date) -> bool:
    """Whether the day is the last working day of its month or one of the two days after it."""
    return any(_ends_working_month(day - timedelta(days=back)) for back in range(3))


def _ends_working_month(day: date) -> bool:
    rest = [day + timedelta(days=ahead) for ahead in range(1, 4)]
    return day.weekday() < 5 and all(
        later.weekday() >= 5 for later in rest if later.month == day.month
    )


class _Planting:
    """Plants one fact after another and leaves out what does not fit the branches or days."""

    def __init__(self, branches: list[Branch], days: list[date], rng: Generator) -> None:
        self.branches = branches
        self.days = days
        self.rng = rng
        self.plants: list[Plant] = []
        self.free = [int(place) for place in rng.permutation(len(branches))]
        # Pairs keep clear of other plants, or one would blur the other.
        self.taken: set[tuple[str | None, str]] = {(None, name) for pair in PAIRS for name in pair}

    def plant_all(self) -> None:
        long_enough = len(self.days) >= LEAST_DAYS
        if long_enough:
            self._everywhere()
            self._late_changes()
        self._standing_gaps()
        if long_enough:
            self._product_trends()

    def _add(
        self,
        kind: str,
        branch: str | None = None,
        product: str | None = None,
        other_product: str | None = None,
        *,
        last_days: int | None = None,
        on: date | None = None,
        change: float | None = None,
        change_per_week: float | None = None,
    ) -> None:
        """Plant a fact for the last so many days, on one day, or throughout."""
        first = on or self.days[-min(last_days or len(self.days), len(self.days))]
        last = on or self.days[-1]
        self.plants.append(
            Plant(kind, first, last, branch, product, other_product, change, change_per_week)
        )

    def _number(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def _rate(self, low: float, high: float) -> float:
        return round(float(self.rng.uniform(low, high)), 3)

    def _branch(self) -> Branch | None:
        """A branch without a plant of its own, or None if there is none left."""
        return self.branches[self.free.pop()] if self.free else None

    def _product(self, names: list[str], branch: str | None) -> str | None:
        """One of the names nothing else is planted on, or None if there is none left."""
        names = [name for name in names if not {(None, name), (branch, name)} & self.taken]
        if not names:
            return None
        name = names[self._number(0, len(names) - 1)]
        self.taken.add((branch, name))
        return name

    def _everywhere(self) -> None:
        """One product grows, one fades and one becomes dearer in every branch."""
        first, *others = self.branches
        names = [name for name in first.favourites() if all(b.sells(name) for b in others)]
        for sign in (1, -1):
            if name := self._product(names, None):
                rate = sign * self._rate(0.025, 0.035)
                self._add("product_trend", None, name, last_days=TREND_DAYS, change_per_week=rate)
        if name := self._product(names, None):
            self._add("price_rise", None, name, last_days=self._number(21, 27), change=0.1)

    def _late_changes(self) -> None:
        """Changes that a report over the last four weeks shows, each in a branch of its own."""
        if branch := self._branch():
            self._add("day_shift", branch.name, last_days=self._number(23, 28), change=-0.6)
        if branch := self._branch():
            self._add("missing_day", branch.name, on=self.days[-self._number(5, 21)], change=-1.0)
        if branch := self._branch():
            self._add("level_shift", branch.name, last_days=self._number(21, 27), change=-0.25)
        if (branch := self._branch()) and (name := self._product(branch.favourites(), branch.name)):
            days = self._number(7, 11)
            self._add("silent_product", branch.name, name, last_days=days, change=-1.0)
        if branch := self._branch():
            rate = self._rate(0.02, 0.03)
            self._add("branch_trend", branch.name, last_days=TREND_DAYS, change_per_week=rate)
        if branch := self._branch():
            self._add("unusual_day", branch.name, on=self.days[-self._number(5, 21)], change=0.9)
        if len(self.days) > 100 and (branch := self._branch()):
            self._add("level_shift", branch.name, last_days=self._number(60, 80), change=0.2)

    def _standing_gaps(self) -> None:
        """Gaps against at least three branches of the same format, as long as the data run."""
        for plant in (self._missed_product, self._price_gap, self._pair_gap, self._late_opening):
            for place in self.free:
                branch = self.branches[place]
                alike = [b for b in self.branches if b.format is branch.format and b is not branch]
                if len(alike) >= 3:
                    self.free.remove(place)
                    shared = [n for n in branch.favourites() if all(b.sells(n) for b in alike)]
                    self.branches[place] = plant(branch, shared)
                    break

    def _missed_product(self, branch: Branch, shared: list[str]) -> Branch:
        name = self._product(shared, branch.name)
        if name is None:
            return branch
        self._add("missed_product", branch.name, name)
        return replace(branch, menu=tuple(item for item in branch.menu if item.name != name))

    def _price_gap(self, branch: Branch, shared: list[str]) -> Branch:
        name = self._product(shared, branch.name)
        if name is None:
            return branch
        self._add("price_gap", branch.name, name, change=-0.25)
        menu = (item.at_price(0.75) if item.name == name else item for item in branch.menu)
        return replace(branch, menu=tuple(menu))

    def _pair_gap(self, branch: Branch, shared: list[str]) -> Branch:
        for first, second in PAIRS:
            self._add("pair_gap", branch.name, first, second, change=-1.0)
        return replace(branch, attach=0.0)

    def _late_opening(self, branch: Branch, shared: list[str]) -> Branch:
        self._add("opening_hours", branch.name)
        return replace(branch, opens=branch.opens + 1)

    def _product_trends(self) -> None:
        """Growing and fading products, in branches that are otherwise steady if there are any."""
        moving = {"day_shift", "level_shift", "branch_trend"}
        unsteady = {plant.branch for plant in self.plants if plant.kind in moving}
        steady = [branch for branch in self.branches if branch.name not in unsteady]
        hosts = steady or self.branches
        for place in range(max(2, 2 * len(self.branches) // 3)):
            branch = hosts[place % len(hosts)]
            if name := self._product(branch.favourites(), branch.name):
                rate = (-1) ** place * self._rate(0.035, 0.06)
                self._add(
                    "product_trend",
                    branch.name,
                    name,
                    last_days=TREND_DAYS,
                    change_per_week=rate,
                )
