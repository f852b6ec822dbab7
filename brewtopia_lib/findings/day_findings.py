"""When in the day a branch trades, and days off their expected range."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from brewtopia_lib.findings import sentences
from brewtopia_lib.findings.branch_days import LATE_DAYS, BranchDays
from brewtopia_lib.findings.finding import Effect, Evidence, Finding, Tests, direction
from brewtopia_lib.findings.moves import Moves, against_chain, find_moves
from brewtopia_lib.findings.significance import Floats, t_quantile
from brewtopia_lib.findings.weeks import by_week, compared_weeks, week_labels

PARTS = ("mornings", "middays", "afternoons", "evenings")
PART_HOURS = ((0, 11), (11, 14), (14, 17), (17, 24))

_LEAST_ORDERS_A_DAY = 3.0
_TAIL_SHARE = 0.05
_LEAST_TAIL = 25
_SHORTEST_TAIL, _LONGEST_TAIL = -0.1, 0.6
_PART_WEIGHT, _DAY_WEIGHT = 0.1, 0.05


@dataclass(frozen=True)
class DayFindings:
    """Parts of the day that gain or lose against the rest of it, and unusual days."""

    days: BranchDays

    @property
    def tests(self) -> list[Tests]:
        """One of each part and branch, and one of each late day of each branch."""
        chances = np.stack([moves.chance for moves in self.parts])
        return [
            Tests(chances, _PART_WEIGHT, self._tell_part, 1),
            Tests(self._late_chances(), _DAY_WEIGHT, self._tell_day, 0),
        ]

    @cached_property
    def part_orders(self) -> Floats:
        """Orders of each part of the day, part × B × T."""
        hours = self.days.history.orders_by_hour
        parts = [hours[..., first:end].sum(axis=-1, dtype=float) for first, end in PART_HOURS]
        return np.stack(parts)

    @cached_property
    def usual_shares(self) -> Floats:
        """The share of each part on such a weekday, part × B × T."""
        history, shares = self.days.history, np.zeros(self.part_orders.shape)
        for day in range(7):
            on = history.observed & (history.weekday == day)
            total = np.maximum((history.orders * on).sum(axis=1), 1)
            shares[..., history.weekday == day] = ((self.part_orders * on).sum(axis=-1) / total)[
                ..., None
            ]
        return shares

    @cached_property
    def parts(self) -> list[Moves]:
        """What each part's share does at each branch."""
        weekday = self.days.history.weekday
        return [find_moves(against_chain(self._away(part), weekday)) for part in range(len(PARTS))]

    def _away(self, part: int) -> Floats:
        """How far each day's share is from its usual, in units of what chance makes of it."""
        history, share = self.days.history, self.usual_shares[part]
        expected = history.orders * share
        enough = np.ones(len(history.branches), dtype=bool)
        for count in (expected, history.orders - expected):
            learnt = np.where(history.observed, count, np.nan)
            known = np.isfinite(learnt).any(axis=1)
            enough &= known
            enough[known] &= np.nanmean(learnt[known], axis=1) >= _LEAST_ORDERS_A_DAY
        scale = np.sqrt(np.maximum(expected * (1 - share), 1e-9))
        away = (self.part_orders[part] - expected) / scale
        return np.where(history.observed & enough[:, None], away, np.nan)

    def _tell_part(self, place: tuple[int, ...]) -> Finding:
        part, row = place
        history, moves = self.days.history, self.parts[part]
        weeks = compared_weeks(history)
        since, size, error = None, moves.trend[row] * weeks, moves.trend_error[row] * weeks
        first = len(history.dates) - LATE_DAYS
        if moves.is_shift[row]:
            first, size, error = int(moves.shift_day[row]), moves.shift[row], moves.shift_error[row]
            since = history.dates[first]
        late = history.observed[row] & (np.arange(len(history.dates)) >= first)
        orders = float(history.orders[row, late].mean())
        share = float(self.part_orders[part, row, late].sum() / history.orders[row, late].sum())
        usual = float(self.usual_shares[part, row, late].mean())
        unit = np.sqrt(usual * (1 - usual) / orders)
        now = self.days.weekly_since(row, first)

        def gained(moved: float) -> float:
            """Pounds a week against a part that had kept its place beside the rest of the day."""
            before = float(np.clip(share - moved * unit, 0.001, 0.999))
            return now * (1 - share) * (share / (1 - share) - before / (1 - before))

        reach = float(t_quantile(moves.freedom[row])) * float(error)
        effect = Effect(*(gained(float(moved)) for moved in (size, size - reach, size + reach)))
        change = effect.pounds / max(now * share - effect.pounds, 1e-9)
        return Finding(
            kind="day_shift",
            branch=history.branches[row],
            direction=direction(effect.pounds),
            change_per_week=None if since else (1 + change) ** (1 / weeks) - 1,
            effect=effect,
            said=sentences.day_shift(
                history.branches[row], PARTS[part], PART_HOURS[part], change, effect, since, weeks
            ),
            since=since,
            evidence=self._part_chart(part, row),
        )

    def _part_chart(self, part: int, row: int) -> Evidence:
        history = self.days.history
        on = history.observed[row]
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = by_week(np.where(on, self.part_orders[part, row], 0.0)) / by_week(
                np.where(on, history.orders[row], 0.0)
            )
        return Evidence.of(f"share of orders in the {PARTS[part]}", week_labels(history), shares)

    def _late_chances(self) -> Floats:
        distance = np.abs(self.days.moves["orders"].residual)
        return tail_chances(distance[:, -LATE_DAYS:], distance[np.isfinite(distance)])

    def _tell_day(self, place: tuple[int, ...]) -> Finding:
        row, late = place
        history, moves = self.days.history, self.days.moves["orders"]
        day = max(len(history.dates) - LATE_DAYS, 0) + late
        usual = self.days.usual(row)
        reach = 2 * float(moves.noise[row])
        taken, expected = float(history.takings[row, day]), float(usual[day])
        lowest, highest = expected * np.exp(-reach), expected * np.exp(reach)
        shown = slice(max(0, day - 20), day + 8)
        return Finding(
            kind="unusual_day",
            branch=history.branches[row],
            direction=direction(taken - expected),
            effect=Effect(taken - expected, taken - highest, taken - lowest),
            said=sentences.unusual_day(
                history.branches[row], history.dates[day], taken, expected, (lowest, highest)
            ),
            since=history.dates[day],
            evidence=Evidence.of(
                "pounds a day",
                [str(one) for one in history.dates[shown]],
                np.where(history.traded[row, shown], history.takings[row, shown], np.nan),
                usual[shown],
                "usual",
            ),
        )


