"""A frame as a table in HTML; pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from brewtopia_lib.formats import count, number, records
from brewtopia_lib.pages.markup import Html, safe

_LONGEST_WORD = 13


@dataclass(frozen=True)
class Column:
    """One column of a table: which of the frame, its heading and how it is written.

    `bar` draws the value as a bar beside it; `wide_only` leaves it out on narrow screens; `whole`
    keeps it on one line; `missing` is written where there is no value.
    """

    name: str
    heading: str
    write: Callable[[Any], str | Html] = str
    align: Literal["left", "right"] = "right"
    bar: bool = False
    wide_only: bool = False
    whole: bool = False
    missing: str = ""


def table(frame: pd.DataFrame, columns: Sequence[Column], limit: int | None = None) -> Html:
    """The frame as a table, the first column naming each row."""
    rows = records(frame if limit is None else frame.head(limit))
    tops = {c.name: max([number(row[c.name]) or 0.0 for row in rows], default=0.0) for c in columns}
    head = "".join(
        f'<th scope="col" class="{_classes(column)}">{safe(column.heading)}</th>'
        + ('<td class="bar wide-only"></td>' if column.bar else "")
        for column in columns
    )
    cells = (
        "".join(_cells(row, column, place, tops) for place, column in enumerate(columns))
        for row in rows
    )
    body = "".join(f"<tr>{one}</tr>" for one in cells)
    left = len(frame) - len(rows)
    more = f'<p class="note">and {count(left)} more</p>' if left else ""
    return Html(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}")


def _classes(column: Column) -> str:
    return column.align + (" wide-only" if column.wide_only else "")


def _has_long_word(text: str) -> bool:
    """Whether a word is longer than ordinary ones, so that it may be broken to keep the table narrow."""
    return any(len(word) > _LONGEST_WORD for word in text.replace("-", " ").split())


def _cells(row: dict[str, Any], column: Column, place: int, tops: dict[str, float]) -> str:
    value = row[column.name]
    written = column.missing if pd.isna(value) else column.write(value)
    inside = written.markup if isinstance(written, Html) else safe(written)
    tag, scope = ("th", ' scope="row"') if place == 0 else ("td", "")
    wraps = " whole" if column.whole else ""
    if isinstance(written, str) and _has_long_word(written):
        wraps = " long"
    cell = f'<{tag}{scope} class="{_classes(column)}{wraps}">{inside}</{tag}>'
    if column.bar:
        share = max(number(value) or 0.0, 0.0) / (tops[column.name] or 1)
        cell += (
            '<td class="bar wide-only" aria-hidden="true">'
            f'<span style="width:{share * 100:.1f}%"></span></td>'
        )
    return cell
