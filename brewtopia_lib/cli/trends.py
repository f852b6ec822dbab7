"""Commands on what the data say: findings, forecasts and reports."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from brewtopia_lib import open_warehouse
from brewtopia_lib.cli.app import AsJson, app, fail_if, parse_day
from brewtopia_lib.errors import UsageError

if TYPE_CHECKING:
    from brewtopia_lib.reports.batches import ReportRun


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
    until_day = parse_day(until)

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
    until_day = parse_day(until)

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
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Such as company_trends; several are made together."),
    ],
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
    """Make reports, and print the pages to open."""
    if branch and all_branches:
        raise UsageError("--branch and --all-branches exclude each other: give one of them")
    if resend and not (email or to):
        raise UsageError("--resend goes with --email or --to")
    until_day = parse_day(until)
    parameters = dict(_parameter(text) for text in parameter or ())
    addresses = [_address(text) for text in to or ()]
    if email and not addresses:
        from brewtopia_lib.mail.delivery import check_recipients
        from brewtopia_lib.reports.definitions import load_definition

        for name in names:
            check_recipients(load_definition(name))

    from brewtopia_lib.console import progress
    from brewtopia_lib.reports import run_report
    from brewtopia_lib.settings import load_settings

    with progress() as show:
        runs = run_report(
            load_settings(),
            names,
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
        for name in dict.fromkeys(names):
            own = [run for run in runs if run.name == name]
            failures += _mail(name, own, addresses, resend)
    fail_if(failures)


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
