"""The schedule: which reports are due, each period made and mailed once."""

import heapq
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from threading import Event
from types import FrameType

from brewtopia_lib import analyses
from brewtopia_lib.definitions import Definition, Timing, definition_names, load_definition
from brewtopia_lib.delivery import Delivery, deliver, report_failures, unknown_branches
from brewtopia_lib.errors import BrewtopiaError
from brewtopia_lib.formats import full_day, listed, plural
from brewtopia_lib.messages import Failure
from brewtopia_lib.parameters import read_parameters
from brewtopia_lib.queries import Queryable
from brewtopia_lib.redaction import redacted, secrets_of
from brewtopia_lib.reports import ReportRun, run_report
from brewtopia_lib.runs import Ledger, now
from brewtopia_lib.scopes import find_scope
from brewtopia_lib.settings import Settings
from brewtopia_lib.warehouse import open_warehouse

MOST_ATTEMPTS = 3
"""How often a run is begun that ends with its process, before it counts as failed."""
LONGEST_NAP_SECONDS = 60.0
BRANCHES_NAMED = 5


@dataclass(frozen=True)
class Entry:
    """A report with its schedule, or why its definition cannot be used."""

    name: str
    definition: Definition | None = None
    error: str | None = None

    @property
    def timing(self) -> Timing | None:
        return self.definition.schedule if self.definition else None


