"""A small explorer for notebooks: branch, period, product and what to compare with, as widgets."""

from datetime import timedelta
from typing import Any

import ipywidgets as widgets
import pandas as pd
from matplotlib.figure import Figure

import brewtopia_lib as bt
from brewtopia_lib import analyses, charts
from brewtopia_lib.desk import Desk
from brewtopia_lib.desk.showing import drawing
from brewtopia_lib.errors import BrewtopiaError
from brewtopia_lib.formats import percent, pounds
from brewtopia_lib.pages.markup import safe
from brewtopia_lib.pages.scopes import find_scope

CHAIN, ALL, BEFORE = "The whole chain", "All products", "The weeks before"
WEEKS = {"1 week": 1} | {f"{weeks} weeks": weeks for weeks in (2, 4, 8, 13)}
PRODUCTS = 60


def explore(tables: Desk | None = None) -> "Explorer":
    """The explorer over a warehouse or a lake: choose, and the charts follow.

    bt.explore(warehouse)
    bt.explore(bt.lake())
    """
    return Explorer(tables or bt.warehouse())


class Explorer(widgets.VBox):  # type: ignore[misc]
    """Five choices, and the charts of what was chosen.

    Attributes: branch, weeks, until, product and compare are widgets, whose `value` may be set;
    shown is the HTML below them.
    """

    def __init__(self, tables: Desk) -> None:
        self._tables = tables
        scope = find_scope(tables, weeks=4)
        self._branches = [str(name) for name in analyses.branches(tables)["branch"]]
        top = analyses.top_products(tables, **scope.window, limit=PRODUCTS)
        products = sorted(str(name) for name in top["product"])
        self.branch = widgets.Dropdown(options=[CHAIN, *self._branches], description="Branch")
        self.weeks = widgets.Dropdown(options=WEEKS, value=4, description="Period")
        self.until = widgets.DatePicker(value=scope.until, description="Until")
        self.product = widgets.Dropdown(options=[ALL, *products], description="Product")
        self.compare = widgets.Dropdown(options=[BEFORE, *self._branches], description="Against")
        self.shown = widgets.HTML()
        choices = [self.branch, self.weeks, self.until, self.product, self.compare]
        for choice in choices:
            choice.observe(self._draw, names="value")
        super().__init__([widgets.HBox(choices, layout={"flex_flow": "row wrap"}), self.shown])
        self._draw()

    def _draw(self, change: Any = None) -> None:
        if change is not None and change["owner"] is self.branch:
            kept = self.compare.value
            others = [name for name in (CHAIN, *self._branches) if name != self.branch.value]
            with self.compare.hold_trait_notifications():
                self.compare.options = [BEFORE, *others]
                self.compare.value = kept if kept in others else BEFORE
        try:
            self.shown.value = self._page()
        except BrewtopiaError as error:
            self.shown.value = f"<p>{safe(str(error))}</p>"

    def _page(self) -> str:
        product = None if self.product.value == ALL else str(self.product.value)
        window = {
            "until": self.until.value,
            "weeks": self.weeks.value,
            "branch": None if self.branch.value == CHAIN else str(self.branch.value),
        }
        weekly = analyses.product_weekly(self._tables, **window, product=product)
        title = f"{product or 'Everything'}, {window['branch'] or 'the whole chain'}"
        if weekly.empty:
            return f"<h3>{safe(title)}: nothing was sold up to then</h3>"
        pieces = [f"<h3>{safe(f'{title}: {_last_week(weekly)}')}</h3>"]
        if self.compare.value == BEFORE:
            first = window["until"] - timedelta(days=7 * window["weeks"] - 1)
            pieces.append(_card("Revenue a week, £", charts.revenue_by_week(weekly, first)))
        else:
            rival = None if self.compare.value == CHAIN else str(self.compare.value)
            other = analyses.product_weekly(
                self._tables, **{**window, "branch": rival}, product=product
            )
            figure = charts.against_chain(
                weekly, other, window["branch"] or "chain", other=rival or "chain"
            )
            pieces.append(_card("Revenue a week, each as per cent of its own average", figure))
        if product is None:
            hours = analyses.weekday_hours(self._tables, **window)
            top = analyses.top_products(self._tables, **window)
            pieces.append(_card("Average revenue an hour, £", charts.weekday_hours(hours)))
            pieces.append(_card("Products by revenue and by units", charts.top_products(top)))
        return "".join(pieces)


def _last_week(weekly: pd.DataFrame) -> str:
    """What the last complete week took, and how that compares with the one before."""
    whole = weekly.loc[weekly["complete"], "revenue"].astype(float).tolist()
    if not whole:
        return "no complete week yet"
    said = f"{pounds(whole[-1])} in the last complete week"
    if len(whole) > 1 and whole[-2] > 0:
        said += f", {percent(whole[-1] / whole[-2] - 1, signed=True)} on the week before"
    return said


def _card(caption: str, figure: Figure) -> str:
    return f'<p style="margin: 1em 0 0">{safe(caption)}</p>{drawing(figure)}'
