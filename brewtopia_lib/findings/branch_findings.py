"""Branches that grow, fade or jump: from how they move to tests and to what is said of them."""

from dataclasses import dataclass

import numpy as np

from brewtopia_lib.findings import sentences
from brewtopia_lib.findings.branch_days import MEASURES, BranchDays
from brewtopia_lib.findings.finding import Effect, Evidence, Finding, Tests, direction
from brewtopia_lib.findings.moves import Moves
from brewtopia_lib.findings.significance import Bools, Floats, t_quantile
from brewtopia_lib.findings.weeks import by_week, compared_weeks, week_labels

_MEASURE_WEIGHTS = np.array([[8.0], [0.25], [0.25]])
_CHAIN_WEIGHT = 0.5
_UNITS = {"revenue": "pounds a day", "orders": "orders a day", "basket": "pounds an order"}


@dataclass(frozen=True)
class BranchFindings:
    """What whole branches do, like for like, and what the chain does."""

    days: BranchDays

    @property
    def tests(self) -> list[Tests]:
        """One of each measure and branch, and one of the chain."""
        chances = self.days.chances
        several = len(self.days.history.branches) > 1
        chain = self.days.chain_moves.chance if several else np.full(1, np.nan)
        return [
            Tests(chances, np.broadcast_to(_MEASURE_WEIGHTS, chances.shape), self._tell_branch, 1),
            Tests(chain, _CHAIN_WEIGHT, self._tell_chain),
        ]

    def _tell_branch(self, place: tuple[int, ...]) -> Finding:
        measure, row = MEASURES[place[0]], place[1]
        moves = self.days.told(measure, row)
        day = int(moves.shift_day[row])
        now = self.days.weekly_since(row, day) if moves.is_shift[row] else self.days.weekly[row]
        return self._tell(row, measure, moves, row, float(now))

    def _tell_chain(self, place: tuple[int, ...]) -> Finding:
        return self._tell(None, "revenue", self.days.chain_moves, 0, float(self.days.weekly.sum()))

    def _tell(
        self, branch: int | None, measure: str, moves: Moves, row: int, now: float
    ) -> Finding:
        history = self.days.history
        stepped = bool(moves.is_shift[row])
        size = float(moves.shift[row] if stepped else moves.trend[row])
        error = float(moves.shift_error[row] if stepped else moves.trend_error[row])
        weeks = 1 if stepped else compared_weeks(history)
        reach = float(t_quantile(moves.freedom[row])) * error
        effect = Effect(*(now * -np.expm1(-weeks * x) for x in (size, size - reach, size + reach)))
        name = None if branch is None else history.branches[branch]
        since = history.dates[int(moves.shift_day[row])] if stepped else None
        rest = {} if branch is None else self._rest(branch, measure, moves)
        against_chain = branch is not None and self.days.compared
        change = float(np.expm1(size))
        if since is not None:
            said = sentences.level_shift(name, measure, change, effect, since, rest, against_chain)
        else:
            said = sentences.branch_trend(name, measure, change, effect, weeks, rest, against_chain)
        return Finding(
            kind="level_shift" if stepped else "branch_trend",
            branch=name,
            direction=direction(size),
            change_per_week=None if stepped else change,
            effect=effect,
            said=said,
            since=since,
            evidence=self._chain_chart() if branch is None else self._chart(branch, measure, moves),
        )

    def _rest(self, row: int, measure: str, told: Moves) -> dict[str, float]:
        """What the branch's orders and basket do: of the shift the change, else a week's.

        Of orders, or of the basket, only what the other does.
        """
        others = [other for other in MEASURES[1:] if other != measure]
        moves, found = self.days.moves, {}
        for other in others:
            if told.is_shift[row]:
                away, day = moves[other].level[row], told.shift_day[row]
                found[other] = float(np.expm1(np.nanmean(away[day:]) - np.nanmean(away[:day])))
            else:
                found[other] = float(np.expm1(moves[other].trend[row]))
        return found

    def _chart(self, row: int, measure: str, moves: Moves) -> Evidence:
        """Each week's mean day, and the one that the start of the window would lead to expect."""
        weeks = moves.level.shape[1]
        values = np.exp(self.days.series[measure][row])
        day = np.arange(weeks)
        moved = moves.trend[row] * day / 7
        if moves.is_shift[row]:
            moved = np.where(day >= moves.shift_day[row], moves.shift[row], 0.0)
        with np.errstate(invalid="ignore"):
            expected = values * np.exp(-moves.residual[row] * moves.noise[row] - moved)
        both = np.isfinite(values + expected)
        return Evidence.of(
            _UNITS[measure],
            week_labels(self.days.history),
            _mean_by_week(values, both),
            _mean_by_week(expected, both),
            "had it stayed as it was",
        )

    def _chain_chart(self) -> Evidence:
        history = self.days.history
        taken = _mean_by_week(history.takings.sum(axis=0), history.traded.sum(axis=0) > 0)
        return Evidence.of("pounds a day", week_labels(history), taken)


def _mean_by_week(values: Floats, on: Bools) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = by_week(np.where(on, values, 0.0)) / by_week(on.astype(float))
    return mean
