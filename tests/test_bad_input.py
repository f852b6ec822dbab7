"""Bad input, and what it gets: a reason or a clear error; nothing lost, leaked or held up by it."""

import csv
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from tills import content, leftovers, settings_in, write_files
from tried import (
    CARD,
    GOOD,
    GOOD_NAME,
    NAME,
    Tried,
    check,
    check_no_leak,
    row,
    try_files,
    try_folder,
)

from brewtopia_lib import sources
from brewtopia_lib.cleaning.values import parse_branch
from brewtopia_lib.ingest import ingest
from brewtopia_lib.sample import FAULTS, ODD_NAMES, write_sample

Rows = Callable[..., str]

LATTE = Decimal("2.15")
HEADER = "Timestamp,Location,Customer Name,Items,Total,Payment,Card\n"


@dataclass(frozen=True)
class Bad:
    """A bad file made of rows of one branch, and what must come of it.

    `rejected` is (line number, reason) of each rejected row; `sales` is (product, size, flavour,
    unit price) of each line, in order, where they are not all a latte's.
    """

    make: Callable[[Rows], str | bytes]
    totals: tuple[str, ...] = ()
    rejected: tuple[tuple[int, str], ...] = ()
    sales: tuple[tuple[str, str | None, str | None, str], ...] | None = None


def three(row: Rows, **changes: str) -> str:
    """A row between two good ones that is not as it should be."""
    return row(0) + row(1, **changes) + row(2)


def changed(reason: str = "", **changes: str) -> Bad:
    """A file whose second row is rejected with this reason."""
    return Bad(partial(three, **changes), ("2.15", "2.15"), ((2, reason),))


def kept(paid: str, /, *sales: tuple[str, str | None, str | None, str], **changes: str) -> Bad:
    """A file whose second row is kept."""
    latte = ("Latte", "Regular", None, "2.15")
    return Bad(
        partial(three, **changes), ("2.15", paid, "2.15"), (), (latte, *(sales or (latte,)), latte)
    )


def encoded(encoding: str) -> Bad:
    return Bad(lambda row: row(customer=f"Zoë {NAME}").encode(encoding), ("2.15",))


