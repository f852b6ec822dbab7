"""Delivery of reports: who is sent what, each once, and owners what failed."""

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from threading import Event
from urllib.parse import quote

from brewtopia_lib.errors import ParameterError
from brewtopia_lib.formats import one_line, printable, without_colours
from brewtopia_lib.mail.digests import read_digest
from brewtopia_lib.mail.messages import (
    Attachment,
    Envelope,
    Failure,
    failure_message,
    report_message,
)
from brewtopia_lib.mail.sending import Delivery, Letter, send
from brewtopia_lib.reports.batches import ReportRun
from brewtopia_lib.reports.definitions import Definition
from brewtopia_lib.reports.publishing import name_of
from brewtopia_lib.reports.redaction import redacted, redacted_all, secrets_of
from brewtopia_lib.reports.runs import SendKey, as_text
from brewtopia_lib.settings import Settings

TRACEBACK_LINES = 25
CONTEXT = re.compile(r" +\d+( |$)")
"""The lines of code around the one that a traceback is about."""
PERIODS = ("until", "scheduled_for")


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
        for run in _tellable(runs, secrets_of(settings))
        if run.page and run.notebook
        for recipient in (to or _recipients(definition, run.branch))
    ]
    return send(settings, letters, resend=resend, stop=stop)


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
        Failure(
            run.title,
            one_line(redacted(run.error, secrets)),
            rerun_command(run),
            _traceback(run, secrets),
        )
        for run in _tellable(runs, secrets)
        if run.error
    ]
    failures += [
        Failure(f"{one.what} to {one.recipient}", one.error or "", one.command)
        for one in deliveries
        if one.state in ("held", "failed")
    ]
    failures = [*_each_traceback_once(failures), *others]
    if not failures or not definition.owners:
        return []
    told = as_text({"failures": [[one.what, one.why] for one in failures]})
    digest = hashlib.sha256(told.encode()).hexdigest()
    period = next((_period(run) for run in runs), f"{datetime.now(UTC):%Y-%m-%d}")
    title = f"{definition.title}: what failed"

    def build(envelope: Envelope, _: int) -> EmailMessage:
        return failure_message(failures, title, envelope)

    letters = [
        Letter(
            SendKey(definition.name, as_text({"failures": digest}), period, owner), title, build, ""
        )
        for owner in dict.fromkeys(definition.owners)
    ]
    return send(settings, letters, resend=False, stop=stop)


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


def _tellable(runs: Sequence[ReportRun], secrets: Sequence[str]) -> list[ReportRun]:
    """The runs with parameters that may be told: to the ledger, and as commands in mails."""
    return [replace(run, parameters=redacted_all(run.parameters, secrets)) for run in runs]


def _recipients(definition: Definition, branch: str | None) -> list[str]:
    """Whom a page goes to, each once."""
    own = [
        address
        for name, addresses in definition.branch_recipients.items()
        if branch is not None and name.casefold() == branch.casefold()
        for address in addresses
    ]
    return list(dict.fromkeys([*definition.recipients, *own]))


def _letter(settings: Settings, definition: Definition, run: ReportRun, recipient: str) -> Letter:
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
    return Letter(key, run.title, build, again, tuple(definition.owners[:1]))


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
        for line in redacted(without_colours(part), secrets).splitlines()
    ]
    told = [line for line in lines if not CONTEXT.match(line)]
    return "\n".join(printable(line)[:200] for line in told[-TRACEBACK_LINES:])


def _each_traceback_once(failures: Iterable[Failure]) -> Iterator[Failure]:
    """The failures, where the traceback of an earlier one is named and not told again."""
    first: dict[str, str] = {}
    for one in failures:
        what = first.setdefault(one.traceback, one.what)
        is_told = one.traceback and what != one.what
        yield replace(one, traceback=f"The traceback is that of {what}.") if is_told else one
