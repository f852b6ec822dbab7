"""The notebooks in the repository are thin, clean and complete, and those that teach run."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from notebook_rules import CHECKED, SQL, cells, faults, source
from report_project import copy_reports, settings_of

from brewtopia_lib.ingest import ingest
from brewtopia_lib.reports import run_report
from brewtopia_lib.reports.definitions import load_definition
from brewtopia_lib.sample import write_sample

from tills import Order, rows, settings_in, till, write_files  # isort: skip

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
REPORTS = [path for path in NOTEBOOKS if path.parent.name in ("reports", "pipeline")]
EXPLORE = [path for path in NOTEBOOKS if path.parent.name == "explore"]
TEMPLATE = ROOT / "brewtopia_lib" / "templates" / "new_report.ipynb"

Change = Callable[[dict[str, Any]], None]


def test_there_are_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reports and the two steps of the pipeline are notebooks, each with its definition."""
    monkeypatch.chdir(ROOT)
    assert {path.stem for path in REPORTS} >= {
        *("company_trends", "branch_trends", "data_quality", "ingest", "load"),
    }
    for path in REPORTS:
        assert load_definition(path.stem).notebook == path


@pytest.mark.parametrize("notebook", [*NOTEBOOKS, TEMPLATE], ids=lambda path: path.stem)
def test_notebooks_keep_the_rules(notebook: Path) -> None:
    """A notebook opens with a title, has one cell of typed parameters and a neutral kernel, defines
    nothing, and keeps no output that no test checks."""
    assert faults(notebook) == []


@pytest.mark.parametrize("notebook", REPORTS, ids=lambda path: path.stem)
def test_report_notebooks_hold_no_sql(notebook: Path) -> None:
    """A report asks through analyses alone."""
    for cell in cells(notebook):
        assert not SQL.search(source(cell))


def _output(notebook: dict[str, Any]) -> None:
    notebook["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["1"]}]


def _cell(text: str) -> Change:
    return lambda notebook: notebook["cells"][2].update(source=[text])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_output, "has outputs"),
        (_cell("def f():\n    return 1"), "defines something"),
        (_cell("f = lambda: 1"), "defines something"),
        (_cell(f"{CHECKED}\n1"), "no outputs to check"),
        (_cell("q = '''select *\nfrom orders\nwhere true'''"), "holds long SQL"),
        (lambda notebook: notebook["metadata"]["kernelspec"].update(name="mine"), "kernel"),
        (lambda notebook: notebook["cells"][2].update(execution_count=7), "run count"),
        (lambda notebook: notebook["cells"][2]["metadata"].update(name="mine"), "metadata"),
        (lambda notebook: notebook["cells"].pop(0), "title"),
        (lambda notebook: notebook["cells"].pop(1), "tagged 'parameters'"),
        (lambda notebook: notebook["cells"][1].update(source=["weeks = 4"]), "parameters cell"),
    ],
)
def test_a_notebook_that_breaks_a_rule_is_found(change: Change, words: str, tmp_path: Path) -> None:
    """Each rule finds the notebook that breaks it, in the check that runs before a commit too."""
    notebook = json.loads(EXPLORE[0].read_text(encoding="utf-8"))
    change(notebook)
    path = tmp_path / "broken.ipynb"
    path.write_text(json.dumps(notebook))
    assert any(words in fault for fault in faults(path))


def test_the_check_runs_before_a_commit(tmp_path: Path) -> None:
    """The command of the pre-commit hook passes good notebooks, and fails on a bad one by name."""
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    command = re.search(r"entry: python (\S*notebook_rules\.py)", hooks)
    assert command
    bad = tmp_path / "bad.ipynb"
    bad.write_text(EXPLORE[0].read_text(encoding="utf-8").replace("Python 3", "mine"))
    for paths, code in (([*EXPLORE], 0), ([EXPLORE[0], bad], 1)):
        run = subprocess.run(
            [sys.executable, ROOT / command[1], *paths],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
        assert run.returncode == code, run.stderr
    assert "bad.ipynb: its kernel" in run.stderr


@pytest.mark.slow
def test_teaching_notebooks_run(tmp_path: Path) -> None:
    """Every notebook in explore runs on a small chain, and says what it is kept with."""
    settings = settings_in(tmp_path)
    write_sample(
        tmp_path / "raw", branches=3, days=70, seed=3, until=date(2024, 6, 30), faults=True
    )
    ingest(settings)
    environment = {
        f"BREWTOPIA_{name.upper()}": getattr(settings, name)
        for name in ("raw", "lake", "warehouse")
    }
    run = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=",
            "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "120",
            "--nbval-sanitize-with", str(ROOT / "tests" / "nbval.cfg"),
            *map(str, EXPLORE),
        ],
        cwd=ROOT,
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-5000:]
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed
    assert int(passed[1]) == sum(len(cells(path)) for path in EXPLORE)


def test_the_pipeline_as_notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two steps of the pipeline, run as reports, take in a new file, show what came and what
    was wrong with it, and load it; nothing personal is on the pages."""
    copy_reports(tmp_path)
    monkeypatch.chdir(tmp_path)
    here = settings_of(tmp_path)
    write_files(Path(here.raw), {"first.csv": till([Order()])})
    ingest(here)
    new = {"new.csv": till([Order(day=2), "broken\n"]), "odd.csv": b"Ottoline Zebedee\n"}
    write_files(Path(here.raw), new)
    [cleaned] = run_report(here, "ingest")
    assert cleaned.page, cleaned.error
    page = cleaned.page.read_text()
    assert "too few columns" in page
    assert "odd.csv: no feed takes this file" in page
    [loaded] = run_report(here, "load", parameters={"top": 1})
    assert loaded.page, loaded.error
    assert "new.csv" in loaded.page.read_text()
    assert "first.csv" not in loaded.page.read_text()
    assert "Ottoline" not in page + loaded.page.read_text()
    assert rows(here, "select count(*) from orders") == [(2,)]
