"""Forecasts add up, know how good they are, and say when there are none."""

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_analyses import Warehouse

from brewtopia_lib.errors import ParameterError
from brewtopia_lib.forecast import Forecast, Sales, forecast, foretell
from brewtopia_lib.forecast.forecast_words import aside, headline, how_good, lines

LAST_DAY = date(2024, 6, 30)
WEEK = np.array([0.9, 0.9, 1.0, 1.0, 1.1, 1.4, 0.7])


def sales(
    branches: int = 6,
    weeks: int = 26,
    *,
    growth: float = 0.005,
    noise: float = 0.1,
    seed: int = 1,
    until: date = LAST_DAY,
) -> Sales:
    """A chain with a weekly season and growth a week, that ends on `until`."""
    rng = np.random.default_rng(seed)
    days = 7 * weeks
    dates = [until - timedelta(days - 1 - day) for day in range(days)]
    season = WEEK[[on.weekday() for on in dates]] * np.exp(growth * np.arange(days) / 7)
    level = rng.uniform(800, 2000, (branches, 1))
    revenue = (level * season * rng.lognormal(0, noise, (branches, days))).round(2)
    names = tuple(f"Branch {number}" for number in range(branches))
    return Sales(dates[0], names, revenue, (revenue / 6).round())


def wide(made: Forecast, column: str) -> pd.DataFrame:
    """Days by branch; the chain is the column `chain`."""
    named = made.days.assign(branch=made.days["branch"].fillna("chain"))
    return named.pivot(index="sold_on", columns="branch", values=column)


def judged(made: Forecast, branch: str | None = None, measure: str = "revenue") -> Any:
    rows = made.of(branch).backtest
    return rows[rows["measure"] == measure].iloc[0]


@pytest.fixture(scope="module")
def made() -> Forecast:
    return foretell(sales())


@pytest.mark.parametrize(("measure", "digits"), [("revenue", 2), ("orders", 1)])
def test_branches_add_up_to_the_chain(made: Forecast, measure: str, digits: int) -> None:
    """On every day the chain's forecast is the sum of its branches', to the last digit."""
    days = wide(made, measure)
    assert len(days) == 14
    assert len(days.columns) == 7
    chain = days.pop("chain")
    assert (days.sum(axis=1).round(digits) == chain.round(digits)).all()


def test_intervals_hold_the_forecast_and_each_other(made: Forecast) -> None:
    """The forecast lies in its 80 % interval, and that in the 95 % one."""
    for measure in ("revenue", "orders"):
        names = [f"{measure}_{end}" for end in ("low_95", "low_80", "high_80", "high_95")]
        ordered = made.days[[*names[:2], measure, *names[2:]]].to_numpy()
        assert (np.diff(ordered, axis=1) > 0).all()


def test_the_season_and_the_growth_go_on(made: Forecast) -> None:
    """Saturdays are foretold as the best days and Sundays as the least, at about today's level."""
    chain = wide(made, "revenue")["chain"]
    by_weekday = chain.groupby([on.weekday() for on in chain.index]).mean()
    assert by_weekday.idxmax() == 5
    assert by_weekday.idxmin() == 6
    late = sales().revenue[:, -14:].sum()
    assert chain.sum() == pytest.approx(late, rel=0.06)


def test_it_beats_last_week_on_days_it_has_not_seen() -> None:
    """Days to come are foretold better than by last week, and the intervals hold what they say."""
    errors, naive, held = [], [], []
    for seed in range(6):
        whole = sales(weeks=22, seed=seed)
        past = replace(whole, revenue=whole.revenue[:, :-14], orders=whole.orders[:, :-14])
        made = foretell(past)
        days = made.days[made.days["branch"].notna()]
        came = whole.revenue[:, -14:].ravel()
        scale = np.abs(past.revenue[:, 7:] - past.revenue[:, :-7]).mean(axis=1).repeat(14)
        errors.append(np.abs(came - days["revenue"].to_numpy()) / scale)
        naive.append(np.abs(came - np.tile(past.revenue[:, -7:], 2).ravel()) / scale)
        held.append((came >= days["revenue_low_80"]) & (came <= days["revenue_high_80"]))
        assert judged(made, "Branch 0")["mase"] == pytest.approx(np.mean(errors[-1]), abs=0.35)
    assert np.mean(errors) < 0.85
    assert np.mean(errors) < np.mean(naive) - 0.15
    assert 0.7 < np.mean(held) < 0.9


