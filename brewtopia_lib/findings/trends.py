"""Which products grow or fade, in a branch and across the chain; arrays in, arrays out.

Daily units of every product in every branch are fitted by a quasi-Poisson log-linear trend. What
a branch-day's products have in common (the weekday, the weather, an event) is one factor for all
of them, and the bulk of a branch's products is its zero: a trend is one against the rest of the
menu. docs/findings.md tells the method and its sources.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from brewtopia_lib.findings.significance import (
    SLOWER_STILL,
    Bools,
    Floats,
    centre,
    median,
    moderate,
    slow_basis,
    two_sided,
    wave_count,
)

LEAST_DAYS = 56
LEAST_UNITS = 30
LEAST_PRODUCTS = 4

_CELLS_AT_ONCE = 400_000
_USUAL_DISPERSION = 0.02
_STEEPEST_STEP = 0.3
_ROUGH_CYCLES, _FINE_CYCLES = 3, 2
_WEEKDAY_PRIOR_UNITS = 50
_UNLIKELY_SILENCE = 12.0
_TRIMMED_SHARE = 0.2


@dataclass(frozen=True)
class ProductTrends:
    """The fitted trend of each branch (axis 0) and product (axis 1), NaN where not fitted.

    `slope` is the change of log units a week against the branch's other products, `level` the
    expected units on a day with a factor of one at `middle` (in weeks from the window's middle),
    `shocks` the factors of each branch-day, NaN on days left out. `waves` is what slow noise, one
    frequency a row of the last axis, would do to the slope.
    """

    slope: Floats
    error: Floats
    freedom: Floats
    level: Floats
    middle: Floats
    shocks: Floats
    dispersion: float
    waves: Floats

    @property
    def p_values(self) -> Floats:
        """How likely a slope as steep would be if the product moved as its branch."""
        return two_sided(self.slope / self.error, self.freedom)

    def against(self, chain: "ChainTrends", products: Bools) -> "ProductTrends":
        """The same, with what the chain does taken out of those products.

        The bulk of a branch's products is then that of what is left.
        """
        slope, error = self.slope.copy(), self.error.copy()
        slope[:, products] -= chain.slope[products]
        if products.any():
            bulk, _ = centre(slope, error**2)
            slope -= bulk[:, None]
        error[:, products] = np.hypot(error[:, products], chain.error[products])
        return replace(self, slope=slope, error=error)


@dataclass(frozen=True)
class ChainTrends:
    """The trend that each product has across branches, NaN where no two sell it."""

    slope: Floats
    error: Floats
    freedom: Floats
    p_values: Floats


def fit_product_trends(
    units: NDArray[np.float32], observed: Bools, weekday: NDArray[np.int64]
) -> ProductTrends:
    """Fit the trend of every product in every branch.

    `units` is branches × products × days, `observed` branches × days (traded, and a day to learn
    from), `weekday` of each day from 0 to 6.
    """
    branches, products, days = units.shape
    weeks = (np.arange(days) - (days - 1) / 2) / 7
    step = max(1, _CELLS_AT_ONCE // (products * days))
    blocks = [slice(start, start + step) for start in range(0, branches, step)]

    factors = np.ones((products, 7))
    fits = [_Fit(units[block], observed[block], weeks) for block in blocks]
    for fit in fits:
        fit.improve(factors[:, weekday], _USUAL_DISPERSION, _ROUGH_CYCLES)
    sums = [fit.moments(factors[:, weekday], weekday) for fit in fits]
    sold, expected, excess, squares = (sum(parts) for parts in zip(*sums, strict=True))
    factors = (sold + _WEEKDAY_PRIOR_UNITS) / (expected + _WEEKDAY_PRIOR_UNITS)
    dispersion = float(np.clip(excess / max(squares, 1e-9), 1e-3, 0.5))
    for fit in fits:
        fit.improve(factors[:, weekday], dispersion, _FINE_CYCLES)
    parts = [fit.summary(factors[:, weekday], dispersion) for fit in fits]
    return _infer(
        _Summary(*(np.concatenate(part) for part in zip(*parts, strict=True))), dispersion
    )


class _Summary(NamedTuple):
    """What the fits leave: estimates, B × P, and what the residuals are like."""

    slope: Floats
    variance: Floats
    log_level: Floats
    middle: Floats
    spread: Floats
    days: Floats
    waves: Floats
    shocks: Floats


class _Fit:
    """Levels and slopes of one block of branches, and the factors of their days."""

    def __init__(self, units: NDArray[np.float32], observed: Bools, weeks: Floats) -> None:
        self.weeks = weeks
        self.powers = np.stack([np.ones_like(weeks), weeks, weeks**2], axis=1)
        self.on = _life(units, observed)
        self.units = units * self.on
        days_on = self.on.sum(axis=-1)
        sold = self.units.sum(axis=-1)
        self.fitted = (days_on >= LEAST_DAYS) & (sold >= LEAST_UNITS)
        self.fitted &= self.fitted.sum(axis=1, keepdims=True) >= LEAST_PRODUCTS
        self.on &= self.fitted[..., None]
        self.units = self.units * self.fitted[..., None]
        self.log_level = np.log(np.maximum(sold, 0.5) / np.maximum(days_on, 1))
        self.slope = np.zeros_like(self.log_level)
        total = self.units.sum(axis=1)
        mean = total.sum(axis=-1, keepdims=True) / np.maximum(observed.sum(-1, keepdims=True), 1)
        self.shocks = total / np.maximum(mean, 1e-9)

    def unshocked(self, factors: Floats) -> Floats:
        trend: Floats = np.exp(self.log_level[..., None] + self.slope[..., None] * self.weeks)
        trend *= factors
        trend *= self.on
        return trend

    def improve(self, factors: Floats, dispersion: float, cycles: int) -> None:
        """Scoring steps for levels and slopes in turn with the factors of the days."""
        for _ in range(cycles):
            unshocked = self.unshocked(factors)
            expected = unshocked * self.shocks[:, None]
            weight = 1 / (1 + dispersion * expected)
            self._shock(unshocked, weight)
            np.multiply(unshocked, self.shocks[:, None], out=expected)
            information = (weight * expected) @ self.powers
            score = (weight * (self.units - expected)) @ self.powers[:, :2]
            self._step(information, score)

    def _shock(self, unshocked: Floats, weight: Floats) -> None:
        sold = np.einsum("bpt,bpt->bt", weight, self.units)
        expected = np.einsum("bpt,bpt->bt", weight, unshocked)
        self.shocks = sold / np.where(expected > 0, expected, np.inf)

    def _step(self, information: Floats, score: Floats) -> None:
        zeroth, first, second = (information[..., power] for power in range(3))
        determinant = zeroth * second - first**2
        determinant = np.where(determinant > 0, determinant, np.inf)
        level = (second * score[..., 0] - first * score[..., 1]) / determinant
        slope = (zeroth * score[..., 1] - first * score[..., 0]) / determinant
        self.log_level = np.clip(self.log_level + np.clip(level, -2, 2), -20, 20)
        self.slope = self.slope + np.clip(slope, -_STEEPEST_STEP, _STEEPEST_STEP)
        # Only differences between products count: without this a branch's own trend could go
        # to its products in part and to the factors of its days in part.
        variance = np.where(self.fitted & np.isfinite(determinant), zeroth / determinant, np.nan)
        bulk, _ = centre(np.where(self.fitted, self.slope, np.nan), variance)
        self.slope = self.slope - np.nan_to_num(bulk)[:, None]

    def moments(
        self, factors: Floats, weekday: NDArray[np.int64]
    ) -> tuple[Floats, Floats, float, float]:
        """Units sold and expected by product and weekday, and what gives the dispersion."""
        expected = self.unshocked(factors) * self.shocks[:, None]
        days = np.eye(7)[weekday]
        trust = 1 / (1 + _USUAL_DISPERSION * expected) ** 2
        excess = (trust * ((self.units - expected) ** 2 - expected)).sum()
        squares = (trust * expected**2).sum()
        return self.units.sum(axis=0) @ days, expected.sum(axis=0) @ days, excess, squares

    def summary(self, factors: Floats, dispersion: float) -> _Summary:
        """Slopes, their information, levels, what the residuals are like, and the shocks."""
        expected = self.unshocked(factors) * self.shocks[:, None]
        weight = 1 / (1 + dispersion * expected)
        zeroth, first, second = np.moveaxis((weight * expected) @ self.powers, -1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            middle = np.where(self.fitted, first / zeroth, np.nan)
            variance = np.where(self.fitted, 1 / (second - first * middle), np.nan)
            residual = (self.units - expected) * np.sqrt(weight / expected)
        residual = np.where(self.on & (expected > 0), residual, 0.0)
        days = self.on.sum(axis=-1).astype(float)
        products = np.maximum(self.fitted.sum(axis=1, keepdims=True), 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = (residual**2).sum(axis=-1) / (days * (1 - 1 / products) - 2)
        spread = np.where(self.fitted, spread, np.nan)
        shocks = np.where(self.on.any(axis=1), self.shocks, np.nan)
        waves = _waves(residual, self.on, np.nan_to_num(shocks), self.weeks)
        level = np.where(self.fitted, self.log_level + self.slope * np.nan_to_num(middle), np.nan)
        slope = np.where(self.fitted, self.slope, np.nan)
        return _Summary(slope, variance, level, middle, spread, days, waves, shocks)


def _life(units: NDArray[np.float32], observed: Bools) -> Bools:
    """The days of each series on which it could sell: a product has a first and a last day.

    Silence at either end is part of the series where it may be chance at the rate of the four
    weeks beside it, and otherwise means that the product was not on sale.
    """
    days = units.shape[-1]
    day = np.arange(days)
    sells = (units > 0) & observed[:, None]
    ever = sells.any(axis=-1)
    first = np.where(ever, sells.argmax(axis=-1), days)
    last = np.where(ever, days - 1 - sells[..., ::-1].argmax(axis=-1), -1)
    on = np.broadcast_to(observed[:, None], units.shape).copy()
    open_days = np.concatenate([np.zeros((len(units), 1), int), observed.cumsum(axis=1)], axis=1)
    for branch, product in zip(*np.nonzero((first > 0) | (last < days - 1)), strict=True):
        start, end = int(first[branch, product]), int(last[branch, product]) + 1
        if start >= end:
            on[branch, product] = False
            continue
        opened, series = open_days[branch], units[branch, product]
        head, tail = slice(start, min(start + 28, end)), slice(max(end - 28, start), end)
        before, after = opened[start], opened[-1] - opened[end]
        if before * _rate(series, opened, head) > _UNLIKELY_SILENCE:
            on[branch, product, day < start] = False
        if after * _rate(series, opened, tail) > _UNLIKELY_SILENCE:
            on[branch, product, day >= end] = False
    return on


def _rate(series: NDArray[np.float32], opened: NDArray[np.int64], part: slice) -> float:
    return float(series[part].sum()) / max(int(opened[part.stop] - opened[part.start]), 1)


def _waves(residual: Floats, on: Bools, shocks: Floats, weeks: Floats) -> Floats:
    """What of the residuals varies slowly: one coefficient of variance one a frequency."""
    branches, products, days = residual.shape
    most = wave_count(days)
    waves = np.zeros((branches, products, most))
    for branch in range(branches):
        spans: dict[bytes, list[int]] = {}
        for product in np.nonzero(on[branch].any(axis=-1))[0]:
            spans.setdefault(on[branch, product].tobytes(), []).append(int(product))
        for alike in spans.values():
            mask = on[branch, alike[0]] & (shocks[branch] > 0)
            basis = slow_basis(np.where(mask, shocks[branch], 0.0), weeks)
            waves[branch, alike, : basis.shape[1]] = residual[branch, alike] @ basis
    return waves


def _infer(fit: _Summary, dispersion: float) -> ProductTrends:
    """Standard errors that know how noisy, and how slowly so, series like this one are."""
    noise = moderate(fit.spread, fit.days - 2, fit.log_level)
    count = (fit.waves != 0).sum(axis=-1).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        slow = (fit.waves**2).sum(axis=-1) / count / noise.variance
        slowness = moderate(slow, count, fit.log_level, least=1.0)
        excess = np.maximum(slowness.variance - 1, 0)
        slow_share = excess / slowness.variance
        freedom = 1 / (1 / noise.freedom + 1 / slowness.freedom + slow_share**2 / (2 * count))
        total = fit.variance * noise.variance * (slowness.variance + SLOWER_STILL * excess)
        bulk, bulk_variance = centre(fit.slope, total)
        typical = median(total)[:, None]
        share = bulk_variance[:, None] / np.maximum(total, typical)
        error = np.sqrt(total * np.maximum(1 - 2 * share, 0) + bulk_variance[:, None])
    return ProductTrends(
        slope=fit.slope - bulk[:, None],
        error=error,
        freedom=freedom,
        level=np.exp(fit.log_level),
        middle=fit.middle,
        shocks=fit.shocks,
        dispersion=dispersion,
        waves=fit.waves * np.sqrt(fit.variance)[..., None],
    )


def chain_trends(trends: ProductTrends) -> ChainTrends:
    """What each product does in all its branches together.

    The test leaves out the fifth of the branches that speak loudest for a trend: one that a few
    branches have alone is theirs, and not the chain's. Noise that branches share is measured in
    the sum over them.
    """
    known = np.isfinite(trends.slope)
    precision = np.where(known, 1 / trends.error**2, 0.0)
    statistic = np.where(known, trends.slope / trends.error, 0.0)
    count = known.sum(axis=0)
    left_out = np.ceil(_TRIMMED_SHARE * count)
    several = count >= 2

    bulk, bulk_variance = centre(trends.slope.T, (trends.error**2).T)
    near = known & (np.abs(trends.slope - bulk) < 4 * trends.error)
    shared = _shared_noise(trends, precision * near)
    furthest = np.zeros(len(count))
    for sign in (1.0, -1.0):
        loudness = np.where(known, sign * statistic, -np.inf)
        loudest = (-loudness).argsort(axis=0).argsort(axis=0)
        kept = precision * (near & (loudest >= left_out))
        total = kept.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = sign * (kept * np.nan_to_num(trends.slope)).sum(axis=0) / np.sqrt(total)
        furthest = np.maximum(furthest, np.nan_to_num(mean))
    ratio, freedom = shared
    p_values = two_sided(furthest / np.sqrt(ratio), freedom)
    return ChainTrends(
        slope=np.where(several, bulk, np.nan),
        error=np.where(several, np.sqrt(bulk_variance * ratio), np.nan),
        freedom=freedom,
        p_values=np.where(several, p_values, np.nan),
    )


def _shared_noise(trends: ProductTrends, precision: Floats) -> tuple[Floats, Floats]:
    """How many times the variance a chain mean has that it would have of independent branches."""
    total = np.maximum(precision.sum(axis=0), 1e-300)
    weight = precision / total
    together = np.einsum("bp,bpk->pk", weight, np.nan_to_num(trends.waves))
    apart = (weight**2 * np.nan_to_num(trends.error) ** 2).sum(axis=0)
    count = np.full(len(total), float(trends.waves.shape[-1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(apart > 0, (together**2).mean(axis=-1) / apart, np.nan)
    moderated = moderate(ratio, count, least=1.0)
    return moderated.variance, moderated.freedom
