"""Deliveries of till files in any order and number: the warehouse says what the files say now."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tills import (
    Order,
    content,
    expected_orders,
    leftovers,
    revenue,
    rows,
    settings_in,
    till,
    write_files,
)

import brewtopia_lib.sources
from brewtopia_lib.ingest import clean_raw, ingest, load_lake
from brewtopia_lib.settings import Settings

LATTE = (("Regular Latte", 245),)
TWO = (("Regular Latte", 245), ("Large Tea - Peppermint", 160))


def clean_run(folder: Path, files: Mapping[str, bytes], feeds: Path | None = None) -> Settings:
    """One run over these files and nothing else."""
    made = settings_in(folder)
    Path(made.raw).mkdir(parents=True, exist_ok=True)
    write_files(Path(made.raw), files)
    if feeds is not None:
        made = made.model_copy(update={"feeds": feeds})
    assert not ingest(made).failures
    return made


def names_of(settings: Settings, files: Iterable[str]) -> list[str]:
    return [str(Path(settings.raw, name)) for name in files]


# --- any history of deliveries


ORDERS = st.builds(
    Order,
    day=st.integers(1, 2),
    minute=st.integers(0, 1),
    branch=st.sampled_from(["Leeds", "York"]),
    items=st.sampled_from([LATTE, TWO]),
    customer=st.sampled_from(["Ottoline Zebedee", "Zebulon Quist"]),
    payment=st.sampled_from(["CARD", "CASH"]),
)
FILES = st.dictionaries(
    st.sampled_from(["a.csv", "b.csv", "c/d.csv"]), st.lists(ORDERS, max_size=6), max_size=3
)
RUNS = st.sampled_from(["nothing", "clean", "load", "ingest", "each", "twice"])


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(history=st.lists(st.tuples(FILES, RUNS, st.randoms()), min_size=1, max_size=5))
def test_any_history_gives_the_warehouse_of_the_last_files(
    tmp_path_factory: pytest.TempPathFactory,
    history: Sequence[tuple[dict[str, list[Order]], str, random.Random]],
) -> None:
    """Overlapping, corrected, emptied and reverted files, in any order, alone or together, cleaned
    and loaded at once or not, give what one clean run over the last files gives."""
    folder = tmp_path_factory.mktemp("history")
    here = settings_in(folder / "here")
    Path(here.raw).mkdir(parents=True)
    last: dict[str, list[Order]] = {}
    for files, run, chance in [*history, ({}, "ingest", random.Random(1))]:
        write_files(Path(here.raw), {name: till(orders) for name, orders in files.items()})
        last |= files
        if run in ("clean", "load"):
            clean_raw(here)
        if run == "load":
            load_lake(here)
        if run == "each":
            for name in chance.sample(sorted(last), len(last)):
                ingest(here, names_of(here, [name]))
        if run in ("ingest", "twice"):
            ingest(here)
        if run == "twice":
            assert ingest(here).load.branch_days == 0  # type: ignore[union-attr]
    clean = clean_run(folder / "clean", {name: till(orders) for name, orders in last.items()})
    assert content(here) == content(clean)
    wanted = expected_orders(last)
    assert len(content(here)["orders"]) == wanted.total()
    assert rows(
        here, "select coalesce(sum(total), 0), coalesce(sum(lines_total), 0) from orders"
    ) == [(revenue(wanted), revenue(wanted))]
    assert leftovers(here) == []
    shutil.rmtree(folder)


# --- one branch-day, several files


def test_order_of_delivery_does_not_matter(tmp_path: Path) -> None:
    """Three files that share a branch-day give the same warehouse in each of the six orders."""
    files = {
        "a.csv": till([Order(minute=0), Order(minute=1), Order(branch="York")]),
        "b.csv": till([Order(minute=1), Order(minute=2), Order(day=2)]),
        "c.csv": till([Order(minute=2), Order(minute=2, customer="Zebulon Quist")]),
    }
    wanted = content(clean_run(tmp_path / "clean", files))
    assert len(wanted["orders"]) == 6
    for number, order in enumerate(permutations(files)):
        here = settings_in(tmp_path / str(number), tmp_path / "clean/raw")
        for name in order:
            ingest(here, names_of(here, [name]))
        assert content(here) == wanted, order


def test_equal_orders_in_one_file_are_two_and_in_two_files_one(tmp_path: Path) -> None:
    """Two customers' equal orders stay two, also where another file repeats one or both of them."""
    twins = [Order(), Order(customer="Zebulon Quist")]
    here = clean_run(tmp_path, {"a.csv": till(twins), "b.csv": till(twins[1:])})
    assert rows(here, "select count(*), count(distinct order_id) from orders") == [(2, 2)]
    write_files(Path(here.raw), {"b.csv": till([*twins, Order(customer="Persis Mkhize")])})
    ingest(here)
    assert rows(here, "select count(*), count(distinct order_id) from orders") == [(3, 3)]