def test_it_steps_back_where_last_week_is_better() -> None:
    """Where each weekday goes its own way the model loses: last week is forecast, and it is said."""
    chain = sales(branches=3, noise=0.05)
    rng = np.random.default_rng(5)
    weekdays = rng.normal(0, 0.4, (26, 7)).cumsum(axis=0).ravel()
    chain.revenue[1] = (1000 * np.exp(weekdays)).round(2)
    made = foretell(chain)
    own = judged(made, "Branch 1")
    assert own["method"] == "seasonal_naive"
    assert judged(made, "Branch 0")["method"] == "model"
    days = made.of("Branch 1").days["revenue"].to_numpy()
    assert np.corrcoef(days[:7], chain.revenue[1, -7:])[0, 1] > 0.99
    assert any("Branch 1" in note and "last week’s same day" in note for note in made.notes)
    assert "repeats last week’s same day" in str(how_good(made, "Branch 1"))


def test_too_short_a_history_is_said() -> None:
    """Sixteen days give no forecast, and the note says how many it takes."""
    whole = sales(weeks=3)
    short = Sales(LAST_DAY - timedelta(15), whole.branches, *(
        values[:, -16:] for values in (whole.revenue, whole.orders)
    ))  # fmt: skip
    made = foretell(short)
    assert made.days.empty
    assert made.backtest.empty
    assert headline(made) is None
    assert how_good(made) is None
    assert "Sales of 16 days are too few" in made.notes[0]
    assert "42 days" in made.notes[0]
    assert lines(made) == [f"\n{made.notes[0]}"]


def test_a_branch_counts_its_own_days() -> None:
    """What is too little to forecast a branch from is said of its days, not of the chain's."""
    chain = sales(weeks=3, branches=7)
    for values in (chain.revenue, chain.orders):
        values[1, :-1] = 0
    assert aside(foretell(chain)).startswith("Sales of 21 days are too few")
    assert aside(foretell(chain), "Branch 1").startswith("Sales of 1 day are too few")
    assert aside(foretell(chain), "Elsewhere") == "There are no sales to forecast from."
    longer = sales(branches=7)
    for values in (longer.revenue, longer.orders):
        values[1:, :-5] = 0
    assert aside(foretell(longer), "Branch 5").startswith("Branch 5 is not forecast")


def test_closed_days_and_closed_branches() -> None:
    """A weekday without trade stays so; a branch closed for good is left out, and it is said."""
    chain = sales(branches=4)
    sundays = [place for place, on in enumerate(chain.dates) if on.weekday() == 6]
    for values in (chain.revenue, chain.orders):
        values[0, sundays] = 0
        values[1, -20:] = 0
        values[2, 30:37] = 0  # a week without files
    made = foretell(chain)
    days = wide(made, "revenue")
    assert list(days.columns) == ["Branch 0", "Branch 2", "Branch 3", "chain"]
    on_sunday = [on.weekday() == 6 for on in days.index]
    assert (days["Branch 0"][on_sunday] == 0).all()
    assert (days.drop(columns="Branch 0") > 0).all(axis=None)
    assert any("Branch 1 is not forecast" in note for note in made.notes)
    assert days["chain"].sum() == pytest.approx(chain.revenue[[0, 2, 3], -14:].sum(), rel=0.1)


def test_a_young_branch_does_not_upset_the_chain() -> None:
    """A branch that opened three weeks ago is forecast by last week, beside a steady chain."""
    chain = sales(branches=5, growth=0.0, noise=0.04)
    for values in (chain.revenue, chain.orders):
        values[4, :-21] = 0
    made = foretell(chain)
    days = wide(made, "revenue")
    assert judged(made, "Branch 4")["method"] == "seasonal_naive"
    assert days["Branch 4"].sum() == pytest.approx(chain.revenue[4, -14:].sum(), rel=0.15)
    assert days["chain"].sum() == pytest.approx(chain.revenue[:, -14:].sum(), rel=0.05)
    assert judged(made)["typical_error"] < 0.05


