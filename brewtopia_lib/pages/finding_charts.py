"""The small chart that shows a finding: its evidence as a figure; pure."""

from datetime import date

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from brewtopia_lib.findings.finding import Evidence, Finding
from brewtopia_lib.findings.significance import Floats
from brewtopia_lib.formats import count, day, percent, pounds, shortened
from brewtopia_lib.pages.chart_style import (
    COFFEE,
    DOWN,
    INK,
    MUTED,
    PALE,
    UP,
    Width,
    single,
    styled,
)

HEIGHT = 132
STRIP_HEIGHT = 76

_MOST_BARS = 40


@styled
def evidence(finding: Finding, width: Width = "narrow") -> Figure:
    """Weeks as a line, days and hours as bars, branches as dots with the one in question apart."""
    shown = finding.evidence
    days = _days(shown)
    of_branches = not days and not (shown.labels and shown.labels[0][2:3] == ":")
    figure, axes = single(width, STRIP_HEIGHT if of_branches else HEIGHT)
    colour = DOWN if finding.effect.pounds < 0 else UP
    if days and (days[1] - days[0]).days > 1:
        _weeks(axes, shown, days, finding.since, colour)
    elif days:
        marked = (
            [on >= finding.since if finding.lasts else on == finding.since for on in days]
            if finding.since
            else [False] * len(days)
        )
        _bars(axes, shown, [day(on) for on in days], marked, colour)
    elif of_branches:
        _branches(axes, shown, finding.branch, colour)
    else:
        _bars(axes, shown, list(shown.labels), [False] * len(shown.labels), colour)
    return figure


def _days(shown: Evidence) -> list[date]:
    try:
        days = [date.fromisoformat(label) for label in shown.labels]
    except ValueError:
        return []
    return days if len(days) > 1 else []


def _values(values: tuple[float | None, ...]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def write(measure: str, value: float) -> str:
    """A value as its measure is written: pounds, a share, or a number."""
    if measure.startswith("share"):
        return percent(value, digits=0)
    if "pounds" in measure:
        return pounds(value, pence=0 < abs(value) < 20 and value != round(value))
    return f"{value:.1f}" if value != round(value) and abs(value) < 10 else count(value)


def _scale(axes: Axes, shown: Evidence, room: float = 1.05) -> None:
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]), top=axes.get_ylim()[1] * room)
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: write(shown.measure, value)))
    axes.grid(axis="y")


def _weeks(axes: Axes, shown: Evidence, days: list[date], since: date | None, colour: str) -> None:
    values, expected = _values(shown.values), _values(shown.expected)
    axes.plot(values, color=PALE, lw=1.4, marker="o", markersize=4, markerfacecolor=COFFEE,
              markeredgewidth=0)  # fmt: skip
    if len(expected):
        axes.plot(expected, color=colour, lw=2.4)
    if since:
        place = (since - days[0]).days / 7
        axes.axvline(place - 0.5, color=MUTED, lw=1.2, ls=(0, (3, 2)))
        axes.annotate(
            day(since), (place - 0.5, 1), xycoords=("data", "axes fraction"), xytext=(-4, -2),
            textcoords="offset points", ha="right", va="top", color=MUTED,
        )  # fmt: skip
    _scale(axes, shown, room=1.22 if since else 1.05)
    _ends(axes, [day(on) for on in days])


def _bars(axes: Axes, shown: Evidence, labels: list[str], marked: list[bool], colour: str) -> None:
    values, expected = _values(shown.values)[-_MOST_BARS:], _values(shown.expected)[-_MOST_BARS:]
    labels, marked = labels[-_MOST_BARS:], marked[-_MOST_BARS:]
    colours = [colour if one else PALE if any(marked) else COFFEE for one in marked]
    axes.bar(range(len(values)), np.nan_to_num(values), color=colours, width=0.74)
    at = np.arange(len(expected))
    axes.hlines(expected, at - 0.42, at + 0.42, color=INK, lw=1.6)
    top = float(np.nanmax(values, initial=0.0)) or 1.0
    for place, (one, value) in enumerate(zip(marked, values, strict=True)):
        if one and not np.nan_to_num(value):
            axes.plot(place, 0.04 * top, marker="v", color=colour, markersize=7)
    _scale(axes, shown)
    _ends(axes, labels)


def _ends(axes: Axes, labels: list[str]) -> None:
    """The first, the middle and the last label."""
    at = sorted({0, (len(labels) - 1) // 2, len(labels) - 1})
    axes.set_xticks(at, [labels[place] for place in at])
    first, *_, last = axes.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    axes.set_xlim(-0.7, len(labels) - 0.3)


def _branches(axes: Axes, shown: Evidence, own: str | None, colour: str) -> None:
    """Every branch a dot on one line, a stroke where this one is expected, at nothing if it has none."""
    known = {
        label: value
        for label, value in zip(shown.labels, shown.values, strict=True)
        if value is not None
    }
    others = [value for label, value in known.items() if label != own]
    here = known.get(own or "", 0.0)
    usual = float(np.median(others)) if others else 0.0
    expected = [value for value in shown.expected[:1] if value is not None]
    axes.axhline(0, color=PALE, lw=1.4, zorder=0)
    axes.scatter(others, np.zeros(len(others)), s=70, color=COFFEE, alpha=0.45, linewidths=0)
    axes.vlines(expected, -0.3, 0.3, color=INK, lw=2)
    axes.vlines(usual, -0.42, 0, color=MUTED, lw=1.2)
    axes.scatter([here], [0], s=110, color=colour, zorder=3)
    low, high = min([here, *others, *expected]), max([here, *others, *expected])
    for value, text, where, ink in (
        (here, f"{shortened(own or '', 16)} {write(shown.measure, here)}", 1, colour),
        (usual, f"half the others below {write(shown.measure, usual)}", -1, MUTED),
    ):
        leftwards = value > (low + high) / 2
        axes.annotate(
            text, (value, 0), xytext=(-4 if leftwards else 4, 13 * where),
            textcoords="offset points", color=ink, ha="right" if leftwards else "left",
            va="bottom" if where > 0 else "top", fontweight="bold" if where > 0 else "normal",
            annotation_clip=False,
        )  # fmt: skip
    room = 0.08 * (high - low or 1.0)
    axes.set(xlim=(low - room, high + room), ylim=(-1, 1), xticks=[], yticks=[])
    axes.spines["bottom"].set_visible(False)
