"""Report parameters: what a notebook declares, and what is refused before anything runs."""

import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brewtopia_lib.errors import ParameterError, ReportError
from brewtopia_lib.reports.parameters import check_parameters, read_parameters

CELL = """
from datetime import date
from typing import Literal

until: date | None = None  # the last day
weeks: int = 4
branch: str = "Leeds"
by: Literal["revenue", "units"] = "revenue"
sizes: list[str] = ["Regular"]
share: float = 0.5
short: bool = False
"""


def notebook(folder: Path, *sources: str) -> Path:
    path = folder / "report.ipynb"
    tagged = {"cell_type": "code", "metadata": {"tags": ["parameters"]}}
    path.write_text(json.dumps({"cells": [{**tagged, "source": text} for text in sources]}))
    return path


def test_defaults_are_what_the_cell_says(tmp_path: Path) -> None:
    """Without anything given, every declared parameter has its default."""
    declared = read_parameters(notebook(tmp_path, CELL))
    assert check_parameters(declared, {}, "trends") == {
        "until": None,
        "weeks": 4,
        "branch": "Leeds",
        "by": "revenue",
        "sizes": ["Regular"],
        "share": 0.5,
        "short": False,
    }


def test_text_becomes_the_declared_type(tmp_path: Path) -> None:
    """What is typed on the command line arrives as the type the notebook declares."""
    declared = read_parameters(notebook(tmp_path, CELL))
    given_text = {
        "until": "2024-06-30",
        "weeks": "8",
        "by": "units",
        "sizes": "Regular, Large",
        "share": "0.25",
        "short": "yes",
    }
    assert check_parameters(declared, given_text, "trends") == {
        "until": date(2024, 6, 30),
        "weeks": 8,
        "branch": "Leeds",
        "by": "units",
        "sizes": ["Regular", "Large"],
        "share": 0.25,
        "short": True,
    }


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("until", "30/06/2024", "2024-06-30"),
        ("until", "2024-02-30", "2024-06-30"),
        ("until", "20240630", "2024-06-30"),
        ("weeks", "four", "a whole number"),
        ("weeks", "4.5", "a whole number"),
        ("weeks", True, "a whole number"),
        ("by", "profit", "revenue or units"),
        ("share", "nan", "a number"),
        ("short", "maybe", "true or false"),
        ("sizes", 7, "a list"),
        ("week", "4", "did you mean weeks?"),
        ("zebra", "4", "takes branch, by, share, short, sizes, until, weeks"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, name: str, value: object, says: str) -> None:
    """An unknown name or a value of another type is wrong usage; the error says what is allowed."""
    declared = read_parameters(notebook(tmp_path, CELL))
    with pytest.raises(ParameterError, match="report trends") as refused:
        check_parameters(declared, {name: value}, "trends")
    assert says in str(refused.value)
    assert refused.value.exit_code == 2


def test_required_parameters_must_be_given(tmp_path: Path) -> None:
    """A parameter declared without a default must be given, and the error says what it takes."""
    declared = read_parameters(notebook(tmp_path, "branch: str"))
    assert check_parameters(declared, {"branch": "Hull"}, "trends") == {"branch": "Hull"}
    with pytest.raises(ParameterError, match="needs branch: text"):
        check_parameters(declared, {}, "trends")


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("weeks = 4", "weeks = 4"),
        ("weeks: int = 'four'", "default 'four'"),
        ("weeks: int = 2 + 2", "default 2 \\+ 2"),
        ("weeks: dict = {}", "type 'dict'"),
        ("weeks: int = ", "invalid syntax"),
        ("print('hello')", "print"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named(tmp_path: Path, cell: str, says: str) -> None:
    """A parameters cell with anything but typed constants is an error that shows the line."""
    with pytest.raises(ReportError, match=says):
        read_parameters(notebook(tmp_path, cell))


@pytest.mark.parametrize("cells", [(), ("weeks: int = 4", "branch: str = ''")])
def test_there_is_exactly_one_parameters_cell(tmp_path: Path, cells: tuple[str, ...]) -> None:
    """No parameters cell, or two of them, is an error that says how many there are."""
    with pytest.raises(ReportError, match=f"has {len(cells)} cells"):
        read_parameters(notebook(tmp_path, *cells))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"cells": [1]}', "\x00"])
def test_a_file_that_is_no_notebook_is_named(tmp_path: Path, content: str) -> None:
    """A file that is no notebook gives a clear error, not a traceback."""
    path = tmp_path / "broken.ipynb"
    path.write_text(content)
    with pytest.raises(ReportError, match=r"broken\.ipynb"):
        read_parameters(path)


@given(value=st.one_of(st.integers(), st.text(), st.none(), st.floats(), st.binary()))
def test_nothing_else_is_ever_raised(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    """Any value at all is either taken as its declared type or refused as a parameter error."""
    declared = read_parameters(notebook(tmp_path_factory.getbasetemp(), CELL))
    for name in declared:
        try:
            check_parameters(declared, {name: value}, "trends")
        except ParameterError:
            continue