BAD: dict[str, Bad] = {
    "empty": Bad(lambda row: ""),
    "header only": Bad(lambda row: HEADER),
    "blank lines": Bad(lambda row: f"\n\n{row(0)}\n \n{row(1)}\n\n", ("2.15", "2.15")),
    "only blank lines": Bad(lambda row: "\n \r\n\t\n"),
    "line of spaces": Bad(lambda row: f"{row(0)}   \n{row(1)} ", ("2.15", "2.15")),
    "byte order mark": encoded("utf-8-sig"),
    "byte order mark and header": Bad(
        lambda row: (HEADER + row(0)).encode("utf-8-sig"),
        ("2.15",),
    ),
    "carriage returns": Bad(
        lambda row: (row(0) + row(1)).replace("\n", "\r\n"), ("2.15", "2.15")
    ),
    "carriage returns alone": Bad(
        lambda row: (row(0) + row(1)).replace("\n", "\r"), ("2.15", "2.15")
    ),
    "utf-16 with a mark": encoded("utf-16"),
    "utf-16 big-endian": encoded("utf-16-be"),
    "utf-16 little-endian": encoded("utf-16-le"),
    "latin-1": encoded("latin-1"),
    "neither utf-8 nor windows": Bad(
        lambda row: row(customer=f"Zo\x81 {NAME}").encode("latin-1"), ("2.15",)
    ),
    "nul bytes": Bad(
        lambda row: three(row, customer=f"{NAME}\0"), ("2.15", "2.15"), ((2, "nul_byte"),)
    ),
    "nul bytes at the end": Bad(lambda row: row(0) + "\0" * 512, ("2.15",)),
    "unclosed quote": Bad(
        lambda row: row(0) + row(1).replace("Regular", '"Regular') + row(2),
        ("2.15", "2.15"),
        ((2, "broken_quotes"),),
    ),
    "unclosed quote in the last row": Bad(
        lambda row: row(0) + row(1, customer=f'"{NAME}'), ("2.15",), ((2, "broken_quotes"),)
    ),
    "quotes in a name": Bad(partial(three, customer=f'"Zel" {NAME}'), ("2.15",) * 2, ((2, "broken_quotes"),)),
    "a name on two lines": Bad(
        lambda row: row(0) + row(1, customer=f'"Zelda\n{NAME}"') + row(2) + "x\n",
        ("2.15", "2.15", "2.15"),
        ((5, "too_few_columns"),),
    ),
    "too few columns": Bad(
        lambda row: row(0) + f"Leeds,{NAME},{CARD}\n" + row(2),
        ("2.15", "2.15"),
        ((2, "too_few_columns"),),
    ),
    "too many columns": Bad(
        lambda row: row(0) + row(1, card=f"{CARD},x") .replace('"', "") + row(2),
        ("2.15", "2.15"),
        ((2, "too_many_columns"),),
    ),
    "an empty column too many": Bad(
        lambda row: row(0) + row(1)[:-1] + ",\n" + row(2),
        ("2.15", "2.15"),
        ((2, "too_many_columns"),),
    ),
    "items without their quotes": Bad(
        lambda row: row(0) + row(1, items="Tea - 1.00, Bun - 1.00", card="").replace('"', ""),
        ("2.15",),
        ((2, "too_many_columns"),),
    ),
    "time not there": changed("bad_timestamp", time="N/A"),
    "nothing known in the first row": Bad(
        lambda row: (
            row(time="MISSING", customer=NAME, items="MISSING", total="n/a", payment="CASH", card="None")
            + row(1)
        ),
        ("2.15",),
        ((1, "bad_timestamp"),),
    ),
    "nothing known but words": Bad(
        lambda row: row(time="-", customer="Name", items="NA", total="None", payment="Card", card="-") + row(1),
        ("2.15",),
        ((1, "bad_timestamp"),),
    ),
    "branch missing": changed("no_branch", branch="MISSING"),
    "branch none": changed("no_branch", branch="none"),
    "branch blank": changed("no_branch", branch=" "),
    "items none": changed("no_items", items="None"),
    "items not there": changed("no_items", items="n/a"),
    "items empty": changed("no_items", items=""),
    "total not there": kept("2.15", total="N/A"),
    "payment missing": Bad(partial(three, payment="MISSING"), ("2.15",) * 3),
    "impossible date": changed("bad_timestamp", time="31/02/2021 10:00"),
    "no leap year": changed("bad_timestamp", time="29/02/2021 10:00"),
    "another century": changed("bad_timestamp", time="25/08/0021 10:00"),
    "time outside the day": changed("bad_timestamp", time="25/08/2021 25:61"),
    "midnight as 24": changed("bad_timestamp", time="25/08/2021 24:00"),
    "date without a time": changed("bad_timestamp", time="25/08/2021"),
    "two date orders": Bad(
        lambda row: "".join(
            row(number, time=f"{day} 10:0{number}")
            for number, day in enumerate(
                # 8 September is further from the other days than 9 August, 9 August is not
                ["25/08/2021", "08/26/2021", "08/09/2021", "09/08/2021", "08/08/2021"]
            )
        ),
        ("2.15", "2.15", "2.15"),
        ((2, "bad_timestamp"), (3, "ambiguous_date")),
    ),
    "one date order": Bad(
        lambda row: row(0, time="25/08/2021 10:00") + row(1, time="08/09/2021 10:00"),
        ("2.15", "2.15"),
    ),
    "items half parsed": changed("bad_items", items="Tea - 1.15, Large Flavoured lat"),
    "items cut in a name": changed("bad_items", items="Tea - 1.00, Large Lat, Bun - 1.15", total="3.30"),
    "items that are no list": changed("bad_items", items=f"{NAME} {CARD}"),
    "a card for a price": changed("bad_price", items=f"Tea - {CARD}00000000"),
    "a card for a product": changed("bad_items", items=f"{CARD}00000000 - 2.15"),
    "a card with marks for a product": changed(
        "bad_items", items=f"{CARD[:4]}/{CARD[4:]}/0000/0000 - 2.15"
    ),
    "a card with marks in the branch": changed(
        "no_branch", branch=f"{CARD[:4]}  {CARD[4:]}  0000_0000"
    ),
    "brackets around what is paid back": kept(
        "-1.30", ("Tea", None, None, "-1.30"), items="Tea - -1.30", total="(1.30)"
    ),
    "a card in the branch": changed("no_branch", branch=f"{CARD}00000000"),
    "comma in a product": kept(
        "6.35",
        ("Ham, cheese & rocket toastie", "Regular", None, "4.20"),
        ("Latte", "Large", None, "2.15"),
        items="Regular Ham, cheese & rocket toastie - 4.20, Large Latte - 2.15",
        total="6.35",
    ),
    "items with a comma at the end": kept(
        "1.30", ("Tea", None, None, "1.30"), items="Tea - 1.30, ", total="1.3"
    ),
    "price of nothing": kept(
        "2.15",
        ("Tap water", None, None, "0.00"),
        ("Latte", "Large", None, "2.15"),
        items="Tap water - 0.00, Large Latte - 2.15",
    ),
    "negative price": kept("-1.30", ("Tea", None, None, "-1.30"), items="Tea - -1.30", total="-1.3"),
    "price with three decimals": changed("bad_price", items="Tea - 2.155", total="2.155"),
    "price with a third decimal of nothing": kept(
        "2.15", ("Tea", None, None, "2.15"), items="Tea - 2.150", total="2.150"
    ),
    "price with a currency sign": kept(
        "1.30", ("Tea", None, None, "1.30"), items="Tea - £1.30", total="£1.30"
    ),
    "price with a thousands mark": kept(
        "1250.00",
        ("Wedding cake", None, None, "1250.00"),
        items="Wedding cake - 1,250.00",
        total="1,250.00",
    ),
    "price in another currency": changed("bad_items", items="Tea - $1.30"),
    "price beyond any café": changed("bad_price", items="Tea - 123456789.00"),
    "total differs": kept("1.99", total="1.99"),
    "total with three decimals": kept("2.15", total="2.155"),
    "block pasted twice": Bad(
        lambda row: (row(0) + row(1)) * 2 + row(0),
        ("2.15", "2.15"),
        ((3, "duplicate_row"), (4, "duplicate_row"), (5, "duplicate_row")),
    ),
    "bad block pasted twice": Bad(
        lambda row: row(0) + row(1, time="x") * 2 + "a,b\n" * 2,
        ("2.15",),
        ((2, "bad_timestamp"), (3, "duplicate_row"), (4, "too_few_columns"), (5, "too_few_columns")),
    ),
    "script in a product": kept(
        "2.00",
        ("<script>alert(1)</script>", "Large", None, "2.00"),
        items="Large <script>alert(1)</script> - 2.00",
        total="2.0",
    ),
    "a row of commas": Bad(
        lambda row: row(0) + ",,,,,,\n" + row(2), ("2.15",) * 2, ((2, "bad_timestamp"),)
    ),
    "a header in the middle": Bad(
        lambda row: row(0) + HEADER + row(2),
        ("2.15", "2.15"),
        ((2, "bad_timestamp"),),
    ),
}  # fmt: skip

