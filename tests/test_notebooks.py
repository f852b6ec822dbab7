"""The notebooks in the repository are thin, clean and complete."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from brewtopia_lib.definitions import load_definition
from brewtopia_lib.parameters import read_parameters

ROOT = Path(__file__).parent.parent
REPORTS = sorted((ROOT / "notebooks" / "reports").glob("*.ipynb"))


def cells(notebook: Path, kind: str = "code") -> list[dict[str, Any]]:
    found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_there_are_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """The three reports are notebooks in the repository, each with its definition."""
    monkeypatch.chdir(ROOT)
    assert {path.stem for path in REPORTS} >= {"company_trends", "branch_trends", "data_quality"}
    for path in REPORTS:
        assert load_definition(path.stem).notebook == path


@pytest.mark.parametrize("notebook", REPORTS, ids=lambda path: path.stem)
def test_report_notebooks_are_stripped(notebook: Path) -> None:
    """A report notebook is committed without outputs, run counts or a trace of who ran it."""
    for cell in cells(notebook):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        assert set(cell["metadata"]) <= {"tags"}


@pytest.mark.parametrize("notebook", REPORTS, ids=lambda path: path.stem)
def test_report_notebooks_are_thin(notebook: Path) -> None:
    """A report notebook defines nothing and holds no SQL: it asks, looks and says."""
    for cell in cells(notebook):
        for node in ast.walk(ast.parse(source(cell))):
            assert not isinstance(
                node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
            )
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not re.search(r"\bselect\b.*\bfrom\b", node.value, re.IGNORECASE | re.DOTALL)


@pytest.mark.parametrize("notebook", REPORTS, ids=lambda path: path.stem)
def test_report_notebooks_open_with_title_and_parameters(notebook: Path) -> None:
    """A report notebook opens with a title and has one cell of typed parameters that is read."""
    title = cells(notebook, "markdown")[0]
    assert source(title).startswith("# ")
    declared = read_parameters(notebook)
    assert declared
    for parameter in declared.values():
        assert not parameter.required
