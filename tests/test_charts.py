"""Charts: what they show, how they look, and that they leave nothing behind."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, get_args
from xml.etree import ElementTree as ET

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from brewtopia_lib import charts
from brewtopia_lib.findings.finding import Effect, Evidence, Finding, Kind, Said
from brewtopia_lib.pages import chart_style
from brewtopia_lib.pages.chart_style import Width, legible_on, svg
from brewtopia_lib.pages.finding_charts import evidence

WIDTHS = get_args(Width)
LAST = date(2024, 6, 30)
FIRST = LAST - timedelta(days=27)
NAMES = ["Latte", "$x^2$ & $$", "<script>alert(1)</script>", "Tea\x00\x1b[31m 茶 ☕", "b" * 300]


def days(number: int) -> pd.DataFrame:
    on = pd.date_range(end=LAST, periods=number)
    return pd.DataFrame({"sold_on": on, "revenue": 1000 + 50.0 * np.arange(number)})


def weeks(number: int) -> pd.DataFrame:
    start = pd.date_range(end="2024-06-24", periods=number, freq="7D")
    complete = [True] * (number - 1) + [False]
    return pd.DataFrame(
        {"week_start": start, "revenue": 7000.0 + np.arange(number), "complete": complete}
    )


def hours(weekdays: int = 7) -> pd.DataFrame:
    rows = [
        {
            "weekday": weekday,
            "hour": hour,
            "revenue_per_hour": 10.0 * weekday * (hour - 8),
        }
        for weekday in range(1, weekdays + 1)
        for hour in range(9, 18)
    ]
    return pd.DataFrame(rows)


def products() -> pd.DataFrame:
    ranks = range(1, len(NAMES) + 1)
    values = [500.0, 400.0, 300.0, 200.0, -5.0]
    change = [120.0, -80.0, 40.0, -20.0, 0.0]
    return pd.DataFrame(
        {
            "product": NAMES,
            "revenue": values,
            "units": [9, 8, 7, 6, 5],
            "revenue_rank": ranks,
            "units_rank": ranks,
            "change_pounds": change,
        }
    )


def mix() -> pd.DataFrame:
    return pd.DataFrame({"size": ["Regular", NAMES[1]], "now": [0.6, 0.4], "old": [0.5, 0.5]})


def baskets() -> pd.DataFrame:
    return pd.DataFrame({"items": [1, 2, 7], "order_share": [0.5, 0.3, 0.2]})


def ahead() -> pd.DataFrame:
    ends = {f"revenue_{end}_{level}": 90.0 for end in ("low", "high") for level in (80, 95)}
    on = pd.date_range(FIRST, periods=14).date
    return pd.DataFrame({"sold_on": on, "revenue": 100.0, **ends})


def finding(labels: list[str], kind: Kind, measure: str = "pounds a day") -> Finding:
    """A finding whose evidence has those labels, the last place without a value."""
    values = [float(5 + place % 3) for place in range(len(labels) - 1)]
    return Finding(
        kind, NAMES[2], Effect(-5.0), Said("It moved."),
        Evidence(measure, tuple(labels), (*values, None), (*values, 5.0)), since=FIRST,
    )  # fmt: skip


CHARTS: dict[str, Callable[[Width], Figure]] = {
    "days": lambda width: charts.revenue_by_day(days(84), FIRST, width=width),
    "few days": lambda width: charts.revenue_by_day(days(16), FIRST, width=width),
    "one day": lambda width: charts.revenue_by_day(days(1), FIRST, width=width),
    "weeks": lambda width: charts.revenue_by_week(weeks(26), FIRST, width=width),
    "hours": lambda width: charts.weekday_hours(hours(), width=width),
    "shares": lambda width: charts.shares(
        mix(), label="size", now="now", before="old", width=width
    ),
    "products": lambda width: charts.top_products(products(), width=width),
    "movers": lambda width: charts.movers(products(), 4, width=width),
    "baskets": lambda width: charts.basket_sizes(baskets(), width=width),
    "chain": lambda width: charts.against_chain(weeks(26), weeks(26), NAMES[2], width=width),
    "forecast": lambda width: charts.forecast(days(84), ahead(), width=width),
    "weeks of a finding": lambda width: evidence(
        finding([str(FIRST + timedelta(7 * week)) for week in range(-9, 3)], "level_shift"), width
    ),
    "days of a finding": lambda width: evidence(
        finding([str(FIRST + timedelta(day)) for day in range(-9, 9)], "silent_product"), width
    ),
    "hours of a finding": lambda width: evidence(
        finding(["08:00", "09:00", "10:00"], "opening_hours", "orders an hour"), width
    ),
    "branches of a finding": lambda width: evidence(
        finding([*NAMES, "Hull"], "pair_gap", "share of orders"), width
    ),
}
every_chart = pytest.mark.parametrize("name", CHARTS)
every_width = pytest.mark.parametrize("width", WIDTHS)


def texts(drawing: str) -> list[str]:
    root = ET.fromstring(drawing)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


@every_width
@every_chart
def test_a_chart_is_a_pure_function(name: str, width: Width) -> None:
    """The same frame gives the same bytes, and matplotlib is left as it was found."""
    before = dict(matplotlib.rcParams)
    first, second = svg(CHARTS[name](width)), svg(CHARTS[name](width))
    assert first == second
    assert dict(matplotlib.rcParams) == before
    assert "Matplotlib" not in first
    assert not re.search(r"\d{4}-\d\d-\d\dT", first)


@every_chart
def test_a_chart_does_not_hear_the_users_settings(name: str) -> None:
    """A developer's own matplotlibrc changes nothing."""
    plain = svg(CHARTS[name]("wide"))
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "text.color": "red"}):
        assert svg(CHARTS[name]("wide")) == plain


