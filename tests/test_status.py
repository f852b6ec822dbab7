"""The state of the pipeline: late files, rejects, failed runs and unsent mails, from the ledgers."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from event_stream import metrics
from report_project import settings_of
from tills import Order, till, write_files

from brewtopia_lib.cli import main
from brewtopia_lib.ingest import ingest
from brewtopia_lib.reports.gallery import renew_gallery
from brewtopia_lib.reports.runs import Ledger, Run, SendKey
from brewtopia_lib.settings import Settings
from brewtopia_lib.status import (
    PipelineStatus,
    pipeline_status,
    publish_status,
    tell_status,
)

LAST = dt.date(2024, 3, 29)  # a Friday
SCHEDULED = """title = "Digest"
notebook = "digest.ipynb"
[schedule]
cron = "0 7 * * *"
time_zone = "Europe/London"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Leeds sends a file each evening but on Sundays, York one of old and no more."""
    (tmp_path / ".env").touch()
    monkeypatch.chdir(tmp_path)
    settings = settings_of(tmp_path)
    files = {f"leeds_{day}.csv": till([Order(day=day)]) for day in range(1, 30) if day % 7 != 3}
    files["leeds_29.csv"] += b"29/03/2024 10:00,Leeds,Ottoline Zebedee,,4.50,CARD,4929\n"
    files["york_1.csv"] = till([Order(day=1, branch="York")])
    write_files(Path(settings.raw), files)
    ingest(settings)
    with duckdb.connect(settings.warehouse) as warehouse:  # as if each had come in its evening
        warehouse.execute(
            "update loads set cleaned_at = (select min(sold_on) from object_days"
            " where object_days.source = loads.source) + interval 19 hour"
        )
    return settings


def at(settings: Settings, day: int, hour: int, month: int = 3) -> PipelineStatus:
    return pipeline_status(settings, dt.datetime(2024, month, day, hour, tzinfo=dt.UTC))


def state(status: PipelineStatus, branch: str) -> str:
    (found,) = (one.state for one in status.branches if one.branch == branch)
    return found


def test_a_file_is_late_after_its_usual_hour(project: Settings) -> None:
    """The next day's file is waited for until three hours after the hour it usually comes at."""
    assert state(at(project, 30, 21), "Leeds") == "on time"
    late = at(project, 30, 23)
    assert state(late, "Leeds") == "late"
    assert any(problem.startswith("Leeds: no file since 29 Mar 19:00") for problem in late.problems)


def test_days_off_are_not_waited_for(project: Settings) -> None:
    """On the weekday that a branch does not trade on, none of its files is due."""
    Path(project.raw, "leeds_30.csv").write_bytes(till([Order(day=30)]))
    ingest(project)
    with duckdb.connect(project.warehouse) as warehouse:
        warehouse.execute(
            "update loads set cleaned_at = timestamp '2024-03-30 19:00' where source like '%_30.csv'"
        )
    assert state(at(project, 31, 23), "Leeds") == "on time"
    assert state(at(project, 1, 23, month=4), "Leeds") == "late"


def test_a_branch_that_left_is_not_late(project: Settings) -> None:
    """After four silent weeks a branch counts as gone, and nobody is told of it any more."""
    assert state(at(project, 28, 12), "York") == "late"
    gone = at(project, 30, 12)
    assert state(gone, "York") == "gone"
    assert not any("York" in problem for problem in gone.problems)


def test_rejects_are_told_with_their_money(project: Settings) -> None:
    """Rows rejected in the last seven days are counted by reason, with the pounds not counted."""
    status = at(project, 30, 12)
    assert [(one.reason, one.rows) for one in status.rejects] == [("no_items", 1)]
    assert (status.rejected, status.revenue_not_counted) == (1, Decimal("4.50"))
    assert 0 < status.rejected_share < 1
    assert at(project, 20, 12, month=4).rejects == []


