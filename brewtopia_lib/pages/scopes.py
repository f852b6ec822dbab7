"""What a report is about: which days, against which, for which branch."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import Any

import pandas as pd

from brewtopia_lib import analyses
from brewtopia_lib.errors import ParameterError, WarehouseError
from brewtopia_lib.formats import full_day, plural
from brewtopia_lib.queries import Queryable

LONGEST_WEEKS = 104


@dataclass(frozen=True)
class Scope:
    """The period of `weeks` weeks that ends on `until`, and what history there is around it.

    `first_day` and `last_day` are those of the branch's data, or of the chain's.
    """

    until: date
    weeks: int
    branch: str | None
    first_day: date
    last_day: date
    loaded_at: datetime

    @property
    def first(self) -> date:
        """The first day of the period."""
        return self.until - timedelta(days=7 * self.weeks - 1)

    @property
    def has_before(self) -> bool:
        """Whether the data reach back to the start of the period before."""
        return self.first_day <= self.first - timedelta(days=7 * self.weeks)

    @property
    def weeks_known(self) -> int:
        """How many weeks hold all the data there are, as far as a report can look."""
        return min(-(-((self.last_day - self.first_day).days + 1) // 7), LONGEST_WEEKS)

    @property
    def window(self) -> dict[str, Any]:
        """The arguments of every analysis that looks at a period."""
        return {"until": self.until, "weeks": self.weeks, "branch": self.branch}

    @property
    def chain(self) -> dict[str, Any]:
        """The same for the whole chain."""
        return {**self.window, "branch": None}

    @property
    def where(self) -> str:
        """The branch, or the chain in words."""
        return self.branch or "the chain"

    @property
    def period(self) -> str:
        """The period in words: 4 weeks to Sun 30 June 2024, or 16 days if sales begin in it."""
        days = (self.until - self.first_day).days + 1
        if 0 < days < 7 * self.weeks:
            return f"{plural(days, 'day')} to {full_day(self.until)}"
        return f"{plural(self.weeks, 'week')} to {full_day(self.until)}"

    @property
    def before(self) -> str:
        """What it is compared with: the 4 weeks before."""
        return "the week before" if self.weeks == 1 else f"the {self.weeks} weeks before"

    @property
    def shortfall(self) -> str | None:
        """What cannot be known because the history is short; None where it suffices."""
        if self.first_day > self.until:
            return f"Sales of {self.where} begin on {full_day(self.first_day)}, after this period."
        if self.last_day < self.first:
            return f"Sales of {self.where} end on {full_day(self.last_day)}, before this period."
        if self.has_before:
            return None
        days = (min(self.until, self.last_day) - self.first_day).days + 1
        possible = days // 14
        said = (
            f"Sales of {self.where} begin on {full_day(self.first_day)}: {plural(days, 'day')} "
            f"{'is' if days == 1 else 'are'} too few to compare {plural(self.weeks, 'week')} with "
            f"{self.before}, so changes are left out."
        )
        if possible:
            said += f" A report over {plural(possible, 'week')} could: add --weeks {possible}."
        return said


def find_scope(
    warehouse: Queryable,
    *,
    until: date | str | None = None,
    weeks: int = 4,
    branch: str | None = None,
    needs_sales: bool = True,
) -> Scope:
    """The scope in this warehouse; `until` is its last day with sales unless given.

    Raises ParameterError for a branch, day or number of weeks that cannot be, naming what can,
    and WarehouseError where there are no sales at all; without `needs_sales`, where not even files
    were loaded.
    """
    covered = analyses.coverage(warehouse).iloc[0]
    if not covered["orders"]:
        if not covered["files"]:
            raise WarehouseError("the warehouse has no sales yet: run `brewtopia ingest` first")
        if needs_sales:
            files = plural(covered["files"], "file")
            raise WarehouseError(f"{files} loaded, but not one sale: `brewtopia quality` says why")
        loaded_at = pd.Timestamp(covered["loaded_at"]).to_pydatetime()
        day = loaded_at.date()
        return Scope(day, weeks, None, first_day=day, last_day=day, loaded_at=loaded_at)
    if not 1 <= weeks <= LONGEST_WEEKS:
        raise ParameterError(f"weeks must be 1 to {LONGEST_WEEKS}, and not {weeks}")
    first_day, last_day = _date(covered["first_day"]), _date(covered["last_day"])
    if until is None:
        until = last_day
    elif isinstance(until, str):
        try:
            until = date.fromisoformat(until)
        except ValueError:
            raise ParameterError(f"until is {until!r}: write a day such as 2024-06-30") from None
    if not first_day <= until <= last_day:
        raise ParameterError(
            f"until {until} is outside the data: there are sales from {first_day} to {last_day}"
        )
    if branch is not None:
        known = analyses.branches(warehouse).set_index("branch")
        if branch not in known.index:
            raise ParameterError(_unknown_branch(branch, list(known.index)))
        first_day, last_day = (_date(known.loc[branch, name]) for name in ("first_day", "last_day"))
    return Scope(
        until=until,
        weeks=weeks,
        branch=branch,
        first_day=first_day,
        last_day=last_day,
        loaded_at=pd.Timestamp(covered["loaded_at"]).to_pydatetime(),
    )


def _date(value: Any) -> date:
    return pd.Timestamp(value).date()


def _unknown_branch(branch: str, known: list[str]) -> str:
    folded = {name.casefold(): name for name in known}
    near = [folded[name] for name in get_close_matches(branch.casefold(), folded, n=3, cutoff=0.5)]
    if near:
        return f"there is no branch {branch!r}: did you mean {' or '.join(near)}?"
    return f"there is no branch {branch!r}: there is {', '.join(known)}"
