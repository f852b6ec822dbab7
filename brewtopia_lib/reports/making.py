"""Reports made: planned, run as one batch that shares what its pages have in common, shown."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from brewtopia_lib.reports.batches import Batch, Job, ReportRun
from brewtopia_lib.reports.definitions import load_definition
from brewtopia_lib.reports.execution import kernel_environment
from brewtopia_lib.reports.forking import KernelStart, choose_start
from brewtopia_lib.reports.gallery import renew_gallery
from brewtopia_lib.reports.kernels import Kernels
from brewtopia_lib.reports.outputs import KEPT_RUNS
from brewtopia_lib.reports.pdf import find_chromium
from brewtopia_lib.reports.planning import plan
from brewtopia_lib.reports.publishing import published_at, reports_folder
from brewtopia_lib.settings import Settings
from brewtopia_lib.shared import FOLDER
from brewtopia_lib.storage.scratch import private_folder
from brewtopia_lib.warehouse import open_warehouse


def make_reports(
    settings: Settings,
    names: Sequence[str],
    *,
    workers: int | None,
    kernel: KernelStart | None,
    pdf: bool,
    progress: Callable[[int, int, str], None] | None,
    **asked: Any,
) -> list[ReportRun]:
    """What `run_report` promises; `asked` is for `plan`."""
    chromium = find_chromium() if pdf else None
    definitions = [load_definition(name) for name in dict.fromkeys(names)]
    with reports_folder(settings.reports) as folder:
        with open_warehouse(settings.warehouse) as warehouse:
            jobs = plan(definitions, warehouse, folder, **asked)
        with _sharing(jobs) as shared:
            kernels = Kernels(kernel_environment(settings) | shared, choose_start(kernel))
            batch = Batch(settings, kernels, chromium)
            runs = batch.run(jobs, workers or _cores(), progress)
        for job in jobs:
            job.place.prune()
            batch.ledger.forget_runs(job.definition.name, job.scope.branch, KEPT_RUNS)
        renew_gallery(batch.ledger, folder)
    return [
        replace(run, address=published_at(settings.reports, folder, run.page)) if run.page else run
        for run in runs
    ]


@contextmanager
def _sharing(jobs: Sequence[Job]) -> Iterator[dict[str, str]]:
    """What tells kernels where to keep what several pages have in common: see `shared`."""
    if len(jobs) < 2:
        yield {}
        return
    with private_folder() as folder:
        yield {FOLDER: str(folder)}


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
