"""The warehouse in Amazon Redshift: the same tables and answers as in DuckDB."""

import contextlib
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Self

import pandas as pd

from brewtopia_lib.errors import WarehouseError, WarehouseUnavailableError
from brewtopia_lib.warehouse.redshift.checking import check_loading
from brewtopia_lib.warehouse.redshift.copying import CopyError
from brewtopia_lib.warehouse.redshift.frames import to_frame
from brewtopia_lib.warehouse.redshift.loading import load
from brewtopia_lib.warehouse.redshift.location import RedshiftLocation, parse
from brewtopia_lib.warehouse.redshift.migrations import check_version
from brewtopia_lib.warehouse.redshift.session import Result, Session

__all__ = [
    "CopyError",
    "RedshiftLocation",
    "RedshiftWarehouse",
    "check_loading",
    "load",
    "parse",
]


_FETCHED_AT_ONCE = 1_000
"""A cluster of a single node gives no more of a cursor's rows at a time."""


class RedshiftWarehouse:
    """The warehouse, read-only: a snapshot that no load disturbs or waits for.

    The snapshot is taken with the first query and kept until the warehouse is closed, a statement
    fails or the connection is lost; the next query then takes a new one.

    Raises SettingsError where the location is wrong, WarehouseError where there is no warehouse,
    and WarehouseUnavailableError where it cannot be reached.
    """

    def __init__(self, location: str) -> None:
        self.location = parse(location)
        self._is_answered = False
        self._process: int | None = None
        self._session: Session | None = Session(self.location)
        try:
            # before the snapshot, whose locks would hold up a migration for as long as it lasts
            check_version(self._session)
        except BaseException:
            self.close()
            raise

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        """Run one SELECT, its parameters written `:name`, and give its rows.

        Raises WarehouseError with the engine's words where the SQL is wrong.
        """
        return to_frame(self._run(sql, parameters))

    def rows(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> tuple[list[str], list[tuple[object, ...]]]:
        """Run one SELECT and give its column names and its rows as exact Python values."""
        result = self._run(sql, parameters)
        return [column.name for column in result.columns], [tuple(row) for row in result.rows]

    def frames(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        rows_at_once: int = 50_000,
    ) -> Generator[pd.DataFrame, None, None]:
        """Run one SELECT and give its rows in frames of so many; at least one frame.

        A connection that is lost on the way ends it with WarehouseUnavailableError.
        """
        self._run(f"declare brewtopia_rows cursor for {sql}", parameters)
        is_first = True
        try:
            while True:
                rows: list[Sequence[Any]] = []
                while len(rows) < rows_at_once:
                    wanted = min(_FETCHED_AT_ONCE, rows_at_once - len(rows))
                    result = self._run(f"fetch forward {wanted} from brewtopia_rows")
                    rows += result.rows
                    if not result.rows:
                        break
                if rows or is_first:
                    yield to_frame(Result(result.columns, rows))
                if not result.rows:
                    return
                is_first = False
        finally:
            if self._session is not None and self._session.is_in_transaction:
                self._session.execute("close brewtopia_rows")

    def interrupt(self) -> None:
        """End the running query, whose caller gets an error; for another thread to call.

        Where no second connection can be had, the query runs to its end.
        """
        with (
            contextlib.suppress(WarehouseError),
            contextlib.closing(Session(self.location)) as other,
        ):
            other.execute(
                "select pg_cancel_backend(cast(:process as integer))", {"process": self._process}
            )

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None

    def _run(self, sql: str, parameters: Mapping[str, object] | None = None) -> Result:
        try:
            result = self._in_snapshot().execute(sql, parameters)
        except WarehouseUnavailableError:
            self.close()
            if self._is_answered:  # another snapshot might contradict what was answered
                self._is_answered = False
                raise
            result = self._in_snapshot().execute(sql, parameters)
        except BaseException:
            self._end_snapshot()
            raise
        self._is_answered = True
        return result

    def _in_snapshot(self) -> Session:
        if self._session is None:
            self._session = Session(self.location)
        if not self._session.is_in_transaction:
            self._is_answered = False
            self._session.execute("begin read only")
            self._process = self._session.execute("select pg_backend_pid()").first_column[0]
        return self._session

    def _end_snapshot(self) -> None:
        self._is_answered = False
        try:
            if self._session is not None and self._session.is_in_transaction:
                self._session.execute("rollback")
        except WarehouseUnavailableError:
            self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
