"""Forks ready-made processes that make and mail what is due; see `test_mail_crashes.py`.

Notebooks are not run: what they would have put out is there after a moment, so that a batch is its
pages and its mails.
"""

import faulthandler
import time
from datetime import datetime
from typing import Any
from unittest import mock

import nbformat
from forked import answer_jobs

from brewtopia_lib import reports
from brewtopia_lib.mail import sending
from brewtopia_lib.pages.markup import DIGEST
from brewtopia_lib.reports import batches, making
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
    for place, name, other in (
        (batches, "execute", executed),
        (reports, "prepare", lambda: None),
        (making, "choose_start", lambda _: "cold"),
        (sending, "PAUSES_SECONDS", (0, 0.05)),
    ):
        mock.patch.object(place, name, other).start()  # complains of a name that is not there
    report_page(executed(None, {"branch": ""}).notebook, Facts("", ""))  # templates are read once
    answer_jobs(work)


def work(job: dict[str, Any]) -> int:
    faulthandler.dump_traceback_later(LONGEST_SECONDS, exit=True)
    scheduler = Scheduler(Settings(**job["settings"]), workers=2, say=lambda _: None)
    scheduler.run_due(datetime.fromisoformat(job["moment"]))
    return 0


if __name__ == "__main__":
    main()
