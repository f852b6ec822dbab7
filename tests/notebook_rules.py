"""What a notebook of the project must keep to; as a command, it says what these do not.

python tests/notebook_rules.py notebooks/explore/00_start_here.ipynb …
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from brewtopia_lib.errors import ReportError
from brewtopia_lib.reports.parameters import read_parameters

CHECKED = "# NBVAL_CHECK_OUTPUT"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
NEUTRAL = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
SQL = re.compile(r"\bselect\b.*\bfrom\b", re.IGNORECASE | re.DOTALL)


def cells(notebook: Path, kind: str = "code") -> list[dict[str, Any]]:
    found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def faults(notebook: Path) -> list[str]:
    """Every rule that a notebook breaks, in words; none for a good one."""
    return [*_file_faults(notebook), *_cell_faults(notebook)]


def _file_faults(notebook: Path) -> Iterator[str]:
    if json.loads(notebook.read_text(encoding="utf-8"))["metadata"] != NEUTRAL:
        yield "its kernel is not plain Python 3: `kernelspec` and `language_info` alone, neutral"
    first = json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]
    if first["cell_type"] != "markdown" or not source(first).startswith("# "):
        yield "it does not open with a title"
    try:
        declared = read_parameters(notebook)
    except ReportError as error:
        yield str(error)
    else:
        if not declared:
            yield "its parameters cell declares none"
        for name in (name for name, one in declared.items() if one.required):
            yield f"its parameter {name} has no default"


def _cell_faults(notebook: Path) -> Iterator[str]:
    for cell in cells(notebook):
        text = source(cell)
        what = f"the cell {text.splitlines()[0]!r}" if text else "an empty cell"
        if cell["outputs"] and not text.startswith(CHECKED):
            yield f"{what} has outputs, and no test checks them: clear them, or lead it with {CHECKED}"
        if text.startswith(CHECKED) and not cell["outputs"]:
            yield f"{what} has no outputs to check"
        if re.search(r"/(?:home|root|tmp|Users|work)/", json.dumps(cell["outputs"])):
            yield f"{what} tells a path of somebody's machine"
        if cell["execution_count"] is not None and not cell["outputs"]:
            yield f"{what} has a run count"
        if set(cell["metadata"]) - {"tags"}:
            yield f"{what} has metadata but tags"
        if text.startswith("%%"):
            continue
        for node in ast.walk(ast.parse(TransformerManager().transform_cell(text))):
            if isinstance(node, DEFINES):
                yield f"{what} defines something: that belongs into brewtopia_lib"
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_text and SQL.search(node.value) and node.value.count("\n") > 1:
                yield f"{what} holds long SQL: use %%sql, or a file"


if __name__ == "__main__":
    found = [f"{name}: {fault}" for name in sys.argv[1:] for fault in faults(Path(name))]
    print("\n".join(found), file=sys.stderr)
    sys.exit(bool(found))
