"""The schedule at work: what is due is made and mailed, each period once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from types import FrameType
from typing import Literal

from brewtopia_lib.errors import BrewtopiaError
from brewtopia_lib.formats import plural
from brewtopia_lib.mail.delivery import deliver, report_failures, unknown_branches
from brewtopia_lib.mail.messages import Failure
from brewtopia_lib.mail.sending import Delivery
from brewtopia_lib.reports import run_report
from brewtopia_lib.reports.batches import ReportRun
from brewtopia_lib.reports.definitions import Definition, Timing
from brewtopia_lib.reports.parameters import SCHEDULED_FOR, read_parameters
from brewtopia_lib.reports.redaction import redacted, secrets_of
from brewtopia_lib.reports.runs import Ledger
from brewtopia_lib.schedule.agenda import Agenda, Due, entries, upcoming
from brewtopia_lib.schedule.freshness import Freshness, look_at, reported_day
from brewtopia_lib.settings import Settings
from brewtopia_lib.signals import told_to_end
from brewtopia_lib.warehouse import open_warehouse

MOST_ATTEMPTS = 3
"""How often a run is begun that ends with its process, before it counts as failed."""
LONGEST_NAP_SECONDS = 60.0


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


@dataclass(frozen=True)
class _Task:
    """A report that is due, with its definition; `local` is the time in the schedule's zone."""

    due: Due
    definition: Definition
    timing: Timing

    @property
    def local(self) -> datetime:
        return self.due.scheduled_for.astimezone(self.timing.times.zone)

    @property
    def when(self) -> str:
        return f"{self.local:%Y-%m-%d %H:%M %Z}"


class Scheduler:
    """Makes and mails what is due; any number of them may share one ledger.

    Only one of them works at a time. What a killed one had begun is begun again by the next.
    """

    def __init__(
        self, settings: Settings, *, workers: int | None = None, say: Callable[[str], None] = print
    ) -> None:
        self._settings = settings
        self._ledger = Ledger(settings.runs)
        self._agenda = Agenda(self._ledger)
        self._workers = workers
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
            for task in self._tasks(moment or datetime.now(UTC)):
                if self.stop.is_set():
                    break
                if outcome := self._handled(task):
                    outcomes.append(outcome)
        return outcomes

    def keep_running(self) -> None:
        """Run what is due, whenever it is, until asked to stop by SIGTERM or SIGINT."""
        with self.stopping():
            while not self.stop.is_set():
                self.run_due()
                soonest = next(upcoming(datetime.now(UTC)), None)
                nap = LONGEST_NAP_SECONDS
                if soonest:
                    seconds = (soonest[0] - datetime.now(UTC)).total_seconds()
                    nap = min(max(seconds, 0.05), nap)
                self.stop.wait(nap)

    def _tasks(self, moment: datetime) -> list[_Task]:
        """What is due by a moment, oldest first; a definition that is broken is told."""
        declared: dict[str, tuple[Definition, Timing]] = {}
        for entry in entries():
            if entry.definition and entry.timing:
                declared[entry.name] = (entry.definition, entry.timing)
                left_out = self._agenda.plan(entry.name, entry.timing, moment)
                if left_out:
                    self._say(f"{entry.name}: {plural(left_out, 'missed run')} left out")
            else:
                self._say(str(entry.error))
        return [
            _Task(due, *declared[due.report])
            for due in self._agenda.open()
            if due.report in declared
        ]

    def _handled(self, task: _Task) -> Outcome | None:
        """Make and mail one report, unless it still waits for data."""
        attempts = task.due.attempts
        if attempts >= MOST_ATTEMPTS:
            note = f"begun {attempts} times, and its process never lived to end it"
            return self._failed(task, attempts, note)
        try:
            with open_warehouse(self._settings.warehouse) as warehouse:
                found = look_at(warehouse, task.timing, task.local)
            if found.is_to_wait:
                return None
            self._agenda.mark(task.due, "running", attempts + 1)
            with self._making():
                runs = self._made(task, found)
        except Stopped:
            self._agenda.mark(task.due, "due", attempts, "stopped before it was made")
            return None
        except Exception as error:  # noqa: BLE001 - the other reports are made
            why = str(error) if isinstance(error, BrewtopiaError) else repr(error)
            return self._failed(task, attempts + 1, why)
        return self._mailed(task, runs)

    def _made(self, task: _Task, found: Freshness) -> list[ReportRun]:
        definition = task.definition
        until = min(reported_day(task.timing, task.local), found.last_day)
        return run_report(
            self._settings,
            definition.name,
            all_branches=definition.for_each is not None,
            until=until if "until" in read_parameters(definition.notebook) else None,
            parameters={SCHEDULED_FOR: task.local},
            workers=self._workers,
            notices=found.notices,
        )

    def _mailed(self, task: _Task, runs: list[ReportRun]) -> Outcome:
        definition, attempts = task.definition, task.due.attempts
        unknown = unknown_branches(definition, [run.branch for run in runs if run.branch])
        sent = deliver(self._settings, definition, runs, stop=self.stop)
        sent += report_failures(
            self._settings, definition, runs, sent, others=unknown, stop=self.stop
        )
        if self.stop.is_set() and any(one.state == "failed" for one in sent):
            self._agenda.mark(task.due, "due", attempts, "stopped before it was mailed")
            return Outcome(definition.name, task.local, "due", tuple(runs), tuple(sent))
        wrong = [f"{run.title}: {run.error}" for run in runs if run.error]
        wrong += [
            f"{one.what} to {one.recipient}: {one.error}; to try again: {one.command}"
            for one in sent
            if one.state in ("held", "failed")
        ]
        wrong += [one.why for one in unknown]
        note = self._clean("; ".join(wrong)) or None
        state: Literal["failed", "done"] = "failed" if wrong else "done"
        self._agenda.mark(task.due, state, attempts + 1, note)
        pages, mails = sum(1 for run in runs if run.page), sum(1 for d in sent if d.state == "sent")
        self._say(
            f"{definition.name} for {task.when}: {plural(pages, 'page')}, {plural(mails, 'mail')}"
            + "".join(f"\n  {self._clean(one)}" for one in wrong)
        )
        return Outcome(definition.name, task.local, state, tuple(runs), tuple(sent), note)

    def _failed(self, task: _Task, attempts: int, why: str) -> Outcome:
        """A report that could not be begun: its owners are told."""
        note, definition = self._clean(why), task.definition
        each = " --all-branches" if definition.for_each else ""
        time = f"-p {SCHEDULED_FOR}={task.local.isoformat()}"
        command = f"brewtopia report {definition.name}{each} {time} --email"
        told = report_failures(
            self._settings,
            definition,
            [],
            others=[Failure(f"{definition.title}, {task.when}", note, command)],
            stop=self.stop,
        )
        self._agenda.mark(task.due, "failed", attempts, note)
        self._say(f"{definition.name} for {task.when} failed: {note}")
        return Outcome(definition.name, task.local, "failed", deliveries=tuple(told), note=note)

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
    def stopping(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the work cleanly inside this block."""

        def ask(_: int, __: FrameType | None) -> None:
            self.stop.set()
            if self._is_making:
                self._is_making = False
                raise Stopped

        with told_to_end(ask):
            yield
