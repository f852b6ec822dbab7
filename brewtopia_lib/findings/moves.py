"""How daily series of whole branches move: a trend, or a shift of level on some day; pure.

A series is a row of logarithms (or of anything whose noise is alike from day to day), NaN on days
that tell nothing. With enough branches, what they share on a day is taken out first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brewtopia_lib.findings.significance import (
    SLOWER_STILL,
    Bools,
    Floats,
    centre,
    chance_of_shift,
    moderate,
    slow_basis,
    two_sided,
    wave_count,
)
from brewtopia_lib.findings.steps import (
    DAYS_AFTER_SHIFT,
    DAYS_BEFORE_SHIFT,
    dated,
    step,
    steps,
)

LEAST_DAYS = 56
LEAST_BRANCHES = 6
LATE_DAYS = 28

_FEW_BRANCHES = 12
_AROUND = 9
_OUTLYING = 4.0
_PLAIN = 12.0
_EXTRA_FOR_A_DATE = 4.0
_SURE = 1e-4
_AGREES = 0.05
_TREND_SHARE, _LATE_SHARE, _EARLY_SHARE = 1 / 4, 5 / 8, 1 / 8


@dataclass(frozen=True)
class Moves:
    """What each series (axis 0) does, NaN where it is too short.

    `trend` is its change a week, `shift` the change of level that begins on day `shift_day`, each
    with the error of the estimate and how likely it would be by chance. `is_shift` says which of
    the two tells more. `level` is the series itself, `residual` what the better of the two leaves
    of it, in units of `noise`.
    """

    trend: Floats
    trend_error: Floats
    trend_chance: Floats
    shift: Floats
    shift_error: Floats
    shift_chance: Floats
    shift_day: NDArray[np.int64]
    is_shift: Bools
    freedom: Floats
    level: Floats
    residual: Floats
    noise: Floats

    @property
    def size(self) -> Floats:
        """The change from the first to the last day by the better explanation, a logarithm."""
        weeks = self.level.shape[1] / 7
        return np.where(self.is_shift, self.shift, self.trend * weeks)

    @property
    def chance(self) -> Floats:
        """That of the better explanation, having looked for both.

        Of chance's share a trend gets a quarter, a late shift five eighths and an earlier one an
        eighth.
        """
        chance: Floats = np.minimum(
            1.0, np.fmin(self.trend_chance / _TREND_SHARE, self.shift_chance)
        )
        return chance


def against_chain(series: Floats, weekday: NDArray[np.int64]) -> Floats:
    """Series, B × T, without each branch's week and, of six or more branches, the chain's days.

    Of few branches one that moves would be seen in the chain's days, and so, the other way round,
    in all the others: the surest moves are taken out, one after another, before the days are told.
    """
    moved = np.zeros_like(series)
    rest = _against_days(series, moved, weekday)
    branches = int((np.isfinite(rest).sum(axis=1) > 1).sum())
    if not LEAST_BRANCHES <= branches < _FEW_BRANCHES:
        return rest
    for _ in range(branches // 2):
        moves = find_moves(rest)
        chance = np.where(moved.any(axis=1), 1.0, np.nan_to_num(moves.chance, nan=1.0))
        surest = int(chance.argmin())
        if chance[surest] > _SURE:
            break
        move = rest[surest] - moves.residual[surest] * moves.noise[surest]
        moved[surest] = np.nan_to_num(move)
        rest = _against_days(series, moved, weekday)
    return rest


def _against_days(series: Floats, moved: Floats, weekday: NDArray[np.int64]) -> Floats:
    """The same, with the chain's days told from what `moved` leaves of the series."""
    rest = series - moved
    known = np.isfinite(rest).sum(axis=1) > 1
    shared = known.sum() >= LEAST_BRANCHES
    for _ in range(3 if shared else 1):
        for day in range(7):
            part = rest[:, weekday == day]
            some = np.isfinite(part).any(axis=1)
            part[some] -= np.nanmean(part[some], axis=1, keepdims=True)
            rest[:, weekday == day] = part
        if shared:
            noise = np.nanvar(rest[known], axis=1, keepdims=True)
            together, _ = centre(rest[known].T, np.broadcast_to(noise, rest[known].shape).T)
            rest -= np.nan_to_num(together)
    return rest + moved


