"""The DuckDB warehouse: what analysts see in it, who may read it while it is loaded, what ails it."""

import contextlib
import datetime as dt
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tills import Order, content, leftovers, rows, settings_in, till, write_files

from brewtopia_lib.errors import WarehouseError
from brewtopia_lib.ingest import clean_raw, ingest, load_lake
from brewtopia_lib.sample import write_sample
from brewtopia_lib.settings import Settings
from brewtopia_lib.warehouse import duckdb as engine
from brewtopia_lib.warehouse import open_warehouse

COLUMNS = {
    "sales": {
        "order_id": "VARCHAR", "line_no": "INTEGER", "branch": "VARCHAR", "sold_at": "TIMESTAMP",
        "sold_on": "DATE", "hour": "SMALLINT", "product": "VARCHAR", "size": "VARCHAR",
        "flavour": "VARCHAR", "quantity": "INTEGER", "unit_price": "DECIMAL(12,2)",
        "line_total": "DECIMAL(12,2)", "payment": "VARCHAR",
    },
    "orders": {
        "order_id": "VARCHAR", "branch": "VARCHAR", "sold_at": "TIMESTAMP", "sold_on": "DATE",
        "hour": "SMALLINT", "payment": "VARCHAR", "total": "DECIMAL(12,2)",
        "lines_total": "DECIMAL(12,2)", "line_count": "INTEGER", "units": "INTEGER",
        "total_matches": "BOOLEAN",
    },
    "hourly_sales": {
        "branch": "VARCHAR", "sold_on": "DATE", "hour": "SMALLINT", "product": "VARCHAR",
        "size": "VARCHAR", "flavour": "VARCHAR", "units": "BIGINT", "revenue": "DECIMAL(12,2)",
    },
    "rejects": {
        "source": "VARCHAR", "line_number": "BIGINT", "reason": "VARCHAR", "branch": "VARCHAR",
        "sold_on": "DATE", "total": "DECIMAL(12,2)", "row_length": "BIGINT",
    },
    "loads": {
        "source": "VARCHAR", "version": "VARCHAR", "feed": "VARCHAR", "rows": "BIGINT",
        "orders": "BIGINT", "lines": "BIGINT", "rejected": "BIGINT", "revenue": "DECIMAL(14,2)",
        "cleaned_at": "TIMESTAMP", "loaded_at": "TIMESTAMP", "is_current": "BOOLEAN",
    },
}  # fmt: skip
"""The contract's tables as analysts see them."""


def loaded(folder: Path, *orders: Order | str) -> Settings:
    made = settings_in(folder)
    write_files(Path(made.raw), {"first.csv": till(orders or [Order()])})
    assert not ingest(made).failures
    return made


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Three branches' sample files with faults, and a file with one row per line."""
    made = settings_in(tmp_path_factory.mktemp("chain"))
    write_sample(Path(made.raw), branches=3, days=21, faults=True)
    lines = (
        "Transaction ID,Timestamp,Branch,Product,Size,Quantity,Unit Price,Payment Method\n"
        "1,2024-06-30 09:00,Bath,Latte,Large,2,2.95,CARD\n"
        "1,2024-06-30 09:00,Bath,Latte,Large,1,2.95,CARD\n"
        "2,2024-06-30 09:10,Bath,Tea,,3,-1.50,CASH\n"
    )
    write_files(Path(made.raw), {"lines.csv": lines.encode()})
    ingest(made)
    return made


# --- what analysts see


@pytest.mark.parametrize("table", COLUMNS)
def test_columns_and_types(chain: Settings, table: str) -> None:
    """Each table has the contract's columns in their types; money is exact."""
    found = dict(
        rows(
            chain,
            "select column_name, data_type from duckdb_columns()"
            f" where database_name = 'warehouse' and table_name = '{table}' order by column_index",
        )
    )
    assert {name: found.get(name) for name in COLUMNS[table]} == COLUMNS[table]
    assert "DOUBLE" not in found.values()
    assert "FLOAT" not in found.values()


