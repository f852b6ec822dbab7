"""The real till files, to the penny, and without anybody's name or card."""

import csv
import json
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest
from privacy import Personal
from tills import content, rows, settings_in

from brewtopia_lib.settings import Settings

ORDERS, LINES, REVENUE = 46001, 126510, Decimal("281119.40")


class Ingested(NamedTuple):
    settings: Settings
    first: subprocess.CompletedProcess[str]
    second: subprocess.CompletedProcess[str]


def run(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        f"BREWTOPIA_{name.upper()}": getattr(settings, name)
        for name in ("raw", "lake", "warehouse", "reports")
    }
    return subprocess.run(
        [sys.executable, "-m", "brewtopia_lib.cli", *arguments],
        env=environment,
        cwd=Path(settings.lake).parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def ingested(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    """All branch-days, ingested twice by the command."""
    made = settings_in(tmp_path_factory.mktemp("real"), real_data / "branches")
    command = ("ingest", str(real_data / "branches"), "--json")
    first = run(made, *command)
    path = Path(made.warehouse)
    before = (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
    second = run(made, *command)
    assert (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) == before
    return Ingested(made, first, second)


@pytest.fixture(scope="module")
def personal(real_data: Path) -> Personal:
    """Every row of the branch-days, by Python's own csv module, and what is personal in them."""
    return Personal(real_data / "branches")


def test_the_figures(ingested: Ingested) -> None:
    """One run says exactly what the files hold, and rejects nothing."""
    facts = json.loads(ingested.first.stdout)
    assert facts["objects"] == 153
    assert (facts["orders"], facts["lines"]) == (ORDERS, LINES)
    assert (facts["rows"], facts["rejected"], facts["rejected_by_reason"]) == (ORDERS, 0, {})
    assert facts["revenue"] == "281119.40"
    assert ingested.first.stderr.count("\n") < 100


def test_a_second_run_loads_nothing(ingested: Ingested) -> None:
    """The same files again: all skipped, nothing loaded, the warehouse file untouched."""
    facts = json.loads(ingested.second.stdout)
    assert (facts["objects"], facts["objects_skipped"], facts["orders"]) == (0, 153, 0)
    assert facts["branch_days"] == 0


def test_the_warehouse_holds_every_order_once(ingested: Ingested) -> None:
    """Orders, lines and revenue of the views are those of the files; all totals match."""
    assert rows(
        ingested.settings,
        "select count(*), count(distinct order_id), sum(total), sum(lines_total),"
        " bool_and(total_matches) from orders",
    ) == [(ORDERS, ORDERS, REVENUE, REVENUE, True)]
    assert rows(ingested.settings, "select count(*), sum(line_total) from sales") == [
        (LINES, REVENUE)
    ]
    assert rows(ingested.settings, "select sum(revenue) from hourly_sales") == [(REVENUE,)]


def test_each_branch_and_day_is_exact(ingested: Ingested, personal: Personal) -> None:
    """Every branch-day's orders and revenue are what the csv module and Decimal make of them."""
    expected: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    for when, branch, _, _, total, *_ in personal.rows:
        expected[branch, when[:10]].append(Decimal(total))
    found = rows(
        ingested.settings,
        "select branch, strftime(sold_on, '%d/%m/%Y'), count(*), sum(total) from orders"
        " group by all order by all",
    )
    assert found == sorted((*key, len(totals), sum(totals)) for key, totals in expected.items())
    assert len({branch for branch, *_ in found}) == 18


def test_each_product_is_exact(ingested: Ingested, personal: Personal) -> None:
    """Every item's units and revenue are what splitting the texts by hand makes of them."""
    expected: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    for _, branch, _, items, *_ in personal.rows:
        for item in items.split(", "):
            name, _, price = item.rpartition(" - ")
            expected[branch, name].append(Decimal(price))
    found = rows(
        ingested.settings,
        "select branch, concat(size || ' ', product, ' - ' || flavour) as name, sum(quantity),"
        " sum(line_total) from sales group by all order by all",
    )
    assert found == sorted((*key, len(prices), sum(prices)) for key, prices in expected.items())


def test_the_file_with_a_header(real_data: Path, tmp_path: Path) -> None:
    """The file with a header row is as exact, to each order."""
    (file,) = real_data.glob("*.headered.csv")
    here = settings_in(tmp_path, real_data / "branches")
    facts = json.loads(run(here, "ingest", str(file), "--json").stdout)
    with file.open(encoding="utf-8-sig", newline="") as stream:
        header, *data = [row for row in csv.reader(stream) if row]
    total = next(place for place, name in enumerate(header) if "total" in name.casefold())
    totals = sorted(Decimal(row[total]) for row in data)
    assert facts["rejected"] == 0
    assert (facts["orders"], Decimal(facts["revenue"])) == (len(data), sum(totals))
    found = rows(here, "select total from orders order by total")
    assert [value for (value,) in found] == totals


def test_one_by_one_or_at_once(ingested: Ingested, real_data: Path, tmp_path: Path) -> None:
    """The files in three deliveries, in another order, come to the same warehouse."""
    here = settings_in(tmp_path, real_data / "branches")
    files = sorted(Path(here.raw).glob("*.csv"), key=lambda file: file.name[::-1])
    for part in range(3):
        run(here, "ingest", *map(str, files[part::3]))
    assert content(here) == content(ingested.settings)


def test_sixteen_days_are_too_few_and_it_is_said(ingested: Ingested) -> None:
    """On sixteen days no trend is found and nothing is forecast, and both say why."""
    found = run(ingested.settings, "findings")
    kinds = {one["kind"] for one in json.loads(run(ingested.settings, "findings", "--json").stdout)}
    assert not kinds & {"product_trend", "branch_trend", "level_shift", "day_shift", "unusual_day"}
    assert "Sales of 16 days are too few to tell a trend from chance" in found.stdout
    ahead = json.loads(run(ingested.settings, "forecast", "--json").stdout)
    assert (ahead["days"], ahead["backtest"]) == ([], [])
    assert "Sales of 16 days are too few for a forecast" in ahead["notes"][0]


def test_no_name_and_no_card_gets_through(ingested: Ingested, personal: Personal) -> None:
    """No customer's name, full or last, and no card number stands in any byte written."""
    texts = [ingested.first.stdout, ingested.first.stderr, ingested.second.stdout]
    folder = Path(ingested.settings.lake).parent
    texts += [file.read_text("latin-1") for file in folder.rglob("*") if file.is_file()]
    texts += everything_as_text(ingested.settings)
    assert sum(map(len, texts)) > 2_000_000
    personal.assert_absent(texts)


def everything_as_text(settings: Settings) -> list[str]:
    """Every value of lake and warehouse, uncompressed."""
    values = [str(content(settings))]
    with duckdb.connect() as connection:
        for file in sorted(Path(settings.lake).rglob("*.parquet")):
            values.append(str(connection.read_parquet(str(file)).fetchall()))
    return values
