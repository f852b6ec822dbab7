"""The agenda: which reports are due when, each time noted once in the ledger."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from brewtopia_lib.errors import BrewtopiaError
from brewtopia_lib.reports.definitions import Definition, Timing, definition_names, load_definition
from brewtopia_lib.reports.runs import Ledger, now

MOST_MISSED = 1000
"""How many times missed at once are noted one by one."""
KEPT = timedelta(days=400)
"""How long the ledger knows what became of a time that was due."""


@dataclass(frozen=True)
class Entry:
    """A report with its schedule, or why its definition cannot be used."""

    name: str
    definition: Definition | None = None
    error: str | None = None

    @property
    def timing(self) -> Timing | None:
        return self.definition.schedule if self.definition else None


class Due(NamedTuple):
    """A report that is to be made for a time, and how often that was begun."""

    report: str
    scheduled_for: datetime
    attempts: int


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

    def times(name: str, timing: Timing) -> Iterator[tuple[datetime, str, datetime]]:
        for moment in timing.times.after(after):
            yield moment.astimezone(UTC), name, moment

    streams = [times(entry.name, entry.timing) for entry in entries() if entry.timing]
    for _, name, moment in heapq.merge(*streams):
        yield moment, name


class Agenda:
    """What is due, as the ledger knows it; to be used while the schedule is ours alone."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def plan(self, name: str, timing: Timing, moment: datetime) -> int:
        """Note what has become due since last time, and give how many times are left out.

        A schedule that is new or changed starts now. Of several times missed, the last
        `catch_up` are to be made, and the others are noted as missed.
        """
        rule = f"{timing.cron} {timing.time_zone}"
        with self._ledger.transaction() as rows:
            known = rows.execute("select * from schedules where report = ?", (name,)).fetchone()
            times = []
            if known and known["rule"] == rule:
                handled_until = datetime.fromisoformat(known["handled_until"])
                for time in timing.times.after(handled_until):
                    if time > moment:
                        break
                    times.append(time.astimezone(UTC))
                moment = max(moment, handled_until)
            kept = times[-timing.catch_up :]
            rows.executemany(
                "insert or ignore into occurrences (report, scheduled_for, state, changed_at) "
                "values (?, ?, ?, ?)",
                [
                    (name, time.isoformat(), "due" if time in kept else "missed", now())
                    for time in times[-MOST_MISSED:]
                ],
            )
            rows.execute(
                "insert into schedules values (?, ?, ?) on conflict do update "
                "set rule = excluded.rule, handled_until = excluded.handled_until",
                (name, rule, moment.astimezone(UTC).isoformat()),
            )
            rows.execute(
                "delete from occurrences where report = ? and scheduled_for < ? "
                "and state not in ('due', 'running')",
                (name, (moment - KEPT).astimezone(UTC).isoformat()),
            )
        return len(times) - len(kept)

    def open(self) -> list[Due]:
        """What is to be made, oldest first."""
        with self._ledger.transaction() as rows:
            found = rows.execute(
                "select report, scheduled_for, attempts from occurrences "
                "where state in ('due', 'running') order by scheduled_for, report"
            ).fetchall()
        return [Due(row[0], datetime.fromisoformat(row[1]), row[2]) for row in found]

    def mark(
        self,
        due: Due,
        state: Literal["due", "running", "done", "failed"],
        attempts: int,
        note: str | None = None,
    ) -> None:
        """Note what became of it."""
        with self._ledger.transaction() as rows:
            rows.execute(
                "update occurrences set state = ?, attempts = ?, changed_at = ?, note = ? "
                "where report = ? and scheduled_for = ?",
                (state, attempts, now(), note, due.report, due.scheduled_for.isoformat()),
            )

    def last(self) -> dict[str, tuple[datetime, str]]:
        """By report, the newest time it was due, and what became of it."""
        with self._ledger.transaction() as rows:
            found = rows.execute("select * from occurrences order by scheduled_for").fetchall()
        return {
            row["report"]: (datetime.fromisoformat(row["scheduled_for"]), row["state"])
            for row in found
        }

    def handled_until(self) -> dict[str, datetime]:
        """By report with a schedule, up to when a scheduler has looked at what is due."""
        with self._ledger.transaction() as rows:
            found = rows.execute("select report, handled_until from schedules").fetchall()
        return {row["report"]: datetime.fromisoformat(row["handled_until"]) for row in found}
