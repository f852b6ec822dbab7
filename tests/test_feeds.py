"""Feeds: any layout is declared in a few lines, and what is wrong is said without a cell of data."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tried import CARD, NAME, Tried, check, row, try_files

from brewtopia_lib.cleaning.choice import choose_feed
from brewtopia_lib.cleaning.feeds import (
    BranchRule,
    Feed,
    FileRule,
    ItemsRule,
    MoneyRule,
    TimestampRule,
    Values,
    load_feeds,
)
from brewtopia_lib.cleaning.headers import shown_header
from brewtopia_lib.errors import FeedError
from brewtopia_lib.sources.records import Record

GUIDE = Path(__file__).parents[1] / "docs/add-a-till.md"


# --- layouts that nobody here has seen: the same sales, written and read in each


@dataclass(frozen=True)
class Line:
    product: str
    size: str
    quantity: int
    pence: int


@dataclass(frozen=True)
class Sale:
    number: int
    day: int
    time: str
    branch: str
    payment: str
    lines: tuple[Line, ...]

    @property
    def pence(self) -> int:
        return sum(line.quantity * line.pence for line in self.lines)


LATTE, TEA, CAKE = (
    Line("Latte", "Large", 1, 245),
    Line("Tea", "Regular", 1, 130),
    Line("Cake", "Large", 1, 125000),
)
SALES = (
    Sale(1, 5, "09:00", "Leeds", "CARD", (LATTE,)),
    Sale(2, 5, "09:01", "Leeds", "CASH", (LATTE, TEA)),
    Sale(3, 6, "17:30", "Leeds", "CARD", (TEA, CAKE, TEA)),
    Sale(4, 13, "08:05", "Leeds", "CASH", (replace(LATTE, pence=-245),)),
)
SEVERAL = (
    *SALES[:2],
    replace(SALES[2], lines=(replace(TEA, quantity=3), replace(LATTE, quantity=2))),
)

Write = Callable[[Sale], str]


def pounds(pence: int) -> str:
    return f"{pence / 100:.2f}"


def commas(pence: int) -> str:
    return f"{pence / 100:,.2f}".translate(str.maketrans(",.", ".,"))


def personal(sale: Sale) -> str:
    return f"Zelda {NAME}"


@dataclass(frozen=True)
class Layout:
    feed: str
    write: Write
    header: str = ""
    name: str = "export.csv"
    sales: tuple[Sale, ...] = SALES

    def text(self) -> str:
        return self.header + "".join(f"{self.write(sale)}\n" for sale in self.sales)


def items(sale: Sale, spelling: Callable[[Line], str], separator: str) -> str:
    return separator.join(map(spelling, sale.lines))


def per_line(write: Callable[[Sale, Line, bool], str]) -> Write:
    """One row for each line of a sale, the first of them marked."""
    return lambda sale: "\n".join(
        write(sale, line, place == 0) for place, line in enumerate(sale.lines)
    )


def head(columns: int, roles: str, items: str = "", more: str = "") -> str:
    return f"name = 'x'\nbefore = 'seven-columns'\n[file]\ncolumns = {columns}\n{more}\n[columns]\n{roles}\n{items}"


BY_NAME = "[items]\nseparator = ', '\npattern = '''(?P<size>[A-Z]\\w+) (?P<product>.+) - (?P<price>.+)'''\n"
PLAIN = "{size} {product} - {price}"


def plain(line: Line) -> str:
    return PLAIN.format(size=line.size, product=line.product, price=pounds(line.pence))


LAYOUTS: dict[str, Layout] = {
    "other column order": Layout(
        head(6, "total = 1\npayment = 2\nitems = 4\nbranch = 5\nsold_at = 6", BY_NAME),
        lambda s: f'{pounds(s.pence)},{s.payment},{personal(s)},"{items(s, plain, ", ")}",'
        f"{s.branch},{s.day:02}/03/2024 {s.time}",
    ),
    "semicolons, decimal commas and thousands points": Layout(
        head(
            5, "sold_at = 1\nbranch = 2\nitems = 4\ntotal = 5",
            "[items]\nseparator = ' + '\npattern = '''(?P<size>\\w+) (?P<product>.+) (?P<price>\\S+)'''\n"
            "[money]\ndecimal_mark = ','\n", "delimiter = ';'",
        ),
        lambda s: f"{s.day}/3/2024 {s.time};{s.branch};{personal(s)};"
        f"{items(s, lambda i: f'{i.size} {i.product} {commas(i.pence)}', ' + ')};{commas(s.pence)}",
    ),
    "tabs": Layout(
        head(5, "sold_at = 1\nbranch = 2\nitems = 4\ntotal = 5", BY_NAME, 'delimiter = "\\t"'),
        lambda s: "\t".join(
            [f"2024-03-{s.day:02} {s.time}", s.branch, personal(s), items(s, plain, ", "), pounds(s.pence)]
        ),
    ),
    "bars and single quotes": Layout(
        head(
            5, "sold_at = 1\nbranch = 2\nitems = 4\ntotal = 5",
            BY_NAME.replace("', '", "'|'"), "delimiter = '|'\nquote = \"'\"",
        ),
        lambda s: f"2024-03-{s.day:02} {s.time}|{s.branch}|'{personal(s)}|O''Neil'|"
        f"'{items(s, plain, '|')}'|{pounds(s.pence)}",
    ),
    "no quoting": Layout(
        head(5, "sold_at = 1\nbranch = 2\nitems = 4\ntotal = 5", BY_NAME.replace("', '", "' / '"), "quote = ''"),
        lambda s: f'2024-03-{s.day:02} {s.time},{s.branch},"{personal(s)},{items(s, plain, " / ")},{pounds(s.pence)}',
    ),
    "date and time apart": Layout(
        head(6, "date = 2\ntime = 1\nbranch = 3\nitems = 5\ntotal = 6", BY_NAME),
        lambda s: f'{s.time}, {s.day:02}/03/2024 ,{s.branch},{personal(s)},"{items(s, plain, ", ")}",{pounds(s.pence)}',
    ),
    "american dates with am and pm": Layout(
        head(5, "sold_at = 1\nbranch = 2\nitems = 4\ntotal = 5", BY_NAME + "[timestamp]\nformats = '%m/%d/%Y %I:%M %p'\n"),
        lambda s: f"3/{s.day}/2024 {int(s.time[:2]) % 12 or 12}{s.time[2:]} {'AM' if s.time < '12' else 'PM'},"
        f'{s.branch},{personal(s)},"{items(s, plain, ", ")}",{pounds(s.pence)}',
    ),
    "branch in the file's name": Layout(
        head(4, "sold_at = 1\nitems = 3\ntotal = 4", BY_NAME + "[branch]\nfile_name = '^till_(?P<branch>[a-z]+)_'\n", "name = 'till_*'"),
        lambda s: f'2024-03-{s.day:02} {s.time},{personal(s)},"{items(s, plain, ", ")}",{pounds(s.pence)}',
        name="till_leeds_2024.csv",
    ),
    "one branch for all": Layout(
        head(4, "sold_at = 1\nitems = 3\ntotal = 4", BY_NAME + "[branch]\nconstant = 'leeds'\n"),
        lambda s: f'2024-03-{s.day:02} {s.time},{personal(s)},"{items(s, plain, ", ")}",{pounds(s.pence)}',
    ),
    "sizes after the name": Layout(
        head(
            5, "sold_at = 1\nbranch = 2\nitems = 4\ntotal = 5",
            "[items]\nseparator = ', '\npattern = '''(?P<product>.+) \\((?P<size>\\w+)\\) (?P<price>\\S+)'''\n",
        ),
        lambda s: f"2024-03-{s.day:02} {s.time},{s.branch},{personal(s)},"
        f'"{items(s, lambda i: f"{i.product} ({i.size}) £{pounds(i.pence)}", ", ")}",£{pounds(s.pence)}',
    ),
    "prices in front": Layout(
        head(
            5, "sold_at = 1\nbranch = 2\nitems = 4\ntotal = 5",
            "[items]\nseparator = '; '\npattern = '''(?P<price>\\S+) (?P<size>\\w+) (?P<product>.+)'''\n",
        ),
        lambda s: f"2024-03-{s.day:02} {s.time},{s.branch},{personal(s)},"
        f"{items(s, lambda i: f'{pounds(i.pence)} {i.size} {i.product}', '; ')},{pounds(s.pence)}",
    ),
    "triples": Layout(
        head(
            5, "sold_at = 1\nbranch = 2\nitems = 4\ntotal = 5",
            "[items]\nseparator = ','\npattern = '''(?P<size>[^,]*),(?P<product>[^,]+),(?P<price>[^,]+)'''\n",
        ),
        lambda s: f"2024-03-{s.day:02} {s.time},{s.branch},{personal(s)},"
        f'"{items(s, lambda i: f"{i.size},{i.product},{pounds(i.pence)}", ",")}",{pounds(s.pence)}',
    ),
    "quantities in the items": Layout(
        head(
            5, "sold_at = 1\nbranch = 2\nitems = 4\ntotal = 5",
            "[items]\nseparator = ', '\npattern = '''(?P<quantity>\\d+)x (?P<size>\\w+) (?P<product>.+) @ (?P<price>\\S+)'''\n",
        ),
        lambda s: f"2024-03-{s.day:02} {s.time},{s.branch},{personal(s)},"
        f'"{items(s, lambda i: f"{i.quantity}x {i.size} {i.product} @ {pounds(i.pence)}", ", ")}",{pounds(s.pence)}',
        sales=SEVERAL,
    ),
    "header in other words and order, columns never named": Layout(
        "name = 'x'\n[columns]\nsold_at = 'When'\nbranch = ['Site', 'Café']\nitems = 'Basket'\n"
        "total = ['Sum', 'To Pay']\npayment = 'Tender'\n[values.payment]\nPlastic = 'CARD'\n" + BY_NAME,
        lambda s: f'{personal(s)},{pounds(s.pence)},"{items(s, plain, ", ")}",{CARD},{s.branch},'
        f"{s.day:02}/03/2024 {s.time},{s.payment.replace('CARD', 'plastic')},{NAME}@example.org",
        header="Guest, TO_PAY ,basket,Number,café,WHEN,tender,Mail\n",
    ),
    "lines above the first row": Layout(
        head(5, "sold_at = 1\nbranch = 2\nitems = 4\ntotal = 5", BY_NAME, "skip_lines = 2"),
        lambda s: f'2024-03-{s.day:02} {s.time},{s.branch},{personal(s)},"{items(s, plain, ", ")}",{pounds(s.pence)}',
        header=f"Export of {NAME}\n\n",
    ),
    "one row per line": Layout(
        head(9, "order = 1\nsold_at = 2\nbranch = 3\nproduct = 5\nsize = 6\nquantity = 7\nunit_price = 8\npayment = 9"),
        per_line(
            lambda s, i, _: f"{s.number},2024-03-{s.day:02} {s.time},{s.branch},{personal(s)},{i.product},"
            f"{i.size},{i.quantity},{pounds(i.pence)},{s.payment}"
        ),
        sales=SEVERAL,
    ),
    "one row per line with its total": Layout(
        "name = 'x'\n[columns]\norder = 'Receipt'\nsold_at = 'Time'\nbranch = 'Shop'\nproduct = 'Article'\n"
        "size = 'Size'\nquantity = 'Qty'\nline_total = 'Sum'\ntotal = 'Bill'\n",
        per_line(
            lambda s, i, _: f"{s.number},2024-03-{s.day:02} {s.time},{s.branch},{personal(s)},{i.product},"
            f"{i.size},{i.quantity},{pounds(i.pence * i.quantity)},{pounds(s.pence)}"
        ),
        header="Receipt,Time,Shop,Customer,Article,Size,Qty,Sum,Bill\n",
        sales=SEVERAL,
    ),
    "one row per line, the item in one text": Layout(
        head(6, "order = 1\nsold_at = 2\nbranch = 3\nproduct = 5\nunit_price = 6", "[items]\npattern = '''(?P<product>.+) \\[(?P<size>.+)\\]'''\n"),
        per_line(
            lambda s, i, _: f"{s.number},2024-03-{s.day:02} {s.time},{s.branch},{personal(s)},"
            f"{i.product} [{i.size}],{pounds(i.pence)}"
        ),
        sales=(*SALES[:2], SALES[3]),
    ),
    "continuation rows": Layout(
        "name = 'x'\ncontinuation = true\n"
        + head(9, "order = 1\nsold_at = 2\nbranch = 3\nproduct = 5\nsize = 6\nquantity = 7\nunit_price = 8\npayment = 9").replace("name = 'x'\n", ""),
        per_line(
            lambda s, i, first: (
                f"{s.number},2024-03-{s.day:02} {s.time},{s.branch},{personal(s)}" if first else ",,,"
            )
            + f",{i.product},{i.size},{i.quantity},{pounds(i.pence)},{s.payment if first else ''}"
        ),
        sales=(*SEVERAL, replace(SALES[2], number=4, time="17:31")),
    ),
}  # fmt: skip


def sold(sales: tuple[Sale, ...]) -> list[tuple[object, ...]]:
    """The order lines that sales come to."""
    return sorted(
        (
            f"{sale.day:02}/03/2024 {sale.time}", place, line.product, line.size, None,
            line.quantity, Decimal(line.pence) / 100, Decimal(line.pence * line.quantity) / 100,
        )
        for sale in dict.fromkeys(sales)
        for place, line in enumerate(sale.lines, start=1)
    )  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_nobody_has_seen(tmp_path: Path, name: str) -> None:
    """A feed of a few lines takes the layout: every order, line and penny comes out as it went in,
    nothing is rejected, and no column that the feed does not name is ever seen."""
    layout = LAYOUTS[name]
    tried = try_files(tmp_path, {layout.name: layout.text()}, [layout.feed])
    check(tried)
    assert tried.summary.failures == []
    assert tried.summary.clean.rejected == 0
    wanted = sold(layout.sales)
    found = tried.sales("branch = 'Leeds'")
    assert sorted(line[:8] for line in found) == wanted
    assert sorted(tried.totals("branch = 'Leeds'")) == sorted(
        Decimal(sale.pence) / 100 for sale in layout.sales
    )
    if "payment" in layout.feed:
        assert {line[0][-5:]: line[8] for line in found} == {
            s.time: s.payment for s in layout.sales
        }
    assert tried.rows("select count(*) from orders where not total_matches") == [(0,)]


def test_a_feed_takes_a_big_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is read from where it lies is cut by its feed's marks like a small one."""
    monkeypatch.setattr("brewtopia_lib.sources.SMALL_BYTES", 0)
    for name in ("bars and single quotes", "lines above the first row", "date and time apart"):
        layout = LAYOUTS[name]
        tried = try_files(tmp_path / name, {layout.name: layout.text()}, [layout.feed])
        check(tried)
        assert sorted(line[:8] for line in tried.sales("branch = 'Leeds'")) == sold(layout.sales)


