"""The `brewtopia` command: a thin skin over the library.

Every command imports what it needs itself, so that `brewtopia --help` answers at once.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from brewtopia_lib import __version__, open_warehouse
from brewtopia_lib.errors import BrewtopiaError, SourceError, UsageError, explained

if TYPE_CHECKING:
    from brewtopia_lib.ingest import CleanSummary, IngestSummary, LoadSummary
    from brewtopia_lib.reports.batches import ReportRun

FAILURES_SHOWN = 20
START = "explore/00_start_here.ipynb"
QUALITY = ("quality_summary", "quality_files", "mismatched_totals", "look_alikes")

app = typer.Typer(
    name="brewtopia",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

schedule_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(schedule_app, name="schedule", help="What is scheduled; run what is due.")

Uris = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[URI]...", help="Files, folders or s3://…; without one, all raw files."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"brewtopia {__version__}")
        raise typer.Exit


@app.callback()
def brewtopia(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of a failure, with any command.")
    ] = False,
) -> None:
    """From a café chain's till CSVs to trend reports."""


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the CSVs go.")],
    branches: Annotated[int, typer.Option(metavar="N", min=1, help="How many branches.")] = 18,
    days: Annotated[int, typer.Option(metavar="N", min=1, help="How many days of each.")] = 182,
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed gives the same bytes.")] = 1,
    truth: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what was planted, as JSON.")
    ] = None,
    faults: Annotated[bool, typer.Option("--faults", help="Sprinkle in faulty files.")] = False,
) -> None:
    """Write realistic till CSVs with planted trends."""
    from brewtopia_lib.console import progress
    from brewtopia_lib.sample import write_sample

    with progress() as show:
        made = write_sample(
            folder,
            branches=branches,
            days=days,
            seed=seed,
            truth=truth,
            faults=faults,
            progress=show,
        )
    print(
        f"{made.files:,} files, {made.orders:,} orders, {made.lines:,} lines, "
        f"£{made.revenue:,} in {folder}"
    )


@app.command()
def clean(uris: Uris = None, as_json: AsJson = False) -> None:
    """Raw files to the lake: only what is new or changed."""
    from brewtopia_lib.console import progress
    from brewtopia_lib.ingest import clean_raw
    from brewtopia_lib.settings import load_settings

    with progress() as show:
        summary = clean_raw(load_settings(), uris or (), progress=show)
    _tell(summary, as_json)


@app.command()
def load(as_json: AsJson = False) -> None:
    """The lake to the warehouse: only what is not loaded."""
    from brewtopia_lib.console import progress
    from brewtopia_lib.ingest import load_lake
    from brewtopia_lib.settings import load_settings

    with progress() as show:
        summary = load_lake(load_settings(), progress=show)
    _tell(summary, as_json)


@app.command("ingest")
def ingest_command(
    uris: Uris = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail if any row is rejected.")] = False,
    as_json: AsJson = False,
) -> None:
    """Clean, then load."""
    from brewtopia_lib.console import progress
    from brewtopia_lib.ingest import ingest
    from brewtopia_lib.settings import load_settings

    with progress() as show:
        summary = ingest(load_settings(), uris or (), strict=strict, progress=show)
    _tell(summary, as_json)


@app.command()
def quality(as_json: AsJson = False) -> None:
    """What was wrong with the files, and what it is worth."""
    from brewtopia_lib.console import print_json, print_rows
    from brewtopia_lib.queries import load_query

    answers = {}
    with open_warehouse() as warehouse:
        for name in QUALITY:
            columns, rows = warehouse.rows(load_query(name).sql)
            part = name.removeprefix("quality_")
            answers[part] = [dict(zip(columns, map(_in_pence, row), strict=True)) for row in rows]
    if as_json:
        print_json(answers)
        return
    faulty = [file for file in answers["files"] if file["rejected"] or not file["rows"]]
    print(f"{len(faulty):,} of {len(answers['files']):,} files have faults\n")
    for name, found in (answers | {"files": faulty}).items():
        print(f"{name.replace('_', ' ')}{'' if found else ': none'}")
        if found:
            print_rows(list(found[0]), [list(row.values()) for row in found])
        print()


def _in_pence(value: object) -> object:
    return Decimal(f"{value:.2f}") if isinstance(value, float) else value


