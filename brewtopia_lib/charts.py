"""Charts: a frame from the analyses in, a matplotlib figure out; no I/O and no global state.

Every chart comes in two widths, drawn apart so that its text is readable on each: `wide` for a
page and `narrow` for a telephone or half a page. One point of a figure is one CSS pixel.
"""

import textwrap
from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from brewtopia_lib.formats import WEEKDAYS, count, day, hour, number, percent, pounds, shortened
from brewtopia_lib.pages.chart_style import (
    COFFEE,
    DOWN,
    HEAT,
    INK,
    MUTED,
    PALE,
    PAPER,
    UP,
    Width,
    day_axis,
    empty,
    end_label,
    legible_on,
    money_axis,
    single,
    styled,
    ticks,
)


@styled
def revenue_by_day(daily: pd.DataFrame, first: date, width: Width = "wide") -> Figure:
    """Revenue a day with its 7-day mean; days before `first` are the pale past.

        bt.charts.revenue_by_day(daily, date(2024, 6, 3))

    `daily` has sold_on and revenue (pounds, missing where there are no sales), a row a day.
    Columns instead of a line where there are at most five weeks.
    """
    figure, axes = single(width, 300 if width == "wide" else 250)
    days = [stamp.date() for stamp in pd.to_datetime(daily["sold_on"])]
    revenue = daily["revenue"].astype(float).reset_index(drop=True)
    start = int(revenue.notna().to_numpy().argmax())
    days, revenue = days[start:], revenue[start:].reset_index(drop=True)
    present = next((place for place, on in enumerate(days) if on >= first), 0)
    if len(days) <= 35:
        colours = [COFFEE if place >= present else PALE for place in range(len(days))]
        axes.bar(range(len(days)), revenue.fillna(0), color=colours, width=0.72)
    else:
        axes.plot(revenue.index, revenue, color=PALE, linewidth=1.4)
        mean = revenue.rolling(7, min_periods=5).mean()
        axes.plot(mean.index[: present + 1], mean[: present + 1], color=COFFEE, alpha=0.55, lw=2)
        axes.plot(mean.index[present:], mean[present:], color=COFFEE, linewidth=3)
        axes.axvspan(present - 0.5, len(days) - 0.5, color=PAPER, zorder=0)
        top = axes.get_ylim()[1]
        axes.set_ylim(top=top * 1.12)
        axes.text(present, top * 1.1, "this period", color=MUTED, va="top")
        last = int(mean.notna().to_numpy().nonzero()[0].max(initial=-1))
        if last >= 0:
            end_label(axes, "7-day\nmean", last, float(mean[last]), COFFEE)
    money_axis(axes)
    day_axis(axes, days, 8 if width == "wide" else 4)
    return figure


