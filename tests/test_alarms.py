"""The alarms: each fires when it should, and none does in a normal week."""

import json
import random
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudformation
import pytest
from cloudwatch import Alarm, Metric, State

ROOT = Path(__file__).parent.parent
PARTS = {"CleanPart": "clean", "LoadPart": "load"}
KNOWN = {"Name": "brewtopia", "Topic": "arn:topic", "AlarmAddress": "it@example.org", **PARTS}
TEMPLATE = cloudformation.read(cloudformation.FOLDER / "alarms.yaml")
ALARMS = {
    one["Properties"]["AlarmName"]["Fn::Sub"].removeprefix("${Name}-"): Alarm(
        cloudformation.resolved(one["Properties"], KNOWN)
    )
    for one in TEMPLATE["Resources"].values()
    if one["Type"] == "AWS::CloudWatch::Alarm"
}
MINUTE, HOUR, DAY = 60, 3600, 86400
WEEK = 7 * DAY
LOOK = HOUR
TROUBLE = 3 * DAY + 7 * HOUR
"""When, in the weeks that are not normal, the trouble begins."""

Samples = dict[Metric, list[tuple[float, float]]]


def status(name: str) -> Metric:
    return ("Brewtopia", name, frozenset({("service", "status")}))


def queue(name: str, which: str) -> Metric:
    return ("AWS/SQS", name, frozenset({("QueueName", f"brewtopia-{which}")}))


def function(name: str, which: str) -> Metric:
    return ("AWS/Lambda", name, frozenset({("FunctionName", f"brewtopia-{which}")}))


AGE, WAITING = "ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"
LOOKS = ("BranchesLate", "FilesOverRejectLimit", "ReportsLate", "ReportsFailed", "MailsUnsent")


def normal_week() -> Samples:
    """Nights with a burst of files; in passing a failed message, a failed load, two lone errors, a
    short throttle, and an hour without the instance."""
    chance = random.Random(7)
    week: Samples = defaultdict(list)
    restarted = 5 * DAY + 3 * HOUR
    for at in range(0, WEEK, LOOK):
        if restarted <= at < restarted + HOUR:
            continue
        for name in LOOKS:
            week[status(name)].append((at, 0.0))
    for at in range(0, WEEK, MINUTE):
        is_night = at % DAY > 20 * HOUR
        for which in ("clean", "load"):
            week[queue(AGE, which)].append((at, chance.uniform(0, 150) if is_night else 0.0))
            week[queue(WAITING, f"{which}-dead-letters")].append((at, 0.0))
        if is_night:
            for which in ("clean", "load"):
                week[function("Errors", which)].append((at, 0.0))
            week[function("Throttles", "clean")].append((at, 0.0))
    for which, again in (("clean", 30 * MINUTE), ("load", 90 * MINUTE)):
        begin = 4 * DAY + 21 * HOUR
        week[queue(AGE, which)] += [(begin + s, float(s)) for s in range(0, again + 90, MINUTE)]
        for at in (DAY + 21 * HOUR, 6 * DAY + 21 * HOUR):
            week[function("Errors", which)].append((at, 1.0))
    week[function("Throttles", "clean")] += [(6 * DAY + 22 * HOUR, 40.0)]
    return week


def looks(name: str) -> Callable[[Samples], None]:
    def happen(week: Samples) -> None:
        week[status(name)] += [(at, 1.0) for at in range(TROUBLE, TROUBLE + 6 * HOUR, LOOK)]

    return happen


def dead_letter(which: str) -> Callable[[Samples], None]:
    def happen(week: Samples) -> None:
        week[queue(WAITING, f"{which}-dead-letters")] += [
            (at, 1.0) for at in range(TROUBLE, TROUBLE + 2 * HOUR, MINUTE)
        ]

    return happen


def nobody_takes(which: str) -> Callable[[Samples], None]:
    def happen(week: Samples) -> None:
        week[queue(AGE, which)] += [(TROUBLE + s, float(s)) for s in range(0, 4 * HOUR, MINUTE)]

    return happen


def keeps_breaking(name: str, which: str) -> Callable[[Samples], None]:
    def happen(week: Samples) -> None:
        week[function(name, which)] += [
            (at, 1.0) for at in range(TROUBLE, TROUBLE + HOUR, 5 * MINUTE)
        ]

    return happen


def silence(week: Samples) -> None:
    for name in LOOKS:
        week[status(name)] = [one for one in week[status(name)] if one[0] < TROUBLE]


TROUBLES: dict[str, tuple[Callable[[Samples], None], int]] = {
    "branch-late": (looks("BranchesLate"), HOUR),
    "status-silent": (silence, 5 * HOUR),
    "files-rejected": (looks("FilesOverRejectLimit"), HOUR),
    "report-late": (looks("ReportsLate"), HOUR),
    "report-failed": (looks("ReportsFailed"), HOUR),
    "mail-failed": (looks("MailsUnsent"), HOUR),
    "clean-dead-letters": (dead_letter("clean"), 5 * MINUTE),
    "load-dead-letters": (dead_letter("load"), 5 * MINUTE),
    "clean-late": (nobody_takes("clean"), 80 * MINUTE),
    "load-late": (nobody_takes("load"), 115 * MINUTE),
    "clean-errors": (keeps_breaking("Errors", "clean"), 15 * MINUTE),
    "load-errors": (keeps_breaking("Errors", "load"), 15 * MINUTE),
    "throttles": (keeps_breaking("Throttles", "clean"), 15 * MINUTE),
}
"""Alarm → what goes wrong, and how soon it has to be heard."""


