"""One branch's tills: draw every order of the plan and print it as a till would."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from brewtopia_lib.sample.chain import PAIRS, Branch
from brewtopia_lib.sample.plants import MORNING_ENDS, Plan, Plant

# Shares of orders with one to six lines; pairs add some more.
LINE_SHARES = (0.28, 0.26, 0.20, 0.14, 0.08, 0.04)
CARD_SHARE = 0.7
PAY_DAY_CHANGE = 0.12
# What one unit of weather does to all orders, and to cold drinks on top.
WEATHER_EFFECT = 0.05
COLD_DRINK_EFFECT = 0.12
# Of the orders lost by opening late, the share that comes in the first hour instead.
COMES_LATER = 0.4
# Gamma shapes: how far a branch's day, and a product's day there, stray from their means.
BRANCH_DAY_SHAPE = 150
PRODUCT_DAY_SHAPE = 25
# Taste before 11:00, before 14:00, before 17:00 and later.
DAY_PARTS = (MORNING_ENDS, 14, 17)
DAY_PART_TASTE = {
    "coffee": (1.3, 0.95, 0.8, 0.6),
    "tea": (1.0, 0.9, 1.15, 1.0),
    "chocolate": (0.7, 0.9, 1.2, 1.5),
    "cold": (0.6, 1.15, 1.25, 1.1),
    "bakery": (1.25, 0.9, 1.0, 0.7),
}

FIRST_NAMES = (
    "Ada Adam Aisha Alan Alice Amir Anna Arthur Beth Brian Callum Carol Chloe Claire Daniel "
    "David  Dean Diana Edith Ellen Emma Eric Farah Fiona Frank Gareth George Grace Hannah "
    "Harry Hugh Ian  Imran Iris Jack James Jane Joan Kate Kevin Laura Leo Lily Louise Mark "
    "Mary Megan Mohammed  Nadia Nigel Nina Oliver Owen Paul Priya Rachel Raj Rhys Rosie Ruth "
    "Sam Sarah Siân Simon  Sofia Tariq Theo Tom Uma Vera Victor Wendy Will Yusuf Zoë"
)
LAST_NAMES = (
    "Abbott Ahmed Allen Archer Bailey Barker Begum Bennett Booth Brooks Byrne Carter Chapman "
    "Clarke Cole Cooper Cox Davies Dixon Doyle Dunn Ellis Evans Farrell Fletcher Foster Fox "
    "Gibson Grant  Green Griffiths Hall Harris Hart Hayes Hill Holmes Hughes Hussain Iqbal "
    "Jackson James Jenkins  Johnson Jones Kaur Kelly Khan Knight Lambert Lawson Lee Lewis "
    "Lloyd Marsh Mason Mills Moore  Morgan Murphy Nash O'Connor Owen Palmer Parker Patel "
    "Payne Pearce Perry Phillips Porter  Powell Price Quinn Reed Reid Roberts Rose Saunders "
    "Shah Sharma Shaw Singh Smith-Jones Spencer Stone  Taylor Turner Vaughan Wade Walsh Ward "
    "Watson Webb West White Wilson Wood Wright Young"
)
CUSTOMERS = [f"{first} {last}" for first in FIRST_NAMES.split() for last in LAST_NAMES.split()]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class TillFile:
    """One branch-day as its till uploads it, and what is in it."""

    name: str
    content: bytes
    orders: int
    lines: int
    pence: int


def file_name(branch: Branch, day: date) -> str:
    """The name a till gives its file: branch, day and opening time."""
    return f"{branch.name.lower().replace(' ', '_')}_{day:%d-%m-%Y}_{branch.opens:02}-00-00.csv"


@dataclass(frozen=True)
class _Orders:
    """All orders of a branch by time, and the texts of their lines in the same order."""

    day: Integers
    minute: Integers
    line_ends: Integers
    lines: NDArray[np.object_]
    pence: Integers
    customer: Integers
    card: Integers
    by_card: NDArray[np.bool_]


def till_files(branch: Branch, plan: Plan, rng: Generator) -> Iterator[TillFile]:
    """Every day's file of the branch in order, also for days that are to be missing."""
    orders = _draw_orders(branch, plan, rng)
    clock = [f"{hour:02}:{minute:02}" for hour in range(branch.opens, 24) for minute in range(60)]
    totals = [_pounds(pence) for pence in range(int(orders.pence.max(initial=0)) + 1)]
    starts = np.searchsorted(orders.day, np.arange(len(plan.days) + 1)).tolist()
    line_starts = [0, *orders.line_ends.tolist()]
    for day, first, last in zip(plan.days, starts[:-1], starts[1:], strict=True):
        first_line, last_line = line_starts[first], line_starts[last]
        lines = orders.lines[first_line:last_line].tolist()
        bounds = [end - first_line for end in line_starts[first : last + 1]]
        stamp, place = f"{day:%d/%m/%Y} ", f",{branch.name},"
        rows = [
            f"{stamp}{clock[minute]}{place}{CUSTOMERS[customer]},{_items(lines[start:end])},"
            f"{totals[pence]},{f'CARD,{card}' if by_card else 'CASH,'}\n"
            for minute, customer, start, end, pence, card, by_card in zip(
                orders.minute[first:last].tolist(),
                orders.customer[first:last].tolist(),
                bounds[:-1],
                bounds[1:],
                orders.pence[first:last].tolist(),
                orders.card[first:last].tolist(),
                orders.by_card[first:last].tolist(),
                strict=True,
            )
        ]
        yield TillFile(
            file_name(branch, day),
            "".join(rows).encode(),
            orders=len(rows),
            lines=len(lines),
            pence=int(orders.pence[first:last].sum()),
        )


