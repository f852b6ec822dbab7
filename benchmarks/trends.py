"""The findings, judged on simulated chains whose truth is known."""

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.chains import Chain, Floats, Setting, simulate
from benchmarks.measure import CORES, Figure
from benchmarks.rivals import oracle, plain, shift_oracle
from brewtopia_lib.findings import Looking, find
from brewtopia_lib.findings.breaks import missing_days, silent_products
from brewtopia_lib.findings.history import RECENT_DAYS, History
from brewtopia_lib.findings.opportunities import Opportunities
from brewtopia_lib.findings.product_findings import product_findings
from brewtopia_lib.findings.significance import t_quantile
from brewtopia_lib.forecast import Sales, foretell

CHAINS = 100
MOVING = Setting(moving=0.05)
SPRING = date(2023, 6, 4)  # half a year to this day has nine holidays in it
NOTHING = {
    "nothing planted": Setting(),
    "holidays": Setting(holidays=True, last_day=SPRING),
    "a branch closed for a week": Setting(closed_week=True),
    "a branch that opens half-way": Setting(new_branch=True),
    "prices raised": Setting(price_rise=True),
    "heavy-tailed shocks": Setting(heavy_tails=True),
    "autocorrelated noise (0.6)": Setting(autocorrelation=0.6),
    "nothing planted, 12 weeks": Setting(weeks=12),
    "autocorrelated noise, 12 weeks": Setting(weeks=12, autocorrelation=0.6),
}
AHEAD = 14
SEASONS = {
    "trend and season": Setting(growth=0.01),
    "trend, season and autocorrelated noise": Setting(growth=0.01, autocorrelation=0.6),
    "trend, season and heavy-tailed shocks": Setting(growth=0.01, heavy_tails=True),
    "trend and season, 12 weeks": Setting(growth=0.01, weeks=12),
}
_PAIRS = ["branch", "product_a", "product_b", "orders_together", "orders_a", "orders_b", "orders"]
_SELLS_ENOUGH = 5.0
_FIRST_TOLD, _TOLD_WITHIN, _DATED_WITHIN = 5, 10, 3


def run(folder: Path, *, real: bool, scale: float = 1.0, rounds: int = 5) -> list[Figure]:
    """Judge that many times a hundred chains a setting, on two cores."""
    from benchmarks import large_chain

    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    chains = max(2, round(CHAINS * scale))
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
        judge = partial(_judge, pool, chains)
        figures = [
            *_trends(judge),
            *_silence(judge),
            *_coverage(judge),
            *_missed(judge),
            *_breaks(judge),
            *_shifts(judge),
            *_forecasts(judge),
        ]
    return [*figures, _speed(rounds), *large_chain.run(folder, scale=min(1.0, 2 * scale))]


Judge = Callable[[Callable[[Setting, int], Any], Setting], list[Any]]


def _judge(
    pool: ProcessPoolExecutor, chains: int, one: Callable[[Setting, int], Any], setting: Setting
) -> list[Any]:
    return list(pool.map(partial(one, setting), range(chains), chunksize=2))


def _chain(setting: Setting, seed: int) -> Chain:
    return simulate(setting, np.random.default_rng([seed, setting.weeks]))


def history_of(chain: Chain) -> History:
    """The chain as if it were read from a warehouse."""
    branches, products, days = chain.units.shape
    row, product = np.divmod(np.arange(branches * products), products)
    names = [f"Branch {number:02}" for number in range(branches)]
    menu = [f"Product {number:02}" for number in range(products)]
    units, late = (x.sum(axis=-1) for x in (chain.units, chain.units[..., -RECENT_DAYS:]))
    sizes = pd.DataFrame(
        {
            "branch": np.array(names)[row],
            "product": np.array(menu)[product],
            "size": "",
            "units": late.ravel(),
            "pence": (late * chain.pence).ravel(),
        }
    )
    return History(
        first_day=chain.last_day - timedelta(days - 1),
        branches=tuple(names),
        products=tuple(menu),
        units=chain.units.astype(np.float32),
        orders_by_hour=chain.orders_by_hour.astype(np.float32),
        takings=chain.takings,
        pence=units * chain.pence,
        sizes=sizes[sizes["units"] > 0],
        pairs=pd.DataFrame(columns=_PAIRS),
    )


# --- recall and false discoveries