@pytest.mark.parametrize("is_large", [False, True], ids=["small", "large"])
def test_a_line_of_tabs_is_blank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    """Where tabs part the fields, a line of nothing but tabs and spaces is no row, whichever reader
    reads the file."""
    if is_large:
        monkeypatch.setattr("brewtopia_lib.sources.SMALL_BYTES", 0)
    feed = feed_of("tabs").replace("[file]", "[file]\ndelimiter = '\t'").replace("'\t'", '"\\t"')
    rows = [
        FOUR.replace(",", "\t"),
        "\t\t\t\n",
        " \t \t\t \n",
        FOUR.replace("Leeds", "Hull").replace(",", "\t"),
    ]
    tried = try_files(tmp_path, {"a.tsv": "".join(rows), "b.tsv": "".join([*rows, "x\n"])}, [feed])
    check(tried)
    assert tried.load("a.tsv") == (2, 2, 2, 0)
    assert tried.load("b.tsv") == (3, 2, 2, 1)


# --- continuation rows, and what breaks them


CONTINUED = LAYOUTS["continuation rows"].feed


def continued(order: str, product: str, price: str = "1.00") -> str:
    place = f"2024-03-05 09:0{order},Leeds" if order else ","
    return f"{order},{place},Zelda {NAME},{product},,1,{price},{'CASH' if order else ''}\n"


