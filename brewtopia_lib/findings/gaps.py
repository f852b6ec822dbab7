"""Prices out of line, and pairs sold together everywhere but here; pure."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import special

from brewtopia_lib.findings import sentences
from brewtopia_lib.findings.finding import Effect, Evidence, Finding, Tests
from brewtopia_lib.findings.history import RECENT_DAYS, History
from brewtopia_lib.findings.significance import Floats

LEAST_BRANCHES = 4

_LEAST_GAP = 0.1
_GAP_DEVIATIONS = 4.0
_LEAST_UNITS_A_WEEK = 7.0
_ELASTICITY = 0.5
_LEAST_LIFT = 1.2
_LEAST_EXTRA = 0.05
_LEAST_TOGETHER = 100
_LEAST_EXPECTED = 20
_FOR_THE_FURTHEST = 1.35
_PAIR_WEIGHT = 0.25


def price_gaps(history: History) -> list[Finding]:
    """Prices a tenth or more away from what the branch's other prices would lead to expect.

    A price is a product's usual one, in its size, times how dear the branch is, both by medians.
    Worth is reckoned at an elasticity of a half, and its interval from one to none.
    """
    weeks = min(RECENT_DAYS, len(history.dates)) / 7
    items = history.sizes[history.sizes["units"] > 0].copy()
    items["price"] = items["pence"] / items["units"] / 100
    items = items[items["price"] > 0]
    prices = items.pivot(index=["product", "size"], columns="branch", values="price")
    prices = prices[prices.notna().sum(axis=1) >= LEAST_BRANCHES]
    if prices.empty:
        return []
    away = np.log(prices.to_numpy())
    for _ in range(4):
        away -= np.nanmedian(away, axis=1, keepdims=True)
        away -= np.nanmedian(away, axis=0, keepdims=True)
    noise = float(np.nanmedian(np.abs(away))) * 1.4826
    far = pd.DataFrame(away, prices.index, prices.columns).melt(
        ignore_index=False, value_name="away"
    )
    far = far.reset_index().dropna()
    far = far[np.abs(far["away"]) >= max(np.log1p(_LEAST_GAP), _GAP_DEVIATIONS * noise)]
    far = far.merge(items, on=["product", "size", "branch"])
    far["revenue"] = far["pence"] / 100 / weeks
    far = far[far["units"] >= _LEAST_UNITS_A_WEEK * weeks]
    return [
        _tell_price(group, prices)
        for _, group in far.groupby(["branch", "product", np.sign(far["away"])], sort=True)
    ]


def _tell_price(sizes: pd.DataFrame, prices: pd.DataFrame) -> Finding:
    """The sizes of one product at one branch that are out of line the same way."""
    main = sizes.iloc[int(sizes["revenue"].argmax())]
    revenue, away = sizes["revenue"].to_numpy(), sizes["away"].to_numpy()
    ends = [
        float((revenue * np.expm1(-away * (1 - elasticity))).sum())
        for elasticity in (_ELASTICITY, 1.0, 0.0)
    ]
    effect = Effect(ends[0], min(ends[1:]), max(ends[1:]))
    usual = float(main["price"] * np.exp(-main["away"]))
    branch, product = str(main["branch"]), str(main["product"])
    others = pd.Series(prices.xs((product, str(main["size"])))).dropna()
    return Finding(
        kind="price_gap",
        branch=branch,
        product=product,
        effect=effect,
        said=sentences.price_gap(
            product, branch, float(main["price"]), usual, effect, str(main["size"])
        ),
        evidence=Evidence.of(
            "price in pounds",
            [str(name) for name in others.index],
            others.to_numpy(),
            np.full(len(others), usual),
            "what its other prices lead to expect",
        ),
    )


@dataclass(frozen=True)
class PairGaps:
    """Pairs that go together beyond chance in the chain, and branches where they do not."""

    history: History

    @cached_property
    def _pairs(self) -> pd.DataFrame:
        pairs = self.history.pairs
        pairs = pairs[(pairs["orders_a"] > 0) & (pairs["orders_b"] > 0)].copy()
        pairs["chance"] = pairs["orders_a"] * pairs["orders_b"] / pairs["orders"]
        together = pairs.groupby(["product_a", "product_b"])[["orders_together", "chance"]]
        sums = together.transform("sum")
        commoner = pairs.groupby(["product_a", "product_b"])["orders_b"].transform("sum")
        many = together.transform("count")["chance"] >= LEAST_BRANCHES
        often = sums["orders_together"] >= np.maximum(_LEAST_TOGETHER, _LEAST_LIFT * sums["chance"])
        often &= sums["orders_together"] - sums["chance"] >= _LEAST_EXTRA * commoner
        return pairs[many & often].reset_index(drop=True)

    @cached_property
    def _tables(self) -> tuple[list[tuple[str, str]], Floats, Floats, Floats]:
        """The pairs, and by pair and branch the orders with both, by chance, and with the commoner."""
        wide = self._pairs.pivot(
            index=["product_a", "product_b"],
            columns="branch",
            values=["orders_together", "chance", "orders_b"],
        )
        both, chance, commoner = (
            pd.DataFrame(wide[part]).reindex(columns=list(self.history.branches)).to_numpy(float)
            for part in ("orders_together", "chance", "orders_b")
        )
        return [(str(rarer), str(other)) for rarer, other in wide.index], both, chance, commoner

    @cached_property
    def _judged(self) -> tuple[Floats, Floats, Floats]:
        """The chance of so few, and what share of the commoner's orders is lacking, with its error.

        Beyond chance each order with the commoner product brings the rarer in a share of cases,
        which is alike in all branches but for noise of the size that the others show.
        """
        _, both, chance, commoner = self._tables
        extra = (both - chance) / commoner
        usual = _median_of_others(extra)
        counting = np.sqrt(np.maximum(both, 1)) / commoner
        away = extra - usual
        branches = np.isfinite(extra).sum(axis=1, keepdims=True)
        error = np.sqrt(_variance_of_others(extra) * (1 + 1.5 / branches) + counting**2)
        freedom = np.broadcast_to(np.maximum(branches - 3, 1), away.shape)
        chances = special.stdtr(freedom, away / error)
        enough = (chance + usual * commoner >= _LEAST_EXPECTED) & (usual >= _LEAST_EXTRA)
        return np.where(enough, chances, np.nan), -away, error

    @property
    def tests(self) -> list[Tests]:
        """One of each pair and branch."""
        if self._pairs.empty:
            return []
        return [Tests(self._judged[0], _PAIR_WEIGHT, self._tell, 1)]

    def _tell(self, place: tuple[int, ...]) -> Finding:
        pairs, both, _, commoner = self._tables
        pair, row = place
        rarer, other = pairs[pair]
        branch, weeks = self.history.branches[row], min(RECENT_DAYS, len(self.history.dates)) / 7
        lacking, error = self._judged[1][place], self._judged[2][place]
        price = float(self.history.price[row, self.history.products.index(rarer)])
        base = float(commoner[place]) / weeks * price
        effect = Effect(*(base * float(lacking + x * error) for x in (0.0, -1.96, 1.96)))
        shares = both[pair] / commoner[pair]
        elsewhere = float(np.nanmedian(np.delete(shares, row)))
        return Finding(
            kind="pair_gap",
            branch=branch,
            product=rarer,
            effect=effect,
            said=sentences.pair_gap(other, rarer, branch, shares[row], elsewhere, effect),
            evidence=Evidence.of(
                f"share of orders with {other} that have {rarer}",
                list(self.history.branches),
                shares,
            ),
        )


def _median_of_others(values: Floats) -> Floats:
    """For each column the median of the rest of its row."""
    others = [np.nanmedian(np.delete(values, own, axis=1), axis=1) for own in _columns(values)]
    return np.stack(others, axis=1)


def _variance_of_others(values: Floats) -> Floats:
    """For each column the variance of the rest of its row, but for the one furthest out.

    Leaving that one out, which may be a second gap, is made up for.
    """
    found = np.empty_like(values)
    for own in _columns(values):
        rest = np.delete(values, own, axis=1)
        squares = (rest - np.nanmedian(rest, axis=1, keepdims=True)) ** 2
        count = np.isfinite(rest).sum(axis=1)
        kept = np.nansum(squares, axis=1) - np.nanmax(squares, axis=1)
        found[:, own] = _FOR_THE_FURTHEST * kept / np.maximum(count - 2, 1)
    return found


def _columns(values: Floats) -> range:
    return range(values.shape[1])