def _found_trends(setting: Setting, seed: int) -> list[list[float]]:
    """Found, planted, false and told: by the findings, by the oracle, by the plain method.

    Whatever else was tested and told is false: nothing else is planted.
    """
    chain = _chain(setting, seed)
    history = history_of(chain)
    told = {
        (one.branch, one.product if one.kind == "product_trend" else one.kind)
        for one in find(history).findings
        if one.q_value is not None
    }
    planted = {
        (history.branches[row], history.products[product])
        for row, product in np.argwhere(chain.moves)
    } | {(None, history.products[product]) for product in np.nonzero(chain.chain_slope)[0]}
    counts = [[len(told & planted), len(planted), len(told - planted), len(told)]]
    for seen in (oracle(chain, setting.dispersion), plain(chain)):
        right = int((seen & chain.moves).sum())
        counts.append([right, int(chain.moves.sum()), int(seen.sum()) - right, int(seen.sum())])
    return counts


def _rates(counts: Iterable[list[float]]) -> tuple[float, float]:
    """Mean recall and mean false discovery proportion of some chains."""
    found, planted, wrong, told = np.array(list(counts), dtype=float).T
    return float(np.mean(found / np.maximum(planted, 1))), float(
        np.mean(wrong / np.maximum(told, 1))
    )


def _trends(judge: Judge) -> list[Figure]:
    figures = []
    for weeks in (26, 12):
        judged = judge(_found_trends, replace(MOVING, weeks=weeks))
        (recall, false), (best, best_false), (usual, usual_false) = (
            _rates(one[rival] for one in judged) for rival in range(3)
        )
        beside = f"(oracle {best:.3f}, plain method {usual:.3f})"
        if weeks == 26:
            figures.append(_least("recall of product trends, 26 weeks", 0.97, recall, beside))
        else:
            name = "recall of product trends, 12 weeks, of the oracle's"
            figures.append(_least(name, 0.95, recall / max(best, 1e-9), f"{recall:.3f} {beside}"))
        beside = f"(oracle {best_false:.3f}, plain method {usual_false:.3f})"
        figures.append(_most(f"false discovery rate, {weeks} weeks", 0.05, false, detail=beside))
    judged = judge(_found_trends, Setting(chain_movers=4, chain_rate=0.01))
    recall, false = _rates(one[0] for one in judged)
    figures.append(_least("recall of chain-wide trends of 1 % a week, 26 weeks", 0.9, recall))
    figures.append(_most("false discovery rate beside them", 0.05, false))
    return figures


def _any_tested(setting: Setting, seed: int) -> bool:
    found = find(history_of(_chain(setting, seed))).findings
    return any(one.q_value is not None for one in found)


def _silence(judge: Judge) -> list[Figure]:
    return [
        _most(f"reports with a tested finding: {name}", 0.05, float(np.mean(seen)))
        for name, seen in ((name, judge(_any_tested, case)) for name, case in NOTHING.items())
    ]


# --- intervals


def _covered_trends(setting: Setting, seed: int) -> list[float]:
    chain = _chain(setting, seed)
    fitted = product_findings(history_of(chain)).fitted
    known = np.isfinite(fitted.slope)
    away = np.abs(fitted.slope - chain.slope) / fitted.error
    inside = away < t_quantile(fitted.freedom)
    return [float(inside[known].mean()), float(inside[known & chain.moves].mean())]


def _coverage(judge: Judge) -> list[Figure]:
    figures = []
    for weeks in (26, 12):
        everywhere, moving = np.nanmean(judge(_covered_trends, replace(MOVING, weeks=weeks)), 0)
        for name, share in (("all pairs", everywhere), ("pairs that move", moving)):
            met = 0.93 <= round(float(share), 3) <= 0.97
            name = f"95 % intervals of growth that hold it, {weeks} weeks, {name}"
            figures.append(Figure(name, "0.93 to 0.97", f"{share:.3f}", met=met))
    return figures


def _foretold(setting: Setting, seed: int) -> list[float]:
    """Of missing products: covered gross and net, and errors; and covered when left out."""
    chain = _chain(setting, seed)
    missed = Opportunities(history_of(chain))
    _, left_out = missed.left_out
    late = chain.expected[:, -56:].mean(axis=1)[:, None]
    gross = chain.would_sell * late * 7 * chain.pence.max(axis=0) / 100
    inside = []
    for row, product in np.argwhere(np.isfinite(missed.gross) & (gross > 0)):
        whole, net = missed.net(int(row), int(product))
        truth = gross[row, product]
        new = (1 - setting.substitution) * truth
        assert whole.low is not None and whole.high is not None
        assert net.low is not None and net.high is not None
        inside.append(
            [
                whole.low <= truth <= whole.high,
                net.low <= new <= net.high,
                abs(whole.pounds / truth - 1),
                abs(net.pounds / new - 1),
            ]
        )
    return [float(np.mean(left_out)), *np.mean(np.array(inside, dtype=float), axis=0)]


