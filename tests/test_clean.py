"""Cleaning: which orders there are, which are the same, and what a rejected row may say."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tills import Content, content
from tried import (
    CARD,
    GOOD,
    GOOD_NAME,
    GOOD_SALES,
    NAME,
    Tried,
    check,
    check_no_leak,
    row,
    try_files,
    try_folder,
)

import brewtopia_lib.cleaning.reading
import brewtopia_lib.sources
from brewtopia_lib.cleaning import clean
from brewtopia_lib.cleaning.feeds import parse_feed
from brewtopia_lib.errors import FeedError, SourceError, UsageError

HEADER = "Timestamp,Location,Customer Name,Items Ordered,Total Amount,Payment Method,Card Number\n"
LINES_HEADER = "Transaction ID,Timestamp,Branch,Product,Size,Quantity,Unit Price,Payment Method\n"

ROWS = [
    ("25/08/2021 09:00", "Leeds", "A", "Regular Latte - 2.15", "2.15", "CASH", ""),
    ("25/08/2021 09:00", "Leeds", "B", "Regular Latte - 2.15", "2.15", "CASH", ""),
    (
        "25/08/2021 09:01",
        "Leeds",
        "C",
        "Tea - 1.30, Large Latte - Mint - 7.00",
        "8.30",
        "CARD",
        CARD,
    ),
    ("25/08/2021 09:02", "Hull", "D", "Bun - 1.00", "0.90", "CARD", CARD),
]


def as_csv(rows: list[tuple[str, ...]], end: str = "\n", delimiter: str = ",") -> str:
    return "".join(
        delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in cells) + end
        for cells in rows
    )


def dressed(rows: list[tuple[str, ...]]) -> dict[str, bytes]:
    """The same orders as different tills, editors and people would have them in a file."""
    plain = as_csv(rows)
    spaced = [tuple(f" {cell}  " for cell in cells) for cells in rows]
    short = [(*cells[:4], str(float(cells[4])), *cells[5:]) for cells in rows]
    lower = [(cells[0], f"{cells[1].lower()} ", *cells[2:]) for cells in rows]
    iso = [(f"{datetime.strptime(r[0], '%d/%m/%Y %H:%M'):%Y-%m-%d %H:%M:%S}", *r[1:]) for r in rows]
    pounds = [
        (*r[:3], r[3].replace(" - 7.00", " - £7"), f"£{r[4]}", r[5].lower(), r[6]) for r in rows
    ]
    return {
        "plain.csv": plain.encode(),
        "header.csv": (HEADER + plain).encode(),
        "crlf.csv": plain.replace("\n", "\r\n").encode(),
        "bom.csv": plain.encode("utf-8-sig"),
        "utf16.csv": plain.encode("utf-16"),
        "no_end.csv": plain.rstrip("\n").encode(),
        "blank.csv": f"\n{plain}\n \n".encode(),
        "backwards.csv": as_csv(rows[::-1]).encode(),
        "spaced.csv": as_csv(spaced).encode(),
        "short.csv": as_csv(short).encode(),
        "lower.csv": as_csv(lower).encode(),
        "iso.csv": as_csv(iso).encode(),
        "pounds.csv": as_csv(pounds).encode(),
        "broken.csv": (plain + "a,b\n").encode(),
        "customers.csv": as_csv([(*r[:2], f"{r[2]} too", *r[3:6], "") for r in rows]).encode(),
    }


def ids(tried: Tried) -> list[tuple[str, ...]]:
    return tried.rows("select order_id from orders where branch <> 'York' order by all")


def test_the_same_orders_in_any_dress_are_the_same(tmp_path: Path) -> None:
    """Order ids depend on no header, spacing, spelling of amounts and branches, line end, encoding,
    customer, order of rows or other rows: fifteen such files say what the first one says."""
    plain = try_files(tmp_path / "plain", {"plain.csv": as_csv(ROWS)})
    together = try_files(tmp_path / "together", dressed(ROWS))
    assert together.summary.failures == []
    assert len(ids(plain)) == len(ROWS)
    assert ids(together) == ids(plain)
    for name in dressed(ROWS):
        alone = clean(tmp_path / "together/raw" / name).orders["order_id"]
        assert sorted(alone) == [order_id for (order_id,) in ids(plain)], name


@settings(max_examples=6, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["25/08/2021 09:00", "25/08/2021 09:01"]),
            st.sampled_from(["Leeds", "Hull"]),
            st.sampled_from(["A", "B", "C"]),
            st.sampled_from(["Regular Latte - 2.15", "Tea - 1.00, Bun - 1.15"]),
            st.just("2.15"),
            st.sampled_from(["CARD", "CASH"]),
            st.just(""),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_equal_orders_stay_apart_in_any_dress(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    """Different customers' equal orders are as many as they are, in every dress and together."""
    folder = tmp_path_factory.mktemp("dressed")
    plain = try_files(folder / "plain", {"plain.csv": as_csv(rows)})
    assert len(ids(plain)) == len(set(rows))
    assert ids(try_files(folder / "together", dressed(rows))) == ids(plain)