def try_continued(folder: Path, *rows: str) -> Tried:
    tried = try_files(folder, {"a.csv": "".join(rows)}, [CONTINUED])
    check(tried)
    return tried


def products(tried: Tried) -> list[tuple[object, ...]]:
    return [(time[-5:], product) for time, _, product, *_ in tried.sales("branch = 'Leeds'")]


def test_nothing_is_taken_across_a_broken_row(tmp_path: Path) -> None:
    """A row that cannot be told may have begun another order: the lines after it belong to none."""
    tried = try_continued(
        tmp_path,
        continued("1", "A"), continued("", "B"), "2,broken\n", continued("", "C"),
        continued("3", "D"), continued("", "E"),
    )  # fmt: skip
    assert tried.reasons("a.csv") == [(3, "too_few_columns"), (4, "orphan_row")]
    assert products(tried) == [("09:01", "A"), ("09:01", "B"), ("09:03", "D"), ("09:03", "E")]


def test_a_continuation_before_any_order_is_an_orphan(tmp_path: Path) -> None:
    """A file that begins with a line of no order loses that line alone."""
    tried = try_continued(tmp_path, continued("", "A"), continued("1", "B"))
    assert tried.reasons("a.csv") == [(1, "orphan_row")]
    assert products(tried) == [("09:01", "B")]


