"""Delivery of reports: who is sent what, each once, and owners what failed."""

import hashlib
import json
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from threading import Event
from typing import Literal
from urllib.parse import quote

from brewtopia_lib.definitions import Definition
from brewtopia_lib.errors import MailError, MailUnavailableError, MailUncertainError, ParameterError
from brewtopia_lib.formats import printable
from brewtopia_lib.messages import (
    Attachment,
    Envelope,
    Failure,
    failure_message,
    read_digest,
    report_message,
)
from brewtopia_lib.publishing import name_of
from brewtopia_lib.redaction import redacted, secrets_of
from brewtopia_lib.reports import ReportRun
from brewtopia_lib.runs import Ledger, SendKey, as_text
from brewtopia_lib.settings import Settings
from brewtopia_lib.transports import find_transport

PAUSES_SECONDS: tuple[float, ...] = (0, 10, 30, 90, 270)
"""How long each attempt waits after the one before it, when the mail server is not to be had."""
TRACEBACK_LINES = 25
HELD = "it was being sent when its sender stopped: it may have arrived or not"
PERIODS = ("until", "scheduled_for")


@dataclass(frozen=True)
class Delivery:
    """What became of one mail; `already` was sent by an earlier delivery."""

    what: str
    recipient: str
    state: Literal["sent", "already", "held", "failed"]
    error: str | None = None
    command: str = ""


@dataclass(frozen=True)
class _Letter:
    """One mail to send: its identity, how it is built when its turn comes, and how to repeat it."""

    key: SendKey
    what: str
    build: Callable[[Envelope, int], EmailMessage]
    command: str
    reply_to: tuple[str, ...] = ()


def check_recipients(definition: Definition) -> None:
    """Raises ParameterError for a report that names nobody to mail it to."""
    if not (definition.recipients or definition.branch_recipients):
        raise ParameterError(
            f"report {definition.name} has no recipients: name them in "
            f'reports/{definition.name}.toml, as in recipients = ["name@example.org"]'
        )


def deliver(
    settings: Settings,
    definition: Definition,
    runs: Sequence[ReportRun],
    *,
    to: Sequence[str] = (),
    resend: bool = False,
    stop: Event | None = None,
) -> list[Delivery]:
    """Mail each page that was made to its recipients, or to the addresses `to` instead.

    The same report with the same parameters goes to an address once for each period: what the
    ledger knows as sent is left alone, and what may have been sent is held. `resend` sends both.
    A mail server that is not to be had is tried again with growing pauses; `stop` ends that.
    """
    letters = [
        _letter(settings, definition, run, recipient)
        for run in runs
        if run.page and run.notebook
        for recipient in (to or _recipients(definition, run.branch))
    ]
    return _send(settings, letters, resend=resend, stop=stop)


def report_failures(
    settings: Settings,
    definition: Definition,
    runs: Sequence[ReportRun],
    deliveries: Sequence[Delivery] = (),
    *,
    others: Sequence[Failure] = (),
    stop: Event | None = None,
) -> list[Delivery]:
    """Mail the owners of a report one digest of what failed, if anything did.

    Each failure comes with the command to run again; tracebacks are without secrets.
    """
    secrets = secrets_of(settings)
    failures = [
        Failure(run.title, _plain(run.error, secrets), rerun_command(run), _traceback(run, secrets))
        for run in runs
        if run.error
    ]
    failures += [
        Failure(f"{one.what} to {one.recipient}", one.error or "", one.command)
        for one in deliveries
        if one.state in ("held", "failed")
    ]
    failures += others
    if not failures or not definition.owners:
        return []
    told = as_text({"failures": [[one.what, one.why] for one in failures]})
    digest = hashlib.sha256(told.encode()).hexdigest()
    period = next((_period(run) for run in runs), f"{datetime.now(UTC):%Y-%m-%d}")
    title = f"{definition.title}: what failed"

    def build(envelope: Envelope, _: int) -> EmailMessage:
        return failure_message(failures, title, envelope)

    letters = [
        _Letter(
            SendKey(definition.name, as_text({"failures": digest}), period, owner), title, build, ""
        )
        for owner in dict.fromkeys(definition.owners)
    ]
    return _send(settings, letters, resend=False, stop=stop)


