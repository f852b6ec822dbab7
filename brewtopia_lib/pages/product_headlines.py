"""What the frames on products and orders say in one sentence, computed from their numbers; pure.

As in `headlines`, None is where there is nothing to look at.
"""

import pandas as pd

from brewtopia_lib.formats import (
    count,
    listed,
    percent,
    plural,
    pounds,
    records,
)
from brewtopia_lib.pages.headline import LEVEL, NEAR, Headline, greatest, shares
from brewtopia_lib.pages.scopes import Scope

PAIR_LIFT = 1.2
"""Pairs bought together less often than this times chance are not spoken of."""
PAIR_DEVIATIONS = 4
"""Nor are those less far above chance than this: the top of several hundred pairs is lucky."""


def top_products(top: pd.DataFrame) -> Headline | None:
    """What earns most and what sells most often."""
    rows = records(top)
    if not rows:
        return None
    earner = min(rows, key=lambda row: int(row["revenue_rank"]))
    seller = min(rows, key=lambda row: int(row["units_rank"]))
    share = percent(earner["revenue_share"], digits=0)
    if earner is seller:
        text = f"{earner['product']} both earns most and sells most often"
    else:
        text = f"{earner['product']} earns most; {seller['product']} sells most often"
    return Headline(
        text,
        f"{earner['product']} took {pounds(earner['revenue'])}, {share} of revenue; "
        f"{count(seller['units'])} units of {seller['product']} were sold.",
    )


def movers(moved_products: pd.DataFrame, scope: Scope) -> Headline | None:
    """What the changes of all products add up to; None where not one of them moved."""
    if not moved_products["change_pounds"].any():
        return None
    columns = ["change_pounds", "price_effect", "volume_effect", "mix_effect"]
    total, price, volume, mix = (
        float(moved_products[name].astype(float).sum()) / scope.weeks for name in columns
    )
    effects = {"volume": volume, "price": price, "mix": mix}
    numbers = (
        f"Together {pounds(total, signed=True)} a week: volume {pounds(volume, signed=True)}, "
        f"price {pounds(price, signed=True)}, mix {pounds(mix, signed=True)}."
    )
    before = float(moved_products["revenue_before"].astype(float).sum()) / scope.weeks
    if abs(total) < LEVEL * before:
        return Headline(f"Products together earned what they did in {scope.before}", numbers)
    telling = [name for name in effects if round(effects[name])]
    because = ", ".join(f"{name} {pounds(effects[name], signed=True)}" for name in telling)
    return Headline(
        f"Products together earned {pounds(abs(total))} a week {'more' if total > 0 else 'less'} "
        f"like for like: {because}",
        numbers,
    )


def sizes(mix: pd.DataFrame) -> Headline | None:
    """The size sold most."""
    rows = records(mix)
    if not rows:
        return None
    top = greatest(rows, "unit_share")
    text = f"{top['size']} is {percent(top['unit_share'], digits=0)} of what comes in sizes"
    others = [row for row in rows if row is not top]
    next_one = greatest(others, "unit_share") if others else None
    if next_one and float(next_one["unit_share"]) > (1 - NEAR) * float(top["unit_share"]):
        text = f"{top['size']} and {next_one['size']} sell about equally often"
    return Headline(text, shares(rows, "size", "unit_share"))


def flavours(mix: pd.DataFrame) -> Headline | None:
    """The flavour sold most; `mix` is one row per flavour with units and unit_share."""
    rows = records(mix)
    if not rows:
        return None
    top = greatest(rows, "units")
    share = percent(top["unit_share"], digits=0)
    if len(rows) == 1:
        return Headline(
            f"{top['flavour']} is the only flavour", f"{count(top['units'])} units of it."
        )
    return Headline(
        f"{top['flavour']} is the flavour sold most: {share} of flavoured units",
        f"{count(top['units'])} units of {plural(sum(row['units'] for row in rows), 'unit')} "
        "with a flavour.",
    )


def unlike_chain(rows: pd.DataFrame, scope: Scope) -> Headline | None:
    """The product it sells whose share of units differs most from the chain's."""
    sold = records(rows[rows["share"] > 0])
    if not sold:
        return None
    top = sold[0]
    share, chain = percent(top["share"]), percent(top["share_chain"])
    numbers = f"{top['product']} is {share} of units at {scope.branch}, {chain} in the chain."
    if abs(float(top["share"]) - float(top["share_chain"])) < 2 * LEVEL:
        return Headline(f"{scope.branch} sells much the same as the chain", numbers)
    way = "more" if top["share"] > top["share_chain"] else "less"
    return Headline(
        f"{top['product']} sells {way} here: {share} of units, {chain} in the chain", numbers
    )


def baskets(sizes_of_orders: pd.DataFrame) -> Headline | None:
    """How many items most orders hold."""
    rows = records(sizes_of_orders)
    if not rows:
        return None
    small = sum(float(row["order_share"]) for row in rows if int(row["items"]) <= 2)
    return Headline(
        f"{percent(small, digits=0)} of orders hold one or two items",
        listed(
            [
                f"{percent(row['order_share'], digits=0)} hold {row['items']}"
                + (" or more" if int(row["items"]) == 7 else "")
                for row in rows
            ]
        ).capitalize()
        + ".",
    )


def often_together(pairs_found: pd.DataFrame) -> pd.DataFrame:
    """The pairs bought together clearly more often than by chance, most above it first."""
    expected = pairs_found["orders_together"] / pairs_found["lift"]
    deviations = (pairs_found["orders_together"] - expected) / expected**0.5
    return pairs_found[(pairs_found["lift"] >= PAIR_LIFT) & (deviations >= PAIR_DEVIATIONS)]


def pairs(pairs_found: pd.DataFrame) -> Headline | None:
    """The pair of products bought together most above chance, where there is one."""
    if pairs_found.empty:
        return None
    rows = records(often_together(pairs_found))
    if not rows:
        return Headline(
            "No pair is bought together much more often than by chance",
            f"{plural(len(pairs_found), 'frequent pair')} looked at.",
        )
    top = rows[0]
    a, b, lift = top["product_a"], top["product_b"], float(top["lift"])
    return Headline(
        f"{percent(top['attach_rate'], digits=0)} of orders with {a} also hold {b}, "
        f"{lift:.1f} times what chance would give",
        f"{count(top['orders_together'])} orders hold both {a} and {b}.",
    )


def tenders(mix: pd.DataFrame) -> Headline | None:
    """How most orders are paid for."""
    rows = records(mix)
    if not rows:
        return None
    top = greatest(rows, "order_share")
    name = tender(str(top["payment"]))
    text = f"{name} pays for {percent(top['order_share'], digits=0)} of orders"
    named = [{**row, "payment": tender(str(row["payment"]))} for row in rows]
    return Headline(text, shares(named, "payment", "order_share"))


def tender(payment: str) -> str:
    """A way of paying in words."""
    return {"CARD": "Card", "CASH": "Cash", "UNKNOWN": "Unknown"}.get(payment, payment)