def test_a_bad_line_leaves_the_others_of_its_order(tmp_path: Path) -> None:
    """A line without a price is rejected; the order keeps its other lines, in order."""
    tried = try_continued(
        tmp_path, continued("1", "A"), continued("", "B", "?"), continued("", "C")
    )
    assert tried.reasons("a.csv") == [(2, "bad_price")]
    assert products(tried) == [("09:01", "A"), ("09:01", "C")]


def test_a_pasted_block_of_orders_and_their_lines(tmp_path: Path) -> None:
    """Orders pasted twice are rejected with all their lines; equal lines of one order stay two."""
    block = [continued("1", "A"), continued("", "B"), continued("", "B"), continued("2", "C")]
    tried = try_continued(tmp_path, *block, *block)
    assert tried.reasons("a.csv") == [(place, "duplicate_row") for place in (5, 6, 7, 8)]
    assert products(tried) == [("09:01", "A"), ("09:01", "B"), ("09:01", "B"), ("09:02", "C")]


RECEIPTS = """
name = "receipts"
[columns]
order = "Receipt"
sold_at = "When"
branch = "Shop"
product = "Item"
line_total = "Each"
total = "Paid"
"""


@pytest.mark.parametrize("backwards", [False, True])
def test_an_order_that_lasts_past_midnight(tmp_path: Path, backwards: bool) -> None:
    """Rows that share a receipt's number are one order, and its total counts once, also where they
    lie on two days; the number used again a day later is another order."""
    rows = [
        f"{receipt},2024-03-{when},Leeds,{item},1.00,{paid}\n"
        for receipt, when, item, paid in [
            ("1", "05 23:58", "A", 3), ("1", "05 23:59", "B", 3), ("1", "06 00:01", "C", 3),
            ("2", "06 00:01", "D", 1), ("1", "07 09:00", "E", 1), ("2", "05 09:00", "F", 2),
            ("2", "05 18:00", "G", 2),
        ]
    ]  # fmt: skip
    text = "".join(["Receipt,When,Shop,Item,Each,Paid\n", *(rows[::-1] if backwards else rows)])
    tried = try_files(tmp_path, {"a.csv": text}, [RECEIPTS])
    check(tried)
    assert tried.rows(
        "select strftime(sold_at, '%d %H:%M'), line_count, cast(total as integer), total_matches"
        " from orders where branch = 'Leeds' order by all"
    ) == [("05 09:00", 2, 2, True), ("05 23:58", 3, 3, True), ("06 00:01", 1, 1, True), ("07 09:00", 1, 1, True)]  # fmt: skip


