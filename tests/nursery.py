"""Forks ready-made processes that ingest, and kills them when told; see `test_crashes.py`.

Reads jobs from stdin and answers each on stdout, one JSON object a line. Importing the library
takes far longer than ingesting a few small files: here it is done once.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import duckdb
import pandas

from brewtopia_lib.ingest import ingest
from brewtopia_lib.settings import Settings

READY = (duckdb, pandas)
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.copyfile"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    for line in sys.stdin:
        job = json.loads(line)
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            _child(job)
        if job.get("kill_after") is not None:
            signal.sigtimedwait([signal.SIGCHLD], job["kill_after"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        signal.sigtimedwait([signal.SIGCHLD], 0)
        seconds = time.monotonic() - started
        answer = {"exit": os.waitstatus_to_exitcode(status), "seconds": seconds}
        print(json.dumps(answer), flush=True)


def _child(job: dict[str, Any]) -> None:
    if job.get("kill_at_step") is not None:
        _die_at(job["kill_at_step"])
    try:
        made = ingest(Settings(**job["settings"]), job.get("uris", ()))
        os._exit(1 if made.failures else 0)
    except BaseException as error:  # noqa: BLE001 - a forked child must never return
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(2)


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
    main()