def unknown_branches(definition: Definition, known: Iterable[str]) -> list[Failure]:
    """The branches that recipients are named for, and that there are no sales of."""
    folded = {name.casefold() for name in known}
    return [
        Failure(
            f"Recipients of {name}",
            f"there are no sales of a branch {name}: nobody was mailed for it",
            f"mend [branch_recipients] in reports/{definition.name}.toml",
        )
        for name in definition.branch_recipients
        if name.casefold() not in folded
    ]


def rerun_command(run: ReportRun, *more: str) -> str:
    """The command that makes this page again, for the same period, and mails it."""
    command = ["brewtopia", "report", run.name]
    given = {key: value for key, value in run.parameters.items() if key != "scheduled_for"}
    if run.branch and "branch" in given:
        command += ["--branch", run.branch]
        del given["branch"]
    if run.scheduled_for:
        given["scheduled_for"] = run.scheduled_for.isoformat()
    for key, value in given.items():
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        command += ["-p", f"{key}={text}"]
    return shlex.join([*command, "--email", *more])


def _recipients(definition: Definition, branch: str | None) -> list[str]:
    """Whom a page goes to, each once."""
    own = [
        address
        for name, addresses in definition.branch_recipients.items()
        if branch is not None and name.casefold() == branch.casefold()
        for address in addresses
    ]
    return list(dict.fromkeys([*definition.recipients, *own]))


def _letter(settings: Settings, definition: Definition, run: ReportRun, recipient: str) -> _Letter:
    page, notebook = run.page, run.notebook
    assert page, notebook

    def build(envelope: Envelope, largest_bytes: int) -> EmailMessage:
        files = {"page": (page, ("text", "html")), "notebook": (notebook, ("application", "json"))}
        attachments = [
            Attachment(path.name, path.read_bytes(), kind)
            for path, kind in (files[name] for name in dict.fromkeys(definition.attachments))
            if path
        ]
        executed = json.loads(Path(str(notebook)).read_text(encoding="utf-8"))
        return report_message(
            read_digest(executed, run.title, run.notice),
            envelope,
            report=definition.name,
            attachments=attachments,
            link=_link(settings, run.address or str(page)),
            largest_bytes=largest_bytes,
        )

    parameters = {key: value for key, value in run.parameters.items() if key not in PERIODS}
    key = SendKey(run.name, as_text(parameters), _period(run), recipient)
    again = rerun_command(run, "--resend", "--to", recipient)
    return _Letter(key, run.title, build, again, tuple(definition.owners[:1]))


def _period(run: ReportRun) -> str:
    """The time a run was for, or else the last day it covers."""
    if run.scheduled_for:
        return run.scheduled_for.astimezone(UTC).isoformat()
    return f"{run.until}"


def _link(settings: Settings, address: str) -> str | None:
    """Where the page can be opened in a browser."""
    if not settings.reports_url:
        return None
    return f"{settings.reports_url.rstrip('/')}/{quote(name_of(settings.reports, address))}"


def _send(
    settings: Settings, letters: Sequence[_Letter], *, resend: bool, stop: Event | None
) -> list[Delivery]:
    """Send what is to be sent, in several attempts if need be."""
    batch = _Batch(settings, resend, stop or Event())
    waiting = [letter for letter in letters if not batch.is_sent(letter)]
    for pause in PAUSES_SECONDS if waiting else ():
        if batch.stop.wait(pause):
            break
        waiting = batch.attempt(waiting)
        if not waiting:
            break
    stopped = "the work was stopped before it was sent"
    return [batch.ended.get(one.key) or _ended(one, "failed", stopped) for one in letters]