def test_other_lines_of_a_repeated_order_are_money_not_counted(tmp_path: Path) -> None:
    """Where only the first row of an order is repeated, the other rows after it are no copies: they
    are rejected, and what they come to is told."""
    first = continued("1", "A")
    tried = try_continued(
        tmp_path, first, continued("", "B"), first, continued("", "B"), continued("", "C", "4.00"),
        continued("", "", "2.00"),
    )  # fmt: skip
    assert tried.reasons("a.csv") == [
        (3, "duplicate_row"), (4, "duplicate_row"), (5, "orphan_row"), (6, "no_items"),
    ]  # fmt: skip
    assert tried.summary.clean.revenue_not_counted == Decimal("4.00")


def test_a_first_row_may_name_no_item(tmp_path: Path) -> None:
    """Where an order's first row holds no item but its time and payment, the rows after it are the
    order; the first row is no line and says so."""
    tried = try_continued(
        tmp_path, continued("1", "", ""), continued("", "A"), continued("", "B"),
        continued("2", "", ""), continued("3", "C"),
    )  # fmt: skip
    assert tried.reasons("a.csv") == [(1, "order_row"), (4, "no_items")]
    assert products(tried) == [("09:01", "A"), ("09:01", "B"), ("09:03", "C")]
    assert {line[8] for line in tried.sales("branch = 'Leeds'")} == {"CASH"}


def test_rows_without_a_transaction(tmp_path: Path) -> None:
    """Where rows do not continue, one without its transaction id is rejected for that."""
    header = "Transaction ID,Timestamp,Branch,Product,Unit Price\n"
    tried = try_files(
        tmp_path,
        {"a.csv": header + "1,2024-03-05 09:00,Leeds,A,1\nN/A,2024-03-05 09:00,Leeds,B,1\n"},
    )
    check(tried)
    assert tried.reasons("a.csv") == [(3, "no_order")]


# --- which feed takes a file


def feed_of(name: str, more: str = "", columns: int = 4) -> str:
    return (
        f"name = '{name}'\n{more}\n[file]\ncolumns = {columns}\n"
        "[columns]\nsold_at = 1\nbranch = 2\nitems = 3\ntotal = 4\n" + BY_NAME
    )


FOUR = "2024-03-05 09:00,Leeds,Large Latte - 2.45,2.45\n"