@every_width
@every_chart
def test_text_is_large_enough(name: str, width: Width) -> None:
    """At its own width no text is below 12 pixels, so that a telephone shows at least 11."""
    drawing = svg(CHARTS[name](width))
    sizes = [float(size) for size in re.findall(r"font(?:-size)?:[^;\"]*?([\d.]+)px", drawing)]
    assert sizes
    assert min(sizes) >= 12
    box = re.search(r'viewBox="0 0 ([\d.]+)', drawing)
    assert box
    assert float(box[1]) == chart_style.PIXELS[width]


@pytest.mark.parametrize("name", ["products", "movers", "shares", "chain", "branches of a finding"])
@every_width
def test_names_from_the_data_stay_text(name: str, width: Width) -> None:
    """Dollar signs are no mathematics, mark-up is no element, control characters are gone."""
    drawing = svg(CHARTS[name](width))
    said = texts(drawing)
    assert not list(ET.fromstring(drawing).iter("{http://www.w3.org/2000/svg}script"))
    if name in ("chain", "branches of a finding"):
        assert any(text.startswith("<script>") for text in said)
    else:
        assert "$x^2$ & $$" in said
    assert not any(re.search(r"[\x00-\x08\x1b]", text) for text in said)
    assert max(len(text) for text in said) <= 40


@every_chart
def test_nothing_is_loaded(name: str) -> None:
    """An image refers to nothing outside itself."""
    drawing = svg(CHARTS[name]("wide"))
    assert not re.search(r'(?:href|src)="(?!#)', drawing)
    assert "url(http" not in drawing


@every_width
def test_money_starts_at_zero(width: Width) -> None:
    """A money axis starts at zero and is written in pounds with thousands separators."""
    for name in ("days", "few days", "weeks"):
        figure = CHARTS[name](width)
        drawn = svg(figure)
        assert figure.axes[0].get_ylim()[0] == 0
        assert "£0" in texts(drawn)
        assert any(re.fullmatch(r"£\d,\d{3}", text) for text in texts(drawn))


