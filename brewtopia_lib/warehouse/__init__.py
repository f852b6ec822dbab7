"""The warehouse, one interface whatever engine holds it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self

import pandas as pd

from brewtopia_lib.errors import WarehouseError
from brewtopia_lib.lake import Lake
from brewtopia_lib.settings import Settings
from brewtopia_lib.stores import Progress
from brewtopia_lib.warehouse.duckdb import DuckDBWarehouse, Loaded, load

__all__ = ["Loaded", "Warehouse", "load_warehouse", "open_warehouse"]


class Warehouse(Protocol):
    """A warehouse open for reading."""

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        """Run one SELECT, its parameters written `:name`, and give its rows.

        Raises WarehouseError with the engine's words where the SQL is wrong.
        """

    def rows(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> tuple[list[str], list[tuple[object, ...]]]:
        """Run one SELECT and give its column names and its rows as exact Python values."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *args: object) -> None: ...


def open_warehouse(location: str, memory_limit: str | None = None) -> Warehouse:
    """The warehouse at a location, read-only.

    Raises WarehouseError where there is none yet, or it cannot be read.
    """
    if location.startswith("redshift://"):
        # its driver takes long to import, and few need it
        from brewtopia_lib.warehouse.redshift import RedshiftWarehouse

        return RedshiftWarehouse(location)
    return DuckDBWarehouse(_path(location), memory_limit)


def load_warehouse(settings: Settings, progress: Progress | None = None) -> Loaded:
    """Load what the lake has and the warehouse has not."""
    return load(_path(settings.warehouse), Lake(settings.lake, progress), settings.memory_limit)


def _path(location: str) -> Path:
    if "://" in location:
        raise WarehouseError(
            f"{location.partition('://')[0]}:// warehouses are not supported yet: "
            "set BREWTOPIA_WAREHOUSE to the path of a DuckDB file"
        )
    if "?" in location:  # DuckDB takes what follows for options
        raise WarehouseError(
            f"{location} has a question mark in it: set BREWTOPIA_WAREHOUSE to a path without one"
        )
    return Path(location).absolute()
