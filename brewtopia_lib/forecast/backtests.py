"""Forecasts judged on days they were not shown, made to add up, and given intervals; pure.

Row 0 of every array is the chain, the others are the branches, R in all; H are the days ahead;
NaN is what is not known.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from brewtopia_lib.findings.significance import Bools, Floats, moderate, t_quantile
from brewtopia_lib.forecast.smoothing import WEEK, Ahead, last_week_again, smoothed

LEAST_DAYS = 28
"""Trading days the model learns from at least; a test needs as many more as it looks ahead."""
LEVELS = (80, 95)
"""How many of 100 days an interval is to hold."""

_ORIGINS = 10
_LATE_DAYS = 14
_TYPICAL_WEEKS, _OPEN_WEEKS = 8, 4
_FURTHEST = np.log(2.0)
_LEAST_POOLED = 200


@dataclass(frozen=True)
class Tested:
    """A forecast that adds up, and how good such forecasts were on the days before.

    `expected` is R × H, `intervals` the two ends of each level, likewise; `in_all` the low and
    high end of the 80 % interval for the days together, R × 2. `from_model` says where it is the
    model's and not last week again. `mase` and `mase_naive` are the mean absolute scaled errors
    (Hyndman & Koehler, "Another look at measures of forecast accuracy", 2006) of it and of the
    seasonal-naive forecast; `typical_error` is the median error of a day as a fraction; `covered`
    how many of the days each interval held.
    """

    expected: Floats
    intervals: dict[int, tuple[Floats, Floats]]
    in_all: Floats
    from_model: Bools
    origins: int
    mase: Floats
    mase_naive: Floats
    typical_error: Floats
    covered: dict[int, Floats]

    @property
    def branches(self) -> list[int]:
        """The branches that are forecast, numbered from 0."""
        known = np.isfinite(self.expected[1:]).any(axis=1)
        return [int(row) for row in np.nonzero(known)[0]]


@dataclass(frozen=True)
class _Origin:
    """What the model and last week foretell on one day, R × H, and what came of it.

    `scale` is the error of last week's same day in the days before, R.
    """

    model: Ahead
    naive: Ahead
    actual: Floats
    scale: Floats

    @cached_property
    def able(self) -> Bools:
        """Which rows the model can foretell."""
        return np.asarray(np.isfinite(self.model.centre).any(axis=1))

    def chosen(self, from_model: Bools) -> Ahead:
        """The forecast of each row's method, in sums that are made to add up."""
        use = (from_model & self.able)[:, None]
        return _adding_up(
            Ahead(
                np.where(use, self.model.centre, self.naive.centre),
                np.where(use, self.model.spread, self.naive.spread),
            )
        )


def foresee(values: Floats, known: Bools, days: int) -> Tested | None:
    """Forecast that many days, having tried on earlier ones; None where history is too short.

    `values` are B × T, positive where `known`. Of the last days, every seventh is an origin, ten
    at most: what would have been forecast then is compared with what came.
    """
    length = values.shape[1]
    ends = [length - days - WEEK * back for back in range(_ORIGINS)]
    origins = [_origin(values, known, end, days) for end in ends if end >= LEAST_DAYS]
    if not origins:
        return None
    now = _origin(values, known, length, days)
    if not now.able.any():
        return None
    actual = np.stack([one.actual for one in origins])
    own, naive = (
        np.stack([np.abs(one.actual - np.exp(getattr(one, way).centre)) for one in origins])
        for way in ("model", "naive")
    )
    compared = np.isfinite(own) & np.isfinite(naive)
    from_model = (np.where(compared, own - naive, 0).sum(axis=(0, 2)) < 0) & now.able

    chosen = [one.chosen(from_model) for one in origins]
    centre, spread = (
        np.stack([getattr(one, part) for one in chosen]) for part in ("centre", "spread")
    )
    scale = np.stack([one.scale for one in origins])
    away = np.log(actual) - centre
    intervals = _Intervals(away / spread)
    ahead = now.chosen(from_model)
    reach = {level: intervals.reach[level][:, None] * ahead.spread for level in LEVELS}
    off = np.abs(np.expm1(-away))
    return Tested(
        expected=_expected(ahead),
        intervals={
            level: (np.exp(ahead.centre - reach[level]), np.exp(ahead.centre + reach[level]))
            for level in LEVELS
        },
        in_all=_in_all(ahead, actual, chosen),
        from_model=from_model,
        origins=len(origins),
        mase=_mean_scaled(np.abs(actual - np.exp(centre)), scale),
        mase_naive=_mean_scaled(naive, scale),
        typical_error=_median(off),
        covered={level: intervals.covered(level) for level in LEVELS},
    )


