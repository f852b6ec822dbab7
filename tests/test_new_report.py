"""A new report is there at once, and its page too."""

import json
from pathlib import Path

import pytest
from report_project import make_project

from brewtopia_lib.cli import main
from brewtopia_lib.desk.new_report import new_report
from brewtopia_lib.errors import UsageError
from brewtopia_lib.reports import run_report


@pytest.mark.parametrize("name", ["Slow days", "../slow", "1st", ""])
def test_names_that_cannot_be(name: str, project: Path) -> None:
    """A name that is no name of a file or of a report is refused, and nothing is written."""
    with pytest.raises(UsageError, match="no name of a report"):
        new_report(name)
    assert [path.name for path in project.iterdir()] == [".env"]


def test_nothing_is_written_over(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says what it wrote; asked again it refuses, and the files stay as they are."""
    with pytest.raises(SystemExit):
        main(["new-report", "slow_days"])
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in written] == ["slow_days.ipynb", "slow_days.toml"]
    written[0].write_text("mine")
    with pytest.raises(UsageError, match="slow_days already"):
        new_report("slow_days")
    assert written[0].read_text() == "mine"


@pytest.mark.slow
def test_it_runs_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report as it is made from the template gives a page with its title and a chart."""
    settings = make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    notebook, _ = new_report("slow_days")
    assert json.loads(notebook.read_text())["nbformat"] == 4
    (run,) = run_report(settings, "slow_days")
    assert not run.error
    assert run.page is not None
    page = run.page.read_text(encoding="utf-8")
    assert "Slow days" in page
    assert "TITLE" not in page
    assert "Revenue a day" in page