def test_a_corrected_file_replaces_what_it_said(tmp_path: Path) -> None:
    """Orders that its new version has no more disappear, also from days it says nothing of now."""
    here = clean_run(
        tmp_path, {"a.csv": till([Order(minute=0), Order(minute=1), Order(day=2)]), "b.csv": b""}
    )
    write_files(Path(here.raw), {"a.csv": till([Order(minute=1, items=TWO), Order(day=3)])})
    ingest(here)
    assert rows(here, "select sold_on, total from orders order by all") == [
        (datetime(2024, 3, 1).date(), Decimal("4.05")),
        (datetime(2024, 3, 3).date(), Decimal("2.45")),
    ]
    assert rows(
        here, "select sold_on, sum(revenue) from hourly_sales group by all order by all"
    ) == [
        (datetime(2024, 3, 1).date(), Decimal("4.05")),
        (datetime(2024, 3, 3).date(), Decimal("2.45")),
    ]


def test_a_correction_leaves_what_other_files_say(tmp_path: Path) -> None:
    """An order that one file takes back stays while another file speaks of it."""
    here = clean_run(tmp_path, {"a.csv": till([Order()]), "b.csv": till([Order()])})
    for name, orders_left in (("a.csv", 1), ("b.csv", 0)):
        write_files(Path(here.raw), {name: b""})
        ingest(here)
        assert rows(here, "select count(*) from orders") == [(orders_left,)]
        assert rows(here, "select count(*) from hourly_sales") == [(orders_left,)]


def test_rejects_go_with_their_file(tmp_path: Path) -> None:
    """The rejected rows of a file are those of what it holds now."""
    here = clean_run(tmp_path, {"a.csv": till([Order(), "when,Leeds,,x,1,CASH,\n"])})
    assert rows(here, "select source, line_number, reason from rejects") == [
        ("a.csv", 2, "bad_timestamp")
    ]
    write_files(Path(here.raw), {"a.csv": till(["two,columns\n", Order(), Order()])})
    ingest(here)
    assert rows(here, "select source, line_number, reason from rejects order by all") == [
        ("a.csv", 1, "too_few_columns"),
        ("a.csv", 3, "duplicate_row"),
    ]


def test_a_renamed_file_adds_nothing(tmp_path: Path) -> None:
    """The same file under another name speaks of the same orders: sales stay as they are."""
    twins = till([Order(), Order(customer="Zebulon Quist"), Order(day=2, items=TWO)])
    here = clean_run(tmp_path, {"a.csv": twins})
    before = content(here)
    Path(here.raw, "a.csv").rename(Path(here.raw, "b.csv"))
    made = ingest(here)
    assert made.clean.objects == 1
    after = content(here)
    assert {table: after[table] for table in ("sales", "orders", "hourly_sales")} == {
        table: before[table] for table in ("sales", "orders", "hourly_sales")
    }


