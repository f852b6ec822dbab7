"""Many branch-day files to lake and warehouse, and one more after them."""

import itertools
import shutil
import statistics
import time
from pathlib import Path

from benchmarks.data import write_till_files
from benchmarks.measure import Figure, at_most, interleaved
from benchmarks.others import copy_with_duckdb
from brewtopia_lib.ingest import IngestSummary, ingest
from brewtopia_lib.settings import Settings
from brewtopia_lib.warehouse import open_warehouse

ROUNDS = 5


def run(folder: Path, *, real: bool, scale: float = 1.0) -> list[Figure]:
    files = write_till_files(
        folder / "files", branches=18, days=max(3, round(170 * scale)), real=real
    )
    later = [file.replace(folder / file.name) for file in files[-2 * ROUNDS :]]
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

    ours_seconds, floor_seconds = interleaved(ROUNDS, ours, floor)
    last = settings[-1]
    with open_warehouse(last.warehouse) as warehouse:
        lines = int(warehouse.query("select count(*) as lines from sales")["lines"][0])

    named, searched = [], []
    for file, taken in zip(later, itertools.cycle((named, searched)), strict=False):
        path = shutil.move(file, folder / "files")
        started = time.perf_counter()
        _checked(ingest(last, [path] if taken is named else []), 1)
        taken.append(time.perf_counter() - started)

    one_more = f"one more file into a warehouse of {lines:,} lines"
    return [
        at_most(
            f"{len(files):,} files to lake and warehouse: against DuckDB's plain copy into one",
            4,
            ours_seconds / floor_seconds,
            "×",
            f"({ours_seconds:.2f} s / {floor_seconds:.2f} s)",
        ),
        at_most(f"{one_more}, named", 1, statistics.median(named), "s"),
        at_most(f"{one_more}, found among all {len(files):,}", 1, statistics.median(searched), "s"),
    ]


def _checked(made: IngestSummary, objects: int) -> None:
    assert not made.failures, made.failures
    assert made.clean.objects == objects, made.clean