def test_two_feeds_that_take_a_file(tmp_path: Path) -> None:
    """A file that two feeds take is refused, both being named, until one says that it comes before."""
    tried = try_files(tmp_path / "two", {"a.csv": FOUR}, [feed_of("one"), feed_of("two")])
    check(tried)
    [(source, message)] = tried.summary.failures
    assert source == "a.csv"
    assert message.startswith("a.csv: two feeds take this file: one and two; ")
    assert 'before = ["…"]' in message
    assert "docs/add-a-till.md" in message
    told = [feed_of("one"), feed_of("two", "before = 'one'")]
    tried = try_files(tmp_path / "told", {"a.csv": FOUR}, told)
    check(tried)
    assert tried.rows("select feed from loads where source = 'a.csv'") == [("two",)]


def test_two_feeds_that_each_come_before_the_other(tmp_path: Path) -> None:
    """Feeds that contradict each other settle nothing: the file is refused."""
    feeds = [feed_of("one", "before = 'two'"), feed_of("two", "before = 'one'")]
    tried = try_files(tmp_path, {"a.csv": FOUR}, feeds)
    assert "two feeds take this file: one and two" in tried.summary.failures[0][1]


def test_a_feed_takes_files_by_name(tmp_path: Path) -> None:
    """A pattern for names tells layouts of the same look apart, in any case; a file that only its
    name keeps from a feed is told so."""
    feed = feed_of("mine").replace("[file]\n", "[file]\nname = 'till-*.csv'\n")
    tried = try_files(tmp_path, {"Till-1.CSV": FOUR, "other.csv": FOUR}, [feed])
    check(tried)
    assert tried.load("Till-1.CSV") == (1, 1, 1, 0)
    [(_, message)] = tried.summary.failures
    assert "feed mine would, but for its [file] name 'till-*.csv'" in message


@pytest.mark.parametrize(
    "header",
    [
        "Timestamp,Location,Customer Name,Items Ordered,Total Amount,Payment Method,Card Number",
        "date/time,branch,customer,order,total (£),cash/card,card",
        "SOLD_AT,STORE_NAME,CUSTOMER_NAME,BASKET_ITEMS,TOTAL_PRICE,PAYMENT_TYPE,CARD_NUMBER",
        "Date & Time, Shop ,Name,Products,Order total,Paid by,Card no.",
        "When,Site,Guest,Purchases,Amount paid,Card or cash,PAN",
    ],
)
def test_headers_in_many_words_need_no_feed(tmp_path: Path, header: str) -> None:
    """The seven columns are known by what tills usually call them, whatever parts the words."""
    row = f'25/08/2021 09:00,Leeds,{NAME},"Large Latte - 2.45, Tea - 1.20",3.65,CARD,{CARD}\n'
    tried = try_files(tmp_path, {"a.csv": f"{header}\n{row}"})
    check(tried)
    assert tried.load("a.csv") == (1, 1, 2, 0)


@pytest.mark.parametrize(
    "header",
    [
        "Transaction ID,Timestamp,Branch,Customer,Product,Qty,Unit Price,Payment Method",
        "order,date/time,shop_name,guest,item,quantity,price (£),cash_or_card",
    ],
)
def test_headers_of_lines_need_no_feed(tmp_path: Path, header: str) -> None:
    """Order lines are known by what tills usually call their columns, too."""
    rows = "".join(
        f"7,25/08/2021 09:00,Leeds,{NAME},{item},1,1.20,CARD\n" for item in ("Tea", "Scone")
    )
    tried = try_files(tmp_path, {"a.csv": f"{header}\n{rows}"})
    check(tried)
    assert tried.load("a.csv") == (2, 1, 2, 0)


def test_a_header_that_lacks_a_column(tmp_path: Path) -> None:
    """A header that nearly fits a feed gets the columns it lacks, by the feed's words."""
    header = "Timestamp,Location,Customer,Goods,Total\n"
    tried = try_files(tmp_path, {"a.csv": header + f"1,2,{NAME},4,5\n"})
    check(tried)
    [(_, message)] = tried.summary.failures
    assert "the header Timestamp, Location, Customer, …, Total (" in message
    assert "feed seven-columns-header finds no column for items" in message


def test_a_branch_that_the_file_name_does_not_tell(tmp_path: Path) -> None:
    """A file whose name should tell the branch and does not is refused, and the feed is named."""
    layout = LAYOUTS["branch in the file's name"]
    tried = try_files(tmp_path, {"till_1_x.csv": layout.text()}, [layout.feed])
    check(tried)
    [(_, message)] = tried.summary.failures
    assert message.startswith("till_1_x.csv: feed x takes the branch from the file's name")
    assert "docs/add-a-till.md" in message