# What the sample's own faults come to: the reasons of rejected rows, everything else being kept.
REASONS = {
    "nul_bytes": "nul_byte",
    "broken_utf_8": "bad_timestamp",
    "unclosed_quote": "broken_quotes",
    "cut_short": "broken_quotes",
    "long_line": "row_too_long",
    "pasted_block": "duplicate_row",
    "too_few_columns": "too_few_columns",
    "too_many_columns": "too_many_columns",
    "card_in_two_columns": "too_many_columns",
    "impossible_date": "bad_timestamp",
    "time_outside_day": "bad_timestamp",
    "other_date_order": "bad_timestamp",
    "time_not_known": "bad_timestamp",
    "branch_missing": "no_branch",
    "items_missing": "no_items",
    "items_empty": "no_items",
    "items_half_parsed": "bad_items",
    "price_three_decimals": "bad_price",
}


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    """All the bad files in one folder, each with its own branch, and a good one among them."""
    files = {f"{name}.csv": bad.make(partial(row, branch=name)) for name, bad in BAD.items()}
    return try_files(tmp_path_factory.mktemp("bad"), files)


def test_a_folder_of_bad_files_loses_and_leaks_nothing(tried: Tried) -> None:
    """Rows are orders and rejected rows in every file, no customer is anywhere, the good file is
    exact and none of the others is left undone."""
    check(tried)
    assert tried.summary.failures == []
    assert tried.summary.clean.objects == len(BAD) + 1


