"""Each analysis against plain pandas over the same generated chain, and its edge cases."""

import inspect
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from importlib.resources import files
from itertools import combinations
from math import floor, nan
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brewtopia_lib import analyses
from brewtopia_lib.errors import ParameterError
from brewtopia_lib.ingest import ingest
from brewtopia_lib.queries import load_query
from brewtopia_lib.settings import load_settings
from brewtopia_lib.warehouse import open_warehouse
from brewtopia_lib.warehouse.parameters import duckdb_parameters

LAST_DAY = date(2024, 6, 30)
PERIODIC = [
    "headline",
    "daily",
    "weekly",
    "top_products",
    "product_weekly",
    "movers",
    "weekday_hours",
    "day_parts",
    "product_mix",
    "size_mix",
    "branch_league",
    "tender_mix",
    "basket_sizes",
    "pairs",
    "missing_days",
    "silent_products",
]
TIMELESS = [
    "coverage",
    "branches",
    "quality_summary",
    "quality_files",
    "mismatched_totals",
    "look_alikes",
]
EVIL = "'; drop table orders; --"
MENU = [
    # product, sizes with their price in pence, flavours
    ("Latte", {"Regular": 215, "Large": 245}, [None]),
    ("Hot chocolate", {"Regular": 220, "Large": 290}, [None]),
    ("Hot Chocolate", {"Regular": 140, "Large": 170}, [None]),
    ("Smoothies", {"Regular": 200, "Large": 250}, ["Carrot Kick", "Berry: Beautiful"]),
    ("Bottled water", {None: 99}, [None]),
    ("Filter coffee", {"Large": 180}, [None, "Hazelnut"]),
]