def _missed(judge: Judge) -> list[Figure]:
    judged = judge(_foretold, Setting(menu_gaps=0.1, substitution=0.6))
    left_out, gross, net, _, _ = np.nanmean(judged, axis=0)
    _, _, _, error, net_error = np.nanmedian(judged, axis=0)
    return [
        _least("missed revenue, a branch left out: intervals that hold it", 0.85, left_out),
        _least("missed revenue, products truly missing", 0.85, gross, f"(mean error {error:.0%})"),
        _least(
            "the same net of what others lose (60 %)", 0.85, net, f"(mean error {net_error:.0%})"
        ),
    ]


# --- breaks and shifts


def _stopped(setting: Setting, seed: int) -> list[float]:
    """Whether a product is found silent, and a day missing, after two trading days of it."""
    chain, rng = _chain(setting, seed), np.random.default_rng([seed, 2])
    usual = chain.units[..., -58:-2].mean(axis=-1)
    silent = [rng.choice(np.nonzero(levels >= _SELLS_ENOUGH)[0]) for levels in usual]
    for row, product in enumerate(silent):
        chain.units[row, product, -2:] = 0
    found = {(one.branch, one.product) for one in silent_products(history_of(chain))}
    expected = {(f"Branch {row:02}", f"Product {product:02}") for row, product in enumerate(silent)}
    closed = int(rng.integers(setting.branches))
    for part in (chain.units[closed, :, -2], chain.orders_by_hour[closed, -2]):
        part[...] = 0
    chain.takings[closed, -2] = 0
    days = {(one.branch, one.since) for one in missing_days(history_of(chain))}
    return [
        len(found & expected) / len(expected),
        float((f"Branch {closed:02}", chain.last_day - timedelta(1)) in days),
    ]


def _false_alarms(setting: Setting, seed: int) -> float:
    """Alarms a branch and year where nothing stopped, each day of half a year looked at."""
    chain = _chain(setting, seed)
    days = chain.units.shape[-1]
    alarms = set()
    for end in range(56, days + 1):
        history = history_of(_until(chain, end))
        for one in [*silent_products(history), *missing_days(history)]:
            alarms.add((one.kind, one.branch, one.product, one.since))
    return len(alarms) / (setting.branches * (days - 55) / 365)


def _until(chain: Chain, end: int) -> Chain:
    """The first days of a chain, that many of them."""
    return replace(
        chain,
        last_day=chain.last_day - timedelta(chain.units.shape[-1] - end),
        units=chain.units[..., :end],
        orders_by_hour=chain.orders_by_hour[:, :end],
        takings=chain.takings[:, :end],
    )


def _breaks(judge: Judge) -> list[Figure]:
    stopped = np.mean(judge(_stopped, Setting()), axis=0)
    alarms = judge(_false_alarms, Setting(branches=5))
    name = f"silent products that sell {_SELLS_ENOUGH:g} a day, found within two trading days"
    return [
        _least(name, 0.95, stopped[0]),
        _least("missing days found within two days", 0.95, stopped[1]),
        _most("false alarms of either, a branch and year", 1.0, float(np.mean(alarms))),
    ]


def _shifted(setting: Setting, seed: int) -> list[list[float]]:
    """How many days after its first the shift is told; whether on the tenth; how far off it is
    dated four days later: by reports on the branch, by those on the chain, by the oracle."""
    chain, began = _chain(setting, seed), setting.weeks * 7 - setting.shift_days_ago
    own, told = "Branch 00", [[np.inf, 0.0, np.nan], [np.inf, 0.0, np.nan]]
    for day in (*range(_FIRST_TOLD, _TOLD_WITHIN + 1), setting.shift_days_ago):
        history = history_of(_until(chain, began + day))
        looking = Looking(history)
        for judged, report in zip(told, (own, None), strict=True):
            for one in looking.of(report).findings:
                if one.kind == "level_shift" and one.branch == own and one.since:
                    judged[0] = min(judged[0], day)
                    judged[1] = max(judged[1], float(day == _TOLD_WITHIN))
                    if day == setting.shift_days_ago:
                        judged[2] = abs((one.since - history.first_day).days - began)
    seen, _ = shift_oracle(_until(chain, began + _TOLD_WITHIN), setting.shift, _TOLD_WITHIN)
    _, away = shift_oracle(chain, setting.shift, setting.shift_days_ago)
    return [*told, [float(seen), 0.0, abs(away)]]


