"""Reports: what is asked for is checked, then every page is made, several at a time."""

import hashlib
import os
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import nbformat

from brewtopia_lib import analyses
from brewtopia_lib.definitions import Definition, load_definition
from brewtopia_lib.errors import ParameterError
from brewtopia_lib.execution import Execution, execute, kernel_environment, one_line
from brewtopia_lib.gallery import address, gallery, made_of
from brewtopia_lib.kernels import Kernels, KernelStart, choose_start, prepare
from brewtopia_lib.outputs import Place, copy_whole, write_whole
from brewtopia_lib.page import loaded
from brewtopia_lib.parameters import (
    SCHEDULED_FOR,
    Parameter,
    check_parameters,
    read_parameters,
    take_scheduled_for,
)
from brewtopia_lib.pdf import find_chromium, print_pdf
from brewtopia_lib.publishing import INDEX, STATUS, published_at, reports_folder
from brewtopia_lib.redaction import redacted, redacted_all, secrets_of
from brewtopia_lib.rendering import (
    Facts,
    chart_fault,
    failure_page,
    first_drawing,
    leading_numbers,
    report_page,
)
from brewtopia_lib.runs import Ledger, Run
from brewtopia_lib.scopes import Scope, find_scope
from brewtopia_lib.scratch import private_folder
from brewtopia_lib.settings import Settings, project_folder
from brewtopia_lib.shared import FOLDER
from brewtopia_lib.warehouse import Warehouse, open_warehouse

GALLERY_RUNS = 10_000
"""How many of the newest runs the gallery looks at."""


@dataclass(frozen=True)
class ReportRun:
    """One page made, or why it was not: `error` is one line, None when it is done.

    `page` is where the newest page of this report and branch always is, None where this run
    failed, and `address` where readers find it: on S3, if reports go there; `archived` is this
    run's own, which says why where it failed. `notebook` is the executed one; `parameters` are as
    checked; `until` is the last day covered.
    """

    name: str
    branch: str | None
    state: Literal["done", "failed"]
    page: Path | None
    seconds: float
    error: str | None = None
    notebook: Path | None = None
    title: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    until: date | None = None
    scheduled_for: datetime | None = None
    notice: str | None = None
    archived: Path | None = None
    pdf: Path | None = None
    address: str | None = None


@dataclass(frozen=True)
class _Job:
    """One page to make: everything it depends on, and where it goes."""

    definition: Definition
    scope: Scope
    values: Mapping[str, Any]
    place: Place
    scheduled_for: datetime | None
    notice: str | None

    @property
    def title(self) -> str:
        branch = self.scope.branch
        return f"{self.definition.title}: {branch}" if branch else self.definition.title

    @property
    def fewest_charts(self) -> int:
        """How many charts there must be: none where a branch was not open yet, or closed before."""
        has_sales = self.scope.first_day <= self.scope.until and (
            self.scope.first <= self.scope.last_day
        )
        return self.definition.charts if has_sales else 0

    @property
    def facts(self) -> Facts:
        parts = [self.scope.period] if "weeks" in self.values else []
        return Facts(self.title, " · ".join([*parts, loaded(self.scope)]), self.notice)


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
            batch = _Batch(settings, kernels, chromium)
            runs = batch.run(jobs, workers or _cores(), progress)
        for job in jobs:
            job.place.prune()
        renew_gallery(batch.ledger, folder)
    return [
        replace(run, address=published_at(settings.reports, folder, run.page)) if run.page else run
        for run in runs
    ]


@contextmanager
def _sharing(jobs: Sequence[_Job]) -> Iterator[dict[str, str]]:
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
) -> _Job:
    about = {**given, "branch": branch} if branch else given
    values = check_parameters(declared, about, definition.name)
    asked = {key: values[key] for key in ("until", "weeks", "branch") if key in values}
    scope = find_scope(warehouse, **asked)
    if "until" in values:
        values["until"] = scope.until
    return _Job(definition, scope, values, place, scheduled_for, notice)


