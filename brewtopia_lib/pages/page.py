"""The pieces of a report page as HTML; pure, and everything from the data is escaped."""

import re
from collections.abc import Callable, Iterable
from datetime import date
from html import unescape
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from brewtopia_lib.formats import (
    MONTHS,
    count,
    full_day,
    number,
    percent,
    plural,
    pounds,
    records,
)
from brewtopia_lib.pages.chart_style import styled
from brewtopia_lib.pages.headline import Headline
from brewtopia_lib.pages.markup import NOTHING, Html, safe, side_by_side, style, together
from brewtopia_lib.pages.pictures import for_mail, picture
from brewtopia_lib.pages.scopes import Scope

__all__ = [
    "change",
    "chart",
    "counted",
    "facts",
    "header",
    "known_days",
    "kpis",
    "loaded",
    "notice",
    "section",
    "side_by_side",
    "sources",
    "style",
    "together",
]


def header(
    title: str,
    scope: Scope,
    overline: str = "",
    period: str | None = None,
    *,
    headline: pd.DataFrame | None = None,
) -> Html:
    """What the page is about: title, period, what it is compared with, when data were loaded.

    `period` replaces the scope's own. `headline` is the analysis of that name, of which a page on
    the whole chain tells the branches.
    """
    if period is None:
        period = scope.period
        period += f" · against {scope.before}" if scope.has_before else ""
        if headline is not None and not scope.branch:
            period += f" · {plural(headline.iloc[0]['branches'], 'branch', 'branches')}"
    above = f'<p class="overline">{safe(overline)}</p>' if overline else ""
    return Html(
        f'<header>{above}<h1>{safe(title)}</h1><p class="period">{safe(period)}</p>'
        f'<p class="made">{safe(loaded(scope))}</p></header>',
        [{"title": title, "overline": overline, "period": period, "loaded": loaded(scope)}],
    )


def loaded(scope: Scope) -> str:
    """When the newest data were loaded, in words."""
    at = scope.loaded_at
    return f"Data loaded {at.day} {MONTHS[at.month - 1]} {at.year}, {at:%H:%M}"


def notice(*texts: str | None) -> Html:
    """What a reader must know before the numbers; None is left out."""
    given = [text for text in texts if text]
    said = "".join(f"<p>{safe(text)}</p>" for text in given)
    return Html(f'<div class="notice">{said}</div>', [{"notices": given}]) if said else NOTHING


def change(fraction: Any, *, muted: bool = False) -> Html:
    """A change with arrow, sign and colour; nothing where it is not known."""
    known = number(fraction)
    if known is None:
        return NOTHING
    said = percent(known, signed=True)
    way = "up" if said.startswith("+") else "down" if said.startswith("\N{MINUS SIGN}") else "flat"
    arrow = {"up": "▲ ", "down": "▼ ", "flat": ""}[way]
    return Html(f'<span class="{"flat" if muted else way}">{arrow}{said}</span>')


def kpis(headline: pd.DataFrame, scope: Scope, chain: pd.DataFrame | None = None) -> Html:
    """The four numbers that matter with their like-for-like change, as far as it is known.

    `headline` is the analysis of that name; `chain` the same for the whole chain, to compare.
    """
    row, whole = records(headline)[0], records(chain)[0] if chain is not None else {}
    cards = [
        ("Revenue", "revenue", "change_comparable", pounds),
        ("Orders", "orders", "change_orders_comparable", count),
        ("Average basket", "average_basket", "change_average_basket_comparable", _pence),
        ("Items", "items", "change_items_comparable", count),
    ]
    shown = []
    for name, level, column, write in cards:
        value, known = number(row[level]), change(row[column])
        lines = [f"{known.markup} on {safe(scope.before)}"] if known else []
        if known and column in whole and (theirs := change(whole[column], muted=True)):
            lines.append(f"chain {theirs.markup}")
        if level == "revenue" and (year := change(row["change_comparable_last_year"])):
            lines.append(f"{year.markup} on last year")
        shown.append((name, "–" if value is None else write(value), lines))
    noun = "day" if scope.branch else "branch-day"
    return Html(_cards(shown) + _like_for_like(row, noun), [_numbers(shown)])


def counted(covered: pd.DataFrame) -> Html:
    """What the warehouse holds in four numbers: files, orders, rejected rows and their money."""
    row = records(covered)[0]
    shown: list[tuple[str, str, list[str]]] = [
        ("Till files", count(row["files"]), []),
        ("Orders counted", count(row["orders"]), []),
        ("Rows rejected", count(row["rejected"]), []),
        ("Not counted", pounds(row["revenue_not_counted"], pence=True), []),
    ]
    return Html(_cards(shown), [_numbers(shown)])


def _numbers(cards: Iterable[tuple[str, str, list[str]]]) -> dict[str, Any]:
    """The cards as plain text."""
    return {
        "numbers": [
            {"name": name, "value": value, "lines": [_text(line) for line in lines]}
            for name, value, lines in cards
        ]
    }


def _text(markup: str) -> str:
    return unescape(re.sub("<[^>]*>", "", markup)).replace("\u2060", "")


