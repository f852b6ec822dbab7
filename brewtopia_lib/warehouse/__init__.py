"""The warehouse, one interface whatever engine holds it."""

import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Protocol, Self

import pandas as pd

from brewtopia_lib.errors import SettingsError, WarehouseError
from brewtopia_lib.lake import Lake
from brewtopia_lib.settings import Settings
from brewtopia_lib.storage.s3 import is_s3
from brewtopia_lib.storage.stores import Progress
from brewtopia_lib.warehouse.duckdb import DuckDBWarehouse, Loaded
from brewtopia_lib.warehouse.duckdb import load as load_duckdb

__all__ = [
    "Loaded",
    "Warehouse",
    "check_loadable",
    "is_redshift",
    "load_warehouse",
    "open_warehouse",
]


class Warehouse(Protocol):
    """A warehouse open for reading."""

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        """Run one SELECT, its parameters written `:name` or `$name`, and give its rows.

        Raises QueryError with the engine's words where the SQL is wrong.
        """

    def rows(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> tuple[list[str], list[tuple[object, ...]]]:
        """Run one SELECT and give its column names and its rows as exact Python values."""

    def frames(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> Generator[pd.DataFrame, None, None]:
        """Run one SELECT and give its rows in frames, one after the other; at least one."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *args: object) -> None: ...


def open_warehouse(location: str, memory_limit: str | None = None) -> Warehouse:
    """The warehouse at a location, read-only.

    Raises WarehouseError where there is none yet, or it cannot be read.
    """
    if is_redshift(location):
        # its driver takes long to import, and few need it
        from brewtopia_lib.warehouse.redshift import RedshiftWarehouse

        return RedshiftWarehouse(location)
    return DuckDBWarehouse(_path(location), memory_limit)


def load_warehouse(settings: Settings, progress: Progress | None = None) -> Loaded:
    """Load what the lake has and the warehouse has not.

    Raises SettingsError where this warehouse cannot take from that lake, and LakeError, S3Error
    or WarehouseError where it failed; those that are RetryableError too may pass.
    """
    check_loadable(settings)
    lake = Lake(settings.lake, progress)
    if is_redshift(settings.warehouse):
        from brewtopia_lib.warehouse.redshift import load

        def pause(seconds: float) -> None:
            if progress is not None:
                progress(0, 1, "warehouse: waiting to try again")
            time.sleep(seconds)

        return load(settings.warehouse, lake, pause=pause)
    return load_duckdb(_path(settings.warehouse), lake, settings.memory_limit)


def check_loadable(settings: Settings) -> None:
    """Raises SettingsError where the warehouse cannot take from such a lake."""
    if is_redshift(settings.warehouse) and not is_s3(settings.lake):
        raise SettingsError(
            f"Redshift cannot read the lake in the folder {settings.lake}: "
            "set BREWTOPIA_LAKE to s3://bucket/prefix"
        )


def is_redshift(location: str) -> bool:
    """Whether a location is in Redshift rather than a DuckDB file."""
    return location.startswith("redshift://")


def _path(location: str) -> Path:
    if "://" in location:
        raise WarehouseError(
            f"{location.partition('://')[0]}:// is no warehouse: "
            "set BREWTOPIA_WAREHOUSE to the path of a DuckDB file, or to redshift://…"
        )
    for mark, name in (("?", "a question mark"), ("\\", "a backslash")):  # mean more to DuckDB
        if mark in location:
            raise WarehouseError(
                f"{location} has {name} in it: set BREWTOPIA_WAREHOUSE to a path without one"
            )
    path = Path(location).absolute()
    if path.is_dir():
        raise WarehouseError(f"{path} is a folder: set BREWTOPIA_WAREHOUSE to a DuckDB file in it")
    return path
