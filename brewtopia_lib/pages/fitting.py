"""How a chart fills its figure: measured once, where matplotlib's own layouts measure twice."""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.figure import Figure
from matplotlib.layout_engine import LayoutEngine


class Fitted(LayoutEngine):
    """Makes the axes of a figure as large as what is written around them allows.

    The axes are one pair or a grid of them; `pad` inches are left free around each.
    """

    _adjust_compatible = True
    _colorbar_gridspec = False

    def __init__(self, pad: float) -> None:
        super().__init__()
        self._pad = pad

    def execute(self, fig: Figure) -> None:
        """Set the margins of the figure, unless they would leave nothing of the axes."""
        if (grid := fig.axes[0].get_gridspec()) is None:
            return
        rows, columns = grid.get_geometry()
        across = [[self._pad, self._pad] for _ in range(columns)]
        down = [[self._pad, self._pad] for _ in range(rows)]
        for axes in fig.axes:
            place, inside = axes.get_subplotspec(), axes.get_window_extent()
            around = axes.get_tightbbox(for_layout_only=True)
            if place is None or around is None:
                continue
            for cells, at, needed in (
                (across, place.colspan.start, (inside.x0 - around.x0, around.x1 - inside.x1)),
                (down, place.rowspan.start, (around.y1 - inside.y1, inside.y0 - around.y0)),
            ):
                cells[at] = [
                    max(known, self._pad + dots / fig.dpi)
                    for known, dots in zip(cells[at], needed, strict=True)
                ]
        wide, high = fig.get_size_inches()
        left, right, apart = _spread(across, wide)
        top, bottom, above = _spread(down, high)
        if apart is not None and above is not None:
            fig.subplots_adjust(left, bottom, 1 - right, 1 - top, apart, above)


def _spread(cells: Sequence[Sequence[float]], length: float) -> tuple[float, float, float | None]:
    """The margins at both ends as parts of the length, and what is between as one of a cell.

    `cells` has what each needs before and after it; None where nothing would be left of them.
    """
    before, after = cells[0][0], cells[-1][1]
    between = max((one[1] + two[0] for one, two in pairwise(cells)), default=0.0)
    cell = (length - before - after - between * (len(cells) - 1)) / len(cells)
    return before / length, after / length, between / cell if cell > 0 else None
