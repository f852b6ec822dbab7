"""A DuckDB connection that answers as every warehouse does."""

from collections.abc import Generator, Mapping
from typing import Self

import duckdb
import pandas as pd
from duckdb import DuckDBPyConnection

from brewtopia_lib.errors import QueryError, WarehouseError
from brewtopia_lib.warehouse.parameters import duckdb_parameters

_VECTOR_ROWS = 2048


class DuckDBSession:
    """SQL in, frames out; what a subclass puts into the connection can be asked for."""

    def __init__(self, memory_limit: str | None = None) -> None:
        self._connection = duckdb.connect()
        restrict(self._connection, memory_limit)

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        """Run one SELECT, its parameters written `:name` or `$name`, and give its rows.

        Raises QueryError with the engine's words, and the place, where the SQL is wrong.
        """
        return self._run(sql, parameters).df()

    def rows(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> tuple[list[str], list[tuple[object, ...]]]:
        """Run one SELECT and give its column names and its rows as exact Python values."""
        result = self._run(sql, parameters)
        return [column[0] for column in result.description or ()], result.fetchall()

    def frames(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        rows_at_once: int = 50_000,
    ) -> Generator[pd.DataFrame, None, None]:
        """Run one SELECT and give its rows in frames of about so many; at least one frame."""
        result = self._run(sql, parameters)
        vectors = max(1, rows_at_once // _VECTOR_ROWS)
        frame = result.fetch_df_chunk(vectors)
        yield frame
        while len(frame := result.fetch_df_chunk(vectors)):
            yield frame

    def report_progress(self) -> None:
        """Keep count of how far queries have come, for `progress`."""
        self._connection.execute("set enable_progress_bar = true")
        self._connection.execute("set enable_progress_bar_print = false")

    @property
    def progress(self) -> float | None:
        """How much of the running query is done, 0 to 1; None where it cannot be told."""
        done = self._connection.query_progress()
        return done / 100 if 0 <= done <= 100 else None

    def interrupt(self) -> None:
        """End the running query, whose caller gets an error; for another thread to call."""
        self._connection.interrupt()

    def _run(self, sql: str, parameters: Mapping[str, object] | None) -> DuckDBPyConnection:
        try:
            result = self._connection.execute(duckdb_parameters(sql), dict(parameters or {}))
        except duckdb.Error as error:
            raise QueryError(str(error)) from error
        if result is None:  # whatever the stubs say
            raise WarehouseError("there is no query in what was given: write a SELECT")
        return result

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def restrict(connection: DuckDBPyConnection, memory_limit: str | None) -> None:
    """Nothing is downloaded, no bar is drawn by the engine, and memory has a limit."""
    connection.execute("set autoinstall_known_extensions = false")
    connection.execute("set autoload_known_extensions = false")
    # in a notebook it would draw a widget into what may be a report
    connection.execute("set enable_progress_bar = false")
    if memory_limit is not None:
        connection.execute("set memory_limit = ?", [memory_limit])
