"""Daily series carried on: a weekday pattern on a level and a damped trend; pure.

Series are rows of logarithms, a column a day, NaN on days that tell nothing. The model is additive
exponential smoothing with a damped trend (Gardner & McKenzie, "Forecasting trends in time series",
1985) on what remains of each series without its weekdays; days far off are drawn in first, as
Gelper, Fried & Croux do ("Robust forecasting with exponential and Holt-Winters smoothing", 2010).
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from brewtopia_lib.findings.significance import Floats

WEEK = 7

_GAINS = (0.02, 0.05, 0.1, 0.2, 0.4)
_TREND_GAINS, _DAMPINGS = (0.02, 0.1, 0.3), (0.9, 0.97, 0.995)
_PATTERN_WEEKS = 26
_OUTLYING = 3.0
_WARM_UP = 14
_LEADS = (1, 7, 14)
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class Ahead:
    """What follows each series: S × H logarithms, and the standard deviation of their errors."""

    centre: Floats
    spread: Floats


def last_week_again(series: Floats, days: int) -> Ahead:
    """The seasonal-naive forecast: each day as the last of its weekday that is known."""
    weeks = _by_week(series)
    known = np.isfinite(weeks)
    last = weeks.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    latest = np.take_along_axis(weeks, last[:, None], axis=1)[:, 0]
    change = np.where(known[:, 1:] & known[:, :-1], np.diff(weeks, axis=1), np.nan)
    spread = _root_mean_square(change.reshape(len(series), -1))
    ahead = np.arange(days)
    return Ahead(latest[:, ahead % WEEK], spread[:, None] * (1 + ahead // WEEK) ** 0.5)


def smoothed(series: Floats, days: int) -> Ahead:
    """The model's forecast; the weekdays and the gains of each series lean on those of all."""
    pattern = _weekdays(series)
    place = (np.arange(series.shape[1]) - series.shape[1]) % WEEK
    calm = series - pattern[:, place]
    step = np.diff(np.where(np.isfinite(calm), calm, np.nanmean(calm, axis=1, keepdims=True)))
    scale = np.maximum(1.4826 * np.median(np.abs(step), axis=1) / 2**0.5, _LEAST_SPREAD)

    gains, trend_gains, damping = np.array(_candidates()).T[..., None]
    level, slope = _states(calm, scale, gains, trend_gains, damping)
    best = _best(calm, scale, level, slope, damping)
    row = np.arange(len(series))
    level, slope = level[:, best, row].T, slope[:, best, row].T
    gain, trend_gain, damp = (part[best, 0][:, None] for part in (gains, trend_gains, damping))

    one_ahead = np.concatenate([np.zeros_like(level[:, :1]), level + damp * slope], axis=1)[:, :-1]
    spread = _root_mean_square((calm - one_ahead)[:, min(_WARM_UP, calm.shape[1] // 2) :])
    ahead = np.arange(1, days + 1)
    reach = _trend_reach(damp, ahead)
    grown = 1 + np.cumsum((gain * (1 + trend_gain * reach)) ** 2, axis=1)
    grown = np.concatenate([np.ones_like(gain), grown[:, :-1]], axis=1)
    centre = level[:, -1:] + reach * slope[:, -1:] + pattern[:, (ahead - 1) % WEEK]
    return Ahead(centre, spread[:, None] * grown**0.5)


def _candidates() -> list[tuple[float, float, float]]:
    """Gain of the level, gain of the trend, and damping."""
    flat = [(gain, 0.0, 0.9) for gain in _GAINS]
    return flat + list(product(_GAINS, _TREND_GAINS, _DAMPINGS))


def _by_week(series: Floats) -> Floats:
    """S × W × 7, the last day in the last place, NaN before the first day."""
    short = -series.shape[1] % WEEK
    padded = np.pad(series, ((0, 0), (short, 0)), constant_values=np.nan)
    return padded.reshape(len(series), -1, WEEK)


def _weekdays(series: Floats) -> Floats:
    """How far each weekday lies from its week, S × 7, from the day after the last on.

    Each series' own, drawn towards the common one as far as chance may have made them apart
    (Efron & Morris, "Stein's estimation rule and its competitors", 1973).
    """
    weeks = _by_week(series)[:, -_PATTERN_WEEKS:]
    known = np.isfinite(weeks)
    pattern = np.zeros((len(series), 1, WEEK))
    rest = weeks
    for _ in range(4):
        rest = rest - _mean(rest, 2)
        shift = _mean(rest, 1)
        pattern, rest = pattern + shift, rest - shift
        reach = _OUTLYING * 1.4826 * np.nanmedian(np.abs(rest), axis=(1, 2), keepdims=True)
        rest = np.clip(rest, -reach, reach)
    own = pattern[:, 0]
    count = np.maximum(known.sum(axis=1), 1)
    chance = _root_mean_square(rest.reshape(len(series), -1))[:, None] ** 2 / count
    common = np.median(own, axis=0)
    apart = max(float(np.mean((own - common) ** 2 - chance)), 0.0) * len(own) / max(len(own) - 1, 1)
    trust = apart / (apart + chance) if len(own) > 1 else np.ones_like(chance)
    drawn: Floats = common + trust * (own - common)
    return drawn


def _mean(values: Floats, axis: int) -> Floats:
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=axis, keepdims=True)
    mean: Floats = total / np.maximum(known.sum(axis=axis, keepdims=True), 1)
    return mean


def _states(
    calm: Floats, scale: Floats, gain: Floats, trend_gain: Floats, damping: Floats
) -> tuple[Floats, Floats]:
    """Level and slope after each day for every candidate, T × C × S; early days count alike."""
    shape = (calm.shape[1], len(gain), len(calm))
    levels, slopes = np.empty(shape), np.empty(shape)
    known = np.isfinite(calm)
    first = known.argmax(axis=1)
    level = np.broadcast_to(calm[np.arange(len(calm)), first], shape[1:])
    slope = np.zeros(shape[1:])
    seen = known.cumsum(axis=1)
    for day in range(calm.shape[1]):
        expected = level + damping * slope
        error = np.where(known[:, day], calm[:, day] - expected, 0.0)
        error = np.clip(error, -_OUTLYING * scale, _OUTLYING * scale)
        slope = damping * slope + gain * trend_gain * error * (seen[:, day] > _WARM_UP)
        level = expected + np.maximum(gain, 1 / np.maximum(seen[:, day], 1)) * error
        levels[day], slopes[day] = level, slope
    return levels, slopes


def _best(calm: Floats, scale: Floats, level: Floats, slope: Floats, damping: Floats) -> Floats:
    """The candidate for each series: its own errors count as much as those of all together."""
    squares = np.zeros(level.shape[1:])
    scaled = (calm / scale[:, None]).T[:, None]
    for lead in (one for one in _LEADS if _WARM_UP + one < len(scaled)):
        past = slice(_WARM_UP, -lead)
        expected = (level[past] + _trend_reach(damping, lead) * slope[past]) / scale
        away = np.clip(scaled[_WARM_UP + lead :] - expected, -_OUTLYING, _OUTLYING)
        known = np.isfinite(away)
        squares += np.where(known, away**2, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    best: Floats = np.argmin(squares + squares.mean(axis=1, keepdims=True), axis=0)
    return best


def _trend_reach(damping: Floats, ahead: NDArray[np.int64] | int) -> Floats:
    """How many days of today's trend are still to come within so many days."""
    reach: Floats = damping * (1 - damping**ahead) / (1 - damping)
    return reach


def _root_mean_square(values: Floats) -> Floats:
    known = np.isfinite(values)
    squares = np.where(known, values, 0.0) ** 2
    mean = squares.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    root: Floats = np.maximum(mean**0.5, _LEAST_SPREAD)
    return root
