"""What a finding is, and the tests that findings are chosen from."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Literal, NamedTuple

import numpy as np

from brewtopia_lib.findings.significance import Floats

Kind = Literal[
    "product_trend",
    "branch_trend",
    "day_shift",
    "level_shift",
    "unusual_day",
    "missing_day",
    "silent_product",
    "missed_product",
    "price_gap",
    "pair_gap",
    "opening_hours",
]
Direction = Literal["rising", "falling"]


@dataclass(frozen=True)
class Evidence:
    """The small series that shows a finding: what was, and what was to be expected.

    `labels` are days, hours or branches, as text; None is a place without a value. `measure` says
    in words what the values are, `expected_is` what the expected ones are.
    """

    measure: str
    labels: tuple[str, ...]
    values: tuple[float | None, ...]
    expected: tuple[float | None, ...] = ()
    expected_is: str = ""

    @classmethod
    def of(
        cls,
        measure: str,
        labels: list[str],
        values: Floats,
        expected: Floats | None = None,
        expected_is: str = "",
    ) -> "Evidence":
        """From arrays, in which NaN is a place without a value."""
        lines = () if expected is None else _rounded(expected)
        return cls(measure, tuple(labels), _rounded(values), lines, expected_is)


def _rounded(values: Floats) -> tuple[float | None, ...]:
    return tuple(round(float(value), 3) if np.isfinite(value) else None for value in values)


class Effect(NamedTuple):
    """Pounds a week: the best estimate and the ends of its interval."""

    pounds: float
    low: float | None = None
    high: float | None = None


class Said(NamedTuple):
    """A sentence for everybody, and the figures behind it."""

    sentence: str
    detail: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing to know, with what it is worth in pounds a week.

    `branch` is None for the whole chain, `product` where it is about none. `change_per_week` is a
    fraction. The interval of `effect` holds the truth in 95 of 100 cases (90 for what is missed);
    of what happened once it is the effect in that week. `q_value` is None where nothing was tested.
    """

    kind: Kind
    branch: str | None
    effect: Effect
    said: Said
    evidence: Evidence
    product: str | None = None
    direction: Direction | None = None
    change_per_week: float | None = None
    q_value: float | None = None
    since: date | None = None

    @property
    def sentence(self) -> str:
        """What a manager reads."""
        return self.said.sentence

    @property
    def lasts(self) -> bool:
        """Whether it goes on, and did not happen once."""
        return self.kind not in ("missing_day", "unusual_day")

    @property
    def is_idea(self) -> bool:
        """Whether it is about what might be, and not about what changed."""
        return self.kind in ("missed_product", "price_gap", "pair_gap", "opening_hours")

    def to_json(self) -> dict[str, object]:
        """Ready for JSON: money to the penny, days as text."""
        return {
            "kind": self.kind,
            "branch": self.branch,
            "product": self.product,
            "direction": self.direction,
            "change_per_week": _to(4, self.change_per_week),
            "weekly_revenue_effect": _to(2, self.effect.pounds),
            "ci_low": _to(2, self.effect.low),
            "ci_high": _to(2, self.effect.high),
            "q_value": None if self.q_value is None else float(f"{self.q_value:.3g}"),
            "sentence": self.said.sentence,
            "detail": self.said.detail,
            "since": str(self.since) if self.since else None,
            "evidence": asdict(self.evidence),
        }


def direction(size: float) -> Direction:
    """Which way a change of that sign goes."""
    return "rising" if size > 0 else "falling"


def _to(digits: int, value: float | None) -> float | None:
    # Adding zero makes -0.0 plain zero.
    return None if value is None else round(float(value), digits) + 0.0


@dataclass(frozen=True)
class Tests:
    """Some tests of a report, and how to tell what those that are believed have found.

    `chances` are p-values of any shape, NaN where nothing is tested; `weight` is what a test of
    these counts for beside those of other kinds, one number or one each. `branch_axis` is the axis
    that counts branches; None where the tests are of the whole chain.
    """

    chances: Floats
    weight: float | Floats
    tell: Callable[[tuple[int, ...]], Finding]
    branch_axis: int | None = None

    @property
    def weights(self) -> Floats:
        """The weight of each test."""
        return np.broadcast_to(np.asarray(self.weight, dtype=float), self.chances.shape)

    def of_branch(self, row: int) -> "Tests":
        """The same, with only the tests of one branch left."""
        chances = np.full(self.chances.shape, np.nan)
        if self.branch_axis is not None:
            own = (slice(None),) * self.branch_axis + (row,)
            chances[own] = self.chances[own]
        return replace(self, chances=chances)
