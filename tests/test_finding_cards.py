"""The findings at the top of a report: ranked, shown, said plainly, and fit for a mail."""

from dataclasses import replace
from datetime import date, timedelta
from typing import get_args

import pytest
from test_page import Reader
from test_scopes import SCOPE

from brewtopia_lib.findings import Found
from brewtopia_lib.findings.finding import Effect, Evidence, Finding, Kind, Said
from brewtopia_lib.mail.digests import read_digest
from brewtopia_lib.pages.chart_style import svg
from brewtopia_lib.pages.finding_cards import MOST_CARDS, MOST_MAILED, top_findings, worth
from brewtopia_lib.pages.finding_charts import evidence
from brewtopia_lib.pages.markup import DIGEST, Html

SCRIPT = "<script>alert(1)</script>"


def finding(kind: Kind = "product_trend", pounds: float = 38.4, name: str = "Chai") -> Finding:
    return Finding(
        kind, "Leeds", Effect(pounds, pounds - 9, pounds + 9), Said(f"{name} moves.", "Likely so."),
        Evidence("units a day", ("2024-06-10", "2024-06-17", "2024-06-24"), (4.0, None, 6.0)),
        product=name, since=date(2024, 6, 17),
    )  # fmt: skip


def shown(*findings: Finding) -> Html:
    return top_findings(Found(list(findings), [], 400, 26), SCOPE)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_each_kind_says_what_it_is_worth(kind: Kind) -> None:
    """What goes on is worth pounds a week, what happened once is not, an idea is to be gained."""
    way, said = worth(finding(kind))
    once, idea = ("missing_day", "unusual_day"), ("missed_product", "pair_gap", "opening_hours")
    expected = {
        kind in once: ("up", "+£38 once"),
        kind in (*idea, "price_gap"): ("idea", "£38 a week to gain"),
    }.get(True, ("up", "+£38 a week"))
    assert (way, said) == expected
    if kind == "price_gap":
        assert worth(finding(kind, -38)) == ("idea", "£38 a week at stake")
    elif kind not in idea:
        assert worth(finding(kind, -38))[0] == "down"


def test_a_card_has_worth_sentence_detail_and_chart() -> None:
    """Each of the first findings is a card with its chart, which says in words what it shows."""
    page = Reader(shown(finding()))
    for said in (
        "▲ +\u2060£38 a week",
        "Chai moves.",
        "Likely so.",
        "26 weeks to Sun 30 June 2024",
    ):
        assert said in page.text
    (image,) = (attributes for tag, attributes in page.tags if tag == "img")
    assert image["alt"] == "Units a day. Chai moves."


def test_the_page_stays_short() -> None:
    """Six findings have cards; the others are a line each, folded away, none is left out."""
    page = Reader(shown(*(finding(name=f"Chai {number}") for number in range(9))))
    assert sum(tag == "img" for tag, _ in page.tags) == MOST_CARDS
    assert "3 more findings" in page.text
    assert all(f"Chai {number} moves." in page.text for number in range(9))
    assert (
        page.text.index("Chai 5") < page.text.index("3 more findings") < page.text.index("Chai 6")
    )


def test_nothing_found_is_said_plainly() -> None:
    """Where nothing surely changed the page says so; where nothing could be known, it says why."""
    assert "Nothing surely changed in the chain" in Reader(shown()).text
    leeds = replace(SCOPE, branch="Leeds")
    quiet = Reader(top_findings(Found([], [], 40, 26), leeds)).text
    assert "Nothing surely changed at Leeds: of 40 things looked at in the 26 weeks" in quiet
    few = Found([], ["There are 16 days of sales, too few."], 36, 3, long_enough=False)
    short = Reader(top_findings(few, SCOPE)).text
    assert "It is too early to tell whether anything changed in the chain" in short
    assert "16 days of sales, too few" in short


def test_names_stay_words() -> None:
    """A product called like a script is shown as it is, in cards, lines and descriptions."""
    hostile = [finding(name=SCRIPT)] * (MOST_CARDS + 1)
    plain = [finding()] * (MOST_CARDS + 1)
    assert SCRIPT in Reader(shown(*hostile)).text
    assert [tag for tag, _ in Reader(shown(*hostile)).tags] == [
        tag for tag, _ in Reader(shown(*plain)).tags
    ]


def test_a_mail_begins_with_the_findings() -> None:
    """Mails get the cards in their order: worth, sentence, detail, the first ones with charts."""
    first, *rest = (finding(name=f"Chai {number}") for number in range(8))
    notebook = {"cells": [{"outputs": [{"data": {DIGEST: shown(first, *rest).digest}}]}]}
    digest = read_digest(notebook, "Leeds")
    assert digest.lead == "Chai 0 moves."
    assert [one.sentence for one in digest.changes] == [f"Chai {n} moves." for n in range(6)]
    assert [bool(one.png) for one in digest.changes] == [n < MOST_MAILED for n in range(6)]
    assert digest.changes[0].png.startswith(b"\x89PNG")
    nothing = read_digest({"cells": [{"outputs": [{"data": {DIGEST: shown().digest}}]}]}, "Leeds")
    assert nothing.lead.startswith("Nothing surely changed")


def test_the_date_of_a_shift_stands_clear_of_the_line() -> None:
    """The label that dates a shift lies above all that the chart shows."""
    weeks = tuple(str(date(2024, 1, 1) + timedelta(weeks=week)) for week in range(26))
    level = Evidence("pounds a day", weeks, (900.0,) * 22 + (600.0,) * 4, (900.0,) * 26)
    moved = replace(finding("level_shift", -2000.0), evidence=level, since=date(2024, 6, 3))
    figure = evidence(moved)
    svg(figure)
    (axes,) = figure.axes
    (label,) = [text for text in axes.texts if text.get_text() == "3 Jun"]
    top = axes.transData.transform((0, 900))[1]
    assert label.get_window_extent().y0 > top


def test_branches_on_a_line_show_the_usual_and_the_expected() -> None:
    """What half of the others stay below is named, and what was expected of this one is marked."""
    others = Evidence("pounds a week", ("Hull", "York", "Bath"), (200.0, 224.0, 480.0),
                      (300.0,) * 3, "what it would sell")  # fmt: skip
    missed = replace(finding("missed_product"), evidence=others)
    (axes,) = evidence(missed).axes
    assert [text.get_text() for text in axes.texts] == ["Leeds £0", "half the others below £224"]
    assert axes.collections[1].get_segments()[0][0][0] == 300
    assert "stroke: what it would sell" in Reader(shown(missed)).text
