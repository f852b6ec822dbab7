"""Forks ready-made processes that make and mail what is due; see `test_mail_crashes.py`.

Reads jobs from stdin and answers each on stdout, one JSON object a line. Notebooks are not run:
what they would have put out is there after a moment, so that a batch is its pages and its mails.
"""

import faulthandler
import json
import os
import signal
import sys
import time
from datetime import datetime
from typing import Any

import nbformat

from brewtopia_lib import reports
from brewtopia_lib.mail import sending
from brewtopia_lib.pages.page import DIGEST
from brewtopia_lib.reports import batches
from brewtopia_lib.reports.execution import Execution
from brewtopia_lib.reports.rendering import Facts, report_page
from brewtopia_lib.schedule import Scheduler
from brewtopia_lib.settings import Settings

LONGEST_SECONDS = 60


def executed(_: object, values: dict[str, Any], *__: object, **___: object) -> Execution:
    """What a notebook gives, as if it had been run."""
    time.sleep(0.01)
    said = [{"title": str(values["branch"])}, {"nothing_changed": "Nothing stands out."}]
    page = f"<h1>{values['branch']}</h1><p>{'more ' * 40_000}</p>"
    output = nbformat.v4.new_output("display_data", {DIGEST: said, "text/html": page})
    return Execution(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output])]))


def main() -> None:
    batches.execute = executed  # type: ignore[assignment]
    reports.prepare = lambda: None
    reports.choose_start = lambda _: "cold"
    sending.PAUSES_SECONDS = (0, 0.05)
    report_page(executed(None, {"branch": ""}).notebook, Facts("", ""))  # templates are read once
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    for line in sys.stdin:
        job = json.loads(line)
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            _child(job)
        if job["kill_after"] is not None:
            signal.sigtimedwait([signal.SIGCHLD], job["kill_after"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        signal.sigtimedwait([signal.SIGCHLD], 0)
        seconds = time.monotonic() - started
        answer = {"exit": os.waitstatus_to_exitcode(status), "seconds": seconds}
        print(json.dumps(answer), flush=True)


def _child(job: dict[str, Any]) -> None:
    faulthandler.dump_traceback_later(LONGEST_SECONDS, exit=True)
    try:
        scheduler = Scheduler(Settings(**job["settings"]), workers=2, say=lambda _: None)
        scheduler.run_due(datetime.fromisoformat(job["moment"]))
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - a forked child must never return
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(2)


if __name__ == "__main__":
    main()