def test_texts_that_share_a_key_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders and rejects are the same even where every text of an object has the same key."""
    text = as_csv([*ROWS, ("", *ROWS[0][1:]), ROWS[0], (*ROWS[1][:4], "2.150", *ROWS[1][5:])])
    plain = try_files(tmp_path / "plain", {"a.csv": text, "b.csv": text})
    keys = dict.fromkeys(brewtopia_lib.cleaning.reading.KEYS, ("object_no",))
    monkeypatch.setattr(brewtopia_lib.cleaning.reading, "KEYS", keys)
    tried = try_files(tmp_path / "shared", {"a.csv": text, "b.csv": text})
    check(tried)
    for table in ("orders", "sales", "rejects"):
        assert sorted(tried.tables[table], key=repr) == sorted(plain.tables[table], key=repr)


def test_no_two_different_orders_share_an_id(tmp_path: Path) -> None:
    """A difference in any part of an order makes another order; values that change places between
    parts, such as the numbers of a branch and of a receipt, too."""
    one = ROWS[0]
    others = [
        ("25/08/2021 09:01", *one[1:]),
        (one[0], "Hull", *one[2:]),
        (*one[:3], "Large Latte - 2.15", *one[4:]),
        (*one[:3], "Latte - 2.15", *one[4:]),
        (*one[:3], "Regular Latte - Mint - 2.15", *one[4:]),
        (*one[:3], "Regular Latte - 1.15, Bun - 1.00", *one[4:]),
        (*one[:3], "Bun - 1.00, Regular Latte - 1.15", *one[4:]),
        (*one[:4], "2.14", *one[5:]),
        (*one[:4], "N/A", *one[5:]),
        (*one[:5], "CARD", ""),
        (*one[:5], "?", ""),
    ]
    lines = LINES_HEADER + "".join(
        f"{order},25/08/2021 09:00,{branch},Latte,Regular,{quantity},{price},CASH\n"
        for order, branch, quantity, price in [
            ("7", "12", 1, "2.15"), ("12", "7", 1, "2.15"), ("7", "13", 2, "1"), ("7", "14", 1, "2"),
            ("CASH", "Card", 1, "2.15"), ("Card", "CASH", 1, "2.15"),
        ]
    )  # fmt: skip
    tried = try_files(tmp_path, {"a.csv": as_csv([one, *others]), "lines.csv": lines})
    check(tried)
    assert len(set(ids(tried))) == len(others) + 1 + 6


def test_copies_are_rejected_and_equal_orders_kept(tmp_path: Path) -> None:
    """A row equal in every field, those that are never shown included, is a copy; one that differs
    in its customer alone is another order."""
    rows = [row(0), row(0, customer=f"{NAME} the second"), row(0), row(0, card="1")]
    tried = try_files(tmp_path, {"a.csv": "".join(rows)})
    check(tried)
    assert tried.reasons("a.csv") == [(3, "duplicate_row")]
    assert len(set(ids(tried))) == 3


def test_overlapping_files_say_each_order_once(tmp_path: Path) -> None:
    """Two files that share a part come to the orders of both, by their ids."""
    files = {
        "morning.csv": "".join(map(row, range(60))),
        "noon.csv": "".join(map(row, range(40, 90))),
    }
    tried = try_files(tmp_path, files)
    check(tried)
    assert len(ids(tried)) == 90
    assert tried.load("noon.csv") == (50, 50, 50, 0)


# --- privacy: rows whose cells have slipped

CELLS = row(1).rstrip("\n").split(",")


def shifts() -> dict[str, str]:
    """Rows with one cell more or less somewhere, the number of cells put right elsewhere."""
    found = {}
    for gap in range(7):
        for place in range(7):
            without = CELLS[:gap] + CELLS[gap + 1 :]
            found[f"without {gap}, blank at {place}"] = ",".join(
                [*without[:place], "", *without[place:]]
            )
            blank = [*CELLS[:gap], "", *CELLS[gap:]]
            found[f"blank at {gap}, without {place}"] = ",".join(blank[:place] + blank[place + 1 :])
    return found


def test_a_shifted_row_names_nobody(tmp_path: Path) -> None:
    """Where cells have slipped, the customer stands in the place of the branch and the card in that
    of the total: whichever way, a rejected row gives neither away."""
    good = row(0) + row(2)
    files = {f"{name}.csv": f"{good}{text}\n" for name, text in shifts().items()}
    tried = try_files(tmp_path, files)
    accepted = {name for name in files if tried.load(name)[3] == 0}
    # without its branch and with a blank before the items, a row is like any other: no one can tell
    hopeless = {name for name in accepted if files[name].splitlines()[2].split(",")[1] == CELLS[2]}
    assert {files[name] for name in hopeless} == {files["without 1, blank at 2.csv"]}
    others = {name: text for name, text in files.items() if name not in hopeless}
    check(try_files(tmp_path / "others", others), CARD[:6], "zelda")


def test_a_rejected_row_names_a_branch_only_if_an_order_does(tmp_path: Path) -> None:
    """What stands where the branch does is shown for a rejected row only if a good row of the same
    file has it there too: another file's branch is not enough."""
    files = {
        "a.csv": row(0) + row(1, items="?") + row(2, branch="Hull", items="?"),
        "b.csv": row(3, branch="Hull"),
    }
    tried = try_files(tmp_path, files)
    check(tried)
    assert tried.rows("select line_number, branch from rejects order by all") == [
        (2, "Leeds"),
        (3, None),
    ]


