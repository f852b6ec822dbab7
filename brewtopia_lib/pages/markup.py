"""Markup and what it says: the stuff that pages are made of; whatever comes from data is escaped."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from brewtopia_lib.formats import printable

DIGEST = "application/vnd.brewtopia.digest+json"
"""What a piece of page says, as plain data: mails are made of it."""


class Html:
    """A piece of page, shown as HTML by notebooks and put unescaped into other pieces.

    `digest` is the gist of it for mails, one mapping for each thing said.
    """

    def __init__(self, markup: str, digest: Sequence[Mapping[str, Any]] = ()) -> None:
        self.markup = markup
        self.digest = list(digest)

    def _repr_html_(self) -> str:
        return self.markup

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {DIGEST: self.digest} if self.digest else {}

    def __repr__(self) -> str:
        return "Html"

    def __bool__(self) -> bool:
        return bool(self.markup)


NOTHING = Html("")


def safe(plain: str) -> str:
    """Text from the data as HTML; no line breaks between a sign and its pound."""
    return re.sub("(?<=[+\N{MINUS SIGN}])£", "&#8288;£", escape(printable(plain)))


@cache
def style() -> Html:
    """The style sheet of reports, for looking at pieces of one in a notebook."""
    sheet = files("brewtopia_lib") / "templates" / "report" / "style.css"
    return Html(f"<style>{sheet.read_text(encoding='utf-8')}</style>")


def together(*pieces: Html) -> Html:
    """Pieces one after the other."""
    return Html(
        "".join(piece.markup for piece in pieces),
        [said for piece in pieces for said in piece.digest],
    )


def side_by_side(*pieces: Html) -> Html:
    """Pieces beside each other where there is room; empty ones leave none."""
    shown = [piece for piece in pieces if piece]
    inside = together(*shown)
    return Html(f'<div class="beside">{inside.markup}</div>', inside.digest) if shown else NOTHING