@pytest.mark.parametrize(
    ("table", "grain"),
    [
        ("sales", "order_id, line_no"),
        ("orders", "order_id"),
        ("hourly_sales", "branch, sold_on, hour, product, size, flavour"),
        ("rejects", "source, line_number"),
        ("loads", "source, version"),
    ],
)
def test_grain(chain: Settings, table: str, grain: str) -> None:
    """No table has two rows where its grain allows one."""
    assert rows(chain, f"select count(*) > 0 from {table}") == [(True,)]
    assert rows(chain, f"select {grain} from {table} group by all having count(*) > 1") == []


def test_hourly_sales_are_the_sales(chain: Settings) -> None:
    """Every hour's units and revenue are the sums of its order lines, to the penny."""
    by_hour = (
        "select branch, sold_on, hour, product, size, flavour, sum(quantity) as units,"
        " sum(line_total) as revenue from sales group by all order by all"
    )
    assert rows(chain, by_hour) == rows(chain, "select * from hourly_sales order by all")


def test_orders_are_the_sums_of_their_lines(chain: Settings) -> None:
    """An order's lines_total, line_count and units are those of its lines; flags tell the truth."""
    from_lines = (
        "select order_id, branch, sold_at, payment, sum(line_total), count(*), sum(quantity),"
        " array_agg(line_no order by line_no) = generate_series(1, count(*))"
        " from sales group by all order by all"
    )
    from_orders = (
        "select order_id, branch, sold_at, payment, lines_total, line_count, units, true"
        " from orders order by all"
    )
    assert rows(chain, from_lines) == rows(chain, from_orders)
    assert rows(chain, "select count(*) from orders where units > line_count") > [(0,)]
    assert rows(chain, "select distinct total_matches = (total = lines_total) from orders") == [
        (True,)
    ]
    assert rows(chain, "select count(*) from sales where line_total <> unit_price * quantity") == [
        (0,)
    ]


def test_days_and_hours_are_those_of_the_time(chain: Settings) -> None:
    """sold_on and hour say what sold_at says, in the branch's own time."""
    for table in ("sales", "orders"):
        assert rows(
            chain,
            "select distinct sold_on = cast(sold_at as date) and hour = extract(hour from sold_at)"
            f" from {table}",
        ) == [(True,)]


def test_loads_add_up(chain: Settings) -> None:
    """For each file rows are orders (or lines) and rejects; rejects are listed one by one."""
    assert (
        rows(
            chain,
            "select source from loads where rows <> rejected +"
            " case when feed = 'order-lines' then lines else orders end",
        )
        == []
    )
    assert rows(
        chain,
        "select source, rejected from loads where is_current and rejected > 0 order by all",
    ) == rows(chain, "select source, count(*) from rejects group by all order by all")
    assert rows(chain, "select max(rejected) > 0 from loads") == [(True,)]


def test_an_order_as_it_is_seen(tmp_path: Path) -> None:
    """One order, field by field: quantities of equal items are lines of their own."""
    items = (("Regular Latte", 245), ("Large Flavoured latte - Hazelnut", 0), ("Tea", -150))
    here = loaded(tmp_path, Order(items=items, payment="till 4", minute=61))
    when = dt.datetime(2024, 3, 1, 10, 1)
    assert rows(here, "select * exclude (order_id) from orders") == [
        ("Leeds", when, when.date(), 10, "UNKNOWN", Decimal("0.95"), Decimal("0.95"), 3, 3, True)
    ]
    assert rows(
        here, "select line_no, product, size, flavour, quantity, line_total from sales order by 1"
    ) == [
        (1, "Latte", "Regular", None, 1, Decimal("2.45")),
        (2, "Flavoured latte", "Large", "Hazelnut", 1, Decimal("0.00")),
        (3, "Tea", None, None, 1, Decimal("-1.50")),
    ]


def test_a_query_gives_a_frame(chain: Settings) -> None:
    """`query` binds `:name` parameters and gives a frame; `rows` gives exact Python values."""
    sql = "select branch, sum(total) as revenue from orders where branch = :branch group by branch"
    with open_warehouse(chain.warehouse) as warehouse:
        frame = warehouse.query(sql, {"branch": "Bath"})
        names, values = warehouse.rows(sql, {"branch": "Bath"})
    assert list(frame.columns) == names == ["branch", "revenue"]
    assert frame["branch"].tolist() == ["Bath"]
    assert isinstance(values[0][1], Decimal)


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("select nothing from nowhere", None),
        ("selekt 1", None),
        ("select :branch", None),
        ("select 1", {"branch": "Leeds"}),
        ("select cast('x' as integer)", None),
    ],
)
def test_wrong_sql_is_a_clear_error(
    chain: Settings, sql: str, parameters: dict[str, object] | None
) -> None:
    """What the engine says of wrong SQL comes as the library's own error."""
    with open_warehouse(chain.warehouse) as warehouse:
        with pytest.raises(WarehouseError, match="Error"):
            warehouse.query(sql, parameters)
        assert len(warehouse.query("select 1 as one")) == 1