class Warehouse:
    """DuckDB tables in memory behind the one method that analyses call."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute(Path(__file__).with_name("plain_tables.sql").read_text())

    def query(self, sql, parameters=None):
        return self.connection.execute(duckdb_parameters(sql), dict(parameters or {})).df()

    def fill(self, lines: pd.DataFrame, *, seed: int | None = None) -> "Warehouse":
        """Put order lines in (money in pence), and the tables that follow from them.

        With a seed the rows go in shuffled by it.
        """
        order = "order by order_id" if seed is None else f"order by hash(order_id, {seed})"
        self.connection.register("lines", lines)
        self.connection.execute(f"""
            insert into sales
            select order_id, line_no, branch, sold_at, sold_at::date, hour(sold_at), product, size,
                flavour, quantity, pence / 100, quantity * pence / 100, payment
            from lines {order};
            insert into orders
            select order_id, any_value(branch), any_value(sold_at), any_value(sold_at)::date,
                hour(any_value(sold_at)), any_value(payment),
                (sum(quantity * pence) - any_value(discount)) / 100, sum(quantity * pence) / 100,
                count(*), sum(quantity), any_value(discount) = 0
            from lines group by order_id {order};
            insert into hourly_sales
            select branch, sold_on, hour, product, size, flavour, sum(quantity), sum(line_total)
            from sales group by all
        """)
        return self


@dataclass
class Chain:
    """The generated chain: its lines, its orders, and a warehouse with both."""

    lines: pd.DataFrame
    orders: pd.DataFrame
    warehouse: Warehouse


def trades(branch: str, day: date) -> bool:
    """Whether the branch has data on the day: each branch has a story of its own."""
    age = (LAST_DAY - day).days
    return {
        "Leeds": age not in (3, 40),  # two files are missing
        "York": day.weekday() != 6 and age != 12,  # closed on Sundays
        "Bath": age < 45,  # opened during the period before
        "Hull": age >= 20,  # closed for good
        EVIL: age != 30,
    }[branch]


def generate_lines() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    rows = []
    for age in range(430, -1, -1):
        day = LAST_DAY - timedelta(days=age)
        for branch in ("Leeds", "York", "Bath", "Hull", EVIL):
            if not trades(branch, day):
                continue
            for number in range(rng.integers(4, 12)):
                minute = int(rng.integers(8 * 60, 19 * 60))
                sold_at = pd.Timestamp(day) + pd.Timedelta(minutes=minute)
                payment = str(rng.choice(["CARD", "CASH", "UNKNOWN"], p=[0.6, 0.38, 0.02]))
                discount = int(rng.choice([0, 50, -5], p=[0.97, 0.02, 0.01]))
                for line_no in range(1, int(rng.integers(1, 6))):
                    product, sizes, flavours = MENU[rng.choice(6, p=[0.3, 0.1, 0.1, 0.2, 0.2, 0.1])]
                    if product == "Bottled water" and branch == "York" and age < 6:
                        product, sizes, flavours = MENU[0]  # it went silent there
                    size = list(sizes)[rng.integers(len(sizes))]
                    pence = sizes[size] + (15 if product == "Latte" and age < 28 else 0)
                    rows.append(
                        {
                            "order_id": f"{branch}{day}{number}",
                            "line_no": line_no,
                            "branch": branch,
                            "sold_at": sold_at,
                            "product": product,
                            "size": size,
                            "flavour": flavours[rng.integers(len(flavours))],
                            "quantity": int(rng.choice([0, 1, 2], p=[0.02, 0.9, 0.08])),
                            "pence": pence * int(rng.choice([1, -1], p=[0.99, 0.01])),
                            "payment": payment,
                            "discount": discount,
                        }
                    )
    return pd.DataFrame(rows)


def simple_lines(rows: list[tuple]) -> pd.DataFrame:
    """One order of one line for each (branch, days before the last day, product, size, n, pence)."""
    lines = pd.DataFrame(rows, columns=["branch", "age", "product", "size", "quantity", "pence"])
    return lines.assign(
        order_id=lines.index.astype("str"),
        line_no=1,
        flavour=pd.Series(None, index=lines.index, dtype="str"),
        payment="CARD",
        discount=0,
        sold_at=pd.Timestamp(LAST_DAY) - pd.to_timedelta(lines["age"], unit="D"),
    )


def tea(branch: str, ages) -> list[tuple]:
    """A cup of tea for £2 on each of these days before the last day."""
    return [(branch, age, "Tea", None, 1, 200) for age in ages]


@pytest.fixture(scope="module")
def raw_lines() -> pd.DataFrame:
    """The generated lines as a warehouse is filled with them."""
    return generate_lines()


@pytest.fixture(scope="module")
def chain(raw_lines) -> Chain:
    """Five branches over 431 days: some 16,000 orders, refunds and missing days among them."""
    warehouse = Warehouse().fill(raw_lines)
    lines = raw_lines.assign(
        day=raw_lines["sold_at"].dt.date,
        hour=raw_lines["sold_at"].dt.hour,
        name=raw_lines["product"] + (" - " + raw_lines["flavour"]).fillna(""),
        pence=raw_lines["pence"] * raw_lines["quantity"],
    )
    orders = (
        lines.groupby("order_id")
        .agg(
            branch=("branch", "first"),
            day=("day", "first"),
            hour=("hour", "first"),
            payment=("payment", "first"),
            pence=("pence", "sum"),
            discount=("discount", "first"),
            units=("quantity", "sum"),
        )
        .reset_index()
    )
    orders["pence"] -= orders["discount"]
    return Chain(lines, orders, warehouse)


@pytest.fixture(
    params=[
        (LAST_DAY, 4, None),
        (LAST_DAY, 1, None),
        (LAST_DAY, 4, "York"),
        (LAST_DAY, 2, "Leeds"),
        (LAST_DAY, 4, "Bath"),
        (date(2024, 5, 22), 3, None),
        (LAST_DAY, 40, None),
        (LAST_DAY, 1, EVIL),
    ],
    ids=lambda p: f"{p[1]}w-{p[0]:%d%b}-{p[2]}",
)
def case(request, chain):
    """A period and a scope, with the generated data of that scope."""
    until, weeks, branch = request.param
    return Case(chain, until, weeks, branch)


class Case:
    """One choice of parameters, and the plain-pandas pieces that expectations are made of."""

    def __init__(self, chain: Chain, until: date, weeks: int, branch: str | None) -> None:
        self.chain, self.warehouse = chain, chain.warehouse
        self.until, self.weeks, self.branch = until, weeks, branch
        self.days = timedelta(days=7 * weeks)
        self.start = until - self.days + timedelta(days=1)
        in_scope = slice(None) if branch is None else chain.orders["branch"] == branch
        self.orders = chain.orders.loc[in_scope]
        in_scope = slice(None) if branch is None else chain.lines["branch"] == branch
        self.lines = chain.lines.loc[in_scope]
        self.first_days = self.orders.groupby("branch")["day"].min()
        self.traded = set(zip(self.orders["branch"], self.orders["day"], strict=True))

    def run(self, name: str, **more) -> pd.DataFrame:
        function = getattr(analyses, name)
        return function(
            self.warehouse, until=self.until, weeks=self.weeks, branch=self.branch, **more
        )

    def window(self, frame: pd.DataFrame, earlier: timedelta = timedelta()) -> pd.DataFrame:
        day = frame["day"]
        return frame[(day >= self.start - earlier) & (day <= self.until - earlier)]

    def is_covered(self, earlier: timedelta) -> bool:
        return self.first_days.min() <= self.start - earlier

    def comparable_days(self, earlier: timedelta) -> set[tuple[str, date]]:
        """Branch-days of the period that count in a like-for-like comparison."""
        return {
            (branch, day)
            for branch, day in self.traded
            if self.start <= day <= self.until
            and (branch, day - earlier) in self.traded
            and self.first_days[branch] <= self.start - earlier
        }

    def comparable(self, frame: pd.DataFrame, earlier: timedelta, *, before: bool) -> pd.DataFrame:
        """The like-for-like rows of the period, or of the window before it."""
        days = self.comparable_days(earlier)
        if before:
            days = {(branch, day - earlier) for branch, day in days}
        keys = pd.Series(zip(frame["branch"], frame["day"], strict=True), index=frame.index)
        return frame[keys.isin(days)] if days else frame.iloc[:0]


def change(now: float, before: float) -> float:
    return (now - before) / before if before > 0 else nan


def ratio(a: float, b: float) -> float:
    return a / b if b else nan


def assert_same(actual: pd.DataFrame, expected: list[dict]) -> None:
    """Same columns, same rows in the same order; money to the penny, ratios to six decimals."""
    if not expected:
        assert actual.empty
        return
    frame = pd.DataFrame(expected)
    assert list(actual.columns) == list(frame.columns)
    assert len(actual) == len(frame)
    for column in frame.columns:
        got, want = actual[column], frame[column]
        if want.dtype.kind in "fi" and got.dtype.kind in "fi":
            np.testing.assert_allclose(got, want, rtol=0, atol=6e-7, err_msg=column)
        else:
            got = got.dt.date if got.dtype.kind == "M" else got
            for g, w in zip(got, want, strict=True):
                assert g == w or (pd.isna(g) and pd.isna(w)), column


def test_headline(case):
    """The headline's levels and its like-for-like comparisons are what pandas adds up."""
    period = timedelta()
    windows = {"": period, "_before": case.days, "_last_year": timedelta(days=364)}
    expected = {}
    for suffix, earlier in windows.items():
        orders = case.window(case.orders, earlier)
        known = len(orders) > 0 and (suffix == "" or case.is_covered(earlier))
        count, items, pence = len(orders), orders["units"].sum(), orders["pence"].sum()
        values = {
            "revenue": pence / 100,
            "orders": count,
            "average_basket": ratio(pence / 100, count),
            "items": items,
            "items_per_order": ratio(items, count),
        }
        expected |= {key + suffix: v if known else nan for key, v in values.items()}
        expected["days_traded" + suffix] = orders[["branch", "day"]].drop_duplicates().shape[0]
        expected["branches" + suffix] = orders["branch"].nunique()
    days = case.comparable_days(case.days)
    now = case.comparable(case.orders, case.days, before=False)
    before = case.comparable(case.orders, case.days, before=True)
    expected["comparable_branches"] = len({branch for branch, _ in days})
    expected["comparable_days"] = len(days)
    for name, column, scale in (
        ("revenue", "pence", 100),
        ("orders", None, 1),
        ("items", "units", 1),
    ):
        a = now[column].sum() / scale if column else len(now)
        b = before[column].sum() / scale if column else len(before)
        expected[f"{name}_comparable"] = a if days else nan
        expected[f"{name}_comparable_before"] = b if days else nan
        key = "change_comparable" if name == "revenue" else f"change_{name}_comparable"
        expected[key] = change(a, b)
    expected["change_average_basket_comparable"] = (
        change(now["pence"].sum() / len(now), before["pence"].sum() / len(before)) if days else nan
    )
    year = timedelta(days=364)
    expected["change_comparable_last_year"] = change(
        case.comparable(case.orders, year, before=False)["pence"].sum(),
        case.comparable(case.orders, year, before=True)["pence"].sum(),
    )
    assert_same(case.run("headline"), [expected])


