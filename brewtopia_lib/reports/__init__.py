"""Reports: what is asked for is checked, then every page is made, several at a time."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from brewtopia_lib import analyses
from brewtopia_lib.errors import ParameterError
from brewtopia_lib.pages.scopes import find_scope
from brewtopia_lib.reports.batches import Batch, Job, ReportRun
from brewtopia_lib.reports.definitions import Definition, load_definition
from brewtopia_lib.reports.execution import kernel_environment
from brewtopia_lib.reports.gallery import address, gallery, made_of
from brewtopia_lib.reports.kernels import Kernels, KernelStart, choose_start, prepare
from brewtopia_lib.reports.outputs import KEPT_RUNS, Place, write_whole
from brewtopia_lib.reports.parameters import (
    SCHEDULED_FOR,
    Parameter,
    check_parameters,
    read_parameters,
    take_scheduled_for,
)
from brewtopia_lib.reports.pdf import find_chromium
from brewtopia_lib.reports.publishing import INDEX, STATUS, published_at, reports_folder
from brewtopia_lib.reports.runs import Ledger
from brewtopia_lib.settings import Settings
from brewtopia_lib.shared import FOLDER
from brewtopia_lib.storage.scratch import private_folder
from brewtopia_lib.warehouse import Warehouse, open_warehouse


def run_report(
    settings: Settings,
    name: str,
    *,
    branches: Sequence[str] | None = None,
    all_branches: bool = False,
    until: date | None = None,
    weeks: int | None = None,
    parameters: Mapping[str, Any] = MappingProxyType({}),
    workers: int | None = None,
    kernel: KernelStart | None = None,
    pdf: bool = False,
    notices: Mapping[str | None, str] = MappingProxyType({}),
    progress: Callable[[int, int, str], None] | None = None,
) -> list[ReportRun]:
    """Make the pages of a report; one that fails leaves the others alone.

    Each page is written whole or not at all, with its executed notebook beside it and the gallery
    above; of a run that failed, a `.failed.html` that says why, and a `.failed.ipynb`. Parameters
    are checked first: raises ParameterError before any notebook runs. The parameter
    `scheduled_for`, the time a run is for, may be given for every report. Each notebook has a
    kernel of its own, as many at a time as there are `workers` (cores, if not given), started
    `warm` or `cold` (warm where that is safe). `pdf` prints the pages too. `notices`, by branch or
    None for the chain, stand on the page. `progress` is told (done, total, what) after each page.
    """
    chromium = find_chromium() if pdf else None
    definition = load_definition(name)
    given = {**definition.parameters, **parameters}
    given |= {
        key: value for key, value in (("until", until), ("weeks", weeks)) if value is not None
    }
    scheduled_for = take_scheduled_for(given)
    declared = read_parameters(definition.notebook)
    if SCHEDULED_FOR in declared and scheduled_for:
        given[SCHEDULED_FOR] = scheduled_for.isoformat()
    with reports_folder(settings.reports) as folder:
        with open_warehouse(settings.warehouse) as warehouse:
            wanted = _wanted(definition, warehouse, branches, all_branches, given)
            jobs = [
                _planned(
                    definition, warehouse, declared, given, Place(folder / name, slug), branch,
                    scheduled_for, notices.get(branch),
                )
                for branch, slug in wanted
            ]  # fmt: skip
        if kernel != "cold":
            prepare()
        with _sharing(jobs) as shared:
            kernels = Kernels(kernel_environment(settings) | shared, choose_start(kernel))
            batch = Batch(settings, kernels, chromium)
            runs = batch.run(jobs, workers or _cores(), progress)
        for job in jobs:
            job.place.prune()
            batch.ledger.forget_runs(name, job.scope.branch, KEPT_RUNS)
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


def slugs(names: Iterable[str]) -> dict[str, str]:
    """A file name for each name, no two alike whatever the names are.

    Plain ones read well (`St. Albans` is `st-albans`); where two would be alike, or nothing
    legible is left, a digest of the name tells them apart.
    """
    plain = {name: _plain(name) for name in names}
    times = Counter(plain.values())
    return {
        name: slug if slug and times[slug] == 1 else f"{slug or 'name'}-{_digest(name)}"
        for name, slug in plain.items()
    }


def _plain(name: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")[:60].strip("-")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:10]


def _wanted(
    definition: Definition,
    warehouse: Warehouse,
    branches: Sequence[str] | None,
    all_branches: bool,
    given: dict[str, Any],
) -> list[tuple[str | None, str]]:
    """The branches to report on (None for the chain) with the name of each page."""
    name = definition.name
    if definition.for_each is None:
        if branches or all_branches:
            raise ParameterError(f"report {name} is about the whole chain: it takes no branch")
        return [(None, name)]
    known = slugs(analyses.branches(warehouse)["branch"])
    if all_branches:
        return list(known.items())
    one = given.pop("branch", None)
    chosen = list(dict.fromkeys(branches or ([one] if one else [])))
    if not chosen:
        some = ", ".join(list(known)[:3])
        raise ParameterError(
            f"report {name} is about one branch: name it with --branch ({some} …), "
            "or ask for --all-branches"
        )
    return [(branch, known.get(branch, "")) for branch in chosen]


def _planned(
    definition: Definition,
    warehouse: Warehouse,
    declared: Mapping[str, Parameter],
    given: Mapping[str, Any],
    place: Place,
    branch: str | None,
    scheduled_for: datetime | None,
    notice: str | None,
) -> Job:
    about = {**given, "branch": branch} if branch else given
    values = check_parameters(declared, about, definition.name)
    asked = {key: values[key] for key in ("until", "weeks", "branch") if key in values}
    scope = find_scope(warehouse, **asked)
    if "until" in values:
        values["until"] = scope.until
    return Job(definition, scope, values, place, scheduled_for, notice)


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def renew_gallery(ledger: Ledger, folder: Path) -> None:
    """Write the gallery of the runs in the ledger whose pages are below the folder."""
    made = []
    for row in ledger.runs():
        page = Path(row["page"] or "")
        if page.is_relative_to(folder) and (row["state"] == "failed" or page.is_file()):
            page_there, drawing_there = (
                address(path.relative_to(folder)) if path.is_file() else None
                for path in (page, page.with_suffix(".svg"))
            )
            made.append(made_of(row, page_there, drawing_there))
    status = STATUS if (folder / STATUS).is_file() else None
    write_whole(folder / INDEX, gallery(made, status))
