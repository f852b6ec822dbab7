"""What is more than chance: variances learnt from many series, and many tests judged at once.

Arrays in, arrays out; NaN is a series that is not tested.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FALSE_DISCOVERY_RATE = 0.05
_BIWEIGHT = 4.0
# What no model knows of is paid for here: the threshold is a tenth lower than it might be, and
# the first of the tests, which alone decides whether a report on nothing stays silent, is held to
# six tenths of what Benjamini and Hochberg ask of it.
_MARGIN = 1.1
_FIRST_STEP = 0.4
_DAYS_A_WAVE = 15
_FEWEST_WAVES, _MOST_WAVES = 4, 12
SLOWER_STILL = 0.25
"""A trend is slower than the waves: what they show of slow noise, it has so much more of."""


class Moderated(NamedTuple):
    """Variances drawn towards what similar series have, and the degrees of freedom they earn."""

    variance: Floats
    freedom: Floats


def moderate(
    variance: Floats, freedom: Floats, like: Floats | None = None, least: float = 0.0
) -> Moderated:
    """Draw each variance towards the common one, the more so the more alike they are.

    `variance` is a scaled chi-squared with `freedom`; series of similar `like` are expected to
    have similar variances, and the common one is at least `least`. Empirical Bayes after Smyth,
    "Linear models and empirical Bayes methods for assessing differential expression" (2004).
    """
    known = np.isfinite(variance) & (variance > 0) & (freedom > 0)
    count = int(known.sum())
    if count < 3:
        return Moderated(np.maximum(variance, least), freedom)
    half = freedom[known] / 2
    log_variance = np.log(variance[known]) - special.psi(half) + np.log(half)
    columns = [np.ones(count)]
    if like is not None and count >= 20:
        scaled = (like[known] - like[known].mean()) / (like[known].std() or 1.0)
        columns += [scaled, scaled**2]
    design = np.stack(columns, axis=1)
    coefficients = np.linalg.lstsq(design, log_variance, rcond=None)[0]
    expected = design @ coefficients
    squares = (log_variance - expected) ** 2 * count / (count - len(columns))
    # Series count as unlike only where that is beyond what chance makes of alike ones.
    spread = squares.mean() - squares.std() / np.sqrt(count)
    spread -= special.polygamma(1, half).mean()
    if spread > 0:
        prior_freedom = 2 * _inverse_trigamma(float(spread))
        shift = special.psi(prior_freedom / 2) - np.log(prior_freedom / 2)
    else:
        prior_freedom, shift = np.inf, 0.0
    common = np.full(variance.shape, np.nan)
    common[known] = np.maximum(np.exp(expected + shift), least)
    if np.isinf(prior_freedom):
        return Moderated(common, np.where(known, np.inf, np.nan))
    total = prior_freedom + freedom
    return Moderated((prior_freedom * common + freedom * variance) / total, total)


def _inverse_trigamma(value: float) -> float:
    """The x at which trigamma is `value`, by Newton's method on its reciprocal."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += step
        if abs(step) < 1e-9 * x:
            break
    return x


