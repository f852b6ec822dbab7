"""Missed revenue: products not sold here, and hours not open; from comparable branches; pure."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from brewtopia_lib.findings import sentences
from brewtopia_lib.findings.comparable import LEAST_LIKE, LEVEL, Expected, comparable, expected
from brewtopia_lib.findings.finding import Effect, Evidence, Finding
from brewtopia_lib.findings.history import RECENT_DAYS, History
from brewtopia_lib.findings.significance import Bools, Floats

_MOST_OF_THEM = 0.75
_LEAST_POUNDS = 5.0
_LEAST_WEEKS_SOLD = 3
_NEW_PRIOR, _NEW_PRIOR_SPREAD = 0.5, 0.3
_SHARES = (np.arange(60) + 0.5) / 60
_OPEN_ON = 0.6
_STRONG = 3.0
_LEAST_STAYING_AWAY = 0.1


@dataclass(frozen=True)
class Opportunities:
    """What the branches most like each other lead to expect of each."""

    history: History

    @cached_property
    def revenue(self) -> Floats:
        """Of each branch and product, pounds a week of late, B × P."""
        return self.history.recent("pence") / 100 / self._weeks[:, None]

    @cached_property
    def _weeks(self) -> Floats:
        weeks: Floats = np.maximum(self.history.traded[:, -RECENT_DAYS:].sum(axis=1), 1) / 7
        return weeks

    @cached_property
    def like(self) -> Bools:
        """The comparable branches of each."""
        return comparable(self.revenue)

    @cached_property
    def sold(self) -> Bools:
        """What each branch sells as a matter of course, B × P."""
        late = self.history.units[..., -RECENT_DAYS:] > 0
        days = self.history.traded[:, -RECENT_DAYS:].sum(axis=1)
        sold: Bools = late.sum(axis=-1) >= np.maximum(0.5 * days, 7 * _LEAST_WEEKS_SOLD)[:, None]
        return sold

    @cached_property
    def _ratios(self) -> Floats:
        """The logarithm of a product's revenue to that of the rest of the menu."""
        rest = self.revenue.sum(axis=1, keepdims=True) - self.revenue
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.sold & (rest > 0), np.log(self.revenue / rest), np.nan)

    @cached_property
    def expected_ratios(self) -> Expected:
        """What that ratio should be in each branch, by those like it."""
        return expected(self._ratios, self.like)

    @cached_property
    def left_out(self) -> tuple[Floats, Bools]:
        """How well known products are foretold from the other branches: errors, and covered.

        An error is a fraction of what the branch really takes.
        """
        known = np.isfinite(self._ratios) & np.isfinite(self.expected_ratios.value)
        away = self.expected_ratios.value - self._ratios
        return np.abs(np.expm1(away[known])), np.abs(away[known]) <= self.expected_ratios.reach[
            known
        ]

    @property
    def typical_error(self) -> float:
        """The median of those errors."""
        errors, _ = self.left_out
        return float(np.median(errors)) if len(errors) else 0.0

    @cached_property
    def gross(self) -> Floats:
        """What each branch would sell of each product, pounds a week, if it sells none; else NaN."""
        never = ~(self.history.units > 0).any(axis=-1)
        rest = self.revenue.sum(axis=1, keepdims=True)
        most = self.expected_ratios.sellers >= _MOST_OF_THEM * self.like.sum(axis=1, keepdims=True)
        gross: Floats = np.where(never & most, np.exp(self.expected_ratios.value) * rest, np.nan)
        return gross

    @cached_property
    def new_money(self) -> tuple[float, float]:
        """Which share of a product's revenue is new, and the uncertainty of that.

        Branches without some products should have smaller baskets than those like them, by what
        the products would bring, if it were all new, and as large ones if it were all taken from
        other products. What the chain's branches tell is added to a prior of a half.
        """
        orders = self.history.orders[:, -RECENT_DAYS:].sum(axis=1) / self._weeks
        sellers = np.maximum(self.sold.sum(axis=0), 1)
        price = np.where(self.sold, self.history.price, 0.0).sum(axis=0) / sellers
        units = self.history.recent("units") / self._weeks[:, None]
        basket = (units * price).sum(axis=1) / np.maximum(orders, 1)
        missed = np.nansum(self.gross, axis=1) / np.maximum(orders, 1)
        others = np.maximum(self.like.sum(axis=1), 1)
        some = (self.like.sum(axis=1) >= LEAST_LIKE) & (basket > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            smaller = np.log(basket) - self.like @ np.log(np.maximum(basket, 1e-9)) / others
            share = missed / basket
            lacks = share - self.like @ np.nan_to_num(share) / others
        x, y = lacks[some], -smaller[some]
        precision, total = _NEW_PRIOR_SPREAD**-2, _NEW_PRIOR * _NEW_PRIOR_SPREAD**-2
        if len(x) > LEAST_LIKE and (x**2).sum() > 0:
            slope = (x * y).sum() / (x**2).sum()
            noise = np.median(np.abs(y - slope * x)) * 1.4826 * len(x) / (len(x) - 1)
            told = (x**2).sum() / max(noise, 1e-6) ** 2
            precision, total = precision + told, total + told * slope
        return float(total / precision), float(precision**-0.5)

    def net(self, row: int, product: int) -> tuple[Effect, Effect]:
        """What one product would bring a branch, in all and in new money, pounds a week."""
        mean, spread = self.new_money
        ends = special.ndtr((np.array([0.0, 1.0]) - mean) / spread)
        quantiles = np.clip(ends[0] + _SHARES * (ends[1] - ends[0]), 1e-12, 1 - 1e-12)
        new = np.clip(mean + spread * special.ndtri(quantiles), 0.0, 1.0)
        best, reach = self.gross[row, product], self.expected_ratios.reach[row, product]
        deviation = reach / special.ndtri((1 + LEVEL) / 2)
        grosses = best * np.exp(deviation * special.ndtri(_SHARES))
        nets = np.outer(grosses, new)
        low, high = np.quantile(nets, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        gross = Effect(float(best), float(best * np.exp(-reach)), float(best * np.exp(reach)))
        return gross, Effect(float(best * new.mean()), float(low), float(high))

    def missed_products(self) -> list[Finding]:
        """What most branches like it sell, and a branch has never sold in the window.

        One finding a branch, of the product that would bring most; its detail names the others.
        """
        found = []
        for row in np.nonzero(np.isfinite(self.gross).any(axis=1))[0].tolist():
            order = np.argsort(np.nan_to_num(-self.gross[row], nan=1.0), kind="stable")
            best, *rest = (int(one) for one in order if np.isfinite(self.gross[row, one]))
            gross, net = self.net(row, best)
            if net.pounds < _LEAST_POUNDS:
                continue
            branch, name = self.history.branches[row], self.history.products[best]
            alike = [other for other in np.nonzero(self.like[row])[0] if self.sold[other, best]]
            others = [(self.history.products[one], float(self.gross[row, one])) for one in rest]
            found.append(
                Finding(
                    kind="missed_product",
                    branch=branch,
                    product=name,
                    effect=net,
                    said=sentences.missed_product(
                        name, branch, gross, net, len(alike), self.typical_error, others
                    ),
                    evidence=Evidence.of(
                        "pounds a week at branches like it",
                        [self.history.branches[other] for other in alike],
                        self.revenue[alike, best],
                        np.full(len(alike), gross.pounds),
                        "what it would sell",
                    ),
                )
            )
        return found

    # --- opening hours

    def opening_hours(self) -> list[Finding]:
        """Hours that most branches like it are open, where the hour beside them is strong.

        Strong is what is more than those branches lead to expect of that hour: some of the
        customers come then instead, and the rest do not come at all.
        """
        found = []
        hours = (self.history.orders_by_hour * self.history.observed[..., None]).sum(axis=1)
        on = (self.history.orders_by_hour > 0) & self.history.observed[..., None]
        days = np.maximum(self.history.observed.sum(axis=1, keepdims=True), 1)
        is_open = on.sum(axis=1) >= _OPEN_ON * days
        for early in (True, False):
            edge = np.where(
                is_open.any(axis=1),
                is_open.argmax(axis=1) if early else 23 - is_open[:, ::-1].argmax(axis=1),
                -1,
            )
            for row in np.nonzero(edge >= 0)[0]:
                finding = self._opening_hour(int(row), int(edge[row]), hours, is_open, early)
                found += [finding] if finding else []
        return found

    def _opening_hour(
        self, row: int, edge: int, hours: Floats, is_open: Bools, early: bool
    ) -> Finding | None:
        beyond = edge - 1 if early else edge + 1
        like = self.like[row]
        open_then = like & is_open[:, beyond % 24]
        if not 0 <= beyond < 24 or open_then.sum() < max(LEAST_LIKE, _MOST_OF_THEM * like.sum()):
            return None
        core = is_open[row].copy()
        core[edge] = False
        total = hours[:, core].sum(axis=1)
        if not core.any() or (total[open_then] <= 0).any() or total[row] <= 0:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.log(hours[:, [beyond, edge]] / total[:, None])
        count = int(open_then.sum())
        mean = shares[open_then].mean(axis=0)
        noise = np.sqrt(
            (shares[open_then].var(axis=0, ddof=1) + 1 / np.maximum(hours[row, edge], 1))
            * (1 + 1 / count)
        )
        strength = (shares[row, 1] - mean[1]) / noise[1]
        there = np.exp(mean[0])
        already = np.exp(shares[row, 1]) - np.exp(mean[1])
        if not strength > _STRONG or already < _LEAST_STAYING_AWAY * there or already > there:
            return None
        weeks = max(len(self.history.dates) / 7, 1)
        basket = self.history.takings[row].sum() / max(self.history.orders[row].sum(), 1)
        worth = total[row] / weeks * basket
        reach = noise[0] * float(special.stdtrit(count - 1, (1 + LEVEL) / 2))
        effect = Effect(
            *(float(worth * (there * np.exp(x) - already)) for x in (0.0, -reach, reach))
        )
        opens, other = (edge, beyond) if early else (edge + 1, beyond + 1)
        branch = self.history.branches[row]
        shown = list(range(min(edge, beyond) - 1, max(edge, beyond) + 2))
        shown = [hour for hour in shown if 0 <= hour < 24]
        usual = np.exp(np.log(np.maximum(hours[open_then], 0.5) / total[open_then, None]).mean(0))
        per_day = max(float(self.history.observed[row].sum()), 1.0)
        return Finding(
            kind="opening_hours",
            branch=branch,
            effect=effect,
            said=sentences.opening_hours(branch, opens, other, effect, early=early, sellers=count),
            evidence=Evidence.of(
                "orders an hour",
                [f"{hour:02}:00" for hour in shown],
                hours[row, shown] / per_day,
                usual[shown] * total[row] / per_day,
                "branches like it",
            ),
        )