@pytest.mark.parametrize("name", BAD)
def test_what_a_bad_file_gets(tried: Tried, name: str) -> None:
    """Its good rows are orders, to the penny; each other row has its place and its reason."""
    bad = BAD[name]
    branch = f"branch = '{parse_branch(name)}'"
    assert [str(total) for total in tried.totals(branch)] == list(bad.totals)
    assert tried.reasons(f"{name}.csv") == list(bad.rejected)
    assert tried.load(f"{name}.csv")[1::2] == (len(bad.totals), len(bad.rejected))
    if bad.sales is not None:
        assert [
            (product, size, flavour, str(price))
            for _, _, product, size, flavour, _, price, _, _ in tried.sales(branch)
        ] == list(bad.sales)


def test_what_is_unknown_or_differs_is_kept_and_flagged(tried: Tried) -> None:
    """An order without a readable total has its lines' sum, one with another total has that, and
    neither counts as matching; a payment that is none is UNKNOWN."""
    flagged = tried.rows(
        "select branch, total, lines_total from orders where not total_matches order by branch"
    )
    assert flagged == [
        ("Total Differs", Decimal("1.99"), LATTE),
        ("Total Not There", LATTE, LATTE),
        ("Total With Three Decimals", LATTE, LATTE),
    ]
    assert tried.rows("select distinct branch from orders where payment = 'UNKNOWN'") == [
        ("Payment Missing",),
    ]


def test_a_rejected_row_keeps_what_money_it_speaks_of(tried: Tried) -> None:
    """A row rejected for its time or its items keeps its readable total, so that the report can say
    what is not counted; a row too broken to be cut into columns gives its length and nothing else."""
    found = tried.rows(
        "select reason, branch, sold_on, total, row_length > 0 from rejects where source in"
        " ('impossible date.csv', 'items empty.csv', 'too few columns.csv') order by all"
    )
    assert found == [
        ("bad_timestamp", "Impossible Date", None, LATTE, None),
        ("no_items", "Items Empty", date(2021, 8, 25), LATTE, None),
        ("too_few_columns", None, None, None, True),
    ]


def test_the_search_for_leaks_finds_what_is_there(tmp_path: Path) -> None:
    """A name that was sold as a product is found: the tests above search where data are."""
    tried = try_files(tmp_path, {"bad.csv": row(items=f"Large {NAME} - 2.15")})
    with pytest.raises(AssertionError, match=NAME):
        check(tried)


def test_every_fault_of_the_sample_has_its_reason(tmp_path: Path) -> None:
    """Each way in which the sample generator damages a file costs the damaged row alone, for a
    reason that is named; names and cards of that file are nowhere."""
    write_sample(tmp_path / "raw/sample", branches=1, days=1, seed=3)
    [path] = (tmp_path / "raw/sample").glob("*.csv")
    data = path.read_bytes()
    customers = {
        cell for line in csv.reader(data.decode().splitlines()) for cell in (line[2], line[6])
    }
    tried = try_files(tmp_path, {f"{name}.csv": fault(data) for name, fault in FAULTS.items()})
    check(tried, *sorted(customers - {""}), "9011000990139424", "unexpected")
    whole = tried.load("byte_order_mark.csv")
    for name in FAULTS:
        rows, orders, _, rejected = tried.load(f"{name}.csv")
        assert {reason for _, reason in tried.reasons(f"{name}.csv")} == (
            {REASONS[name]} if name in REASONS else set()
        ), name
        assert rejected == (0 if name not in REASONS else 68 if name == "pasted_block" else 1), name
        if name not in ("empty_file", "header_only", "cut_short"):
            assert orders == whole[1] - (rejected if rows == whole[0] else 0), name