class Days:
    """Revenue by branch and day, and what each day is compared with."""

    def __init__(self, case: Case) -> None:
        self.case = case
        orders = case.orders[case.orders["day"] <= case.until]
        self.pence = orders.groupby(["branch", "day"])["pence"].sum().to_dict()
        self.orders = orders.groupby("day").size().to_dict()
        self.items = orders.groupby("day")["units"].sum().to_dict()

    def at(self, branch: str, day: date, lag: int) -> float | None:
        return self.pence.get((branch, day - timedelta(days=lag)))

    def four_weeks(self, branch: str, day: date) -> float | None:
        if self.case.first_days[branch] > day - timedelta(days=28):
            return None
        known = [p for lag in (7, 14, 21, 28) if (p := self.at(branch, day, lag)) is not None]
        return sum(known) / len(known) if len(known) >= 2 else None

    def compare(self, days: list[date]) -> dict[str, tuple[float, float]]:
        """For each comparison: the level, and the like-for-like change."""
        result = {}
        for name, then in {
            "last_week": lambda b, d: self.at(b, d, 7),
            "four_weeks": self.four_weeks,
            "last_year": lambda b, d: self.at(b, d, 364),
        }.items():
            level, now_sum, then_sum, known = 0.0, 0.0, 0.0, False
            for day in days:
                for branch in self.case.first_days.index:
                    value, now = then(branch, day), self.at(branch, day, 0)
                    if value is None or day < self.case.first_days[branch]:
                        continue
                    level, known = level + value, True
                    if now is not None:
                        now_sum, then_sum = now_sum + now, then_sum + value
            result[name] = (level / 100 if known else nan, change(now_sum, then_sum))
        return result

    def level(self, days: list[date]) -> dict[str, float]:
        keys = [key for key in self.pence if key[1] in set(days)]
        pence = sum(self.pence[key] for key in keys)
        orders = sum(self.orders.get(day, 0) for day in days)
        return {
            "branch_days": len(keys),
            "revenue": pence / 100 if keys else nan,
            "orders": orders,
            "items": sum(self.items.get(day, 0) for day in days),
            "average_basket": ratio(pence / 100, orders),
        }


def test_daily(case):
    """Each day stands beside last week, the four weeks before and last year, like for like."""
    days = Days(case)
    expected = []
    first = max(case.start - timedelta(days=56), case.first_days.min())
    for offset in range((case.until - first).days + 1):
        day = first + timedelta(days=offset)
        compared, level = days.compare([day]), days.level([day])
        del level["branch_days"]
        expected.append(
            {"sold_on": day, "weekday": day.isoweekday()}
            | level
            | {
                "revenue_same_weekday_last_week": compared["last_week"][0],
                "revenue_four_week_average": compared["four_weeks"][0],
                "revenue_last_year": compared["last_year"][0],
                "change_same_weekday_last_week": compared["last_week"][1],
                "change_four_week_average": compared["four_weeks"][1],
                "change_last_year": compared["last_year"][1],
            }
        )
    assert_same(case.run("daily"), expected)


def test_weekly(case):
    """Weeks run from Monday to Sunday and are compared day by day, like for like."""
    days = Days(case)
    expected = []
    monday = case.until - timedelta(days=case.until.weekday())
    for age in range(max(26, 2 * case.weeks) - 1, -1, -1):
        start = monday - timedelta(weeks=age)
        week = [start + timedelta(days=n) for n in range(7)]
        week = [day for day in week if case.first_days.min() <= day <= case.until]
        if not week:
            continue
        compared, level = days.compare(week), days.level(week)
        expected.append(
            {
                "week_start": start,
                "days": level.pop("branch_days"),
                "complete": len(week) == 7,
            }
            | level
            | {
                "change_week_before": compared["last_week"][1],
                "four_week_average": compared["four_weeks"][0],
                "change_four_week_average": compared["four_weeks"][1],
                "change_last_year": compared["last_year"][1],
            }
        )
    assert_same(case.run("weekly"), expected)


def test_top_products(case):
    """The best by revenue and the best by units, ranked over all products, flavours joined."""
    now, before = case.window(case.lines), case.window(case.lines, case.days)
    revenue, units = now.groupby("name")["pence"].sum(), now.groupby("name")["quantity"].sum()
    like_now = case.comparable(case.lines, case.days, before=False).groupby("name")["pence"].sum()
    like_before = case.comparable(case.lines, case.days, before=True).groupby("name")["pence"].sum()
    earlier = before.groupby("name")["pence"].sum()
    by_revenue = sorted(revenue.index, key=lambda name: (-revenue[name], name))
    by_units = sorted(revenue.index, key=lambda name: (-units[name], name))
    covered = any(day <= case.start - case.days for day in case.first_days)
    expected = [
        {
            "product": name,
            "revenue": revenue[name] / 100,
            "units": units[name],
            "revenue_share": revenue[name] / revenue.sum(),
            "unit_share": units[name] / units.sum(),
            "revenue_rank": rank,
            "units_rank": by_units.index(name) + 1,
            "revenue_before": earlier.get(name, 0) / 100 if covered else nan,
            "change": change(like_now.get(name, 0), like_before.get(name, 0)),
        }
        for rank, name in enumerate(by_revenue, start=1)
        if rank <= 3 or by_units.index(name) < 3
    ]
    assert_same(case.run("top_products", limit=3), expected)


def penny(pence: Fraction) -> int:
    return floor(pence + Fraction(1, 2))


def expected_movers(now: pd.DataFrame, before: pd.DataFrame) -> list[dict]:
    """Price, volume and mix by the book, from lines with name, size, branch, pence, quantity."""
    cells: dict[str, dict] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0, 0]))
    for frame, at in ((now, 0), (before, 2)):
        for row in frame.itertuples():
            size = None if pd.isna(row.size) else row.size
            cell = cells[row.name][(size, row.branch)]
            cell[at] += row.pence
            cell[at + 1] += row.quantity
    expected = []
    for name, parts in cells.items():
        pence, units, pence_before, units_before = (
            sum(cell[i] for cell in parts.values()) for i in range(4)
        )
        moved = pence - pence_before
        price = sum(
            p1 - penny(Fraction(p0 * q1, q0)) for p1, q1, p0, q0 in parts.values() if q1 and q0
        )
        volume = (
            penny(Fraction(pence_before * (units - units_before), units_before))
            if units_before
            else moved - price
        )
        expected.append(
            {
                "product": name,
                "revenue": pence / 100,
                "revenue_before": pence_before / 100,
                "change_pounds": moved / 100,
                "change": change(pence, pence_before),
                "price_effect": price / 100,
                "volume_effect": volume / 100,
                "mix_effect": (moved - price - volume) / 100,
                "units": units,
                "units_before": units_before,
            }
        )
    return sorted(expected, key=lambda row: (-abs(row["change_pounds"]), row["product"]))


