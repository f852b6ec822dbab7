"""Tables as an analyst holds them in a notebook: watched while they answer, renewed on demand."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol, Self, TypeVar, runtime_checkable

import pandas as pd

from brewtopia_lib.errors import ManyRowsError
from brewtopia_lib.warehouse import Warehouse

Answer = TypeVar("Answer")

MANY_ROWS = 1_000_000
"""More rows than these come into pandas only where all are asked for."""

_PATIENCE_SECONDS = 2.0
_LOOK_SECONDS = 0.2


@runtime_checkable
class Interruptible(Protocol):
    """An engine that stops when told to."""

    def interrupt(self) -> None: ...


@runtime_checkable
class Watchable(Protocol):
    """An engine that says how far it has come."""

    @property
    def progress(self) -> float | None: ...

    def report_progress(self) -> None: ...


class Desk:
    """The tables `sales`, `orders`, `hourly_sales`, `rejects` and `loads`, ready to be asked.

        warehouse = bt.warehouse()
        warehouse.query("select branch, sum(total) as revenue from orders group by branch")
        bt.analyses.daily(warehouse, until=date(2024, 6, 30), weeks=4)
        warehouse.refresh()  # what was loaded since then is seen from here on

    What it shows is a snapshot: loads go on beside it, and neither waits for the other. A query
    that takes long shows how far it is, and interrupting the kernel ends it.
    """

    def __init__(self, name: str, open_tables: Callable[[], Warehouse]) -> None:
        self.name = name
        self._open = open_tables
        self._is_stopped = threading.Event()
        self._tables = self._opened()

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        """The rows of one SELECT as a frame; values for its `$name` in `parameters`.

            warehouse.query("select * from orders where branch = $branch", {"branch": "Leeds"})

        Raises QueryError with the engine's words where the SQL is wrong, and ManyRowsError rather
        than pull more than a million rows into pandas: `all_rows` does.
        """
        return self._watched(lambda: self._pulled(sql, parameters, MANY_ROWS))

    def all_rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        """What `query` gives, however many rows that are.

        warehouse.all_rows("select * from orders")
        """
        return self._watched(lambda: self._pulled(sql, parameters, None))

    def rows(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> tuple[list[str], list[tuple[object, ...]]]:
        """The column names of one SELECT and its rows as exact Python values, money as Decimal."""
        return self._watched(lambda: self._tables.rows(sql, parameters))

    def refresh(self) -> Self:
        """See what was loaded since this was opened, or last refreshed.

        warehouse.refresh()
        """
        tables = self._opened()
        self._tables.close()
        self._tables = tables
        return self

    def close(self) -> None:
        """Let go of the file or the connection."""
        self._tables.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        _, [(orders, branches, first, last)] = self._tables.rows(
            "select count(*), count(distinct branch), min(sold_on), max(sold_on) from orders"
        )
        days = f", {first} to {last}" if orders else ""
        return f"{self.name}: {orders:,} orders of {branches:,} branches{days}"

    def _opened(self) -> Warehouse:
        tables = self._open()
        if isinstance(tables, Watchable):
            tables.report_progress()
        return tables

    def _pulled(
        self, sql: str, parameters: Mapping[str, object] | None, most: int | None
    ) -> pd.DataFrame:
        frames: list[pd.DataFrame] = []
        pulled, size = 0, 0
        self._is_stopped.clear()
        with contextlib.closing(self._tables.frames(sql, parameters)) as found:
            for frame in found:
                pulled += len(frame)
                size += int(frame.memory_usage().sum())
                frames.append(frame)
                if most is not None and pulled > most:
                    raise ManyRowsError(
                        f"this is more than {most:,} rows, the first of them {size / 1e6:,.0f} MB: "
                        "add up in SQL, put a limit, or ask for all of them by "
                        f"{self.name}.all_rows(…) or %%sql --all"
                    )
                if self._is_stopped.is_set():
                    break
        return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)

    def _watched(self, work: Callable[[], Answer]) -> Answer:
        """Do the work in a thread, so that this one can tell how far it is and be interrupted."""
        engine = self._tables
        if (
            not isinstance(engine, Interruptible)
            or threading.current_thread() is not threading.main_thread()
        ):
            return work()
        started, shown = time.monotonic(), None
        with ThreadPoolExecutor(1) as pool:
            future: Future[Answer] = pool.submit(work)
            try:
                while not wait([future], timeout=_LOOK_SECONDS).done:
                    if time.monotonic() - started > _PATIENCE_SECONDS:
                        shown = _show(shown, _progress(engine))
            except KeyboardInterrupt:
                self._is_stopped.set()
                engine.interrupt()
                wait([future])
                raise
            finally:
                if shown is not None:
                    sys.stderr.write("\r" + " " * len(shown) + "\r")
                    sys.stderr.flush()
            return future.result()


def _progress(engine: object) -> float | None:
    return engine.progress if isinstance(engine, Watchable) else None


def _show(before: str | None, progress: float | None) -> str:
    now = "working …" if progress is None else f"working … {progress:4.0%}"
    if now != before:
        sys.stderr.write("\r" + now)
        sys.stderr.flush()
    return now