@pytest.mark.parametrize("name", ALARMS)
def test_a_normal_week_is_quiet(name: str) -> None:
    """No alarm fires in a week in which everything that goes wrong mends itself."""
    assert ALARMS[name].fires(normal_week(), WEEK) == []


@pytest.mark.parametrize("name", ALARMS)
def test_each_alarm_fires_in_time_and_ends(name: str) -> None:
    """Each alarm fires once when its trouble comes, soon enough, and ends when that is over."""
    happen, within = TROUBLES[name]
    week = normal_week()
    happen(week)
    fired = ALARMS[name].fires(week, WEEK)
    assert len(fired) == 1
    assert TROUBLE < fired[0] <= TROUBLE + within
    *_, (_, last) = ALARMS[name].states(week, WEEK)
    assert (last == "ALARM") == (happen is silence)


@pytest.mark.parametrize("name", ALARMS)
def test_nothing_else_fires_with_it(name: str) -> None:
    """One trouble is one alarm, but for those who watch the same from two sides."""
    week = normal_week()
    TROUBLES[name][0](week)
    assert [one for one in ALARMS if ALARMS[one].fires(week, WEEK)] == [name]


def test_alarms_say_why_and_lead_to_the_runbook() -> None:
    """Each alarm goes to the topic, gives a reason for its threshold beside it, and names the
    section of the runbook that says what to do."""
    runbook = (ROOT / "docs/operate.md").read_text()
    sections = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", runbook, flags=re.MULTILINE)
    }
    source = (cloudformation.FOLDER / "alarms.yaml").read_text()
    for name, alarm in ALARMS.items():
        properties = alarm.properties
        assert properties["AlarmActions"] == properties["OKActions"] == ["arn:topic"]
        assert properties["AlarmDescription"].endswith(f"docs/operate.md#{name}")
        assert name in sections, name
        assert re.search(
            rf"\n  # [^\n]+\n  \w+:\n[^#]*AlarmName: !Sub \$\{{Name\}}-{name}\n", source
        )


def test_the_dashboard_is_one() -> None:
    """CloudWatch's dashboard is JSON that holds together, and shows what each alarm watches."""
    dashboard = next(
        one for one in TEMPLATE["Resources"].values() if one["Type"] == "AWS::CloudWatch::Dashboard"
    )
    body = cloudformation.resolved(dashboard["Properties"]["DashboardBody"], KNOWN)
    shown = {metric for metric in dashboard_metrics(json.loads(body)) if metric[2]}
    assert {alarm.metric for alarm in ALARMS.values()} <= shown


def dashboard_metrics(dashboard: dict[str, Any]) -> list[Metric]:
    """The metrics that a CloudWatch dashboard names; those it searches for have no dimensions."""
    found: list[Metric] = []
    for widget in dashboard["widgets"]:
        for metric in widget["properties"]["metrics"]:
            if isinstance(metric[0], dict):
                namespace, name = re.findall(
                    r"SEARCH\('\{(\w+),[\w,]+\} MetricName=\"(\w+)\"", metric[0]["expression"]
                )[0]
                found.append((namespace, name, frozenset()))
            else:
                namespace, name, *rest = [part for part in metric if isinstance(part, str)]
                pairs = zip(rest[::2], rest[1::2], strict=True)
                found.append((namespace, name, frozenset(pairs)))
    return found


@pytest.mark.parametrize(
    ("points", "needed", "expected"),
    [
        # missing, breaching, notBreaching; as AWS's page on missing data has them for 3 periods
        ("0-X-X", 3, ("OK", "OK", "OK")),
        ("----0", 3, ("OK", "OK", "OK")),
        ("-----", 3, ("INSUFFICIENT_DATA", "ALARM", "OK")),
        ("0XX-X", 3, ("ALARM", "ALARM", "ALARM")),
        ("--X--", 3, ("ALARM", "ALARM", "OK")),
        ("0-X-X", 2, ("ALARM", "ALARM", "ALARM")),
        ("00X0X", 2, ("ALARM", "ALARM", "ALARM")),
        ("0-X--", 2, ("OK", "ALARM", "OK")),
        ("----0", 2, ("OK", "ALARM", "OK")),
        ("----X", 2, ("ALARM", "ALARM", "OK")),
    ],
)
def test_the_evaluator_does_as_documented(
    points: str, needed: int, expected: tuple[State, ...]
) -> None:
    """The tests' evaluator gives what AWS's documentation tabulates for missing data."""
    values = [{"0": 0.0, "X": 1.0}.get(one) for one in points]
    for missing, state in zip(("missing", "breaching", "notBreaching"), expected, strict=True):
        alarm = Alarm(
            {
                "EvaluationPeriods": 3,
                "DatapointsToAlarm": needed,
                "TreatMissingData": missing,
                "ComparisonOperator": "GreaterThanThreshold",
                "Threshold": 0,
            }
        )
        assert alarm.evaluated(values, "OK") == state
