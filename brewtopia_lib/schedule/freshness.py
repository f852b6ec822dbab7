"""Whether the sales that a scheduled report asks for have arrived, and what to say if not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from brewtopia_lib import analyses
from brewtopia_lib.formats import full_day, some
from brewtopia_lib.pages.scopes import find_scope
from brewtopia_lib.queries import Queryable
from brewtopia_lib.reports.definitions import Timing


@dataclass(frozen=True)
class Freshness:
    """How far the sales go, what is to be said of those missing, and whether to wait for them.

    `notices` are by branch, and under None for the chain.
    """

    last_day: date
    notices: Mapping[str | None, str] = field(default_factory=dict)
    is_to_wait: bool = False


def reported_day(timing: Timing, due: datetime) -> date:
    """The last day a run for this time reports on: the day before, unless it wants today's."""
    is_today = timing.requires_data_until == "today"
    return due.date() if is_today else due.date() - timedelta(days=1)


def silent_branches(warehouse: Queryable, day: date) -> list[str]:
    """The branches without sales on a day on which they usually trade."""
    missing = analyses.missing_days(warehouse, until=day, weeks=1)
    return sorted(
        str(row.branch) for row in missing.itertuples() if str(row.sold_on)[:10] == day.isoformat()
    )


def look_at(warehouse: Queryable, timing: Timing, due: datetime) -> Freshness:
    """What there is of the sales that a report asks for, when it is due at a time of its zone."""
    last_day = find_scope(warehouse).last_day
    if not timing.requires_data_until:
        return Freshness(last_day)
    day = reported_day(timing, due)
    silent = silent_branches(warehouse, day)
    is_missing = bool(silent) or last_day < day
    patience = timedelta(hours=timing.wait_hours)
    if is_missing and timing.when_data_missing == "wait" and datetime.now(UTC) < due + patience:
        return Freshness(last_day, is_to_wait=True)
    if last_day < day:
        text = (
            f"Sales are known up to {full_day(last_day)}: those up to {full_day(day)} have not "
            "arrived, and this report was made without them."
        )
        branches = [str(name) for name in analyses.branches(warehouse)["branch"]]
        return Freshness(last_day, dict.fromkeys([None, *branches], text))
    said: dict[str | None, str] = {branch: _not_arrived(day, branch) for branch in silent}
    if silent:
        said[None] = _not_arrived(day, some(silent))
    return Freshness(last_day, said)


def _not_arrived(day: date, branch: str) -> str:
    return (
        f"No sales of {full_day(day)} have arrived from {branch}: "
        "this report was made without them."
    )
