"""What the stand-in cannot prove, on a real Redshift; see README.md in this folder."""

import os
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from redshift_stand_in.questions import TABLES, answer, assert_same_rows, content
from tills import Order, settings_in, till, write_files

from brewtopia_lib import analyses
from brewtopia_lib.errors import WarehouseError
from brewtopia_lib.ingest import ingest
from brewtopia_lib.lake import Lake
from brewtopia_lib.queries import query_names
from brewtopia_lib.sample import write_sample
from brewtopia_lib.storage.s3 import Bucket, S3Path
from brewtopia_lib.warehouse import open_warehouse
from brewtopia_lib.warehouse.redshift import CopyError, RedshiftWarehouse, load, parse
from brewtopia_lib.warehouse.redshift.session import Session

LOCATION = os.environ.get("BREWTOPIA_LIVE_REDSHIFT", "")
LAKE = os.environ.get("BREWTOPIA_LIVE_LAKE", "")

pytestmark = pytest.mark.skipif(
    not (LOCATION and LAKE),
    reason="BREWTOPIA_LIVE_REDSHIFT and BREWTOPIA_LIVE_LAKE name no real Redshift and bucket",
)


class Live:
    """A schema and a prefix of its own, with the same raw files in a DuckDB warehouse."""

    def __init__(self, folder: Path) -> None:
        name = f"brewtopia_live_{secrets.token_hex(4)}"
        self.schema = name
        self.location = f"{LOCATION}{'&' if '?' in LOCATION else '?'}schema={name}"
        self.place = S3Path.parse(f"{LAKE.rstrip('/')}/{name}")
        self.bucket = Bucket(self.place.bucket)
        self.settings = settings_in(folder).model_copy(update={"lake": str(self.place)})
        self.lake = Lake(self.settings.lake)

    def clean(self, files: dict[str, bytes]) -> Lake:
        write_files(Path(self.settings.raw), files)
        assert not ingest(self.settings).failures
        return self.lake

    def stored(self, table: str) -> list[str]:
        """The keys in a folder of the lake."""
        return [one.key for one in self.bucket.objects(f"{self.place.folder}{table}/")]

    def close(self) -> None:
        session = Session(parse(self.location))
        session.execute(f'drop schema if exists "{self.schema}" cascade')
        session.close()
        self.bucket.delete([one.key for one in self.bucket.objects(self.place.folder)])

    def assert_equal(self) -> None:
        with open_warehouse(self.settings.warehouse) as one, self.open() as other:
            assert_same_rows(one, other)

    def open(self) -> RedshiftWarehouse:
        return RedshiftWarehouse(self.location)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """An empty schema, gone afterwards with all that was put on S3."""
    made = Live(tmp_path)
    yield made
    made.close()


def day_of(branch: str, day: int, orders: int = 20) -> bytes:
    return till(Order(day=day, minute=minute, branch=branch) for minute in range(orders))


FIRST = {"Leeds_1.csv": day_of("Leeds", 1), "Łódź_1.csv": day_of("Łódź", 1)}


def test_loading(live: Live) -> None:
    """Files are loaded once, corrected ones replace what they said, and all is as in DuckDB."""
    lake = live.clean(FIRST)
    assert load(live.location, lake).orders == 40
    assert load(live.location, lake).orders == 0
    live.assert_equal()
    overlapping = day_of("Leeds", 1, 30) + b"what is this\n"
    load(live.location, live.clean({"again.csv": overlapping, "Łódź_1.csv": b""}))
    live.assert_equal()
    assert not live.stored("manifests")


def test_analyses(live: Live) -> None:
    """Every analysis gives exactly what it gives on DuckDB."""
    write_sample(Path(live.settings.raw), branches=4, days=63, faults=True)
    ingest(live.settings)
    load(live.location, live.lake)
    with open_warehouse(live.settings.warehouse) as one, live.open() as other:
        last = analyses.coverage(one)["last_day"][0].date()
        for name in query_names():
            left, right = answer(one, name, last), answer(other, name, last)
            pd.testing.assert_frame_equal(left, right, check_exact=True, obj=name)


def test_types(live: Live) -> None:
    """A query's columns have the types that DuckDB gives, read by the binary protocol."""
    load(live.location, live.clean(FIRST))
    with open_warehouse(live.settings.warehouse) as one, live.open() as other:
        for table in TABLES:
            left, right = one.query(f"select * from {table}"), other.query(f"select * from {table}")
            assert left.dtypes.to_dict() == right.dtypes.to_dict(), table


def test_four_loaders(live: Live) -> None:
    """Loaders that start together load everything once."""
    lake = live.clean(FIRST)
    barrier = threading.Barrier(4)

    def one_load(_: int) -> int:
        barrier.wait()
        return load(live.location, lake).orders

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(one_load, range(4))) == [0, 0, 0, 40]
    live.assert_equal()


def test_readers(live: Live) -> None:
    """A reader keeps its snapshot, writes nothing, streams, and holds no load up."""
    load(live.location, live.clean(FIRST))
    with live.open() as warehouse:
        assert len(content(warehouse, "orders")) == 40
        load(live.location, live.clean({"Leeds_1.csv": b""}))
        assert len(content(warehouse, "orders")) == 40
        sql = "select * from orders where branch = :branch order by sold_at"
        frames = list(warehouse.frames(sql, {"branch": "Łódź"}, rows_at_once=15))
        assert [len(frame) for frame in frames] == [15, 5]
        with pytest.raises(WarehouseError):
            warehouse.rows("delete from loads")
    live.assert_equal()


def test_what_copy_refuses(live: Live, tmp_path: Path) -> None:
    """A file of other columns is refused by name, and nothing is changed."""
    lake = live.clean(FIRST)
    path = tmp_path / "bad.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 'b' as batch) to '{path}' (format parquet)")
    (key,) = live.stored("lines")
    live.bucket.write(key, path)
    with pytest.raises(CopyError) as caught:
        load(live.location, lake)
    assert key.rpartition("/")[2] in str(caught.value)
    with live.open() as warehouse:
        assert content(warehouse, "loads") == []
