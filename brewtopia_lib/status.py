"""How the pipeline is: files that are late, rows rejected, reports and mails that failed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from statistics import median
from typing import Any, Literal

from brewtopia_lib.events.telemetry import Telemetry
from brewtopia_lib.formats import percent, plural, pounds
from brewtopia_lib.queries import load_query
from brewtopia_lib.reports.gallery import renew_gallery
from brewtopia_lib.reports.outputs import write_whole
from brewtopia_lib.reports.publishing import STATUS, reports_folder
from brewtopia_lib.reports.rendering import template
from brewtopia_lib.reports.runs import Ledger
from brewtopia_lib.schedule.agenda import Agenda, entries
from brewtopia_lib.settings import Settings
from brewtopia_lib.warehouse import Warehouse, open_warehouse

RECENT = timedelta(days=7)
"""How far back rejects and unsent mails are told of."""
GONE_AFTER = timedelta(days=28)
"""A branch that was silent for so long has left, and is not late any more."""
GRACE = timedelta(hours=3)
"""How long after its usual hour a file counts as late: hours of opening differ by weekday."""
USUAL_UNKNOWN = timedelta(hours=36)
"""When a day's file is due where no usual hour is known: noon of the day after."""
LONGEST_DELAY = timedelta(hours=72)
"""Days that took longer to arrive were delivered late or in bulk, and say nothing of the hour."""
FEWEST_ARRIVALS = 5
UNDER_WAY = timedelta(minutes=15)
"""For so long a mail may be on its way to a server that is hard to reach."""
REPORT_LATE_AFTER = timedelta(hours=2)


@dataclass(frozen=True)
class BranchStatus:
    """The last file of a branch, and when the next is due; `due_at` is null for one that left."""

    branch: str
    last_file: str
    last_file_at: datetime
    last_day: date
    due_at: datetime | None
    state: Literal["on time", "late", "gone"]


@dataclass(frozen=True)
class Rejects:
    """The rows rejected for one reason, and the pounds that are therefore not counted."""

    reason: str
    rows: int
    revenue_not_counted: Decimal


@dataclass(frozen=True)
class LateReport:
    """A scheduled report that is not made: overdue, failed, or missed while nothing ran."""

    report: str
    scheduled_for: datetime
    state: str


@dataclass(frozen=True)
class PipelineStatus:
    """The state of everything at one moment; times are UTC.

    `files`, `rows`, `rejected` and `rejects` are those of the last seven days; `files_over_limit`
    those cleaned since yesterday of which more than one row in twenty was rejected. `failed_runs`
    and `unsent_mails` are rows of the ledger.
    """

    at: datetime
    branches: Sequence[BranchStatus]
    files: int
    rows: int
    rejected: int
    rejects: Sequence[Rejects]
    files_over_limit: int
    late_reports: Sequence[LateReport]
    failed_runs: Sequence[Mapping[str, Any]]
    unsent_mails: Sequence[Mapping[str, Any]]

    @property
    def late_branches(self) -> list[BranchStatus]:
        return [one for one in self.branches if one.state == "late"]

    @property
    def rejected_share(self) -> float:
        return self.rejected / self.rows if self.rows else 0.0

    @property
    def revenue_not_counted(self) -> Decimal:
        return sum((one.revenue_not_counted for one in self.rejects), Decimal(0))

    @property
    def problems(self) -> list[str]:
        """What is not as it should be, a sentence each; nothing where all is well."""
        said = [
            f"{one.branch}: no file since {one.last_file_at:%d %b %H:%M}, "
            f"due by {one.due_at:%d %b %H:%M} UTC"
            for one in self.late_branches
        ]
        if self.rejected:
            said.append(
                f"{plural(self.rejected, 'row')} rejected in {plural(self.files, 'file')} "
                f"({percent(self.rejected_share)}), "
                f"{pounds(self.revenue_not_counted, pence=True)} not counted"
            )
        said += [
            f"{one.report} for {one.scheduled_for:%d %b %H:%M} UTC: {one.state}"
            for one in self.late_reports
        ]
        said += [f"{_named(one)}: {one['error']}" for one in self.failed_runs]
        said += [
            f"{one['report']} to {one['recipient']}: mail {one['state']}"
            for one in self.unsent_mails
        ]
        return said

    def to_json(self) -> dict[str, Any]:
        """The status as plain values, and the problems in words."""
        return {
            **asdict(self),
            "rejected_share": round(self.rejected_share, 6),
            "revenue_not_counted": self.revenue_not_counted,
            "problems": self.problems,
        }


def pipeline_status(settings: Settings, now: datetime | None = None) -> PipelineStatus:
    """What warehouse and ledger say of the pipeline. Raises what opening them raises."""
    at = (now or datetime.now(UTC)).astimezone(UTC)
    with open_warehouse(settings.warehouse, settings.memory_limit) as warehouse:
        ((files, rows, rejected, _),) = _rows(warehouse, "recent_files", at - RECENT)
        ((*_, over_limit),) = _rows(warehouse, "recent_files", at - timedelta(days=1))
        rejects = [Rejects(*row) for row in _rows(warehouse, "recent_rejects", at - RECENT)]
        branches = _branches(warehouse, at)
    ledger = Ledger(settings.runs)
    return PipelineStatus(
        at, branches, files, int(rows), int(rejected), rejects, int(over_limit),
        _late_reports(ledger, at), _failed_runs(ledger), _unsent_mails(ledger, at),
    )  # fmt: skip


