"""One text, one value: amounts are exact or none, and every spelling of a name is one name."""

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brewtopia_lib.cleaning.values import (
    LONG_NUMBER,
    MAX_NAME_LENGTH,
    MAX_PENCE,
    parse_branch,
    parse_payment,
    parse_pence,
    parse_quantity,
)


@pytest.mark.parametrize(
    ("text", "pence"),
    [
        ("8.3", 830), ("8.30", 830), ("8", 800), ("08.30", 830), (".5", 50), ("8.", None),
        (" 8.30 ", 830), ("0.00", 0), ("-2.15", -215), ("£2.15", 215), ("-£2.15", -215),
        ("£-2.15", -215), ("£ 2.15", 215), ("2.15£", 215), ("1,250.00", 125000),
        ("1,250", 125000), ("12,50", None), ("1,2500", None), (",250", None), ("1'250.00", 125000),
        ("1 250.00", 125000), ("2.155", None), ("2.150", 215), ("1e3", None), ("5.49E+15", None),
        ("--2", None), ("-", None), ("", None), ("£", None), ("N/A", None), ("inf", None),
        ("nan", None), ("٢.١٥", None), ("4929123412341234", None), ("100000.00", MAX_PENCE),
        ("100000.01", None), ("2.15.30", None), ("$2.15", None), ("2.15x", None),
        ("(2.15)", -215), ("(£2.15)", -215), ("£(2.15)", -215), ("2.15-", -215), ("£2.15-", -215),
        ("\u22122.15", -215), ("£\u22122.15", -215), ("2.15\u2212", -215), ("(1,250.00)", -125000),
        ("(-2.15)", None), ("-2.15-", None), ("-(2.15)", None), ("(2.15", None), ("2.15)", None),
        ("()", None), ("(", None), ("--", None), ("(2.15)-", None), ("£-(2.15)", None),
    ],
)  # fmt: skip
def test_amounts(text: str, pence: int | None) -> None:
    """An amount is read to the penny, with sign, currency and thousands marks, or it is none."""
    assert parse_pence(text) == pence


@pytest.mark.parametrize(
    ("text", "pence"),
    [("2,45", 245), ("1.250,00", 125000), ("1.250", 125000), ("2.45", None), ("-2,5", -250)],
)
def test_amounts_with_a_decimal_comma(text: str, pence: int | None) -> None:
    """With a decimal comma, points are thousands marks and must stand where those do."""
    assert parse_pence(text, ",") == pence


@given(pence=st.integers(-MAX_PENCE, MAX_PENCE), mark=st.sampled_from(".,"), grouped=st.booleans())
def test_every_spelling_of_an_amount_is_that_amount(pence: int, mark: str, grouped: bool) -> None:
    """What is written in pounds with two decimals is read back as it was."""
    text = f"{Decimal(pence).scaleb(-2):{',' if grouped else ''}.2f}"
    swapped = text.translate(str.maketrans(",.", ".,")) if mark == "," else text
    assert parse_pence(swapped, mark) == pence


@given(st.text(max_size=30))
def test_no_text_breaks_a_parser(text: str) -> None:
    """Any text is a value or none: no parser fails on it, and none gives back a raw payment."""
    pence, branch = parse_pence(text), parse_branch(text)
    assert pence is None or abs(pence) <= MAX_PENCE
    assert branch is None or branch.strip() == branch != ""
    assert parse_payment(text) in ("CARD", "CASH", "UNKNOWN")
    assert parse_quantity(text) != 0


@pytest.mark.parametrize(
    ("spellings", "branch"),
    [
        (["Leeds", "leeds", " LEEDS ", "lEEDS\t"], "Leeds"),
        (["Milton Keynes", "milton_keynes", "MILTON   KEYNES", "milton\u00a0keynes"], "Milton Keynes"),
        (["stoke-on-trent", "Stoke-On-Trent", "STOKE-ON-TRENT"], "Stoke-on-Trent"),
        (["the strand", "The Strand"], "The Strand"),
        (["st albans", "ST ALBANS"], "St Albans"),
        (["ec1 (old street)", "EC1 (Old Street)"], "EC1 (Old Street)"),
        (["łódź", "ŁÓDŹ"], "Łódź"),
        (["café", "cafe\u0301", "CAFÉ"], "Café"),
    ],
)  # fmt: skip
def test_every_spelling_of_a_branch_is_one(spellings: list[str], branch: str) -> None:
    """Case, spacing, underscores and ways to write an accent do not make another branch."""
    assert {parse_branch(spelling) for spelling in spellings} == {branch}


