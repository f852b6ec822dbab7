"""Write a sample: till files of an invented chain, and the truth about it."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np

from brewtopia_lib.errors import UsageError
from brewtopia_lib.sample.chain import MOST_BRANCHES
from brewtopia_lib.sample.faults import FAULTS, ODD_NAMES
from brewtopia_lib.sample.plants import Plan, plan_sample
from brewtopia_lib.sample.tills import PAY_DAY_CHANGE, file_name, till_files

LAST_DAY = date(2024, 6, 30)
MOST_DAYS = 3660


@dataclass(frozen=True)
class SampleSummary:
    """What was written, counted before faults; revenue in pounds."""

    files: int
    orders: int
    lines: int
    revenue: Decimal


def write_sample(
    folder: Path,
    *,
    branches: int = 18,
    days: int = 182,
    seed: int = 1,
    truth: Path | None = None,
    faults: bool = False,
    until: date = LAST_DAY,
    progress: Callable[[int, int], None] | None = None,
) -> SampleSummary:
    """Write till files of an invented chain, one a branch and day, up to and including `until`.

    Files have no header and seven columns: time, branch, customer, items, total, payment, card.
    The same arguments give the same file names and bytes, as long as numpy is the same.
    `progress(done, total)` is called after each file. With `faults`, at most a third of the files
    are damaged, each in one way of FAULTS or ODD_NAMES. `truth` gets one JSON object:

    - `seed`, `first_day`, `last_day`, `files`, `orders`, `lines`, `revenue` (pounds, as text), all
      counted before faults;
    - `branches`, each with `branch`, `format` (branches of one format are comparable), the hours
      `opens` and `closes`, and the `products` on its menu;
    - `pay_days`, on which all branches have more orders by `pay_day_change`, and `weather`, from
      date to a shock all branches share, about ±1;
    - `planted`, each with `kind`, `branch` (null: every one), `product` (with ` - flavour`; null:
      all), `other_product`, `first_day` and `last_day` (inclusive), `change`, `change_per_week`
      (fractions) and `direction`. A `change_per_week` compounds from the first day to the last.
      A `change` is one of orders (`level_shift`, `unusual_day`, `missing_day`), of orders before
      11:00 (`day_shift`), of sales (`silent_product`), of price (`price_rise`, and `price_gap`
      against what the branch's other prices would lead to expect), or of the share of orders with
      `product` that also have `other_product` beyond chance (`pair_gap`). A `missed_product` is
      sold in all branches of the format but this one; in `opening_hours` the branch opens an hour
      later than its format;
    - `faults`, each with `file` and `fault`.

    Raises UsageError for counts out of range or a folder that holds other CSV files.
    """
    _check(branches, days, seed, until)
    plan = plan_sample(branches, days, seed, until)
    missing = {
        (plant.branch, plant.first_day) for plant in plan.plants if plant.kind == "missing_day"
    }
    usual_names = [
        file_name(branch, day)
        for branch in plan.branches
        for day in plan.days
        if (branch.name, day) not in missing
    ]
    damage = _choose_faults(usual_names, seed) if faults else {}
    final_names = {
        name: ODD_NAMES[damage[name]](name) if damage.get(name) in ODD_NAMES else name
        for name in usual_names
    }
    _refuse_other_files(folder, set(final_names.values()))
    folder.mkdir(parents=True, exist_ok=True)

    files = orders = lines = pence = 0
    for number, branch in enumerate(plan.branches, start=1):
        for till in till_files(branch, plan, np.random.default_rng([seed, number])):
            if till.name not in final_names:
                continue
            damaged = FAULTS.get(damage.get(till.name, ""), bytes)(till.content)
            _write(folder / final_names[till.name], damaged)
            files += 1
            orders += till.orders
            lines += till.lines
            pence += till.pence
            if progress is not None:
                progress(files, len(usual_names))

    summary = SampleSummary(files, orders, lines, Decimal(pence).scaleb(-2))
    if truth is not None:
        faulty = [{"file": final_names[name], "fault": fault} for name, fault in damage.items()]
        text = json.dumps(_truth(plan, seed, summary, faulty), indent=1, ensure_ascii=False)
        truth.parent.mkdir(parents=True, exist_ok=True)
        _write(truth, f"{text}\n".encode())
    return summary


def _check(branches: int, days: int, seed: int, until: date) -> None:
    if not 1 <= branches <= MOST_BRANCHES:
        raise UsageError(f"a sample has 1 to {MOST_BRANCHES} branches, not {branches}")
    if not 1 <= days <= MOST_DAYS:
        raise UsageError(f"a sample has 1 to {MOST_DAYS} days, not {days}")
    if seed < 0:
        raise UsageError(f"a seed is zero or more, not {seed}")
    if until < date.min + timedelta(days=MOST_DAYS):
        raise UsageError(f"a sample cannot end as early as {until}")


def _choose_faults(names: list[str], seed: int) -> dict[str, str]:
    """Which file gets which fault: each fault once, while good files stay twice as many."""
    rng = np.random.default_rng([seed, 0, 1])
    kinds = [*FAULTS, *ODD_NAMES]
    chosen = rng.permutation(len(names))[: min(len(kinds), len(names) // 3)]
    kept = rng.permutation(len(kinds))[: len(chosen)]
    return {
        names[place]: kinds[kind]
        for place, kind in sorted(zip(chosen.tolist(), kept.tolist(), strict=True))
    }


def _refuse_other_files(folder: Path, names: set[str]) -> None:
    strangers = sorted(path.name for path in folder.glob("*.csv") if path.name not in names)
    if strangers:
        raise UsageError(
            f"{folder} already holds {len(strangers)} other CSV files, such as {strangers[0]}: "
            "choose an empty folder, or remove them, so that the sample stays what it says"
        )


def _write(path: Path, content: bytes) -> None:
    """Write so that the path holds all of it or what it held before."""
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)


def _truth(
    plan: Plan, seed: int, summary: SampleSummary, faulty: list[dict[str, str]]
) -> dict[str, object]:
    return {
        "seed": seed,
        "first_day": str(plan.days[0]),
        "last_day": str(plan.days[-1]),
        "files": summary.files,
        "orders": summary.orders,
        "lines": summary.lines,
        "revenue": str(summary.revenue),
        "branches": [
            {
                "branch": branch.name,
                "format": branch.format.name,
                "opens": branch.opens,
                "closes": branch.format.closes,
                "products": [item.name for item in branch.menu],
            }
            for branch in plan.branches
        ],
        "pay_days": [str(day) for day in plan.pay_days],
        "pay_day_change": PAY_DAY_CHANGE,
        "weather": {
            str(day): round(shock, 3) for day, shock in zip(plan.days, plan.weather, strict=True)
        },
        "planted": [plant.as_truth() for plant in plan.plants],
        "faults": faulty,
    }
