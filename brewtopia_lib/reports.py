"""Report definitions run through papermill, and rendered to self-contained pages."""

import hashlib
import os
import re
import sys
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import date, datetime
from html import unescape
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import jinja2
import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbconvert import HTMLExporter
from papermill.engines import papermill_engines
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from brewtopia_lib import analyses
from brewtopia_lib.definitions import Definition, load_definition
from brewtopia_lib.errors import ParameterError
from brewtopia_lib.page import loaded
from brewtopia_lib.parameters import (
    SCHEDULED_FOR,
    Parameter,
    check_parameters,
    read_parameters,
    take_scheduled_for,
)
from brewtopia_lib.runs import Ledger, Run
from brewtopia_lib.scopes import Scope, find_scope
from brewtopia_lib.settings import Settings, local_path, project_folder
from brewtopia_lib.warehouse import Warehouse, open_warehouse

KERNEL = "python3"
TEMPLATES = str(files("brewtopia_lib") / "templates")
NO_MAIL = {"mail": Settings.model_fields["mail"].default}
"""What kernels are told of the mail: its password is none of a notebook's business."""


@dataclass(frozen=True)
class ReportRun:
    """One page made, or why it was not: `error` is one line, None when it is done.

    `notebook` is the executed one; `parameters` are as checked; `until` is the last day covered.
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


@dataclass(frozen=True)
class _Job:
    """One page to make: everything it depends on, and where it goes."""

    definition: Definition
    scope: Scope
    values: Mapping[str, Any]
    page: Path
    scheduled_for: datetime | None
    notice: str | None

    @property
    def title(self) -> str:
        branch = self.scope.branch
        return f"{self.definition.title}: {branch}" if branch else self.definition.title

    @property
    def description(self) -> str:
        parts = [self.scope.period] if "weeks" in self.values else []
        return " · ".join([*parts, loaded(self.scope)])


def run_report(
    settings: Settings,
    name: str,
    *,
    branches: Sequence[str] | None = None,
    all_branches: bool = False,
    until: date | None = None,
    weeks: int | None = None,
    parameters: Mapping[str, Any] = MappingProxyType({}),
    workers: int = 1,
    notices: Mapping[str | None, str] = MappingProxyType({}),
    progress: Callable[[int, int, str], None] | None = None,
) -> list[ReportRun]:
    """Make the pages of a report; one that fails leaves the others alone.

    Each page is written whole or not at all, with its executed notebook beside it and an
    `index.html` above; of a run that failed, only a `.failed.ipynb`. Parameters are checked
    first: raises ParameterError before any notebook runs. The parameter `scheduled_for`, the
    time a run is for, may be given for every report. `notices`, by branch or None for the chain,
    stand on the page. `progress` is told (done, total, what) after each page.
    """
    definition = load_definition(name)
    given = {**definition.parameters, **parameters}
    given |= {
        key: value for key, value in (("until", until), ("weeks", weeks)) if value is not None
    }
    scheduled_for = take_scheduled_for(given)
    declared = read_parameters(definition.notebook)
    if SCHEDULED_FOR in declared and scheduled_for:
        given[SCHEDULED_FOR] = scheduled_for.isoformat()
    folder = local_path(settings.reports, "reports")
    with open_warehouse(settings.warehouse) as warehouse:
        wanted = _wanted(definition, warehouse, branches, all_branches, given)
        jobs = [
            _planned(
                definition, warehouse, declared, given, folder / name / f"{slug}.html", branch,
                scheduled_for, notices.get(branch),
            )
            for branch, slug in wanted
        ]  # fmt: skip
    runs: dict[int, ReportRun] = {}
    pool = ThreadPoolExecutor(max_workers=max(workers, 1))
    try:
        started = {pool.submit(_run, job, settings): place for place, job in enumerate(jobs)}
        for done in as_completed(started):
            runs[started[done]] = done.result()
            if progress:
                progress(len(runs), len(jobs), jobs[started[done]].title)
    finally:  # an interrupted run does not start what is still waiting
        pool.shutdown(cancel_futures=True)
    _write(folder / "index.html", _index(folder))
    return [runs[place] for place in sorted(runs)]


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
    page: Path,
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
    return _Job(definition, scope, values, page, scheduled_for, notice)


def _run(job: _Job, settings: Settings) -> ReportRun:
    ledger = Ledger(settings.runs)
    number = ledger.begin_run(
        Run(
            job.definition.name,
            job.scope.branch,
            job.values,
            job.scheduled_for,
            job.scope.first,
            job.scope.until,
        )
    )
    run = _made(job, settings)
    ledger.end_run(number, run.state, run.seconds, run.page, run.error)
    return run


def _made(job: _Job, settings: Settings) -> ReportRun:
    started = time.perf_counter()
    notebook, failed = job.page.with_suffix(".ipynb"), job.page.with_suffix(".failed.ipynb")
    try:
        executed = _executed(job, settings)
        error = _cell_error(executed)
        if error:
            _write(failed, _notebook_text(executed))
        else:
            _write(notebook, _notebook_text(executed))
            _write(job.page, _render(executed, job.title, job.description, job.notice))
            failed.unlink(missing_ok=True)
    except Exception as problem:  # noqa: BLE001 - whatever fails, the other pages are made
        error = _one_line(f"{type(problem).__name__}: {problem}")
    return ReportRun(
        name=job.definition.name,
        branch=job.scope.branch,
        state="failed" if error else "done",
        page=None if error else job.page,
        seconds=time.perf_counter() - started,
        error=error,
        notebook=failed if error else notebook,
        title=job.title,
        parameters=job.values,
        until=job.scope.until,
        scheduled_for=job.scheduled_for,
        notice=job.notice,
    )


def _executed(job: _Job, settings: Settings) -> Any:
    """The notebook with its outputs: a function of the warehouse and the parameters."""
    values = {
        key: value.isoformat() if isinstance(value, date) else value
        for key, value in job.values.items()
    }
    notebook = parameterize_notebook(
        load_notebook_node(str(job.definition.notebook)),
        values,
        kernel_name=KERNEL,
        language="python",
    )
    with tempfile.TemporaryDirectory(prefix="brewtopia-") as folder:
        executed = papermill_engines.execute_notebook_with_engine(
            None,
            notebook,
            kernel_name=KERNEL,
            progress_bar=False,
            kernel_manager_class=_kernels(settings, Path(folder)),
            resources={"metadata": {"path": str(project_folder())}},
            shutdown_kernel="immediate",
        )
    executed.metadata.pop("papermill", None)  # it says when and where the notebook ran
    for cell in executed.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if "injected-parameters" in cell.metadata.tags:
            cell.id = "injected-parameters"
    return executed


def _kernels(settings: Settings, folder: Path) -> type[AsyncKernelManager]:
    """Kernels of this very Python, with these settings, that talk through files in `folder`."""
    environment = {
        f"BREWTOPIA_{name.upper()}": str(value)
        for name, value in (settings.model_dump() | NO_MAIL).items()
        if value is not None
    }

    class Kernels(AsyncKernelManager):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            if os.name == "posix":  # sockets in a private folder; elsewhere TCP on localhost
                self.transport, self.ip = "ipc", str(folder / "kernel")

        def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
            launch = [sys.executable, "-m", "ipykernel_launcher", "-f", self.connection_file]
            return launch + (extra_arguments or [])

        def start_kernel(self, **options: Any) -> Any:
            options["env"] = {**options.get("env", os.environ), **environment}
            return super().start_kernel(**options)

    return Kernels


def _cell_error(notebook: Any) -> str | None:
    """Which cell failed and how, in one line; None where none did."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                number = cell.execution_count
                return _one_line(f"cell {number}: {output.ename}: {output.evalue}")
    return None


