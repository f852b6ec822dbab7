"""Reports of the chain and of each branch, against papermill and nbconvert on the same notebooks."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

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
runs = run_report(load_settings(), "company_trends")
runs += run_report(load_settings(), "branch_trends", all_branches=True)
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


def run(folder: Path, *, real: bool, scale: float = 1.0, **_: object) -> list[Figure]:
    settings = Settings(
        raw=str(folder / "raw"),
        lake=str(folder / "lake"),
        warehouse=str(folder / "warehouse.duckdb"),
    )
    write_till_files(folder / "raw", branches=BRANCHES, days=max(60, int(DAYS * scale)), real=real)
    ingest(settings)
    with open_warehouse(settings.warehouse) as warehouse:
        branches = [str(name) for name in analyses.branches(warehouse)["branch"]]
    branches = branches[: max(1, int(BRANCHES * scale))] if scale < 1 else branches

    ours, memory = zip(*(_ours(folder / f"ours{n}", settings) for n in range(2)), strict=True)
    others = {}
    for name, command in (
        ("one process", [sys.executable, "-c", ONE_PROCESS]),
        ("loop", ["bash", "-c", LOOP, "loop"]),
    ):
        out = folder / name.replace(" ", "-")
        out.mkdir()
        wanted = [f"{NOTEBOOKS / 'company_trends.ipynb'}|{out / 'chain.html'}|"]
        wanted += [
            f"{NOTEBOOKS / 'branch_trends.ipynb'}|{out / f'{n}.html'}|{branch}"
            for n, branch in enumerate(branches)
        ]
        others[name] = _seconds([*command, *wanted], settings, out), _charts(out.glob("*.html"))
    again, more = _ours(folder / "ours2", settings)
    own = sorted([*ours, again])[1]
    charts = _charts((folder / "ours0").glob("*/*.html"))
    pages = f"{len(branches) + 1} reports"
    return [
        at_least(f"{pages}, against a loop of papermill and nbconvert", 6, "×",
                 others["loop"][0] / own, f"({others['loop'][0]:.0f} s / {own:.0f} s)"),
        at_least(f"{pages}, against papermill in one process", 2, "×",
                 others["one process"][0] / own, f"({others['one process'][0]:.0f} s / {own:.0f} s)"),
        Figure("charts on our pages, of one process's, of the loop's", "the same",
               f"{charts}, {others['one process'][1]}, {others['loop'][1]}",
               met=charts == others["one process"][1] == others["loop"][1] > 0),
        at_most("memory of the whole batch, shared pages counted once", 1500, "MB",
                max(*memory, more) / 1e6),
    ]  # fmt: skip


def _ours(out: Path, settings: Settings) -> tuple[float, float]:
    """The seconds it took and the most memory it had, in bytes."""
    asked = settings.model_copy(update={"reports": str(out), "runs": str(out.with_suffix(".db"))})
    process = _started([sys.executable, "-c", OURS], asked, ROOT)
    most, is_over = [0.0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, most, is_over))
    started = time.perf_counter()
    watcher.start()
    status = process.wait()
    seconds = time.perf_counter() - started
    is_over.set()
    watcher.join()
    assert not status
    return seconds, most[0]


def _watch(pid: int, most: list[float], is_over: threading.Event) -> None:
    """Note the most memory of a process and its descendants together."""
    while not is_over.wait(WATCH_SECONDS):
        total = 0.0
        try:
            parent = psutil.Process(pid)
            family = [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for each in family:
            try:
                total += each.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        most[0] = max(most[0], total)


def _seconds(command: Sequence[str], settings: Settings, folder: Path) -> float:
    started = time.perf_counter()
    assert not _started(command, settings, folder).wait()
    return time.perf_counter() - started


def _started(command: Sequence[str], settings: Settings, folder: Path) -> subprocess.Popen[bytes]:
    told = {f"BREWTOPIA_{k.upper()}": str(v) for k, v in settings.model_dump().items() if v}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | told | {"PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _charts(pages: Iterable[Path]) -> int:
    return sum(len(re.findall("<picture", page.read_text("utf-8"))) for page in pages)