def test_a_file_taken_away_stays_in_the_warehouse(tmp_path: Path) -> None:
    """What a file said is kept when the raw folder no longer has it."""
    here = clean_run(tmp_path, {"a.csv": till([Order()]), "b.csv": till([Order(day=2)])})
    before = content(here)
    Path(here.raw, "a.csv").unlink()
    ingest(here)
    assert content(here) == before


def test_every_version_of_a_file_is_in_the_loads(tmp_path: Path) -> None:
    """Of a file that changed and changed back, the version that speaks now is the current one."""
    here = clean_run(tmp_path, {"a.csv": till([Order()])})
    for orders in ([Order(), Order(minute=1)], [Order()]):
        write_files(Path(here.raw), {"a.csv": till(orders)})
        ingest(here)
    assert rows(here, "select orders, is_current from loads order by orders") == [
        (1, True),
        (2, False),
    ]


def test_a_superseded_version_keeps_its_time(tmp_path: Path) -> None:
    """When a version was loaded stays known after another one has taken its place."""
    here = clean_run(tmp_path, {"a.csv": till([Order()])})
    first = rows(here, "select loaded_at from loads")
    write_files(Path(here.raw), {"a.csv": till([Order(minute=1)])})
    ingest(here)
    assert rows(here, "select loaded_at from loads where not is_current") == first
    assert rows(here, "select loaded_at from loads where is_current") > first


def test_a_clock_that_was_set_back_loses_no_correction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version that was read last speaks, whatever the machine's clock said at the time."""
    here = clean_run(tmp_path, {"a.csv": till([Order()])})

    class Earlier(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) - timedelta(days=1)  # type: ignore[arg-type]

    monkeypatch.setattr(brewtopia_lib.sources, "datetime", Earlier)
    monkeypatch.setattr(sys.modules["brewtopia_lib.lake"], "datetime", Earlier)
    write_files(Path(here.raw), {"a.csv": till([Order(), Order(minute=1)])})
    ingest(here)
    assert rows(here, "select count(*) from orders") == [(2,)]
    assert ingest(here).clean.objects == 0


# --- only what is new


def test_a_second_run_does_nothing(tmp_path: Path) -> None:
    """Nothing new: no file cleaned, nothing loaded, the published file untouched."""
    here = clean_run(tmp_path, {"a.csv": till([Order()]), "b.csv": b"\n \n", "c.csv": b""})
    path = Path(here.warehouse)
    before, content_before = path.stat(), path.read_bytes()
    lake_before = sorted(Path(here.lake).rglob("*"))
    made = ingest(here)
    assert (made.clean.objects, made.clean.objects_skipped) == (0, 3)
    assert made.load is not None
    assert (made.load.objects, made.load.orders, made.load.branch_days) == (0, 0, 0)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert path.read_bytes() == content_before
    assert sorted(Path(here.lake).rglob("*")) == lake_before


def test_only_touched_branch_days_are_made_anew(tmp_path: Path) -> None:
    """A new file makes anew the branch-days it speaks of, and no others."""
    here = clean_run(tmp_path, {f"{day}.csv": till([Order(day=day)]) for day in range(1, 9)})
    write_files(Path(here.raw), {"late.csv": till([Order(day=3, minute=5), Order(branch="York")])})
    made = ingest(here)
    assert made.load is not None
    assert (made.load.objects, made.load.branch_days, made.load.orders) == (1, 2, 3)


def test_summary_is_of_what_was_new(tmp_path: Path) -> None:
    """The counts speak of the files this run cleaned; money is text, in pounds."""
    here = clean_run(tmp_path, {"a.csv": till([Order()])})
    write_files(
        Path(here.raw), {"b.csv": till([Order(day=2, items=TWO), "broken\n", Order(day=2)])}
    )
    facts = ingest(here).to_json()
    seconds = facts.pop("seconds")
    assert 0 < seconds < 60
    assert facts == {
        "objects": 1, "objects_skipped": 1, "rows": 3, "orders": 2, "lines": 3, "rejected": 1,
        "rejected_by_reason": {"too_few_columns": 1}, "revenue": "6.50", "failed": [],
        "revenue_not_counted": "0.00", "loaded": True, "branch_days": 1,
    }  # fmt: skip


