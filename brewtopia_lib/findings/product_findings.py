"""Products that grow or fade: from fitted trends to tests and to what is said of them."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import special

from brewtopia_lib.findings import sentences
from brewtopia_lib.findings.finding import Effect, Evidence, Finding, Tests, direction
from brewtopia_lib.findings.history import History
from brewtopia_lib.findings.significance import (
    FALSE_DISCOVERY_RATE,
    Bools,
    Floats,
    q_values,
    t_quantile,
)
from brewtopia_lib.findings.trends import (
    ChainTrends,
    ProductTrends,
    chain_trends,
    fit_product_trends,
)
from brewtopia_lib.findings.weeks import by_week, compared_weeks, week_labels

_TYPICAL_TREND = 0.04
_LEAST_WEIGHT, _CHAIN_WEIGHT = 0.1, 0.25
_LIKELY_CUT = 1e-3
_ROUNDS = 3


@dataclass(frozen=True)
class ProductFindings:
    """The trends of a chain's products; those of `shared` products are the chain's, and what
    their branches do is judged against it."""

    history: History
    fitted: ProductTrends
    chain: ChainTrends
    shared: Bools

    @property
    def tests(self) -> list[Tests]:
        """One for each product of the chain, and one for each branch and product."""
        own = self.against_chain
        return [
            Tests(self.chain.p_values, _CHAIN_WEIGHT, self._tell_chain),
            Tests(own.p_values, _weights(own.error), self._tell_branch, 0),
        ]

    @cached_property
    def against_chain(self) -> ProductTrends:
        return self.fitted.against(self.chain, self.shared)

    @cached_property
    def centred(self) -> ProductTrends:
        """The trends of all products, those of the chain included, against the bulk of the rest."""
        slope = self.against_chain.slope.copy()
        slope[:, self.shared] += self.chain.slope[self.shared]
        return replace(self.fitted, slope=slope)

    @cached_property
    def weekly_revenue(self) -> Floats:
        """What each product takes now in each branch, pounds a week, by the fitted trend."""
        fitted, days = self.fitted, self.history.units.shape[-1]
        end = (days - 1) / 2 / 7
        late = slice(max(0, days - 28), days)
        with np.errstate(invalid="ignore"):
            a_day = fitted.level * np.exp(fitted.slope * (end - fitted.middle))
        usual = np.nan_to_num(_mean_known(fitted.shocks[:, late]))
        week = 7 * self.history.traded[:, late].mean(axis=1)
        weekly: Floats = a_day * (usual * week)[:, None] * np.nan_to_num(self.history.price)
        return weekly

    def _tell_branch(self, place: tuple[int, ...]) -> Finding:
        branch, product = place
        own = self.against_chain
        return self._tell(
            self.history.branches[branch],
            product,
            (own.slope[place], own.error[place], own.freedom[place]),
            float(self.weekly_revenue[place]),
            self._evidence(
                slice(branch, branch + 1), product, own.slope if self.shared[product] else None
            ),
        )

    def _tell_chain(self, place: tuple[int, ...]) -> Finding:
        (product,) = place
        chain = self.chain
        return self._tell(
            None,
            product,
            (chain.slope[product], chain.error[product], chain.freedom[product]),
            float(np.nansum(self.weekly_revenue[:, product])),
            self._evidence(slice(None), product),
        )

    def _tell(
        self,
        branch: str | None,
        product: int,
        trend: tuple[float, float, float],
        now: float,
        evidence: Evidence,
    ) -> Finding:
        slope, error, freedom = trend
        weeks = compared_weeks(self.history)
        reach = float(t_quantile(np.asarray(freedom))) * error
        effect = Effect(
            *(now * -np.expm1(-weeks * rate) for rate in (slope, slope - reach, slope + reach))
        )
        name, change = self.history.products[product], float(np.expm1(slope))
        beyond = branch is not None and bool(self.shared[product])
        return Finding(
            kind="product_trend",
            branch=branch,
            product=name,
            direction=direction(slope),
            change_per_week=change,
            effect=effect,
            said=sentences.product_trend(name, branch, change, effect, weeks, now, beyond),
            evidence=evidence,
        )

    def _evidence(
        self, branches: slice, product: int, against_chain: Floats | None = None
    ) -> Evidence:
        """Units a day of each week, as on days of the usual trade: sold, and by the trend.

        With what the trends are `against_chain`, B × P, by that of the chain instead.
        """
        fitted, history = self.fitted, self.history
        days = history.units.shape[-1]
        weeks = (np.arange(days) - (days - 1) / 2) / 7
        slope = fitted.slope[branches, product, None]
        known = history.observed[branches] & np.isfinite(slope)
        shocks = np.where(known, fitted.shocks[branches], 0.0)
        with np.errstate(invalid="ignore"):
            steady = fitted.level[branches, product, None] * np.exp(
                slope * (weeks - fitted.middle[branches, product, None])
            )
            if against_chain is not None:
                steady *= np.exp(-against_chain[branches, product, None] * (weeks - weeks[0]))
        usual = np.nan_to_num(_mean_known(fitted.shocks[branches]))[:, None]
        sold = by_week(np.where(known, history.units[branches, product], 0.0))
        passed = by_week(shocks)
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.where(passed > 0, sold / passed, np.nan) * usual
            expected = by_week(np.where(known, steady * shocks, 0.0)) / passed * usual
        return Evidence.of(
            "units a day",
            week_labels(history),
            np.nansum(values, axis=0),
            np.nansum(expected, axis=0),
            "its trend" if against_chain is None else "had it moved as in the rest of the chain",
        )


def product_findings(history: History) -> ProductFindings:
    """Fit all trends, and tell which are the chain's."""
    fitted = fit_product_trends(np.maximum(history.units, 0), history.observed, history.weekday)
    chain = chain_trends(fitted)
    shared = np.zeros(len(history.products), dtype=bool)
    for round_ in range(_ROUNDS):
        tests = ProductFindings(history, fitted, chain, shared).tests
        q = q_values(
            np.concatenate([part.chances.ravel() for part in tests]),
            np.concatenate([part.weights.ravel() for part in tests]),
        )[: len(shared)]
        found = (q <= FALSE_DISCOVERY_RATE) & (shared | (round_ == 0))
        if (found == shared).all():
            break
        shared = found
    return ProductFindings(history, fitted, chain, shared)


def _weights(error: Floats) -> Floats:
    """More for series in which a trend worth knowing may or may not be seen.

    Those of the largest power against a typical trend (Roeder and Wasserman, "Genome-wide
    significance levels and weighted hypothesis testing", 2009), with a floor, since what is
    typical is a guess. They depend on how noisy a series is and not on its slope.
    """
    power = np.minimum(_TYPICAL_TREND / error, 8.0)
    known = np.isfinite(power)
    if not known.any():
        return np.ones_like(error)
    low, high = -50.0, 500.0
    for _ in range(60):
        cut = (low + high) / 2
        mean = special.ndtr(-(power[known] / 2 + cut / power[known])).mean()
        low, high = (cut, high) if mean > _LIKELY_CUT else (low, cut)
    best = special.ndtr(-(power / 2 + cut / power)) / _LIKELY_CUT
    return np.where(known, _LEAST_WEIGHT + (1 - _LEAST_WEIGHT) * best, 1.0)


def _mean_known(values: Floats) -> Floats:
    count = np.isfinite(values).sum(axis=-1)
    mean: Floats = np.nansum(values, axis=-1) / np.where(count > 0, count, np.nan)
    return mean
