"""Headlines say what the data say, and admit when nothing stands out."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from test_scopes import SCOPE

from brewtopia_lib.pages import headlines, product_headlines, quality_headlines


def daily(*revenue: float, change: float = np.nan) -> pd.DataFrame:
    on = pd.date_range(end=SCOPE.until, periods=len(revenue))
    return pd.DataFrame({"sold_on": on, "revenue": revenue, "change_four_week_average": change})


def headline_row(change: float) -> pd.DataFrame:
    return pd.DataFrame({"change_comparable": [change]})


def cells(busiest: float) -> pd.DataFrame:
    rows = [(weekday, hour, 10.0) for weekday in range(1, 8) for hour in range(9, 17)]
    frame = pd.DataFrame(rows, columns=["weekday", "hour", "revenue_per_hour"])
    frame.loc[(frame["weekday"] == 6) & (frame["hour"] == 12), "revenue_per_hour"] = busiest
    return frame


def league(**changes: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "branch": list(changes),
            "revenue": [1000.0 - place for place in range(len(changes))],
            "change": list(changes.values()),
            "days_traded": 28,
        }
    )


def text(headline: headlines.Headline | None) -> str:
    assert headline is not None
    return headline.text


def test_days_name_the_like_for_like_change() -> None:
    """Revenue a day is the mean of days with sales; its change is the comparable one."""
    said = headlines.days(daily(100, np.nan, 300), headline_row(0.031), SCOPE)
    assert text(said) == (
        "Revenue averaged £200 a day; like for like that is 3.1% more than in the 4 weeks before"
    )
    assert "Fri 28 June 2024" in said.numbers
    level = headlines.days(daily(100, 300), headline_row(-0.004), SCOPE)
    assert "within 1% of the 4 weeks before" in text(level)
    unknown = headlines.days(daily(100, 300), headline_row(np.nan), SCOPE)
    assert text(unknown) == "Revenue averaged £200 a day"


def test_one_day_is_called_one_day() -> None:
    """A single day of sales is not called an average."""
    assert text(headlines.days(daily(120), headline_row(np.nan), SCOPE)) == (
        "One day of sales: £120 on Sun 30 June 2024"
    )


def test_nothing_to_look_at_has_no_headline() -> None:
    """Without sales in the period there is no headline, and so no chart."""
    empty = daily(100).iloc[:0]
    assert headlines.days(empty, headline_row(np.nan), SCOPE) is None
    assert headlines.weekday_hours(cells(1).iloc[:0]) is None
    assert headlines.league(league()) is None


def test_the_busiest_hour_is_the_one_in_the_data() -> None:
    """The busiest hour is computed; when none stands out, that is the headline."""
    busy = text(headlines.weekday_hours(cells(40)))
    assert busy.startswith("Saturday 12:00–13:00 is the busiest hour: £40")
    assert text(headlines.weekday_hours(cells(11))) == "No hour of the week stands out"
    busy_too = cells(40)
    busy_too.loc[3, "revenue_per_hour"] = 39.5
    assert text(headlines.weekday_hours(busy_too)) == (
        "Saturday 12:00–13:00 and Monday 12:00–13:00 are the busiest hours: about £40"
    )
    one_day = cells(40)[lambda frame: frame["weekday"] == 6]
    assert "one weekday only" in text(headlines.weekday_hours(one_day))


def test_the_league_names_who_leads() -> None:
    """The league's headline is who takes most; who moved is for the findings to say."""
    assert text(headlines.league(league(Leeds=0.05, Hull=-0.08))) == "Leeds leads with £1,000"


def test_a_part_of_the_day_is_named() -> None:
    """The part of the day that brings most is the headline, with the shares of all behind it."""
    parts = pd.DataFrame({"day_part": ["Morning", "Midday"], "share": [0.4, 0.6]})
    said = headlines.day_parts(parts)
    assert text(said) == "Midday brings 60% of revenue"
    assert said.numbers == "Morning 40.0% and Midday 60.0%."


def test_uneven_branches_are_pointed_out() -> None:
    """Branches with far fewer days than others are named, because totals move with them."""
    rows = league(Leeds=0, Hull=0, York=0).assign(days_traded=[16, 16, 1])
    assert "1 of 3 branches has sales on fewer than half of the 16 days" in str(
        headlines.uneven(rows)
    )
    assert "York" in str(headlines.uneven(rows))
    assert str(headlines.left_out(rows)) == (
        "Without York, with sales on fewer than half of the 16 days of others."
    )
    for word in (headlines.uneven, headlines.left_out):
        assert word(league(Leeds=0, Hull=0)) is None


@pytest.mark.parametrize(
    ("orders", "lift", "says"),
    [
        (120, 2.0, "40% of orders with Scone also hold Tea, 2.0 times"),
        (120, 1.1, "No pair is bought"),
        (30, 1.5, "No pair is bought"),
    ],
)
def test_a_pair_is_named_only_when_it_beats_chance(orders: int, lift: float, says: str) -> None:
    """A pair as frequent as chance, or luck among many pairs, would have it is no finding."""
    frame = pd.DataFrame(
        {
            "product_a": ["Scone"],
            "product_b": ["Tea"],
            "orders_together": [orders],
            "attach_rate": [0.4],
            "lift": [lift],
        }
    )
    assert text(product_headlines.pairs(frame)).startswith(says)
    assert product_headlines.pairs(frame.iloc[:0]) is None


