"""Every ready analysis over a hundred million order lines, on two cores and two gigabytes."""

import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import duckdb

from benchmarks.measure import CORES, Figure, at_most
from brewtopia_lib.warehouse.duckdb import FORMAT

BRANCHES, DAYS, BASKETS, ORDERS = 200, 728, 3_000_000, 37_000_000
MEMORY_LIMIT = "1500MB"

# Chronological, as tills deliver; baskets of one to six lines, the common ones far more often.
_MADE = """
set preserve_insertion_order = false;
insert into warehouse_format values ({format});
insert into items
with menu as (
    select range as product_no from range(75)
)
select
    (row_number() over ())::integer - 1, 'Product ' || product_no, size,
    case when product_no % 3 = 0 then 'Flavour ' || product_no % 5 end, 1,
    (1.5 + product_no % 30 / 10.0)::decimal(12, 2), (1.5 + product_no % 30 / 10.0)::decimal(12, 2)
from menu, (select unnest(['Regular', 'Large']) as size);
insert into basket_lines
select basket_no, (line + 1)::integer, floor(150 * random() * random())::integer
from (
    select range as basket_no, (0.5 + 3.5 * random() + 2 * random() * random())::integer as lines
    from range({baskets})
), lateral (select unnest(range(greatest(lines, 1))) as line);
create temp table baskets as
select
    basket_no, sum(line_total)::decimal(12, 2) as total, count(*)::integer as line_count
from basket_lines join items using (item_no) group by basket_no;
insert into order_facts
with placed as (
    select
        range as order_no,
        date '2024-06-30' - ({days} - 1 - (range * {days} // {orders}))::integer as sold_on,
        (range % {branches}) as branch_no,
        floor({baskets} * random() * random())::bigint as basket_no
    from range({orders})
)
select
    (hash(order_no) >> 1)::bigint, order_no,
    'Branch ' || lpad(branch_no::varchar, 3, '0'),
    sold_on + to_seconds((8 * 3600 + random() * 11 * 3600)::bigint),
    if(random() < 0.7, 'CARD', 'CASH'), total, total, line_count, line_count, true, basket_no
from placed join baskets using (basket_no)
order by sold_on;
insert into hourly_sales
select
    branch, sold_at::date, hour(sold_at), product, size, flavour,
    sum(quantity), sum(line_total)
from order_facts join basket_lines using (basket_no) join items using (item_no)
group by all
order by 2;
insert into loads
select
    branch || sold_at::date, 'v', 'seven-columns', count(*), count(*), sum(line_count), 0,
    sum(total), now()::timestamp, now()::timestamp, true, 'b'
from order_facts group by 1;
"""

_ASKED = """
import inspect, json, resource, sys, time
from datetime import date
from brewtopia_lib import analyses
from brewtopia_lib.warehouse import open_warehouse

warehouse = open_warehouse(sys.argv[1], sys.argv[2])
period = {"until": date(2024, 6, 30), "weeks": 4}
taken = {}
for name, analysis in inspect.getmembers(analyses, inspect.isfunction):
    if name.startswith("_") or analysis.__module__ != analyses.__name__:
        continue
    asks = inspect.signature(analysis).parameters
    given = {key: value for key, value in period.items() if key in asks}
    given |= {"product": "Product 1"} if "product" in asks else {}
    for branch in ([None, "Branch 007"] if "branch" in asks else [None]):
        more = given | ({"branch": branch} if branch else {})
        times = []
        for _ in range(int(sys.argv[3])):
            started, cpu = time.perf_counter(), time.process_time()
            analysis(warehouse, **more)
            times.append((time.perf_counter() - started, time.process_time() - cpu))
        taken[name + (" of a branch" if branch else "")] = sorted(times)[len(times) // 2]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"taken": taken, "peak_kilobytes": peak}))
"""


def run(folder: Path, *, scale: float, rounds: int, **_: object) -> list[Figure]:
    """Make the warehouse file, then ask it everything, each in a process of its own."""
    file = folder / "warehouse.duckdb"
    # A child's peak starts with the memory of the one that started it: this one stays small.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as maker:
        lines = maker.submit(_make, file, scale).result()
    answer = subprocess.run(
        [sys.executable, "-c", _ASKED, str(file), MEMORY_LIMIT, str(min(rounds, 3))],
        check=True,
        stdout=subprocess.PIPE,
    )
    os.remove(file)
    told = json.loads(answer.stdout)
    figures = [
        at_most(f"{name} over {lines / 1e6:.0f} M lines", 1, "s", seconds, f"({cpu:.2f} s of CPU)")
        for name, (seconds, cpu) in told["taken"].items()
    ]
    peak = told["peak_kilobytes"] / 1024
    return [*figures, at_most("peak memory of all of them", 2048, "MB", peak)]


def _make(file: Path, scale: float) -> int:
    ddl = Path(__file__).parents[1] / "brewtopia_lib/warehouse/ddl"
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"set threads = {CORES}")
        connection.execute("set memory_limit = '6GB'")
        connection.execute(f"set temp_directory = '{file}.spilled'")
        for name in ("duckdb", "duckdb_views"):
            connection.execute((ddl / f"{name}.sql").read_text("utf-8"))
        connection.execute(
            _MADE.format(
                format=FORMAT, branches=BRANCHES, days=max(84, round(DAYS * min(scale, 1))),
                baskets=max(1000, round(BASKETS * scale)), orders=max(10_000, round(ORDERS * scale)),
            )
        )  # fmt: skip
        connection.execute("checkpoint")
        row = connection.execute("select sum(line_count) from order_facts").fetchone()
    assert row is not None
    return int(row[0])