def _origin(values: Floats, known: Bools, end: int, days: int) -> _Origin:
    past, on = values[:, :end], known[:, :end]
    count = on.sum(axis=1)
    rows = (count >= _LATE_DAYS) & on[:, -_LATE_DAYS:].any(axis=1)
    series = _with_chain(past, on & rows[:, None])
    able = np.concatenate([[True], rows & (count >= LEAST_DAYS)])
    shut = ~_open(series)[:, np.arange(days) % WEEK]
    forecasts = []
    for method, fit in ((smoothed, able), (last_week_again, np.isfinite(series).any(axis=1))):
        centre, spread = np.full((2, len(series), days), np.nan)
        made = method(series[fit], days)
        centre[fit], spread[fit] = made.centre, made.spread
        centre[shut] = np.nan
        forecasts.append(Ahead(centre, spread))
    before = np.exp(series)
    model, naive = forecasts
    return _Origin(
        model,
        naive,
        actual=_actual(values[:, end : end + days], known[:, end : end + days], naive),
        scale=_mean(np.abs(before[:, WEEK:] - before[:, :-WEEK]), 1),
    )


def _with_chain(values: Floats, on: Bools) -> Floats:
    """The logarithms of the branches, below that of the chain as if all of them had traded."""
    branches = np.where(on, values, np.nan)
    place = (np.arange(values.shape[1]) - values.shape[1]) % WEEK
    usual = np.zeros((len(values), WEEK))
    for day in range(WEEK):
        late = branches[:, place == day][:, -_TYPICAL_WEEKS:]
        some = np.isfinite(late).any(axis=1)
        usual[some, day] = np.nanmean(late[some], axis=1)
    there = (usual[:, place] * on).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(there > 0, np.nansum(branches, axis=0) / there, np.nan)
        series: Floats = np.log(
            np.concatenate([(share * usual.sum(axis=0)[place])[None], branches])
        )
    return series


def _open(series: Floats) -> Bools:
    """Whether each row trades on the weekdays to come, R × 7: on half of the late ones."""
    late = np.isfinite(series)[:, -_OPEN_WEEKS * WEEK :]
    first = np.isfinite(series).argmax(axis=1) - (series.shape[1] - late.shape[1])
    could = late[0] & (np.arange(late.shape[1]) >= first[:, None])
    late, could = (days.reshape(len(series), -1, WEEK).sum(axis=1) for days in (late, could))
    is_open: Bools = (late > 0) & (2 * late >= could)
    return is_open


def _actual(values: Floats, on: Bools, naive: Ahead) -> Floats:
    """What came, R × H; that of the chain as if all its branches had traded."""
    actual = np.full(naive.centre.shape, np.nan)
    if not values.shape[1]:
        return actual
    usual = np.nan_to_num(np.exp(naive.centre[1:]))
    on = on & (usual > 0)
    there = (usual * on).sum(axis=0)
    whole = (values * on).sum(axis=0) * usual.sum(axis=0)
    actual[0] = np.where(there > 0, whole / np.where(there > 0, there, 1), np.nan)
    actual[1:] = np.where(on, values, np.nan)
    return actual


def _expected(ahead: Ahead) -> Floats:
    """The mean of each day; nothing where it is closed, NaN in rows that are not forecast."""
    mean = np.exp(ahead.centre + ahead.spread**2 / 2)
    forecast = np.isfinite(mean).any(axis=1, keepdims=True)
    return np.where(forecast, np.nan_to_num(mean), np.nan)


