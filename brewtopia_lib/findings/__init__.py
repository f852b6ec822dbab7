"""What changed, what is surely more than chance, and what it is worth: the list, ranked.

import brewtopia_lib as bt

with bt.open_warehouse() as warehouse:
    for finding in bt.findings.findings(warehouse, until=date(2024, 6, 30)):
        print(finding.sentence)
"""

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np

from brewtopia_lib import analyses
from brewtopia_lib.errors import ParameterError
from brewtopia_lib.findings import gaps, moves, trends
from brewtopia_lib.findings.branch_days import BranchDays
from brewtopia_lib.findings.branch_findings import BranchFindings
from brewtopia_lib.findings.breaks import missing_days, silent_products
from brewtopia_lib.findings.day_findings import DayFindings
from brewtopia_lib.findings.finding import Finding, Tests
from brewtopia_lib.findings.gaps import PairGaps, price_gaps
from brewtopia_lib.findings.guises import told
from brewtopia_lib.findings.history import History, read_history
from brewtopia_lib.findings.opportunities import Opportunities
from brewtopia_lib.findings.product_findings import product_findings
from brewtopia_lib.findings.significance import FALSE_DISCOVERY_RATE, q_values
from brewtopia_lib.formats import full_day, plural, some
from brewtopia_lib.queries import Queryable
from brewtopia_lib.shared import is_shared, once

LEAST_DAYS_FOR_GAPS = 14


@dataclass(frozen=True)
class Found:
    """The findings, largest first, what could not be looked for and why, and how much was.

    `tests` is how many tests there were, `weeks` how many weeks were looked at, and `long_enough`
    whether they suffice to tell a change from chance.
    """

    findings: list[Finding]
    notes: list[str]
    tests: int
    weeks: int
    long_enough: bool = True


def findings(
    warehouse: Queryable, *, until: date, weeks: int = 26, branch: str | None = None
) -> list[Finding]:
    """What changed in the weeks that end on `until`, worth most first.

    False discoveries are at most 5 % of what is tested, over everything this call tests: with
    `branch` that branch's own tests, without it those of all branches and of the chain.
    """
    found = look(warehouse, until=until, weeks=weeks, branch=branch)
    if branch is not None and not found.findings and not found.tests:
        known = set(analyses.branches(warehouse)["branch"])
        if branch not in known:
            raise ParameterError(f"there is no branch {branch!r}: there is {some(sorted(known))}")
    return found.findings


def look(warehouse: Queryable, *, until: date, weeks: int = 26, branch: str | None = None) -> Found:
    """The same, with notes that say what there is too little history for.

    Raises ParameterError for a number of weeks below one. A branch without sales in those weeks
    has no findings, and the note says so.
    """
    if isinstance(weeks, bool) or not isinstance(weeks, int) or weeks < 1:
        raise ParameterError(f"weeks is {weeks!r}: it must be a whole number from 1")

    def looked() -> dict[str | None, Found]:
        looking = Looking(read_history(warehouse, until=until, weeks=weeks))
        there = (None, *looking.history.branches)
        return {name: looking.of(name) for name in there if is_shared() or name == branch}

    made = once(warehouse, ("findings", until, weeks), looked)
    no_sales = f"{branch} has no sales in the {plural(weeks, 'week')} to {full_day(until)}."
    return made.get(branch, Found([], [no_sales], 0, weeks, long_enough=False))


def find(history: History, *, branch: str | None = None) -> Found:
    """The findings of a history that was read before."""
    return Looking(history).of(branch)


@dataclass(frozen=True)
class Looking:
    """A history, looked at once for the chain and every branch."""

    history: History

    def of(self, branch: str | None) -> Found:
        """The findings of one branch, or None for all of them and the chain's."""
        history = self.history
        if branch is not None and branch not in history.branches:
            raise ParameterError(
                f"branch {branch!r} has no sales from {history.first_day} to {history.dates[-1]}"
            )
        row = None if branch is None else history.branches.index(branch)
        tested, count = self._believed(row)
        kept = [one for one in told(tested, self._seen) if branch is None or one.branch == branch]
        ranked = sorted(
            kept,
            key=lambda one: (
                -abs(one.effect.pounds),
                one.kind,
                one.branch or "",
                one.product or "",
            ),
        )
        rows = slice(None) if row is None else [row]
        long_enough = bool(history.observed[rows].sum(axis=1).max() >= trends.LEAST_DAYS)
        return Found(ranked, notes(history, row), count, -(-len(history.dates) // 7), long_enough)

    @cached_property
    def _seen(self) -> list[Finding]:
        history = self.history
        return missing_days(history) + silent_products(history) + _gaps(history)

    @cached_property
    def _families(self) -> list[Tests]:
        products = product_findings(self.history)
        days = BranchDays(self.history, products.centred)
        return [
            *BranchFindings(days).tests,
            *DayFindings(days).tests,
            *products.tests,
            *PairGaps(self.history).tests,
        ]

    def _believed(self, row: int | None) -> tuple[list[tuple[Finding, float]], int]:
        """What the tests of one branch, or of all, believe and at which q, and how many they are."""
        families = self._families
        if row is not None:
            families = [family.of_branch(row) for family in families]
        q = q_values(
            np.concatenate([family.chances.ravel() for family in families]),
            np.concatenate([family.weights.ravel() for family in families]),
        )
        found, start = [], 0
        for family in families:
            own = q[start : start + family.chances.size].reshape(family.chances.shape)
            start += family.chances.size
            for index in np.argwhere(own <= FALSE_DISCOVERY_RATE):
                place = tuple(int(part) for part in index)
                found.append((family.tell(place), float(own[place])))
        return found, int(np.isfinite(q).sum())


def _gaps(history: History) -> list[Finding]:
    if history.traded.any(axis=0).sum() < LEAST_DAYS_FOR_GAPS:
        return []
    missed = Opportunities(history)
    return [*missed.missed_products(), *missed.opening_hours(), *price_gaps(history)]


def notes(history: History, row: int | None = None) -> list[str]:
    """What could not be looked for, in all branches or in one, why, and what it would need."""
    rows = slice(None) if row is None else [row]
    days = int(history.traded[rows].any(axis=0).sum())
    if not days:
        return [f"There are no sales up to {full_day(history.dates[-1])}."]
    said = []
    if history.observed[rows].sum(axis=1).max() < trends.LEAST_DAYS:
        where = "" if row is None else f" at {history.branches[row]}"
        said.append(
            f"Sales of {plural(days, 'day')}{where} are too few to tell a trend from chance: trends "
            f"of products and branches, shifts and unusual days need {trends.LEAST_DAYS} trading "
            "days (eight weeks), and small trends half a year."
        )
    short = int((history.observed[rows].sum(axis=1) < trends.LEAST_DAYS).sum())
    if not said and short:
        said.append(
            f"{plural(short, 'branch', 'branches')} with fewer than {trends.LEAST_DAYS} trading "
            "days cannot be tested for trends yet."
        )
    if len(history.branches) < gaps.LEAST_BRANCHES:
        said.append(
            "With fewer than four branches nothing can be compared between branches: neither "
            "branch against chain, nor products, prices, pairs and hours that others have."
        )
    elif len(history.branches) < moves.LEAST_BRANCHES:
        said.append(
            "With fewer than six branches each is compared with its own past: where one of so few "
            "moves, all others would seem to move against it."
        )
    return said