def test_movers(case):
    """Products move by price, volume and mix as the formulas say, on comparable branch-days."""
    actual = case.run("movers")
    now = case.comparable(case.lines, case.days, before=False)
    before = case.comparable(case.lines, case.days, before=True)
    assert_same(actual, expected_movers(now, before))


cells = st.dictionaries(
    st.tuples(st.sampled_from(["A", "B"]), st.sampled_from(["Large", "Regular", None])),
    st.tuples(st.integers(0, 4), st.integers(-500, 9999), st.integers(0, 4), st.integers(1, 9999)),
    min_size=1,
)


@settings(max_examples=40)
@given(cells)
def test_effects_add_up(drawn):
    """Whatever the prices and quantities, price, volume and mix make up the change exactly."""
    rows = []
    for age in (0, 7):  # the branch trades on the same weekday of both weeks, and reaches back
        for branch in ("A", "B"):
            for extra in (0, 6):
                rows.append((branch, age + extra, "Anchor", "Large", 1, 100))
    for (branch, size), (units, pence, units_before, pence_before) in drawn.items():
        rows.append((branch, 0, "Latte", size, units, pence))
        rows.append((branch, 7, "Latte", size, units_before, pence_before))
    lines = simple_lines(rows)
    actual = analyses.movers(Warehouse().fill(lines), until=LAST_DAY, weeks=1)
    lines = lines.assign(name=lines["product"], pence=lines["pence"] * lines["quantity"])
    is_now = lines["age"] < 7
    assert_same(actual, expected_movers(lines[is_now], lines[~is_now]))
    effects = actual[["price_effect", "volume_effect", "mix_effect"]]
    pence = (effects * 100).round().sum(axis=1)
    assert pence.tolist() == (actual["change_pounds"] * 100).round().tolist()


def test_price_rise_is_a_price_effect():
    """Where only the price rose, the whole change is price, and nothing is volume or mix."""
    rows = [("Leeds", age, "Tea", None, 3, 210 if age < 7 else 200) for age in range(14)]
    row = analyses.movers(Warehouse().fill(simple_lines(rows)), until=LAST_DAY, weeks=1).iloc[0]
    assert row["price_effect"] == row["change_pounds"] == 7 * 3 * 0.10
    assert (row["volume_effect"], row["mix_effect"]) == (0, 0)


def test_larger_sizes_are_a_mix_effect():
    """Where customers only moved to the dearer size, the whole change is mix."""
    rows = []
    for age in range(14):
        large = 6 if age < 7 else 2
        rows += [("Leeds", age, "Tea", "Large", large, 300)]
        rows += [("Leeds", age, "Tea", "Regular", 8 - large, 200)]
    row = analyses.movers(Warehouse().fill(simple_lines(rows)), until=LAST_DAY, weeks=1).iloc[0]
    assert row["mix_effect"] == row["change_pounds"] == 7 * 4 * 1.00
    assert (row["volume_effect"], row["price_effect"]) == (0, 0)


def test_new_and_gone_products_are_volume():
    """A product that came or went has moved by volume alone."""
    rows = tea("Leeds", range(7)) + [("Leeds", age, "Cake", "Large", 1, 300) for age in (7, 13)]
    rows += [("Leeds", age, "Coffee", None, 1, 100) for age in range(14)]
    frame = analyses.movers(Warehouse().fill(simple_lines(rows)), until=LAST_DAY, weeks=1)
    moved = frame.set_index("product")[["change_pounds", "volume_effect", "change"]]
    assert moved.loc["Tea", ["change_pounds", "volume_effect"]].tolist() == [14, 14]
    assert moved.loc["Cake"].tolist() == [-6, -6, -1]
    assert pd.isna(moved.loc["Tea", "change"])
    assert not frame[["price_effect", "mix_effect"]].any(axis=None)


def test_weekday_hours(case):
    """An hour adds up the branches' own averages, of those with half the days of others or more."""
    orders = case.window(case.orders)
    days = orders.groupby("branch")["day"].transform("nunique")
    orders = orders[2 * days >= days.max()]
    orders = orders.assign(weekday=orders["day"].map(date.isoweekday))
    traded = orders.groupby(["branch", "weekday"])["day"].nunique()
    expected = []
    for (weekday, hour), frame in orders.groupby(["weekday", "hour"]):
        branches = frame.groupby("branch")["pence"]
        over = traded[:, weekday][branches.sum().index]
        expected.append(
            {
                "weekday": weekday,
                "hour": hour,
                "revenue_per_hour": (branches.sum() / over).sum() / 100,
                "orders_per_hour": (branches.size() / over).sum(),
                "days": over.sum(),
                "branches": len(over),
            }
        )
    assert_same(case.run("weekday_hours"), expected)


def test_hours_of_branches_with_few_days_do_not_tilt_the_week():
    """A branch with one day of sales makes no weekday busy; a lost file makes none quiet."""
    rows = tea("Leeds", set(range(28)) - {4}) + tea("York", range(28)) + tea("Bath", [2])
    hours = analyses.weekday_hours(Warehouse().fill(simple_lines(rows)), until=LAST_DAY)
    assert hours["revenue_per_hour"].tolist() == [4.0] * 7
    assert hours["branches"].tolist() == [2] * 7
    assert hours["days"].sum() == 55


def test_day_parts(case):
    """Day-parts split at 11, 14 and 17 o'clock and come in the order of the day."""

    def part(hour):
        return sum(hour >= bound for bound in (11, 14, 17))

    now, before = case.window(case.orders), case.window(case.orders, case.days)
    like_now = case.comparable(case.orders, case.days, before=False)
    like_before = case.comparable(case.orders, case.days, before=True)
    covered = case.is_covered(case.days)
    expected = []
    for index, name in enumerate(["Morning", "Midday", "Afternoon", "Evening"]):
        a, b, c, d = (
            frame.loc[frame["hour"].map(part) == index, "pence"]
            for frame in (now, before, like_now, like_before)
        )
        expected.append(
            {
                "day_part": name,
                "revenue": a.sum() / 100,
                "orders": len(a),
                "share": a.sum() / now["pence"].sum(),
                "revenue_before": b.sum() / 100 if covered else nan,
                "share_before": b.sum() / before["pence"].sum() if covered else nan,
                "change": change(c.sum(), d.sum()),
            }
        )
    assert_same(case.run("day_parts"), expected)


