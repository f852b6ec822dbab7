"""Simulated chains with known truth, for judging the findings: apart from `brewtopia sample`.

Counts are negative binomial around a mean that multiplies a level, a weekday, the branch-day's
shock, trends and whatever else a setting asks for.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

WEEKDAYS = np.array([0.9, 0.95, 1.0, 1.0, 1.15, 1.2, 0.8])
HOURS = np.array([0, 0, 0, 0, 0, 0, 0, 0, 8, 12, 13, 10, 11, 13, 10, 9, 7, 5, 2, 0, 0, 0, 0, 0.0])
UNITS_AN_ORDER = 1.9
SOME_HOLIDAYS = {
    date(2022, 12, 25), date(2022, 12, 26), date(2022, 12, 27), date(2023, 1, 2),
    date(2023, 4, 7), date(2023, 4, 10), date(2023, 5, 1), date(2023, 5, 8), date(2023, 5, 29),
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """What a simulated chain is like; shares and rates are fractions, rates are a week."""

    branches: int = 20
    products: int = 40
    weeks: int = 26
    last_day: date = date(2023, 11, 26)
    moving: float = 0.0
    slowest: float = 0.03
    fastest: float = 0.06
    chain_movers: int = 0
    chain_rate: float = 0.01
    dispersion: float = 0.02
    shock: float = 0.08
    heavy_tails: bool = False
    autocorrelation: float = 0.0
    holidays: bool = False
    closed_week: bool = False
    new_branch: bool = False
    growth: float = 0.0  # standard deviation of the branches' own growth, a week
    price_rise: bool = False
    shift: float = 0.0
    shift_days_ago: int = 0
    menu_gaps: float = 0.0  # share of pairs never sold; products are then more or less popular
    substitution: float = 0.5  # of what a missing product would bring, what others sell instead


@dataclass
class Chain:
    """Sales of a simulated chain, axes as in their comments, and what was planted in them."""

    last_day: date
    units: Floats  # branch, product, day
    orders_by_hour: Floats  # branch, day, hour
    takings: Floats  # branch, day
    pence: Floats  # branch, product: average over the window
    slope: Floats  # branch, product: all that was planted, a week
    moves: Bools  # branch, product: with a trend of its own
    chain_slope: Floats  # product
    expected: Floats  # branch, day: weekday and shock, which an oracle knows
    would_sell: Floats  # branch, product: units a day, of those not sold


def simulate(setting: Setting, rng: Generator) -> Chain:
    """One chain drawn from the setting."""
    branches, products, days = setting.branches, setting.products, 7 * setting.weeks
    dates = [setting.last_day - timedelta(days - 1 - day) for day in range(days)]
    level = rng.gamma(2, 4, (branches, products))
    if setting.menu_gaps:
        level = rng.gamma(2, 4, products) * rng.lognormal(0, 0.3, (branches, 1))
        level = level * rng.lognormal(0, 0.25, level.shape)
    whole, lacks = level.sum(axis=1, keepdims=True), rng.random(level.shape) < setting.menu_gaps
    sold, would_sell = np.where(lacks, 0.0, level), np.where(lacks, level, 0.0)
    moved = setting.substitution * would_sell.sum(axis=1, keepdims=True)
    level = sold * (1 + moved / sold.sum(axis=1, keepdims=True))
    shocks = WEEKDAYS[[day.weekday() for day in dates]] * _shocks(setting, rng)
    moves = rng.random((branches, products)) < setting.moving
    slope = np.where(
        moves,
        rng.choice([-1, 1], moves.shape)
        * rng.uniform(setting.slowest, setting.fastest, moves.shape),
        0.0,
    )
    chain_slope = np.zeros(products)
    movers = rng.choice(products, setting.chain_movers, replace=False)
    chain_slope[movers] = rng.choice([-1, 1], len(movers)) * setting.chain_rate
    slope = slope + chain_slope

    day = np.arange(days)
    mean = level[..., None] * shocks[:, None] * np.exp(slope[..., None] * day / 7)
    if setting.autocorrelation:
        noise = _slow_noise(setting.autocorrelation, mean.shape, rng)
        mean *= np.exp(0.15 * noise - 0.15**2 / 2)
    if setting.heavy_tails:
        mean *= np.where(rng.random(mean.shape) < 0.005, rng.uniform(1.5, 3, mean.shape), 1.0)
    if setting.holidays:
        off = np.array([date_ in SOME_HOLIDAYS for date_ in dates])
        quiet = rng.lognormal(np.log(0.5), 0.3, (branches, 1, days))
        taste = rng.lognormal(0, 0.25, (1, products, days))
        mean *= np.where(off, quiet * taste, 1.0)
        mean *= np.where(off & (rng.random((branches, 1, days)) < 0.2), 0.0, 1.0)
    if setting.growth:
        mean *= np.exp(rng.normal(0, setting.growth, (branches, 1, 1)) * day / 7)
    if setting.shift:
        mean[0, :, days - setting.shift_days_ago :] *= 1 + setting.shift
    if setting.closed_week:
        start = int(rng.integers(days - 7))
        mean[1, :, start : start + 7] = 0.0
    if setting.new_branch:
        mean[2, :, : days // 2] = 0.0
    drawn = rng.negative_binomial(
        1 / setting.dispersion, 1 / (1 + setting.dispersion * np.maximum(mean, 1e-12))
    )
    units = np.where(mean > 0, drawn, 0).astype(float)
    pence = np.round(rng.uniform(150, 350, products) / 5) * 5 * np.ones((branches, 1))
    priced = np.broadcast_to(pence[..., None], units.shape)
    if setting.price_rise:
        priced = priced.copy()
        priced[:, 0, days // 2 :] *= 1.1  # one product everywhere, and all of one branch
        priced[3, :, days // 2 :] *= 1.05
    takings = (units * priced).sum(axis=1) / 100
    sold = np.maximum(units.sum(axis=-1), 1)
    return Chain(
        last_day=setting.last_day,
        units=units,
        orders_by_hour=_orders(
            mean.sum(axis=1) / UNITS_AN_ORDER * whole / level.sum(axis=1, keepdims=True),
            setting,
            rng,
        ),
        takings=takings,
        pence=(units * priced).sum(axis=-1) / sold,
        slope=slope,
        moves=moves,
        chain_slope=chain_slope,
        expected=shocks,
        would_sell=would_sell,
    )


def _shocks(setting: Setting, rng: Generator) -> Floats:
    shape = (setting.branches, 7 * setting.weeks)
    if setting.heavy_tails:
        return np.exp(setting.shock / 3**0.5 * np.clip(rng.standard_t(3, shape), -15, 15))
    if setting.autocorrelation:
        return np.exp(setting.shock * _slow_noise(setting.autocorrelation, shape, rng))
    return rng.lognormal(0, setting.shock, shape)


def _slow_noise(autocorrelation: float, shape: tuple[int, ...], rng: Generator) -> Floats:
    """First-order autoregressive noise of unit variance along the last axis."""
    noise = rng.standard_normal(shape)
    for day in range(1, shape[-1]):
        noise[..., day] *= (1 - autocorrelation**2) ** 0.5
        noise[..., day] += autocorrelation * noise[..., day - 1]
    return noise


def _orders(mean: Floats, setting: Setting, rng: Generator) -> Floats:
    """Orders by hour, around the branch's own hours and a day's own whims."""
    branches, days = mean.shape
    hours = HOURS * rng.lognormal(0, 0.1, (branches, 1, 24))
    whims = 0.06 * rng.standard_normal((branches, days, 1))
    if setting.autocorrelation:
        whims = 0.06 * _slow_noise(setting.autocorrelation, (branches, days), rng)[..., None]
    hours = hours * np.exp(whims * (np.arange(24) - 13) / 4)
    hours = hours / hours.sum(axis=-1, keepdims=True)
    return rng.poisson(mean[..., None] * hours).astype(float)
