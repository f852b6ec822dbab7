"""The analyses that read better as tables than as charts: frame in, HTML out; pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from brewtopia_lib.formats import count, day, day_and_year, percent, pounds, weekday_and_day
from brewtopia_lib.pages.columns import Column, table
from brewtopia_lib.pages.markup import Html
from brewtopia_lib.pages.page import change
from brewtopia_lib.pages.product_headlines import often_together, tender
from brewtopia_lib.pages.scopes import Scope


def _change(value: Any) -> Html:
    return change(value)


def _pence(value: Any) -> str:
    return pounds(value, pence=True)


def _share(value: Any) -> str:
    return percent(value) if value else "–"


def _signed(value: Any) -> str:
    return pounds(value, signed=True)


def _left(name: str, heading: str) -> Column:
    return Column(name, heading, align="left")


def _known(frame: pd.DataFrame, columns: list[Column]) -> list[Column]:
    """The columns that have at least one value: what is not known is left out."""
    return [column for column in columns if frame[column.name].notna().any()]


def _dated(*days: pd.Series) -> Callable[[Any], str]:
    """How to write these days: with the year only where there are several."""
    years = {year for one in days for year in pd.to_datetime(one).dt.year}
    return day if len(years) == 1 else day_and_year


def league(rows: pd.DataFrame) -> Html:
    """Branches by revenue, with revenue a day, average basket and like-for-like change."""
    daily = rows.assign(a_day=rows["revenue"].astype(float) / rows["days_traded"])
    columns = [
        _left("branch", "Branch"),
        Column("revenue", "Revenue", pounds, bar=True),
        Column("days_traded", "Days", count),
        Column("a_day", "A day", pounds, wide_only=True),
        Column("average_basket", "Basket", _pence, wide_only=True),
        Column("change", "Change", _change),
    ]
    return table(daily, _known(daily, columns))


def movers(rows: pd.DataFrame, scope: Scope, limit: int = 10) -> Html:
    """Products by how much they moved in pounds a week, and what of it is volume, price and mix."""
    amounts = ["change_pounds", "volume_effect", "price_effect", "mix_effect"]
    weekly = rows.assign(**{name: rows[name].astype(float) / scope.weeks for name in amounts})
    moved = weekly["change_pounds"].abs()
    weekly = weekly.loc[moved.sort_values(ascending=False, kind="stable").index]
    columns = [
        _left("product", "Product"),
        Column("change_pounds", "£ a week", _signed),
        Column("volume_effect", "Volume", _signed),
        Column("price_effect", "Price", _signed),
        Column("mix_effect", "Mix", _signed, wide_only=True),
        Column("units", "Units", count, wide_only=True),
        Column("units_before", "Before", count, wide_only=True),
    ]
    return table(weekly, columns, limit)


def products(top: pd.DataFrame, limit: int = 10) -> Html:
    """Products by revenue, with units, shares and change."""
    columns = [
        _left("product", "Product"),
        Column("revenue", "Revenue", pounds),
        Column("revenue_share", "of revenue", percent, wide_only=True),
        Column("units", "Units", count),
        Column("unit_share", "of units", percent, wide_only=True),
        Column("change", "Change", _change),
    ]
    return table(top, _known(top, columns), limit)


def by_flavour(mix: pd.DataFrame) -> pd.DataFrame:
    """The product mix added up by flavour, most units first.

    Columns: flavour, units, revenue, unit_share (of units with a flavour).
    """
    flavoured = mix[mix["flavour"].notna()]
    frame = flavoured.groupby("flavour", as_index=False)[["units", "revenue"]].sum()
    frame["unit_share"] = frame["units"] / max(int(frame["units"].sum()), 1)
    return frame.sort_values(["units", "flavour"], ascending=[False, True], ignore_index=True)


def flavours(frame: pd.DataFrame, limit: int = 8) -> Html:
    """Flavours by units; `frame` comes from `by_flavour`."""
    columns = [
        _left("flavour", "Flavour"),
        Column("units", "Units", count, bar=True),
        Column("revenue", "Revenue", pounds),
    ]
    return table(frame, columns, limit)


def pairs(together: pd.DataFrame, limit: int = 6) -> Html:
    """Products bought together clearly more often than by chance."""
    often = often_together(together)
    named = often.assign(pair=often["product_a"] + " with " + often["product_b"])
    columns = [
        _left("pair", "Pair"),
        Column("orders_together", "Orders", count),
        Column("attach_rate", "Of the first’s", percent, wide_only=True),
        Column("lift", "Times chance", lambda value: f"{value:.1f}"),
    ]
    return table(named, columns, limit) if len(named) else Html("")


def missing_days(rows: pd.DataFrame, scope: Scope, limit: int = 12) -> Html:
    """Branch-days without sales and what they usually bring."""
    columns = [
        _left("branch", "Branch"),
        Column("sold_on", "Day", _dated(rows["sold_on"]), align="left", whole=True),
        Column("expected_revenue", "Usually", pounds),
    ]
    return table(rows, columns[1:] if scope.branch else columns, limit) if len(rows) else Html("")


def silent_products(rows: pd.DataFrame, scope: Scope, limit: int = 12) -> Html:
    """Products gone silent at a branch, and what they used to bring."""
    columns = [
        _left("product", "Product"),
        *([] if scope.branch else [_left("branch", "Branch")]),
        Column("last_sold_on", "Last sold", _dated(rows["last_sold_on"]), align="left", whole=True),
        Column("weekly_revenue", "£ a week", pounds),
    ]
    return table(rows, columns, limit) if len(rows) else Html("")


def days_of_branches(known: pd.DataFrame) -> Html:
    """The branches with their first and last day of sales; `known` is the analysis `branches`."""
    written = _dated(known["first_day"], known["last_day"])
    columns = [
        _left("branch", "Branch"),
        Column("first_day", "First day", written, align="left", whole=True),
        Column("last_day", "Last day", written, align="left", whole=True),
        Column("days", "Days", count),
        Column("orders", "Orders", count, wide_only=True),
        Column("revenue", "Revenue", _pence, wide_only=True),
    ]
    return table(known, columns) if len(known) else Html("")


def unlike_chain(mix: pd.DataFrame, chain: pd.DataFrame) -> pd.DataFrame:
    """Share of units and average price by product here and in the chain, most unlike first.

    Both frames are the product mix. Columns: product, share, price, share_chain, price_chain.
    """
    here, there = (
        frame.groupby("product")[["units", "revenue"]].sum().astype(float) for frame in (mix, chain)
    )
    both = pd.DataFrame(
        {
            "share": here["units"] / here["units"].sum(),
            "price": here["revenue"] / here["units"],
            "share_chain": there["units"] / there["units"].sum(),
            "price_chain": there["revenue"] / there["units"],
        }
    )
    both["share"] = both["share"].fillna(0.0)
    apart = (both["share"] - both["share_chain"]).abs().round(9)
    order = apart.sort_values(ascending=False, kind="stable").index
    return both.loc[order].rename_axis("product").reset_index()


def against_chain(unlike: pd.DataFrame, limit: int = 8) -> Html:
    """Products whose share of units differs most from the chain's, with prices."""
    columns = [
        _left("product", "Product"),
        Column("share", "Share of units", _share, missing="–"),
        Column("share_chain", "Share in the chain", _share, missing="–"),
        Column("price", "Price", _pence, missing="–"),
        Column("price_chain", "Price in the chain", _pence, missing="–"),
    ]
    return table(unlike, columns, limit)


