"""How frames and figures are shown in a notebook, with nothing from the network."""

import re
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from matplotlib.figure import Figure

_LARGEST = "1MB"


def show(frame: pd.DataFrame, caption: str | None = None) -> None:
    """Shows a frame as a table to sort, search and page through.

        bt.show(bt.analyses.branches(warehouse), "Branches")

    Of more than a megabyte it shows a part, and says so. It needs `%load_ext brewtopia_lib`.
    """
    import itables

    itables.show(
        frame, caption=caption, connected=False, showIndex=False, maxBytes=_LARGEST,
        classes="display nowrap compact",
    )  # fmt: skip


def prepare(shell: "InteractiveShell") -> None:
    """Make a notebook draw our figures as SVG, and ready for `show`."""
    assert shell.display_formatter is not None
    shell.display_formatter.formatters["image/svg+xml"].for_type_by_name(
        "matplotlib.figure", "Figure", drawing
    )
    if hasattr(shell, "kernel"):
        import itables

        itables.init_notebook_mode(all_interactive=False, connected=False)


def drawing(figure: "Figure") -> str:
    """A figure as SVG of its size in pixels, and narrower where there is less room."""
    from brewtopia_lib.pages.chart_style import svg

    opening, _, rest = svg(figure).partition(">")
    opening = re.sub(r'\b(width|height)="([\d.]+)pt"', r'\1="\2"', opening)
    return f'{opening} style="max-width: 100%; height: auto">{rest}'