def test_odd_file_names_are_names(tmp_path: Path) -> None:
    """Files whose names hold spaces, quotes, marks, other letters or bytes of no encoding are done
    like any other, and keep their names."""
    names = [change("leeds_25-08-2021.csv") for change in ODD_NAMES.values()]
    names += ["a'b;--.csv", "*.csv", "[x]?.csv", "{a,b}.csv", "$HOME.CSV", "x=1.csv", "日本.csv"]
    names += ["a\nb.csv", "sub folder/branch=York/%41#1.csv", os.fsdecode(b"caf\xe9.csv")]
    tried = try_files(tmp_path, {name: row(place) for place, name in enumerate(names)})
    check(tried)
    assert tried.summary.failures == []
    assert len(tried.totals()) == len(names)
    sources = {source for (source,) in tried.rows("select source from loads")}
    shown = {os.fsencode(name).decode("utf-8", "backslashreplace") for name in names}
    assert sources == shown | {GOOD_NAME}


def test_several_days_and_branches_in_one_file(tmp_path: Path) -> None:
    """A file may speak of several days and branches, each order going to its own."""
    rows = [row(0), row(1, branch="leeds "), row(2, branch="Hull"), row(3, time="26/08/2021 09:00")]
    tried = try_files(tmp_path, {"mixed.csv": "".join(rows)})
    check(tried)
    assert tried.rows(
        "select branch, sold_on, count(*) from orders where branch <> 'York' group by all order by all"
    ) == [
        ("Hull", date(2021, 8, 25), 1),
        ("Leeds", date(2021, 8, 25), 2),
        ("Leeds", date(2021, 8, 26), 1),
    ]


def test_a_branch_that_is_sql_is_a_name(tmp_path: Path) -> None:
    """A branch or product with quotes and semicolons is a name and does nothing else."""
    evil = "'; drop table orders; --"
    tried = try_files(tmp_path, {"evil.csv": row(branch=evil, items=f"{evil} - 2.15")})
    check(tried)
    assert tried.rows("select branch, product from sales where branch <> 'York'") == [
        ("'; Drop Table Orders; --", evil)
    ]


def test_a_line_of_fifty_megabytes(tmp_path: Path) -> None:
    """A line too long to be a row is rejected alone; it takes no more memory than a few chunks."""
    long = b"x" * 50_000_000
    tried = try_files(tmp_path, {"long.csv": row(0).encode() + long + b"\n" + row(1).encode()})
    check(tried)
    assert tried.load("long.csv") == (3, 2, 2, 1)
    assert tried.rows("select reason, row_length from rejects") == [("row_too_long", len(long))]


def test_a_file_of_one_endless_quote(tmp_path: Path) -> None:
    """A quote that opens in the first row and never closes costs that row, not the thousands after
    it, and not the time of looking for its end again and again."""
    rows = row(0).replace("Zelda", '"Zelda') + "".join(
        row(number, time=f"{number // 800 + 1:02}/09/2021 {9 + number % 14:02}:{number % 59:02}")
        for number in range(1, 3000)
    )
    started = time.monotonic()
    tried = try_files(tmp_path, {"quote.csv": rows})
    assert time.monotonic() - started < 10
    check(tried)
    assert tried.load("quote.csv") == (3000, 2999, 2999, 1)


@pytest.mark.parametrize("is_large", [False, True], ids=["small", "large"])
def test_two_stray_quotes_cost_the_first_one_s_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    """What lies between two quotes that belong to no field, rows apart, is rows still, wherever the
    quotes stand and whichever reader reads the file."""
    if is_large:
        monkeypatch.setattr(sources, "SMALL_BYTES", 0)
    places = {
        "a.csv": (1, "Zelda", 4, f"{NAME} 4"),  # between two names
        "b.csv": (1, "Regular", 4, "\n"),
        "c.csv": (0, "Zelda", 5, "\n"),  # around the whole file
    }
    files = {}
    for name, (opened, before, closed, after) in places.items():
        rows = [row(number) for number in range(6)]
        rows[opened] = rows[opened].replace(before, f'"{before}')
        rows[closed] = rows[closed].replace(after, f'{after}"' if after != "\n" else '"\n')
        files[name] = "".join(rows)
    files["d.csv"] = HEADER + files["a.csv"]
    for name, text in files.items():
        tried = try_files(tmp_path / name, {name: text})
        check(tried)
        assert tried.load(name) == (6, 5, 5, 1)
        line = {"c.csv": 1, "d.csv": 3}.get(name, 2)
        assert tried.reasons(name) == [(line, "broken_quotes")]