# --- both readers, and files too big for memory


def test_a_big_file_is_read_from_where_it_lies(tmp_path: Path) -> None:
    """A file that is not held in memory gives what it gives when it is, good or with one bad row,
    whatever folder it lies in."""
    plain = "".join(map(row, range(300)))
    bad = plain + row(300)[:-1] + ",\n" + row(301) + "x" * 2000 + "\n"
    files = {
        "c1=x/branch=Leeds/good.csv": plain.encode("utf-8-sig"),
        "bad.csv": bad.encode(),
        "header.csv": ("\r\n" + HEADER + row(400)).replace("\n", "\r\n").encode(),
        "[a]*.csv": row(500).encode(),
        "utf16.csv": row(501).encode("utf-16"),
        "both line ends.csv": (row(502)[:-1] + "\r\n" + row(503)).encode(),
        "line end inside.csv": (row(504) + row(505, customer='"A\nB"') + row(506)).encode(),
    }
    small = try_files(tmp_path / "small", files)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brewtopia_lib.sources, "SMALL_BYTES", 0)
        big = try_files(tmp_path / "big", files)
    check(big)
    assert big.reasons("bad.csv") == [(301, "too_many_columns"), (303, "too_few_columns")]
    assert content(big.settings) == content(small.settings)


def test_rejected_rows_have_their_place_in_the_file(tmp_path: Path) -> None:
    """The line number of a rejected row is that of the file, header and blank lines counted, whoever
    read it and whatever else was read with it."""
    text = f"\n{HEADER}{row(0)}{row(1, time='x')}{row(2)}{row(3, branch='')}"
    files = {f"{n}.csv": text.replace("2021", str(2000 + n)) for n in range(5)}
    files["careful.csv"] = text + "a,b\n"
    tried = try_files(tmp_path, files)
    for name in list(files)[:5]:
        assert tried.reasons(name) == [(4, "bad_timestamp"), (6, "no_branch")]
    assert tried.reasons("careful.csv")[:2] == [(4, "bad_timestamp"), (6, "no_branch")]