def median(values: Floats) -> Floats:
    """Of the known values along the last axis; NaN where there is none.

    numpy's own `nanmedian` takes a masked array for short rows, which is many times slower.
    """
    ordered = np.sort(values, axis=-1)  # NaN comes last
    last = np.isfinite(values).sum(axis=-1, keepdims=True) - 1
    low, high = (np.take_along_axis(ordered, half, -1) for half in (last // 2, (last + 1) // 2))
    middle: Floats = (low + high)[..., 0] / 2
    return middle


def centre(values: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Where the bulk of each row lies, whatever a few movers do, and the variance of that.

    Tukey's biweight along the last axis, from the median; no value weighs more than the typical
    one. NaN where a row has no value.
    """
    known = np.isfinite(values) & np.isfinite(variance)
    some = known.any(axis=-1)
    place = np.full(values.shape[:-1], np.nan)
    spread = place.copy()
    if not some.any():
        return place, spread
    value = np.where(known, values, np.nan)[some]
    floor = median(np.where(known, variance, np.nan)[some])[..., None]
    floor = np.maximum(np.where(known, variance, np.inf)[some], np.maximum(floor, 1e-18))
    middle = median(value)[..., None]
    value = np.where(np.isfinite(value), value, middle)
    for _ in range(12):
        distance = (value - middle) / np.sqrt(floor) / _BIWEIGHT
        weight = np.where(np.abs(distance) < 1, (1 - distance**2) ** 2, 0.0) / floor
        total = weight.sum(axis=-1, keepdims=True)
        moved = (weight * value).sum(axis=-1, keepdims=True) / np.where(total > 0, total, 1)
        middle = np.where(total > 0, moved, middle)
    place[some] = middle[..., 0]
    with np.errstate(divide="ignore"):
        spread[some] = 1 / total[..., 0]
    return place, spread


def two_sided(statistic: Floats, freedom: Floats) -> Floats:
    """The chance of a t statistic as far from zero as this."""
    finite = np.where(np.isinf(freedom), 1e9, freedom)
    chance: Floats = 2 * special.stdtr(finite, -np.abs(statistic))
    return chance


def t_quantile(freedom: Floats, level: float = 0.95) -> Floats:
    """How many standard errors an interval of that level reaches to either side."""
    quantile: Floats = special.stdtrit(np.where(np.isinf(freedom), 1e9, freedom), (1 + level) / 2)
    return quantile


def q_values(p_values: Floats, weights: Floats | None = None) -> Floats:
    """The false discovery rate at which each test would just be believed; NaN is no test.

    Benjamini and Hochberg (1995), a little stricter, with the prior weights of Genovese, Roeder
    and Wasserman (2006), which are brought to a mean of one.
    """
    tested = np.isfinite(p_values)
    q = np.full(p_values.shape, np.nan)
    count = int(tested.sum())
    if not count:
        return q
    p = p_values[tested]
    if weights is not None:
        p = p * weights[tested].mean() / weights[tested]
    order = np.argsort(p, kind="stable")
    ranked = _MARGIN * p[order] * count / (np.arange(1, count + 1) - _FIRST_STEP)
    smallest = np.minimum.accumulate(ranked[::-1])[::-1]
    placed = np.empty(count)
    placed[order] = np.minimum(smallest, 1.0)
    q[tested] = placed
    return q


def wave_count(days: int) -> int:
    """How many slow frequencies that many days tell of."""
    return int(np.clip(days // _DAYS_A_WAVE, _FEWEST_WAVES, _MOST_WAVES))


def slow_basis(weight: Floats, weeks: Floats) -> Floats:
    """Slow waves, a column each, that see neither level nor slope in residuals of those weights.

    Equal-weighted cosines as in Lazarus, Lewis, Stock and Watson, "HAR inference: recommendations
    for practice" (2018): of white noise of variance one each makes a coefficient of variance one.
    """
    on = np.nonzero(weight)[0]
    length = int(on[-1] - on[0] + 1)
    turn = np.pi * (np.arange(len(weight)) - on[0] + 0.5) / length
    waves = np.cos(turn[:, None] * np.arange(1, wave_count(length) + 1))
    design = np.column_stack([np.ones_like(weeks), weeks, waves])
    basis, triangle = np.linalg.qr(design * np.sqrt(weight)[:, None])
    slow: Floats = (basis * np.sign(np.diag(triangle)))[:, 2:]
    return slow


def chance_of_shift(
    statistic: Floats, freedom: Floats, days: Floats, first: Floats, last: Floats
) -> Floats:
    """How likely the largest of the t statistics for a shift at any day would be by chance.

    `days` is the length of each series, `first` and `last` are how many of them came before the
    earliest and the latest shift looked at. The tail of the
    maximum is that of Siegmund, "Boundary crossing probabilities and statistical applications"
    (1986), with his correction for discrete time.
    """
    normal = -special.ndtri(two_sided(statistic, freedom) / 2)
    chances = np.full(statistic.shape, np.nan)
    for place, (height, length) in enumerate(zip(normal, days, strict=True)):
        if not np.isfinite(length) or not height > 0:
            continue
        share = np.arange(first[place], last[place] + 1) / length
        square = share * (1 - share)
        density = np.exp(-(min(height, 38.0) ** 2) / 2) / np.sqrt(2 * np.pi)
        jump = height / np.sqrt(length * square)
        slowed = (2 / jump) * (special.ndtr(jump / 2) - 0.5)
        slowed /= (jump / 2) * special.ndtr(jump / 2) + np.exp(-(jump**2) / 8) / np.sqrt(2 * np.pi)
        crossing = height * density * (slowed / square).sum() / length
        chances[place] = min(1.0, crossing + 2 * special.ndtr(-height))
    return chances
