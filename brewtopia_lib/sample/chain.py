"""An invented café chain for sample data: its branches, opening hours, menus and prices."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, product

from numpy.random import Generator


@dataclass(frozen=True)
class Format:
    """A kind of branch: demand by weekday (Monday first), by hour open and by category."""

    name: str
    opens: int
    weekdays: tuple[float, ...]
    hours: tuple[float, ...]
    taste: dict[str, float]

    @property
    def closes(self) -> int:
        """The hour in which the last order can no longer fall."""
        return self.opens + len(self.hours)


@dataclass(frozen=True)
class Product:
    """One line of the menu: prices in pence, demand relative to the others, all flavours as one."""

    name: str
    category: str
    regular_pence: int
    large_pence: int
    demand: float
    flavours: tuple[str, ...] = ()
    not_in: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """A product and flavour as one branch sells it: prices in pence, weight is relative demand."""

    name: str
    category: str
    regular_pence: int
    large_pence: int
    weight: float
    large_share: float

    def at_price(self, factor: float) -> "Variant":
        """The same at that many times the price, to five pence."""
        return replace(
            self,
            regular_pence=_to_five_pence(self.regular_pence * factor),
            large_pence=_to_five_pence(self.large_pence * factor),
        )


@dataclass(frozen=True)
class Branch:
    """One branch; `attach` is the chance that a pair's first product brings the second along."""

    name: str
    format: Format
    opens: int
    orders_a_day: float
    weekdays: tuple[float, ...]
    attach: float
    menu: tuple[Variant, ...]

    def sells(self, name: str) -> bool:
        """Whether the variant is on this branch's menu."""
        return any(variant.name == name for variant in self.menu)

    def favourites(self) -> list[str]:
        """The better-selling half of the menu, best first."""
        ranked = sorted(self.menu, key=lambda variant: -variant.weight)
        return [variant.name for variant in ranked[: len(ranked) // 2]]


BAR = "espresso bar"
CAFE = "café"
TEA_ROOM = "tea room"

FORMATS = (
    Format(
        CAFE,
        opens=8,
        weekdays=(0.90, 0.88, 0.92, 0.97, 1.10, 1.25, 0.98),
        hours=(0.9, 1.2, 1.3, 1.0, 1.2, 1.4, 1.2, 1.1, 0.9, 0.6, 0.6, 0.7, 0.4),
        taste={"coffee": 1.0, "tea": 0.9, "chocolate": 1.0, "cold": 1.2, "bakery": 1.0},
    ),
    Format(
        TEA_ROOM,
        opens=9,
        weekdays=(0.80, 0.82, 0.88, 0.92, 1.02, 1.32, 1.24),
        hours=(0.8, 1.1, 1.1, 1.1, 1.2, 1.3, 1.4, 0.8),
        taste={"coffee": 0.7, "tea": 1.8, "chocolate": 1.2, "cold": 0.6, "bakery": 1.2},
    ),
    Format(
        BAR,
        opens=8,
        weekdays=(1.05, 1.08, 1.08, 1.10, 1.15, 0.85, 0.69),
        hours=(1.7, 1.6, 1.1, 0.8, 1.1, 1.2, 0.8, 0.7, 0.6, 0.4),
        taste={"coffee": 1.5, "tea": 0.5, "chocolate": 0.6, "cold": 1.1, "bakery": 0.9},
    ),
)

PRICE_FACTORS = (1.0, 1.04, 1.08)

LATTE_FLAVOURS = ("Vanilla", "Caramel", "Hazelnut", "Crème brûlée")
TEA_FLAVOURS = ("Earl Grey", "Peppermint", "Green", "Camomile", "Rooibos")

MENU = (
    Product("Espresso", "coffee", 150, 180, 0.9, not_in=(TEA_ROOM,)),
    Product("Americano", "coffee", 185, 215, 1.5),
    Product("Latte", "coffee", 215, 245, 1.8),
    Product("Flat white", "coffee", 220, 250, 1.5),
    Product("Cappuccino", "coffee", 215, 245, 1.4),
    Product("Cortado", "coffee", 200, 230, 0.4, not_in=(TEA_ROOM,)),
    Product("Mocha", "coffee", 235, 270, 0.8),
    Product("Flavoured latte", "coffee", 250, 285, 2.4, LATTE_FLAVOURS),
    Product("Chai latte", "tea", 225, 260, 1.0),
    Product("Breakfast tea", "tea", 120, 160, 1.6),
    Product("Speciality tea", "tea", 130, 165, 2.6, TEA_FLAVOURS),
    Product("Hot chocolate", "chocolate", 220, 270, 1.2, not_in=(TEA_ROOM,)),
    # Another product than "Hot chocolate", at another price: real menus have such pairs.
    Product("Hot Chocolate", "chocolate", 150, 185, 1.2, not_in=(CAFE, BAR)),
    Product("Luxury hot chocolate", "chocolate", 250, 290, 0.5),
    Product("Iced latte", "cold", 235, 280, 1.2),
    Product("Iced americano", "cold", 210, 245, 0.8, not_in=(TEA_ROOM,)),
    Product("Frappe", "cold", 275, 325, 1.5, ("Coffee", "Strawberries & cream"), (TEA_ROOM,)),
    Product("Smoothie", "cold", 215, 265, 1.6, ("Berry", "Mango", "Green")),
    Product("Lemonade", "cold", 160, 200, 0.9, ("Cloudy", "Elderflower")),
    Product("Butter croissant", "bakery", 165, 210, 1.1),
    Product("Almond croissant", "bakery", 200, 245, 0.6),
    Product("Cinnamon bun", "bakery", 195, 240, 0.9),
    Product("Fruit scone", "bakery", 180, 220, 0.6),
    Product("Carrot cake", "bakery", 245, 295, 0.8),
    Product("Brownie", "bakery", 190, 235, 0.9, not_in=(TEA_ROOM,)),
    Product("Shortbread", "bakery", 130, 170, 0.5),
)

PAIRS = (("Flat white", "Almond croissant"), ("Breakfast tea", "Fruit scone"))

TOWNS = (
    "Leeds", "Harrogate", "Bristol", "Whitby", "Bath", "Chester", "Newcastle upon Tyne", "Ludlow",
    "Brighton", "York", "Southend-on-Sea", "Norwich", "Exeter", "Hexham", "Oxford", "Stamford",
    "Buxton", "Derby", "Kendal", "Totnes", "Lincoln", "Durham", "Bury St Edmunds", "Stirling",
    "Cardiff", "Ely", "Perth", "Swansea", "Rye", "Skipton",
)  # fmt: skip
TOWN_STARTS = (
    "Alder", "Ash", "Barn", "Birch", "Black", "Brom", "Cold", "Cray", "Dun", "East", "Fair",
    "Fern", "Gold", "Hazel", "Holm", "Kings", "Lang", "Long", "Marl", "Mill", "North", "Oak",
    "Penn", "Red", "Stan", "Stone", "Thorn", "Wal", "West", "Wood",
)  # fmt: skip
TOWN_ENDS = (
    "beck", "bourne", "bridge", "bury", "by", "cliffe", "combe", "cross", "dale", "den", "field",
    "ford", "gate", "ham", "hurst", "leigh", "mere", "minster", "ridge", "stead", "thorpe", "ton",
    "wick", "worth",
)  # fmt: skip
TOWN_PLACES = ("", " Market", " Quay", " Station")
MOST_BRANCHES = len(TOWNS) + len(TOWN_PLACES) * len(TOWN_STARTS) * len(TOWN_ENDS)


def open_branches(count: int, rng: Generator) -> list[Branch]:
    """That many branches, at most MOST_BRANCHES; names come in a fixed order."""
    return [
        _open(name, FORMATS[place % len(FORMATS)], rng)
        for place, name in enumerate(islice(_town_names(), count))
    ]


def _town_names() -> Iterator[str]:
    yield from TOWNS
    for place, end, start in product(TOWN_PLACES, TOWN_ENDS, TOWN_STARTS):
        yield start + end + place


def _open(name: str, format: Format, rng: Generator) -> Branch:
    price_factor = float(rng.choice(PRICE_FACTORS))
    return Branch(
        name,
        format,
        opens=format.opens,
        orders_a_day=float(rng.uniform(200, 470)),
        weekdays=tuple(share * float(rng.lognormal(0, 0.04)) for share in format.weekdays),
        attach=float(rng.uniform(0.3, 0.45)),
        menu=tuple(_menu(format, price_factor, rng)),
    )


def _menu(format: Format, price_factor: float, rng: Generator) -> Iterator[Variant]:
    """What the format sells at this branch's prices and tastes, less some slow sellers."""
    paired = {name for pair in PAIRS for name in pair}
    for item in MENU:
        if format.name in item.not_in:
            continue
        names = [f"{item.name} - {flavour}" for flavour in item.flavours] or [item.name]
        for name in names:
            demand = item.demand / len(names)
            slow = demand < 0.6 and name not in paired
            if slow and rng.random() < 0.2:
                continue
            yield Variant(
                name,
                item.category,
                _to_five_pence(item.regular_pence * price_factor),
                _to_five_pence(item.large_pence * price_factor),
                weight=demand * format.taste[item.category] * float(rng.lognormal(0, 0.2)),
                large_share=float(rng.uniform(0.35, 0.6)),
            )


def _to_five_pence(pence: float) -> int:
    """The price rounded to five pence, as cafés do."""
    return round(pence / 5) * 5