def test_amounts_of_any_size_among_thousands(tmp_path: Path) -> None:
    """One big amount, refund or flavour among thousands of small ones is read like them."""
    rows = [
        row(
            n % 900,
            branch=f"Shop {n // 900}",
            items=f"Tea {n} - {n / 100:.2f}",
            total=f"{n / 100:.2f}",
        )
        for n in range(4000)
    ]
    rows[1777] = row(1, items="Wedding cake - Lemon - 12500.00", total="12500.00")
    rows[1778] = row(2, items="Refund - -350.00", total="-350.00")
    tried = try_files(tmp_path, {"a.csv": "".join(rows)})
    check(tried)
    assert tried.totals("branch = 'Leeds'") == [Decimal("12500.00"), Decimal("-350.00")]
    assert tried.rows("select flavour from sales where branch = 'Leeds' order by all") == [
        ("Lemon",), (None,),
    ]  # fmt: skip


def test_an_order_of_many_lines(tmp_path: Path) -> None:
    """An order may have thousands of lines, and their order counts."""
    items = ["Tea - 1.00"] * 2000 + ["Bun - 1.00"] * 2
    files = {
        f"{n}.csv": row(n, items=", ".join(these), total="2002.00")
        for n, these in enumerate([items, items[::-1]])
    }
    tried = try_files(tmp_path, files)
    check(tried)
    assert tried.load("0.csv") == tried.load("1.csv") == (1, 1, 2002, 0)
    assert tried.rows(
        "select product from sales where branch = 'Leeds' and line_no = 1 order by sold_at"
    ) == [("Tea",), ("Bun",)]


# --- trying it out in a notebook


def test_a_file_tried_out(tmp_path: Path) -> None:
    """`clean` gives the orders, lines and rejected rows of a file, and writes nothing."""
    (tmp_path / GOOD_NAME).write_text(GOOD + "a,b\n")
    cleaned = clean(tmp_path / GOOD_NAME)
    assert [f"{total:.2f}" for total in cleaned.orders["total"]] == ["2.15", "2.60"]
    assert list(cleaned.sales["product"]) == [product for _, _, product, *_ in GOOD_SALES]
    assert dict(cleaned.reasons) == {"too_few_columns": 1}
    assert [path.name for path in tmp_path.iterdir()] == [GOOD_NAME]


def test_what_a_notebook_shows_of_it(tmp_path: Path) -> None:
    """The look at a file tells its orders, money and rejected rows by reason, and escapes names."""
    (tmp_path / GOOD_NAME).write_text(GOOD.replace("Bun", "<b>Bun") + "a,b\n")
    cleaned = clean(tmp_path / GOOD_NAME)
    assert repr(cleaned) == "2 orders, 3 lines, £4.75 at York; 1 rows rejected: too_few_columns 1"
    shown = cleaned._repr_html_()
    assert "&lt;b&gt;Bun" in shown
    assert NAME not in shown
    assert CARD not in shown


def test_a_frame_tried_out() -> None:
    """A frame, with the header's names or with numbered columns, gives what its file gives."""
    rows = [row(n).rstrip("\n").split(",") for n in range(3)] + [["?"] * 6 + [None]]
    numbered = clean(pd.DataFrame(rows))
    named = clean(pd.DataFrame(rows, columns=HEADER.strip().split(",")))
    for cleaned in (numbered, named):
        assert len(cleaned.orders) == 3
        assert dict(cleaned.reasons) == {"bad_timestamp": 1}
        for frame in (cleaned.orders, cleaned.sales, cleaned.rejects):
            shown = json.dumps(frame.to_dict("records"), default=str)
            assert NAME not in shown
            assert CARD not in shown
    assert list(numbered.orders["order_id"]) == list(named.orders["order_id"])


