"""The schedule: each period is made and mailed once, whoever asks, and however it is cut short."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from report_project import Reported
from test_delivery import made

from brewtopia_lib import cli, schedule
from brewtopia_lib.errors import WarehouseError
from brewtopia_lib.mail import sending
from brewtopia_lib.reports.batches import ReportRun
from brewtopia_lib.reports.runs import Ledger
from brewtopia_lib.schedule import Scheduler, freshness
from brewtopia_lib.schedule.agenda import upcoming
from brewtopia_lib.schedule.freshness import silent_branches
from brewtopia_lib.settings import Settings, load_settings
from brewtopia_lib.warehouse import open_warehouse

WEEKLY = 'cron = "0 7 * * mon"\ntime_zone = "Europe/London"'
SUNDAY = datetime(2024, 6, 30, 12, tzinfo=UTC)
MONDAY = datetime(2024, 7, 1, 6, tzinfo=UTC)
WEEK = timedelta(days=7)


@pytest.fixture
def settings(project: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project whose mails go into its outbox at once."""
    monkeypatch.setattr(sending, "PAUSES_SECONDS", (0,))
    (project / "reports").mkdir()
    monkeypatch.setenv("BREWTOPIA_REPORTS", str(project / "output"))
    return load_settings()


@pytest.fixture
def asked(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `run_report` was asked for; the warehouse is said to end on 28 June 2024."""
    asked: list[dict[str, Any]] = []

    monkeypatch.setattr(
        schedule, "run_report", lambda s, name, **o: plain_run(project, asked, name, o)
    )
    monkeypatch.setattr(schedule, "open_warehouse", lambda _: contextlib.nullcontext())
    last = SimpleNamespace(last_day=date(2024, 6, 30))
    monkeypatch.setattr(freshness, "find_scope", lambda _: last)
    monkeypatch.setattr(freshness, "silent_branches", lambda *_: [])
    monkeypatch.setattr(schedule, "read_parameters", lambda _: {"until": None})
    branches = pd.DataFrame({"branch": ["Leeds", "York"]})
    monkeypatch.setattr(freshness.analyses, "branches", lambda _: branches)
    return asked


def plain_run(
    project: Path, asked: list[dict[str, Any]], name: str, options: dict[str, Any]
) -> list[ReportRun]:
    asked.append({"name": name, **options})
    run = made(
        project,
        scheduled_for=options["parameters"]["scheduled_for"],
        notice=options["notices"].get("Leeds"),
    )
    return [ReportRun(**{**vars(run), "name": name})]


def define(project: Path, name: str = "trends", timing: str = WEEKLY, more: str = "") -> None:
    (project / "reports" / f"{name}.toml").write_text(
        f'title = "Trends"\nnotebook = "t.ipynb"\nfor_each = "branch"\n'
        f'recipients = ["a@example.org"]\nowners = ["it@example.org"]\n{more}\n[schedule]\n{timing}\n'
    )


def mails(project: Path) -> list[Path]:
    return sorted((project / "reports" / "outbox").glob("*.eml"))


def states(settings: Settings) -> list[str]:
    with Ledger(settings.runs).transaction() as rows:
        found = rows.execute("select state from occurrences order by scheduled_for").fetchall()
    return [row[0] for row in found]


# --- what is due


def test_a_new_schedule_starts_now(
    project: Path, settings: Settings, asked: list[dict[str, Any]]
) -> None:
    """What was due before a schedule was first seen is not made; what is due after is, once."""
    define(project)
    assert Scheduler(settings).run_due(MONDAY + timedelta(minutes=1)) == []
    assert Scheduler(settings).run_due(MONDAY + WEEK - timedelta(minutes=1)) == []
    (outcome,) = Scheduler(settings).run_due(MONDAY + WEEK)
    assert (outcome.report, outcome.state) == ("trends", "done")
    assert Scheduler(settings).run_due(MONDAY + WEEK) == []
    assert len(asked) == len(mails(project)) == 1


def test_a_report_is_told_what_it_is_for(
    project: Path, settings: Settings, asked: list[dict[str, Any]]
) -> None:
    """It gets the time it was due, reports up to the day before, and covers every branch."""
    define(project)
    Scheduler(settings).run_due(SUNDAY)
    Scheduler(settings).run_due(MONDAY + timedelta(hours=5))
    (one,) = asked
    assert one["parameters"]["scheduled_for"].isoformat() == "2024-07-01T07:00:00+01:00"
    assert (one["until"], one["all_branches"]) == (date(2024, 6, 30), True)


def test_missed_periods_are_made_up_for_once(
    project: Path, settings: Settings, asked: list[dict[str, Any]]
) -> None:
    """After five weeks of downtime the last three reports are made, each for its own week."""
    define(project)
    said: list[str] = []
    Scheduler(settings).run_due(MONDAY - 6 * WEEK - timedelta(minutes=1))
    outcomes = Scheduler(settings, say=said.append).run_due(MONDAY)
    assert [f"{one.scheduled_for:%d %b}" for one in outcomes] == ["17 Jun", "24 Jun", "01 Jul"]
    assert [one["until"] for one in asked] == [date(2024, 6, d) for d in (16, 23, 30)]
    assert states(settings) == ["missed"] * 4 + ["done"] * 3
    assert len(mails(project)) == 3
    assert "4 missed runs left out" in said[0]


def test_a_changed_schedule_starts_anew(
    project: Path, settings: Settings, asked: list[dict[str, Any]]
) -> None:
    """When cron or zone changes, times of the new rule in the past are not made up for."""
    define(project)
    Scheduler(settings).run_due(SUNDAY)
    define(project, timing='cron = "*/5 * * * *"\ntime_zone = "Asia/Kolkata"')
    assert Scheduler(settings).run_due(MONDAY) == []
    assert len(Scheduler(settings).run_due(MONDAY + timedelta(minutes=5))) == 1


def test_a_broken_definition_stops_no_other(
    project: Path, settings: Settings, asked: list[dict[str, Any]]
) -> None:
    """A definition that cannot be read is named, and the other reports are made."""
    define(project)
    (project / "reports" / "broken.toml").write_text("title =")
    said: list[str] = []
    Scheduler(settings, say=said.append).run_due(SUNDAY)
    assert len(Scheduler(settings, say=said.append).run_due(MONDAY)) == 1
    assert any("broken.toml cannot be read" in text for text in said)


def test_next_merges_all_schedules(project: Path, settings: Settings) -> None:
    """The next times of all reports come in order, each in its own zone."""
    define(project)
    define(project, "india", 'cron = "0 7 * * mon"\ntime_zone = "Asia/Kolkata"')
    found = upcoming(SUNDAY)
    assert [(name, moment.isoformat()) for moment, name in (next(found) for _ in range(3))] == [
        ("india", "2024-07-01T07:00:00+05:30"),
        ("trends", "2024-07-01T07:00:00+01:00"),
        ("india", "2024-07-08T07:00:00+05:30"),
    ]


# --- data that are missing


@pytest.mark.parametrize("policy", ["send", "wait"])
def test_missing_data_are_said_or_waited_for(
    project: Path,
    settings: Settings,
    asked: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    policy: str,
) -> None:
    """Where a branch's file is missing, the report goes out and says so, or waits for it first."""
    moment = datetime.now(UTC).replace(second=0, microsecond=0)
    timing = 'cron = "* * * * *"\ntime_zone = "UTC"\nrequires_data_until = "yesterday"'
    define(project, timing=f'{timing}\nwhen_data_missing = "{policy}"')
    yesterday = moment.date() - timedelta(days=1)
    monkeypatch.setattr(freshness, "find_scope", lambda _: SimpleNamespace(last_day=yesterday))
    monkeypatch.setattr(freshness, "silent_branches", lambda *_: ["Leeds"])
    Scheduler(settings).run_due(moment - timedelta(seconds=1))
    made_now = Scheduler(settings).run_due(moment)
    if policy == "wait":
        assert (made_now, asked) == ([], [])
        monkeypatch.setattr(freshness, "silent_branches", lambda *_: [])
        assert len(Scheduler(settings).run_due(moment)) == 1
        assert asked[0]["notices"] == {}
    else:
        (text,) = {asked[0]["notices"][branch] for branch in (None, "Leeds")}
        assert "have arrived from Leeds: this report was made without them" in text
        assert "York" not in asked[0]["notices"]


def test_waiting_ends(
    project: Path, settings: Settings, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the hours it waits at most, the report goes out and says what is missing."""
    monkeypatch.setattr(freshness, "silent_branches", lambda *_: ["Leeds"])
    wait = 'requires_data_until = "yesterday"\nwhen_data_missing = "wait"\nwait_hours = 2'
    define(project, timing=f"{WEEKLY}\n{wait}")
    Scheduler(settings).run_due(SUNDAY)
    assert len(Scheduler(settings).run_due(MONDAY)) == 1  # years ago by the clock on the wall
    assert "Leeds" in asked[0]["notices"][None]


def test_data_that_end_early_are_said(
    project: Path, settings: Settings, asked: list[dict[str, Any]]
) -> None:
    """Where the whole chain's sales end before the day asked for, every page says up to when."""
    define(project, timing=f'{WEEKLY}\nrequires_data_until = "yesterday"')
    Scheduler(settings).run_due(SUNDAY)
    Scheduler(settings).run_due(MONDAY + WEEK)
    assert asked[-1]["until"] == date(2024, 6, 30)
    assert set(asked[-1]["notices"]) == {None, "Leeds", "York"}
    assert "known up to Sun 30 June 2024" in asked[-1]["notices"]["York"]


# --- at once, cut short, failing


def test_two_schedulers_make_one_report(
    project: Path,
    settings: Settings,
    asked: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of several schedulers at once, one makes and mails what is due."""
    define(project)
    Scheduler(settings).run_due(SUNDAY)
    monkeypatch.setattr(
        schedule,
        "run_report",
        lambda s, name, **o: time.sleep(0.3) or plain_run(project, asked, name, o),
    )
    outcomes: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda: outcomes.extend(Scheduler(settings, say=lambda _: None).run_due(MONDAY))
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == len(outcomes) == len(mails(project)) == 1


def test_what_cannot_be_made_is_told_to_its_owners(
    project: Path,
    settings: Settings,
    asked: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A report that cannot be begun fails by name, its owners get the command, others are made."""
    define(project)
    define(project, "unlucky")

    def run_report(settings: Settings, name: str, **options: Any) -> list[ReportRun]:
        if name == "unlucky":
            raise WarehouseError("there is no warehouse")
        return plain_run(project, asked, name, options)

    monkeypatch.setattr(schedule, "run_report", run_report)
    Scheduler(settings).run_due(SUNDAY)
    outcomes = Scheduler(settings).run_due(MONDAY)
    assert {(one.report, one.state) for one in outcomes} == {
        ("trends", "done"),
        ("unlucky", "failed"),
    }
    (told,) = [path for path in mails(project) if b"what failed" in path.read_bytes()]
    text = told.read_bytes().replace(b"=\r\n", b"").decode()
    assert "there is no warehouse" in text
    assert "brewtopia report unlucky --all-branches -p scheduled_for" in text


def test_what_keeps_dying_is_given_up(
    project: Path,
    settings: Settings,
    asked: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that takes its process with it three times counts as failed, and is not begun again."""
    define(project)
    Scheduler(settings).run_due(SUNDAY)

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    monkeypatch.setattr(schedule, "run_report", die)
    for _ in range(3):
        with pytest.raises(SystemExit):
            Scheduler(settings).run_due(MONDAY)
    (outcome,) = Scheduler(settings).run_due(MONDAY)
    assert outcome.state == "failed"
    assert "begun 3 times" in str(outcome.note)
    assert Scheduler(settings).run_due(MONDAY) == []


def test_asked_to_stop_while_reports_are_made(
    project: Path,
    settings: Settings,
    asked: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SIGTERM interrupts the making, sends nothing, and leaves the report due for the next."""
    define(project, timing='cron = "* * * * *"\ntime_zone = "UTC"')
    Scheduler(settings).run_due(datetime.now(UTC) - timedelta(minutes=1))

    def interrupted(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)

    monkeypatch.setattr(schedule, "run_report", interrupted)
    before = signal.getsignal(signal.SIGTERM)
    Scheduler(settings).keep_running()
    assert signal.getsignal(signal.SIGTERM) is before
    assert set(states(settings)) == {"due"}
    assert mails(project) == []
    monkeypatch.setattr(schedule, "run_report", lambda s, n, **o: plain_run(project, asked, n, o))
    assert len(Scheduler(settings).run_due()) == len(mails(project)) >= 1


def test_the_command_ends_cleanly(project: Path) -> None:
    """`brewtopia schedule run` ends with 0 soon after SIGTERM."""
    (project / "reports").mkdir()
    command = [sys.executable, "-m", "brewtopia_lib.cli", "schedule", "run"]
    process = subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(project.glob("data/runs.sqlite.schedule")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, b"")


# --- with the real thing


def test_the_branch_without_its_file_is_found(reported: Reported) -> None:
    """A branch without sales on a day it usually trades is silent on that day only."""
    with open_warehouse(reported.settings.warehouse) as warehouse:
        _, rows = warehouse.rows("select distinct branch, sold_on from orders")
        there = {(str(branch), str(on)) for branch, on in rows}
        for day in (date(2024, 6, 12), date(2024, 6, 13), date(2024, 7, 1)):
            silent = silent_branches(warehouse, day)
            assert not any((branch, day.isoformat()) in there for branch in silent)
        assert "Leeds" in silent_branches(warehouse, date(2024, 7, 1))
        assert silent_branches(warehouse, date(2024, 6, 13)) == []


def test_from_cron_to_outbox(
    reported: Reported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """`schedule due` runs the notebook, mails its page, notes both, and does so once."""
    (tmp_path / ".env").touch()
    (tmp_path / "reports").mkdir()
    (tmp_path / "notebooks").symlink_to(reported.folder / "notebooks")
    (tmp_path / "reports" / "data_quality.toml").write_text(
        'title = "Data quality"\nnotebook = "notebooks/reports/data_quality.ipynb"\n'
        f'recipients = ["a@example.org"]\n[schedule]\n{WEEKLY}\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BREWTOPIA_WAREHOUSE", reported.settings.warehouse)
    settings = load_settings()
    scheduler = Scheduler(settings, workers=1)
    assert scheduler.run_due(SUNDAY) == []
    (outcome,) = scheduler.run_due(MONDAY)
    assert (outcome.state, outcome.note) == ("done", None)
    assert scheduler.run_due(MONDAY) == []
    (mail,) = mails(tmp_path)
    assert b"Every row of" in mail.read_bytes()
    (run,) = Ledger(settings.runs).runs()
    assert (run["report"], run["state"]) == ("data_quality", "done")
    assert run["scheduled_for"] == MONDAY.isoformat()
    with pytest.raises(SystemExit):
        cli.main(["schedule", "list", "--json"])
    (listed,) = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert (listed["report"], listed["state"]) == ("data_quality", "done")
