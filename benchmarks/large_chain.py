"""All findings of 200 branches, 75 products and two years, from the warehouse's own tables."""

import os
import resource
import time
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pandas as pd

from benchmarks.measure import CORES, Figure, at_most
from brewtopia_lib.findings import find
from brewtopia_lib.findings.history import read_history
from brewtopia_lib.warehouse.parameters import duckdb_parameters

BRANCHES, PRODUCTS, DAYS = 200, 75, 728
UNTIL = date(2024, 6, 30)
_BASKETS = 3_000_000

# Chance is a hash of the row: the same each time, and never moved by the planner to other rows.
_NAMES = """
create table numbers as select range::integer as n from range(200);
create table menu as
select n as product_no,
    case when n % 3 = 0 then 'Latte ' || n // 3 else 'Product ' || n end as product,
    case when n % 3 = 0 then 'Flavour ' || n end as flavour,
    0.1 + 0.76 * (hash(n) % 1000) / 1000 as often
from numbers where n < {products};
create table branches as
select 'Branch ' || lpad(n::varchar, 3, '0') as branch from numbers where n < {branches};
create table hours as select (8 + n)::smallint as hour from numbers where n < 11;
create table sizes as select unnest(['Regular', 'Large']) as size;
create table hourly_sales (
    branch varchar, sold_on date, hour smallint, product varchar, size varchar, flavour varchar,
    units bigint, revenue decimal(12, 2)
);
create table orders (
    branch varchar, sold_on date, hour smallint, total decimal(12, 2), basket_no bigint
);
create view order_baskets as select branch, sold_on, basket_no from orders;
create table items as select product_no as item_no, product, flavour from menu;
create table basket_lines as
select basket_no, product_no as item_no
from (select range as basket_no from range({baskets})), menu
where hash(basket_no, product_no) % 1000 < 2500 / {products};
"""

# A week at a time, as a warehouse is loaded.
_WEEK = """
create or replace temp table days as select date '{last_day}' - n as sold_on from numbers where n < 7;
insert into hourly_sales
select branch, sold_on, hour, product, size, flavour,
    1 + floor(-0.8 * ln((1 + chance // 1000 % 1000) / 1001))::bigint,
    2.5::decimal(12, 2)
from (
    select *, hash(branch, sold_on, hour, product_no, size) as chance
    from branches, days, hours, menu, sizes
)
where chance % 1000 < 1000 * often;
insert into orders
select branch, sold_on, hour, 6.5::decimal(12, 2),
    floor({baskets} * pow(chance // 4 % 1000000 / 1000000, 2))::integer
from (
    select *, hash(branch, sold_on, hour, n) as chance
    from branches, days, hours, numbers
    where n < 40
)
where chance % 4 > 0;
"""


class _Tables:
    """DuckDB's own tables behind the one method that findings call."""

    def __init__(self, file: Path) -> None:
        self.connection = duckdb.connect(str(file), read_only=True)
        self.connection.execute(f"set threads = {CORES}")

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        return self.connection.execute(duckdb_parameters(sql), dict(parameters or {})).df()


def run(folder: Path, *, scale: float = 1.0) -> list[Figure]:
    """Make the tables, and find all there is in two years and in half a year."""
    branches = max(8, round(BRANCHES * min(scale, 1.0)))
    days = DAYS if scale >= 1 else max(84, round(DAYS * scale))
    file = folder / "large.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"set threads = {CORES}")
        names = _NAMES.format(branches=branches, products=PRODUCTS, baskets=_BASKETS)
        connection.execute(names)
        for week in reversed(range(days // 7)):
            last_day = UNTIL - timedelta(7 * week)
            connection.execute(_WEEK.format(last_day=last_day, baskets=_BASKETS))
        row = connection.execute("select count(*) from hourly_sales").fetchone()
    assert row is not None
    tables = _Tables(file)
    figures = []
    for weeks in sorted({days // 7, min(26, days // 7)}, reverse=True):
        started, cpu = time.perf_counter(), _cpu_seconds()
        history = read_history(tables, until=UNTIL, weeks=weeks)
        read = time.perf_counter()
        find(history)
        seconds = time.perf_counter() - started
        detail = (
            f"({read - started:.1f} s of them reading; {_cpu_seconds() - cpu:.1f} s of CPU; "
            f"{row[0] / 1e6:.0f} M rows by the hour)"
        )
        name = f"all findings of {branches} branches × {PRODUCTS} products, {weeks} weeks"
        figures.append(at_most(name, 20, "s", seconds, detail))
    tables.connection.close()
    os.remove(file)
    return figures


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