def publish_status(settings: Settings, status: PipelineStatus) -> None:
    """Write the status as a page beside the gallery, which then leads to it."""
    with reports_folder(settings.reports) as folder:
        page = template("status.html.j2").render(status=status, named=_named)
        write_whole(folder / STATUS, page)
        renew_gallery(Ledger(settings.runs), folder)


def tell_status(status: PipelineStatus) -> None:
    """Say the status as metrics, in the form of `telemetry`: what the alarms listen to."""
    Telemetry("status").count(
        BranchesLate=len(status.late_branches),
        FilesOverRejectLimit=status.files_over_limit,
        ReportsLate=len(status.late_reports),
        ReportsFailed=len(status.failed_runs),
        MailsUnsent=len(status.unsent_mails),
    )


def _rows(warehouse: Warehouse, name: str, since: datetime) -> list[tuple[Any, ...]]:
    query = load_query(name)
    given = {"recent_day": since.date()} if query.parameters else {}
    return warehouse.rows(query.sql, query.bind(given))[1]


def _branches(warehouse: Warehouse, at: datetime) -> list[BranchStatus]:
    known: dict[str, dict[date, datetime]] = defaultdict(dict)
    for branch, day, cleaned_at in _rows(warehouse, "arrivals", at - 2 * GONE_AFTER):
        known[branch][day] = cleaned_at.replace(tzinfo=UTC)
    found = []
    for branch, source, cleaned_at, last_day in _rows(warehouse, "last_files", at):
        due = _due(known[branch], last_day) if at - _midnight(last_day) < GONE_AFTER else None
        state: Literal["on time", "late", "gone"] = "gone"
        if due:
            state = "late" if at > due else "on time"
        found.append(
            BranchStatus(branch, source, cleaned_at.replace(tzinfo=UTC), last_day, due, state)
        )
    return found


def _due(arrivals: Mapping[date, datetime], last_day: date) -> datetime:
    """When the file of the next day that the branch trades on should have come at the latest."""
    recent = {day: at for day, at in arrivals.items() if last_day - day < GONE_AFTER}
    delays = [at - _midnight(day) for day, at in recent.items()]
    plain = [delay.total_seconds() for delay in delays if delay < LONGEST_DELAY]
    usual = USUAL_UNKNOWN
    if len(plain) >= FEWEST_ARRIVALS:
        usual = timedelta(seconds=median(plain)) + GRACE
    week = [last_day + timedelta(days) for days in range(1, 8)]
    trading = [day for day in week if _trades_on(recent, day)]
    return _midnight((trading or week)[0]) + usual


def _trades_on(recent: Mapping[date, datetime], day: date) -> bool:
    """Whether the branch traded on at least half of the last four same weekdays it was open."""
    first = min(recent, default=day)
    before = [day - timedelta(days) for days in (7, 14, 21, 28)]
    asked = [one for one in before if one >= first]
    return 2 * sum(one in recent for one in asked) >= len(asked)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _late_reports(ledger: Ledger, at: datetime) -> list[LateReport]:
    """What is overdue, whether it was begun or no scheduler has looked at it, and what failed."""
    agenda = Agenda(ledger)
    last, handled = agenda.last(), agenda.handled_until()
    late = []
    for entry in entries():
        if not entry.timing or entry.name not in handled:
            continue
        patience = REPORT_LATE_AFTER
        if entry.timing.when_data_missing == "wait":
            patience += timedelta(hours=entry.timing.wait_hours)
        soonest = next(entry.timing.times.after(handled[entry.name]), None)
        moment, state = last.get(entry.name, (at, "done"))
        if state in ("failed", "missed"):
            late.append(LateReport(entry.name, moment, state))
        elif state in ("due", "running") and moment + patience < at:
            late.append(LateReport(entry.name, moment, "late"))
        elif soonest and soonest + patience < at:
            late.append(LateReport(entry.name, soonest.astimezone(UTC), "late: no scheduler runs"))
    return late


def _failed_runs(ledger: Ledger) -> list[Mapping[str, Any]]:
    """The last run of each report and branch, where it failed or was cut short."""
    newest: dict[tuple[str, str | None], Mapping[str, Any]] = {}
    for run in ledger.runs():
        newest.setdefault((run["report"], run["branch"]), run)
    return [run for run in newest.values() if run["state"] in ("failed", "interrupted")]


def _unsent_mails(ledger: Ledger, at: datetime) -> list[Mapping[str, Any]]:
    """The mails of the last days that did not leave, but for those that are just on their way."""
    since, before = (at - RECENT).isoformat(), (at - UNDER_WAY).isoformat()
    return [
        one
        for one in ledger.sends()
        if (one["state"] in ("held", "failed") and one["changed_at"] > since)
        or (one["state"] == "sending" and since < one["changed_at"] < before)
    ]


def _named(run: Mapping[str, Any]) -> str:
    return ": ".join(filter(None, (run["report"], run["branch"])))