def test_product_mix(case):
    """Every product, size and flavour has its share; no size and no flavour are kinds too."""
    lines = case.window(case.lines).astype({"size": "object", "flavour": "object"})
    groups = lines.groupby(["product", "size", "flavour"], dropna=False)
    expected = [
        {
            "product": product,
            "size": size,
            "flavour": flavour,
            "units": frame["quantity"].sum(),
            "revenue": frame["pence"].sum() / 100,
            "unit_share": frame["quantity"].sum() / lines["quantity"].sum(),
            "revenue_share": frame["pence"].sum() / lines["pence"].sum(),
            "average_price": ratio(frame["pence"].sum() / 100, frame["quantity"].sum()),
        }
        for (product, size, flavour), frame in groups
    ]

    def text(value):
        return "" if pd.isna(value) else value

    expected.sort(
        key=lambda row: (-row["revenue"], row["product"], text(row["size"]), text(row["flavour"]))
    )
    actual = case.run("product_mix")
    assert_same(actual, expected)
    assert actual["size"].isna().any() and actual["flavour"].isna().any()
    assert (actual["revenue"] * 100).round().sum() == lines["pence"].sum()


def test_size_mix(case):
    """Only products with more than one size count, by units now and before."""
    both = pd.concat([case.window(case.lines), case.window(case.lines, case.days)])
    sizes = both.groupby("product")["size"].nunique()
    wanted = sizes[sizes > 1].index
    now, before = (
        frame[frame["product"].isin(wanted)].groupby("size")[["quantity", "pence"]].sum()
        for frame in (case.window(case.lines), case.window(case.lines, case.days))
    )
    assert "Filter coffee" not in wanted
    expected = [
        {
            "size": size,
            "units": now.loc[size, "quantity"],
            "revenue": now.loc[size, "pence"] / 100,
            "unit_share": now.loc[size, "quantity"] / now["quantity"].sum(),
            "unit_share_before": before.loc[size, "quantity"] / before["quantity"].sum()
            if case.is_covered(case.days)
            else nan,
        }
        for size in sorted(now.index, key=lambda size: (-now.loc[size, "quantity"], size))
    ]
    assert_same(case.run("size_mix"), expected)


def test_branch_league(case):
    """Branches rank among the whole chain; a branch that cannot be compared has no change."""
    whole = Case(case.chain, case.until, case.weeks, None)
    now, before = whole.window(whole.orders), whole.window(whole.orders, whole.days)
    like_now = whole.comparable(whole.orders, whole.days, before=False)
    like_before = whole.comparable(whole.orders, whole.days, before=True)
    rows = []
    for branch in set(now["branch"]) | set(before["branch"]):
        a, b, c, d = (f[f["branch"] == branch] for f in (now, before, like_now, like_before))
        reaches_back = whole.first_days[branch] <= whole.start - whole.days
        days, days_before = a["day"].nunique(), b["day"].nunique()
        rows.append(
            {
                "branch": branch,
                "revenue": a["pence"].sum() / 100,
                "orders": len(a),
                "average_basket": ratio(a["pence"].sum() / 100, len(a)),
                "revenue_before": b["pence"].sum() / 100 if reaches_back else nan,
                "change": change(c["pence"].sum(), d["pence"].sum()),
                "revenue_rank": 0,
                "change_rank": nan,
                "days_traded": days,
                "days_traded_before": days_before,
                "comparable": bool(reaches_back and days == days_before),
            }
        )
    rows.sort(key=lambda row: (-row["revenue"], row["branch"]))
    for rank, row in enumerate(rows, start=1):
        row["revenue_rank"] = rank
    with_change = [row for row in rows if not pd.isna(row["change"])]
    for rank, row in enumerate(sorted(with_change, key=lambda r: (-r["change"], r["branch"])), 1):
        row["change_rank"] = rank
    expected = [row for row in rows if case.branch in (None, row["branch"])]
    assert_same(case.run("branch_league"), expected)


def test_tender_mix(case):
    """Payments have their shares of orders and revenue, now and before."""
    now, before = case.window(case.orders), case.window(case.orders, case.days)
    covered = case.is_covered(case.days)
    expected = []
    for payment in set(now["payment"]) | set(before["payment"]):
        a, b = now[now["payment"] == payment], before[before["payment"] == payment]
        expected.append(
            {
                "payment": payment,
                "orders": len(a),
                "revenue": a["pence"].sum() / 100,
                "order_share": len(a) / len(now),
                "revenue_share": a["pence"].sum() / now["pence"].sum(),
                "revenue_before": b["pence"].sum() / 100 if covered else nan,
                "order_share_before": len(b) / len(before) if covered else nan,
            }
        )
    expected.sort(key=lambda row: (-row["orders"], row["payment"]))
    assert_same(case.run("tender_mix"), expected)


def test_basket_sizes(case):
    """Orders group by items, from seven on together; an order of nothing has no size."""
    orders = case.window(case.orders)
    sized = orders[orders["units"] > 0]
    expected = [
        {
            "items": items,
            "orders": len(frame),
            "order_share": len(frame) / len(sized),
            "revenue": frame["pence"].sum() / 100,
        }
        for items, frame in sized.groupby(sized["units"].clip(upper=7))
    ]
    assert_same(case.run("basket_sizes"), expected)


def test_pairs(case):
    """Pairs count orders with both products once; chance is reckoned within each branch."""
    lines = case.window(case.lines)
    baskets = lines.groupby(["branch", "order_id"])["name"].agg(lambda names: sorted(set(names)))
    alone = Counter(name for basket in baskets for name in basket)
    both = Counter(pair for basket in baskets for pair in combinations(basket, 2))
    by_branch = {
        branch: (len(some), Counter(name for basket in some for name in basket))
        for branch, some in baskets.groupby("branch")
    }
    expected = []
    for pair, together in both.items():
        if together < 30:
            continue
        rarer, commoner = sorted(pair, key=lambda name: (-alone[name], name))[::-1]
        chance = sum(n[rarer] * n[commoner] / orders for orders, n in by_branch.values())
        expected.append(
            {
                "product_a": rarer,
                "product_b": commoner,
                "orders_together": together,
                "orders_a": alone[rarer],
                "orders_b": alone[commoner],
                "attach_rate": together / alone[rarer],
                "lift": together / chance,
            }
        )
    expected.sort(key=lambda r: (-r["lift"], -r["orders_together"], r["product_a"], r["product_b"]))
    assert_same(case.run("pairs", limit=5), expected[:5])


def test_sold_at_the_same_branch_is_no_pair():
    """Products that one branch alone sells go together no more than chance has it there."""
    rows = [("Leeds", age, "Coffee", None, 1, 300) for age in range(7) for _ in range(100)]
    both = [("Tea", "Cake"), ("Tea",), ("Cake",), ("Coffee",)]
    lines = simple_lines(rows)
    parts = []
    for number, basket in enumerate(both * 40):
        york = simple_lines([("York", number % 7, product, None, 1, 200) for product in basket])
        parts.append(york.assign(order_id=f"york {number}", line_no=range(len(basket))))
    warehouse = Warehouse().fill(pd.concat([lines, *parts]))
    row = analyses.pairs(warehouse, until=LAST_DAY, weeks=1).iloc[0]
    assert {row["product_a"], row["product_b"]} == {"Tea", "Cake"}
    assert (row["orders_together"], row["attach_rate"], row["lift"]) == (40, 0.5, 1.0)


