"""What stopped: branch-days without sales, and products gone silent; pure."""

from datetime import timedelta

import numpy as np

from brewtopia_lib.findings import sentences
from brewtopia_lib.findings.finding import Effect, Evidence, Finding
from brewtopia_lib.findings.history import History

LATE_DAYS = 28

_WEEKS_BEFORE = 8
_DAYS_BEFORE = 7 * _WEEKS_BEFORE
_LEAST_DAYS_BEFORE = 14
_LEAST_SILENT_DAYS = 2
_NORMALLY_SOLD = 0.8
_BELIEVED_CHANCE = 2e-4
_USUAL_DISPERSION = 0.02
_EVERYWHERE = 0.6


def missing_days(history: History) -> list[Finding]:
    """Runs of late days without an order on weekdays on which the branch normally trades.

    It does if it did on half of the last eight. Holidays are no alarm.
    """
    found = []
    for row in range(len(history.branches)):
        for run in _runs(history, row):
            expected = [_usual_takings(history, row, day) for day in run]
            lost, weeks = sum(expected), (run[-1] - run[0]) // 7 + 1
            shown = slice(max(0, run[0] - 20), run[-1] + 8)
            found.append(
                Finding(
                    kind="missing_day",
                    branch=history.branches[row],
                    direction="falling",
                    effect=Effect(-lost / weeks),
                    said=sentences.missing_day(
                        history.branches[row], [history.dates[day] for day in run], lost
                    ),
                    since=history.dates[run[0]],
                    evidence=Evidence.of(
                        "pounds a day",
                        [str(day) for day in history.dates[shown]],
                        np.where(history.traded[row, shown], history.takings[row, shown], np.nan),
                    ),
                )
            )
    return found


def _runs(history: History, row: int) -> list[list[int]]:
    """The late days a branch misses, those without trade between them together."""
    traded = history.traded[row]
    if not traded.any():
        return []
    opened = int(traded.argmax())
    runs: list[list[int]] = []
    for day in range(max(opened + 1, len(traded) - LATE_DAYS), len(traded)):
        before = traded[[past for past in _same_weekdays(day) if past >= opened]]
        if traded[day] or history.holiday[day] or not len(before) or 2 * before.sum() < len(before):
            continue
        if runs and not traded[runs[-1][-1] : day].any():
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _same_weekdays(day: int) -> list[int]:
    return [day - 7 * weeks for weeks in range(1, _WEEKS_BEFORE + 1) if day >= 7 * weeks]


def _usual_takings(history: History, row: int, day: int) -> float:
    before = [past for past in _same_weekdays(day) if history.traded[row, past]]
    return float(history.takings[row, before].mean())


def silent_products(history: History) -> list[Finding]:
    """Products that sold nearly every day, and then on none of two trading days or more.

    Believed where chance would leave such a product unsold for so long once in 5,000 times, so
    that a branch has less than one false alarm a year; what sells five a day is missed after two
    days, what sells two a day after five. A product silent in most of its branches is one finding.
    """
    silent: dict[int, list[tuple[int, int, int, float]]] = {}
    sellers = (history.units > 0).any(axis=-1).sum(axis=0)
    for row, product, last, days in _unsold(history):
        weekly = _weekly_before(history, row, product, last)
        if weekly is not None and _chance(history, row, product, last) < _BELIEVED_CHANCE:
            silent.setdefault(product, []).append((row, last, days, weekly))
    found = []
    for product, cases in silent.items():
        everywhere = len(cases) >= 3 and len(cases) >= _EVERYWHERE * sellers[product]
        for group in [cases] if everywhere else [[case] for case in cases]:
            found.append(_tell_silent(history, product, group, everywhere))
    return found


def _unsold(history: History) -> list[tuple[int, int, int, int]]:
    """Branch, product, day of the last sale and trading days since, where that may be silence."""
    days = history.units.shape[-1]
    sells = history.units > 0
    last = days - 1 - sells[..., ::-1].argmax(axis=-1)
    open_days = np.concatenate(
        [np.zeros((len(sells), 1), int), history.traded.cumsum(axis=1)], axis=1
    )
    rows = np.arange(len(sells))[:, None]
    since = open_days[:, -1:] - open_days[rows, last + 1]
    before = open_days[rows, last + 1] - open_days[rows, np.maximum(last + 1 - _DAYS_BEFORE, 0)]
    maybe = sells.any(axis=-1) & (since >= _LEAST_SILENT_DAYS) & (last >= days - LATE_DAYS - 1)
    maybe &= before >= _LEAST_DAYS_BEFORE
    return [
        (int(row), int(product), int(last[row, product]), int(since[row, product]))
        for row, product in zip(*np.nonzero(maybe), strict=True)
    ]


def _before(history: History, row: int, last: int) -> slice:
    return slice(max(0, last + 1 - _DAYS_BEFORE), last + 1)


def _weekly_before(history: History, row: int, product: int, last: int) -> float | None:
    """Pounds a week that the product brought, or None where it did not sell nearly every day."""
    part = _before(history, row, last)
    sold, traded = history.units[row, product, part], history.traded[row, part]
    if (sold[traded] > 0).mean() < _NORMALLY_SOLD:
        return None
    return float(7 * sold[traded].sum() / len(traded) * history.price[row, product])


def _chance(history: History, row: int, product: int, last: int) -> float:
    """How likely it would be that the days since brought no sale, busy as they were."""
    part = _before(history, row, last)
    traded = history.traded[row, part]
    sold = history.units[row, product, part][traded].astype(float)
    branch = history.units[row].sum(axis=0, dtype=float)
    later = branch[last + 1 :][history.traded[row, last + 1 :]]
    mean = float(sold.mean())
    busy = later / max(branch[part][traded].mean(), 1e-9)
    dispersion = max(_USUAL_DISPERSION, (float(sold.var()) - mean) / mean**2)
    return float(np.exp(-np.log1p(dispersion * mean * busy).sum() / dispersion))


def _tell_silent(
    history: History, product: int, cases: list[tuple[int, int, int, float]], everywhere: bool
) -> Finding:
    last = max(case[1] for case in cases)
    weekly = sum(case[3] for case in cases)
    since = history.dates[last]
    branches = [history.branches[case[0]] for case in cases]
    shown = slice(max(0, last - 27), None)
    rows = [case[0] for case in cases]
    return Finding(
        kind="silent_product",
        branch=None if everywhere else branches[0],
        product=history.products[product],
        direction="falling",
        effect=Effect(-weekly),
        said=sentences.silent_product(
            history.products[product],
            branches,
            since,
            max(case[2] for case in cases),
            weekly,
            everywhere,
        ),
        since=since + timedelta(1),
        evidence=Evidence.of(
            "units a day",
            [str(day) for day in history.dates[shown]],
            history.units[rows, product, shown].sum(axis=0, dtype=float),
        ),
    )
