"""What every command shares: the app, common options, and how results and failures are told."""

import sys
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from brewtopia_lib import __version__
from brewtopia_lib.errors import UsageError

if TYPE_CHECKING:
    from brewtopia_lib.ingest import CleanSummary, IngestSummary, LoadSummary

FAILURES_SHOWN = 20

app = typer.Typer(
    name="brewtopia",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

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


def parse_day(text: str | None) -> date | None:
    """A day given as text, None where none is given; raises UsageError for what is none."""
    try:
        return date.fromisoformat(text) if text is not None else None
    except ValueError:
        raise UsageError(f"{text!r} is no date: write it as in 2024-03-31") from None


def tell_summary(summary: "CleanSummary | LoadSummary | IngestSummary", as_json: bool) -> None:
    """Print what came of it, with a line on stderr for each thing that failed, and exit code 1."""
    from brewtopia_lib.console import print_facts, print_json

    facts = summary.to_json()
    if as_json:
        print_json(facts)
    else:
        facts.pop("failed", None)  # each has its own line on stderr
        print_facts(facts)
    fail_if([why for _, why in summary.failures])


def fail_if(failures: Sequence[str]) -> None:
    """A line on stderr for each thing that failed, up to a screenful, and exit code 1."""
    for why in failures[:FAILURES_SHOWN]:
        say(why)
    if len(failures) > FAILURES_SHOWN:
        say(f"and {len(failures) - FAILURES_SHOWN:,} more failed")
    if failures:
        raise typer.Exit(1)


def say(message: str) -> None:
    """One line on stderr."""
    from brewtopia_lib.console import printable

    print(f"brewtopia: {printable(message.strip())}", file=sys.stderr)