def test_failed_runs_and_unsent_mails(project: Settings) -> None:
    """A report whose last run failed and a mail that did not leave are told; what is mended not."""
    ledger = Ledger(project.runs)
    run = Run("branch_trends", "Leeds", {}, None, LAST, LAST)
    ledger.end_run(ledger.begin_run(run), "failed", 1.0, None, "no kernel")
    key = SendKey("branch_trends", "{}", "2024-03-29", "owner@example.org")
    ledger.begin_send(key, "<1@x>")
    ledger.end_send(key, "failed", "refused")
    status = pipeline_status(project)
    assert [one["error"] for one in status.failed_runs] == ["no kernel"]
    assert [one["state"] for one in status.unsent_mails] == ["failed"]
    ledger.end_run(ledger.begin_run(run), "done", 1.0, None, None)
    ledger.begin_send(key, "<1@x>")
    ledger.end_send(key, "sent")
    mended = pipeline_status(project)
    assert not mended.failed_runs and not mended.unsent_mails


def test_late_reports(project: Settings, tmp_path: Path) -> None:
    """A report is late two hours after its time, and so it is when no scheduler runs at all."""
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "digest.toml").write_text(SCHEDULED)
    assert not at(project, 30, 12).late_reports, "a schedule that was never seen begins later"
    ledger = Ledger(project.runs)
    with ledger.transaction() as rows:
        rows.execute(
            "insert into schedules values ('digest', '0 7 * * * Europe/London', ?)",
            ("2024-03-29T12:00:00+00:00",),
        )
    assert not at(project, 30, 8).late_reports
    (late,) = at(project, 30, 10).late_reports
    assert late.report == "digest"
    assert "no scheduler" in late.state


def test_the_page_and_the_gallery(project: Settings) -> None:
    """The page has what the command has but for addresses of mail, and the gallery leads to it."""
    folder = Path(project.reports)
    folder.mkdir()
    ledger = Ledger(project.runs)
    renew_gallery(ledger, folder)
    assert "status.html" not in (folder / "index.html").read_text()
    key = SendKey("branch_trends", "{}", "2024-03-29", "owner@example.org")
    ledger.begin_send(key, "<1@x>")
    assert not pipeline_status(project).unsent_mails, "it is just on its way"
    status = pipeline_status(project, dt.datetime.now(dt.UTC) + dt.timedelta(minutes=20))
    publish_status(project, status)
    assert 'href="status.html"' in (folder / "index.html").read_text()
    page = (folder / "status.html").read_text()
    assert "Leeds" in page and "1 mail not sent" in page
    assert "owner@example.org" not in page
    publish_status(project, at(project, 30, 12))
    assert "no_items" in (folder / "status.html").read_text()


def test_the_command(project: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """`brewtopia status` prints each branch and what is wrong, and `--json` the same as data."""
    environment = {
        name: str(getattr(project, name))
        for name in ("warehouse", "runs", "reports", "raw", "lake")
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(f"BREWTOPIA_{name.upper()}", value)
        for arguments in (["status", "--page"], ["status", "--json"]):
            with pytest.raises(SystemExit) as end:
                main(arguments)
            assert end.value.code == 0
    shown, _, document = capsys.readouterr().out.partition("{")
    assert "Leeds" in shown and "gone" in shown
    assert "everything is as it should be" in shown
    told = json.loads("{" + document)
    assert {one["branch"]: one["state"] for one in told["branches"]} == {
        "Leeds": "gone",
        "York": "gone",
    }
    assert told["problems"] == []
    assert (Path(project.reports) / "status.html").is_file()


def test_metrics_count_what_is_wrong(project: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """What the alarms listen to is told as numbers: files over the limit, late branches, mails."""
    broken = till([Order(day=29, minute=n) for n in range(20)]) + b"broken\n" * 3
    Path(project.raw, "leeds_29.csv").write_bytes(broken)
    ingest(project)
    status = pipeline_status(project)
    tell_status(status)
    told = {
        name: (dimensions, value) for name, dimensions, value in metrics(capsys.readouterr().out)
    }
    assert {dimensions["service"] for dimensions, _ in told.values()} == {"status"}
    assert told["FilesOverRejectLimit"][1] == [1]
    assert told["MailsUnsent"][1] == told["ReportsFailed"][1] == [0]
    late = at(project, 28, 12)
    tell_status(late)
    again = {name: value for name, _, value in metrics(capsys.readouterr().out)}
    assert again["BranchesLate"] == [len(late.late_branches)] == [1]