def test_an_item_that_patterns_choke_on(tmp_path: Path) -> None:
    """Hundreds of thousands of spaces, dashes or digits in an item are rejected in no time."""
    texts = ["Latte" + " " * 300_000 + "x", "Latte - " * 50_000, "9" * 300_000, "-" * 300_000]
    started = time.monotonic()
    tried = try_files(
        tmp_path, {"x.csv": "".join(row(n, items=text) for n, text in enumerate(texts))}
    )
    assert time.monotonic() - started < 10
    check(tried)
    assert tried.reasons("x.csv") == [(n, "bad_items") for n in range(1, 5)]


def test_a_file_that_no_feed_takes_stops_nothing(tmp_path: Path) -> None:
    """It is named with its number of columns or its header, and the others are done."""
    files = {"a.csv": f"{NAME},{CARD},Leeds\n", "b.csv": "Till,Total,Kunde\n" + f"1,2,{NAME}\n"}
    tried = try_files(tmp_path, files)
    check(tried)
    assert tried.summary.clean.objects == 1
    messages = dict(tried.summary.failures)
    assert list(messages) == ["a.csv", "b.csv"]
    assert "3 columns" in messages["a.csv"]
    assert "Till, Total, …" in messages["b.csv"]
    for name, message in messages.items():
        assert name in message
        assert "docs/add-a-till.md" in message


UNREADABLE: dict[str, bytes] = {
    "one unclosed quote": row(customer=f'"{NAME}').encode(),
    "nul bytes": (row(0) + row(1)).replace(",", "\0,").encode(),
    "nothing but nul bytes": b"\0" * 5000,
    "utf-32": (row(0) + row(1)).encode("utf-32"),
    "a row too long": row(customer=NAME * 200_000).encode(),
    "compressed": gzip.compress(row().encode() * 2, mtime=0).translate(
        bytes.maketrans(b"\r\n", b"  ")
    ),
}


def test_a_file_of_unreadable_rows_is_none_without_rows(tmp_path: Path) -> None:
    """A file in which no row can be told apart is named, and what it held before stays; one that
    is blank holds nothing now."""
    blank = {"blank.csv": "\ufeff\r\n \t\n".encode("utf-16-le"), "empty.csv": b""}
    names = [f"{name}.csv" for name in UNREADABLE]
    whole = {name: row(branch=f"Shop {n}") for n, name in enumerate([*names, *blank])}
    assert len(try_files(tmp_path, whole).totals()) == len(whole)
    damaged = {f"{name}.csv": data for name, data in UNREADABLE.items()}
    tried = try_files(tmp_path, damaged | blank)
    check_no_leak(tried, NAME, CARD)
    assert sorted(source for source, _ in tried.summary.failures) == sorted(names)
    for source, message in tried.summary.failures:
        assert message.startswith(f"{source}: not one of its rows can be read: ")
    assert len(tried.totals()) == len(names)


INGEST = """
import sys
from brewtopia_lib.cli import main
main(["ingest", sys.argv[1]])
"""

