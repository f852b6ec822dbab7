"""Which branches are alike, and what that leads to expect of one of them; pure."""

from dataclasses import dataclass

import numpy as np

from brewtopia_lib.findings.significance import Bools, Floats, moderate, t_quantile

LEAST_LIKE = 3
LEVEL = 0.9

_LEAST_COMMON = 5
_AS_NEAR = 1.25
_MOST_LIKE = 12
_MOST_LOG_RATIO = 2.0


@dataclass(frozen=True)
class Expected:
    """What comparable branches lead to expect, as a logarithm; NaN where too few tell.

    `reach` is how far the interval goes to either side, `sellers` how many branches it rests on.
    """

    value: Floats
    reach: Floats
    sellers: Floats


def comparable(revenue: Floats) -> Bools:
    """For each branch, the others that sell what it sells in like shares, B × B.

    `revenue` is B × P. Alike are those nearly as near as the third-nearest, twelve at most, so
    that a chain of one kind of branch is compared as a whole, and a mixed one within its kinds.
    """
    branches = len(revenue)
    if branches <= LEAST_LIKE:
        return np.zeros((branches, branches), dtype=bool)
    sold = revenue > 0
    shares = np.log(np.where(sold, revenue, 1)) - np.log(
        np.maximum(revenue.sum(axis=1, keepdims=True), 1e-9)
    )
    distance = np.full((branches, branches), np.inf)
    for row in range(branches):
        common = sold & sold[row]
        away = np.where(common, shares - shares[row], np.nan)
        known = common.sum(axis=1) >= _LEAST_COMMON
        with np.errstate(invalid="ignore"):
            away[known] -= np.nanmedian(away[known], axis=1, keepdims=True)
            squares = np.clip(away[known], -_MOST_LOG_RATIO, _MOST_LOG_RATIO) ** 2
            distance[row, known] = np.nanmean(squares, axis=1) ** 0.5
    np.fill_diagonal(distance, np.inf)
    ordered = np.sort(distance, axis=1)
    third = ordered[:, [LEAST_LIKE - 1]]
    furthest = np.minimum(_AS_NEAR * third, ordered[:, [min(_MOST_LIKE, branches - 1) - 1]])
    near: Bools = np.isfinite(distance) & (distance <= furthest)
    return near


def expected(values: Floats, like: Bools) -> Expected:
    """What the comparable branches lead to expect of each branch and column, B × C.

    `values` are logarithms, NaN where a branch has none; a branch's own value is never used.
    """
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    sellers = like.astype(float) @ known
    enough = sellers >= LEAST_LIKE
    count = np.where(enough, sellers, np.nan)
    mean = like @ filled / count
    squares = like @ filled**2 - count * mean**2
    spread = moderate(np.maximum(squares, 1e-9) / (count - 1), count - 1)
    reach = t_quantile(spread.freedom, LEVEL) * np.sqrt(spread.variance * (1 + 1 / count))
    return Expected(mean, reach, np.where(enough, sellers, 0))
