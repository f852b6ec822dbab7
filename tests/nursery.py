"""Forks ready-made processes that ingest, and kills them when told; see `test_crashes.py`."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import duckdb
import pandas
from forked import answer_jobs

from brewtopia_lib.ingest import ingest
from brewtopia_lib.settings import Settings

READY = (duckdb, pandas)
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.copyfile"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def work(job: dict[str, Any]) -> int:
    if job.get("kill_at_step") is not None:
        _die_at(job["kill_at_step"])
    made = ingest(Settings(**job["settings"]), job.get("uris", ()))
    return 1 if made.failures else 0


def _die_at(step: int) -> None:
    """Kill this process before Python's n-th change of the file system."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1
        if steps == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and arguments[2] & WRITING):
            count()

    def fsync(descriptor: int, write: Callable[[int], None] = os.fsync) -> None:
        count()  # fsync is no audit event
        write(descriptor)

    sys.addaudithook(watch)
    os.fsync = fsync


if __name__ == "__main__":
    answer_jobs(work)
