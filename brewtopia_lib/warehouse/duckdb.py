"""The embedded warehouse: one DuckDB file, published whole by an atomic rename."""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from brewtopia_lib.errors import WarehouseError
from brewtopia_lib.lake import Lake, disk_trouble, quoted
from brewtopia_lib.storage.stores import sync
from brewtopia_lib.warehouse.duckdb_session import DuckDBSession, restrict

# Raised whenever a table or a view changes: an older file is then made anew from the lake.
FORMAT = 3

_WRITE_ERRORS = (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException)


@dataclass(frozen=True)
class Loaded:
    """What one load came to."""

    objects: int
    orders: int
    branch_days: int


class DuckDBWarehouse(DuckDBSession):
    """The published warehouse, read-only: a snapshot that no load disturbs or waits for.

    What a later load publishes is seen by the next one that opens it.
    """

    def __init__(self, path: Path, memory_limit: str | None = None) -> None:
        if not path.exists():
            raise WarehouseError(
                f"there is no warehouse at {path} yet: run `brewtopia ingest` first"
            )
        super().__init__(memory_limit)
        self.location = str(path)
        try:
            self._connection.execute(f"attach {quoted(str(path))} as warehouse (read_only)")
            self._connection.execute("use warehouse")
            _check_format(self._connection, path)
            self._connection.execute("set enable_external_access = false")
        except duckdb.Error as error:
            self._connection.close()
            raise _unreadable(path, error) from error
        except WarehouseError:
            self._connection.close()
            raise


def load(path: Path, lake: Lake, memory_limit: str | None = None) -> Loaded:
    """Bring a warehouse file up to what its lake holds, and publish it if anything changed.

    The next file is built beside the current one and swapped in by one rename, so that a crash
    at any instant leaves the last published state, and readers keep theirs.
    """
    with _locked(path):
        _remove_drafts(path)
        number = _format_of(path)
        try:
            if number == FORMAT and not _is_behind(path, lake, memory_limit):
                return Loaded(0, 0, 0)
        except duckdb.OutOfMemoryException as error:
            raise _unreadable(path, error) from error
        if number not in (None, FORMAT) and lake.is_empty():
            raise WarehouseError(
                f"the warehouse {path} was made by another version, and the lake {lake.location} has "
                "nothing to make it anew from: run `brewtopia clean` on all raw files first"
            )
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.next")
        try:
            loaded = _build(draft, path if number == FORMAT else None, lake, memory_limit)
            sync(draft)
            draft.replace(path)
            sync(path.parent)
            return loaded
        except duckdb.OutOfMemoryException as error:
            raise WarehouseError(
                f"loading into {path} ran out of memory or of disk for spilled data; "
                "it is as it was before: free some space, or raise BREWTOPIA_MEMORY_LIMIT"
            ) from error
        except (OSError, *_WRITE_ERRORS) as error:
            raise WarehouseError(
                f"the warehouse {path} cannot be written: {disk_trouble(error)}; "
                "it is as it was before: free some space and run `brewtopia load` again"
            ) from error
        finally:
            _remove_drafts(path)


def _remove_drafts(path: Path) -> None:
    """Clear away what a load left unfinished, its spilled data too."""
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.next")
    for leftover in path.parent.iterdir():
        if not name.match(leftover.name):
            continue
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink()


def _build(draft: Path, path: Path | None, lake: Lake, memory_limit: str | None) -> Loaded:
    if path is not None:
        shutil.copyfile(path, draft)
    with contextlib.closing(duckdb.connect(str(draft))) as connection:
        restrict(connection, memory_limit)
        if path is None:
            connection.execute(_sql("duckdb") + _sql("duckdb_views"))
            connection.execute("insert into warehouse_format values (?)", [FORMAT])
        lake.attach_objects(connection)
        now = datetime.now(UTC).replace(tzinfo=None)
        connection.execute("set variable loaded_at = ?::timestamp", [now])
        connection.execute("begin")
        connection.execute(_sql("duckdb_arrivals"))
        arrivals = _batches(connection, "arrivals")
        lake.attach_rows(connection, arrivals, ["orders", "rejects"])
        needed = set(arrivals)
        try:
            connection.execute(_sql("duckdb_touched"))
            providers = _batches(connection, "providers")
            needed |= set(providers)
            lake.attach_rows(connection, providers, ["orders", "lines", "items"])
            connection.execute(_sql("duckdb_load"))
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error:
            lake.check_rows(needed)
            raise
        objects, orders, days = connection.execute(
            "select (select count(*) from arrivals), (select count(*) from incoming),"
            " (select count(*) from touched)"
        ).fetchall()[0]
        connection.execute("commit")
        connection.execute("checkpoint")
    return Loaded(objects, orders, days)


