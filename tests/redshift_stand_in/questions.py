"""What two engines are asked when they are compared."""

from datetime import date, timedelta
from typing import Any

import pandas as pd

from brewtopia_lib import analyses
from brewtopia_lib.queries import load_query, run_query
from brewtopia_lib.warehouse import Warehouse

TABLES = ("sales", "orders", "hourly_sales", "rejects", "loads")
LINES = (
    "order_id, line_no, branch, sold_on, product, size, flavour, quantity, unit_price, line_total"
)
PARTS = (
    f"(select {LINES} from order_baskets"
    " inner join basket_lines on basket_lines.basket_no = order_baskets.basket_no"
    " inner join items on items.item_no = basket_lines.item_no) as parts"
)
"""What a line is made of, whose numbers each engine chooses by itself."""


def answer(
    warehouse: Warehouse, name: str, until: date, weeks: int = 4, branch: str | None = None
) -> pd.DataFrame:
    """What a SQL file answers, as its analysis types it where it has one."""
    given = {
        "until": until,
        "weeks": weeks,
        "branch": branch,
        "limit": 5,
        "product": None,
        "first_day": until - timedelta(7 * weeks - 1),
        "recent_day": until - timedelta(6),
    }
    wanted = {key: given[key] for key in load_query(name).parameters}
    if hasattr(analyses, name):
        frame = getattr(analyses, name)(warehouse, **wanted)
    else:
        frame = run_query(warehouse, name, **wanted)
        frame = frame.astype(dict.fromkeys(frame.select_dtypes("number").columns, "float64"))
    return frame.drop(columns="loaded_at", errors="ignore")


def content(warehouse: Warehouse, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """All rows of a table, but for the time of loading."""
    names, rows = warehouse.rows(f"select {columns} from {table}")
    kept = [place for place, name in enumerate(names) if name != "loaded_at"]
    return sorted((tuple(row[place] for place in kept) for row in rows), key=repr)


def assert_same_rows(one: Warehouse, other: Warehouse) -> None:
    """Whatever an analyst sees is the same in both."""
    for table in TABLES:
        assert content(other, table) == content(one, table), table
    for warehouse in (one, other):
        assert content(warehouse, PARTS) == content(warehouse, "sales", LINES)
