"""What the command line shows: progress on stderr, results on stdout."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, time
from decimal import Decimal
from math import isfinite
from time import monotonic
from typing import Any, Literal, Protocol, TextIO

Format = Literal["table", "csv", "json"]
Row = Sequence[Any]


class Progress(Protocol):
    """Told how far long work has come."""

    def __call__(self, done: int, total: int, what: str = "") -> None: ...


PLAIN_SECONDS = 5.0
"""How long work goes on between two lines where no bar can be drawn."""


@contextmanager
def progress(stream: TextIO | None = None) -> Iterator[Progress]:
    """Shows how far long work has come: a bar on a terminal, a few plain lines elsewhere."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield _plain_lines(stream)
        return

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Bar(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("", total=None)

        def draw(done: int, total: int, what: str = "") -> None:
            bar.update(task, completed=done, total=total, description=printable(what))

        yield draw


def _plain_lines(stream: TextIO) -> Progress:
    last = monotonic()

    def write(done: int, total: int, what: str = "") -> None:
        nonlocal last
        if monotonic() - last >= PLAIN_SECONDS:
            last = monotonic()
            print(f"{done:,} of {total:,} {printable(what)}".rstrip(), file=stream, flush=True)

    return write


def printable(text: str) -> str:
    """The text on one line, with nothing in it that could steer a terminal."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def print_json(document: Any) -> None:
    """Prints one JSON document: money as exact text, days as ISO text, what is not there as null."""
    json.dump(_plain(document), sys.stdout, ensure_ascii=False, indent=2)
    print()


def print_facts(facts: Mapping[str, Any]) -> None:
    """Prints names and values in two columns; a group of facts is indented below its name."""
    rows: list[tuple[str, Any]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            group = [(f"  {key}", item) for key, item in value.items()]
            rows += [(_title(name), None if group else "none"), *group]
        else:
            rows.append((_title(name), value))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        shown = f"{value:,}" if type(value) is int else _cell(value)
        print(f"{printable(name):<{width}}  {shown}".rstrip())


def _title(name: str) -> str:
    return name.replace("_", " ")


def print_rows(names: Sequence[str], rows: Sequence[Row], format: Format = "table") -> None:
    """Prints rows as an aligned table, as CSV or as a JSON list of objects.

    Money is printed exactly, days and times in ISO form, and null as an empty field.
    """
    if format == "json":
        print_json([dict(zip(_unique(names), row, strict=True)) for row in rows])
    elif format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_text(value) for value in row] for row in rows)
    else:
        _print_table(names, rows)


def _print_table(names: Sequence[str], rows: Sequence[Row]) -> None:
    cells = [[printable(name) for name in names], *([_cell(v) for v in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    number = [
        any(isinstance(row[place], int | float | Decimal) for row in rows)
        for place in range(len(names))
    ]
    for row in cells:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, number, strict=True)
        )
        print("  ".join(padded).rstrip())


def _unique(names: Sequence[str]) -> list[str]:
    """The names, a repeated one with a number after it."""
    return [
        f"{name}_{names[:place].count(name)}" if name in names[:place] else name
        for place, name in enumerate(names)
    ]


def _cell(value: Any) -> str:
    return printable(_text(value))


def _text(value: Any) -> str:
    plain = _plain(value)
    if plain is None or isinstance(plain, str):
        return plain or ""
    return json.dumps(plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_plain(item) for item in value]
    return format(value, "f") if isinstance(value, Decimal) else str(value)
