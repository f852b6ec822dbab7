"""On which day a series may have changed its level, by how much, and on which it most likely did.

Arrays in, arrays out.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from brewtopia_lib.findings.significance import Bools, Floats

DAYS_BEFORE_SHIFT, DAYS_AFTER_SHIFT = 14, 5

_NEAR = 1 - (np.arange(-3, 4) / 6) ** 2


class Steps(NamedTuple):
    """Of a shift on each day, S × T: its size, how much of the squares it explains (below zero
    where none is looked for), and the weight of its size."""

    size: Floats
    gain: Floats
    weight: Floats

    def at(self, day: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
        """The same of one day of each series; nothing, where none is looked for."""
        row = np.arange(len(day))
        some = self.gain[row, day] >= 0
        return (
            np.where(some, self.size[row, day], 0.0),
            np.where(some, self.gain[row, day], 0.0),
            np.where(some, self.weight[row, day], 1e-9),
        )


def steps(calm: Floats, on: Bools) -> Steps:
    """Every step that a series of mean zero, S × T, might have on the days it is known."""
    before = on.cumsum(axis=1) - on
    after = on.sum(axis=1, keepdims=True) - before
    total = calm.cumsum(axis=1) - calm
    with np.errstate(divide="ignore", invalid="ignore"):
        size = -total / after - total / before
        weight = before * after / (before + after)
        gain = size**2 * weight
    allowed = on & (before >= DAYS_BEFORE_SHIFT) & (after >= DAYS_AFTER_SHIFT)
    return Steps(size, np.where(allowed, gain, -1.0), weight)


def dated(shifts: Steps, variance: Floats) -> NDArray[np.int64]:
    """The first day of a shift, if there is one: that which most likely is within three days.

    Each day is as likely as the shift it would begin explains the series, whatever its size; a day
    beside the true one counts for less.
    """
    allowed = shifts.gain >= 0
    with np.errstate(divide="ignore", invalid="ignore"):
        height = shifts.gain / variance[:, None] / 2 - np.log(shifts.weight) / 2
    height = np.where(allowed, height, -np.inf)
    top = np.where(allowed.any(axis=1), height.max(axis=1), 0.0)
    likely = np.exp(height - top[:, None])
    near = np.stack([np.convolve(row, _NEAR)[len(_NEAR) // 2 :][: len(row)] for row in likely])
    days: NDArray[np.int64] = np.where(allowed, near, -1.0).argmax(axis=1)
    return days


def step(size: Floats, day: NDArray[np.int64], on: Bools) -> Floats:
    """The shift as a series of mean zero."""
    late = np.arange(on.shape[1]) >= day[:, None]
    share = (late & on).sum(axis=1) / np.maximum(on.sum(axis=1), 1)
    step: Floats = size[:, None] * (late - share[:, None])
    return step