# --- feeds that change


FEED = """
name = "plain"
[file]
columns = 4
[columns]
sold_at = 1
branch = 2
items = 3
total = 4
[items]
separator = ";"
pattern = '(?P<product>[^=]+)=(?P<price>[0-9.]+)'
"""
PLAIN = b"01/03/2024 09:00,Leeds,Tea=1.50;Latte=2.45,3.95\n"


def with_feeds(folder: Path, **feeds: str) -> Settings:
    place = folder / "feeds"
    place.mkdir(parents=True, exist_ok=True)
    for name, text in feeds.items():
        (place / f"{name}.toml").write_text(text)
    return settings_in(folder).model_copy(update={"feeds": place})


def test_files_of_a_changed_feed_are_cleaned_again(tmp_path: Path) -> None:
    """After a feed is edited, its files say what it makes of them now; others are left alone."""
    here = with_feeds(tmp_path, plain=FEED)
    write_files(Path(here.raw), {"a.csv": PLAIN, "b.csv": till([Order()])})
    assert not ingest(here).failures
    edited = FEED + '[values.product]\nTea = "Breakfast tea"\n'
    with_feeds(tmp_path, plain=edited)
    assert ingest(here).clean.objects == 1
    assert rows(here, "select product from sales order by all") == [
        ("Breakfast tea",), ("Latte",), ("Latte",),
    ]  # fmt: skip
    clean = clean_run(tmp_path / "clean", {"a.csv": PLAIN, "b.csv": till([Order()])}, here.feeds)
    assert content(here) == content(clean)
    assert ingest(here).clean.objects == 0


def test_a_feed_that_comes_before_another_takes_over_its_files(tmp_path: Path) -> None:
    """A new feed that goes before the one that took a file so far takes it from the next run on."""
    here = with_feeds(tmp_path, plain=FEED)
    write_files(Path(here.raw), {"a.csv": PLAIN, "b.csv": till([Order()])})
    assert not ingest(here).failures
    better = FEED.replace('"plain"', '"better"\nbefore = "plain"').replace("Tea", "Tea")
    with_feeds(
        tmp_path, better=better + '[branch]\n[values.branch]\nLeeds = "Leeds Corn Exchange"\n'
    )
    made = ingest(here)
    assert made.clean.objects == 1
    assert rows(here, "select distinct branch from orders order by all") == [
        ("Leeds",), ("Leeds Corn Exchange",),
    ]  # fmt: skip
    assert ingest(here).clean.objects == 0


def test_a_file_no_feed_takes_is_done_once_one_does(tmp_path: Path) -> None:
    """A file that failed for want of a feed is cleaned by the next run that has one."""
    here = with_feeds(tmp_path)
    write_files(Path(here.raw), {"a.csv": PLAIN, "b.csv": till([Order()])})
    made = ingest(here)
    assert [source for source, _ in made.failures] == ["a.csv"]
    assert "docs/add-a-till.md" in made.failures[0][1]
    assert rows(here, "select count(*) from orders") == [(1,)]
    with_feeds(tmp_path, plain=FEED)
    assert not ingest(here).failures
    assert rows(here, "select count(*) from orders") == [(2,)]


# --- what an order is