def test_pairs_are_found(chain):
    """Over four weeks of the chain there are pairs to speak of."""
    assert len(analyses.pairs(chain.warehouse, until=LAST_DAY, weeks=4)) == 10


def test_missing_days(case):
    """A day is missing where the branch normally trades on its weekday, and only there."""
    pence = case.orders.groupby(["branch", "day"])["pence"].sum().to_dict()
    expected = []
    for offset in range(7 * case.weeks):
        day = case.start + timedelta(days=offset)
        for branch, first_day in case.first_days.items():
            if day <= first_day or (branch, day) in pence:
                continue
            lags = [day - timedelta(weeks=n) for n in range(1, 9)]
            lags = [lag for lag in lags if lag >= first_day]
            known = [pence[branch, lag] for lag in lags if (branch, lag) in pence]
            if known and 2 * len(known) >= len(lags):
                expected.append(
                    {
                        "branch": branch,
                        "sold_on": day,
                        "weekday": day.isoweekday(),
                        "expected_revenue": sum(known) / len(known) / 100,
                    }
                )
    expected.sort(key=lambda row: (row["sold_on"], row["branch"]))
    assert_same(case.run("missing_days"), expected)


def test_missing_days_tell_closed_from_missing(chain):
    """York's Sundays are not missing, its one lost day is; nothing precedes Bath's opening."""
    frame = analyses.missing_days(chain.warehouse, until=LAST_DAY, weeks=4)
    lost = frame[frame["branch"] == "York"]["sold_on"].dt.date.tolist()
    assert lost == [LAST_DAY - timedelta(days=12)]
    assert "Bath" not in set(frame["branch"])
    assert (frame["branch"] == "Hull").sum() == 20


def test_silent_products(case):
    """A product is silent after a steady run, for three trading days or more."""
    lines = case.lines[case.lines["day"] <= case.until]
    expected = []
    for (branch, name), sold in lines.groupby(["branch", "name"]):
        traded = sorted(day for b, day in case.traded if b == branch and day <= case.until)
        last = sold["day"].max()
        silent = [day for day in traded if day > last]
        reference = [day for day in traded if last - timedelta(days=56) < day <= last]
        run = sold[sold["day"] > last - timedelta(days=56)]
        steady = run["day"].nunique() >= 0.8 * len(reference) and len(reference) >= 7
        if len(silent) < 3 or silent[0] < case.start or not steady:
            continue
        span = (last - reference[0]).days + 1
        expected.append(
            {
                "branch": branch,
                "product": name,
                "last_sold_on": last,
                "days_silent": len(silent),
                "expected_units": run["quantity"].sum() * len(silent) / len(reference),
                "weekly_revenue": run["pence"].sum() / 100 * 7 / span,
            }
        )
    expected.sort(key=lambda row: (-row["weekly_revenue"], row["branch"], row["product"]))
    assert_same(case.run("silent_products"), expected)


def test_silent_products_are_found(chain):
    """The water that York stopped selling is found, and nothing else."""
    frame = analyses.silent_products(chain.warehouse, until=LAST_DAY, weeks=4)
    assert frame[["branch", "product"]].values.tolist() == [["York", "Bottled water"]]


def test_coverage_and_branches(chain):
    """Coverage is what the tables hold; the branches' revenue adds up to the chain's."""
    row = analyses.coverage(chain.warehouse).iloc[0]
    assert row["last_day"].date() == LAST_DAY
    assert (row["orders"], row["lines"]) == (len(chain.orders), len(chain.lines))
    assert row["revenue"] == chain.orders["pence"].sum() / 100
    expected = [
        {
            "branch": branch,
            "first_day": frame["day"].min(),
            "last_day": frame["day"].max(),
            "days": frame["day"].nunique(),
            "orders": len(frame),
            "revenue": frame["pence"].sum() / 100,
        }
        for branch, frame in chain.orders.groupby("branch")
    ]
    assert_same(analyses.branches(chain.warehouse), expected)
    assert row["branches"] == len(expected)


def test_mismatched_totals(chain):
    """The difference is till total minus lines, over the orders that differ."""
    wrong = chain.orders[chain.orders["discount"] != 0]
    expected = [
        {"branch": branch, "orders": len(frame), "difference": -frame["discount"].sum() / 100}
        for branch, frame in wrong.groupby("branch")
    ]
    expected.sort(key=lambda row: (-abs(row["difference"]), row["branch"]))
    assert_same(analyses.mismatched_totals(chain.warehouse), expected)


def test_look_alikes(chain):
    """Names that differ only in case and punctuation are paired, the one that earns more first."""
    lines = chain.lines.groupby("product")[["pence", "quantity"]].sum()
    more, less = lines.loc["Hot chocolate"], lines.loc["Hot Chocolate"]
    expected = {
        "product_a": "Hot chocolate",
        "product_b": "Hot Chocolate",
        "revenue_a": more["pence"] / 100,
        "revenue_b": less["pence"] / 100,
        "average_price_a": more["pence"] / 100 / more["quantity"],
        "average_price_b": less["pence"] / 100 / less["quantity"],
    }
    assert_same(analyses.look_alikes(chain.warehouse), [expected])


def test_quality():
    """Rejects add up by reason and by file; repeated rows are counted already, so worth nothing."""
    warehouse = Warehouse()
    warehouse.connection.execute("""
        insert into rejects values
            ('b.csv', 3, 'no_items', 'Leeds', '2024-06-01', 4.10, 60),
            ('b.csv', 9, 'duplicate_row', 'Leeds', '2024-06-01', 2.45, 70),
            ('c.csv', 1, 'no_items', null, null, null, 12);
        insert into loads values
            ('a.csv', 'v1', 'headerless', 5, 5, 9, 0, 20.5, '2024-06-02', '2024-06-02', true),
            ('b.csv', 'v1', 'headerless', 8, 8, 9, 0, 99, '2024-06-02', '2024-06-02', false),
            ('b.csv', 'v2', 'headerless', 9, 7, 9, 2, 30, '2024-06-03', '2024-06-03', true),
            ('c.csv', 'v1', 'lines', 1, 0, 0, 1, 0, '2024-06-02', '2024-06-02', true),
            ('d.csv', 'v1', null, 0, 0, 0, 0, 0, '2024-06-02', '2024-06-02', true)
    """)
    summary = analyses.quality_summary(warehouse)
    assert summary.values.tolist() == [["no_items", 2, 2, 4.10], ["duplicate_row", 1, 1, 0.0]]
    of_files = analyses.quality_files(warehouse)
    assert of_files["source"].tolist() == ["b.csv", "c.csv", "d.csv", "a.csv"]
    assert of_files["revenue_not_counted"].tolist() == [4.10, 0, 0, 0]
    assert of_files["revenue"].tolist() == [30, 0, 0, 20.5]
    assert of_files["feed"].isna().tolist() == [False, False, True, False]
    row = analyses.coverage(warehouse).iloc[0]
    assert (row["files"], row["rejected"], row["revenue_not_counted"]) == (4, 3, 4.10)