def test_movers_add_up() -> None:
    """The products' headline is the sum of their effects in pounds a week."""
    moved = pd.DataFrame(
        {
            "product": ["Latte", "Mocha"],
            "change_pounds": [400.0, -40.0],
            "price_effect": [0.0, 0.0],
            "volume_effect": [420.0, -40.0],
            "mix_effect": [-20.0, 0.0],
            "revenue_before": [4000.0, 1000.0],
        }
    )
    said = product_headlines.movers(moved, SCOPE)
    assert text(said) == (
        "Products together earned £90 a week more like for like: volume +£95, mix −£5"
    )
    assert "mix −£5" in said.numbers
    assert product_headlines.movers(moved.iloc[:0], SCOPE) is None
    assert product_headlines.movers(moved.assign(change_pounds=0.0), SCOPE) is None


def test_missing_days_are_summed() -> None:
    """What is missing is counted and worth something; nothing missing is said so."""
    here = replace(SCOPE, branch="Hull")
    days = pd.DataFrame({"expected_revenue": [400.0, 300.0]})
    assert text(quality_headlines.missing(days, SCOPE, 84)) == (
        "2 branch-days without sales, usually worth £700"
    )
    assert text(quality_headlines.missing(days, here, 84)).startswith("2 days without sales")
    assert text(quality_headlines.missing(days.iloc[:0], SCOPE, 84)) == (
        "No day is missing that usually has sales"
    )
    silent = pd.DataFrame({"weekly_revenue": [40.0, 30.0]})
    assert text(quality_headlines.silent(silent, SCOPE, 84)) == (
        "2 products have gone silent at a branch, which used to bring £70 a week"
    )
    assert text(quality_headlines.silent(silent.head(1), here, 84)) == (
        "1 product has gone silent here, which used to bring £40 a week"
    )
    assert (
        text(quality_headlines.silent(silent.iloc[:0], SCOPE, 84)) == "No product has gone silent"
    )


def test_what_cannot_be_known_yet_is_not_denied() -> None:
    """Of too few days nobody can say that nothing is missing; what is found is still told."""
    gone = pd.DataFrame({"weekly_revenue": [40.0], "expected_revenue": [400.0]})
    for says, least in ((quality_headlines.missing, 8), (quality_headlines.silent, 10)):
        assert text(says(gone.iloc[:0], SCOPE, least)).startswith("No ")
        too_few = says(gone.iloc[:0], SCOPE, least - 1)
        assert text(too_few).startswith("Too few days of sales to tell whether a ")
        assert too_few.numbers == f"There are {least - 1} days of them."
        assert "£40" in text(says(gone, SCOPE, 1))
    assert quality_headlines.days_with_sales(daily(1, np.nan, 2)) == 2


def test_a_branch_stands_among_those_that_can_be_compared() -> None:
    """Each rank is of as many as have one, and that by revenue of branches with as many days."""
    rows = league(Leeds=0.02, Hull=0.05, York=np.nan, Bath=0.01).assign(
        revenue_rank=[1, 2, 3, 4], change_rank=[2, 1, np.nan, 3]
    )
    scope = replace(SCOPE, branch="Hull")
    assert headlines.standing(rows, scope) == "Hull is 2nd of 4 by revenue and 1st of 3 by change."
    closed = rows.assign(days_traded=[28, 28, 28, 0])
    assert "2nd of 3 by revenue" in str(headlines.standing(closed, scope))
    uneven = rows.assign(days_traded=[28, 28, 1, 28])
    assert headlines.standing(uneven, scope) == "Hull is 1st of 3 by change."
    assert headlines.standing(uneven, replace(scope, branch="York")) is None


def test_a_branch_is_held_against_the_chain() -> None:
    """A branch's like-for-like change stands beside the chain's."""
    scope = replace(SCOPE, branch="Hull")
    said = text(headlines.against_chain(headline_row(-0.08), headline_row(0.01), scope))
    assert said == "Hull took −8.0% like for like, the chain +1.0%"
    assert headlines.against_chain(headline_row(np.nan), headline_row(0.01), scope) is None


def test_few_days_are_held_against_the_chain_with_care() -> None:
    """A line of weeks takes three of them, and the chain's figures say when they cover more."""
    weekly = pd.DataFrame({"complete": [False, True, True, True, False]})
    assert headlines.comparable_weeks(weekly)
    assert not headlines.comparable_weeks(weekly.tail(3))
    for days, says in ((28, "the chain’s"), (5, "the chain’s (over all the chain’s days)")):
        assert headlines.of_chain(pd.DataFrame({"days_traded": [days]}), SCOPE) == says


def test_only_whole_weeks_are_headlines() -> None:
    """The week named is the last complete one."""
    frame = pd.DataFrame(
        {
            "week_start": pd.to_datetime(["2024-06-17", "2024-06-24"]),
            "revenue": [7000.0, 3000.0],
            "complete": [True, False],
            "change_four_week_average": [0.058, -0.5],
            "change_last_year": [np.nan, np.nan],
        }
    )
    assert text(headlines.weeks(frame)) == (
        "The week from 17 Jun took £7,000, +5.8% on its four-week average"
    )
    assert headlines.incomplete(frame)
    assert headlines.weeks(frame.tail(1)) is None


def test_last_day_of_period() -> None:
    """Only days of the period count, from its first day on."""
    frame = daily(*[100.0] * 40)
    assert len(headlines.in_period(frame, SCOPE)) == 28
    assert headlines.in_period(frame, SCOPE)["sold_on"].min().date() == date(2024, 6, 3)