def _draw_orders(branch: Branch, plan: Plan, rng: Generator) -> _Orders:
    rates = _orders_expected(branch, plan, rng)
    days, hours, variants = rates.shape
    cell = np.repeat(np.arange(days * hours), rng.poisson(rates.sum(axis=2)).ravel())
    count = len(cell)
    minute = np.sort(cell * 60 + rng.integers(0, 60, count)) % (hours * 60)
    variant, line_counts = _draw_lines(branch, rates, cell, rng)
    large_shares = np.array([item.large_share for item in branch.menu])
    large = rng.random(len(variant)) < large_shares[variant]
    texts, prices, risen = _price_list(branch, plan)
    line_day = np.repeat(cell // hours, line_counts)
    listed = (risen[line_day, variant] * variants + variant) * 2 + large
    line_ends = line_counts.cumsum()
    return _Orders(
        day=cell // hours,
        minute=minute,
        line_ends=line_ends,
        lines=texts[listed],
        pence=np.add.reduceat(prices[listed], line_ends - line_counts),
        customer=rng.integers(0, len(CUSTOMERS), count),
        # No card issuer's numbers begin with a nine, so none of these is anybody's.
        card=rng.integers(9 * 10**15, 10**16, count),
        by_card=rng.random(count) < CARD_SHARE,
    )


def _orders_expected(branch: Branch, plan: Plan, rng: Generator) -> Floats:
    """Expected orders by day, hour and the variant they begin with."""
    day = np.array([branch.weekdays[date_.weekday()] for date_ in plan.days])
    day[[date_ in plan.pay_days for date_ in plan.days]] *= 1 + PAY_DAY_CHANGE
    weather = np.array(plan.weather)
    day *= np.exp(WEATHER_EFFECT * weather)
    cold = np.array([item.category == "cold" for item in branch.menu])
    variant = np.exp(COLD_DRINK_EFFECT * np.outer(weather, cold))

    late = branch.opens - branch.format.opens
    hours = np.array(branch.format.hours[late:])
    hours[0] += COMES_LATER * sum(branch.format.hours[:late])
    hour = np.tile(hours / sum(branch.format.hours), (len(plan.days), 1))

    for plant in plan.plants:
        if plant.branch in (None, branch.name):
            _apply(plant, branch, plan, day, hour, variant)

    day *= rng.gamma(BRANCH_DAY_SHAPE, 1 / BRANCH_DAY_SHAPE, day.shape)
    variant *= rng.gamma(PRODUCT_DAY_SHAPE, 1 / PRODUCT_DAY_SHAPE, variant.shape)
    weight = np.array([item.weight for item in branch.menu])
    part = np.searchsorted(DAY_PARTS, branch.opens + np.arange(len(hours)), side="right")
    taste = np.array([DAY_PART_TASTE[item.category] for item in branch.menu]).T[part]
    by_hour = branch.orders_a_day * day[:, None] * hour
    rates: Floats = by_hour[:, :, None] * variant[:, None, :] * taste * weight / weight.sum()
    return rates


def _apply(
    plant: Plant, branch: Branch, plan: Plan, day: Floats, hour: Floats, variant: Floats
) -> None:
    """Work a plant into the factors by day, by day and hour, and by day and variant."""
    first, last = plan.days.index(plant.first_day), plan.days.index(plant.last_day)
    span = slice(first, last + 1)
    planted = [item.name == plant.product for item in branch.menu]
    change = 1 + (plant.change or 0)
    weeks = np.clip(np.arange(len(plan.days)) - first, 0, last - first) / 7
    growth = (1 + (plant.change_per_week or 0)) ** (weeks - weeks[-1] / 2)
    match plant.kind:
        case "level_shift" | "unusual_day":
            day[span] *= change
        case "branch_trend":
            day *= growth
        case "day_shift":
            hour[span, : MORNING_ENDS - branch.opens] *= change
        case "silent_product":
            variant[span, planted] *= change
        case "product_trend":
            variant[:, planted] *= growth[:, None]


def _draw_lines(
    branch: Branch, rates: Floats, cell: Integers, rng: Generator
) -> tuple[Integers, Integers]:
    """The variant of every line, order by order, and the number of lines of each order."""
    days, hours, variants = rates.shape
    line_counts = rng.choice(len(LINE_SHARES), len(cell), p=LINE_SHARES) + 1
    line_cell = np.repeat(cell, line_counts)
    # One search does for all cells: the shares of cell n run from n to n + 1.
    shares = rates.reshape(days * hours, variants).cumsum(axis=1)
    shares = shares / np.maximum(shares[:, -1:], 1e-300) + np.arange(days * hours)[:, None]
    found = np.searchsorted(shares.ravel(), line_cell + rng.random(len(line_cell)), side="right")
    variant = np.minimum(found - line_cell * variants, variants - 1)

    names = [item.name for item in branch.menu]
    for first, second in PAIRS:
        order = np.repeat(np.arange(len(cell)), line_counts)
        has_first = np.bincount(order[variant == names.index(first)], minlength=len(cell)) > 0
        brings = has_first & (rng.random(len(cell)) < branch.attach)
        variant = np.insert(variant, line_counts.cumsum()[brings], names.index(second))
        line_counts = line_counts + brings
    return variant, line_counts


def _price_list(branch: Branch, plan: Plan) -> tuple[NDArray[np.object_], Integers, Integers]:
    """Texts and pence by (risen, variant, large), flat, and by day which variants have risen."""
    risen = np.zeros((len(plan.days), len(branch.menu)), dtype=np.int64)
    risen_menu = list(branch.menu)
    for plant in plan.plants:
        for place, item in enumerate(branch.menu):
            if plant.kind == "price_rise" and plant.product == item.name:
                risen[plan.days.index(plant.first_day) :, place] = 1
                risen_menu[place] = item.at_price(1 + (plant.change or 0))
    listed = [
        (f"{size} {item.name} - {pence // 100}.{pence % 100:02}", pence)
        for item in (*branch.menu, *risen_menu)
        for size, pence in (("Regular", item.regular_pence), ("Large", item.large_pence))
    ]
    texts, prices = zip(*listed, strict=True)
    return np.array(texts, dtype=object), np.array(prices), risen


def _items(lines: list[str]) -> str:
    return lines[0] if len(lines) == 1 else f'"{", ".join(lines)}"'


def _pounds(pence: int) -> str:
    """Tills write 9.0, 6.5 and 6.45."""
    return f"{pence // 100}.{pence % 100:02}".removesuffix("0")