def _adding_up(ahead: Ahead) -> Ahead:
    """The same, with what the chain's own forecast is off the sum shared out by variance.

    Reconciliation by weighted least squares after Wickramasuriya, Athanasopoulos & Hyndman,
    "Optimal forecast reconciliation for hierarchical and grouped time series" (2019).
    """
    mean = np.nan_to_num(_expected(ahead))
    weight = (mean * np.nan_to_num(ahead.spread)) ** 2
    gap = mean[0] - mean[1:].sum(axis=0)
    total = weight.sum(axis=0)
    share = weight / np.where(total > 0, total, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        move = np.clip(np.log1p(gap * share[1:] / mean[1:]), -_FURTHEST, _FURTHEST)
        moved = mean[1:] * np.exp(np.where(mean[1:] > 0, move, 0))
        chain = np.log(moved.sum(axis=0) / mean[0])
    return Ahead(ahead.centre + np.concatenate([chain[None], move]), ahead.spread)


def _mean_scaled(errors: Floats, scale: Floats) -> Floats:
    """The mean over origins and days of errors, K × R × H, in units of the scale, K × R."""
    with np.errstate(divide="ignore", invalid="ignore"):  # a series that never moved has no unit
        return _mean(errors / scale[..., None], (0, 2))


def _mean(values: Floats, axis: int | tuple[int, ...]) -> Floats:
    """The mean of what is known along those axes, NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    mean = np.where(known, values, 0).sum(axis=axis) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan)


def _median(values: Floats) -> Floats:
    """That of what is known of each row, K × R × H."""
    known = np.isfinite(values)
    return np.array(
        [
            np.median(values[:, row][known[:, row]]) if known[:, row].any() else np.nan
            for row in range(values.shape[1])
        ]
    )


class _Intervals:
    """How far off the errors of earlier forecasts are, in units of what the model thinks, K × R × H.

    How noisy each row is beside what was thought is learnt from its own errors, drawn towards
    what is usual; the shape of the errors from all rows together. `reach` has for each level how
    many of the model's standard deviations the interval goes to either side, R. To say what share of earlier
    days was covered, an origin is judged by the others.
    """

    def __init__(self, errors: Floats) -> None:
        self._errors = errors
        count = len(errors)
        every = np.arange(count)
        self._apart = [self._learnt(every != left_out) for left_out in every] if count > 1 else []
        self.reach = self._learnt(every >= 0)

    def _learnt(self, origins: Bools) -> dict[int, Floats]:
        """How many of the model's standard deviations each interval reaches to either side, R."""
        errors = self._errors[origins]
        known = np.isfinite(errors)
        variance = _mean(errors**2, (0, 2))
        # Days of two weeks foretold at once err together: they tell as much as one.
        usual = moderate(variance, np.maximum(known.sum(axis=(0, 2)) / (2 * WEEK), 1.0))
        scale = np.where(np.isfinite(usual.variance), usual.variance, np.nanmedian(variance)) ** 0.5
        freedom = np.where(np.isnan(usual.freedom), 1.0, usual.freedom)
        shape = np.abs(errors / scale[:, None])[known]
        return {
            level: scale
            * _quantile(shape, level / 100)
            * t_quantile(freedom, level / 100)
            / float(special.ndtri((1 + level / 100) / 2))
            for level in LEVELS
        }

    def covered(self, level: int) -> Floats:
        """The share of earlier days within the interval, R; NaN where there are too few."""
        held = np.full(self._errors.shape, np.nan)
        for origin, reach in enumerate(self._apart):
            inside = np.abs(self._errors[origin]) <= reach[level][:, None]
            held[origin] = np.where(np.isfinite(self._errors[origin]), inside, np.nan)
        return _mean(held, (0, 2))


def _quantile(errors: Floats, level: float) -> float:
    """That of many errors as they are; few are taken to be normal."""
    if len(errors) < _LEAST_POOLED:
        return float(special.ndtri((1 + level) / 2))
    return float(np.quantile(errors, level))


def _in_all(now: Ahead, actual: Floats, earlier: list[Ahead]) -> Floats:
    """The 80 % interval of all days together, R × 2, from how far off earlier sums were.

    As with single days, in units of what the model thinks of its errors, which for one row are
    drawn towards those of all rows.
    """
    away = np.full((len(earlier), len(actual[0])), np.nan)
    for place, one in enumerate(earlier):
        foretold = _expected(one)
        known = np.isfinite(actual[place]) & (foretold > 0)
        sums = (np.where(known, days, 0).sum(axis=1) for days in (actual[place], foretold))
        with np.errstate(divide="ignore", invalid="ignore"):
            away[place] = np.log(np.divide(*sums)) / _usual_spread(one)
    count = np.isfinite(away).sum(axis=0).astype(float)
    usual = moderate(_mean(away**2, 0), np.maximum(count, 1))
    reach = t_quantile(usual.freedom, 0.8) * np.sqrt(usual.variance)
    reach = np.where(np.isfinite(reach), reach, np.nanmax(reach)) * _usual_spread(now)
    expected = _expected(now)
    whole = np.where(np.isfinite(expected).any(axis=1), np.nansum(expected, axis=1), np.nan)
    return np.stack([whole * np.exp(-reach), whole * np.exp(reach)], axis=1)


def _usual_spread(ahead: Ahead) -> Floats:
    return _mean(np.where(np.isfinite(ahead.centre), ahead.spread, np.nan), 1)
