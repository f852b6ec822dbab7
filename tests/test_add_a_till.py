"""The page that teaches feeds: its examples work on the rows they show, its tables are whole."""

import re
from pathlib import Path

import pytest

from brewtopia_lib.cleaning import clean
from brewtopia_lib.cleaning.feeds import ROLES, load_feeds, parse_feed

PAGE = Path(__file__).parents[1] / "docs" / "add-a-till.md"
EXAMPLES = re.findall(
    r"((?:^    [^\n]*\n)+)\n```toml\n(.*?)```", PAGE.read_text(), re.DOTALL | re.MULTILINE
)
FILE_NAMES = {
    "harbour-tills": "leeds.csv",
    "priced-first": "till4_1.csv",
    "receipt-lines": "leeds_2021-08-25.csv",
}
SOLD = {
    "harbour-tills": [("Latte", "Large", 1, 2.45), ("Tea", "Regular", 1, 1.30)],
    "priced-first": [("Latte", "Large", 1, 2.45), ("Tea", "Regular", 1, 1.30)],
    "receipt-lines": [("Latte", "Large", 2, 4.90), ("Croissant", None, 1, 2.00)],
}


@pytest.mark.parametrize(("rows", "toml"), EXAMPLES)
def test_an_example_cleans_the_rows_it_shows(rows: str, toml: str, tmp_path: Path) -> None:
    """Each feed of the page, beside the built-in ones, takes the rows above it, to the penny."""
    feed = parse_feed(toml, "the page")
    path = tmp_path / FILE_NAMES[feed.name]
    path.write_text("".join(line[4:] + "\n" for line in rows.splitlines()))
    cleaned = clean(path, feeds=(*load_feeds(), feed))
    assert cleaned.rejects.empty
    assert cleaned.orders["branch"].tolist() == ["Leeds"]
    assert cleaned.orders["payment"].tolist() == ["CARD"]
    assert cleaned.orders["total_matches"].all()
    columns = ["product", "size", "quantity", "line_total"]
    sold = cleaned.sales[columns].astype(object).where(cleaned.sales[columns].notna(), None)
    assert list(sold.itertuples(index=False, name=None)) == SOLD[feed.name]


def test_every_example_is_tried() -> None:
    """No TOML block stands on the page without rows above it."""
    assert len(EXAMPLES) == PAGE.read_text().count("```toml") == len(SOLD)


def test_the_page_names_every_role_and_reason() -> None:
    """Whatever a feed may say and a row may be rejected for is on the page."""
    library = Path(__file__).parents[1] / "brewtopia_lib"
    sources = [*library.glob("*.py"), *library.glob("sql/clean/*.sql")]
    code = "".join(path.read_text() for path in sources)
    reasons = set(re.findall(r"""(?:then |else |=)\s*['"]((?:bad|no|too)_[a-z_]+)['"]""", code))
    reasons |= {"ambiguous_date", "broken_quotes", "duplicate_row", "nul_byte", "orphan_row"}
    reasons |= {"order_row", "row_too_long"}
    page = PAGE.read_text()
    assert {"bad_items", "bad_timestamp", "no_branch", "no_order"} <= reasons
    assert [name for name in sorted({*reasons, *ROLES}) if f"`{name}`" not in page] == []
