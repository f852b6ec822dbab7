"""Tables as an analyst holds them in a notebook: watched while they answer, renewed on demand."""

import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol, Self, TypeVar, runtime_checkable

import pandas as pd

from brewtopia_lib.warehouse import Warehouse

Answer = TypeVar("Answer")
Say = Callable[[str], None]

MANY_ROWS = 1_000_000
"""More rows than these come into pandas only after a word."""

_PATIENCE_SECONDS = 2.0
_LOOK_SECONDS = 0.2


@runtime_checkable
class Watchable(Protocol):
    """An engine that says how far it has come, and stops when told to."""

    @property
    def progress(self) -> float | None: ...

    def report_progress(self) -> None: ...

    def interrupt(self) -> None: ...


class Desk:
    """The tables `sales`, `orders`, `hourly_sales`, `rejects` and `loads`, ready to be asked.

        warehouse = bt.warehouse()
        warehouse.query("select branch, sum(total) as revenue from orders group by branch")
        bt.analyses.daily(warehouse, until=date(2024, 6, 30), weeks=4)
        warehouse.refresh()  # what was loaded since then is seen from here on

    What it shows is a snapshot: loads go on beside it, and neither waits for the other. A query
    that takes long shows how far it is, and interrupting the kernel ends it.
    """

    def __init__(
        self, name: str, open_tables: Callable[[], Warehouse], say: Say | None = None
    ) -> None:
        self.name = name
        self._open = open_tables
        self._say = say or _print
        self._is_stopped = threading.Event()
        self._tables = self._opened()

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        """The rows of one SELECT as a frame; values for its `$name` in `parameters`.

            warehouse.query("select * from orders where branch = $branch", {"branch": "Leeds"})

        Says so before it pulls more than a million rows into pandas: interrupt it then, or let it.

        Raises QueryError with the engine's words where the SQL is wrong.
        """
        return self._watched(lambda: self._pulled(sql, parameters))

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

    def _pulled(self, sql: str, parameters: Mapping[str, object] | None) -> pd.DataFrame:
        frames: list[pd.DataFrame] = []
        pulled, size = 0, 0
        self._is_stopped.clear()
        for frame in self._tables.frames(sql, parameters):
            if self._is_stopped.is_set():
                break
            before, pulled = pulled, pulled + len(frame)
            size += int(frame.memory_usage().sum())
            frames.append(frame)
            if before <= MANY_ROWS < pulled:
                self._say(
                    f"This is more than {MANY_ROWS:,} rows, {size / 1e6:,.0f} MB so far: interrupt "
                    "the kernel to stop here, and add up in SQL or put a limit instead."
                )
        return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)

    def _watched(self, work: Callable[[], Answer]) -> Answer:
        """Do the work in a thread, so that this one can tell how far it is and be interrupted."""
        engine = self._tables
        if (
            not isinstance(engine, Watchable)
            or threading.current_thread() is not threading.main_thread()
        ):
            return work()
        started, shown = time.monotonic(), None
        with ThreadPoolExecutor(1) as pool:
            future: Future[Answer] = pool.submit(work)
            try:
                while not wait([future], timeout=_LOOK_SECONDS).done:
                    if time.monotonic() - started > _PATIENCE_SECONDS:
                        shown = _show(shown, engine.progress)
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


def _show(before: str | None, progress: float | None) -> str:
    now = "working …" if progress is None else f"working … {progress:4.0%}"
    if now != before:
        sys.stderr.write("\r" + now)
        sys.stderr.flush()
    return now


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