def find_moves(series: Floats, lead: Moves | None = None) -> Moves:
    """The trend and the shift of each series, S × T.

    With `lead`, of series in which a shift is seen more clearly, it says whether and on which day
    there is one, and how likely that is by chance; its size is measured here, and must agree.
    """
    on = np.isfinite(series)
    days = on.sum(axis=1).astype(float)
    long_enough = days >= LEAST_DAYS
    weeks = (np.arange(series.shape[1]) - (series.shape[1] - 1) / 2) / 7
    calm = _without_outliers(series, on)

    slope, slope_gain, spread = _best_trend(calm, on, weeks)
    shifts = steps(calm, on)
    peak = shifts.gain.argmax(axis=1)
    size, size_gain, weight = shifts.at(peak)
    straight = calm - slope[:, None] * np.where(on, weeks[None] - spread[1][:, None], 0)
    stepped = calm - np.where(on, step(size, peak, on), 0)
    is_shift = size_gain > slope_gain + _EXTRA_FOR_A_DATE * _variance(stepped, on, 3)
    better = np.where(is_shift[:, None], stepped, straight)
    variance = _variance(better, on, 3)

    waves, count = _slowness(calm, on, weeks, variance)
    usual = max(1.0, float(np.nanmedian(waves[long_enough]))) if long_enough.any() else 1.0
    plain = np.maximum(size_gain, slope_gain) < _PLAIN * usual * variance
    after, _ = _slowness(better, on, weeks, variance)
    waves = np.where(plain, waves, after)
    slow = moderate(np.where(long_enough, waves, np.nan), count, least=1.0)
    excess = np.maximum(slow.variance - 1, 0)
    long_run = variance * (slow.variance + SLOWER_STILL * excess)
    freedom = 1 / (1 / np.maximum(days - 3, 1) + 1 / slow.freedom)
    trend_error = np.sqrt(long_run / spread[0])
    trend_chance = np.where(long_enough, two_sided(slope / trend_error, freedom), np.nan)
    furthest = size / np.sqrt(long_run / weight)
    shift_chance = _chance_of_shift(furthest, freedom, days, long_enough, peak, on)
    is_shift &= shift_chance <= np.maximum(trend_chance, _SURE)
    day = dated(shifts, variance)
    if lead is not None:
        is_shift, day = lead.is_shift, lead.shift_day
    size, _, weight = shifts.at(day)
    shift_error = np.sqrt(long_run / weight)
    if lead is not None:
        agrees = (size * lead.shift > 0) & (two_sided(size / shift_error, freedom) < _AGREES)
        shift_chance = np.where(agrees, lead.shift_chance, 1)
    stepped = calm - np.where(on, step(size, day, on), 0)
    noise = np.sqrt(variance)
    gone = series - calm + np.where(is_shift[:, None], stepped, straight)
    return Moves(
        trend=np.where(long_enough, slope, np.nan),
        trend_error=trend_error,
        trend_chance=trend_chance,
        shift=np.where(long_enough, size, np.nan),
        shift_error=shift_error,
        shift_chance=np.where(long_enough, shift_chance, np.nan),
        shift_day=day,
        is_shift=is_shift,
        freedom=freedom,
        level=series,
        residual=np.where(on & long_enough[:, None], gone / noise[:, None], np.nan),
        noise=noise,
    )


def _chance_of_shift(
    statistic: Floats,
    freedom: Floats,
    days: Floats,
    long_enough: Bools,
    day: NDArray[np.int64],
    on: Bools,
) -> Floats:
    """That of a shift among the late days, or else among the earlier ones, by their shares.

    The late ones are fewer and have the larger share, so that news is found sooner.
    """
    before = on.cumsum(axis=1)[np.arange(len(day)), day] - 1
    border = days - LATE_DAYS
    late = before > border
    first = np.where(late, np.maximum(border + 1, DAYS_BEFORE_SHIFT), DAYS_BEFORE_SHIFT)
    last = np.where(late, days - DAYS_AFTER_SHIFT, border)
    length = np.where(long_enough, days, np.nan)
    share = np.where(late, _LATE_SHARE, _EARLY_SHARE)
    chance = chance_of_shift(statistic, freedom, length, first, last) / share
    return np.asarray(np.minimum(1, chance))


def _without_outliers(series: Floats, on: Bools) -> Floats:
    """The series with single days drawn in to where the days around them could be."""
    calm = np.zeros_like(series)
    for row, known in enumerate(on):
        values = series[row, known]
        if len(values) < _AROUND:
            continue
        padded = np.pad(values, _AROUND // 2, mode="edge")
        around = np.median(np.lib.stride_tricks.sliding_window_view(padded, _AROUND), axis=1)
        reach = _OUTLYING * 1.6 * np.median(np.abs(values - around))
        calm[row, known] = np.clip(values, around - reach, around + reach)
        calm[row, known] -= calm[row, known].mean()
    return calm


def _best_trend(
    calm: Floats, on: Bools, weeks: Floats
) -> tuple[Floats, Floats, tuple[Floats, Floats]]:
    count = np.maximum(on.sum(axis=1), 1)
    middle = (on * weeks).sum(axis=1) / count
    square = np.maximum((on * (weeks - middle[:, None]) ** 2).sum(axis=1), 1e-9)
    slope = (calm * (weeks - middle[:, None])).sum(axis=1) / square
    return slope, slope**2 * square, (square, middle)


def _variance(rest: Floats, on: Bools, fitted: int) -> Floats:
    freedom = np.maximum(on.sum(axis=1) - 6 - fitted, 1)
    variance: Floats = np.maximum((rest**2).sum(axis=1) / freedom, 1e-12)
    return variance


def _slowness(rest: Floats, on: Bools, weeks: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """How many times the usual noise the slow noise is, and how many waves tell so."""
    ratio = np.full(len(rest), np.nan)
    count = np.zeros(len(rest))
    bases: dict[bytes, Floats] = {}
    for row, known in enumerate(on):
        if known.sum() < LEAST_DAYS:
            continue
        key = known.tobytes()
        if key not in bases:
            bases[key] = slow_basis(known.astype(float), weeks)
        waves = rest[row] @ bases[key]
        count[row] = len(waves)
        ratio[row] = (waves**2).mean() / variance[row]
    return ratio, np.where(count > 0, count, wave_count(len(weeks)))
