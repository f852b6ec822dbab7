"""What trends are judged beside: an oracle that knows the chain, and the plain method."""

import numpy as np
from scipy import special, stats

from benchmarks.chains import Bools, Chain, Floats

_STEPS = 8
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
