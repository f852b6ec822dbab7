"""Timing side by side, and figures with their targets."""

import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CORES = 2


@dataclass(frozen=True)
class Figure:
    """One thing measured; `met` is None where there is no target."""

    name: str
    target: str
    measured: str
    met: bool | None = None


def at_most(name: str, most: float, measured: float, unit: str, detail: str = "") -> Figure:
    """A figure that is better the smaller it is."""
    shown = f"{measured:.2f} {unit}"
    return Figure(
        name, f"≤ {most:g} {unit}", f"{shown} {detail}".strip(), met=round(measured, 2) <= most
    )


def at_least(name: str, least: float, measured: float, unit: str, detail: str = "") -> Figure:
    """A figure that is better the greater it is."""
    shown = f"{measured:.1f} {unit}"
    return Figure(
        name, f"≥ {least:g} {unit}", f"{shown} {detail}".strip(), met=round(measured, 1) >= least
    )


def interleaved(rounds: int, *jobs: Callable[[], object]) -> list[float]:
    """The median seconds of each job, run in turns, so that a slow minute slows all alike."""
    seconds: list[list[float]] = [[] for _ in jobs]
    for _ in range(rounds):
        for job, taken in zip(jobs, seconds, strict=True):
            gc.collect()
            started = time.perf_counter()
            job()
            taken.append(time.perf_counter() - started)
    return [statistics.median(taken) for taken in seconds]


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