def _cards(cards: Iterable[tuple[str, str, list[str]]]) -> str:
    """Cards of a name, a value and small lines, which are HTML."""
    shown = "".join(
        f'<div class="card"><p class="name">{name}</p><p class="value">{value}</p>'
        f"{''.join(f'<p class=small>{line}</p>' for line in lines)}</div>"
        for name, value, lines in cards
    )
    return f'<div class="kpis">{shown}</div>'


def _pence(value: Any) -> str:
    return pounds(value, pence=True)


def _like_for_like(row: dict[str, Any], noun: str) -> str:
    compared, *levels = (
        int(number(row[name]) or 0)
        for name in ("comparable_days", "days_traded", "days_traded_before")
    )
    if not compared or levels == [compared, compared]:
        return ""
    return (
        f'<p class="small">Changes are like for like: over {plural(compared, noun)} with '
        f"sales in both periods, of {count(levels[0])} in this and {count(levels[1])} in the one "
        "before.</p>"
    )


def section(
    headline: Headline | None, measure: str, *inside: Html, note: str | None = None
) -> Html:
    """A card under its headline, with what is measured beneath; nothing without a headline.

    Where nothing came of what should stand inside, there is nothing to say the measure of.
    """
    if headline is None:
        return NOTHING
    shown = together(*inside).markup
    said = "" if inside and not shown else f'<p class="measure">{safe(measure)}</p>'
    if note:
        shown += f'<p class="note">{safe(note)}</p>'
    card = f'<div class="card">{shown}</div>' if shown else ""
    return Html(
        f"<section><h2>{safe(headline.text)}</h2>{said}{card}</section>",
        [{"headline": headline.text}, *together(*inside).digest],
    )


@styled
def chart(
    headline: Headline | None,
    measure: str,
    draw: Callable[..., Figure],
    *arguments: Any,
    after: Html = NOTHING,
    note: str | None = None,
    half: bool = False,
    mailed: bool = False,
    **named: Any,
) -> Html:
    """A section with a chart, drawn for wide and for narrow screens; `half` is always narrow.

    `draw` is one of the chart functions, called with the arguments and a width. `after` stands
    below the chart in the same card. `mailed` shows the chart in mails too.
    """
    if headline is None:
        return NOTHING
    alt = f"{measure}. {headline.text}. {headline.numbers}"
    narrow = draw(*arguments, **named, width="narrow")
    shown = picture(narrow, alt, None if half else draw(*arguments, **named, width="wide"))
    if mailed:
        said = {"headline": headline.text, "measure": measure, "numbers": headline.numbers}
        shown.digest.append({"chart": {**said, **for_mail(narrow)}})
    return section(headline, measure, shown, after, note=note)


def facts(title: str, pairs: Iterable[tuple[str, str]], *paragraphs: str) -> Html:
    """A closing card of terms and what they are, with paragraphs beneath."""
    listed = "".join(f"<dt>{safe(term)}</dt><dd>{safe(said)}</dd>" for term, said in pairs)
    below = "".join(f"<p>{safe(paragraph)}</p>" for paragraph in paragraphs)
    return Html(
        f'<section class="facts"><h2>{safe(title)}</h2><div class="card"><dl>{listed}</dl>'
        f"{below}</div></section>"
    )


def sources(covered: pd.DataFrame, scope: Scope) -> Html:
    """Where the numbers come from, what they cover and how changes are reckoned."""
    row = records(covered)[0]
    rejected = plural(row["rejected"], "rejected row")
    branches = plural(row["branches"], "branch", "branches")
    known, of = [("Sales known", known_days(covered))], ""
    if scope.branch:
        own, of = _span(scope.first_day, scope.last_day), " of the chain"
        known = [(f"Sales of {scope.branch}", own), ("Sales of the chain", known_days(covered))]
    begun = scope.first if scope.first_day > scope.until else max(scope.first, scope.first_day)
    return facts(
        "Where the numbers come from",
        [
            ("Period", _span(begun, scope.until)),
            *known,
            (f"Files{of}", f"{plural(row['files'], 'till file')}, {branches}"),
            (f"Orders{of}", f"{count(row['orders'])} with {count(row['lines'])} lines"),
            (f"Revenue{of}", pounds(row["revenue"], pence=True)),
            ("Not counted", f"{rejected}, {pounds(row['revenue_not_counted'], pence=True)}"),
            ("Loaded", loaded(scope).removeprefix("Data loaded ")),
        ],
        "Revenue of branches, days and hours adds up the totals of orders; revenue of products "
        "adds up their lines. Changes are like for like: a branch’s day counts where the same day "
        "of the other period has sales too. Times are the branches’ own.",
    )


def known_days(covered: pd.DataFrame) -> str:
    """The first and the last day with sales, in words."""
    row = records(covered)[0]
    if not row["orders"]:
        return "none yet"
    return _span(row["first_day"], row["last_day"])


def _span(first: date, last: date) -> str:
    return full_day(first) if first == last else f"{full_day(first)} to {full_day(last)}"
