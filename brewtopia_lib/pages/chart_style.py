"""How charts look: colours, type, axes; and how a figure becomes an image. No global state."""

import io
import re
import warnings
from collections.abc import Callable, Sequence
from datetime import date
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG, RendererSVG
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from brewtopia_lib.formats import day, pounds
from brewtopia_lib.pages.fitting import Fitted

Width = Literal["wide", "narrow"]
DOTS = 72
"""Dots to the inch of a figure: each is a pixel of a page."""
PAD = 3
"""How many of them stay free around axes."""
PIXELS: dict[Width, int] = {"wide": 820, "narrow": 340}

INK, MUTED, GRID, PAPER = "#22201d", "#6b655c", "#e9e4dc", "#f6f3ee"
COFFEE, PALE, UP, DOWN = "#7b4a2d", "#d8c8ba", "#1b7f79", "#c2571a"
HEAT = LinearSegmentedColormap.from_list("coffee", [PAPER, "#d9b48c", COFFEE])

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 13,
    "text.color": INK,
    "text.parse_math": False,
    "text.usetex": False,
    "axes.facecolor": "none",
    "axes.edgecolor": GRID,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
    "axes.labelcolor": MUTED,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 13,
    "axes.titlecolor": MUTED,
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 1,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "xtick.labelsize": 13,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
    "ytick.labelsize": 13,
    "ytick.left": False,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "svg.hashsalt": "brewtopia",
}
WHOLE_STYLE: dict[Any, Any] = {
    **{name: old for name, old in matplotlib.rcParamsDefault.items() if "backend" not in name},
    **STYLE,
}
FONTS = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"

P = ParamSpec("P")
R = TypeVar("R")


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run `draw` under our style alone, and leave matplotlib as it was."""

    @wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> R:
        if matplotlib.rcParams["svg.hashsalt"] == STYLE["svg.hashsalt"]:  # it is ours already
            return draw(*args, **kwargs)
        with matplotlib.rc_context(WHOLE_STYLE):
            return draw(*args, **kwargs)

    return styled


class _SVGCanvas(FigureCanvasSVG):
    """A canvas that goes through its figure once; what draws a text has measured it before."""

    def __init__(self, figure: Figure, stream: io.StringIO) -> None:
        super().__init__(figure)
        figure.dpi = DOTS
        wide, high = figure.get_size_inches() * DOTS
        nameless = {"Date": None, "Creator": None}
        self._renderer = RendererSVG(wide, high, stream, image_dpi=DOTS, metadata=nameless)

    def get_renderer(self) -> RendererSVG:
        return self._renderer

    def draw(self) -> None:
        self.figure.draw(self._renderer)
        self._renderer.finalize()


@styled
def svg(figure: Figure) -> str:
    """The figure as one SVG document: the same bytes for the same figure.

    Text stays text and is shown in the reader's own font, so that a name in any script is
    legible; it is laid out with DejaVu Sans, which is wider than what readers have.
    """
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        _SVGCanvas(_unlabelled(figure), stream).draw()
    drawing = stream.getvalue()
    drawing = drawing[drawing.index("<svg") :].replace("'DejaVu Sans'", FONTS)
    return re.sub(r"<metadata>.*?</metadata>\s*", "", drawing, flags=re.DOTALL)


def _unlabelled(figure: Figure) -> Figure:
    """The figure, which looks for no place to write a label at an axis that has none."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if not axis.get_label_text():
                axis.set_label_coords(0.5, 0)
    return figure


@styled
def png(figure: Figure) -> bytes:
    """The figure as an image for mails: on white, two dots a pixel, the same bytes each time."""
    stream = io.BytesIO()
    figure.set(dpi=2 * DOTS, facecolor="white")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # savefig would go through it twice
        FigureCanvasAgg(_unlabelled(figure)).print_png(stream, metadata={"Software": None})
    figure.set(facecolor="none")
    return stream.getvalue()


def empty(width: Width, height: float) -> Figure:
    """An empty figure of that width, `height` pixels high."""
    return Figure(figsize=(PIXELS[width] / DOTS, height / DOTS), layout=Fitted(PAD / DOTS))


def single(width: Width, height: float) -> tuple[Figure, Axes]:
    """An empty figure with one pair of axes."""
    figure = empty(width, height)
    return figure, figure.subplots()


def legible_on(colour: Sequence[float]) -> str:
    """Black or white, whichever contrasts more: at least 4.5 to 1 on any colour."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if luminance > 0.179 else "white"


def money_axis(axes: Axes, *, at_most: int = 5) -> None:
    """Pounds upwards from zero, with few grid lines."""
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.yaxis.set_major_locator(MaxNLocator(at_most, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: pounds(value)))
    axes.grid(axis="y")


def end_label(axes: Axes, text: str, x: float, y: float, colour: str) -> None:
    """Name a line at its right end, outside the axes."""
    axes.annotate(
        text, (x, y), xytext=(9, 0), textcoords="offset points", va="center", color=colour,
        fontweight="bold", annotation_clip=False,
    )  # fmt: skip


def day_axis(axes: Axes, days: Sequence[date], at_most: int) -> None:
    """Ticks on whole weeks (or days, where there are few), written as `3 Jun`."""
    fewest = -(-len(days) // at_most)
    step = fewest if fewest <= 3 else 7 * -(-fewest // 7)
    ticks(axes, [day(on) for on in days], step)


def ticks(axes: Axes, labels: Sequence[str], step: int) -> None:
    """Every `step`th label counted from the last; few places do not fill the width."""
    at = sorted(range(len(labels) - 1, -1, -step))
    axes.set_xticks(at, [labels[place] for place in at])
    figure = axes.get_figure(root=True)
    fewest = 5 if figure and figure.get_figwidth() * DOTS <= PIXELS["narrow"] else 7
    spare = max(0.0, fewest - len(labels)) / 2
    axes.set_xlim(-0.7 - spare, len(labels) - 0.3 + spare)
