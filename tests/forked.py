"""Work in forked children of a ready-made process, killed when told; see the nurseries.

Jobs come from stdin and are answered on stdout, one JSON object a line. Importing the library
takes far longer than a small piece of work: here it is done once.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any


def answer_jobs(work: Callable[[dict[str, Any]], int]) -> None:
    """Answer each job with the exit code of a child that does its work, and how long that took."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    for line in sys.stdin:
        job = json.loads(line)
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            _end(work, job)
        if job.get("kill_after") is not None:
            signal.sigtimedwait([signal.SIGCHLD], job["kill_after"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        signal.sigtimedwait([signal.SIGCHLD], 0)
        seconds = time.monotonic() - started
        answer = {"exit": os.waitstatus_to_exitcode(status), "seconds": seconds}
        print(json.dumps(answer), flush=True)


def _end(work: Callable[[dict[str, Any]], int], job: dict[str, Any]) -> None:
    try:
        os._exit(work(job))
    except BaseException as error:  # noqa: BLE001 - a forked child must never return
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(2)
