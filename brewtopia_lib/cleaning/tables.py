"""Temp tables of Python rows, and the SQL of the cleaning step."""

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd
from duckdb import DuckDBPyConnection


def fill(
    connection: DuckDBPyConnection, table: str, columns: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Make a temp table of Python rows."""
    connection.execute(f"create or replace temp table {table} ({columns})")
    append(connection, table, rows)


def append(
    connection: DuckDBPyConnection,
    table: str,
    rows: Sequence[tuple[Any, ...]],
    names: list[str] | None = None,
    query: str = "select * from appended",
) -> None:
    """Put Python rows into a table, as `query` makes them of the relation `appended`."""
    if rows:
        # Types come from the table: those of a sample of rows would not fit every row.
        connection.execute("set pandas_analyze_sample = 0")
        appended = pd.DataFrame(rows, columns=names, dtype=object)  # noqa: F841 - found by name
        connection.execute(f"insert into {table} {query}")


@cache
def clean_sql(name: str) -> str:
    """A step of the cleaning, from `sql/clean`."""
    return (resources.files("brewtopia_lib") / "sql" / "clean" / f"{name}.sql").read_text("utf-8")