@app.command()
def sql(
    query: Annotated[str, typer.Argument(metavar="SELECT", help="A query in quotes.")],
    format: Annotated[
        Literal["table", "csv", "json"], typer.Option(help="How the rows are printed.")
    ] = "table",
) -> None:
    """A read-only query on the warehouse."""
    from brewtopia_lib.console import print_rows

    with open_warehouse() as warehouse:
        names, rows = warehouse.rows(query)
    print_rows(names, rows, format)


@app.command("findings")
def findings_command(
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="Last day, as 2024-03-31. [default: newest]")
    ] = None,
    weeks: Annotated[int, typer.Option(metavar="N", min=1, help="How many weeks to look at.")] = 26,
    branch: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Only what concerns this branch.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tested trends and missed revenue, worth most first."""
    until_day = _day(until)

    from brewtopia_lib.console import print_json
    from brewtopia_lib.findings import look
    from brewtopia_lib.pages.scopes import find_scope

    with open_warehouse() as warehouse:
        scope = find_scope(warehouse, until=until_day, weeks=weeks, branch=branch)
        found = look(warehouse, until=scope.until, weeks=weeks, branch=branch)
    if as_json:
        print_json([finding.to_json() for finding in found.findings])
        return
    for number, finding in enumerate(found.findings, start=1):
        print(f"{number}. {finding.sentence}")
        if finding.said.detail:
            print(f"   {finding.said.detail}")
    if not found.findings:
        print("Nothing was found that is surely more than chance.")
    for note in found.notes:
        print(f"\n{note}")


@app.command("forecast")
def forecast_command(
    until: Annotated[
        str | None,
        typer.Option(
            metavar="DATE", help="Last day to learn from, as 2024-03-31. [default: newest]"
        ),
    ] = None,
    days: Annotated[int, typer.Option(metavar="N", min=1, help="How many days to forecast.")] = 14,
    branch: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Only this branch; else all and the chain.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Revenue and orders of the days to come, with intervals."""
    until_day = _day(until)

    from brewtopia_lib.console import print_json
    from brewtopia_lib.forecast import forecast
    from brewtopia_lib.forecast.forecast_words import lines
    from brewtopia_lib.pages.scopes import find_scope

    with open_warehouse() as warehouse:
        scope = find_scope(warehouse, until=until_day, branch=branch)
        made = forecast(warehouse, until=scope.until, days=days, branch=branch)
    if as_json:
        print_json(made.to_json())
        return
    for line in lines(made, branch):
        print(line)


@app.command()
def report(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as company_trends.")],
    branch: Annotated[
        list[str] | None, typer.Option(metavar="BRANCH", help="For this branch; repeatable.")
    ] = None,
    all_branches: Annotated[
        bool, typer.Option("--all-branches", help="One report for each branch.")
    ] = False,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="Last day, as 2024-03-31. [default: newest]")
    ] = None,
    weeks: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="How many weeks to look at.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", metavar="NAME=VALUE", help="A parameter of the report; repeatable."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Reports made at the same time. [default: one a core]"
        ),
    ] = None,
    kernel: Annotated[
        Literal["warm", "cold"] | None,
        typer.Option(help="How notebooks start. [default: warm where that is safe]"),
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Print the pages too, with Chromium.")] = False,
    email: Annotated[bool, typer.Option("--email", help="Mail it to its recipients.")] = False,
    to: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="Mail it here; repeatable.")
    ] = None,
    resend: Annotated[
        bool, typer.Option("--resend", help="Mail again what was, or may have been, sent.")
    ] = False,
) -> None:
    """Make a report, and print the page to open."""
    if branch and all_branches:
        raise UsageError("--branch and --all-branches exclude each other: give one of them")
    if resend and not (email or to):
        raise UsageError("--resend goes with --email or --to")
    until_day = _day(until)
    parameters = dict(_parameter(text) for text in parameter or ())
    addresses = [_address(text) for text in to or ()]
    if email and not addresses:
        from brewtopia_lib.mail.delivery import check_recipients
        from brewtopia_lib.reports.definitions import load_definition

        check_recipients(load_definition(name))

    from brewtopia_lib.console import progress
    from brewtopia_lib.reports import run_report
    from brewtopia_lib.settings import load_settings

    with progress() as show:
        runs = run_report(
            load_settings(),
            name,
            branches=branch,
            all_branches=all_branches,
            until=until_day,
            weeks=weeks,
            parameters=parameters,
            workers=workers,
            kernel=kernel,
            pdf=pdf,
            progress=show,
        )
    for run in runs:
        if not run.error:
            print(run.address)
    failures = [
        f"{run.name} for {run.branch or 'the whole chain'} could not be made: {run.error}"
        + (f"; see {run.archived}" if run.archived else "")
        for run in runs
        if run.error
    ]
    if email or addresses:
        failures += _mail(name, runs, addresses, resend)
    _fail_if(failures)


