"""The daily series of whole branches, and how each of them moves; pure.

Products with a trend of their own are told as such; what a branch does is what it does beside
them.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from brewtopia_lib.findings.history import History
from brewtopia_lib.findings.moves import LEAST_BRANCHES, Moves, against_chain, find_moves
from brewtopia_lib.findings.significance import Floats
from brewtopia_lib.findings.trends import ProductTrends

MEASURES = ("revenue", "orders", "basket")
LATE_DAYS = 28

_LEAST_COVERED = 0.9


@dataclass(frozen=True)
class BranchDays:
    """Revenue at constant prices, orders, and basket of every branch, by day."""

    history: History
    products: ProductTrends

    @property
    def compared(self) -> bool:
        """Whether there are branches enough to judge each against the others."""
        return len(self.history.branches) >= LEAST_BRANCHES

    @cached_property
    def series(self) -> dict[str, Floats]:
        """The logarithm of each measure, B × T; NaN on days not learnt from."""
        history = self.history
        price = np.nan_to_num(history.price).astype(np.float32)
        revenue = np.matmul(price[:, None], history.units)[:, 0].astype(float)
        on = history.observed & (revenue > 0)
        orders, revenue = (np.where(on, values, np.nan) for values in (history.orders, revenue))
        return {
            "revenue": np.log(revenue),
            "orders": np.log(orders),
            "basket": np.log(revenue / orders),
        }

    @cached_property
    def own(self) -> dict[str, Floats]:
        """The same without what trends of single products account for."""
        history, products = self.history, self.products
        weeks = (np.arange(len(history.dates)) - (len(history.dates) - 1) / 2) / 7
        level = np.nan_to_num(products.level)
        worth = level * np.nan_to_num(history.price)
        growth = np.zeros((2, len(history.branches), len(weeks)))
        for row in range(len(history.branches)):
            slope, middle = (
                np.nan_to_num(x[row])[:, None] for x in (products.slope, products.middle)
            )
            parts = np.stack([level[row], worth[row]])
            whole = parts.sum(axis=1, keepdims=True)
            trend = parts @ np.exp(slope * (weeks - middle))
            growth[:, row] = np.log(np.where(whole > 0, trend / np.where(whole > 0, whole, 1), 1))
        units, pounds = growth
        return {
            "revenue": self.series["revenue"] - pounds,
            "orders": self.series["orders"] - units,
            "basket": self.series["basket"] - pounds,
        }

    @cached_property
    def moves(self) -> dict[str, Moves]:
        """What each measure does at each branch, against the chain where there is one.

        What shifts a branch mostly shifts its orders and its revenue alike, and is seen sooner in
        both than in either: they say whether and when, and revenue by how much.
        """
        return {
            "revenue": find_moves(self._rest("revenue"), find_moves(self._trade)),
            "orders": find_moves(self._rest("orders")),
            "basket": find_moves(self._rest("basket")),
        }

    def _rest(self, measure: str) -> Floats:
        return against_chain(self.own[measure], self.history.weekday)

    @cached_property
    def _trade(self) -> Floats:
        """Revenue and orders in one, weighted so that days stray the least from their usual."""
        revenue, orders = self._rest("revenue"), self._rest("orders")
        spreads = (_spread(values) for values in (revenue, orders, revenue - orders))
        of_revenue, of_orders, of_basket = spreads
        share = (of_orders - of_revenue + of_basket) / max(2 * of_basket, 1e-12)
        share = float(np.clip(share, 0.0, 1.0))
        trade: Floats = share * revenue + (1 - share) * orders
        return trade

    def _moves(self, series: Floats) -> Moves:
        return find_moves(against_chain(series, self.history.weekday))

    @cached_property
    def whole_moves(self) -> dict[str, Moves]:
        """The same, products with a trend of their own included."""
        return {measure: self._moves(self.series[measure]) for measure in MEASURES[1:]}

    @cached_property
    def chances(self) -> Floats:
        """How likely each move would be by chance, measure × B.

        Growing products may bring orders or fill baskets: these must move with and without them,
        and the same way.
        """
        chances = [self.moves["revenue"].chance]
        for measure in MEASURES[1:]:
            own, whole = self.moves[measure], self.whole_moves[measure]
            same = np.sign(own.size) == np.sign(whole.size)
            chances.append(np.where(same, np.maximum(own.chance, whole.chance), 1.0))
        return np.stack(chances)

    def told(self, measure: str, row: int) -> Moves:
        """What is told of a branch's measure: of moves with and without products, the smaller."""
        own, whole = self.moves[measure], self.whole_moves.get(measure)
        if whole is None or abs(own.size[row]) <= abs(whole.size[row]):
            return own
        return whole

    @cached_property
    def chain_moves(self) -> Moves:
        """What the revenue of the branches that traded throughout does together: one series."""
        values = self.own["revenue"]
        known = np.isfinite(values)
        days = known.sum(axis=1)
        throughout = days >= _LEAST_COVERED * max(int(known.any(axis=0).sum()), 1)
        size = known * (self.weekly * throughout)[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            away = np.nan_to_num(values - np.nansum(values, axis=1, keepdims=True) / days[:, None])
            together = (size * away).sum(axis=0) / size.sum(axis=0)
        return self._moves(together[None])

    @cached_property
    def weekly(self) -> Floats:
        """What each branch has taken a week of late, pounds."""
        late = self.history.takings[:, -LATE_DAYS:]
        weekly: Floats = late.sum(axis=1) * 7 / late.shape[1]
        return weekly

    def weekly_since(self, row: int, day: int) -> float:
        """What a branch takes a week since that day, pounds."""
        traded = self.history.traded[row]
        a_day = self.history.takings[row, day:].sum() / max(int(traded[day:].sum()), 1)
        return float(7 * traded.mean() * a_day)

    def usual(self, row: int) -> Floats:
        """What the branch would have taken each day but for chance, pounds; NaN where unknown."""
        moves = self.moves["orders"]
        usual: Floats = self.history.takings[row] / np.exp(moves.residual[row] * moves.noise[row])
        return usual


def _spread(values: Floats) -> float:
    """The variance of the bulk of the values."""
    known = np.abs(values[np.isfinite(values)])
    return float(1.4826 * np.median(known)) ** 2 if len(known) else 0.0
