"""Thousands of damaged till files: nothing is lost, nothing leaks, and no way of reading differs."""

import random
import shutil
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tills import Content, content, write_files
from tried import CARD, GOOD, GOOD_NAME, NAME, Tried, check, check_conserved, try_folder

import brewtopia_lib.cleaning.reading
from brewtopia_lib.sample import FAULTS

FILES = 180
GROUPS = 2

# Two damages can put a customer where a branch belongs, in a row that is otherwise good: nobody can
# tell that from a branch. Digits on both sides, more of them than one damage cuts out, keep a name,
# whole or cut, from being taken for one; plain names show that what is rejected says nothing of
# them.
NUMBERED, PLAIN = f"{'908172635445' * 7} {NAME} {'536271809908' * 7}", f"Zelda {NAME}"
SECRETS = (NAME, CARD, "908172635445", "536271809908")

HEADER = "Timestamp,Location,Customer Name,Items,Total,Payment,Card\n"
LINES_HEADER = (
    "Transaction ID,Timestamp,Branch,Product,Size,Quantity,Unit Price,Payment,Name,Card\n"
)
CONTINUED = """
name = "continued"
continuation = true
[file]
delimiter = ";"
[columns]
order = "Receipt"
date = "Date"
time = "Time"
branch = "Shop"
product = "Drink"
line_total = "Paid"
payment = "Tender"
[money]
decimal_mark = ","
"""
CONTINUED_HEADER = "Receipt;Date;Time;Shop;Drink;Paid;Tender;Customer;Card\n"
ITEMS = (
    "Regular Latte - 2.15",
    "Large Tea - Mint - 1.60",
    "Ham, cheese toastie - 4.20",
    "Bun - 1.00",
)


def orders_file(rng: random.Random, branch: str) -> str:
    """A file in one of the layouts, of a branch of its own, sold from 9:00 on."""
    header = rng.choice(["", HEADER])
    rows = []
    for number in range(rng.randint(1, 12)):
        items = rng.choices(ITEMS, k=rng.randint(1, 3))
        pence = sum(round(100 * float(item.rpartition(" ")[2])) for item in items)
        text = ", ".join(items)
        listed = f'"{text}"' if "," in text or rng.random() < 0.2 else text
        card = f"{CARD}{number:08}" if rng.random() < 0.7 else ""
        rows.append(
            f"25/08/2021 09:{number:02},{branch},{NUMBERED},{listed},{pence / 100},"
            f"{'CARD' if card else 'CASH'},{card}\n"
        )
    return header + "".join(rows)


def lines_file(rng: random.Random, branch: str) -> str:
    """One row per order line."""
    return LINES_HEADER + "".join(
        f"T{order},25/08/2021 09:{order:02},{branch},Latte {line},Large,{line},2.45,CARD,"
        f"{NUMBERED},{CARD}{order:08}\n"
        for order in range(rng.randint(1, 5))
        for line in range(1, rng.randint(2, 4))
    )


def continued_file(rng: random.Random, branch: str) -> str:
    """One row per order line, the order told of in its first row."""
    return CONTINUED_HEADER + "".join(
        (f"R{order};25/08/2021;09:{order:02};{branch}" if line == 1 else ";;;")
        + f";Mocha {line};2,{line}5;{'CASH' if line == 1 else ''};{NUMBERED};{CARD}{order:08}\n"
        for order in range(rng.randint(1, 5))
        for line in range(1, rng.randint(2, 4))
    )


# --- ways to damage a file


MARKS = (
    *'",;|\t \\\'-#£', '""', '"\n', ', "', '" ,', "\n", "\r\n", "\r", "\n\n", "  \n", "\0", "\ufeff",
    "\u2028", "\x85", "\x1f", "é", "日", "N/A", "x" * 300, ", " * 20, " - 1.00", "31/02/2021", "1e9",
)  # fmt: skip
CELLS = (
    "", " ", "N/A", "None", "-", "0", "-1", "2.155", "£2", "1,250.00", "1e3", "25/08/2021 09:00",
    "08/26/2021 10:00", "08/09/2021 10:00", "2021-08-25T09:00", "CARD", NUMBERED, CARD + "12345678",
    "Latte - 2.15", '"', '""', '"x', "'; drop table orders; --", "<script>", "=1+1", "9" * 40,
)  # fmt: skip

Damage = Callable[[bytes, random.Random], bytes]


def put_mark(data: bytes, rng: random.Random) -> bytes:
    place, mark = rng.randint(0, len(data)), rng.choice(MARKS).encode()
    return data[:place] + mark + data[place + rng.choice([0, 0, 1, len(mark)]) :]


def put_bytes(data: bytes, rng: random.Random) -> bytes:
    place = rng.randint(0, len(data))
    return data[:place] + rng.randbytes(rng.randint(1, 3)) + data[place + rng.randint(0, 3) :]


def cut_out(data: bytes, rng: random.Random) -> bytes:
    place = rng.randint(0, len(data))
    return data[:place] + data[place + rng.choice([1, 1, 5, 60]) :]


def repeat(data: bytes, rng: random.Random) -> bytes:
    first, last = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
    place = rng.choice([last, rng.randint(0, len(data))])
    return data[:place] + data[first:last] + data[place:]


def cut_short(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randint(0, len(data))]


