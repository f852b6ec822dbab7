"""What the command line shows: exact values, safe text, and progress that does not flood."""

import csv
import io
import json
from datetime import date, datetime, time
from decimal import Decimal

import pytest

from brewtopia_lib import console

NAMES = ["branch", "day", "at", "revenue", "units", "share", "known"]
ROWS = [
    ("Leeds", date(2024, 3, 1), datetime(2024, 3, 1, 9, 5), Decimal("1234.50"), 7, 0.25, True),
    ("Café, “Nord”", None, None, None, None, None, None),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_csv_is_exact_and_null_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """CSV keeps every decimal place, writes days in ISO form and null as nothing."""
    console.print_rows(NAMES, ROWS, "csv")
    header, first, second = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == NAMES
    assert first == ["Leeds", "2024-03-01", "2024-03-01T09:05:00", "1234.50", "7", "0.25", "true"]
    assert second == ["Café, “Nord”", "", "", "", "", "", ""]


def test_json_is_exact_and_null_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has one object a row, money as exact text, null as null, and no NaN."""
    console.print_rows(
        [*NAMES, "odd", "list"], [(*row, float("nan"), [time(9), None]) for row in ROWS], "json"
    )
    first, second = json.loads(capsys.readouterr().out)
    assert first["revenue"] == "1234.50"
    assert first["day"] == "2024-03-01"
    assert (first["units"], first["share"], first["known"]) == (7, 0.25, True)
    assert first["list"] == ["09:00:00", None]
    assert first["odd"] is None
    assert second["branch"] == "Café, “Nord”"
    assert second["revenue"] is None


def test_json_keeps_columns_of_one_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Two columns with one name are both there."""
    console.print_rows(["a", "a", "b"], [(1, 2, 3)], "json")
    assert json.loads(capsys.readouterr().out) == [{"a": 1, "a_1": 2, "b": 3}]


def test_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers stand right, text left, under a header with a rule."""
    console.print_rows(["branch", "£"], [("Leeds", Decimal("9.50")), ("Hull", Decimal("-10.25"))])
    assert capsys.readouterr().out.splitlines() == [
        "branch       £",
        "------  ------",
        "Leeds     9.50",
        "Hull    -10.25",
    ]


def test_empty_answer_still_shows_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """No rows give a header alone, and an empty list as JSON."""
    console.print_rows(["a", "b"], [])
    assert capsys.readouterr().out.splitlines() == ["a  b", "-  -"]
    console.print_rows(["a"], [], "json")
    assert json.loads(capsys.readouterr().out) == []


def test_nothing_printed_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in a product name or a file name are shown as a mark."""
    console.print_rows(["product\x1b[2J"], [("Mocha\x1b]0;owned\x07\nLatte\u202e",)])
    shown = capsys.readouterr().out
    assert not set(shown) & {"\x1b", "\x07", "\u202e"}
    assert len(shown.splitlines()) == 3


def test_facts_stand_in_two_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """A summary is names and values; a group is indented, and an empty one says so."""
    console.print_facts(
        {"rows": 3, "revenue": Decimal("5.20"), "reasons": {"bad_total": 1}, "x": {}}
    )
    assert capsys.readouterr().out.splitlines() == [
        "rows         3",
        "revenue      5.20",
        "reasons",
        "  bad_total  1",
        "x            none",
    ]


def test_progress_is_a_bar_on_a_terminal() -> None:
    """On a terminal a bar is drawn and taken away again; names in it are no markup."""
    stream = Terminal()
    with console.progress(stream) as show:
        for done in range(4):
            show(done, 3, "[bold]leeds.csv\x07")
    assert "[bold]leeds.csv" in stream.getvalue()
    assert "\x07" not in stream.getvalue()


def test_progress_is_quiet_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere a plain line comes every few seconds, however many files there are."""
    clock = iter(range(10_000))
    monkeypatch.setattr(console, "monotonic", lambda: next(clock) / 100)
    stream = io.StringIO()
    with console.progress(stream) as show:
        for done in range(2_000):
            show(done, 2_000, "leeds.csv")
    lines = stream.getvalue().splitlines()
    assert 2 <= len(lines) <= 6
    assert all("of 2,000 leeds.csv" in line for line in lines)