def named_tenders(mix: pd.DataFrame) -> pd.DataFrame:
    """The tender mix with ways of paying in words."""
    return mix.assign(payment=[tender(str(value)) for value in mix["payment"]])


def tenders(mix: pd.DataFrame) -> Html:
    """Ways of paying with their orders and revenue."""
    columns = [
        _left("payment", "Paid by"),
        Column("orders", "Orders", count),
        Column("revenue", "Revenue", pounds),
    ]
    return table(mix, columns)


def last_days(daily: pd.DataFrame, limit: int = 7) -> Html:
    """The last days, each against its weekday last week, four-week average and last year."""
    columns = [
        Column("sold_on", "Day", weekday_and_day, align="left", whole=True),
        Column("revenue", "Revenue", pounds, missing="no sales"),
        Column("change_same_weekday_last_week", "Same day last week, like for like", _change),
        Column("change_four_week_average", "4-week mean", _change),
        Column("change_last_year", "Last year", _change),
    ]
    return table(daily.tail(limit).iloc[::-1], _known(daily.tail(limit), columns))


def reasons(summary: pd.DataFrame) -> Html:
    """Rejected rows by reason, with the money not counted."""
    columns = [
        Column("reason", "Reason", lambda value: str(value).replace("_", " "), align="left"),
        Column("rows", "Rows", count, bar=True),
        Column("files", "Files", count),
        Column("revenue_not_counted", "Not counted", _pence),
    ]
    return table(summary, columns) if len(summary) else Html("")


