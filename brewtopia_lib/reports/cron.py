"""The moments that a cron expression names in a time zone; pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

FIELDS = ("minute", "hour", "day", "month", "day_of_week")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Cron:
    """A cron expression of five fields, meant in the wall-clock time of a zone.

    Each wall-clock time counts once a day, whatever daylight saving does: what falls into the
    hour that clocks skip comes the moment they go forward, and what falls into the hour they
    repeat comes the first time only. Days of the week are cron's: 0 and 7 are Sunday, 1 is
    Monday. Raises ValueError for what is no such expression, and for an unknown zone.
    """

    expression: str
    time_zone: str

    def __post_init__(self) -> None:
        self._walls, self.zone  # noqa: B018 - what is wrong is told at once

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The moments later than `moment`, in order, without end, in the zone's own time."""
        wall = moment.astimezone(self.zone).replace(tzinfo=UTC)
        while found := self._walls.get_next_fire_time(None, wall):
            instant = _instant(found.replace(tzinfo=self.zone))
            if instant > moment:
                yield instant.astimezone(self.zone)
                moment = instant
            wall = found + TICK

    @cached_property
    def zone(self) -> ZoneInfo:
        """The time zone itself."""
        try:
            return ZoneInfo(self.time_zone)
        except (LookupError, ValueError, OSError):
            raise ValueError(
                f"{self.time_zone!r} is no time zone: write one such as Europe/London"
            ) from None

    @cached_property
    def _walls(self) -> CronTrigger:
        """The expression on a clock without daylight saving.

        The trigger knows time zones too, but repeats the times of a repeated hour for ever.
        """
        parts = dict(zip(FIELDS, self.expression.lower().split(), strict=False))
        if len(self.expression.split()) != len(FIELDS):
            raise ValueError(
                f"{self.expression!r} is no cron expression: write five fields, minute, hour, day, "
                "month and day of the week, as in '0 7 * * mon'"
            )
        if "*" not in (parts["day"], parts["day_of_week"]):
            raise ValueError(
                f"{self.expression!r} asks for days of the month and of the week at once, which "
                "one cron reads as 'and' and another as 'or': write * for one of them"
            )
        try:
            parts["day_of_week"] = _named_days(parts["day_of_week"])
            trigger = CronTrigger(**parts, timezone=UTC)
        except ValueError as error:
            raise ValueError(f"{self.expression!r} is no cron expression: {error}") from None
        if trigger.get_next_fire_time(None, datetime(2000, 1, 1, tzinfo=UTC)) is None:
            raise ValueError(f"{self.expression!r} never comes")
        return trigger


def _named_days(field: str) -> str:
    """Cron's days of the week by name, because the trigger counts them from Monday."""
    if field == "*":
        return field
    named = set()
    for part in field.split(","):
        match = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/([1-9]\d*))?", part)
        if not match:
            raise ValueError(f"day of the week {part!r}")
        first, last, step = match.groups()
        if first == "*":
            first, last = "0", "6"
        start = _day(first)
        end = _day(last) if last else 6 if step else start
        if last and end <= start:  # over the end of the week, as in fri-mon or 5-7
            end += 7
        named |= {DAYS[day % 7] for day in range(start, end + 1, int(step or 1))}
    return ",".join(sorted(named))


def _day(text: str) -> int:
    if text in DAYS:
        return DAYS.index(text)
    if re.fullmatch("[0-7]", text):
        return int(text) % 7
    raise ValueError(f"day of the week {text!r}")


def _instant(wall: datetime) -> datetime:
    """When a wall-clock time first comes; where it is skipped, when the clocks go forward."""
    late = wall.replace(fold=0).astimezone(UTC)
    if late.astimezone(wall.tzinfo).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return late
    early = wall.replace(fold=1).astimezone(UTC)
    before = early.astimezone(wall.tzinfo).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        is_before = middle.astimezone(wall.tzinfo).utcoffset() == before
        early, late = (middle, late) if is_before else (early, middle)
    return late
