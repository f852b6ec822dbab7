"""The pieces of a page: escaped, complete, and silent about what is not known."""

import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_charts import contrast
from test_scopes import SCOPE

from brewtopia_lib import charts
from brewtopia_lib.pages import markup, page, pictures, tables
from brewtopia_lib.pages.columns import Column, table
from brewtopia_lib.pages.headline import Headline

HEADLINE = Headline("Tea <b>leads</b>", "£5 & more")


class Reader(HTMLParser):
    """The tags and the text of a piece, as a browser would read them."""

    def __init__(self, piece: markup.Html) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(piece.markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def headline_row(**known: float) -> pd.DataFrame:
    columns = (
        "revenue orders average_basket items change_comparable change_orders_comparable "
        "change_average_basket_comparable change_items_comparable change_comparable_last_year "
        "days_traded days_traded_before comparable_days"
    )
    return pd.DataFrame([dict.fromkeys(columns.split(), np.nan) | known])


@given(st.text())
def test_text_from_the_data_is_text(name: str) -> None:
    """Whatever a name holds, no element and no attribute comes of it, anywhere it is shown."""
    frame = pd.DataFrame({"name": [name], "value": [1.0]})
    columns = [Column("name", "Name"), Column("value", "Value", bar=True)]
    plain = pd.DataFrame({"name": ["Tea"], "value": [1.0]})
    for hostile, harmless in (
        (table(frame, columns), table(plain, columns)),
        (page.section(Headline(name, name), name), page.section(Headline("Tea", ""), "Tea")),
        (page.facts("Title", [(name, name)]), page.facts("Title", [("a", "b")])),
    ):
        assert (
            Reader(markup.Html(hostile.markup.replace(" long", ""))).tags == Reader(harmless).tags
        )


def test_a_sign_stays_with_its_pound() -> None:
    """No line breaks between a sign and the pound sign that follows it."""
    assert markup.safe("−£5 & +£6") == "−&#8288;£5 &amp; +&#8288;£6"


def test_alternative_text_is_headline_and_numbers() -> None:
    """A chart's image says in words what it shows, mark-up escaped."""
    baskets = pd.DataFrame({"items": [1, 2], "order_share": [0.6, 0.4]})
    piece = page.chart(HEADLINE, "Share of orders", charts.basket_sizes, baskets)
    images = [attributes for tag, attributes in Reader(piece).tags if tag == "img"]
    assert [image["alt"] for image in images] == ["Share of orders. Tea <b>leads</b>. £5 & more"]
    assert not any(tag == "b" for tag, _ in Reader(piece).tags)


def test_a_chart_has_a_narrow_variant() -> None:
    """A full chart carries a narrow drawing for small screens; a half one is always narrow."""
    baskets = pd.DataFrame({"items": [1, 2], "order_share": [0.6, 0.4]})
    full = dict(Reader(page.chart(HEADLINE, "", charts.basket_sizes, baskets)).tags)
    half = dict(Reader(page.chart(HEADLINE, "", charts.basket_sizes, baskets, half=True)).tags)
    assert full["source"]["media"] == pictures.NARROW_SCREEN
    assert full["source"]["width"] == half["img"]["width"] == "340"
    assert full["img"]["width"] == "820"
    assert "source" not in half


def test_without_a_headline_there_is_nothing() -> None:
    """What has no headline is left out whole, chart and card."""
    assert not page.section(None, "Revenue")
    assert not page.chart(None, "Revenue", charts.basket_sizes, pd.DataFrame())
    assert not page.side_by_side(markup.NOTHING, markup.NOTHING)


def test_the_four_numbers() -> None:
    """Revenue, orders, basket and items are shown with their like-for-like changes."""
    row = headline_row(
        revenue=141204.4,
        orders=18230,
        average_basket=7.744,
        items=49310,
        change_comparable=0.031,
        change_orders_comparable=-0.012,
        change_average_basket_comparable=0.0,
        days_traded=84,
        days_traded_before=84,
        comparable_days=84,
    )
    text = Reader(page.kpis(row, SCOPE)).text
    for said in ("£141,204", "▲ +3.1% on the 4 weeks before", "▼ −1.2%", "£7.74", "49,310"):
        assert said in text
    assert "last year" not in text
    assert "like for like" not in text


def test_what_was_compared_is_said() -> None:
    """Where some branch-days count on one side only, the page says how many were compared."""
    row = headline_row(
        revenue=1,
        change_comparable=0.1,
        days_traded=503,
        days_traded_before=504,
        comparable_days=502,
    )
    text = Reader(page.kpis(row, SCOPE)).text
    assert "over 502 branch-days with sales in both periods, of 503 in this and 504" in text
    assert "over 502 days" in Reader(page.kpis(row, replace(SCOPE, branch="Hull"))).text


def test_the_chain_stands_beside_a_known_change_alone() -> None:
    """Where a branch has no change of its own, that of the chain would be taken for it."""
    scope, chain = replace(SCOPE, branch="Hull"), headline_row(change_comparable=0.02)
    own = headline_row(revenue=1, change_comparable=0.1)
    assert "chain +2.0%" in Reader(page.kpis(own, scope, chain)).text.replace("▲ ", "")
    assert "chain" not in Reader(page.kpis(headline_row(revenue=1), scope, chain)).text


def test_the_branches_of_the_period_are_counted() -> None:
    """The header of the chain's page has the branches that traded in the period."""
    headline = headline_row(branches=2)
    assert "· 2 branches" in Reader(page.header("Chain", SCOPE, headline=headline)).text
    hull = replace(SCOPE, branch="Hull")
    assert "branches" not in Reader(page.header("Hull", hull, headline=headline)).text


def test_sources_name_the_days_that_were_looked_at() -> None:
    """The period begins with the sales in it, or stays whole where they begin later; one day is one."""
    coverage = "rejected branches files orders lines revenue revenue_not_counted"
    covered = pd.DataFrame(
        [dict.fromkeys(coverage.split(), 1)
         | {"first_day": date(2024, 1, 1), "last_day": date(2024, 6, 30)}]
    )  # fmt: skip
    hull = replace(SCOPE, branch="Hull", first_day=date(2024, 6, 30))
    text = Reader(page.sources(covered, hull)).text
    assert "PeriodSun 30 June 2024Sales of HullSun 30 June 2024Sales of the chainMon 1" in text
    later = replace(hull, first_day=date(2024, 7, 1), last_day=date(2024, 7, 9))
    assert "PeriodMon 3 June 2024 to Sun 30 June 2024" in Reader(page.sources(covered, later)).text


def test_unknown_numbers_are_not_zero() -> None:
    """What is not known is a dash, without a change."""
    text = Reader(page.kpis(headline_row(orders=0, items=0), SCOPE)).text
    assert text.count("–") == 2
    assert "%" not in text


def test_changes_have_arrow_sign_and_colour() -> None:
    """A change is told by arrow, sign and class together, and unknown ones not at all."""
    assert page.change(0.05).markup == '<span class="up">▲ +5.0%</span>'
    assert page.change(-0.05).markup == '<span class="down">▼ −5.0%</span>'
    assert page.change(0.0001).markup == '<span class="flat">0.0%</span>'
    assert not page.change(float("nan"))


def test_long_tables_are_cut_and_say_so() -> None:
    """A table shows its limit and how many rows it leaves out."""
    frame = pd.DataFrame({"name": [f"Row {number}" for number in range(12)]})
    piece = table(frame, [Column("name", "Name")], limit=10)
    assert piece.markup.count("<tr>") == 11
    assert "and 2 more" in piece.markup


def test_columns_without_a_single_value_are_left_out() -> None:
    """A league without comparable history has no column of changes."""
    league = pd.DataFrame(
        {
            "branch": ["Leeds"],
            "revenue": [100.0],
            "average_basket": [5.0],
            "days_traded": [2],
            "change": [np.nan],
        }
    )
    assert "Change" not in tables.league(league).markup
    assert "Change" in tables.league(league.assign(change=0.1)).markup
    assert "£50" in tables.league(league).markup


def test_flavours_are_added_up() -> None:
    """Flavours sum over products and sizes; plain products have none."""
    mix = pd.DataFrame(
        {
            "product": ["Latte", "Latte", "Mocha", "Tea"],
            "flavour": ["Hazelnut", "Vanilla", "Hazelnut", None],
            "units": [10, 5, 5, 100],
            "revenue": [30.0, 15.0, 15.0, 100.0],
        }
    )
    flavours = tables.by_flavour(mix)
    assert flavours["flavour"].tolist() == ["Hazelnut", "Vanilla"]
    assert flavours["unit_share"].tolist() == [0.75, 0.25]


def test_a_branch_is_unlike_the_chain_by_share_of_units() -> None:
    """Products are ranked by how far their share is from the chain's; unsold ones have none."""
    columns = ["product", "units", "revenue"]
    here = pd.DataFrame([("Tea", 90, 180.0), ("Latte", 10, 30.0)], columns=columns)
    chain = pd.DataFrame(
        [("Tea", 50, 100.0), ("Latte", 30, 90.0), ("Scone", 20, 40.0)], columns=columns
    )
    unlike = tables.unlike_chain(here, chain)
    assert unlike["product"].tolist() == ["Tea", "Latte", "Scone"]
    assert unlike["share"].tolist() == pytest.approx([0.9, 0.1, 0.0])
    assert "£2.00" in tables.against_chain(unlike).markup


def test_what_has_no_value_is_said() -> None:
    """A product that is not sold has a dash for share and price, a day without sales says so."""
    columns = ["product", "units", "revenue"]
    here = pd.DataFrame([("Tea", 90, 180.0)], columns=columns)
    chain = pd.DataFrame([("Tea", 50, 100.0), ("Scone", 20, 40.0)], columns=columns)
    assert Reader(tables.against_chain(tables.unlike_chain(here, chain))).text.endswith(
        "Scone–28.6%–£2.00Tea100.0%71.4%£2.00£2.00"
    )
    changes = ["same_weekday_last_week", "four_week_average", "last_year"]
    days = pd.DataFrame(
        {"sold_on": pd.to_datetime(["2024-06-11", "2024-06-12"]), "revenue": [np.nan, 5.0]}
    ).assign(**{f"change_{name}": 0.1 for name in changes})
    assert "Tue 11 Junno sales" in Reader(tables.last_days(days)).text


def test_headings_are_told_apart() -> None:
    """No two columns of a table have one heading, for those who hear it."""
    mix = pd.DataFrame([("Tea", 90, 180.0)], columns=["product", "units", "revenue"])
    alike = dict.fromkeys(["revenue_a", "revenue_b", "average_price_a", "average_price_b"], 1.0)
    for piece in (
        tables.against_chain(tables.unlike_chain(mix, mix)),
        tables.look_alikes(pd.DataFrame([{"product_a": "Tea", "product_b": "tea", **alike}])),
    ):
        headings = re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", piece.markup)
        assert len(headings) == len(set(headings)) > 4


def test_movers_are_ranked_by_what_they_moved() -> None:
    """The products that moved most, up or down, come first, whatever made them move."""
    moved = pd.DataFrame(
        {"product": ["Latte", "Mocha", "Tea"], "change_pounds": [10.0, -400.0, 200.0]}
    ).assign(volume_effect=[900.0, 0, 0], price_effect=[-890.0, 0, 0], mix_effect=0.0,
             units=1, units_before=1)  # fmt: skip
    text = Reader(tables.movers(moved, SCOPE)).text
    assert text.index("Mocha") < text.index("Tea") < text.index("Latte")


def test_the_branch_is_not_repeated_on_its_page() -> None:
    """What is missing names its branch on the chain's page alone, with days as short as can be."""
    rows = pd.DataFrame(
        {
            "branch": "Hull",
            "product": "Tea",
            "sold_on": pd.to_datetime(["2024-06-12"]),
            "last_sold_on": pd.to_datetime(["2024-06-12"]),
            "expected_revenue": 400.0,
            "weekly_revenue": 40.0,
        }
    )
    for made in (tables.missing_days, tables.silent_products):
        assert "Hull" in Reader(made(rows, SCOPE)).text
        assert "Hull" not in Reader(made(rows, replace(SCOPE, branch="Hull"))).text
        assert "12 Jun" in Reader(made(rows, SCOPE)).text
    years = pd.DataFrame(
        {"branch": ["Hull"], "first_day": pd.to_datetime(["2023-12-31"]),
         "last_day": pd.to_datetime(["2024-06-30"]), "days": 2, "orders": 3, "revenue": 4.0}
    )  # fmt: skip
    assert "31 Dec 2023" in Reader(tables.days_of_branches(years)).text


def test_only_long_words_may_be_broken() -> None:
    """Ordinary words stay whole in a table, and one that would widen the page may be broken."""
    frame = pd.DataFrame(
        {"name": ["Flavoured latte - Strawberries", "Newcastle-upon-Tyne", "x" * 14]}
    )
    classes = [
        attributes["class"]
        for tag, attributes in Reader(table(frame, [Column("name", "Name")])).tags
        if tag == "th"
    ]
    assert classes[1:] == ["right", "right", "right long"]


def test_a_day_stays_on_one_line() -> None:
    """Days are not broken between weekday and month, on however small a screen."""
    days = pd.DataFrame({"sold_on": pd.to_datetime(["2024-06-12"]), "revenue": 1.0}).assign(
        change_same_weekday_last_week=0.1, change_four_week_average=0.1, change_last_year=0.1
    )
    assert '<th scope="row" class="left whole">Wed 12 Jun</th>' in tables.last_days(days).markup


def test_a_measure_stands_over_something() -> None:
    """Where no table came of it, nothing is said of what the table would show."""
    assert "Rows" not in page.section(HEADLINE, "Rows", markup.NOTHING).markup
    assert "Rows" in page.section(HEADLINE, "Rows", table(pd.DataFrame(), [])).markup
    assert "Why" in page.section(HEADLINE, "Why").markup


def test_colours_of_the_page_have_contrast() -> None:
    """Every colour of text meets WCAG AA on cards and on the page."""
    variables = dict(re.findall(r"--(\w+): (#\w{6})", page.style().markup))
    for name in ("ink", "muted", "coffee", "up", "down"):
        for ground in ("card", "paper"):
            assert contrast(variables[name], variables[ground]) >= 4.5, (name, ground)