class _Batch:
    """Pages made together: with the same settings and secrets, and kernels alike."""

    def __init__(self, settings: Settings, kernels: Kernels, chromium: str | None) -> None:
        self.ledger = Ledger(settings.runs)
        self._kernels = kernels
        self._chromium = chromium
        self._secrets = secrets_of(settings)

    def run(
        self, jobs: Sequence[_Job], workers: int, progress: Callable[[int, int, str], None] | None
    ) -> list[ReportRun]:
        """Make every page; when this is interrupted, what is at work is ended."""
        runs: dict[int, ReportRun] = {}
        with ThreadPoolExecutor(max_workers=max(workers, 1)) as pool:
            try:
                started = {pool.submit(self._run, job): place for place, job in enumerate(jobs)}
                for done in as_completed(started):
                    runs[started[done]] = done.result()
                    if progress:
                        progress(len(runs), len(jobs), jobs[started[done]].title)
            except BaseException:
                self._kernels.end()
                pool.shutdown(cancel_futures=True)
                raise
        return [runs[place] for place in sorted(runs)]

    def _run(self, job: _Job) -> ReportRun:
        """One page, and its row in the ledger; no end of one that was interrupted."""
        began, started = datetime.now(UTC), time.perf_counter()
        number = self.ledger.begin_run(
            Run(
                job.definition.name,
                job.scope.branch,
                redacted_all(job.values, self._secrets),
                job.scheduled_for,
                job.scope.first,
                job.scope.until,
            )
        )
        execution = execute(
            job.definition.notebook,
            job.values,
            self._kernels,
            folder=project_folder(),
            timeout_seconds=job.definition.timeout_seconds,
            secrets=self._secrets,
        )
        archived = job.place.archived(began, number)
        error = execution.error or chart_fault(execution.notebook, job.fewest_charts)
        if not error:
            error = self._explained(self._publish, job, execution.notebook, archived)
        if error:
            self._explained(self._say_why, job, execution, error, archived)
        seconds = time.perf_counter() - started
        state: Literal["done", "failed"] = "failed" if error else "done"
        summary = {
            "report_title": job.definition.title,
            "title": job.title,
            "numbers": [] if error else leading_numbers(execution.notebook),
        }
        self.ledger.end_run(number, state, seconds, archived, error, summary)
        return ReportRun(
            name=job.definition.name,
            branch=job.scope.branch,
            state=state,
            page=None if error else job.place.page,
            seconds=seconds,
            error=error,
            notebook=job.place.failed_notebook if error else job.place.notebook,
            title=job.title,
            parameters=job.values,
            until=job.scope.until,
            scheduled_for=job.scheduled_for,
            notice=job.notice,
            archived=archived,
            pdf=job.place.pdf if self._chromium and not error else None,
        )

    def _publish(self, job: _Job, notebook: Any, archived: Path) -> None:
        """Write what a run that is done leaves behind."""
        page = report_page(notebook, job.facts)
        if drawing := first_drawing(page):
            write_whole(archived.with_suffix(".svg"), drawing)
        write_whole(archived, page)
        if self._chromium:
            write_whole(job.place.pdf, print_pdf(self._chromium, archived))
        write_whole(job.place.notebook, _as_text(notebook))
        copy_whole(archived, job.place.page)
        job.place.forget_failure()

    def _say_why(self, job: _Job, execution: Execution, error: str, archived: Path) -> None:
        """Write what a run that failed leaves behind."""
        write_whole(job.place.failed_notebook, _as_text(execution.notebook))
        asked = redacted_all(job.values, self._secrets)
        write_whole(
            archived,
            failure_page(execution.notebook, job.facts, error, execution.failed_cell, asked),
        )
        copy_whole(archived, job.place.failure)

    def _explained(self, work: Callable[..., None], *arguments: Any) -> str | None:
        """Why the work failed, in one line; None where it did not: the other pages are made."""
        try:
            work(*arguments)
        except Exception as problem:  # noqa: BLE001
            return one_line(redacted(f"{type(problem).__name__}: {problem}", self._secrets))
        return None


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _as_text(notebook: Any) -> str:
    return f"{nbformat.writes(notebook)}\n"


def renew_gallery(ledger: Ledger, folder: Path) -> None:
    """Write the gallery of the runs in the ledger whose pages are below the folder."""
    made = []
    for row in ledger.runs(GALLERY_RUNS):
        page = Path(row["page"] or "")
        if page.is_relative_to(folder) and (row["state"] == "failed" or page.is_file()):
            page_there, drawing_there = (
                address(path.relative_to(folder)) if path.is_file() else None
                for path in (page, page.with_suffix(".svg"))
            )
            made.append(made_of(row, page_there, drawing_there))
    status = STATUS if (folder / STATUS).is_file() else None
    write_whole(folder / INDEX, gallery(made, status))