@styled
def revenue_by_week(weekly: pd.DataFrame, first: date, width: Width = "wide") -> Figure:
    """Revenue a week, from Monday; weeks before `first` are pale, incomplete ones outlined.

        bt.charts.revenue_by_week(weekly, date(2024, 6, 3))

    `weekly` has week_start, revenue (pounds) and complete.
    """
    rows = weekly if width == "wide" else weekly.tail(13)
    figure, axes = single(width, 280 if width == "wide" else 240)
    starts = [stamp.date() for stamp in pd.to_datetime(rows["week_start"])]
    colours = [COFFEE if start >= first else PALE for start in starts]
    axes.bar(
        range(len(rows)), rows["revenue"].astype(float).fillna(0), width=0.72, linewidth=1.5,
        edgecolor=colours, hatch=["" if complete else "////" for complete in rows["complete"]],
        facecolor=[
            colour if complete else "none"
            for colour, complete in zip(colours, rows["complete"], strict=True)
        ],
    )  # fmt: skip
    labelled = [place for place, complete in enumerate(rows["complete"]) if complete][-1:]
    for place in labelled:
        value = float(rows["revenue"].iloc[place])
        # Wider than its column, it must clear those beside it.
        beside = rows["revenue"].iloc[max(place - 2, 0) : place + 3].astype(float).max()
        axes.annotate(
            pounds(value), (place, beside), xytext=(0, 4), textcoords="offset points",
            ha="center", color=COFFEE, fontweight="bold",
        )  # fmt: skip
    axes.margins(y=0.12)
    money_axis(axes)
    step = max(1, -(-len(starts) // (9 if width == "wide" else 4)))
    ticks(axes, [day(start) for start in starts], step)
    return figure


@styled
def forecast(daily: pd.DataFrame, ahead: pd.DataFrame, width: Width = "wide") -> Figure:
    """Revenue of the last days as columns, and of the days to come as a line with its ranges.

        ahead = bt.forecast.forecast(warehouse, until=date(2024, 6, 30)).days
        bt.charts.forecast(daily, ahead[ahead["branch"].isna()])

    `daily` has sold_on and revenue (pounds), a row a day; `ahead` sold_on, revenue and the ends of
    the 80 % and 95 % intervals.
    """
    figure, axes = single(width, 280 if width == "wide" else 240)
    past = daily.tail(28 if width == "wide" else 14)
    days = [stamp.date() for stamp in pd.to_datetime([*past["sold_on"], *ahead["sold_on"]])]
    axes.bar(range(len(past)), past["revenue"].astype(float).fillna(0), color=PALE, width=0.72)
    place = np.arange(len(past), len(days))
    for level, shade in ((95, 0.14), (80, 0.28)):
        low, high = (ahead[f"revenue_{end}_{level}"].astype(float) for end in ("low", "high"))
        axes.fill_between(place, low, high, color=COFFEE, alpha=shade, linewidth=0)
    axes.plot(place, ahead["revenue"].astype(float), color=COFFEE, lw=2.6, marker="o", ms=4)
    top = axes.get_ylim()[1]
    axes.set_ylim(top=top * 1.12)
    axes.text(len(past) - 0.5, top * 1.1, "forecast", color=COFFEE, va="top", fontweight="bold")
    money_axis(axes)
    day_axis(axes, days, 8 if width == "wide" else 4)
    return figure


def _thousands(value: float) -> str:
    return f"{value / 1000:,.1f}k"


@styled
def weekday_hours(cells: pd.DataFrame, width: Width = "wide") -> Figure:
    """Average revenue an hour by weekday and hour of the day, as a heatmap with its numbers.

        bt.charts.weekday_hours(weekday_hours)

    `cells` has weekday (1 is Monday), hour and revenue_per_hour (pounds). Monday first; narrow has
    the hours downwards.
    """
    hours, weekdays = (
        list(range(int(cells[name].min()), int(cells[name].max()) + 1))
        for name in ("hour", "weekday")
    )
    grid = (
        cells.pivot(index="weekday", columns="hour", values="revenue_per_hour")
        .astype(float)
        .reindex(index=weekdays, columns=hours)
    )
    names = [WEEKDAYS[weekday - 1][:3] for weekday in weekdays]
    labels = [hour(one) for one in hours]
    if width == "narrow":
        grid = grid.T
        names, labels = labels, names
    figure, axes = single(width, 34 + (38 if width == "wide" else 25) * len(grid))
    crowded = width == "wide" and len(hours) > 14
    sns.heatmap(
        grid, ax=axes, cmap=HEAT, vmin=0, cbar=False, linewidths=2,
        linecolor="white", xticklabels=False, yticklabels=False,
    )  # fmt: skip
    most = max(np.nanmax(grid.to_numpy()), 1e-9)
    write = "{:,.0f}".format if most < 9999.5 else _thousands
    for (row, column), value in np.ndenumerate(grid.to_numpy()):
        if not crowded and not np.isnan(value):
            axes.text(
                column + 0.5, row + 0.5, write(value), fontsize=12, ha="center", va="center",
                color=legible_on(HEAT(max(value, 0) / most)), in_layout=False,
            )  # fmt: skip
    step = 2 if crowded else 1
    axes.set_xticks([place + 0.5 for place in range(0, len(labels), step)], labels[::step])
    axes.set_yticks([place + 0.5 for place in range(len(names))], names, va="center")
    axes.set(xlabel="", ylabel="")
    axes.tick_params(length=0)
    return figure


@styled
def shares(
    frame: pd.DataFrame,
    *,
    label: str,
    now: str,
    before: str | None = None,
    before_name: str = "before",
    width: Width = "wide",
) -> Figure:
    """One bar for each row's share now, with a tick where it was before (or is elsewhere).

        bt.charts.shares(size_mix, label="size", now="unit_share", before="unit_share_before")

    `label` names the column of names, `now` and `before` columns of fractions.
    """
    figure, axes = single(width, 12 + 46 * len(frame))
    top = float(frame[[now] + ([before] if before else [])].max().max()) or 1.0
    for place, row in enumerate(frame.to_dict("records")):
        share, old = number(row[now]) or 0.0, number(row[before]) if before else None
        axes.barh(place, share, color=COFFEE, height=0.36)
        axes.text(0, place - 0.26, shortened(str(row[label]), 34), va="bottom")
        value = axes.annotate(
            percent(share), (max(share, old or 0), place), xytext=(8, 0),
            textcoords="offset points", va="center", fontweight="bold",
        )  # fmt: skip
        if old is not None:
            axes.plot([old, old], [place - 0.27, place + 0.27], color=INK, linewidth=2)
            axes.annotate(
                f"{before_name} {percent(old)}", (1, 0.5), xycoords=value, xytext=(6, 0),
                textcoords="offset points", va="center", color=MUTED,
            )  # fmt: skip
    room = 1 if before is None else 1.3 if width == "wide" else 2
    axes.set(xlim=(0, top * (0.25 + room)), ylim=(len(frame) - 0.6, -0.75), xticks=[], yticks=[])
    axes.spines["bottom"].set_visible(False)
    return figure


def _ranked(
    axes: Axes, names: Sequence[str], values: Sequence[float], texts: Sequence[str]
) -> None:
    """Bars from the longest down, the name above each and its value at the end."""
    top = max([*values, 0]) or 1
    axes.barh(range(len(values)), values, color=COFFEE, height=0.34)
    for place, (name, value, text) in enumerate(zip(names, values, texts, strict=True)):
        axes.text(0, place - 0.24, shortened(name, 38), va="bottom")
        axes.text(max(value, 0) + top * 0.02, place, text, va="center", fontweight="bold")
    axes.set(
        xlim=(min([0, *values]), top * 1.3), ylim=(len(values) - 0.6, -0.8), xticks=[], yticks=[]
    )
    axes.spines["bottom"].set_visible(False)


@styled
def top_products(top: pd.DataFrame, limit: int = 8, width: Width = "wide") -> Figure:
    """The products that earn most and those that sell most often, side by side.

        bt.charts.top_products(top_products)

    `top` has product, revenue (pounds), units, revenue_rank and units_rank.
    """
    panels = []
    for column, title, write in (
        ("revenue", "Revenue, £", pounds),
        ("units", "Units sold", count),
    ):
        rows = top[top[f"{column}_rank"] <= limit].sort_values(f"{column}_rank")
        values = [float(value) for value in rows[column]]
        panels.append((title, list(rows["product"]), values, [write(value) for value in values]))
    rows_high = max(len(panel[1]) for panel in panels)
    height = (40 + 42 * rows_high) * (1 if width == "wide" else 2)
    figure = empty(width, height)
    grid = (1, 2) if width == "wide" else (2, 1)
    for axes, (title, names, values, texts) in zip(
        figure.subplots(*grid).flat, panels, strict=True
    ):
        axes.set_title(title)
        _ranked(axes, names, values, texts)
    return figure


@styled
def movers(moved: pd.DataFrame, weeks: int, limit: int = 5, width: Width = "wide") -> Figure:
    """The products that gained and lost most, in pounds a week, from a line of no change.

        bt.charts.movers(movers, 4)

    `moved` has product and change_pounds over `weeks` weeks.
    """
    change = moved["change_pounds"].astype(float) / weeks
    ordered = moved.assign(a_week=change).sort_values("a_week", ascending=False)
    least = 0.05 * ordered["a_week"].abs().max()
    gains = ordered[ordered["a_week"] > least].head(limit)
    losses = ordered[ordered["a_week"] < -least].tail(limit)
    rows = pd.concat([gains, losses])
    values = [float(value) for value in rows["a_week"]]
    figure, axes = single(width, 20 + (34 if width == "wide" else 44) * max(len(rows), 1))
    axes.barh(
        range(len(rows)), values, height=0.6 if width == "wide" else 0.36,
        color=[UP if value > 0 else DOWN for value in values],
    )  # fmt: skip
    at, half = np.arange(len(rows)), 0.3 if width == "wide" else 0.18
    axes.vlines(np.zeros(len(rows)), at - half, at + half, color=MUTED, linewidth=1)
    reach = max([abs(value) for value in values], default=1)
    for place, (name, value) in enumerate(zip(rows["product"], values, strict=True)):
        text = f"{'▲' if value > 0 else '▼'} {pounds(value, signed=True)}"
        if width == "wide":
            side = 1 if value > 0 else -1
            near, far = ("left", "right") if value > 0 else ("right", "left")
            gap = side * reach * 0.03
            axes.text(value + gap, place, text, va="center", ha=near, fontweight="bold")
            axes.text(-gap, place, shortened(str(name), 38), va="center", ha=far)
        else:
            axes.text(-reach, place - 0.24, shortened(str(name), 30), va="bottom")
            axes.text(reach, place - 0.24, text, va="bottom", ha="right", fontweight="bold")
    reach *= 1.55 if width == "wide" else 1
    axes.set(xlim=(-reach, reach), ylim=(len(rows) - 0.4, -0.8), xticks=[], yticks=[])
    axes.spines["bottom"].set_visible(False)
    return figure


@styled
def basket_sizes(baskets: pd.DataFrame, width: Width = "wide") -> Figure:
    """The share of orders by how many items they hold, one or two apart; the last is seven or more.

        bt.charts.basket_sizes(basket_sizes)

    `baskets` has items (1 to 7) and order_share.
    """
    figure, axes = single(width, 230)
    values = [float(share) for share in baskets["order_share"]]
    top = max([*values, 0])
    held = [int(items) for items in baskets["items"]]
    axes.bar(
        range(len(values)), values, width=0.72,
        color=[COFFEE if items <= 2 else PALE for items in held],
    )  # fmt: skip
    for place, (items, value) in enumerate(zip(held, values, strict=True)):
        axes.annotate(
            percent(value, digits=0), (place, value), xytext=(0, 4), textcoords="offset points",
            ha="center", fontweight="bold" if items <= 2 else "normal",
        )  # fmt: skip
    names = [f"{items}+" if items >= 7 else f"{items}" for items in held]
    axes.set_xticks(range(len(values)), names)
    axes.set(xlabel="items in the order", yticks=[], ylim=(0, top * 1.15 or 1))
    return figure


def _end_name(name: str, width: Width) -> str:
    """A name at the end of a line: in two lines where there is little room."""
    if width == "wide":
        return shortened(name, 20)
    lines = textwrap.wrap(shortened(name, 24), 12, max_lines=2, placeholder="…")
    return "\n".join(lines)


@styled
def against_chain(
    branch: pd.DataFrame,
    chain: pd.DataFrame,
    name: str,
    width: Width = "wide",
    *,
    other: str = "chain",
) -> Figure:
    """Revenue a week of a branch and of the chain, each as per cent of its own average.

        bt.charts.against_chain(weekly, weekly, "Leeds")

    `other` names what stands in the chain's place. Both frames have week_start, revenue and complete; only weeks complete in both count.
    """
    both = branch[branch["complete"]].merge(
        chain[chain["complete"]], on="week_start", suffixes=("", "_chain")
    )
    figure, axes = single(width, 260 if width == "wide" else 230)
    values = both[["revenue", "revenue_chain"]].astype(float)
    index = values / values.mean() * 100
    ends = index.iloc[-1]
    apart = 0.09 * max(index.max().max() - index.min().min(), 10)
    middle, half = ends.mean(), max(abs(ends["revenue"] - ends["revenue_chain"]) / 2, apart)
    sign = 1 if ends["revenue"] >= ends["revenue_chain"] else -1
    last = len(index) - 1
    axes.plot(range(len(index)), index["revenue_chain"], color=MUTED, lw=1.8, marker=".")
    axes.plot(range(len(index)), index["revenue"], color=COFFEE, lw=3, marker=".")
    for text, side, colour in ((other, -sign, MUTED), (name, sign, COFFEE)):
        end_label(axes, _end_name(text, width), last, middle + side * half, colour)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 95), max(high, 105))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}%"))
    axes.grid(axis="y")
    starts = [stamp.date() for stamp in pd.to_datetime(both["week_start"])]
    step = max(1, -(-len(starts) // (9 if width == "wide" else 4)))
    ticks(axes, [day(start) for start in starts], step)
    return figure
