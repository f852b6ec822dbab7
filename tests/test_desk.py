"""The tables an analyst holds: warehouse and lake alike, renewed, watched and interrupted."""

import os
import signal
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from redshift_stand_in.questions import LINES, PARTS, answer
from redshift_stand_in.questions import content as content_of
from tills import Order, content, settings_in, till, write_files

import brewtopia_lib as bt
import brewtopia_lib.desk
from brewtopia_lib.desk import Desk
from brewtopia_lib.errors import LakeError, ManyRowsError, QueryError, WarehouseError
from brewtopia_lib.ingest import clean_raw, ingest
from brewtopia_lib.sample import write_sample
from brewtopia_lib.settings import Settings

TABLES = ("sales", "orders", "hourly_sales", "rejects")
FOREVER = "select count(*) from range(100000000) a, range(1000) b where hash(a.range + b.range) = 1"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def desk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A warehouse of two days at Leeds, as the settings have it."""
    for name in ("raw", "lake", "warehouse"):
        monkeypatch.setenv(f"BREWTOPIA_{name.upper()}", getattr(settings, name))
    write_files(Path(settings.raw), {"1.csv": till([Order(1), Order(2)])})
    ingest(settings)
    with bt.warehouse() as opened:
        yield opened


def test_the_lake_says_what_a_load_makes_of_it(tmp_path: Path, settings: Settings) -> None:
    """Table for table and row for row, with files that are faulty, overlap and were corrected, the
    lake is what the warehouse becomes."""
    raw = Path(settings.raw)
    write_sample(raw, branches=2, days=9, seed=4, faults=True)
    write_files(raw, {"a.csv": till([Order(1), Order(2), Order(2, customer="B")])})
    clean_raw(settings)
    write_files(raw, {"b.csv": till([Order(2), Order(3)]), "a.csv": till([Order(2), "a,b\n"])})
    ingest(settings)
    loaded = content(settings)
    with bt.lake(settings.lake) as lake:
        for table in TABLES:
            assert lake.rows(f"select * from {table} order by all")[1] == loaded[table], table
        everything = "select * exclude loaded_at from loads order by all"
        with bt.warehouse(settings.warehouse) as warehouse:
            assert lake.rows(everything) == warehouse.rows(everything)
            for name in ("coverage", "branches", "quality_summary", "quality_files", "pairs"):
                frames = [answer(one, name, date(2024, 6, 30)) for one in (lake, warehouse)]
                pd.testing.assert_frame_equal(*frames)
            assert content_of(lake, PARTS) == content_of(warehouse, "sales", LINES)


def test_an_empty_lake_says_what_to_do(settings: Settings) -> None:
    """Where nothing was cleaned or loaded yet, the error says which command does it."""
    with pytest.raises(LakeError, match="run `brewtopia clean`"):
        bt.lake(settings.lake)
    with pytest.raises(WarehouseError, match="run `brewtopia ingest`"):
        bt.warehouse(settings.warehouse)


def test_new_data_are_seen_after_one_call(desk: Desk, settings: Settings) -> None:
    """An ingest goes through while a notebook holds the warehouse, which keeps its snapshot until
    it is refreshed."""
    assert repr(desk) == "warehouse: 2 orders of 1 branches, 2024-03-01 to 2024-03-02"
    write_files(Path(settings.raw), {"2.csv": till([Order(3, branch="Hull")])})
    assert ingest(settings).load is not None
    assert len(desk.query("select * from orders")) == 2
    assert len(desk.refresh().query("select * from orders")) == 3


def test_a_lost_warehouse_leaves_the_old_one(desk: Desk, settings: Settings) -> None:
    """A refresh that fails takes nothing away."""
    Path(settings.warehouse).unlink()
    with pytest.raises(WarehouseError):
        desk.refresh()
    assert len(desk.query("select * from orders")) == 2


def test_values_are_bound(desk: Desk) -> None:
    """`$name` and `:name` take values, which are never read as SQL; a missing one is an error."""
    for mark in "$:":
        sql = f"select count(*) as orders from orders where branch = {mark}branch"
        assert desk.query(sql, {"branch": "Leeds"})["orders"].tolist() == [2]
        assert desk.query(sql, {"branch": "' or true --"})["orders"].tolist() == [0]
        with pytest.raises(QueryError):
            desk.query(sql)


def test_wrong_sql_has_its_place(desk: Desk) -> None:
    """An error tells the line and the column that it is about."""
    with pytest.raises(QueryError, match="brnch") as caught:
        desk.query("select branch\nfrom orders\nwhere brnch = 'Leeds'")
    assert (caught.value.line, caught.value.column) == (3, 7)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """A lower number of rows that are many, so that tests need not make a million."""
    monkeypatch.setattr(brewtopia_lib.desk, "MANY_ROWS", 60_000)
    return 60_000


def test_many_rows_come_only_where_all_are_asked_for(desk: Desk, few: int) -> None:
    """Beyond the stated number of rows a query stops, says so and keeps nothing; asked for all,
    it gives all; up to the number it gives them unasked."""
    sql = "select range as n, range % 7 as m from range({})"
    with pytest.raises(ManyRowsError, match=r"more than 60,000 rows.*warehouse\.all_rows"):
        desk.query(sql.format(150_001))
    assert desk.all_rows(sql.format(150_001))["n"].tolist() == list(range(150_001))
    assert len(desk.query(sql.format(few))) == few


def test_analyses_are_given_all_their_rows(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows an analysis needs, the limit for people does not stop it."""
    monkeypatch.setattr(brewtopia_lib.desk, "MANY_ROWS", 1)
    with pytest.raises(ManyRowsError):
        desk.query("select * from orders")
    assert len(bt.analyses.daily(desk, until=date(2024, 3, 2), weeks=1)) == 2


def test_a_long_query_tells_and_can_be_interrupted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """While a query runs its progress is shown; an interrupt ends it at once and the next one is
    answered."""
    monkeypatch.setattr(brewtopia_lib.desk, "_PATIENCE_SECONDS", 0)
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        desk.query(FOREVER)
    assert "working …" in capsys.readouterr().err
    assert len(desk.query("select * from orders")) == 2


def test_it_is_read_only(desk: Desk) -> None:
    """Nothing can be changed, and no other file read, through the warehouse."""
    for sql in ("delete from loads", "create table t (n integer)", "select * from 'a.csv'"):
        with pytest.raises(QueryError):
            desk.query(sql)
