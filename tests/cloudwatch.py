"""CloudWatch's alarms on streams of metrics, as its documentation says they are evaluated.

Left out: metric mathematics, percentiles, and premature alarms on high-resolution metrics.
"""

import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Metric = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, name and dimensions."""
Stream = Mapping[Metric, Iterable[tuple[float, float]]]
"""Metric → (seconds, value) of each sample."""

LOOKED_BEYOND = 2
"""How many periods more than asked for are looked at where some have no data."""

_STATISTICS: Mapping[str, Callable[[list[float]], float]] = {
    "Maximum": max,
    "Minimum": min,
    "Sum": sum,
    "SampleCount": lambda values: float(len(values)),
    "Average": lambda values: sum(values) / len(values),
}
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True)
class Alarm:
    """An alarm, as its template has it."""

    properties: Mapping[str, Any]

    @property
    def metric(self) -> Metric:
        dimensions = {(one["Name"], one["Value"]) for one in self.properties["Dimensions"]}
        return self.properties["Namespace"], self.properties["MetricName"], frozenset(dimensions)

    def states(self, stream: Stream, until: float) -> Iterator[tuple[float, State]]:
        """The state after each period from 0 to `until` seconds."""
        period = float(self.properties["Period"])
        by_period: dict[int, list[float]] = defaultdict(list)
        for at, value in stream.get(self.metric, ()):
            by_period[int(at // period)].append(value)
        statistic = _STATISTICS[self.properties["Statistic"]]
        points = {number: statistic(values) for number, values in by_period.items()}
        state: State = "INSUFFICIENT_DATA"
        periods = int(self.properties["EvaluationPeriods"])
        for number in range(periods - 1, int(until // period)):
            window = range(number - periods - LOOKED_BEYOND + 1, number + 1)
            state = self.evaluated([points.get(one) for one in window], state)
            yield (number + 1) * period, state

    def fires(self, stream: Stream, until: float) -> list[float]:
        """When it goes into alarm."""
        before: State = "OK"
        moments = []
        for at, state in self.states(stream, until):
            if state == "ALARM" and before != "ALARM":
                moments.append(at)
            before = state
        return moments

    def evaluated(self, points: list[float | None], before: State) -> State:
        """The state that the values of the last periods come to, oldest first; None has no data."""
        periods = int(self.properties["EvaluationPeriods"])
        needed = int(self.properties.get("DatapointsToAlarm", periods))
        missing = self.properties.get("TreatMissingData", "missing")
        is_beyond = _OPERATORS[self.properties["ComparisonOperator"]]
        there = [point for point in points if point is not None][-periods:]
        breaching = sum(is_beyond(point, self.properties["Threshold"]) for point in there)
        filled = periods - len(there)
        if missing == "breaching":
            return "ALARM" if breaching + filled >= needed else "OK"
        if missing == "notBreaching":
            return "ALARM" if breaching >= needed else "OK"
        if not there:
            return before if missing == "ignore" else "INSUFFICIENT_DATA"
        return "ALARM" if breaching >= min(needed, len(there)) else "OK"