CELL = st.text(
    st.characters(exclude_characters='\r\n\0,;|\t"', exclude_categories=["Cs"]), min_size=3
).filter(
    lambda cell: cell.strip() == cell != "" and not shown_header([cell, cell]).startswith("the")
)


@given(st.lists(CELL, min_size=1, max_size=6))
def test_no_cell_of_a_file_without_header_is_shown(cells: list[str]) -> None:
    """Whatever a first row holds, the error is the one that any row of as many columns gets."""
    assert refusal(cells) == refusal(["1"] * len(cells))


def refusal(cells: list[str]) -> str:
    def sample(rule: FileRule) -> list[Record]:
        text = ",".join(cells)
        return [Record(1, len(text), tuple(text.split(rule.delimiter)), None)]

    with pytest.raises(FeedError) as caught:
        choose_feed(load_feeds(), "x.csv", sample)
    assert f"it has {len(cells)} columns and no header that is known" in str(caught.value)
    return str(caught.value)


def test_header_words_are_shown_and_others_are_not() -> None:
    """Of a header, words that headers use are shown; what could be somebody's is not."""
    assert shown_header(["Till Total", NAME, "Unit Price (£)", "7"]) == (
        "the header Till Total, …, Unit Price (£), …"
    )
    assert shown_header([NAME, "Cash", "Leeds"]) == "3 columns and no header that is known"


# --- what is wrong with a feed


