"""Item texts by a feed's grammar: wholly understood, or not at all."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brewtopia_lib.cleaning.feeds import Feed, load_feeds, parse_feed
from brewtopia_lib.cleaning.items import Item, make_item, parse_item, split_items

BUILT_IN = {feed.name: feed for feed in load_feeds()}["seven-columns"]


def grammar(pattern: str, separator: str = ", ", more: str = "") -> Feed:
    return parse_feed(
        f"name = 'x'\n[file]\ncolumns = 3\n[columns]\nsold_at = 1\nbranch = 2\nitems = 3\n"
        f"[items]\nseparator = '{separator}'\npattern = '''{pattern}'''\n{more}",
        "x",
    )


TRIPLES = grammar("(?P<size>[^,]*),(?P<product>[^,]+),(?P<price>[^,]+)", ",")


@pytest.mark.parametrize(
    ("text", "product", "size", "flavour", "pence"),
    [
        ("Regular Latte - 2.15", "Latte", "Regular", None, 215),
        ("  Regular   Latte  -  2.15 ", "Latte", "Regular", None, 215),
        ("Large Flavoured latte - Hazelnut - 2.85", "Flavoured latte", "Large", "Hazelnut", 285),
        ("Hot Chocolate - 1.40", "Hot Chocolate", None, None, 140),
        ("Regularly odd - 1", "Regularly odd", None, None, 100),
        ("Semi-skimmed - 0.30", "Semi-skimmed", None, None, 30),
        ("Ham, cheese - 4.20", "Ham, cheese", None, None, 420),
        ("Latte - -2.15", "Latte", None, None, -215),
        ("Latte - £2.15", "Latte", None, None, 215),
        ("Cake - 1,250.00", "Cake", None, None, 125000),
        ("Cola - 330 ml - 1.50", "Cola", None, "330 ml", 150),
        ("<b>x</b> - 1", "<b>x</b>", None, None, 100),
    ],
)
def test_items_of_the_built_in_grammar(
    text: str, product: str, size: str | None, flavour: str | None, pence: int
) -> None:
    """Size, product, flavour and price are told apart, whatever the spacing."""
    assert parse_item(text, BUILT_IN) == Item(product, size, flavour, 1, pence, pence)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "bad_items"), ("Latte", "bad_items"), ("Latte - ", "bad_items"), ("- 2.15", "bad_items"),
        ("Latte 2.15", "bad_items"), ("Latte - 2.155", "bad_price"), ("Latte - 2.1.5", "bad_price"),
        ("None - 2.15", "no_items"), ("4929123412341234 - 2.15", "bad_items"), ("Tea -2", "bad_items"),
        ("Latte - 4929123412341234", "bad_price"), ("x" * 200 + " - 2.15", "bad_items"),
    ],
)  # fmt: skip
def test_what_is_no_item(text: str, problem: str) -> None:
    """A text that is not wholly an item gives its problem and nothing of itself."""
    assert parse_item(text, BUILT_IN) == Item(problem=problem)


def found(feed: Feed, text: str) -> list[tuple[str | None, str | None, int | None]] | None:
    items = split_items(text, feed)
    return items and [(item.size, item.product, item.unit_pence) for item in items]


def test_fields_and_items_parted_by_the_same_mark() -> None:
    """Triples of size, product and price fall apart where each is whole, blank sizes included."""
    assert found(TRIPLES, "Large,Latte,2.45,,Tea,1.30") == [
        ("Large", "Latte", 245), (None, "Tea", 130),
    ]  # fmt: skip
    assert found(TRIPLES, ",Tea,1.30,,Bun,1.00") == [(None, "Tea", 130), (None, "Bun", 100)]
    assert found(TRIPLES, "Large,Latte,2.45,Tea") is None


def test_separators_in_a_name() -> None:
    """A comma in a product's name is no separator when what stands before it is no item."""
    assert found(BUILT_IN, "Regular Ham, cheese - 4.20, Tea - 1.30") == [
        ("Regular", "Ham, cheese", 420), (None, "Tea", 130),
    ]  # fmt: skip


