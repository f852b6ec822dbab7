"""The lake: cleaned, PII-free Parquet, written in batches that are there wholly or not at all.

A batch is five files of one name: `orders/`, `lines/`, `items/`, `rejects/` and, written last,
`objects/`, whose presence is the commit. An order names its basket, the lines of a basket name
their items: what many orders share is written once. Nothing is ever changed; a newer version of a
raw object is a row in a later batch, and the one that its source held last is current.

So that many small batches stay quick to take in, `catalogue/` repeats what is in `objects/`, some
hundred batches a file. It is a help and no more: a batch that is not in there is read by itself.
"""

import contextlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from brewtopia_lib.cleaning.tables import fill
from brewtopia_lib.errors import LakeError
from brewtopia_lib.settings import without_secrets
from brewtopia_lib.storage.stores import ABANDONED_AFTER, Progress, open_store

ROW_TABLES = ("orders", "lines", "items", "rejects")
MANIFESTS = "manifests"
"""Where a load leaves lists of files for as long as it takes."""
CATALOGUED_AT_ONCE = 500
_BATCH_TIME = "%Y%m%dT%H%M%S%f"

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
    """A lake in a local folder or under an S3 prefix."""

    def __init__(self, location: str, progress: Progress | None = None) -> None:
        self.location = without_secrets(location)
        self._store = open_store(location)
        self._progress = progress
        self._not_catalogued: list[str] = []

    @contextlib.contextmanager
    def writing(self, *, tidy: bool = True) -> Iterator[Path]:
        """Hold the right to write, waiting for it; gives a private folder for spilled data.

        If it is to be `tidy`, which takes longer the more there is, what a killed run left behind
        is cleared away first; on S3, where others may be writing now, when it is a day old.
        """
        with contextlib.ExitStack() as stack:
            try:
                spill = stack.enter_context(self._store.writing())
                if tidy:
                    self._drop_uncommitted()
            except OSError as error:
                raise LakeError(
                    f"the lake {self.location} cannot be written: {error.strerror}; "
                    "check the folder, or set BREWTOPIA_LAKE"
                ) from error
            yield spill

    def is_empty(self) -> bool:
        """Whether nothing was ever committed."""
        return not self._store.names("objects")

    def current_versions(
        self, connection: DuckDBPyConnection, sources: Sequence[str] | None = None
    ) -> dict[str, CurrentVersion]:
        """source → what it held last; of some sources, or of all."""
        self.attach_objects(connection)
        rows = connection.execute(
            "select source, version, as_of, feed_digest, feeds_digest from lake_current"
            " where $sources is null or list_contains($sources, source)",
            {"sources": sources},
        ).fetchall()
        return {source: CurrentVersion(*row) for source, *row in rows}

    def catalogue(self, connection: DuckDBPyConnection) -> None:
        """Write down in one file what `attach_objects` had to read from many, if they are many."""
        if len(self._not_catalogued) >= CATALOGUED_AT_ONCE:
            listed = ", ".join(map(quoted, self._not_catalogued))
            name = f"{self._not_catalogued[-1]}-{secrets.token_hex(4)}"
            query = (
                f"select * from lake_objects where batch in ({listed}) order by batch, object_no"
            )
            self._written(connection, f"catalogue/{name}.parquet", query).close()
            self._not_catalogued = []

    def attach(self, connection: DuckDBPyConnection) -> None:
        """Make all of the lake there: lake_objects, lake_current and the rows of every batch."""
        self.attach_objects(connection)
        batches = connection.execute(
            "select distinct batch from lake_objects where feed is not null"
        ).fetchall()
        self.attach_rows(connection, [batch for (batch,) in batches], ROW_TABLES)

    def attach_objects(self, connection: DuckDBPyConnection) -> None:
        """Make lake_objects, a temp table of every version of every raw object, and lake_current,
        a view of the versions that speak now.

        Raises LakeError where it cannot be read.
        """
        try:
            # several may have catalogued the same at the same time
            names = self._store.names("catalogue")
            query = self._query(connection, "objects", [f"catalogue/{name}" for name in names])
            connection.execute(
                f"create or replace temp table lake_objects as select distinct * from ({query})"
            )
            self._not_catalogued = self._batches_beside(connection)
            if self._not_catalogued:
                files = [f"objects/{batch}.parquet" for batch in self._not_catalogued]
                query = self._query(connection, "objects", files)
                connection.execute(f"insert into lake_objects {query}")
        except duckdb.Error as error:
            raise self._unreadable(error) from error
        connection.execute(
            "create or replace temp view lake_current as"
            " select * exclude (place) from (select *, row_number() over"
            " (partition by source order by as_of desc, batch desc, object_no) as place"
            " from lake_objects) where place = 1"
        )

    def attach_rows(
        self, connection: DuckDBPyConnection, batches: Iterable[str], tables: Sequence[str]
    ) -> None:
        """Make views of some batches: lake_orders, lake_lines, lake_items or lake_rejects.

        Raises LakeError where a file of a batch is missing or damaged.
        """
        wanted = sorted(batches)
        try:
            for table in tables:
                files = [f"{table}/{batch}.parquet" for batch in wanted]
                query = self._query(connection, table, files)
                connection.execute(f"create or replace temp view lake_{table} as {query}")
        except duckdb.Error as error:
            self.check_rows(wanted, tables)
            raise self._unreadable(error) from error

    def check_rows(self, batches: Iterable[str], tables: Sequence[str] = ROW_TABLES) -> None:
        """Read some batches whole; raises LakeError naming the first file that is damaged."""
        wanted = sorted(batches)
        with contextlib.closing(duckdb.connect()) as connection:
            for name in [f"{table}/{batch}.parquet" for table in tables for batch in wanted]:
                query = self._query(connection, "", [name])
                try:
                    connection.execute(f"select max(hash(one)) from ({query}) as one")
                except duckdb.OutOfMemoryException:
                    raise
                except duckdb.Error as error:
                    raise LakeError(
                        f"the lake's file {without_secrets(self._store.uri(name))} is damaged: put "
                        "it back from a copy, or remove the lake, and run `brewtopia ingest` on all "
                        "raw files"
                    ) from error

    def _unreadable(self, error: duckdb.Error) -> LakeError:
        if isinstance(error, duckdb.OutOfMemoryException):
            return LakeError(
                f"reading the lake {self.location} ran out of memory: raise BREWTOPIA_MEMORY_LIMIT"
            )
        is_damaged = not isinstance(error, duckdb.IOException)
        return LakeError(
            f"the lake {self.location} cannot be read: {disk_trouble(error)}; "
            + ("remove it, and " if is_damaged else "check the folder, or remove it and ")
            + "run `brewtopia ingest` on all raw files"
        )

    def batches(self) -> list[str]:
        """The names of all committed batches, oldest first."""
        with contextlib.closing(duckdb.connect()) as connection:
            self.attach_objects(connection)
            found = connection.execute("select distinct batch from lake_objects order by batch")
            return [batch for (batch,) in found.fetchall()]

    def _batches_beside(self, connection: DuckDBPyConnection) -> list[str]:
        """The committed batches that lake_objects lacks, oldest first.

        They are younger than the newest that it has, but for what took a day to be committed.
        """
        newest = connection.execute("select max(batch) from lake_objects").fetchall()[0][0]
        after = a_day_before(newest) if newest else ""
        known = connection.execute(
            "select distinct batch from lake_objects where batch > ?", [after]
        ).fetchall()
        found = {Path(name).stem for name in self._store.names("objects", after)}
        return sorted(found - {batch for (batch,) in known})

    def files(self, table: str, batches: Iterable[str]) -> list[tuple[str, int]]:
        """Where a table's files of some batches are (path or URI), and their sizes in bytes.

        Raises LakeError where one is missing.
        """
        names = [f"{table}/{batch}.parquet" for batch in sorted(batches)]
        try:
            sizes = self._store.sizes(names)
        except FileNotFoundError as error:
            raise _lost(error) from error
        return [(self._store.uri(name), size) for name, size in zip(names, sizes, strict=True)]

    def write(self, name: str, body: bytes) -> str:
        """Put a small file beside the lake's tables; gives its path or URI."""
        with self._store.publish(name) as draft:
            draft.write_bytes(body)
        return self._store.uri(name)

    def remove(self, name: str) -> None:
        """Delete what `write` put there."""
        self._store.delete([name])

    def _query(self, connection: DuckDBPyConnection, table: str, files: Sequence[str]) -> str:
        if not files:
            fill(connection, f"no_{table}", _EMPTY[table], [])
            return f"select * from no_{table}"
        try:
            paths = self._store.local(files, self._progress)
        except FileNotFoundError as error:
            raise _lost(error) from error
        listed = ", ".join(quoted(str(path)) for path in paths)
        return f"select * from read_parquet([{listed}], hive_partitioning = false)"

    def commit(
        self, connection: DuckDBPyConnection, objects: Sequence[CleanedObject], *, has_rows: bool
    ) -> None:
        """Commit a batch: the connection's clean tables and what their objects came to."""
        now = datetime.now(UTC).replace(tzinfo=None)
        batch = f"{now:{_BATCH_TIME}}-{secrets.token_hex(4)}"
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
        # one value of a type of its own is written without a look at each row
        named = f"cast({quoted(batch)} as enum ({quoted(batch)})) as batch"
        queries = {
            "orders": f"select {named}, * from clean_orders",
            "lines": f"select {named}, * from clean_lines",
            "items": f"select {named}, * from clean_items",
            "rejects": f"select {named}, * from clean_rejects order by object_no, line_number",
        }
        try:
            with ThreadPoolExecutor(1) as pool:  # each is published while the next is written
                published = [
                    pool.submit(self._written(connection, f"{table}/{batch}.parquet", query).close)
                    for table, query in (queries.items() if has_rows else ())
                ]
                for publishing in published:
                    publishing.result()
            query = "select * from batch_objects order by object_no"
            self._written(connection, f"objects/{batch}.parquet", query).close()
        except (OSError, duckdb.IOException) as error:
            self._store.delete([f"{table}/{batch}.parquet" for table in (*ROW_TABLES, "objects")])
            raise LakeError(
                f"the lake {self.location} cannot be written: {disk_trouble(error)}; nothing of "
                "this batch was kept: free some space or set BREWTOPIA_LAKE, and run again"
            ) from error

    def _written(self, connection: DuckDBPyConnection, name: str, query: str) -> ExitStack:
        """Write a file; closing what this gives publishes it."""
        with ExitStack() as publishing:
            draft = publishing.enter_context(self._store.publish(name))
            # a column of more distinct values than that is not worth a dictionary
            connection.execute(
                f"copy ({query}) to {quoted(str(draft))}"
                " (format parquet, compression snappy, dictionary_size_limit 1000)"
            )
            return publishing.pop_all()

    def _drop_uncommitted(self) -> None:
        abandoned = datetime.now(UTC).replace(tzinfo=None) - ABANDONED_AFTER
        committed = self._store.files("objects")
        leftovers = [
            f"{table}/{name}"
            for table in (*ROW_TABLES, MANIFESTS)
            for name, came in self._store.files(table).items()
            if name not in committed and (came < abandoned or not self._store.is_shared)
        ]
        self._store.delete(leftovers)


def a_day_before(batch: str) -> str:
    """What the name of a batch of a day earlier would begin with."""
    moment = datetime.strptime(batch.partition("-")[0], _BATCH_TIME) - ABANDONED_AFTER
    return f"{moment:{_BATCH_TIME}}"


def _lost(error: FileNotFoundError) -> LakeError:
    return LakeError(
        f"the lake has lost {error.filename}: put it back, or remove the lake, and run "
        "`brewtopia ingest` on all raw files"
    )


def quoted(text: str) -> str:
    """Text as a SQL literal of DuckDB's."""
    return "'" + text.replace("'", "''") + "'"


def disk_trouble(error: Exception) -> str:
    """What the operating system said, without the engine's words around it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    number = re.search(r'"errno":"(\d+)"', str(error))
    return os.strerror(int(number[1])) if number else str(error).split("\n")[0].split('": ')[-1]
