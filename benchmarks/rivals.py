"""What trends are judged beside: an oracle that knows the chain, and the plain method."""

import numpy as np
from scipy import special, stats

from benchmarks.chains import WEEKDAYS, Bools, Chain, Floats

_STEPS = 8
_LATE_DAYS = 28
_RATE = 0.05


def oracle(chain: Chain, dispersion: float) -> Bools:
    """Pairs in which a test that knows shocks, weekdays and dispersion sees a trend."""
    offset = np.broadcast_to(chain.expected[:, None], chain.units.shape)
    slope, variance, _ = _fit(chain.units, offset, dispersion)
    return _believed(2 * special.ndtr(-np.abs(slope) / np.sqrt(variance)))


def plain(chain: Chain) -> Bools:
    """Pairs in which a quasi-Poisson trend with the branch's weekday factors sees a trend."""
    days = chain.units.shape[-1]
    weekday = np.arange(days) % 7
    means = np.stack([chain.units[..., weekday == day].mean(axis=(1, 2)) for day in range(7)], 1)
    factors = (means / means.mean(axis=1, keepdims=True))[:, weekday]
    offset = np.broadcast_to(factors[:, None], chain.units.shape)
    slope, variance, expected = _fit(chain.units, offset, 0.0)
    spread = ((chain.units - expected) ** 2 / expected).sum(axis=-1) / (days - 2)
    statistic = slope / np.sqrt(variance * np.maximum(spread, 1))
    return _believed(2 * special.stdtr(days - 2, -np.abs(statistic)))


def shift_oracle(chain: Chain, size: float, days_ago: int) -> tuple[bool, int]:
    """Whether a shift of the first branch can be seen, and how many days off it is dated.

    Seen by one who knows its day, the weekdays, the products' trends and the noise, and tests
    nothing but one shift of each branch at 5 % over all of them; dated by one who knows its size.
    """
    days = chain.units.shape[-1]
    weekday = WEEKDAYS[(chain.last_day.weekday() - np.arange(days)[::-1]) % 7]
    trend = np.exp(chain.slope[..., None] * np.arange(days) / 7)
    level = (chain.units / trend / weekday).mean(axis=-1, keepdims=True)
    units = level * trend * weekday
    usual = np.stack([(units * chain.pence[..., None] / 100).sum(axis=1), units.sum(axis=1)])
    away = np.log(np.stack([chain.takings, chain.orders_by_hour.sum(axis=-1)]) / usual)
    away -= away[..., :-_LATE_DAYS].mean(axis=-1, keepdims=True)
    spread = np.cov(away[:, 1:].reshape(2, -1))
    weight = np.linalg.solve(spread, np.ones(2))
    first = weight @ away[:, 0] / weight.sum()
    noise = weight.sum() ** -0.5
    before = first.shape[0] - days_ago
    moved = first[before:].mean() - first[:before].mean()
    chance = 2 * special.ndtr(-abs(moved) / noise / np.sqrt(1 / days_ago + 1 / before))
    late = (first[-_LATE_DAYS:] - np.log1p(size) / 2) * np.log1p(size)
    likely = np.exp(late[::-1].cumsum()[::-1] / noise**2)
    near = np.convolve(likely, np.ones(7), mode="same")
    return bool(chance <= _RATE / len(chain.takings)), int(near.argmax()) - _LATE_DAYS + days_ago


def _fit(units: Floats, offset: Floats, dispersion: float) -> tuple[Floats, Floats, Floats]:
    """Slope a week, its variance and the expected units of each series, by Fisher scoring."""
    weeks = (np.arange(units.shape[-1]) - (units.shape[-1] - 1) / 2) / 7
    powers = np.stack([np.ones_like(weeks), weeks, weeks**2], axis=1)
    level = np.log(np.maximum(units.sum(axis=-1), 0.5) / offset.sum(axis=-1))
    slope = np.zeros_like(level)
    for step in range(_STEPS + 1):
        expected = offset * np.exp(level[..., None] + slope[..., None] * weeks)
        weight = 1 / (1 + dispersion * expected)
        zeroth, first, second = np.moveaxis((weight * expected) @ powers, -1, 0)
        determinant = zeroth * second - first**2
        if step < _STEPS:
            score = (weight * (units - expected)) @ powers[:, :2]
            level = level + (second * score[..., 0] - first * score[..., 1]) / determinant
            move = (zeroth * score[..., 1] - first * score[..., 0]) / determinant
            slope = slope + np.clip(move, -0.3, 0.3)
    return slope, zeroth / determinant, expected


def _believed(chances: Floats) -> Bools:
    # all of them are judged together, and not each product by itself
    believed: Bools = stats.false_discovery_control(chances.ravel()) <= _RATE
    return believed.reshape(chances.shape)