def test_holidays_are_named() -> None:
    """A bank holiday among the days to come is pointed out."""
    made = foretell(sales(weeks=10, until=date(2024, 5, 20)))
    assert any("Mon 27 May 2024 is set apart" in note for note in made.notes)


def test_what_a_manager_reads(made: Forecast) -> None:
    """The headline has the sum and its range, and how good it is is said without statistics."""
    said = headline(made)
    assert said
    total = wide(made, "revenue")["chain"].sum()
    assert said.text.startswith(f"The next 14 days should bring about £{total:,.0f}: four times in")
    good = str(how_good(made))
    assert "half of the days came within" in good
    assert "MASE" not in said.text + good
    text = "\n".join(lines(made))
    assert text.count(" orders") == 14
    assert "Branch 5: £" in text


@pytest.fixture
def warehouse() -> Warehouse:
    """Ten weeks of two branches, an order line an hour."""
    rng = np.random.default_rng(2)
    rows = []
    for branch in ("Leeds", "York"):
        for back in range(70):
            on = LAST_DAY - timedelta(back)
            for number in range(int(rng.poisson(20 * WEEK[on.weekday()]))):
                rows.append(
                    {
                        "order_id": f"{branch}-{back}-{number}",
                        "line_no": 1,
                        "branch": branch,
                        "sold_at": pd.Timestamp(on) + pd.Timedelta(hours=9 + number % 8),
                        "product": "Latte",
                        "size": None,
                        "flavour": None,
                        "quantity": 1,
                        "pence": 245,
                        "payment": "CARD",
                        "discount": 0,
                    }
                )
    return Warehouse().fill(pd.DataFrame(rows))


def test_it_reads_the_warehouse(warehouse: Warehouse) -> None:
    """The forecast starts on the day after `until`, at the level of the orders, and ignores later days."""
    made = forecast(warehouse, until=LAST_DAY, branch="Leeds")
    assert list(made.days["sold_on"]) == [LAST_DAY + timedelta(day) for day in range(1, 15)]
    assert made.days["orders"].mean() == pytest.approx(20, rel=0.15)
    assert made.days["revenue"].sum() == pytest.approx(2.45 * made.days["orders"].sum(), rel=0.02)
    earlier = LAST_DAY - timedelta(14)
    before = forecast(warehouse, until=earlier).to_json()
    warehouse.connection.execute("delete from orders where sold_on > ?", [earlier])
    assert forecast(warehouse, until=earlier).to_json() == before


def test_json_has_every_day_and_how_good_it_is(warehouse: Warehouse) -> None:
    """The document is plain JSON: days with both measures and their intervals, and the backtest."""
    document = json.loads(
        json.dumps(forecast(warehouse, until=LAST_DAY, days=5).to_json(), allow_nan=False)
    )
    assert {(row["branch"], row["sold_on"]) for row in document["days"]} >= {
        (None, "2024-07-01"), ("York", "2024-07-05"),
    }  # fmt: skip
    assert len(document["days"]) == 15
    assert {"revenue_low_80", "revenue_high_95", "orders_low_95"} <= set(document["days"][0])
    assert {row["measure"] for row in document["backtest"]} == {"revenue", "orders"}
    assert all(row["mase"] > 0 for row in document["backtest"])


@pytest.mark.parametrize(
    ("asked", "says"),
    [({"days": 0}, "from 1 to 56"), ({"days": 57}, "from 1 to 56"), ({"branch": "Hull"}, "Hull")],
)
def test_what_cannot_be_forecast(warehouse: Warehouse, asked: dict[str, Any], says: str) -> None:
    """A number of days or a branch that cannot be is an error that names what can."""
    with pytest.raises(ParameterError, match=says):
        forecast(warehouse, until=LAST_DAY, **asked)
