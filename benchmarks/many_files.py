"""Many branch-day files to lake and warehouse, and one more after them."""

import itertools
import shutil
from functools import partial
from pathlib import Path

from benchmarks.data import write_till_files
from benchmarks.measure import Figure, Taken, at_most, interleaved, median, ratio, timed
from benchmarks.others import copy_with_duckdb
from brewtopia_lib.ingest import IngestSummary, ingest
from brewtopia_lib.settings import Settings
from brewtopia_lib.warehouse import open_warehouse


def run(folder: Path, *, real: bool, scale: float, rounds: int) -> list[Figure]:
    files = write_till_files(
        folder / "files", branches=18, days=max(3, round(170 * scale)), real=real
    )
    later = [file.replace(folder / file.name) for file in files[-2 * rounds :]]
    files = files[: -len(later)]
    number = itertools.count()
    settings: list[Settings] = []

    def ours() -> None:
        place = folder / f"ours{next(number)}"
        settings.append(
            Settings(
                raw=str(folder / "files"),
                lake=str(place / "lake"),
                warehouse=str(place / "warehouse.duckdb"),
            )
        )
        _checked(ingest(settings[-1]), len(files))

    def floor() -> None:
        copy_with_duckdb(files, folder / "floor.parquet")

    ours_taken, floor_taken = interleaved(rounds, ours, floor)
    last = settings[-1]
    with open_warehouse(last.warehouse) as warehouse:
        lines = int(warehouse.query("select count(*) as lines from sales")["lines"][0])

    named: list[Taken] = []
    searched: list[Taken] = []
    for file, taken in zip(later, itertools.cycle((named, searched)), strict=False):
        path = str(shutil.move(file, folder / "files"))
        taken.append(timed(partial(_one_more, last, [path] if taken is named else [])))

    one_more = f"one more file into a warehouse of {lines:,} lines"
    return [
        at_most(
            f"{len(files):,} files to lake and warehouse, against DuckDB's plain copy into one",
            4, "×", *ratio(ours_taken, floor_taken),
        ),
        at_most(f"{one_more}, named", 1, "s", *_shown(named)),
        at_most(f"{one_more}, found among all", 1, "s", *_shown(searched)),
    ]  # fmt: skip


def _shown(taken: list[Taken]) -> tuple[float, str]:
    middle = median(taken)
    return middle.seconds, f"(CPU {middle.cpu_seconds:.2f} s)"


def _one_more(settings: Settings, uris: list[str]) -> None:
    _checked(ingest(settings, uris), 1)


def _checked(made: IngestSummary, objects: int) -> None:
    assert not made.failures, made.failures
    assert made.clean.objects == objects, made.clean
