"""`%%sql` in a notebook's kernel."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from tills import Order, settings_in, till, write_files

import brewtopia_lib as bt
import brewtopia_lib.desk
from brewtopia_lib.ingest import clean_raw, ingest


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A notebook with the extension loaded; two orders are in the warehouse, three in the lake."""
    settings = settings_in(tmp_path)
    for name in ("raw", "lake", "warehouse"):
        monkeypatch.setenv(f"BREWTOPIA_{name.upper()}", getattr(settings, name))
    write_files(Path(settings.raw), {"1.csv": till([Order(1), Order(2)])})
    ingest(settings)
    write_files(Path(settings.raw), {"2.csv": till([Order(3, branch="Hull")])})
    clean_raw(settings)
    made = InteractiveShell()
    made.run_line_magic("load_ext", "brewtopia_lib")
    yield made
    for desk in ("warehouse", "lake"):
        if desk in made.user_ns:
            made.user_ns[desk].close()


def run(shell: Any, cell: str) -> Any:
    result = shell.run_cell(cell)
    result.raise_error()
    return result.result


def failure(shell: Any, cell: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a failing cell shows."""
    capsys.readouterr()
    assert not shell.run_cell(cell).success
    return capsys.readouterr().out


def test_rows_are_shown_or_kept(shell: Any) -> None:
    """A cell gives its rows as a frame, or keeps them under the name after --to."""
    frame = run(shell, "%%sql\nselect branch, total from orders order by all")
    assert frame["branch"].tolist() == ["Leeds", "Leeds"]
    assert run(shell, "%%sql --to kept\nselect branch, total from orders order by all") is None
    pd.testing.assert_frame_equal(shell.user_ns["kept"], frame)


def test_the_lake_is_asked_before_a_load(shell: Any) -> None:
    """--lake sees what is cleaned and not loaded yet."""
    assert run(shell, "%%sql --lake --to n\nselect count(*) as n from orders") is None
    assert shell.user_ns["n"]["n"].tolist() == [3]


def test_many_rows_are_asked_for(
    shell: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell of more rows than stated stops with the way out, which is --all."""
    monkeypatch.setattr(brewtopia_lib.desk, "MANY_ROWS", 1)
    said = failure(shell, "%%sql --to kept\nselect * from orders", capsys)
    assert "more than 1 rows" in said
    assert "kept" not in shell.user_ns
    assert run(shell, "%%sql --all --to kept\nselect * from orders") is None
    assert len(shell.user_ns["kept"]) == 2


@pytest.mark.parametrize(
    "value", ["Leeds", np.str_("Leeds"), pd.Series(["Leeds"]).iloc[0]], ids=repr
)
def test_values_come_from_the_notebook(shell: Any, value: object) -> None:
    """`$name` is the notebook's value, whatever it holds; marks in texts and comments are not."""
    shell.user_ns["branch"] = value
    sql = "%%sql\nselect count(*) as n, '$x' as x from orders where branch = $branch -- $y"
    assert run(shell, sql).values.tolist() == [[2, "$x"]]
    shell.user_ns["branch"] = "' or 1 = 1 --"
    assert run(shell, sql)["n"].tolist() == [0]


@pytest.mark.parametrize("day", ["date(2024, 3, 2)", "pd.Timestamp('2024-03-02')"])
def test_days_and_numbers_are_bound(shell: Any, day: str) -> None:
    """Days of Python and pandas and numbers of numpy are values too."""
    run(shell, f"from datetime import date\nimport numpy as np, pandas as pd\nday = {day}")
    run(shell, "least = np.float64(1.5)")
    sql = "%%sql\nselect count(*) as n from orders where sold_on = $day and total > $least"
    assert run(shell, sql)["n"].tolist() == [1]


def test_the_notebooks_own_warehouse_is_asked(shell: Any) -> None:
    """What the notebook calls `warehouse` answers, so that its refresh renews the cells too."""
    with bt.warehouse() as own:
        shell.user_ns["warehouse"] = own
        ingest(bt_settings())
        assert run(shell, "%%sql\nselect count(*) as n from orders")["n"].tolist() == [2]
        run(shell, "warehouse.refresh()")
        assert run(shell, "%%sql\nselect count(*) as n from orders")["n"].tolist() == [3]


def bt_settings() -> Any:
    from brewtopia_lib.settings import load_settings

    return load_settings()


def test_errors_point_at_the_line(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong SQL shows the line of the cell, the place in it and no traceback."""
    said = failure(shell, "%%sql\nselect branch\nfrom orders\nwhere brnch = 1", capsys)
    assert "line 4 of the cell" in said
    assert "    where brnch = 1\n          ^" in said
    assert "Traceback" not in said
    assert "duckdb" not in said


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%%sql\nselect $nowhere", "no value nowhere"),
        ("%%sql --too x\nselect 1", "takes --to NAME"),
        ("%%sql --to 1x\nselect 1", "takes --to NAME"),
        ("%%sql\n-- nothing", "write a SELECT"),
    ],
)
def test_wrong_use_is_one_line(
    shell: Any, capsys: pytest.CaptureFixture[str], cell: str, words: str
) -> None:
    """A missing value or an unknown option is one line that names it."""
    said = failure(shell, cell, capsys)
    assert words in said
    assert "Traceback" not in said
