"""Commands on till files, lake and warehouse."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import typer

from brewtopia_lib import open_warehouse
from brewtopia_lib.cli.app import AsJson, app, tell_summary

QUALITY = ("quality_summary", "quality_files", "mismatched_totals", "look_alikes")

Uris = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[URI]...", help="Files, folders or s3://…; without one, all raw files."
    ),
]


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
    tell_summary(summary, as_json)


@app.command()
def load(as_json: AsJson = False) -> None:
    """The lake to the warehouse: only what is not loaded."""
    from brewtopia_lib.console import progress
    from brewtopia_lib.ingest import load_lake
    from brewtopia_lib.settings import load_settings

    with progress() as show:
        summary = load_lake(load_settings(), progress=show)
    tell_summary(summary, as_json)


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
    tell_summary(summary, as_json)


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