def test_dates_are_written_as_people_write_them() -> None:
    """Days are `30 Jun`, and the last one is always named."""
    assert "30 Jun" in texts(svg(CHARTS["days"]("wide")))
    assert "24 Jun" in texts(svg(CHARTS["weeks"]("narrow")))


def test_the_week_starts_on_monday() -> None:
    """Monday comes first, downwards on a wide screen and across on a narrow one."""
    wide = CHARTS["hours"]("wide").axes[0]
    narrow = CHARTS["hours"]("narrow").axes[0]
    assert [label.get_text() for label in wide.get_yticklabels()][:2] == ["Mon", "Tue"]
    assert wide.yaxis_inverted()
    assert [label.get_text() for label in narrow.get_xticklabels()][:2] == ["Mon", "Tue"]


def test_only_weekdays_with_sales_are_shown() -> None:
    """A heatmap of one weekday has one row and not six empty ones."""
    axes = charts.weekday_hours(hours(1)).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Mon"]


def test_large_numbers_fit_their_cells() -> None:
    """The heatmap of a large chain is written in thousands, so that no number leaves its cell."""
    axes = charts.weekday_hours(hours().assign(revenue_per_hour=12345.0), width="narrow").axes[0]
    assert {text.get_text() for text in axes.texts} == {"12.3k"}


def test_gaps_stay_gaps() -> None:
    """A day without sales is a gap in the line, not a zero."""
    daily = days(84)
    daily.loc[40, "revenue"] = np.nan
    line = charts.revenue_by_day(daily, FIRST).axes[0].lines[0]
    assert np.isnan(np.asarray(line.get_ydata(), dtype=float)[40])


@every_width
def test_a_label_hides_no_other_column(width: Width) -> None:
    """The last whole week's label stands above its own column and those beside it."""
    frame = weeks(26).assign(revenue=1000.0, complete=True)
    frame.loc[[22, 24], "revenue"] = [2000.0, 1500.0]
    figure = charts.revenue_by_week(frame, FIRST, width=width)
    (label,) = figure.axes[0].texts
    assert label.get_text() == "£1,000"
    assert label.xy == (len(figure.axes[0].patches) - 1, 1500)
    assert label.get_bbox_patch() is None


def test_branches_are_named_in_full() -> None:
    """The names at the end of lines are whole: in two lines on a narrow chart."""
    name = "Southend-on-Sea"
    for width, written in (("wide", name), ("narrow", "Southend-on-\nSea")):
        axes = charts.against_chain(weeks(26), weeks(26), name, width=width).axes[0]
        assert [text.get_text() for text in axes.texts] == ["chain", written]


def test_the_baskets_that_are_spoken_of_stand_out() -> None:
    """Orders of one and of two items are in the headline, and so both are emphasised."""
    bars = charts.basket_sizes(baskets()).axes[0].patches
    dark = [matplotlib.colors.to_hex(bar.get_facecolor()) == chart_style.COFFEE for bar in bars]
    assert dark == [items <= 2 for items in baskets()["items"]]


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", [chart_style.INK, chart_style.MUTED, chart_style.COFFEE])
def test_text_has_contrast(colour: str) -> None:
    """Text in charts meets WCAG AA on cards and on the page."""
    assert contrast(colour, "#ffffff") >= 4.5
    assert contrast(colour, chart_style.PAPER) >= 4.5


def test_text_has_contrast_on_every_colour_of_the_heatmap() -> None:
    """Whatever a cell's colour, its number meets WCAG AA."""
    for share in np.linspace(0, 1, 101):
        colour = chart_style.HEAT(share)
        text = {"black": "#000000", "white": "#ffffff"}[legible_on(colour)]
        assert contrast(matplotlib.colors.to_hex(colour), text) >= 4.5


def test_like_frames_of_the_analyses(reported: Any) -> None:
    """Charts take the analyses' frames as they come: the company page has all of them."""
    page = reported.text("company_trends")
    assert page.count("<img ") == 10 + page.count('class="card change"')
