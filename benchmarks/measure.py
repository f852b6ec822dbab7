"""Timing side by side, and figures with their targets."""

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

CORES = 2


@dataclass(frozen=True)
class Figure:
    """One thing measured; `met` is None where there is no target."""

    name: str
    target: str
    measured: str
    met: bool | None = None


def at_most(name: str, most: float, unit: str, measured: float, detail: str = "") -> Figure:
    """A figure that is better the smaller it is."""
    shown = f"{measured:.2f} {unit}"
    return Figure(
        name, f"≤ {most:g} {unit}", f"{shown} {detail}".strip(), met=round(measured, 2) <= most
    )


def at_least(name: str, least: float, unit: str, measured: float, detail: str = "") -> Figure:
    """A figure that is better the greater it is."""
    shown = f"{measured:.1f} {unit}"
    return Figure(
        name, f"≥ {least:g} {unit}", f"{shown} {detail}".strip(), met=round(measured, 1) >= least
    )


class Taken(NamedTuple):
    """What a job took: seconds by the clock, and of all cores together."""

    seconds: float
    cpu_seconds: float


def timed(job: Callable[[], object]) -> Taken:
    gc.collect()
    started, cpu_started = time.perf_counter(), time.process_time()
    job()
    return Taken(time.perf_counter() - started, time.process_time() - cpu_started)


def median(taken: Iterable[Taken]) -> Taken:
    return Taken(*map(statistics.median, zip(*taken, strict=True)))


def interleaved(rounds: int, *jobs: Callable[[], object]) -> list[Taken]:
    """The median of each job, run in turns, so that a slow minute slows all alike."""
    taken = [[timed(job) for job in jobs] for _ in range(rounds)]
    return [median(of_job) for of_job in zip(*taken, strict=True)]


def ratio(above: Taken, below: Taken) -> tuple[float, str]:
    """How many times as long one took, and the figures behind it."""
    return above.seconds / below.seconds, (
        f"({above.seconds:.2f} s / {below.seconds:.2f} s;"
        f" CPU {above.cpu_seconds:.2f} s / {below.cpu_seconds:.2f} s)"
    )


def use_two_cores() -> None:
    """Every tool takes as many threads as it sees cores: let each see the same two."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def print_table(figures: Sequence[Figure]) -> None:
    rows = [("figure", "target", "measured", "met")] + [
        (one.name, one.target, one.measured, {True: "yes", False: "NO", None: ""}[one.met])
        for one in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip(), flush=True)
