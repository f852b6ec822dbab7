"""Till files for tests, and the warehouse that they come to as one comparable value."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from brewtopia_lib.settings import Settings
from brewtopia_lib.warehouse import open_warehouse

Content = dict[str, list[tuple[Any, ...]]]

LOADS = "source, version, feed, rows, orders, lines, rejected, revenue"


@dataclass(frozen=True)
class Order:
    """One row of a headerless till file; items are (text, price in pence)."""

    day: int = 1
    minute: int = 0
    branch: str = "Leeds"
    items: tuple[tuple[str, int], ...] = (("Regular Latte", 245),)
    customer: str = "Ottoline Zebedee"
    payment: str = "CARD"
    card: str = "4929123412341234"

    @property
    def pence(self) -> int:
        return sum(pence for _, pence in self.items)

    def __str__(self) -> str:
        items = ", ".join(f"{name} - {pence / 100:.2f}" for name, pence in self.items)
        time = f"{self.day:02d}/03/2024 {9 + self.minute // 60:02d}:{self.minute % 60:02d}"
        return (
            f'{time},{self.branch},{self.customer},"{items}",{self.pence / 100:.2f},'
            f"{self.payment},{self.card}\n"
        )


def till(orders: Iterable[Order | str]) -> bytes:
    """A headerless till file."""
    return "".join(map(str, orders)).encode()


def settings_in(folder: Path, raw: Path | None = None) -> Settings:
    """Raw folder, lake and warehouse in one folder."""
    return Settings(
        raw=str(raw or folder / "raw"),
        lake=str(folder / "lake"),
        warehouse=str(folder / "warehouse.duckdb"),
    )


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def content(settings: Settings) -> Content:
    """Everything an analyst sees but the times of loading and what was superseded."""
    with open_warehouse(settings.warehouse) as warehouse:
        found = {
            table: warehouse.rows(f"select * from {table} order by all")[1]
            for table in ("sales", "orders", "hourly_sales", "rejects")
        }
        found["loads"] = warehouse.rows(f"select {LOADS} from loads where is_current order by all")[
            1
        ]
    return found


def rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    """What a new reader gets."""
    with open_warehouse(settings.warehouse) as warehouse:
        return warehouse.rows(sql)[1]


def expected_orders(files: Mapping[str, Iterable[Order]]) -> Counter[tuple[Any, ...]]:
    """(branch, day, minute, items, payment) → how many orders the files together speak of.

    By the contract's words, not by the library's ways: a row that repeats another one of its file
    counts once, equal orders of different customers are as many as they are, and the same order
    in several files is one.
    """
    most: Counter[tuple[Any, ...]] = Counter()
    for orders in files.values():
        distinct = set(orders)
        own = Counter((one.branch, one.day, one.minute, one.items, one.payment) for one in distinct)
        for key, count in own.items():
            most[key] = max(most[key], count)
    return most


def revenue(orders: Counter[tuple[Any, ...]]) -> Decimal:
    pence = sum(sum(p for _, p in key[3]) * count for key, count in orders.items())
    return Decimal(pence).scaleb(-2)


def leftovers(settings: Settings) -> list[str]:
    """Files in lake and warehouse folder that no finished run should leave."""
    lake, path = Path(settings.lake), Path(settings.warehouse)
    committed = {file.name for file in lake.glob("objects/*.parquet")}
    known = {path, path.with_name(f".{path.name}.lock"), lake / ".lock"}
    return sorted(
        str(file)
        for folder in {lake, path.parent}
        for file in folder.rglob("*")
        if file.is_file()
        and not file.is_relative_to(settings.raw)
        and file not in known
        and not (file.is_relative_to(lake) and file.name in committed)
    ) + [str(lake / name) for name in (".spill",) if (lake / name).exists()]


__all__ = [
    "Content",
    "Order",
    "content",
    "expected_orders",
    "leftovers",
    "replace",
    "revenue",
    "rows",
    "settings_in",
    "till",
    "write_files",
]
