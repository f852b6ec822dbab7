"""Figures as images in a page or a mail, with words for who does not see them."""

import base64
from html import escape
from typing import Any

from matplotlib.figure import Figure

from brewtopia_lib.formats import printable
from brewtopia_lib.pages.chart_style import DOTS, png, svg
from brewtopia_lib.pages.markup import Html

NARROW_SCREEN = "screen and (max-width: 800px)"
"""Where charts are shown in their narrow variant."""


def picture(narrow: Figure, alt: str, wide: Figure | None = None) -> Html:
    """A figure as it is, or the wide one where the screen is; `alt` says in words what they show."""
    narrow_source, narrow_size = _image(narrow)
    other, (source, size) = "", (narrow_source, narrow_size)
    if wide is not None:
        source, size = _image(wide)
        other = f'<source media="{NARROW_SCREEN}" srcset="{narrow_source}" {narrow_size}>'
    return Html(
        f'<picture class="{"full" if wide else "half"}">{other}'
        f'<img src="{source}" {size} alt="{escape(printable(alt))}"></picture>'
    )


def encoded(figure: Figure) -> str:
    """The figure as an image for mails, in base64."""
    return base64.b64encode(png(figure)).decode()


def for_mail(figure: Figure) -> dict[str, Any]:
    """The figure as a mail shows it: an image and its size."""
    wide, high = _size(figure)
    return {"png": encoded(figure), "width": wide, "height": high}


def _image(figure: Figure) -> tuple[str, str]:
    """The figure as the address of an image, and its size as attributes."""
    source = base64.b64encode(svg(figure).encode()).decode()
    wide, high = _size(figure)
    return f"data:image/svg+xml;base64,{source}", f'width="{wide}" height="{high}"'


def _size(figure: Figure) -> list[int]:
    return [round(inches * DOTS) for inches in figure.get_size_inches()]
