"""The ledger: what was made and sent, the same for all who look."""

import multiprocessing
import os
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from brewtopia_lib.errors import LedgerError
from brewtopia_lib.reports.runs import Ledger, Run, SendKey

KEY = SendKey("branch_trends", '{"branch": "Leeds"}', "2024-06-30", "leeds@example.org")
RUN = Run("branch_trends", "Leeds", {"weeks": 4}, None, date(2024, 6, 3), date(2024, 6, 30))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "below" / "runs.sqlite")


def test_a_run_is_noted_with_all_there_is_to_know(ledger: Ledger) -> None:
    """A run shows as running and then as it ended, with parameters, days covered and page."""
    number = ledger.begin_run(RUN)
    assert ledger.runs()[0]["state"] == "running"
    ledger.end_run(number, "done", 1.25, Path("leeds.html"), None)
    (run,) = ledger.runs()
    assert run["state"] == "done"
    assert (run["first_day"], run["until"]) == ("2024-06-03", "2024-06-30")
    assert (run["parameters"], run["seconds"], run["page"]) == ({"weeks": 4}, 1.25, "leeds.html")


def test_a_run_that_never_ended_was_interrupted(ledger: Ledger) -> None:
    """When the same is run again, what was left running is known as interrupted."""
    ledger.begin_run(RUN)
    other = Run("branch_trends", "Leeds", {"weeks": 4}, datetime(2024, 7, 1, tzinfo=UTC),
                RUN.first_day, RUN.until)  # fmt: skip
    ledger.begin_run(other)
    ledger.begin_run(RUN)
    assert [run["state"] for run in ledger.runs()] == ["running", "running", "interrupted"]


def test_old_runs_are_forgotten(ledger: Ledger) -> None:
    """Of each report and branch the newest runs that ended stay; mails are never forgotten."""
    ledger.begin_send(KEY, "<1@x>")
    for branch in ("Leeds", None):
        for second in range(5):
            number = ledger.begin_run(replace(RUN, branch=branch, parameters={"weeks": second}))
            if second < 4:
                ledger.end_run(number, "done", 1.0, None, None, {"title": "Trends"})
    ledger.forget_runs("branch_trends", "Leeds", 2)
    ledger.forget_runs("other", None, 2)
    kept = [(run["branch"], run["parameters"]["weeks"]) for run in ledger.runs()]
    assert kept == [(None, n) for n in (4, 3, 2, 1, 0)] + [("Leeds", n) for n in (4, 3, 2)]
    assert len(ledger.sends()) == 1


def test_what_was_sent_is_not_sent_again(ledger: Ledger) -> None:
    """A message is to be sent once, and again only when that is asked for."""
    assert ledger.begin_send(KEY, "<1@x>") == "sending"
    ledger.end_send(KEY, "sent")
    assert ledger.begin_send(KEY, "<1@x>") == "sent"
    assert ledger.begin_send(KEY, "<1@x>", again=True) == "sending"


def test_what_may_have_been_sent_is_held(ledger: Ledger) -> None:
    """A message that was being sent is held until asked for, unless repeating does no harm."""
    ledger.begin_send(KEY, "<1@x>")
    assert [ledger.begin_send(KEY, "<1@x>") for _ in range(2)] == ["held", "held"]
    assert ledger.begin_send(KEY, "<1@x>", repeatable=True) == "sending"


def test_what_failed_is_tried_again(ledger: Ledger) -> None:
    """A message known not to have left may be sent, and each attempt is counted."""
    for _ in range(3):
        assert ledger.begin_send(KEY, "<1@x>") == "sending"
        ledger.end_send(KEY, "failed", "the server is down")
    (sent,) = ledger.sends()
    assert (sent["state"], sent["attempts"], sent["error"]) == ("failed", 3, "the server is down")


def test_other_recipients_and_periods_are_other_messages(ledger: Ledger) -> None:
    """The same report to somebody else, or for another period, is sent."""
    ledger.begin_send(KEY, "<1@x>")
    for other in (KEY._replace(recipient="x@example.org"), KEY._replace(period="2024-07-07")):
        assert ledger.begin_send(other, "<2@x>") == "sending"


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    """What was written before an error is gone."""
    with pytest.raises(LedgerError), ledger.transaction() as rows:
        rows.execute("insert into schedules values ('a', 'b', 'c')")
        rows.execute("insert into nowhere values (1)")
    with ledger.transaction() as rows:
        assert rows.execute("select count(*) from schedules").fetchone()[0] == 0


def _dies_at_work(path: Path) -> None:
    with Ledger(path).alone("mail") as is_ours:
        os._exit(7 if is_ours else 1)


def test_work_belongs_to_one_and_is_freed_by_death(tmp_path: Path) -> None:
    """Work in hand is nobody else's, other work is free, and who dies gives his up."""
    path = tmp_path / "runs.sqlite"
    with Ledger(path).alone("mail") as first, Ledger(path).alone("mail") as second:
        assert (first, second) == (True, False)
        with Ledger(path).alone("schedule") as other:
            assert other
    child = multiprocessing.get_context("spawn").Process(target=_dies_at_work, args=(path,))
    child.start()
    child.join(60)
    assert child.exitcode == 7
    with Ledger(path).alone("mail") as is_ours:
        assert is_ours


def test_a_ledger_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A file that is no ledger is an error that names it and the setting to mend."""
    path = tmp_path / "runs.sqlite"
    path.write_text("this is no database" * 100)
    with pytest.raises(LedgerError, match=r"runs\.sqlite.*BREWTOPIA_RUNS"):
        Ledger(path).runs()
    with pytest.raises(LedgerError):
        Ledger(tmp_path / "runs.sqlite" / "below").runs()


def test_errors_of_others_stay_what_they_are(ledger: Ledger) -> None:
    """What goes wrong in the work that is done alone is not blamed on the ledger."""
    with pytest.raises(FileNotFoundError), ledger.alone("mail"):
        raise FileNotFoundError