def _shifts(judge: Judge) -> list[Figure]:
    figures = []
    for shift in (-0.15, 0.15):
        judged = np.array(judge(_shifted, replace(MOVING, shift=shift, shift_days_ago=14)))
        *told, (seen, _, best) = judged.transpose(1, 2, 0)
        for report, (day, tenth, away) in zip(("branch", "chain"), told, strict=True):
            name = f"level shifts of {shift:+.0%} found within ten days, daily report of a {report}"
            beside = f"(the tenth day's alone {tenth.mean():.2f}, oracle's {seen.mean():.2f})"
            figures.append(_least(name, 0.9, np.mean(day <= _TOLD_WITHIN), beside))
            dated = float(np.mean(away[np.isfinite(away)] <= _DATED_WITHIN))
            near = f"(oracle {np.mean(best <= _DATED_WITHIN):.2f})"
            figures.append(
                _least("of these after fourteen days, dated within three", 0.9, dated, near)
            )
    return figures


# --- forecasts


def _foreseen(setting: Setting, seed: int) -> list[list[float]]:
    """MASE, MASE of last week, and days within the intervals: of branches, and of the chain."""
    chain = _chain(replace(setting, weeks=setting.weeks + AHEAD // 7), seed)
    daily = {"revenue": chain.takings, "orders": chain.orders_by_hour.sum(axis=-1)}
    past = {name: values[:, :-AHEAD] for name, values in daily.items()}
    first_day = chain.last_day - timedelta(len(chain.takings[0]) - 1)
    branches = tuple(f"Branch {row:02}" for row in range(setting.branches))
    made = foretell(Sales(first_day, branches, **past), AHEAD)
    judged = []
    for measure, values in daily.items():
        whole = np.concatenate([values.sum(axis=0, keepdims=True), values])
        before, came = whole[:, :-AHEAD], whole[:, -AHEAD:]
        scale = np.abs(before[:, 7:] - before[:, :-7]).mean(axis=1, keepdims=True)

        def of(column: str, shape: tuple[int, ...] = came.shape) -> Floats:
            return made.days[column].to_numpy(dtype=float).reshape(shape)

        scaled = np.abs(came - of(measure)) / scale
        naive = np.abs(came - np.tile(before[:, -7:], AHEAD // 7)) / scale
        held = [
            (came >= of(f"{measure}_low_{level}")) & (came <= of(f"{measure}_high_{level}"))
            for level in (80, 95)
        ]
        for rows in (slice(1, None), slice(0, 1)):
            judged.append([float(part[rows].mean()) for part in (scaled, naive, *held)])
    return judged


def _forecasts(judge: Judge) -> list[Figure]:
    figures = []
    for name, setting in SEASONS.items():
        judged = np.mean(judge(_foreseen, setting), axis=0)
        series = [f"{measure} of {whose}" for measure in ("revenue", "orders")
                  for whose in ("branches", "the chain")]  # fmt: skip
        for whose, (mase, naive, held, wide) in zip(series, judged, strict=True):
            beside = f"(last week's same day {naive:.3f})"
            figures.append(_most(f"MASE of {whose}, {name}", 0.85, mase, detail=beside))
            met = 0.76 <= round(float(held), 3) <= 0.84
            shown = f"{held:.3f} (95 % intervals {wide:.3f})"
            figures.append(
                Figure(f"80 % intervals that hold {whose}, {name}", "0.76 to 0.84", shown, met=met)
            )
    return figures


# --- speed


def _speed(rounds: int) -> Figure:
    history = history_of(_chain(MOVING, 0))
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        product_findings(history)
        seconds.append(time.perf_counter() - started)
    name = "all product trends of 20 × 40 × 26 weeks"
    return _most(name, 0.2, float(np.median(seconds)), unit=" s")


def _least(name: str, least: float, measured: float, detail: str = "") -> Figure:
    shown = f"{measured:.3f} {detail}".strip()
    return Figure(name, f"≥ {least:g}", shown, met=bool(round(float(measured), 3) >= least))


def _most(name: str, most: float, measured: float, unit: str = "", detail: str = "") -> Figure:
    met = bool(round(float(measured), 3) <= most)
    shown = f"{measured:.3f}{unit} {detail}".strip()
    return Figure(name, f"≤ {most:g}{unit}", shown, met=met)