def tail_chances(distance: Floats, all_distances: Floats) -> Floats:
    """The chance of a day as far from what was expected as each, by how far days stray.

    The outer twentieth of all days is given a generalised Pareto tail, no shorter than that of
    normal noise, by the probability-weighted moments of Hosking and Wallis, "Parameter and
    quantile estimation for the generalized Pareto distribution" (1987); the day itself is left
    out. NaN where there are too few days to know a tail, and for days that are not in it.
    """
    ordered = np.sort(all_distances)
    tail = ordered[len(ordered) - int(_TAIL_SHARE * len(ordered)) :]
    count = len(tail)
    if count < _LEAST_TAIL:
        return np.full(distance.shape, np.nan)
    above, own = tail - tail[0], distance - tail[0]
    weight = (count - 1 - np.arange(count)) / (count - 1)
    mean = (above.sum() - own) / (count - 1)
    weighted = (above * weight).sum() / (count - 1)
    shape = np.clip(2 - mean / np.maximum(mean - 2 * weighted, 1e-9), _SHORTEST_TAIL, _LONGEST_TAIL)
    shape = np.where(np.abs(shape) < 1e-3, 1e-3, shape)
    scale = mean * (1 - shape)
    with np.errstate(invalid="ignore"):
        outward = np.maximum(1 + shape * own / scale, 1e-9)
        chance = _TAIL_SHARE * np.exp(-np.log(outward) / shape)
    return np.where(own >= 0, chance, 1.0)