def test_a_young_branch_is_not_comparable():
    """As many trading days in both periods are not enough: the data must reach back."""
    rows = tea("Old", range(20)) + tea("Young", [0, 1, 7, 8])
    warehouse = Warehouse().fill(simple_lines(rows))
    league = analyses.branch_league(warehouse, until=LAST_DAY, weeks=1).set_index("branch")
    assert league.loc["Young", ["days_traded", "days_traded_before"]].tolist() == [2, 2]
    assert league["comparable"].to_dict() == {"Old": True, "Young": False}
    assert pd.isna(league.loc["Young", "change"]) and league.loc["Old", "change"] == 0
    assert analyses.headline(warehouse, until=LAST_DAY, weeks=1).iloc[0]["comparable_days"] == 7


def test_a_missing_file_does_not_look_like_a_loss():
    """With one day lost the total drops, and the like-for-like change does not."""
    ages = [age for age in range(14) if age != 3]
    warehouse = Warehouse().fill(simple_lines(tea("Leeds", ages)))
    row = analyses.headline(warehouse, until=LAST_DAY, weeks=1).iloc[0]
    assert (row["revenue"], row["revenue_before"]) == (12, 14)
    assert (row["days_traded"], row["days_traded_before"]) == (6, 7)
    assert row["change_comparable"] == row["change_average_basket_comparable"] == 0
    assert (row["revenue_comparable"], row["revenue_comparable_before"]) == (12, 12)


def test_missing_only_on_usual_weekdays():
    """Four of the last eight make a weekday usual, three do not."""
    weeks_ago = {"Half": (1, 2, 3, 8), "Less": (1, 2, 8)}
    rows = [
        row for branch, weeks in weeks_ago.items() for row in tea(branch, [7 * w for w in weeks])
    ]
    warehouse = Warehouse().fill(simple_lines(rows))
    frame = analyses.missing_days(warehouse, until=LAST_DAY, weeks=1)
    assert frame.values.tolist() == [["Half", pd.Timestamp(LAST_DAY), 7, 2.0]]


@pytest.mark.parametrize(
    ("sold", "silent"),
    [
        (range(3, 60), 3),  # sold every day, not on the last three
        (range(2, 60), None),  # two days may be chance
        ([age for age in range(3, 60) if age % 5], 3),  # on four days of five
        ([age for age in range(3, 60) if age % 4], None),  # on three of four
        (range(3, 60, 2), None),
        (range(28, 90), 28),  # the silence began on the first day of the period
        (range(29, 90), None),  # before it: an earlier report has told
    ],
)
def test_silence_after_a_steady_run(sold, silent):
    """Silent is three trading days without a sale that began in the period, after a steady run."""
    coffee = [("Leeds", age, "Coffee", None, 1, 300) for age in range(120)]
    warehouse = Warehouse().fill(simple_lines(coffee + tea("Leeds", sold)))
    frame = analyses.silent_products(warehouse, until=LAST_DAY, weeks=4)
    assert frame["days_silent"].tolist() == ([silent] if silent else [])


def test_silence_needs_a_week_of_trade():
    """Six days of trade before a silence say nothing, seven do."""
    for days, found in ((6, 0), (7, 1)):
        coffee = [("Leeds", age, "Coffee", None, 1, 300) for age in range(3 + days)]
        warehouse = Warehouse().fill(simple_lines(coffee + tea("Leeds", range(3, 3 + days))))
        assert len(analyses.silent_products(warehouse, until=LAST_DAY, weeks=4)) == found


def test_new_branches_do_not_look_like_growth(chain, raw_lines):
    """Bath's opening lifts the chain's revenue, and leaves the like-for-like change alone."""
    row = analyses.headline(chain.warehouse, until=LAST_DAY, weeks=4).iloc[0]
    without = Warehouse().fill(raw_lines[raw_lines["branch"] != "Bath"])
    old = analyses.headline(without, until=LAST_DAY, weeks=4).iloc[0]
    assert row["revenue"] > 1.1 * old["revenue"]
    assert row["change_comparable"] == old["change_comparable"]
    assert row["comparable_branches"] == old["comparable_branches"] == 4
    assert analyses.movers(chain.warehouse, until=LAST_DAY, weeks=4).equals(
        analyses.movers(without, until=LAST_DAY, weeks=4)
    )


def all_frames(warehouse, until=LAST_DAY, weeks=4, branch=None) -> dict[str, pd.DataFrame]:
    frames = {name: getattr(analyses, name)(warehouse) for name in TIMELESS}
    for name in PERIODIC:
        function = getattr(analyses, name)
        frames[name] = function(warehouse, until=until, weeks=weeks, branch=branch)
    return frames


def test_same_answer_in_any_storage_order(chain, raw_lines):
    """The rows' order in the tables changes nothing, down to the last digit and row."""
    shuffled = all_frames(Warehouse().fill(raw_lines, seed=5))
    for name, frame in all_frames(chain.warehouse).items():
        pd.testing.assert_frame_equal(frame, shuffled[name], check_exact=True, obj=name)


def test_the_past_does_not_know_the_future(chain, raw_lines):
    """A report on a day gone by says the same whether or not later days are loaded."""
    until = LAST_DAY - timedelta(days=33)
    then = Warehouse().fill(raw_lines[raw_lines["sold_at"].dt.date <= until])
    for name in PERIODIC:
        function = getattr(analyses, name)
        frames = [function(w, until=until, weeks=2) for w in (chain.warehouse, then)]
        pd.testing.assert_frame_equal(*frames, check_exact=True, obj=name)


def test_keys_are_unique(chain):
    """The key columns that each SQL file states in its first comment are a key."""
    for name, frame in all_frames(chain.warehouse).items():
        first = load_query(name).sql.splitlines()[0]
        keys = first.removeprefix("-- one row").removeprefix(" per ")
        if keys:
            assert not frame.duplicated(keys.split(", ")).any(), name
            assert name in ("quality_summary", "quality_files") or len(frame), name
        else:
            assert len(frame) == 1, name


