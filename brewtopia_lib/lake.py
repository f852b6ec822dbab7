"""The lake: cleaned, PII-free Parquet, written in batches that are there wholly or not at all.

A batch is five files of one name: `orders/`, `lines/`, `items/`, `rejects/` and, written last,
`objects/`, whose presence is the commit. An order names its basket, the lines of a basket name
their items: what many orders share is written once. Nothing is ever changed; a newer version of a
raw object is a row in a later batch, and the one that its source held last is current.
"""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from brewtopia_lib.errors import LakeError
from brewtopia_lib.reading import fill
from brewtopia_lib.settings import local_path

_TABLES = ("orders", "lines", "items", "rejects", "objects")

_OBJECT_COLUMNS = (
    "batch varchar, object_no integer, source varchar, version varchar, as_of timestamp,"
    " feed varchar, feed_digest varchar, feeds_digest varchar, rows bigint, orders bigint, lines bigint,"
    " rejected bigint, revenue decimal(14, 2), cleaned_at timestamp"
)
_EMPTY = {
    "objects": _OBJECT_COLUMNS,
    "orders": "batch varchar, object_no integer, order_high bigint, order_low bigint,"
    " branch varchar, sold_at timestamp, payment varchar, total decimal(12, 2), total_matches boolean,"
    " basket_no bigint",
    "lines": "batch varchar, basket_no bigint, line_no integer, item_no bigint",
    "items": "batch varchar, item_no bigint, product varchar, size varchar, flavour varchar,"
    " quantity integer, unit_price decimal(12, 2), line_total decimal(12, 2)",
    "rejects": "batch varchar, object_no integer, line_number bigint, reason varchar,"
    " branch varchar, sold_on date, total decimal(12, 2), row_length bigint",
}


@dataclass(frozen=True)
class CurrentVersion:
    """What a source held last, as of when, the feed that took it, and all feeds there were."""

    version: str
    as_of: datetime
    feed_digest: str | None
    feeds_digest: str


@dataclass(frozen=True)
class CleanedObject:
    """What one raw object version came to; rows = orders (or lines) + rejected."""

    object_no: int
    source: str
    version: str
    as_of: datetime
    feed: str | None
    feed_digest: str | None
    feeds_digest: str
    rows: int
    orders: int
    lines: int
    rejected: int
    revenue: Decimal


class Lake:
    """A lake in a local folder."""

    def __init__(self, location: str) -> None:
        self.folder = local_path(location, "lake").absolute()

    @contextlib.contextmanager
    def writing(self) -> Iterator[Path]:
        """Hold the lake's lock, waiting for it; gives a private folder for spilled data.

        What a killed run left behind is cleared away first.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise LakeError(
                f"the lake {self.folder} cannot be written: {error.strerror}; "
                "check the folder, or set BREWTOPIA_LAKE"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            spill = self.folder / ".spill"
            shutil.rmtree(spill, ignore_errors=True)
            self._drop_uncommitted()
            try:
                yield spill
            finally:
                shutil.rmtree(spill, ignore_errors=True)
        finally:
            os.close(lock)

    def is_empty(self) -> bool:
        """Whether nothing was ever committed."""
        return not any(self.folder.glob("objects/*.parquet"))

    def current_versions(self, connection: DuckDBPyConnection) -> dict[str, CurrentVersion]:
        """source → what it held last."""
        self.attach(connection)
        rows = connection.execute(
            "select source, version, as_of, feed_digest, feeds_digest from lake_current"
        ).fetchall()
        return {source: CurrentVersion(*row) for source, *row in rows}

    def attach(self, connection: DuckDBPyConnection) -> None:
        """Make views over the lake's committed batches: lake_orders, lake_lines, lake_items,
        lake_rejects, lake_objects (every version) and lake_current (the version that speaks now).

        Raises LakeError where a file of a batch is missing or broken.
        """
        batches = sorted(path.stem for path in self.folder.glob("objects/*.parquet"))
        try:
            self._view(connection, "objects", batches)
            rows = connection.execute(
                "select distinct batch from lake_objects where feed is not null order by batch"
            ).fetchall()
        except duckdb.Error as error:
            raise LakeError(
                f"the lake {self.folder} cannot be read: {disk_trouble(error)}; "
                "remove it, and run `brewtopia ingest` on all raw files"
            ) from error
        for table in _TABLES[:-1]:
            self._view(connection, table, [batch for (batch,) in rows])
        connection.execute(
            "create or replace temp view lake_current as"
            " select * exclude (place) from (select *, row_number() over"
            " (partition by source order by as_of desc, batch desc, object_no) as place"
            " from lake_objects) where place = 1"
        )

    def _view(self, connection: DuckDBPyConnection, table: str, batches: Sequence[str]) -> None:
        files = [self.folder / table / f"{batch}.parquet" for batch in batches]
        for file in files:
            if not file.exists():
                raise LakeError(
                    f"the lake has lost {file}: put it back, or remove the lake, and run "
                    "`brewtopia ingest` on all raw files"
                )
        if files:
            source = f"read_parquet([{', '.join(_quoted(str(file)) for file in files)}])"
        else:
            source = f"no_{table}"
            fill(connection, source, _EMPTY[table], [])
        connection.execute(f"create or replace temp view lake_{table} as select * from {source}")

    def write(
        self, connection: DuckDBPyConnection, objects: Sequence[CleanedObject], *, has_rows: bool
    ) -> None:
        """Commit a batch: the connection's clean tables and what their objects came to."""
        now = datetime.now(UTC).replace(tzinfo=None)
        batch = f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        fill(
            connection, "batch_objects", _OBJECT_COLUMNS,
            [
                (
                    batch, one.object_no, one.source, one.version, one.as_of, one.feed,
                    one.feed_digest, one.feeds_digest, one.rows, one.orders, one.lines, one.rejected, one.revenue,
                    now,
                )
                for one in objects
            ],
        )  # fmt: skip
        queries = {"objects": "select * from batch_objects order by object_no"}
        if has_rows:
            queries = {
                "orders": f"select {_quoted(batch)} as batch, * from clean_orders",
                "lines": f"select {_quoted(batch)} as batch, * from clean_lines",
                "items": f"select {_quoted(batch)} as batch, * from clean_items",
                "rejects": f"select {_quoted(batch)} as batch, * from clean_rejects"
                " order by object_no, line_number",
            } | queries
        try:
            for table, query in queries.items():
                path = self.folder / table / f"{batch}.parquet"
                path.parent.mkdir(exist_ok=True)
                draft = path.with_name(f".{path.name}")
                connection.execute(
                    f"copy ({query}) to {_quoted(str(draft))} (format parquet, compression zstd)"
                )
                _sync(draft)
                draft.rename(path)
                _sync(path.parent)
        except (OSError, duckdb.IOException) as error:
            self._drop_uncommitted()
            raise LakeError(
                f"the lake {self.folder} cannot be written: {disk_trouble(error)}; nothing of this "
                "batch was kept: free some space or set BREWTOPIA_LAKE, and run again"
            ) from error

    def _drop_uncommitted(self) -> None:
        committed = {path.name for path in self.folder.glob("objects/*.parquet")}
        for table in _TABLES:
            for path in self.folder.glob(f"{table}/*.parquet"):
                if path.name not in committed:
                    path.unlink()
            for path in self.folder.glob(f"{table}/.*.parquet"):
                path.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def disk_trouble(error: Exception) -> str:
    """What the operating system said, without the engine's words around it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    number = re.search(r'"errno":"(\d+)"', str(error))
    return os.strerror(int(number[1])) if number else str(error).split("\n")[0].split('": ')[-1]
