"""Loading a lake into the stand-in for Redshift, against inserting the same rows one by one."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.data import write_till_files
from benchmarks.measure import Figure, at_least
from brewtopia_lib.ingest import ingest
from brewtopia_lib.settings import Settings
from brewtopia_lib.warehouse import load_warehouse, open_warehouse
from brewtopia_lib.warehouse.redshift import parse
from brewtopia_lib.warehouse.redshift.session import Session

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from redshift_stand_in import StandIn
from s3_server import S3Server

COPIED = ("orders", "sales")
INSERTED = 4_000


def run(folder: Path, *, real: bool, scale: float = 1.0, rounds: int = 5) -> list[Figure]:
    write_till_files(folder / "files", branches=18, days=max(2, round(8.5 * scale)), real=real)
    loads, inserts = [], []
    with _cloud(folder) as server:
        made = Settings(
            raw=str(folder / "files"),
            lake="s3://lake/brewtopia",
            warehouse=str(folder / "warehouse.duckdb"),
        )
        assert not ingest(made).failures
        with open_warehouse(made.warehouse) as warehouse:
            tables = {table: warehouse.rows(f"select * from {table}") for table in COPIED}
        rows = sum(len(found) for _, found in tables.values())
        for _ in range(min(rounds, 3)):  # in turns, so that a slow minute slows both
            location = server.new_location()
            started = time.perf_counter()
            loaded = load_warehouse(made.model_copy(update={"warehouse": location}))
            loads.append(time.perf_counter() - started)
            assert loaded.orders == len(tables["orders"][1])
            inserts.append(_insert(location, tables, max(200, round(INSERTED * scale))) * rows)
    load_seconds, insert_seconds = sorted(loads)[len(loads) // 2], sorted(inserts)[len(loads) // 2]
    return [
        at_least(
            f"{rows:,} rows into the stand-in for Redshift: times as fast as an INSERT a row",
            20,
            "×",
            insert_seconds / load_seconds,
            f"({load_seconds:.1f} s; {insert_seconds:.0f} s reckoned from some of the rows)",
        )
    ]


def _insert(location: str, tables: dict[str, Any], wanted: int) -> float:
    """Seconds for a row, each of them committed, as simple pipelines do it."""
    session = Session(parse(location))
    seconds = 0.0
    done = 0
    for table, (names, rows) in tables.items():
        session.execute(
            f"create temp table row_by_row_{table} as select * from {table} where false"
        )
        values = ", ".join(f":{name}" for name in names)
        share = wanted * len(rows) // sum(len(found) for _, found in tables.values())
        started = time.perf_counter()
        for row in rows[:share]:
            session.execute(
                f"insert into row_by_row_{table} values ({values})",
                dict(zip(names, row, strict=True)),
            )
        seconds += time.perf_counter() - started
        done += len(rows[:share])
    session.close()
    return seconds / done


@contextlib.contextmanager
def _cloud(folder: Path) -> Iterator[StandIn]:
    """A stand-in for Redshift and an S3 with the bucket `lake`, where their drivers find them."""
    store = S3Server()
    store.make_buckets("lake")
    server = StandIn(store.client(), "lake")
    before = dict(os.environ)
    os.environ.update(store.environment | server.environment)
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    try:
        yield server
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.close()
        store.close()