def test_blank_items_are_left_out() -> None:
    """Nothing between two separators, or after the last one, is no item and no fault."""
    assert found(BUILT_IN, "Tea - 1.30, , Bun - 1.00, ") == [(None, "Tea", 130), (None, "Bun", 100)]
    assert found(BUILT_IN, "Tea - 1.30,Bun - 1.00") == [(None, "Tea", 130), (None, "Bun", 100)]
    assert found(BUILT_IN, ", ,") is None


def test_what_is_left_over_spoils_the_whole() -> None:
    """An order of which one piece is no item has no items."""
    assert found(BUILT_IN, "Tea - 1.30, Large Flavoured lat") is None


NAMES = st.from_regex(r"[A-Za-z][a-z]{0,8}( [a-z]{1,6})?", fullmatch=True).filter(
    lambda name: (
        name.casefold() not in BUILT_IN.nulls
        and name.split()[0] not in ("Small", "Medium", "Regular", "Large")
    )
)
SIZES = st.sampled_from(["", "Small ", "Regular ", "Large "])


@given(st.lists(st.tuples(SIZES, NAMES, st.integers(0, 99_999)), min_size=2, max_size=8))
def test_what_is_written_is_read(items: list[tuple[str, str, int]]) -> None:
    """Any items in the built-in spelling come back as they were, in order."""
    text = ", ".join(f"{size}{name} - {pence / 100:.2f}" for size, name, pence in items)
    wanted = [(size.strip() or None, name, pence) for size, name, pence in items]
    assert found(BUILT_IN, text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "Latte" + " " * 100_000 + "x",
        "Latte - " * 30_000,
        "a, " * 399 + "b",
        "1," * 50_000,
        "-" * 99_999,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    """Texts on which patterns go back and forth are refused at once."""
    started = time.monotonic()
    parse_item(text, BUILT_IN)
    split_items(text, BUILT_IN)
    assert time.monotonic() - started < 2


def test_quantities_and_line_totals() -> None:
    """A line's total is its price times its quantity, or the price is what the total leaves for one;
    where both are given, both are kept."""
    feed = grammar("(?P<quantity>[0-9]+)x (?P<product>[^@]+) @ (?P<price>.+)")
    assert parse_item("2x Latte @ 2.45", feed) == Item("Latte", None, None, 2, 245, 490)
    assert parse_item("0x Latte @ 2.45", feed) == Item(problem="bad_quantity")
    parts = {"product": "Latte", "quantity": "3", "line_total": "7.00"}
    assert make_item(feed, parts) == Item("Latte", None, None, 3, 233, 700)
    assert make_item(feed, parts | {"price": "2.45"}) == Item("Latte", None, None, 3, 245, 700)
    assert make_item(feed, parts | {"price": "x"}) == Item(problem="bad_price")
    assert make_item(feed, parts | {"quantity": "-1"}) == Item("Latte", None, None, -1, -700, 700)


def test_no_line_is_beyond_what_a_cafe_sells() -> None:
    """A price times a quantity that comes to more than any order's total is refused, not overflown."""
    feed = grammar("(?P<quantity>[0-9]+)x (?P<product>[^@]+) @ (?P<price>.+)")
    assert parse_item("10000x Latte @ 100000.00", feed) == Item(problem="bad_price")


def test_aliases_of_a_feed() -> None:
    """Other spellings of a size, product or flavour become the declared one; nulls are none."""
    feed = grammar(
        "(?P<size>[^ ]+) (?P<product>[^ ]+) (?P<price>.+)", ", ",
        "[values.size]\nLg = 'Large'\n[values.product]\nLt = 'Latte'\n",
    )  # fmt: skip
    assert parse_item("Lg Lt 2", feed) == Item("Latte", "Large", None, 1, 200, 200)
    assert parse_item("N/A Tea 2", feed) == Item("Tea", None, None, 1, 200, 200)