def _mail(
    name: str, runs: "Sequence[ReportRun]", addresses: Sequence[str], resend: bool
) -> list[str]:
    """Mail the pages, print who has what, and give what failed."""
    from brewtopia_lib.mail.delivery import deliver, report_failures
    from brewtopia_lib.reports.definitions import load_definition
    from brewtopia_lib.settings import load_settings

    settings, definition = load_settings(), load_definition(name)
    sent = deliver(settings, definition, runs, to=addresses, resend=resend)
    sent += report_failures(settings, definition, runs, sent)
    said = {"sent": "mailed to", "already": "was mailed before to"}
    for one in sent:
        if one.state in said:
            print(f"{one.what} {said[one.state]} {one.recipient}")
    return [
        f"{one.what} was not mailed to {one.recipient}: {one.error}"
        + (f"; to try again: {one.command}" if one.command else "")
        for one in sent
        if one.state not in said
    ]


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
    _fail_if([entry.error for entry in found if entry.error])


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
    _fail_if([f"{one.report}: {one.note}" for one in outcomes if one.is_failed])


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


@app.command("new-feed")
def new_feed_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A till file no feed takes yet.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The feed's name. [default: the file's]")
    ] = None,
) -> None:
    """Propose a feed for a till file of an unknown layout."""
    from brewtopia_lib.desk.proposals import new_feed

    print(new_feed(file, name).toml, end="")


@app.command("new-report")
def new_report_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as slow_days.")],
) -> None:
    """Make a report's notebook and definition from a template."""
    from brewtopia_lib.desk.new_report import new_report

    for path in new_report(name):
        print(path)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="[OPTION]...", help="For JupyterLab, such as --no-browser."),
    ] = None,
) -> None:
    """Open JupyterLab on the notebook to start from."""
    from brewtopia_lib.settings import project_folder

    notebooks = project_folder() / "notebooks"
    if not (notebooks / START).is_file():
        raise SourceError(
            f"there is no notebook {notebooks / START}: run brewtopia lab inside the checkout",
            source=str(notebooks),
        )
    # notebooks find the command, and their kernel is this Python, wherever they were started from
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    arguments = [
        "--KernelSpecManager.kernel_dirs=[]",
        f"--ServerApp.root_dir={notebooks}",
        f"--LabApp.default_url=/lab/tree/{START}",
        *(options or ()),
    ]
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *arguments])


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text is not None else None
    except ValueError:
        raise UsageError(f"{text!r} is no date: write it as in 2024-03-31") from None


def _address(text: str) -> str:
    from brewtopia_lib.reports.definitions import mail_address

    try:
        return mail_address(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UsageError(f"-p {text!r} is no parameter: write it as in -p name=value")
    return name, value


def _tell(summary: "CleanSummary | LoadSummary | IngestSummary", as_json: bool) -> None:
    from brewtopia_lib.console import print_facts, print_json

    facts = summary.to_json()
    if as_json:
        print_json(facts)
    else:
        facts.pop("failed", None)  # each has its own line on stderr
        print_facts(facts)
    _fail_if([why for _, why in summary.failures])


def _fail_if(failures: Sequence[str]) -> None:
    """A line on stderr for each thing that failed, up to a screenful, and exit code 1."""
    for why in failures[:FAILURES_SHOWN]:
        _say(why)
    if len(failures) > FAILURES_SHOWN:
        _say(f"and {len(failures) - FAILURES_SHOWN:,} more failed")
    if failures:
        raise typer.Exit(1)


def _say(message: str) -> None:
    from brewtopia_lib.console import printable

    print(f"brewtopia: {printable(message.strip())}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 1 it failed, 2 wrong usage, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in given:  # it may stand after the command too
        given = ["--debug", *(argument for argument in given if argument != "--debug")]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # files and pipes get UTF-8 whatever the locale
            stream.reconfigure(
                encoding=None if stream.isatty() else "utf-8", errors="backslashreplace"
            )
    try:
        try:
            app(given)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - here every failure becomes one line
        if "--debug" in given:
            traceback.print_exc()
        _say(explained(error))
        sys.exit(error.exit_code if isinstance(error, BrewtopiaError) else 1)
    raise AssertionError("a command line always exits")


if __name__ == "__main__":
    main()
