"""Cron expressions in time zones: every wall-clock time once, whatever the clocks do."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brewtopia_lib.reports.cron import Cron


def times(expression: str, zone: str, start: str, count: int) -> list[str]:
    begin = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone))
    return [
        f"{moment:%a} {moment.isoformat()}"
        for moment in islice(_after(expression, zone, begin), count)
    ]


def _after(expression: str, zone: str, begin: datetime):
    return Cron(expression, zone).after(begin)


def test_a_skipped_time_comes_as_the_clocks_go_forward() -> None:
    """In London 01:30 does not exist on 29 March 2026: it comes at 02:00, and only once."""
    assert times("30 1 * * *", "Europe/London", "2026-03-28T00:00", 3) == [
        "Sat 2026-03-28T01:30:00+00:00",
        "Sun 2026-03-29T02:00:00+01:00",
        "Mon 2026-03-30T01:30:00+01:00",
    ]


def test_a_repeated_time_comes_the_first_time_only() -> None:
    """In London 01:30 is there twice on 25 October 2026: it comes in summer time, once."""
    assert times("30 1 * * *", "Europe/London", "2026-10-24T12:00", 2) == [
        "Sun 2026-10-25T01:30:00+01:00",
        "Mon 2026-10-26T01:30:00+00:00",
    ]


def test_the_repeated_hour_is_not_run_through_again() -> None:
    """A half-hourly report has no runs in the hour that is repeated, and goes on after it."""
    assert times("*/30 * * * *", "Europe/London", "2026-10-25T00:45", 4) == [
        "Sun 2026-10-25T01:00:00+01:00",
        "Sun 2026-10-25T01:30:00+01:00",
        "Sun 2026-10-25T02:00:00+00:00",
        "Sun 2026-10-25T02:30:00+00:00",
    ]


def test_seven_in_the_morning_stays_seven() -> None:
    """A Monday report is due at seven by the clock on the wall, summer and winter."""
    assert times("0 7 * * mon", "Europe/London", "2026-03-20T00:00", 3) == [
        "Mon 2026-03-23T07:00:00+00:00",
        "Mon 2026-03-30T07:00:00+01:00",
        "Mon 2026-04-06T07:00:00+01:00",
    ]


@pytest.mark.parametrize("start", ["2026-03-28T00:00", "2026-10-24T00:00"])
def test_india_has_no_daylight_saving(start: str) -> None:
    """In Kolkata nothing happens on the days the clocks change in London."""
    assert [one[-14:] for one in times("30 1 * * *", "Asia/Kolkata", start, 3)] == [
        "01:30:00+05:30"
    ] * 3


def test_half_an_hour_can_be_skipped_too() -> None:
    """On Lord Howe Island the clocks go forward by half an hour, and times stay in order."""
    assert times("10,35 2 * * *", "Australia/Lord_Howe", "2026-10-04T00:00", 2) == [
        "Sun 2026-10-04T02:30:00+11:00",
        "Sun 2026-10-04T02:35:00+11:00",
    ]


@pytest.mark.parametrize(
    ("field", "days"),
    [("1", "Mon"), ("0", "Sun"), ("7", "Sun"), ("MON", "Mon"), ("5-7", "Fri Sat Sun"),
     ("fri-mon", "Fri Sat Sun Mon"), ("1-5/2", "Mon Wed Fri"), ("*/3", "Wed Sat Sun")],
)  # fmt: skip
def test_days_of_the_week_are_those_of_cron(field: str, days: str) -> None:
    """0 and 7 are Sunday and 1 is Monday; names, ranges and steps work."""
    found = times(f"0 7 * * {field}", "UTC", "2026-11-04T00:00", 14)
    assert {one[:3] for one in found} == set(days.split())


@given(
    st.datetimes(datetime(2026, 3, 27), datetime(2026, 3, 31))
    | st.datetimes(datetime(2026, 10, 23), datetime(2026, 10, 27)),
    st.sampled_from(["*/7 * * * *", "30 1 * * *", "15,45 0-3 * * *", "0 2 * * sun"]),
    st.sampled_from(["Europe/London", "Asia/Kolkata", "Australia/Lord_Howe", "America/New_York"]),
)
def test_wherever_one_begins_the_times_are_the_same(
    begin: datetime, expression: str, zone: str
) -> None:
    """Times are later than the beginning, in strict order, and do not depend on where one began."""
    start = begin.replace(tzinfo=UTC)
    whole = [t for t in islice(Cron(expression, zone).after(start - timedelta(days=1)), 400)]
    instants = [t.astimezone(UTC) for t in whole]
    assert instants == sorted(set(instants))
    later = [t for t in instants if t > start][:3]
    found = list(islice(Cron(expression, zone).after(start), len(later)))
    assert [t.astimezone(UTC) for t in found] == later


@pytest.mark.parametrize(
    ("expression", "zone", "says"),
    [
        ("0 7 * *", "UTC", "five fields"),
        ("0 25 * * *", "UTC", "is no cron expression"),
        ("0 7 * * 8", "UTC", "day of the week '8'"),
        ("0 7 31 2 *", "UTC", "never comes"),
        ("0 7 1 * mon", "UTC", "days of the month and of the week"),
        ("0 7 * * *", "Mars/Olympus", "no time zone"),
        ("0 7 * * *", "../../etc/passwd", "no time zone"),
    ],
)
def test_what_cannot_be_understood_is_refused(expression: str, zone: str, says: str) -> None:
    """A wrong expression or zone is refused at once, saying what is wrong."""
    with pytest.raises(ValueError, match="^'") as refused:
        Cron(expression, zone)
    assert says in str(refused.value)
