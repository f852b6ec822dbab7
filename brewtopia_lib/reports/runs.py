"""The ledger of runs and mails: one SQLite file that says what was made, and who was sent it."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from brewtopia_lib.errors import LedgerError

SendState = Literal["sending", "sent", "held", "failed"]

WAIT_SECONDS = 30.0
SCHEMA = """
create table if not exists runs (
    run integer primary key,
    report text not null,
    branch text,
    parameters text not null,
    scheduled_for text,
    first_day text not null,
    until text not null,
    state text not null check (state in ('running', 'done', 'failed', 'interrupted')),
    started_at text not null,
    seconds real,
    page text,
    error text
);
create table if not exists summaries (
    run integer primary key references runs,
    summary text not null
);
create table if not exists sends (
    report text not null,
    parameters text not null,
    period text not null,
    recipient text not null,
    message_id text not null,
    state text not null check (state in ('sending', 'sent', 'held', 'failed')),
    attempts integer not null,
    changed_at text not null,
    error text,
    primary key (report, parameters, period, recipient)
);
create table if not exists schedules (
    report text primary key,
    rule text not null,
    handled_until text not null
);
create table if not exists occurrences (
    report text not null,
    scheduled_for text not null,
    state text not null check (state in ('due', 'running', 'done', 'failed', 'missed')),
    attempts integer not null default 0,
    changed_at text not null,
    note text,
    primary key (report, scheduled_for)
);
"""


class SendKey(NamedTuple):
    """What goes out once: a report with these parameters, for this period, to this address."""

    report: str
    parameters: str
    period: str
    recipient: str


@dataclass(frozen=True)
class Run:
    """One page as it was asked for: what, with which parameters, for when, over which days."""

    report: str
    branch: str | None
    parameters: Mapping[str, Any]
    scheduled_for: datetime | None
    first_day: date
    until: date


class Ledger:
    """The ledger in a SQLite file, which is made when it is first written to.

    Any number of threads and processes of one machine may use it at once. Raises LedgerError
    where the file cannot be used.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._is_ready = False

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction to read and write in: all of it or nothing, one at a time."""
        with self._explained():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(_connect(self._path, WAIT_SECONDS)) as connection:
                if not self._is_ready:
                    connection.executescript(SCHEMA)
                    self._is_ready = True
                connection.execute("begin immediate")
                yield connection
                connection.execute("commit")  # otherwise closing rolls it back

    @contextmanager
    def alone(self, work: str, wait_seconds: float = 0) -> Iterator[bool]:
        """Whether `work` is ours until the end of the block: of all processes, one has it.

        A process that dies gives it up, so whatever work the ledger then shows as begun was cut
        short. Waits up to `wait_seconds` for it.
        """
        with self._explained():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = _connect(self._path.with_name(f"{self._path.name}.{work}"), wait_seconds)
        with closing(lock):
            with self._explained():
                is_ours = _is_locked(lock)
            yield is_ours

    def begin_run(self, run: Run) -> int:
        """Notes that a page is being made, and gives the number of the run.

        An earlier run of the same that never ended was interrupted.
        """
        same = (run.report, as_text(run.parameters), _moment(run.scheduled_for))
        with self.transaction() as rows:
            rows.execute(
                "update runs set state = 'interrupted' where state = 'running' and report = ? "
                "and parameters = ? and scheduled_for is ?",
                same,
            )
            begun = rows.execute(
                "insert into runs (report, parameters, scheduled_for, branch, first_day, until, "
                "state, started_at) values (?, ?, ?, ?, ?, ?, 'running', ?)",
                (*same, run.branch, f"{run.first_day}", f"{run.until}", now()),
            )
            return int(begun.lastrowid or 0)

    def end_run(
        self,
        number: int,
        state: Literal["done", "failed"],
        seconds: float,
        page: Path | None,
        error: str | None,
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Notes how a run ended; `page` says why where it failed, `summary` is for the gallery."""
        with self.transaction() as rows:
            rows.execute(
                "update runs set state = ?, seconds = ?, page = ?, error = ? where run = ?",
                (state, round(seconds, 3), None if page is None else str(page), error, number),
            )
            if summary:
                rows.execute(
                    "insert or replace into summaries values (?, ?)", (number, as_text(summary))
                )

    def runs(self) -> list[dict[str, Any]]:
        """Every run kept, newest first, as the table has them.

        `parameters` is a mapping, and so is `summary`, empty where there is none.
        """
        with self.transaction() as rows:
            found = rows.execute(
                "select runs.*, summary from runs left join summaries using (run) order by run desc"
            ).fetchall()
        return [
            dict(row) | {name: json.loads(row[name] or "{}") for name in ("parameters", "summary")}
            for row in found
        ]

    def forget_runs(self, report: str, branch: str | None, kept: int) -> None:
        """Keep the newest `kept` runs of a report and branch, and what has begun since; no older."""
        with self.transaction() as rows:
            rows.execute(
                "delete from runs where report = ?1 and branch is ?2 and run < ("
                "select run from runs where report = ?1 and branch is ?2 "
                "and state in ('done', 'failed') order by run desc limit 1 offset ?3)",
                (report, branch, kept - 1),
            )
            rows.execute("delete from summaries where run not in (select run from runs)")

    def begin_send(
        self, key: SendKey, message_id: str, *, again: bool = False, repeatable: bool = False
    ) -> SendState:
        """Whether to send a message now: only if this gives `sending`, which is then noted.

        What was sent is not sent again. A message that a dead process was sending may have
        arrived or not: it is held, unless sending is `repeatable` without harm. `again` sends
        both. To be called only while the mail is ours alone.
        """
        with self.transaction() as rows:
            known = rows.execute(f"select state from sends where {_SAME}", key).fetchone()
            state: SendState = known["state"] if known else "failed"
            if state == "sending":
                state = "held"
            if again or state == "failed" or (state == "held" and repeatable):
                state = "sending"
            rows.execute(
                "insert into sends values (?, ?, ?, ?, ?, ?, 1, ?, null) on conflict do update "
                "set state = excluded.state, attempts = attempts + (excluded.state = 'sending'), "
                "changed_at = iif(state = excluded.state, changed_at, excluded.changed_at)",
                (*key, message_id, state, now()),
            )
            return state

    def send_state(self, key: SendKey) -> SendState | None:
        """What the ledger knows of a message; None where it knows nothing."""
        with self.transaction() as rows:
            known = rows.execute(f"select state from sends where {_SAME}", key).fetchone()
            return known["state"] if known else None

    def end_send(self, key: SendKey, state: SendState, error: str | None = None) -> None:
        """Notes what became of a message that was being sent."""
        with self.transaction() as rows:
            rows.execute(
                f"update sends set state = ?, error = ?, changed_at = ? where {_SAME}",
                (state, error, now(), *key),
            )

    def sends(self) -> list[dict[str, Any]]:
        """Every message known, as the table has them, in the order of their last change."""
        with self.transaction() as rows:
            found = rows.execute("select * from sends order by changed_at, recipient, parameters")
            return [dict(row) for row in found]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(
                f"the ledger of runs {self._path} cannot be used ({error}): "
                "set BREWTOPIA_RUNS to a file that can be written"
            ) from error


_SAME = "report = ? and parameters = ? and period = ? and recipient = ?"


def as_text(values: Mapping[str, Any]) -> str:
    """Parameters as one text, the same for the same values."""
    return json.dumps(dict(values), sort_keys=True, ensure_ascii=False, default=str)


def now() -> str:
    """This moment as the ledger writes it: in UTC, to be sorted as text."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat()


def _connect(path: Path, wait_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=wait_seconds, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def _is_locked(lock: sqlite3.Connection) -> bool:
    """Whether the file is now locked by this connection, until it is closed."""
    try:
        lock.execute("begin exclusive")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True