@dataclass(frozen=True)
class Outcome:
    """What became of one report that was due: its pages, its mails, or why there are none."""

    report: str
    scheduled_for: datetime
    state: str
    runs: tuple[ReportRun, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    note: str | None = None

    @property
    def is_failed(self) -> bool:
        return self.state == "failed"


class Stopped(BaseException):
    """The process was asked to end while reports were being made."""


def entries() -> list[Entry]:
    """Every report that has a schedule, and every one whose definition is broken."""
    found = []
    for name in definition_names():
        try:
            definition = load_definition(name)
        except BrewtopiaError as error:
            found.append(Entry(name, error=str(error)))
        else:
            if definition.schedule:
                found.append(Entry(name, definition))
    return found


def upcoming(after: datetime) -> Iterator[tuple[datetime, str]]:
    """The times reports are due after a moment, with the report, soonest first, without end."""

    def times(name: str, timing: Timing) -> Iterator[tuple[datetime, str]]:
        for moment in timing.times.after(after):
            yield moment.astimezone(UTC), name

    streams = [times(entry.name, entry.timing) for entry in entries() if entry.timing]
    for moment, name in heapq.merge(*streams):
        timing = load_definition(name).schedule
        yield (moment.astimezone(timing.times.zone) if timing else moment), name


def silent_branches(warehouse: Queryable, day: date) -> list[str]:
    """The branches without sales on a day on which they usually trade."""
    missing = analyses.missing_days(warehouse, until=day, weeks=1)
    return sorted(
        str(row.branch) for row in missing.itertuples() if str(row.sold_on)[:10] == day.isoformat()
    )


class Scheduler:
    """Makes and mails what is due; any number of them may share one ledger.

    Only one of them works at a time. What a killed one had begun is begun again by the next.
    """

    def __init__(
        self, settings: Settings, *, workers: int | None = None, say: Callable[[str], None] = print
    ) -> None:
        self._settings = settings
        self._ledger = Ledger(settings.runs)
        self._workers = workers or os.cpu_count() or 1
        self._say = say
        self._is_making = False
        self.stop = Event()

    def run_due(self, moment: datetime | None = None) -> list[Outcome]:
        """Run once what is due by now; nothing while another scheduler is at work."""
        outcomes = []
        with self._ledger.alone("schedule") as is_ours:
            if not is_ours:
                self._say("another scheduler is at work: nothing to do")
                return []
            known = {entry.name: entry for entry in entries()}
            for name, entry in known.items():
                if entry.error:
                    self._say(entry.error)
                elif entry.timing:
                    self._plan(name, entry.timing, moment or datetime.now(UTC))
            for name, scheduled_for, attempts in self._open():
                definition = known[name].definition if name in known else None
                if self.stop.is_set() or not definition or not definition.schedule:
                    continue
                outcome = self._handled(definition, definition.schedule, scheduled_for, attempts)
                if outcome:
                    outcomes.append(outcome)
        return outcomes

    def keep_running(self) -> None:
        """Run what is due, whenever it is, until asked to stop by SIGTERM or SIGINT."""
        with self._stopping():
            while not self.stop.is_set():
                self.run_due()
                soonest = next(upcoming(datetime.now(UTC)), None)
                nap = LONGEST_NAP_SECONDS
                if soonest:
                    seconds = (soonest[0] - datetime.now(UTC)).total_seconds()
                    nap = min(max(seconds, 0.05), nap)
                self.stop.wait(nap)

    def _plan(self, name: str, timing: Timing, moment: datetime) -> None:
        """Note what has become due since last time, in one transaction.

        A schedule that is new or changed starts now. Of several times missed, the last
        `catch_up` are made, and the others noted as missed.
        """
        rule = f"{timing.cron} {timing.time_zone}"
        with self._ledger.transaction() as rows:
            known = rows.execute("select * from schedules where report = ?", (name,)).fetchone()
            times = []
            if known and known["rule"] == rule:
                for time in timing.times.after(datetime.fromisoformat(known["handled_until"])):
                    if time > moment:
                        break
                    times.append(time.astimezone(UTC))
                moment = max(moment, datetime.fromisoformat(known["handled_until"]))
            kept = times[-timing.catch_up :]
            rows.executemany(
                "insert or ignore into occurrences (report, scheduled_for, state, changed_at) "
                "values (?, ?, ?, ?)",
                [
                    (name, time.isoformat(), "due" if time in kept else "missed", now())
                    for time in times[-1000:]
                ],
            )
            rows.execute(
                "insert into schedules values (?, ?, ?) on conflict do update "
                "set rule = excluded.rule, handled_until = excluded.handled_until",
                (name, rule, moment.astimezone(UTC).isoformat()),
            )
        if len(kept) < len(times):
            self._say(f"{name}: {plural(len(times) - len(kept), 'missed run')} left out")

    def _open(self) -> list[tuple[str, datetime, int]]:
        """What is to be run, oldest first, with how often it was begun."""
        with self._ledger.transaction() as rows:
            found = rows.execute(
                "select report, scheduled_for, attempts from occurrences "
                "where state in ('due', 'running') order by scheduled_for, report"
            ).fetchall()
        return [(row[0], datetime.fromisoformat(row[1]), row[2]) for row in found]

    def _mark(
        self, name: str, moment: datetime, state: str, attempts: int, note: str | None
    ) -> None:
        with self._ledger.transaction() as rows:
            rows.execute(
                "update occurrences set state = ?, attempts = ?, changed_at = ?, note = ? "
                "where report = ? and scheduled_for = ?",
                (state, attempts, now(), note, name, moment.astimezone(UTC).isoformat()),
            )

    def _handled(
        self, definition: Definition, timing: Timing, moment: datetime, attempts: int
    ) -> Outcome | None:
        """Make and mail one report, unless it still waits for data."""
        name, local = definition.name, moment.astimezone(timing.times.zone)
        if attempts >= MOST_ATTEMPTS:
            note = f"begun {attempts} times, and its process never lived to end it"
            return self._failed(definition, local, attempts, note)
        try:
            notices, is_waiting = self._data(definition, timing, local)
            if is_waiting:
                return None
            self._mark(name, moment, "running", attempts + 1, None)
            with self._making():
                runs = self._made(definition, local, notices)
        except Stopped:
            self._mark(name, moment, "due", attempts, "stopped before it was made")
            return None
        except Exception as error:  # noqa: BLE001 - the other reports are made
            why = str(error) if isinstance(error, BrewtopiaError) else repr(error)
            return self._failed(definition, local, attempts + 1, why)
        return self._mailed(definition, moment, local, attempts + 1, runs)

    def _made(
        self, definition: Definition, local: datetime, notices: Mapping[str | None, str]
    ) -> list[ReportRun]:
        with open_warehouse(self._settings.warehouse) as warehouse:
            last_day = find_scope(warehouse).last_day
        until = min(_reported_day(definition.schedule, local), last_day)
        return run_report(
            self._settings,
            definition.name,
            all_branches=definition.for_each is not None,
            until=until if "until" in read_parameters(definition.notebook) else None,
            parameters={"scheduled_for": local},
            workers=self._workers,
            notices=notices,
        )

    def _mailed(
        self,
        definition: Definition,
        moment: datetime,
        local: datetime,
        attempts: int,
        runs: list[ReportRun],
    ) -> Outcome:
        unknown = unknown_branches(definition, [run.branch for run in runs if run.branch])
        sent = deliver(self._settings, definition, runs, stop=self.stop)
        sent += report_failures(
            self._settings, definition, runs, sent, others=unknown, stop=self.stop
        )
        if self.stop.is_set() and any(one.state == "failed" for one in sent):
            self._mark(definition.name, moment, "due", attempts - 1, "stopped before it was mailed")
            return Outcome(definition.name, local, "due", tuple(runs), tuple(sent))
        wrong = [f"{run.title}: {run.error}" for run in runs if run.error]
        wrong += [
            f"{one.what} to {one.recipient}: {one.error}; to try again: {one.command}"
            for one in sent
            if one.state in ("held", "failed")
        ]
        wrong += [one.why for one in unknown]
        state = "failed" if wrong else "done"
        note = self._clean("; ".join(wrong)) or None
        self._mark(definition.name, moment, state, attempts, note)
        pages, mails = sum(1 for run in runs if run.page), sum(1 for d in sent if d.state == "sent")
        self._say(
            f"{definition.name} for {local:%Y-%m-%d %H:%M %Z}: {plural(pages, 'page')}, "
            f"{plural(mails, 'mail')}" + "".join(f"\n  {self._clean(one)}" for one in wrong)
        )
        return Outcome(definition.name, local, state, tuple(runs), tuple(sent), note)

    def _failed(self, definition: Definition, local: datetime, attempts: int, why: str) -> Outcome:
        """A report that could not be begun: its owners are told."""
        note = self._clean(why)
        each = " --all-branches" if definition.for_each else ""
        command = (
            f"brewtopia report {definition.name}{each} -p scheduled_for={local.isoformat()} --email"
        )
        told = report_failures(
            self._settings,
            definition,
            [],
            others=[Failure(f"{definition.title}, {local:%Y-%m-%d %H:%M %Z}", note, command)],
            stop=self.stop,
        )
        self._mark(definition.name, local, "failed", attempts, note)
        self._say(f"{definition.name} for {local:%Y-%m-%d %H:%M %Z} failed: {note}")
        return Outcome(definition.name, local, "failed", deliveries=tuple(told), note=note)

    def _data(
        self, definition: Definition, timing: Timing, local: datetime
    ) -> tuple[dict[str | None, str], bool]:
        """What to say of data that are missing, by branch, and whether to wait for them."""
        if not timing.requires_data_until:
            return {}, False
        day = _reported_day(timing, local)
        with open_warehouse(self._settings.warehouse) as warehouse:
            last_day = find_scope(warehouse).last_day
            silent = silent_branches(warehouse, day)
            branches = [str(name) for name in analyses.branches(warehouse)["branch"]]
        is_missing = bool(silent) or last_day < day
        patience = timedelta(hours=timing.wait_hours)
        if (
            is_missing
            and timing.when_data_missing == "wait"
            and datetime.now(UTC) < local + patience
        ):
            return {}, True
        said: dict[str | None, str] = {}
        if last_day < day:
            text = (
                f"Sales are known up to {full_day(last_day)}: those up to {full_day(day)} have not "
                "arrived, and this report was made without them."
            )
            said = dict.fromkeys([None, *branches], text)
        elif silent:
            more = len(silent) - BRANCHES_NAMED
            named = silent[:BRANCHES_NAMED] + ([f"{more} more"] if more > 0 else [])
            said = {branch: _not_arrived(day, branch) for branch in silent}
            said[None] = _not_arrived(day, listed(named))
        return said, False

    def _clean(self, text: str) -> str:
        return redacted(text, secrets_of(self._settings))

    @contextmanager
    def _making(self) -> Iterator[None]:
        """While pages are made, being asked to stop interrupts; mails are never cut short."""
        self._is_making = True
        try:
            if self.stop.is_set():
                raise Stopped
            yield
        finally:
            self._is_making = False

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the work cleanly inside this block."""

        def ask(_: int, __: FrameType | None) -> None:
            self.stop.set()
            if self._is_making:
                self._is_making = False
                raise Stopped

        old = {one: signal.signal(one, ask) for one in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for one, handler in old.items():
                signal.signal(one, handler)


def _reported_day(timing: Timing | None, local: datetime) -> date:
    """The last day a run for this time reports on: the day before, unless it wants today's."""
    is_today = timing is not None and timing.requires_data_until == "today"
    return local.date() if is_today else local.date() - timedelta(days=1)


def _not_arrived(day: date, branch: str) -> str:
    return f"No sales of {full_day(day)} have arrived from {branch}: this report was made without them."