@given(st.text(min_size=1, max_size=20))
def test_a_branch_name_names_itself(text: str) -> None:
    """The one name of a branch, read again in any case, is that name: nothing depends on which
    spelling came first."""
    branch = parse_branch(text)
    if branch is not None:
        assert parse_branch(branch) == branch
        assert parse_branch(f"  {text} ") == branch


@pytest.mark.parametrize("text", ["", "  ", "4929123412341234", "x" * (MAX_NAME_LENGTH + 1), "_"])
def test_what_names_no_branch(text: str) -> None:
    """Nothing, a card's number and an endless text name no branch."""
    assert parse_branch(text) is None


CARD_NUMBER = "4929123412341234"


@pytest.mark.parametrize(
    "mark", ["", " ", "  ", "-", " - ", "/", "_", ",", ".", "\u00a0", "\u2009", "\u2013", "\u200b"]
)
@pytest.mark.parametrize("every", [1, 2, 4])
def test_a_card_number_is_no_name_whatever_parts_it(mark: str, every: int) -> None:
    """The digits of a card name no branch and no product, with whatever between them."""
    parted = mark.join(CARD_NUMBER[at : at + every] for at in range(0, 16, every))
    for text in (parted, f"Bob {parted}", f"{parted}x"):
        assert LONG_NUMBER.search(text)
        assert parse_branch(text) is None


@pytest.mark.parametrize(
    "text",
    ["12 oz 16 oz", "Shop 24/7 (2021)", "330 ml, 500 ml, 1000 ml", "N1 9GU", "Tea 2 for 1.50"],
)
def test_a_name_may_have_digits(text: str) -> None:
    """Sizes, numbers of houses and prices in a name are no card."""
    assert not LONG_NUMBER.search(text)
    assert parse_branch(text) is not None


def test_long_texts_take_no_longer() -> None:
    """Looking for a card's digits takes time that grows with the text alone."""
    started = time.monotonic()
    for text in ("1" * 8 + "x", "1   ", "1 - x", " " * 9):
        LONG_NUMBER.search(text * 100_000)
    assert time.monotonic() - started < 5


def test_branch_aliases_go_before_the_rule() -> None:
    """A feed's own name for a branch is taken for any spelling of what it stands for, as it is."""
    assert parse_branch(" l1 ", {"L1": "LEEDS city"}) == "LEEDS city"


@pytest.mark.parametrize(
    ("text", "payment"),
    [("card", "CARD"), (" Cash ", "CASH"), ("visa", "CARD"), ("", "UNKNOWN"), ("Voucher", "VOUCHER"),
     ("Zelda Quackenbush", "UNKNOWN")],
)  # fmt: skip
def test_payments(text: str, payment: str) -> None:
    """A payment is one that is known or declared, in any case, and never the raw text."""
    assert parse_payment(text, {"Visa": "CARD", "voucher": "VOUCHER"}) == payment


def test_a_payment_is_spelled_one_way() -> None:
    """A feed that says "Card" means CARD, and two spellings of its own name are the first one."""
    aliases = {"Visa": "Card", "Coins": "cash", "V": "Voucher", "W": "VOUCHER"}
    assert {parse_payment(text, aliases) for text in ("visa", "card", "Card")} == {"CARD"}
    assert {parse_payment(text, aliases) for text in ("coins", "CASH")} == {"CASH"}
    assert {parse_payment(text, aliases) for text in ("v", "W", "voucher")} == {"Voucher"}


@pytest.mark.parametrize(
    ("text", "quantity"),
    [("", 1), ("2", 2), (" 2.0 ", 2), ("2,00", 2), ("-1", -1), ("0", None), ("1.5", None),
     ("two", None), ("10000", 10000), ("10001", None), ("999999999999", None)],
)  # fmt: skip
def test_quantities(text: str, quantity: int | None) -> None:
    """A quantity is a whole number of pieces, one where nothing is said, or it is none."""
    assert parse_quantity(text) == quantity