AS_NOBODY = """
import json, os, sys
from brewtopia_lib.ingest import ingest
from brewtopia_lib.settings import load_settings
settings = load_settings()
ingest(settings, [sys.argv[1]])  # what is imported late may not be readable for nobody
os.setgid(65534), os.setuid(65534)
print(json.dumps(ingest(settings.model_copy(update=json.loads(sys.argv[2]))).to_json()))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
def test_what_may_not_be_read_stops_nothing(tmp_path: Path) -> None:
    """A folder and a file without the right to read are named in one line each; the rest is done."""
    files = {"good.csv": GOOD, "locked.csv": row(1), "closed/inside.csv": row(2)}
    with tempfile.TemporaryDirectory() as open_to_all:
        made = settings_in(Path(open_to_all))
        write_files(Path(made.raw), {name: text.encode() for name, text in files.items()})
        for closed in ("locked.csv", "closed"):
            Path(made.raw, closed).chmod(0)
        Path(open_to_all).chmod(0o777)
        places = json.dumps({"raw": made.raw, "lake": made.lake, "warehouse": made.warehouse})
        write_files(tmp_path / "warm-up", {GOOD_NAME: GOOD.encode()})
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(tmp_path / "warm-up"), places],
            env=os.environ | _environment(tmp_path),
            cwd=tmp_path,
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        )
        answer = json.loads(done.stdout)
        failed = {one["source"]: one["error"] for one in answer["failed"]}
        assert list(failed) == [f"{made.raw}/closed", "locked.csv"]
        for source, message in failed.items():
            assert source in message
            assert "Permission denied" in message
        assert (answer["objects"], answer["orders"], answer["rejected"]) == (1, 2, 0)
        assert len(content(made)["sales"]) == 3


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from brewtopia_lib.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
main(["ingest", sys.argv[1]])
"""


@pytest.mark.parametrize(("room", "place"), [(0, "lake"), (3_000, "lake"), (500_000, "warehouse")])
def test_a_full_disk_leaves_what_was(tmp_path: Path, room: int, place: str) -> None:
    """Where no more can be written, one line says so, the warehouse stays as it was, nothing half
    written remains, and the same run with room does it all."""
    write_files(tmp_path / "raw", {GOOD_NAME: GOOD.encode()})
    made = settings_in(tmp_path)
    ingest(made)
    before = content(made)
    for day in range(1, 21):
        orders = (
            row(
                number, time=f"{day:02}/09/2021 {9 + number // 60:02}:{number % 60:02}", items=items
            )
            for number in range(800)
            for items in [f"Tea {day} {number} - 2.15"]
        )
        write_files(tmp_path / "raw", {f"{day}.csv": "".join(orders).encode()})
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "raw"), str(room)],
        env=os.environ | _environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stdout
    [line] = done.stderr.strip().splitlines()
    assert f"the {place} {tmp_path}/{place}" in line
    assert "cannot be written" in line
    assert NAME not in line
    assert content(made) == before
    assert leftovers(made) == []
    assert not ingest(made).failures
    assert len(content(made)["orders"]) == 16_002


def test_a_kill_leaves_no_personal_data(tmp_path: Path) -> None:
    """A run that is killed half-way leaves no name or card in any file, and the next run ends as if
    there had been none."""
    files = {
        f"{n}.csv": "".join(
            row(m, branch=f"Branch {n}", items=f"Tea {m} - 1.00") for m in range(500)
        )
        for n in range(40)
    }
    whole = try_files(tmp_path / "whole", files)
    shutil.copytree(tmp_path / "whole/raw", tmp_path / "killed/raw")
    kills = 0
    for delay in (0.0, 0.1, 0.2, 0.4):
        process = subprocess.Popen(
            [sys.executable, "-c", INGEST, str(tmp_path / "killed/raw")],
            env=os.environ | _environment(tmp_path / "killed"),
            cwd=tmp_path / "killed",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait_for(tmp_path / "killed/lake/.lock", process)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        for path in (tmp_path / "killed").rglob("*"):
            if path.is_file() and not path.is_relative_to(tmp_path / "killed/raw"):
                assert NAME.encode() not in path.read_bytes()
                assert CARD.encode() not in path.read_bytes()
    assert kills
    killed = try_folder(tmp_path / "killed")
    assert content(killed.settings) == content(whole.settings)
    check_no_leak(killed, NAME, CARD)


def _environment(folder: Path) -> dict[str, str]:
    made = settings_in(folder)
    return {
        "BREWTOPIA_RAW": made.raw,
        "BREWTOPIA_LAKE": made.lake,
        "BREWTOPIA_WAREHOUSE": made.warehouse,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    while not path.exists() and process.poll() is None:
        time.sleep(0.005)