def test_docs_speak_of_every_column(chain):
    """The metrics page has a section for each analysis, with a formula for each column."""
    page = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    for name, frame in all_frames(chain.warehouse).items():
        words = set(re.findall(r"`(\w+)`", sections[name]))
        assert set(frame.columns) <= words, name


def test_every_analysis_is_tested():
    """The tests that go over all analyses miss none."""
    functions = inspect.getmembers(analyses, inspect.isfunction)
    own = {name for name, function in functions if function.__module__ == analyses.__name__}
    assert {name for name in own if not name.startswith("_")} == {*PERIODIC, *TIMELESS}


@pytest.mark.parametrize("weeks", [1, 4])
def test_empty_warehouse(weeks):
    """An empty warehouse gives empty frames with the same columns and types, and two lone rows."""
    empty = all_frames(Warehouse(), weeks=weeks)
    assert {name for name, frame in empty.items() if len(frame)} == {"coverage", "headline"}
    assert empty["coverage"].iloc[0]["orders"] == 0
    assert pd.isna(empty["coverage"].iloc[0]["first_day"])
    assert empty["headline"].iloc[0]["orders"] == 0
    assert pd.isna(empty["headline"].iloc[0]["revenue"])


def test_types_do_not_depend_on_the_data(chain):
    """Columns keep their types when there are no rows or nothing is known."""
    empty = all_frames(Warehouse())
    for name, frame in all_frames(chain.warehouse).items():
        assert empty[name].dtypes.to_dict() == frame.dtypes.to_dict(), name


def test_unknown_branch(chain):
    """A branch that does not exist gives empty frames."""
    for name in PERIODIC:
        frame = getattr(analyses, name)(chain.warehouse, until=LAST_DAY, weeks=4, branch="Lleeds")
        assert frame.empty or name == "headline", name


def test_before_the_first_day(chain):
    """A period before any data gives empty frames."""
    for name in PERIODIC:
        frame = getattr(analyses, name)(chain.warehouse, until=date(2020, 1, 31), weeks=4)
        assert frame.empty or name == "headline", name


def test_one_single_day(raw_lines):
    """With one day of data there are levels and not one comparison."""
    warehouse = Warehouse().fill(raw_lines[raw_lines["sold_at"].dt.date == LAST_DAY])
    frames = all_frames(warehouse)
    for name, frame in frames.items():
        for column in frame.columns:
            if column.startswith("change") or column.endswith(("_before", "_last_year")):
                known = frame[column][frame[column] != 0].dropna()
                assert known.empty, f"{name}.{column}"
    assert len(frames["daily"]) == len(frames["weekly"]) == 1
    assert not frames["weekly"]["complete"].any()
    for name in ("movers", "missing_days", "silent_products"):
        assert frames[name].empty


@pytest.mark.parametrize(
    "wrong", [{"weeks": 0}, {"weeks": 1.5}, {"weeks": True}, {"until": "2024-06-30"}]
)
def test_wrong_period(chain, wrong):
    """A period that cannot be is refused by name before anything runs."""
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        analyses.daily(chain.warehouse, **({"until": LAST_DAY, "weeks": 4} | wrong))


def test_wrong_limit(chain):
    """A limit below one is refused."""
    with pytest.raises(ParameterError, match="limit is 0"):
        analyses.pairs(chain.warehouse, until=LAST_DAY, weeks=4, limit=0)


def test_moment_of_a_day(chain):
    """A moment given as `until` stands for its day."""
    moment = pd.Timestamp("2024-06-30 15:00")
    by_moment = analyses.daily(chain.warehouse, until=moment, weeks=1)
    assert by_moment.equals(analyses.daily(chain.warehouse, until=LAST_DAY, weeks=1))


def test_money_is_exact(chain):
    """Whatever way revenue is cut, its parts add up to the orders of the period to the penny."""
    frames = all_frames(chain.warehouse, weeks=3)
    until, start = LAST_DAY, LAST_DAY - timedelta(days=20)
    exact = chain.warehouse.connection.execute(
        "select sum(total) from orders where sold_on between $start and $until",
        {"start": start, "until": until},
    ).fetchone()[0]
    pennies = int(exact * 100)
    daily = frames["daily"].tail(21)
    for frame in (
        frames["headline"],
        daily,
        frames["day_parts"],
        frames["branch_league"],
        frames["tender_mix"],
    ):
        assert (frame["revenue"] * 100).round().sum() == pennies


def test_plain_tables_are_those_of_the_warehouse():
    """The tables of these tests have columns that the DuckDB warehouse has, in the same types."""
    warehouse = duckdb.connect()
    for name in ("duckdb", "duckdb_views"):
        ddl = files("brewtopia_lib") / "warehouse" / "ddl" / f"{name}.sql"
        warehouse.execute(ddl.read_text(encoding="utf-8"))
    for table in (
        *("sales", "orders", "hourly_sales", "rejects", "loads"),
        *("order_baskets", "basket_lines", "items"),
    ):
        plain, real = (
            dict(
                connection.execute(
                    f"select column_name, column_type from (describe {table})"
                ).fetchall()
            )
            for connection in (Warehouse().connection, warehouse)
        )
        assert plain.items() <= real.items()


def test_real_till_files(project, real_data):
    """Sixteen days of nine branches and one day of nine others: known totals, no false growth."""
    ingest(load_settings(), [str(real_data / "branches")])
    with open_warehouse(load_settings().warehouse) as warehouse:
        coverage = analyses.coverage(warehouse).iloc[0]
        assert (coverage["orders"], coverage["lines"]) == (46001, 126510)
        assert coverage["revenue"] == 281119.40
        until = coverage["last_day"].date()
        week = analyses.headline(warehouse, until=until, weeks=1).iloc[0]
        assert week["revenue"] / week["revenue_before"] > 1.14
        assert abs(week["change_comparable"]) < 0.01
        assert (week["branches"], week["comparable_branches"]) == (18, 9)
        month = analyses.headline(warehouse, until=until, weeks=4).iloc[0]
        assert month["orders"] == 46001 and month["comparable_days"] == 0
        unknown = [key for key in month.index if key.startswith(("change", "revenue_"))]
        assert month[unknown].isna().all()
        assert analyses.movers(warehouse, until=until, weeks=4).empty
        last = analyses.daily(warehouse, until=until, weeks=4).iloc[-1]
        assert abs(last["change_same_weekday_last_week"]) < 0.01
        assert analyses.pairs(warehouse, until=until, weeks=1)["lift"].max() < 1.5
        names = analyses.look_alikes(warehouse)[["product_a", "product_b"]].values.tolist()
        assert names == [["Hot chocolate", "Hot Chocolate"]]