def test_whatever_differs_makes_another_order(tmp_path: Path) -> None:
    """Orders that differ in any one thing they say have different ids, whichever files they are in."""
    latte, tea, mint = ("Regular Latte", 245), ("Tea", 245), ("Tea - Mint", 245)
    orders = [
        Order(), Order(minute=1), Order(day=2), Order(branch="York"), Order(payment="CASH"),
        Order(payment="?"), Order(items=(tea,)), Order(items=(mint,)),
        Order(items=(("Large Latte", 245),)), Order(items=(("Regular Latte", 246),)),
        Order(items=(latte, tea)), Order(items=(tea, latte)), Order(items=(latte, latte)),
        Order(items=(latte, tea, tea, latte)), Order(items=(tea, latte, latte, tea)),
        str(Order()).replace(",2.45,CARD", ",2.54,CARD"),
        str(Order()).replace(",2.45,CARD", ",,CARD"),
    ]  # fmt: skip
    here = clean_run(tmp_path, {f"{n}.csv": till([one]) for n, one in enumerate(orders)})
    assert rows(here, "select count(*), count(distinct order_id) from orders") == [
        (len(orders), len(orders))
    ]


def test_any_other_sequence_of_items_is_another_order(tmp_path: Path) -> None:
    """The same items in another sequence are another order, also where places add up alike."""
    latte, tea, scone = ("Regular Latte", 245), ("Tea", 150), ("Scone", 200)
    # 1 + 5 + 6 = 2 + 3 + 7, and 1 + 25 + 36 = 4 + 9 + 49
    one = Order(items=(latte, tea, tea, scone, latte, latte, tea))
    other = Order(items=(tea, latte, latte, scone, tea, tea, latte))
    here = clean_run(tmp_path, {"a.csv": till([one]), "b.csv": till([other])})
    assert rows(here, "select count(*) from orders") == [(2,)]


def test_a_branch_is_no_transaction(tmp_path: Path) -> None:
    """What a text means counts: branch A's transaction B is not branch B's transaction A."""
    text = "Transaction ID,Timestamp,Branch,Product,Unit Price\n{},2024-03-01 09:00,{},Tea,1.50\n"
    here = clean_run(
        tmp_path,
        {"a.csv": text.format("N1", "E2").encode(), "b.csv": text.format("E2", "N1").encode()},
    )
    assert rows(here, "select count(*), count(distinct order_id) from orders") == [(2, 2)]


def test_a_customer_is_no_part_of_an_order(tmp_path: Path) -> None:
    """The same order under another name and card is the same order: ids know nothing personal."""
    other = Order(customer="Zebulon Quist", card="")
    here = clean_run(tmp_path, {"a.csv": till([Order()]), "b.csv": till([other])})
    assert rows(here, "select count(*) from orders") == [(1,)]


def test_ids_are_the_same_on_every_run(tmp_path: Path) -> None:
    """Another process, with other hash seeds and more rows around it, gives an order the same id."""
    here = clean_run(tmp_path / "a", {"x.csv": till([Order(minute=7), Order(items=TWO)])})
    there = settings_in(tmp_path / "b")
    more = [*(Order(minute=minute, branch="York") for minute in range(60)), "bad\n"]
    write_files(Path(there.raw), {"y.csv": till([*more, Order(items=TWO), *more, Order(minute=7)])})
    environment = os.environ | {
        f"BREWTOPIA_{name.upper()}": getattr(there, name) for name in ("raw", "lake", "warehouse")
    }
    for seed in ("1", "2"):
        shutil.rmtree(there.lake, ignore_errors=True)
        Path(there.warehouse).unlink(missing_ok=True)
        subprocess.run(
            [sys.executable, "-m", "brewtopia_lib.cli", "ingest", "--json"],
            env=environment | {"PYTHONHASHSEED": seed}, check=True, capture_output=True,
            timeout=120,
        )  # fmt: skip
        ids = "select order_id from orders where branch = 'Leeds' order by all"
        assert rows(there, ids) == rows(here, ids)


def test_ids_are_unique_in_either_half(tmp_path: Path) -> None:
    """Among 200,000 orders no two ids, nor halves of ids, are equal: each half is wide enough."""
    orders = (
        Order(day=day, minute=minute, items=(("Latte", price),))
        for day in range(1, 29)
        for minute in range(600)
        for price in range(100, 112)
    )
    here = clean_run(tmp_path, {"a.csv": till(orders)})
    assert rows(
        here,
        "select count(*), count(distinct order_id), count(distinct left(order_id, 16)),"
        " count(distinct right(order_id, 16)), max(length(order_id)) from orders",
    ) == [(201_600, 201_600, 201_600, 201_600, 32)]


