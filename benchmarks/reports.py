"""Reports of the chain and of each branch, against papermill and nbconvert on the same notebooks."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.data import write_till_files
from benchmarks.measure import Figure, at_least, at_most
from brewtopia_lib import analyses
from brewtopia_lib.ingest import ingest
from brewtopia_lib.settings import Settings
from brewtopia_lib.warehouse import open_warehouse

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks" / "reports"
BRANCHES, DAYS = 18, 182
WATCH_SECONDS = 0.1

OURS = """
from brewtopia_lib.reports import run_report
from brewtopia_lib.settings import load_settings
runs = run_report(load_settings(), ["company_trends", "branch_trends"], all_branches=True)
assert not any(run.error for run in runs), runs
"""
ONE_PROCESS = """
import sys
import papermill
from nbconvert import HTMLExporter
exporter = HTMLExporter(exclude_input=True)
for made in sys.argv[1:]:
    notebook, page, branch = made.split("|")
    executed = papermill.execute_notebook(
        notebook, None, parameters={"branch": branch} if branch else {}, progress_bar=False
    )
    open(page, "w").write(exporter.from_notebook_node(executed)[0])
"""
LOOP = """
set -e
for made in "$@"; do
    IFS='|' read -r notebook page branch <<< "$made"
    papermill --no-progress-bar "$notebook" "$page.ipynb" ${branch:+-p branch "$branch"}
    jupyter nbconvert --to html --no-input --output "$page" "$page.ipynb"
done
"""


def run(
    folder: Path, *, real: bool, scale: float = 1.0, rounds: int = 5, **_: object
) -> list[Figure]:
    before, after = (2, 1) if rounds > 1 else (1, 0)
    settings = Settings(
        raw=str(folder / "raw"),
        lake=str(folder / "lake"),
        warehouse=str(folder / "warehouse.duckdb"),
    )
    branches, days = max(1, int(BRANCHES * scale)), max(60, int(DAYS * scale))
    write_till_files(folder / "raw", branches=branches, days=days, real=real)
    ingest(settings)
    with open_warehouse(settings.warehouse) as warehouse:
        names = [str(name) for name in analyses.branches(warehouse)["branch"]]

    ours = [_ours(folder / f"ours{n}", settings) for n in range(before)]
    others, charts = {}, {}
    for name, command in (
        ("one process", [sys.executable, "-c", ONE_PROCESS]),
        ("loop", ["bash", "-c", LOOP, "loop"]),
    ):
        out = folder / name.replace(" ", "-")
        out.mkdir()
        wanted = [f"{NOTEBOOKS / 'company_trends.ipynb'}|{out / 'chain.html'}|"]
        wanted += [
            f"{NOTEBOOKS / 'branch_trends.ipynb'}|{out / f'{n}.html'}|{branch}"
            for n, branch in enumerate(names)
        ]
        others[name] = _watched(_started([*command, *wanted], settings, out))
        charts[name] = _charts(out.glob("*.html"))
    ours += [_ours(folder / f"after{n}", settings) for n in range(after)]
    own = sorted(ours)[len(ours) // 2]
    charts["ours"] = _charts((folder / "ours0").glob("*/*.html"))
    pages = f"{len(names) + 1} reports"
    return [
        at_least(f"{pages}, against a loop of papermill and nbconvert", 6, "×",
                 *_ratio(others["loop"], own)),
        at_least(f"{pages}, against papermill in one process", 2, "×",
                 *_ratio(others["one process"], own)),
        Figure("charts of one process, of the loop, of ours", "the same",
               ", ".join(map(str, charts.values())),
               met=len(set(charts.values())) == 1 and charts["ours"] > 0),
        at_most("memory of the whole batch, shared pages counted once", 1500, "MB",
                max(each.memory_bytes for each in ours) / 1e6),
    ]  # fmt: skip


class Watched(NamedTuple):
    """What a process and its descendants took, together."""

    seconds: float
    cpu_seconds: float
    memory_bytes: float


def _ratio(other: Watched, own: Watched) -> tuple[float, str]:
    """How many times as long the other took, and the figures behind it."""
    return other.seconds / own.seconds, (
        f"({other.seconds:.0f} s / {own.seconds:.0f} s;"
        f" CPU {other.cpu_seconds:.0f} s / {own.cpu_seconds:.0f} s)"
    )


def _ours(out: Path, settings: Settings) -> Watched:
    asked = settings.model_copy(update={"reports": str(out), "runs": str(out.with_suffix(".db"))})
    return _watched(_started([sys.executable, "-c", OURS], asked, ROOT))


def _watched(process: psutil.Popen) -> Watched:
    """Wait for a process, and look at its whole family again and again meanwhile."""
    started, most = time.perf_counter(), 0.0
    cpu_seconds: dict[psutil.Process, float] = {}
    while process.poll() is None:
        memory = 0.0
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                memory += each.memory_full_info().pss
                cpu_seconds[each] = sum(each.cpu_times()[:2])
        most = max(most, memory)
        time.sleep(WATCH_SECONDS)
    assert not process.returncode
    return Watched(time.perf_counter() - started, sum(cpu_seconds.values()), most)


def _started(command: Sequence[str], settings: Settings, folder: Path) -> psutil.Popen:
    told = {f"BREWTOPIA_{k.upper()}": str(v) for k, v in settings.model_dump().items() if v}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return psutil.Popen(
        command,
        cwd=folder,
        env=os.environ | told | {"PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _charts(pages: Iterable[Path]) -> int:
    return sum(len(re.findall("<picture", page.read_text("utf-8"))) for page in pages)