WRONG: dict[str, tuple[str, str]] = {
    "no TOML": ("name = ", "is not TOML"),
    "a backslash in double quotes": (feed_of("x").replace("'''", '"'), "is not TOML"),
    "no name": (feed_of("x").replace("name = 'x'", ""), "name is missing"),
    "a name with capitals": (feed_of("X y"), "name may hold small letters"),
    "no columns": ("name = 'x'", "columns is missing"),
    "an unknown table": (feed_of("x") + "[itms]\na = 1", "itms is nothing that a feed has"),
    "an unknown key": (feed_of("x", "[file]\ndelimeter = ';'").replace("[file]\ncolumns", "columns"),
                       "[file] delimeter is nothing that a feed has"),
    "an unknown role": (feed_of("x").replace("total =", "totl ="), "[columns] has no role totl"),
    "column nought": (feed_of("x").replace("total = 4", "total = 0"), "[columns] total must be"),
    "half a column": (feed_of("x").replace("total = 4", "total = 1.5"), "[columns] total must be"),
    "numbers and names": (feed_of("x").replace("total = 4", "total = 'T'"), "choose one"),
    "a column too far": (feed_of("x").replace("total = 4", "total = 9"), "lies beyond column 4"),
    "numbers without a count": (feed_of("x").replace("columns = 4", ""), "is needed for numbered"),
    "no time": (feed_of("x").replace("sold_at = 1", ""), "needs sold_at, or date and time"),
    "two times": (feed_of("x").replace("sold_at = 1", "sold_at = 1\ndate = 1"), "choose one"),
    "no branch": (feed_of("x").replace("branch = 2", ""), "exactly one place"),
    "two branches": (feed_of("x") + "[branch]\nconstant = 'Leeds'", "exactly one place"),
    "a branch that is none": (
        feed_of("x").replace("branch = 2", "") + "[branch]\nconstant = ' '", "no name of a branch"),
    "a file name without a branch": (
        feed_of("x").replace("branch = 2", "") + "[branch]\nfile_name = 'x'", "needs a group"),
    "a broken file name": (
        feed_of("x").replace("branch = 2", "") + "[branch]\nfile_name = '(?P<branch>'",
        "[branch] file_name is no pattern"),
    "no items": (feed_of("x").replace("items = 3", ""), "either items"),
    "items without a pattern": (feed_of("x").replace(BY_NAME, ""), "[items] with a pattern"),
    "a broken pattern": (feed_of("x").replace("(?P<price>.+)", "(?P<price>.+"), "[items] pattern is no pattern"),
    "an unknown group": (feed_of("x").replace("?P<price>", "?P<cost>"), "unknown group cost"),
    "no product": (feed_of("x").replace("?P<product>", ""), "(?P<product>…)"),
    "no price": (feed_of("x").replace("?P<price>", ""), "(?P<price>…)"),
    "items and a quantity": (feed_of("x").replace("total = 4", "quantity = 4"), "items stands alone"),
    "lines without an order": (feed_of("x").replace("items = 3", "product = 3\nunit_price = 4"), "order"),
    "lines without a price": (
        feed_of("x").replace("items = 3\ntotal = 4", "product = 3\norder = 4").replace(BY_NAME, ""),
        "needs unit_price or line_total"),
    "orders that continue": (feed_of("x", "continuation = true"), "continuation goes with"),
    "a long delimiter": (feed_of("x").replace("[file]", "[file]\ndelimiter = ';;'"), "[file] delimiter"),
    "a delimiter that quotes": (feed_of("x").replace("[file]", "[file]\nquote = ','"), "two different marks"),
    "an unknown letter": (feed_of("x") + "[timestamp]\nformats = '%d/%m/%Q'", "has %Q in '%d/%m/%Q'"),
    "a time without a day": (feed_of("x") + "[timestamp]\nformats = '%H:%M'", "needs a year"),
    "half a day": (feed_of("x") + "[timestamp]\nformats = '%d/%m/%Y %I:%M'", "%p beside %I"),
    "no formats": (feed_of("x") + "[timestamp]\nformats = []", "[timestamp] formats"),
    "a decimal mark that is none": (feed_of("x") + "[money]\ndecimal_mark = ';'", "should be '.' or ','"),
    "a name too long for any warehouse": (
        feed_of("x") + f"[values.payment]\ncredit = '{'x' * 121}'",
        "[values] payment should have at most 120 characters"),
    "values that are a list": (feed_of("x") + "[values]\npayment = ['a']", "[values] payment"),
    "before itself": (feed_of("x", "before = 'x'"), "before names the feed itself"),
    "an empty name to keep": (feed_of("x") + "[values.branch]\nL1 = ' '", "[values] branch is empty: say the name to keep"),
    "an empty payment": (feed_of("x") + "[values.payment]\nVisa = ''", "[values] payment is empty: say the name to keep"),
    "before nobody": (feed_of("x", "before = 'sevn'"), "before names sevn, which is none of the feeds"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_feed(tmp_path: Path, name: str) -> None:
    """A wrong feed is refused in one line that names it and the entry, and the page to read."""
    text, what = WRONG[name]
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(FeedError) as caught:
        load_feeds(tmp_path)
    message = str(caught.value)
    assert what in message
    assert "feed x:" in message or str(tmp_path / "mine.toml") in message
    assert message.endswith("see docs/add-a-till.md")
    assert "\n" not in message


def test_feed_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing folder, a feed in another encoding and a name given twice are told as such; a byte
    order mark, which editors put in front, is not in the way."""
    with pytest.raises(FeedError, match="is not a folder; see docs/add-a-till.md"):
        load_feeds(tmp_path / "none")
    (tmp_path / "a.toml").write_text("\ufeff" + feed_of("x"), "utf-8")
    assert "x" in {feed.name for feed in load_feeds(tmp_path)}
    (tmp_path / "b.toml").write_text(feed_of("x"))
    with pytest.raises(
        FeedError, match=r"b\.toml: the name 'x' is taken.*; see docs/add-a-till.md"
    ):
        load_feeds(tmp_path)
    (tmp_path / "b.toml").write_text("# café\n", "latin-1")
    with pytest.raises(FeedError, match=r"b\.toml is not UTF-8 text.*; see docs/add-a-till.md"):
        load_feeds(tmp_path)


def test_a_feed_may_replace_a_built_in_one(tmp_path: Path) -> None:
    """A feed of one's own with the name of a built-in one takes its place."""
    feeds = {feed.name: feed for feed in load_feeds()}
    (tmp_path / "a.toml").write_text(feed_of("seven-columns"))
    mine = {feed.name: feed for feed in load_feeds(tmp_path)}
    assert set(mine) == set(feeds)
    assert mine["seven-columns"].width == 4
    assert mine["seven-columns"].digest != feeds["seven-columns"].digest


def test_nothing_but_the_named_columns_is_read(tmp_path: Path) -> None:
    """Whatever else the columns hold that a feed does not name, the warehouse is the same."""
    tables = []
    for number, secret in enumerate(["a", "b" * 500]):
        text = "".join(row(n, customer=secret, card=secret) for n in range(3))
        tried = try_files(tmp_path / str(number), {"a.csv": text})
        check(tried)
        tables.append(
            [tried.rows(f"select * from {table} order by all") for table in ("orders", "sales")]
        )
    assert tables[0] == tables[1]


# --- the page that teaches all this


def test_the_page_names_every_key() -> None:
    """Whatever key a feed can have is in the page's table of keys."""
    page = GUIDE.read_text("utf-8")
    keys = page[page.index("## Every key") : page.index("## Two feeds")]
    tables = (Feed, FileRule, TimestampRule, MoneyRule, BranchRule, ItemsRule, Values)
    names = {key for model in tables for key in model.model_fields}
    assert [key for key in sorted(names) if not re.search(rf"[`\[. ]{key}[`\] .]", keys)] == []