# --- what fails


def test_a_file_that_fails_keeps_its_earlier_version(tmp_path: Path) -> None:
    """A correction that cannot be read changes nothing: what the file last said still stands."""
    here = clean_run(tmp_path, {"a.csv": till([Order()])})
    before = content(here)
    write_files(Path(here.raw), {"a.csv": b"no,feed,takes,this\n", "b.csv": b""})
    assert [source for source, _ in ingest(here).failures] == ["a.csv"]
    after = content(here)
    assert {table: after[table] for table in after if table != "loads"} == {
        table: before[table] for table in before if table != "loads"
    }


def test_strict_loads_nothing_bad(tmp_path: Path) -> None:
    """With `strict`, one rejected row keeps all from being loaded; a plain load then does it."""
    here = settings_in(tmp_path)
    write_files(Path(here.raw), {"a.csv": till([Order(), "broken\n"])})
    made = ingest(here, strict=True)
    assert made.load is None
    assert "1 rows were rejected" in made.failures[0][1]
    assert not Path(here.warehouse).exists()
    assert load_lake(here).orders == 1


def test_nothing_to_ingest_makes_an_empty_warehouse(tmp_path: Path) -> None:
    """A raw folder without till files gives a warehouse without rows, to be read like any other."""
    here = settings_in(tmp_path)
    Path(here.raw).mkdir(parents=True)
    assert not ingest(here).failures
    assert not any(content(here).values())


@pytest.mark.parametrize("odd", ["with space", "it's", "50%#1", "[1]", "a*b", "Café ☕", '"q"'])
def test_any_folder_name_will_do(tmp_path: Path, odd: str) -> None:
    """Raw folder, lake and warehouse may be called what they like."""
    here = Settings(
        raw=str(tmp_path / odd / "raw"),
        lake=str(tmp_path / odd / "lake"),
        warehouse=str(tmp_path / odd / f"{odd}.duckdb"),
    )
    write_files(Path(here.raw), {f"{odd}.csv": till([Order()]), "lines.csv": till([Order(day=2)])})
    assert not ingest(here).failures
    write_files(Path(here.raw), {f"{odd}.csv": till([Order(minute=1)])})
    assert not ingest(here).failures
    assert rows(here, "select source, orders from loads where is_current order by all") == sorted(
        [(f"{odd}.csv", 1), ("lines.csv", 1)]
    )
    assert leftovers(here) == []


# --- several at once


def test_concurrent_ingests_end_in_the_right_warehouse(tmp_path: Path) -> None:
    """Four processes with overlapping shares of the files leave what one run leaves."""
    files = {
        f"{branch}_{day}.csv": till(
            Order(day=day, minute=minute, branch=branch) for minute in range(day, day + 20)
        )
        for branch in ("Leeds", "York")
        for day in range(1, 7)
    } | {"all.csv": till(Order(day=day, minute=30) for day in range(1, 7))}
    clean = clean_run(tmp_path / "clean", files)
    here = settings_in(tmp_path / "here", Path(clean.raw))
    environment = os.environ | {
        f"BREWTOPIA_{name.upper()}": getattr(here, name) for name in ("raw", "lake", "warehouse")
    }
    names = sorted(files)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "brewtopia_lib.cli", "ingest", "--json",
             *names_of(here, names[share : share + 7])],
            env=environment,
            stdout=subprocess.PIPE,
        )
        for share in (0, 2, 4, 6)
    ]  # fmt: skip
    answers = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert sum(answer["objects"] for answer in answers) == len(files)
    assert content(here) == content(clean)
    assert leftovers(here) == []
