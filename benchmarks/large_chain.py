"""All findings of 200 branches, 75 products and two years, from the warehouse's own tables."""

import os
import resource
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd

from benchmarks.measure import CORES, Figure, at_most
from brewtopia_lib.findings import find
from brewtopia_lib.findings.history import read_history
from brewtopia_lib.warehouse.parameters import duckdb_parameters

BRANCHES, PRODUCTS, DAYS = 200, 75, 728
UNTIL = date(2024, 6, 30)
_PAIRED_DAYS = 56

_MADE = """
create table numbers as select range::integer as n from range(10000);
create table menu as
select n as product_no,
    case when n % 3 = 0 then 'Latte ' || n // 3 else 'Product ' || n end as product,
    case when n % 3 = 0 then 'Flavour ' || n end as flavour,
    0.1 + 0.5 * random() as often
from numbers where n < {products};
create table days as select date '2024-06-30' - n as sold_on from numbers where n < {days};
create table branches as
select 'Branch ' || lpad(n::varchar, 3, '0') as branch from numbers where n < {branches};
create table hours as select (8 + n)::smallint as hour from numbers where n < 11;
create table sizes as select unnest(['Regular', 'Large']) as size;
create table hourly_sales as
select branch, sold_on, hour, product, size, flavour,
    (1 + floor(-0.8 * ln(1 - random())))::bigint as units, 2.5::decimal(12, 2) as revenue
from branches, days, hours, menu, sizes
where random() < often * 0.8;
create table orders as
select branch, sold_on, hour, 6.5::decimal(12, 2) as total,
    (row_number() over ())::integer as basket_no
from branches, days, hours, numbers
where n < 40 and random() < 0.75;
create view order_baskets as select branch, sold_on, basket_no from orders;
create table items as select product_no as item_no, product, flavour from menu;
create table basket_lines as
select basket_no, product_no as item_no
from orders, menu
where sold_on > date '2024-06-30' - {paired} and random() < 2.5 / {products};
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
        made = _MADE.format(branches=branches, products=PRODUCTS, days=days, paired=_PAIRED_DAYS)
        connection.execute(made)
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