def change_cell(data: bytes, rng: random.Random) -> bytes:
    """Another text in a cell, or one cell more, less or in another place."""
    lines = data.split(b"\n")
    place = rng.randrange(len(lines))
    mark = b";" if b";;" in data else b","
    cells = lines[place].split(mark)
    cell = rng.randrange(len(cells))
    other = rng.choice([rng.choice(CELLS).encode(), rng.choice(cells)])
    way = rng.randrange(5)
    if way == 0:
        cells[cell] = other
    elif way == 1:
        cells.insert(cell, other)
    elif way == 2:
        del cells[cell]
    elif way == 3:  # shifted, the number of cells as it should be
        cells.insert(cell, cells.pop(rng.randrange(len(cells))))
    else:
        cells = [*cells[1:], b""] if rng.random() < 0.5 else [b"", *cells[:-1]]
    lines[place] = mark.join(cells)
    return b"\n".join(lines)


def move_line(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    rng.shuffle(lines) if rng.random() < 0.2 else lines.insert(
        rng.randint(0, len(lines)), rng.choice(lines or [b""])
    )
    return b"".join(lines)


def apply_fault(data: bytes, rng: random.Random) -> bytes:
    return FAULTS[rng.choice([name for name in FAULTS if name != "long_line"])](data)


def encode(data: bytes, rng: random.Random) -> bytes:
    encoding = rng.choice(["utf-16", "utf-16-be", "utf-8-sig", "latin-1", "utf-32", "utf-7"])
    return data.decode("utf-8", "replace").encode(encoding, "replace")


DAMAGES: Sequence[Damage] = (
    put_mark, put_mark, put_bytes, cut_out, repeat, cut_short, change_cell, change_cell, change_cell,
    move_line, apply_fault, encode,
)  # fmt: skip


def damaged_files(seed: int, customer: str = NUMBERED) -> dict[str, bytes]:
    """Files of every layout, each damaged up to four times over."""
    rng = random.Random(seed)
    files = {}
    for number in range(FILES):
        make = rng.choice([orders_file, orders_file, lines_file, continued_file])
        data = make(rng, f"Shop {number}").replace(NUMBERED, customer).encode()
        for damage in rng.choices(DAMAGES, k=rng.choice([0, 1, 1, 2, 3, 4])):
            data = damage(data, rng).replace(NUMBERED.encode(), customer.encode())
        files[f"{number:03}.csv"] = data
    return files


def ingest_folder(folder: Path, files: dict[str, bytes], groups: int = 1, seed: int = 0) -> Tried:
    """All the files in one run, or in several runs of a random part of them each."""
    names = sorted(files)
    random.Random(seed).shuffle(names)
    for group in range(groups):
        write_files(
            folder / "raw", {name: files[name] for name in islice(names, group, None, groups)}
        )
        tried = try_folder(folder, [CONTINUED])
    return tried


FUZZ = settings(phases=[Phase.generate], suppress_health_check=list(HealthCheck))


@settings(FUZZ, max_examples=9)
@given(seed=st.integers(0, 2**32))
def test_damaged_files(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Every row of every file is an order (or a line) or a rejected row with its reason; no name and
    no card is in anything written or said; the good file is exact; the careful reader, reading
    each file from where it lies, and cleaning in several runs come to the same warehouse."""
    folder = tmp_path_factory.mktemp("fuzz")
    files = {GOOD_NAME: GOOD.encode()} | damaged_files(seed)
    tried = ingest_folder(folder / "once", files)
    check(tried, *SECRETS)
    for source, message in tried.summary.failures:
        assert "docs/add-a-till.md" in message, (source, message)
    wanted = content(tried.settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            brewtopia_lib.cleaning.reading.RawReader,
            "_read_fast",
            lambda _, texts, *where: list(texts),
        )
        careful = ingest_folder(folder / "careful", files)
    assert differing(wanted, content(careful.settings)) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brewtopia_lib.sources, "SMALL_BYTES", 0)
        large = ingest_folder(folder / "large", files)
    assert differing(wanted, content(large.settings)) == []
    parted = ingest_folder(folder / "parted", files, GROUPS, seed)
    assert differing(wanted, content(parted.settings)) == []
    shutil.rmtree(folder)


@settings(FUZZ, max_examples=5)
@given(seed=st.integers(0, 2**32))
def test_rejected_rows_and_refused_files_name_nobody(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """A customer who stands in the place of a branch comes out of no rejected row and no message:
    a reject names a branch only where an order of its file names it too."""
    folder = tmp_path_factory.mktemp("names")
    tried = ingest_folder(folder, {GOOD_NAME: GOOD.encode()} | damaged_files(seed, PLAIN))
    check_conserved(tried)
    assert NAME not in tried.said
    assert CARD not in tried.said
    named = tried.rows(
        "select branch from rejects where branch is not null"
        " and branch not in (select branch from orders)"
    )
    assert named == []
    assert tried.rows(f"select * from rejects where rejects::varchar ilike '%{CARD}%'") == []
    shutil.rmtree(folder)


def differing(one: Content, other: Content) -> list[tuple[str, object]]:
    """The rows that two warehouses do not share, a few of each table."""
    return [
        (table, row)
        for table in one
        for row in sorted(set(one[table]) ^ set(other[table]), key=str)[:4]
    ]