def _batches(connection: DuckDBPyConnection, table: str) -> list[str]:
    """The batches of the lake that have rows of the raw objects in a table."""
    rows = connection.execute(
        "select distinct batch from lake_objects"
        f" semi join {table} using (batch, object_no) where feed is not null"
    )
    return [batch for (batch,) in rows.fetchall()]


def _is_behind(path: Path, lake: Lake, memory_limit: str | None) -> bool:
    """Whether the lake has anything that the warehouse has not.

    Raises WarehouseError where the warehouse has what the lake has not: it cannot be its lake.
    """
    with contextlib.closing(duckdb.connect()) as connection:
        restrict(connection, memory_limit)
        connection.execute(f"attach {quoted(str(path))} as warehouse (read_only)")
        lake.attach_objects(connection)
        arrivals, strangers, stranger = connection.execute(
            "select"
            " count(*) filter (where lake.batch is distinct from loaded.batch"
            " or lake.version <> loaded.version),"
            " count(*) filter (where lake.source is null),"
            " min(loaded.source) filter (where lake.source is null)"
            " from lake_current as lake full join"
            " (select source, version, batch from warehouse.loads where is_current) as loaded"
            " using (source)"
        ).fetchall()[0]
    if strangers:
        raise WarehouseError(
            f"the warehouse {path} holds {strangers:,} files that the lake {lake.location} does not "
            f"know, such as {stranger}: run `brewtopia clean` on all raw files, or move the "
            "warehouse away to make it anew from this lake"
        )
    return bool(arrivals)


def _format_of(path: Path) -> int | None:
    """The format number of a warehouse file; None where there is nothing in it, or no file."""
    if not path.exists():
        return None
    try:
        with contextlib.closing(duckdb.connect()) as connection:
            connection.execute(f"attach {quoted(str(path))} as warehouse (read_only)")
            tables = connection.execute(
                "select table_name from duckdb_tables() where database_name = 'warehouse'"
            ).fetchall()
            if not tables:
                return None
            if ("warehouse_format",) not in tables:
                raise WarehouseError(
                    f"{path} is a DuckDB file of something else: "
                    "set BREWTOPIA_WAREHOUSE to another path"
                )
            number = connection.execute("select max(number) from warehouse.warehouse_format")
            return int(number.fetchall()[0][0])
    except duckdb.Error as error:
        raise _unreadable(path, error) from error


def _check_format(connection: DuckDBPyConnection, path: Path) -> None:
    try:
        row = connection.execute("select number from warehouse_format").fetchone()
    except duckdb.CatalogException:
        row = None
    if row is None or row[0] != FORMAT:
        raise WarehouseError(
            f"the warehouse {path} was made by another version: run `brewtopia load` to renew it"
        )


def _unreadable(path: Path, error: Exception) -> WarehouseError:
    if isinstance(error, duckdb.OutOfMemoryException):
        return WarehouseError(
            f"reading the warehouse {path} ran out of memory: raise BREWTOPIA_MEMORY_LIMIT"
        )
    return WarehouseError(
        f"the warehouse {path} cannot be read: {str(error).splitlines()[0]}; "
        "set BREWTOPIA_WAREHOUSE to another path, or move the file away and run `brewtopia load` "
        "to make it anew from the lake"
    )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        lock = os.open(path.with_name(f".{path.name}.lock"), flags, 0o644)
    except OSError as error:
        raise WarehouseError(
            f"the warehouse {path} cannot be written: {error.strerror}; "
            "check the folder, or set BREWTOPIA_WAREHOUSE"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@cache
def _sql(name: str) -> str:
    folder = resources.files("brewtopia_lib") / "warehouse" / "ddl"
    return (folder / f"{name}.sql").read_text("utf-8")
