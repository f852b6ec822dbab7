"""What is found is what was planted, and where nothing was planted, nothing."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_project import settings_of

from benchmarks.chains import Chain, Setting, simulate
from benchmarks.trends import history_of
from brewtopia_lib import shared
from brewtopia_lib.errors import ParameterError
from brewtopia_lib.findings import Found, find, findings, look
from brewtopia_lib.findings.branch_days import BranchDays
from brewtopia_lib.findings.finding import Effect, Evidence, Finding, Said
from brewtopia_lib.findings.guises import told
from brewtopia_lib.findings.history import read_history
from brewtopia_lib.findings.moves import against_chain, find_moves
from brewtopia_lib.findings.product_findings import product_findings
from brewtopia_lib.findings.steps import Steps, dated
from brewtopia_lib.ingest import ingest
from brewtopia_lib.sample import write_sample
from brewtopia_lib.warehouse import Warehouse, open_warehouse

LAST_DAY = date(2024, 6, 30)
FIELDS = {
    "kind", "branch", "product", "direction", "change_per_week", "weekly_revenue_effect",
    "ci_low", "ci_high", "q_value", "sentence",
}  # fmt: skip
TESTED = {
    "product_trend", "branch_trend", "day_shift", "level_shift", "unusual_day", "pair_gap",
}  # fmt: skip


# --- a sample chain whose truth is known


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Warehouse, list[Any]]]:
    """A sample chain in a warehouse, and what was planted in it."""
    folder = tmp_path_factory.mktemp("truth")
    settings = settings_of(folder)
    write_sample(
        folder / "raw", branches=14, days=126, seed=4, until=LAST_DAY, truth=folder / "truth.json"
    )
    ingest(settings)
    with open_warehouse(settings.warehouse) as warehouse:
        yield warehouse, json.loads((folder / "truth.json").read_text())["planted"]


@pytest.fixture(scope="module")
def found(truth: tuple[Warehouse, list[Any]]) -> Found:
    return look(truth[0], until=LAST_DAY)


def matches(plant: dict[str, Any], one: Finding) -> bool:
    products = {plant["product"], plant.get("other_product")} - {None}
    same_way = one.kind in ("missing_day", "price_gap") or plant["direction"] in (
        None, one.direction,
    )  # fmt: skip
    return (
        (one.kind, one.branch) == (plant["kind"], plant["branch"])
        and (not products or one.product in products)
        and (same_way or one.is_idea)
    )


@pytest.mark.slow
def test_what_was_planted_is_found(truth: tuple[Warehouse, list[Any]], found: Found) -> None:
    """Every kind that was planted is found, and of all plants nine in ten at least."""
    planted = [plant for plant in truth[1] if plant["kind"] != "price_rise"]
    missed = [plant for plant in planted if not any(matches(plant, one) for one in found.findings)]
    kinds = {plant["kind"] for plant in planted}
    assert kinds == {
        "product_trend", "day_shift", "missing_day", "level_shift", "silent_product",
        "branch_trend", "unusual_day", "missed_product", "price_gap", "pair_gap", "opening_hours",
    }  # fmt: skip
    assert {plant["kind"] for plant in planted if plant not in missed} == kinds, missed
    assert len(missed) <= 0.1 * len(planted), missed


@pytest.mark.slow
def test_what_is_found_was_planted(truth: tuple[Warehouse, list[Any]], found: Found) -> None:
    """Hardly anything that was tested and told is not in the truth."""
    tests = [one for one in found.findings if one.q_value is not None]
    wrong = [one for one in tests if not any(matches(plant, one) for plant in truth[1])]
    assert len(tests) > 10
    assert len(wrong) <= 0.15 * len(tests), [one.sentence for one in wrong]


@pytest.mark.slow
def test_growth_is_estimated(truth: tuple[Warehouse, list[Any]], found: Found) -> None:
    """The growth a week that is told is near the one that was planted."""
    for plant in (one for one in truth[1] if one["kind"] in ("product_trend", "branch_trend")):
        for one in (one for one in found.findings if matches(plant, one)):
            assert one.change_per_week == pytest.approx(plant["change_per_week"], abs=0.012)


def test_guises_do_not_make_others_believed() -> None:
    """The false are one in twenty of what is told, however many tests saw the same thing."""
    effect, said, evidence = Effect(1.0, 0.0, 2.0), Said("."), Evidence("weeks", "orders", (), ())
    moved = Finding("branch_trend", "Leeds", effect, said, evidence)
    products = [
        Finding("product_trend", "Bath", effect, said, evidence, product=name) for name in "abcdefg"
    ]
    surely = [(one, 0.001) for one in [moved, *products[:-1]]]
    doubtful = (products[-1], 0.048)
    assert len(told([*surely, doubtful], [])) == 8
    guises = told([*surely, (moved, 0.001), (moved, 0.001), doubtful], [])
    assert [(one.branch, one.product) for one in guises] == [
        ("Leeds", None), *(("Bath", name) for name in "abcdef"),
    ]  # fmt: skip
    assert guises[0].q_value == pytest.approx(0.001 * 9 / 7)


@pytest.mark.slow
def test_each_finding_is_whole(found: Found) -> None:
    """Each has the fields of the contract, an interval around its worth, and a series to show."""
    for one in found.findings:
        document = one.to_json()
        assert set(document) >= FIELDS
        json.dumps(document, allow_nan=False)
        assert one.sentence.endswith(".")
        assert "nan" not in one.sentence + one.said.detail
        assert any(value is not None for value in one.evidence.values)
        assert (one.q_value is not None) == (one.kind in TESTED)
        assert one.q_value is None or one.q_value <= 0.05
        if one.effect.low is not None and one.effect.high is not None:
            assert one.effect.low <= one.effect.pounds <= one.effect.high
    worth = [abs(one.effect.pounds) for one in found.findings]
    assert worth == sorted(worth, reverse=True)


@pytest.mark.slow
def test_nothing_is_told_twice(found: Found) -> None:
    """A branch moves in one way, a silent product does not also fade, and a product of the whole
    chain is told once."""
    moved = [
        one.branch
        for one in found.findings
        if one.kind in ("branch_trend", "level_shift", "day_shift")
    ]
    assert len(moved) == len(set(moved))
    products = [(one.branch, one.product) for one in found.findings
                if one.kind in ("product_trend", "silent_product")]  # fmt: skip
    assert len(products) == len(set(products))
    assert {one.product for one in found.findings if one.kind == "product_trend" and not one.branch}


@pytest.mark.slow
def test_what_is_read_is_what_was_sold(truth: tuple[Warehouse, list[Any]]) -> None:
    """Units and pence of each product and day, and orders with two products, are those sold."""
    read = read_history(truth[0], until=date(2024, 6, 27), weeks=10)
    window = "sold_on between date '2024-04-19' and date '2024-06-27'"
    names = "branch, product || coalesce(' - ' || flavour, '')"
    sold = truth[0].rows(
        f"select {names}, sold_on, sum(quantity), sum(line_total) from sales "
        f"where {window} group by all having sum(quantity) <> 0"
    )[1]
    units = {
        (read.branches[branch], read.products[product], read.dates[day]):
            int(read.units[branch, product, day])
        for branch, product, day in np.argwhere(read.units)
    }  # fmt: skip
    assert units == {tuple(row[:3]): row[3] for row in sold}
    assert read.pence.sum() == round(100 * sum(row[4] for row in sold))
    late = f"{window} and sold_on > date '2024-06-27' - 56"
    pair = read.pairs.sort_values("orders_together").iloc[-1]
    together = truth[0].rows(
        f"with held as (select distinct order_id, {names} as named from sales where {late}) "
        "select count(*) from held as a join held as b using (order_id) "
        "where a.branch = :branch and a.named = :a and b.named = :b",
        {"branch": pair["branch"], "a": pair["product_a"], "b": pair["product_b"]},
    )[1][0][0]
    assert pair["orders_together"] == together > 0


@pytest.mark.slow
def test_a_branch_has_its_own_findings(truth: tuple[Warehouse, list[Any]], found: Found) -> None:
    """Asked for a branch, the list is about that branch alone; an unknown one is an error."""
    branch = next(one.branch for one in found.findings if one.kind == "level_shift")
    own = findings(truth[0], until=LAST_DAY, branch=branch)
    assert own
    assert {one.branch for one in own} == {branch}
    with pytest.raises(ParameterError, match="no branch 'Nowhere'"):
        findings(truth[0], until=LAST_DAY, branch="Nowhere")


@pytest.mark.slow
def test_a_batch_looks_once(
    truth: tuple[Warehouse, list[Any]], found: Found, tmp_path: Path, monkeypatch: Any
) -> None:
    """Of notebooks that share a folder the first looks for all; each gets what it would have found."""
    monkeypatch.setitem(os.environ, shared.FOLDER, str(tmp_path))
    branch = next(one.branch for one in found.findings if one.kind == "level_shift")
    alone = find_of(truth[0], branch)
    assert look(truth[0], until=LAST_DAY).findings == found.findings
    monkeypatch.setattr("brewtopia_lib.findings.read_history", None)
    assert look(truth[0], until=LAST_DAY, branch=branch) == alone


def find_of(warehouse: Warehouse, branch: str | None) -> Found:
    return find(read_history(warehouse, until=LAST_DAY, weeks=26), branch=branch)


# --- simulated chains


def chain(seed: int = 1, **setting: Any) -> Chain:
    return simulate(Setting(branches=8, products=16, **setting), np.random.default_rng(seed))


@pytest.mark.parametrize("setting", [{}, {"autocorrelation": 0.6}, {"closed_week": True}])
def test_where_nothing_moves_nothing_is_found(setting: dict[str, Any]) -> None:
    """Of twenty chains in which nothing was planted, two at most have a tested finding."""
    told = [
        [
            one
            for one in find(history_of(chain(seed, **setting))).findings
            if one.q_value is not None
        ]
        for seed in range(20)
    ]
    assert sum(map(bool, told)) <= 2, told


def test_few_days_are_said() -> None:
    """Where there is too little history to test, the note says how much it takes."""
    made = chain(weeks=4)
    found = find(history_of(made))
    assert not [one for one in found.findings if one.q_value is not None]
    assert not found.long_enough
    assert find(history_of(chain())).long_enough
    assert "Sales of 28 days are too few to tell a trend from chance" in found.notes[0]
    alone = simulate(Setting(branches=2, products=8, weeks=20), np.random.default_rng(1))
    assert "fewer than four branches" in find(history_of(alone)).notes[-1]
    few = simulate(Setting(branches=5, products=8, weeks=20), np.random.default_rng(1))
    assert "fewer than six branches" in find(history_of(few)).notes[-1]


@pytest.mark.parametrize("days", range(1, 9))
def test_the_first_days_of_a_chain_are_looked_at(days: int) -> None:
    """However few days there are yet, nothing is told of them and the note counts them."""
    whole = history_of(chain(weeks=2))
    found = find(
        replace(
            whole,
            units=whole.units[..., :days],
            takings=whole.takings[:, :days],
            orders_by_hour=whole.orders_by_hour[:, :days],
        )
    )
    assert not found.findings
    assert f"Sales of {days} day" in found.notes[0]


def test_a_silent_product_and_a_missing_day_are_found_at_once() -> None:
    """Two trading days without a sale of what sells well, or a day without a file, are told."""
    made = chain()
    level = made.units[0].mean(axis=-1)
    product = int(level.argmax())
    made.units[0, product, -2:] = 0
    for part in (made.units[1, :, -1], made.orders_by_hour[1, -1]):
        part[...] = 0
    made.takings[1, -1] = 0
    told = {(one.kind, one.branch, one.product) for one in find(history_of(made)).findings}
    assert ("silent_product", "Branch 00", f"Product {product:02}") in told
    assert ("missing_day", "Branch 01", None) in told


def test_a_level_shift_is_dated() -> None:
    """A branch that jumps is told with the day, and in the direction it went."""
    made = find(history_of(chain(3, shift=-0.2, shift_days_ago=14))).findings
    (one,) = (one for one in made if one.kind == "level_shift")
    assert (one.branch, one.direction) == ("Branch 00", "falling")
    assert one.since is not None
    assert abs((made_on(14) - one.since).days) <= 3


@pytest.mark.parametrize("seed", [1, 4, 8])
def test_of_few_branches_those_that_stay_are_not_said_to_move(tmp_path: Path, seed: int) -> None:
    """Where half of four branches move, the others would seem to move against them."""
    settings, planted = settings_of(tmp_path), tmp_path / "truth.json"
    write_sample(tmp_path / "raw", branches=4, days=84, seed=seed, until=LAST_DAY, truth=planted)
    ingest(settings)
    with open_warehouse(settings.warehouse) as warehouse:
        made = look(warehouse, until=LAST_DAY).findings
    truth = json.loads(planted.read_text())["planted"]
    told = [one for one in made if one.kind in {"branch_trend", "level_shift"}]
    wrong = [one for one in told if not any(matches(plant, one) for plant in truth)]
    assert told
    assert not wrong, [one.sentence for one in wrong]


def test_a_shift_is_dated_among_days_that_agree() -> None:
    """Four days side by side, each nearly as likely, say more of the date than one by itself."""
    gain = np.full((1, 90), 1.0)
    gain[0, 30] = 10.0
    gain[0, 59:63] = 9.5
    (day,) = dated(Steps(np.ones((1, 90)), gain, np.ones((1, 90))), np.ones(1))
    assert 59 <= day <= 62


def test_a_shift_of_orders_and_revenue_is_seen_in_both() -> None:
    """What moves a branch's orders and revenue alike is told, as revenue, where either is noisy."""
    clearer = 0
    for seed in range(6):
        moved = chain(seed, shift=0.2, shift_days_ago=10)
        noise = np.random.default_rng(seed).normal(0, 0.12, (2, *moved.takings.shape))
        loud, quiet = np.exp(noise)
        history = replace(
            history_of(moved),
            units=(moved.units * loud[:, None]).astype(np.float32),
            orders_by_hour=(moved.orders_by_hour * quiet[..., None]).astype(np.float32),
            takings=moved.takings * loud,
        )
        days = BranchDays(history, product_findings(history).fitted)
        revenue, alone = (
            days.moves["revenue"],
            find_moves(against_chain(days.own["revenue"], history.weekday)),
        )
        clearer += revenue.chance[0] < alone.chance[0]
    assert clearer >= 5


def made_on(days_ago: int) -> date:
    history = history_of(chain())
    return history.dates[-days_ago]


def test_the_order_of_branches_changes_nothing() -> None:
    """Branches may come in any order: the same things are found."""
    made = chain(2, moving=0.08)
    order = np.arange(8)[::-1]
    turned = replace(
        made, units=made.units[order], orders_by_hour=made.orders_by_hour[order],
        takings=made.takings[order], pence=made.pence[order],
    )  # fmt: skip

    def told(history: Any, names: list[str]) -> set[tuple[Any, ...]]:
        rename = dict(zip(history.branches, names, strict=True))
        return {
            (one.kind, rename.get(one.branch or ""), one.product, one.direction)
            for one in find(history).findings
        }

    plain = [f"Branch {row:02}" for row in range(8)]
    assert told(history_of(made), plain) == told(history_of(turned), plain[::-1])
    assert told(history_of(made), plain)