def test_what_cannot_be_tried_out(tmp_path: Path) -> None:
    """No file, or a frame that no feed takes, is one clear error without any data."""
    with pytest.raises(SourceError, match="there are no till files"):
        clean(tmp_path)
    with pytest.raises(FeedError, match="2 columns") as caught:
        clean(pd.DataFrame([[NAME, CARD]]))
    assert NAME not in str(caught.value)


@pytest.mark.parametrize("held", ["frame", "column", "row"])
def test_what_is_no_path_is_not_quoted(held: str) -> None:
    """What is given by mistake and may hold rows, such as a list of frames, is told by its type."""
    frame = pd.DataFrame([row().rstrip("\n").split(",")])
    wrong: dict[str, object] = {"frame": [frame], "column": frame[2], "row": [frame.iloc[0]]}
    with pytest.raises(UsageError, match="DataFrame|Series") as caught:
        clean(wrong[held])  # type: ignore[arg-type]
    assert NAME not in str(caught.value)
    assert CARD not in str(caught.value)


def test_nothing_to_try_out() -> None:
    """None, no files and no feeds are clear errors, and not the files of the current folder."""
    with pytest.raises(UsageError, match="takes paths of till files or a frame, and no None"):
        clean(None)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="there are no till files"):
        clean([])
    with pytest.raises(UsageError, match="there are no feeds"):
        clean(pd.DataFrame([["x"]]), feeds=[])


NAMED = """
name = "named"
[file]
name = "till4_*.csv"
columns = 3
[columns]
sold_at = 1
items = 2
total = 3
[branch]
file_name = "_(?P<branch>[a-z]+)"
[items]
pattern = "(?P<product>.+) - (?P<price>.+)"
"""


def test_a_frame_of_a_feed_that_goes_by_names() -> None:
    """A frame has no name of its own: feeds take it whatever their files are called, and where the
    branch is in the name, it can be said."""
    frame = pd.DataFrame([["25/08/2021 09:00", "Tea - 1.30", "1.30"]])
    feed = parse_feed(NAMED, "named")
    with pytest.raises(FeedError, match='say name="…"'):
        clean(frame, feeds=[feed])
    assert list(clean(frame, feeds=[feed], name="till4_leeds.csv").orders["branch"]) == ["Leeds"]
    with pytest.raises(FeedError, match=r"but for its \[file\] name"):
        clean(frame, feeds=[feed], name="till5_leeds.csv")
    constant = parse_feed(
        NAMED.replace("file_name", "constant").replace("_(?P<branch>[a-z]+)", "Hull"), "x"
    )
    assert list(clean(frame, feeds=[constant]).orders["branch"]) == ["Hull"]


def test_the_real_files_to_the_penny(real_data: Path, tmp_path: Path) -> None:
    """The real data come to what is known of them, nothing rejected and nobody named, whichever
    reader reads them."""
    found: list[Content] = []
    for reader in ("fast", "careful"):
        folder = tmp_path / reader
        folder.mkdir()
        (folder / "raw").symlink_to(real_data / "branches")
        with pytest.MonkeyPatch.context() as patch:
            if reader == "careful":
                patch.setattr(
                    brewtopia_lib.cleaning.reading.RawReader,
                    "_read_fast",
                    lambda _, texts, *where: list(texts),
                )
            tried = try_folder(folder)
        made = tried.summary.clean
        assert (made.orders, made.lines, made.rejected) == (46001, 126510, 0)
        assert made.revenue == Decimal("281119.40")
        found.append(content(tried.settings))
    assert found[0] == found[1]
    check_no_leak(tried, "Alfred Sipes", "5416973159041271")


def test_real_files_with_a_header(real_data: Path) -> None:
    """The real file with a header row is wholly understood."""
    [path] = real_data.glob("*.headered.csv")
    assert len(clean(path).rejects) == 0
    assert len(clean(path).orders) == sum(1 for _ in path.open()) - 1