def file_problems(files: pd.DataFrame, limit: int = 20) -> Html:
    """Files with rejected rows or without any, worst first."""
    columns = [
        _left("source", "File"),
        Column("feed", "Feed", align="left", wide_only=True),
        Column("rows", "Rows", count),
        Column("rejected", "Rejected", count),
        Column("revenue_not_counted", "Not counted", _pence),
    ]
    bad = files[(files["rejected"] > 0) | (files["rows"] == 0)]
    return table(bad, columns, limit) if len(bad) else Html("")


def mismatched_totals(rows: pd.DataFrame, limit: int = 20) -> Html:
    """Orders whose total is not the sum of their lines, by branch."""
    columns = [
        _left("branch", "Branch"),
        Column("orders", "Orders", count),
        Column("difference", "Difference", lambda value: pounds(value, pence=True, signed=True)),
    ]
    return table(rows, columns, limit) if len(rows) else Html("")


def look_alikes(rows: pd.DataFrame, limit: int = 20) -> Html:
    """Products whose names look alike, with revenue and average price of both."""
    columns = [
        _left("product_a", "One"),
        _left("product_b", "Other"),
        Column("revenue_a", "Revenue", pounds),
        Column("revenue_b", "Other’s revenue", pounds),
        Column("average_price_a", "Price", _pence, wide_only=True),
        Column("average_price_b", "Other’s price", _pence, wide_only=True),
    ]
    return table(rows, columns, limit) if len(rows) else Html("")


def facts(values: Mapping[str, Any]) -> Html:
    """Names and what they come to; groups and lists of facts are left out, and nothing comes of none."""
    plain = {name: one for name, one in values.items() if not isinstance(one, Mapping | list)}
    frame = pd.DataFrame(
        [(name.replace("_", " "), f"{one:,}" if type(one) is int else str(one))
         for name, one in plain.items()],
        columns=["name", "value"],
    )  # fmt: skip
    return table(frame, [_left("name", ""), Column("value", "")]) if len(frame) else Html("")


def failures(found: Sequence[tuple[str, str]], limit: int = 20) -> Html:
    """The files that could not be cleaned, and why; nothing where there is none."""
    frame = pd.DataFrame(found, columns=["source", "why"])
    # why begins with which
    return table(frame, [_left("why", "Not cleaned")], limit) if len(frame) else Html("")


def ledger(files: pd.DataFrame, limit: int = 20) -> Html:
    """The current version of each file, the one cleaned last first; `files` is `quality_files`."""
    newest = files.sort_values(["cleaned_at", "source"], ascending=[False, True])
    columns = [
        _left("source", "File"),
        Column("feed", "Feed", align="left", wide_only=True),
        Column("rows", "Rows", count),
        Column("orders", "Orders", count),
        Column("rejected", "Rejected", count),
        Column("revenue", "Revenue", _pence),
        Column("cleaned_at", "Cleaned (UTC)", lambda at: f"{at:%Y-%m-%d %H:%M}", wide_only=True),
    ]
    return table(newest, columns, limit)