class _Batch:
    """Mails that go out together, and what became of each; the ledger knows before and after."""

    def __init__(self, settings: Settings, resend: bool, stop: Event) -> None:
        self.ended: dict[SendKey, Delivery] = {}
        self.stop = stop
        self._sender = settings.mail_from
        self._resend = resend
        self._ledger = Ledger(settings.runs)
        self._transport = find_transport(settings.mail)
        self._secrets = secrets_of(settings)

    def is_sent(self, letter: _Letter) -> bool:
        """Whether an earlier batch sent it, so that there is nothing to do."""
        is_sent = not self._resend and self._ledger.send_state(letter.key) == "sent"
        if is_sent:
            self.ended[letter.key] = _ended(letter, "already")
        return is_sent

    def attempt(self, letters: Sequence[_Letter]) -> list[_Letter]:
        """Send the letters as far as that goes, and give those worth trying again."""
        while not self.stop.is_set():
            with self._ledger.alone("mail", 1.0) as is_ours:
                if is_ours:
                    return self._connected(letters)
        return []

    def _connected(self, letters: Sequence[_Letter]) -> list[_Letter]:
        waiting, later = list(letters), []
        try:
            with self._transport:
                while waiting and not self.stop.is_set():
                    letter = waiting.pop(0)
                    if self._is_worth_another(letter):
                        later.append(letter)
        except MailError as error:  # there is no connection: none of them left
            for letter in waiting:
                if self._is_begun(letter):
                    self._note(letter, "failed", error)
            return waiting if isinstance(error, MailUnavailableError) else []
        return later

    def _is_worth_another(self, letter: _Letter) -> bool:
        """Send one letter; whether it did not leave for a reason that may pass."""
        envelope = Envelope(
            self._sender,
            letter.key.recipient,
            _message_id(letter.key, self._sender),
            datetime.now(UTC),
            letter.reply_to,
        )
        try:
            message = letter.build(envelope, self._transport.largest_bytes)
        except Exception as error:  # noqa: BLE001 - the other mails go out
            self._note(letter, "failed", error)
            return False
        if not self._is_begun(letter):
            return False
        try:
            self._transport.send(message, self._sender, letter.key.recipient)
        except MailUncertainError as error:
            self._note(letter, "held", error)
        except MailError as error:
            self._note(letter, "failed", error)
            return isinstance(error, MailUnavailableError)
        else:
            self._ledger.end_send(letter.key, "sent")
            self.ended[letter.key] = _ended(letter, "sent")
        return False

    def _is_begun(self, letter: _Letter) -> bool:
        """Whether the ledger has the letter as being sent now; otherwise it is not to be."""
        state = self._ledger.begin_send(
            letter.key,
            _message_id(letter.key, self._sender),
            again=self._resend,
            repeatable=self._transport.is_repeatable,
        )
        if state == "sent":
            self.ended[letter.key] = _ended(letter, "already")
        elif state == "held":
            self.ended[letter.key] = _ended(letter, "held", HELD)
        return state == "sending"

    def _note(self, letter: _Letter, state: Literal["held", "failed"], error: Exception) -> None:
        why = _plain(str(error) or type(error).__name__, self._secrets)
        self._ledger.end_send(letter.key, state, why)
        self.ended[letter.key] = _ended(letter, state, why)


def _ended(
    letter: _Letter,
    state: Literal["sent", "already", "held", "failed"],
    error: str | None = None,
) -> Delivery:
    return Delivery(letter.what, letter.key.recipient, state, error, letter.command)


def _message_id(key: SendKey, sender: str) -> str:
    """The same for the same mail, so that a receiver can tell a repeated one."""
    digest = hashlib.sha256("\n".join(key).encode()).hexdigest()
    name = re.sub("[^a-z0-9]+", "-", key.report.lower()).strip("-")[:40]
    return f"<{name}.{digest[:32]}@{sender.rpartition('@')[2]}>"


def _plain(text: str | None, secrets: Sequence[str]) -> str:
    """The text on one line, without terminal colours and secrets."""
    return " ".join(redacted(re.sub(r"\x1b\[[0-9;]*m", "", text or ""), secrets).split())


def _traceback(run: ReportRun, secrets: Sequence[str]) -> str:
    """The end of the traceback of a run that failed; nothing where there is none."""
    if not (run.notebook and run.notebook.is_file()):
        return ""
    notebook = json.loads(run.notebook.read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    lines = [
        line
        for output in outputs
        if output["output_type"] == "error"
        for part in output["traceback"]
        for line in redacted(re.sub(r"\x1b\[[0-9;]*m", "", part), secrets).splitlines()
    ]
    return "\n".join(printable(line)[:200] for line in lines[-TRACEBACK_LINES:])
