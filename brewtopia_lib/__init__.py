"""Brewtopia: from till CSVs to trend reports.

    import brewtopia_lib as bt

    warehouse = bt.warehouse()
    bt.analyses.branches(warehouse)

What `__all__` names is imported when it is first used.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brewtopia_lib import analyses, charts, findings, forecast
    from brewtopia_lib.cleaning import clean
    from brewtopia_lib.desk import Desk
    from brewtopia_lib.desk.explorer import explore
    from brewtopia_lib.desk.proposals import new_feed
    from brewtopia_lib.desk.showing import show
    from brewtopia_lib.findings import opportunities, trends
    from brewtopia_lib.forecast import forecast_words
    from brewtopia_lib.pages import finding_cards, headlines, page, scopes, tables
    from brewtopia_lib.warehouse import Warehouse

__version__ = "0.1.0"

__all__ = [
    "analyses",
    "charts",
    "clean",
    "explore",
    "finding_cards",
    "findings",
    "forecast",
    "forecast_words",
    "headlines",
    "lake",
    "new_feed",
    "open_warehouse",
    "opportunities",
    "page",
    "product_headlines",
    "quality_headlines",
    "scopes",
    "show",
    "tables",
    "trends",
    "warehouse",
]


def warehouse(location: str | None = None) -> "Desk":
    """The configured warehouse, read-only, ready for analyses, charts and SQL.

        warehouse = bt.warehouse()
        warehouse.query("select * from orders where branch = $branch", {"branch": "Leeds"})
        warehouse.refresh()

    Jobs load beside it, and neither waits for the other; `refresh` shows what they loaded.
    `location` is another DuckDB file or `redshift://…`. Raises WarehouseError where there is
    none yet, or it cannot be read.
    """
    from brewtopia_lib.desk import Desk

    return Desk("warehouse", lambda: open_warehouse(location))


def lake(location: str | None = None) -> "Desk":
    """The same tables over the configured lake, before anything is loaded from it.

        lake = bt.lake()
        bt.analyses.coverage(lake)

    `location` is another folder or `s3://bucket/prefix`. Raises LakeError where there is nothing
    in it yet, or it cannot be read.
    """
    from brewtopia_lib.desk import Desk
    from brewtopia_lib.lake import Lake
    from brewtopia_lib.settings import load_settings
    from brewtopia_lib.warehouse.over_lake import LakeTables

    settings = load_settings()
    return Desk("lake", lambda: LakeTables(Lake(location or settings.lake), settings.memory_limit))


def open_warehouse(location: str | None = None) -> "Warehouse":
    """The warehouse as programs read it: `bt.warehouse()` without a word and without a thread.

    Raises WarehouseError where there is none yet, or it cannot be read.
    """
    from brewtopia_lib.settings import load_settings
    from brewtopia_lib.warehouse import open_warehouse

    settings = load_settings()
    return open_warehouse(location or settings.warehouse, settings.memory_limit)


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext brewtopia_lib`: `%%sql`, tables and figures to look at, errors in one line."""
    from brewtopia_lib.desk.magics import load

    load(shell)


_MODULES = {
    "finding_cards": "pages.finding_cards",
    "forecast_words": "forecast.forecast_words",
    "headlines": "pages.headlines",
    "opportunities": "findings.opportunities",
    "page": "pages.page",
    "product_headlines": "pages.product_headlines",
    "quality_headlines": "pages.quality_headlines",
    "scopes": "pages.scopes",
    "tables": "pages.tables",
    "trends": "findings.trends",
}

_FUNCTIONS = {
    "clean": "cleaning",
    "explore": "desk.explorer",
    "new_feed": "desk.proposals",
    "show": "desk.showing",
}


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(import_module(f"{__name__}.{_FUNCTIONS[name]}"), name)
    if name in __all__:
        return import_module(f"{__name__}.{_MODULES.get(name, name)}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Importing the submodules `warehouse` and `lake` leaves the functions of these names."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in ("warehouse", "lake") and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
