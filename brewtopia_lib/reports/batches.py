"""Batches: pages made several at a time, each from its notebook, and noted in the ledger."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

import nbformat

from brewtopia_lib.formats import one_line
from brewtopia_lib.pages.page import loaded
from brewtopia_lib.pages.scopes import Scope
from brewtopia_lib.reports.definitions import Definition
from brewtopia_lib.reports.execution import Execution, execute
from brewtopia_lib.reports.kernels import Kernels
from brewtopia_lib.reports.outputs import Place, copy_whole, write_whole
from brewtopia_lib.reports.pdf import print_pdf
from brewtopia_lib.reports.redaction import redacted, redacted_all, secrets_of
from brewtopia_lib.reports.rendering import (
    Facts,
    chart_fault,
    failure_page,
    first_drawing,
    leading_numbers,
    report_page,
)
from brewtopia_lib.reports.runs import Ledger, Run
from brewtopia_lib.settings import Settings, project_folder


@dataclass(frozen=True)
class ReportRun:
    """One page made, or why it was not: `error` is one line, None when it is done.

    `page` is where the newest page of this report and branch always is, None where this run
    failed, and `address` where readers find it: on S3, if reports go there; `archived` is this run's own, which says why where it failed. `notebook` is the
    executed one; `parameters` are as checked; `until` is the last day covered.
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
class Job:
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


class Batch:
    """Pages made together: with the same settings and secrets, and kernels alike."""

    def __init__(self, settings: Settings, kernels: Kernels, chromium: str | None) -> None:
        self.ledger = Ledger(settings.runs)
        self._kernels = kernels
        self._chromium = chromium
        self._secrets = secrets_of(settings)

    def run(
        self, jobs: Sequence[Job], workers: int, progress: Callable[[int, int, str], None] | None
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

    def _run(self, job: Job) -> ReportRun:
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

    def _publish(self, job: Job, notebook: Any, archived: Path) -> None:
        """Write what a run that is done leaves behind."""
        page = report_page(notebook, job.facts)
        if drawing := first_drawing(page):
            write_whole(archived.with_suffix(".svg"), drawing)
        write_whole(archived, page)
        if self._chromium:
            write_whole(job.place.pdf, print_pdf(self._chromium, archived))
        else:
            job.place.pdf.unlink(missing_ok=True)  # that of an older page
        write_whole(job.place.notebook, _as_text(notebook))
        copy_whole(archived, job.place.page)
        job.place.forget_failure()

    def _say_why(self, job: Job, execution: Execution, error: str, archived: Path) -> None:
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


def _as_text(notebook: Any) -> str:
    return f"{nbformat.writes(notebook)}\n"