def _one_line(text: str) -> str:
    """The text without line breaks and terminal colours."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


def _notebook_text(notebook: Any) -> str:
    return f"{nbformat.writes(notebook)}\n"


def _render(notebook: Any, title: str, description: str, notice: str | None) -> str:
    exporter = HTMLExporter(template_name="report", extra_template_basedirs=[TEMPLATES])
    about = {"report": {"title": title, "description": description, "notice": notice}}
    page, _ = exporter.from_notebook_node(notebook, resources=about)
    return str(page)


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all: readers see the old one until the new one is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _index(folder: Path) -> str:
    """A page that lists the pages there are, by report."""
    groups: dict[str, list[dict[str, str]]] = {}
    for path in sorted(folder.glob("*/*.html")):
        start = path.read_text(encoding="utf-8", errors="replace")[:4000]
        title = re.search(r"<title>(.*?)</title>", start, re.DOTALL)
        about = re.search(r'<meta content="([^"]*)" name="description"', start)
        groups.setdefault(path.parent.name, []).append(
            {
                "address": path.relative_to(folder).as_posix(),
                "title": unescape(title[1]) if title else path.stem,
                "about": unescape(about[1]) if about else "",
            }
        )
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True)
    return environment.get_template("index.html.j2").render(groups=groups)
