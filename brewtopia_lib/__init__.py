"""Brewtopia: from till CSVs to trend reports.

    import brewtopia_lib as bt

    with bt.open_warehouse() as warehouse:
        bt.analyses.branches(warehouse)

What `__all__` names is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brewtopia_lib import (
        analyses,
        changes,
        charts,
        findings,
        forecast,
        headlines,
        opportunities,
        page,
        scopes,
        tables,
        trends,
    )
    from brewtopia_lib.cleaning import clean
    from brewtopia_lib.warehouse import Warehouse

__version__ = "0.1.0"

__all__ = [
    "analyses",
    "changes",
    "charts",
    "clean",
    "findings",
    "forecast",
    "headlines",
    "open_warehouse",
    "opportunities",
    "page",
    "scopes",
    "tables",
    "trends",
]


def open_warehouse(location: str | None = None) -> "Warehouse":
    """Opens the warehouse at `location`, or the configured one, for reading.

    Raises WarehouseError where there is none yet, or it cannot be read.
    """
    from brewtopia_lib import warehouse
    from brewtopia_lib.settings import load_settings

    settings = load_settings()
    return warehouse.open_warehouse(location or settings.warehouse, settings.memory_limit)


def __getattr__(name: str) -> Any:
    if name == "clean":
        return import_module(f"{__name__}.cleaning").clean
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
