"""Commands for whoever keeps it running."""

import sys
from datetime import datetime
from io import TextIOWrapper
from typing import Annotated

import typer

from brewtopia_lib.cli.app import AsJson, app, fail_if
from brewtopia_lib.errors import BrewtopiaError

schedule_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

app.add_typer(schedule_app, name="schedule", help="What is scheduled; run what is due.")


@schedule_app.command("list")
def schedule_list(as_json: AsJson = False) -> None:
    """Every schedule, with when it is due next and what became of it last."""
    from datetime import UTC

    from brewtopia_lib.console import print_json, print_rows
    from brewtopia_lib.reports.runs import Ledger
    from brewtopia_lib.schedule.agenda import Agenda, entries
    from brewtopia_lib.settings import load_settings

    last = Agenda(Ledger(load_settings().runs)).last()
    found = entries()
    columns = ("report", "cron", "time zone", "next", "last", "state")
    rows = []
    for entry in found:
        if entry.timing:
            soonest = next(entry.timing.times.after(datetime.now(UTC)), None)
            moment, state = last.get(entry.name, (None, None))
            rows.append(
                (entry.name, entry.timing.cron, entry.timing.time_zone, soonest, moment, state)
            )
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif rows:
        print_rows(columns, rows)
    else:
        print("no report has a schedule")
    fail_if([entry.error for entry in found if entry.error])


@schedule_app.command("next")
def schedule_next(
    count: Annotated[int, typer.Option(metavar="N", min=1, help="How many times to show.")] = 10,
) -> None:
    """The times at which reports are due next."""
    from datetime import UTC
    from itertools import islice

    from brewtopia_lib.schedule.agenda import upcoming

    for moment, name in islice(upcoming(datetime.now(UTC)), count):
        print(f"{moment:%a} {moment.isoformat(timespec='minutes')}  {name}")


Workers = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Reports made at the same time. [default: one a core]"),
]


@schedule_app.command("due")
def schedule_due(workers: Workers = None) -> None:
    """Make and mail once what is due: for cron, a systemd timer or EventBridge."""
    from brewtopia_lib.schedule import Scheduler
    from brewtopia_lib.settings import load_settings

    scheduler = Scheduler(load_settings(), workers=workers)
    with scheduler.stopping():
        outcomes = scheduler.run_due()
    fail_if([f"{one.report}: {one.note}" for one in outcomes if one.is_failed])


@schedule_app.command("run")
def schedule_run(workers: Workers = None) -> None:
    """Make and mail what is due whenever it is, until told to end."""
    from brewtopia_lib.schedule import Scheduler
    from brewtopia_lib.settings import load_settings

    Scheduler(load_settings(), workers=workers, say=_tell_now).keep_running()


def _tell_now(text: str) -> None:
    print(text, flush=True)


@app.command("status")
def status_command(
    as_json: AsJson = False,
    page: Annotated[
        bool, typer.Option("--page", help="Write it as a page beside the gallery, too.")
    ] = False,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Print metrics for CloudWatch, and nothing else.")
    ] = False,
) -> None:
    """How the pipeline is: last files, rejects, reports and mails that failed."""
    from brewtopia_lib.console import print_json, print_rows
    from brewtopia_lib.settings import load_settings
    from brewtopia_lib.status import pipeline_status, publish_status, tell_status

    settings = load_settings()
    status = pipeline_status(settings)
    if page:
        publish_status(settings, status)
    if metrics:
        tell_status(status)
        return
    if as_json:
        print_json(status.to_json())
        return
    names = ("branch", "last day", "last file at", "due by", "state")
    rows = [
        (one.branch, one.last_day, _minute(one.last_file_at), _minute(one.due_at), one.state)
        for one in status.branches
    ]
    print_rows(names, rows)
    print()
    for problem in status.problems or ["everything is as it should be"]:
        print(problem)


def _minute(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else None


@app.command("worker")
def worker_command(
    once: Annotated[
        bool, typer.Option("--once", help="End when no message waits any more.")
    ] = False,
) -> None:
    """Take S3's notices of uploads from SQS, and ingest each file."""
    from brewtopia_lib.events.worker import Worker
    from brewtopia_lib.settings import load_settings

    if isinstance(sys.stdout, TextIOWrapper):  # a log is read while it is written
        sys.stdout.reconfigure(line_buffering=True)
    worker = Worker(load_settings())
    worker.run(once=once)
    if once and worker.failed:
        raise BrewtopiaError(
            f"{worker.failed} messages failed, as the log above says: they come again until the "
            "queue gives them up"
        )


@app.command()
def doctor() -> None:
    """Check every configured part, and say how to mend what is broken."""
    from brewtopia_lib.doctor import examine

    broken = 0
    for finding in examine():
        print(finding)
        broken += finding.is_broken
    if broken:
        raise BrewtopiaError(f"{broken} of the parts above must be mended")