# --- a reader only reads


@pytest.mark.parametrize(
    "sql",
    [
        "insert into loads select * from loads",
        "delete from order_facts",
        "update rejects set reason = ''",
        "create table warehouse.more (i integer)",
        "create view warehouse.more as select 1",
        "drop view sales",
        "alter table rejects add column more integer",
        "copy (select 1) to '{folder}/out.csv'",
        "copy sales to '{folder}/out.parquet' (format parquet)",
        "export database '{folder}/out'",
        "attach '{folder}/other.duckdb' as other",
        "attach '{folder}/warehouse.duckdb' as again",
        "select * from read_csv('/etc/passwd', header = false)",
        "select * from '/etc/passwd'",
        "select * from read_text('/etc/passwd')",
        "select * from glob('/etc/*')",
        "select * from read_parquet('{folder}/lake/orders/*.parquet')",
        "set enable_external_access = true",
        "install httpfs",
        "load httpfs",
    ],
)
def test_a_reader_cannot_write_nor_look_elsewhere(tmp_path: Path, sql: str) -> None:
    """Changing the warehouse, writing files, and reading other ones are all refused."""
    here = loaded(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    bytes_before = Path(here.warehouse).read_bytes()
    with (
        open_warehouse(here.warehouse) as warehouse,
        pytest.raises(WarehouseError),
    ):
        warehouse.rows(sql.format(folder=tmp_path))
    assert sorted(tmp_path.rglob("*")) == before
    assert Path(here.warehouse).read_bytes() == bytes_before


# --- readers and the writer


def add_a_day(here: Settings, day: int) -> None:
    write_files(Path(here.raw), {f"{day}.csv": till([Order(day=day), Order(day=day, minute=1)])})
    assert not ingest(here).failures


def test_a_reader_keeps_its_snapshot_and_a_new_one_sees_the_news(tmp_path: Path) -> None:
    """While a reader is open a load goes through; it still sees the old, a new one the new."""
    here = loaded(tmp_path)
    count = "select count(*) as orders from orders"
    with open_warehouse(here.warehouse) as old:
        assert old.rows(count)[1] == [(1,)]
        add_a_day(here, 2)
        assert old.rows(count)[1] == [(1,)]
        with open_warehouse(here.warehouse) as new:
            assert new.rows(count)[1] == [(3,)]
            add_a_day(here, 3)
            assert (old.rows(count)[1], new.rows(count)[1]) == ([(1,)], [(3,)])
    assert rows(here, count) == [(5,)]


READER = """
import sys
from brewtopia_lib.warehouse import open_warehouse
with open_warehouse(sys.argv[1]) as warehouse:
    for _ in sys.stdin:
        print(warehouse.rows("select count(*) from orders")[1][0][0], flush=True)
"""


def test_another_process_keeps_its_snapshot_too(tmp_path: Path) -> None:
    """A notebook left open neither hinders the nightly load nor sees half of it."""
    here = loaded(tmp_path)

    @contextlib.contextmanager
    def notebook() -> Iterator[Any]:
        process = subprocess.Popen(
            [sys.executable, "-c", READER, here.warehouse],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

        def orders() -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            print(file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield orders
        process.communicate(timeout=60)

    with notebook() as old:
        assert old() == 1
        started = time.monotonic()
        add_a_day(here, 2)
        assert time.monotonic() - started < 30
        assert old() == 1
        with notebook() as new:
            assert (old(), new()) == (1, 3)


LOOP = """
import json, os, sys
from brewtopia_lib.warehouse import open_warehouse
seen = []
while not os.path.exists(sys.argv[2]):
    with open_warehouse(sys.argv[1]) as warehouse:
        orders, hourly, loads = warehouse.rows(
            "select (select sum(total) from orders), (select sum(revenue) from hourly_sales),"
            " (select sum(revenue) from loads where is_current)"
        )[1][0]
    assert orders == hourly == loads, (orders, hourly, loads)
    if not seen:
        print(flush=True)
    seen.append(float(orders))
assert seen == sorted(seen), seen
print(json.dumps(seen))
"""


def test_readers_in_a_loop_never_fail_while_loads_run(tmp_path: Path) -> None:
    """Ten readers that open and query without rest see whole warehouses only, ever newer ones."""
    here = loaded(tmp_path)
    stop = tmp_path / "stop"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", LOOP, here.warehouse, str(stop)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(5)
    ]  # fmt: skip
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.exists():
                rows(here, "select count(*) from sales")
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(5)]
    for thread in threads:
        thread.start()
    for reader in readers:
        assert reader.stdout is not None
        reader.stdout.readline()
    for day in range(2, 7):
        add_a_day(here, day)
    stop.touch()
    for thread in threads:
        thread.join()
    answers = [reader.communicate(timeout=60) for reader in readers]
    assert failures == []
    assert [reader.returncode for reader in readers] == [0] * 5, answers
    assert {json.loads(out)[0] for out, _ in answers} == {2.45}
    assert rows(here, "select sum(total) from orders") == [(Decimal("26.95"),)]


def test_a_load_waits_for_another(tmp_path: Path) -> None:
    """Two loads of one warehouse take turns: the second finds nothing left to do."""
    here = loaded(tmp_path)
    write_files(Path(here.raw), {"2.csv": till([Order(day=2)])})
    clean_raw(here)
    loads = [0, 0]

    def load(number: int) -> None:
        loads[number] = load_lake(here).objects

    threads = [threading.Thread(target=load, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(loads) == [0, 1]
    assert rows(here, "select count(*) from orders") == [(2,)]


# --- what ails a warehouse


def test_no_warehouse_yet(tmp_path: Path) -> None:
    """A reader of a warehouse that is not there is told how to make it."""
    with pytest.raises(WarehouseError, match=r"there is no warehouse .* run `brewtopia ingest`"):
        open_warehouse(str(tmp_path / "warehouse.duckdb"))


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    """A folder where the warehouse should be is named as what is wrong, and left alone."""
    here = settings_in(tmp_path)
    write_files(Path(here.raw), {"a.csv": till([Order()])})
    write_files(Path(here.warehouse), {"mine.txt": b"mine"})
    for use in (lambda: ingest(here), lambda: open_warehouse(here.warehouse)):
        with pytest.raises(WarehouseError, match=r"warehouse\.duckdb is a folder: set BREWTOPIA_W"):
            use()
    assert Path(here.warehouse, "mine.txt").read_bytes() == b"mine"


def test_a_text_file_in_its_place(tmp_path: Path) -> None:
    """A file that is no DuckDB file is never overwritten."""
    here = settings_in(tmp_path)
    write_files(Path(here.raw), {"a.csv": till([Order()])})
    text = b"these are my notes\n" * 1000
    Path(here.warehouse).write_bytes(text)
    for use in (lambda: ingest(here), lambda: open_warehouse(here.warehouse)):
        with pytest.raises(WarehouseError, match=r"warehouse\.duckdb cannot be read: .*move"):
            use()
    assert Path(here.warehouse).read_bytes() == text
    Path(here.warehouse).unlink()
    ingest(here)
    assert rows(here, "select count(*) from orders") == [(1,)]


def test_somebody_elses_duckdb_file(tmp_path: Path) -> None:
    """A DuckDB file of something else is refused and left as it is."""
    here = settings_in(tmp_path)
    write_files(Path(here.raw), {"a.csv": till([Order()])})
    with duckdb.connect(here.warehouse) as connection:
        connection.execute("create table recipes as select 'scones' as name")
    before = Path(here.warehouse).read_bytes()
    with pytest.raises(WarehouseError, match=r"a DuckDB file of something else.*BREWTOPIA_WAREH"):
        ingest(here)
    with pytest.raises(WarehouseError):
        open_warehouse(here.warehouse)
    assert Path(here.warehouse).read_bytes() == before


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    """A warehouse file cut short is named as unreadable; made anew it is what it was."""
    here = loaded(tmp_path)
    before = content(here)
    path = Path(here.warehouse)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(WarehouseError, match="cannot be read"):
        content(here)
    with pytest.raises(WarehouseError, match=r"cannot be read: .*move the file away"):
        load_lake(here)
    path.unlink()
    load_lake(here)
    assert content(here) == before


def test_another_format_is_made_anew_from_the_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade readers are told to load, and a load makes the same warehouse anew."""
    here = loaded(tmp_path)
    add_a_day(here, 2)
    before = content(here)
    monkeypatch.setattr(engine, "FORMAT", engine.FORMAT + 1)
    with pytest.raises(WarehouseError, match="made by another version: run `brewtopia load`"):
        open_warehouse(here.warehouse)
    assert load_lake(here).objects == 2
    assert content(here) == before


def test_another_format_is_kept_where_the_lake_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a lake to make it anew from, a warehouse of another version is not thrown away."""
    here = loaded(tmp_path)
    before = Path(here.warehouse).read_bytes()
    elsewhere = here.model_copy(update={"lake": str(tmp_path / "elsewhere")})
    monkeypatch.setattr(engine, "FORMAT", engine.FORMAT + 1)
    with pytest.raises(WarehouseError, match="nothing to make it anew from"):
        load_lake(elsewhere)
    assert Path(here.warehouse).read_bytes() == before


def test_a_lost_lake_is_told_and_made_anew(tmp_path: Path) -> None:
    """Without its lake a warehouse stays as it is; cleaning the same files again mends it."""
    here = loaded(tmp_path)
    add_a_day(here, 2)
    before, bytes_before = content(here), Path(here.warehouse).read_bytes()
    Path(here.lake).rename(tmp_path / "away")
    with pytest.raises(WarehouseError, match=r"holds 2 files that the lake .* such as 2\.csv"):
        load_lake(here)
    with pytest.raises(WarehouseError, match=r"holds 1 files that the lake .* such as first\.csv"):
        ingest(here, [str(Path(here.raw, "2.csv"))])
    assert Path(here.warehouse).read_bytes() == bytes_before
    assert not ingest(here).failures
    assert content(here) == before


def test_leftovers_of_killed_loads_are_cleared_away(tmp_path: Path) -> None:
    """What a killed load left, spilled data too, is gone after the next; other files stay."""
    here = loaded(tmp_path)
    own = ["abcdef01.next", "abcdef01.next.wal", "abcdef01.next.tmp/spill.block"]
    write_files(tmp_path, {f".warehouse.duckdb.{name}": b"" for name in own})
    write_files(tmp_path, {".warehouse.duckdb.next.notes": b"", "warehouse.duckdb.next": b""})
    add_a_day(here, 2)
    assert leftovers(here) == [
        str(tmp_path / ".warehouse.duckdb.next.notes"), str(tmp_path / "warehouse.duckdb.next"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "says"),
    [("why?.duckdb", "has a question mark in it"), ("C:\\tills.duckdb", "has a backslash in it")],
)
def test_a_path_that_duckdb_would_misread_is_refused(tmp_path: Path, name: str, says: str) -> None:
    """What is wrong with it is named, and the setting to change."""
    here = loaded(tmp_path).model_copy(update={"warehouse": str(tmp_path / name)})
    with pytest.raises(WarehouseError, match=f"{says}: set BREWTOPIA_WAREHOUSE"):
        load_lake(here)


def test_a_file_as_big_as_it_may_get(tmp_path: Path) -> None:
    """Where the disk takes no more, the command says so in one line and the last state stays."""
    here = loaded(tmp_path)
    before = content(here)
    size = Path(here.warehouse).stat().st_size
    orders = [Order(day=day, minute=minute) for day in range(2, 28) for minute in range(600)]
    write_files(Path(here.raw), {"many.csv": till(orders)})
    clean_raw(here)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10_000, size + 10_000))

    command = [sys.executable, "-m", "brewtopia_lib.cli", "load"]
    places = {
        f"BREWTOPIA_{name.upper()}": getattr(here, name) for name in ("raw", "lake", "warehouse")
    }
    run = subprocess.run(
        command, env=os.environ | places, preexec_fn=limit, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (1, "")
    assert "warehouse.duckdb cannot be written: File too large; it is as it was" in run.stderr
    assert run.stderr.count("\n") == 1
    assert content(here) == before
    assert leftovers(here) == []
    assert load_lake(here).orders == len(orders)
