"""The lake: batches that are there wholly or not at all, with nothing personal in them."""

import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from s3_server import S3Server
from tills import Order, content, leftovers, rows, settings_in, till, write_files

from brewtopia_lib.errors import BrewtopiaError, LakeError
from brewtopia_lib.ingest import clean_raw, ingest, load_lake
from brewtopia_lib.lake import Lake
from brewtopia_lib.settings import Settings
from brewtopia_lib.warehouse import open_warehouse

TABLES = ("orders", "lines", "items", "rejects", "objects")
CUSTOMER, CARD = "Ottoline Zebedee", "4929123412341234"


def cleaned(folder: Path, **files: bytes) -> Settings:
    made = settings_in(folder)
    write_files(Path(made.raw), {f"{name}.csv": text for name, text in files.items()})
    assert not clean_raw(made).failures
    return made


def lake_files(settings: Settings) -> list[str]:
    lake = Path(settings.lake)
    return sorted(str(file.relative_to(lake)) for file in lake.rglob("*") if file.is_file())


def column_names(file: Path) -> set[str]:
    with duckdb.connect() as connection:
        return set(connection.read_parquet(str(file)).columns)


# --- what is in it


def test_a_batch_is_a_file_a_table(tmp_path: Path) -> None:
    """All files of one run and feed make one batch, named alike in every table's folder."""
    here = cleaned(tmp_path, a=till([Order()]), b=till([Order(day=2), "broken\n"]))
    names = [file for file in lake_files(here) if file != ".lock"]
    (batch,) = {Path(name).name for name in names}
    assert names == sorted(f"{table}/{batch}" for table in TABLES)


def test_types_are_those_of_an_empty_one(tmp_path: Path) -> None:
    """A file has the columns, in their order and of the types, that older files and Redshift have."""
    written = cleaned(tmp_path / "written", a=till([Order(), "broken\n"]))
    empty = settings_in(tmp_path / "empty")
    shapes = []
    with duckdb.connect() as connection:
        for settings in (written, empty):
            Lake(settings.lake).attach(connection)
            shapes.append(
                {t: connection.execute(f"describe from lake_{t}").fetchall() for t in TABLES}
            )
    assert shapes[0] == shapes[1]


def test_nothing_personal_is_in_it(tmp_path: Path) -> None:
    """Neither bytes nor columns of the lake tell of customers and their cards."""
    here = cleaned(
        tmp_path,
        good=till([Order(), Order(minute=1, payment="CASH", card="")]),
        bad=till([Order(), f"{CUSTOMER},{CARD},,,,,\n", f'01/03/2024 09:00,Leeds,"{CUSTOMER}\n']),
        junk=f"{CUSTOMER},{CARD}\n".encode() + till([Order()]),
    )
    for name in lake_files(here):
        file = Path(here.lake, name)
        assert CUSTOMER.encode() not in file.read_bytes()
        assert CARD.encode() not in file.read_bytes()
        if name != ".lock":
            assert not column_names(file) & {"customer", "card", "row_hash", "text"}


def test_equal_runs_write_equal_batches(tmp_path: Path) -> None:
    """What is written of the same files is the same on every run, but for names and times."""
    files = {"a": till([Order(), "bad\n", Order(customer="Zebulon Quist")]), "b": b""}
    contents = []
    for number in range(2):
        here = cleaned(tmp_path / str(number), **files)
        with duckdb.connect() as connection:
            Lake(here.lake).attach(connection)
            contents.append(
                [
                    connection.execute(
                        f"select * exclude ({without}) from lake_{table} order by all"
                    ).fetchall()
                    for table, without in (
                        ("orders", "batch, basket_no"), ("rejects", "batch"),
                        ("objects", "batch, as_of, cleaned_at"),
                    )
                ]
            )  # fmt: skip
    assert contents[0] == contents[1]
    assert [len(table) for table in contents[0]] == [2, 1, 2]


def test_counts_of_objects(tmp_path: Path) -> None:
    """Of each object version the lake knows its rows, orders, lines, rejects and revenue."""
    items = (("Regular Latte", 245), ("Tea", 150))
    here = cleaned(tmp_path, a=till([Order(items=items), Order(day=2), "bad\n"]), b=b"\n")
    with duckdb.connect() as connection:
        Lake(here.lake).attach(connection)
        found = connection.execute(
            "select source, rows, orders, lines, rejected, revenue from lake_current order by all"
        ).fetchall()
    assert found == [("a.csv", 3, 2, 3, 1, Decimal("6.40")), ("b.csv", 0, 0, 0, 0, Decimal(0))]


def test_an_empty_lake_can_be_read(tmp_path: Path) -> None:
    """A lake that is not there yet holds nothing, and can be loaded."""
    here = settings_in(tmp_path)
    with duckdb.connect() as connection:
        Lake(here.lake).attach(connection)
        for view in (*TABLES, "current"):
            assert connection.execute(f"select * from lake_{view}").fetchall() == []
    assert load_lake(here).objects == 0


def test_many_small_batches_are_read_from_few_files(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One upload after another comes to what one run makes of all; whoever reads the lake anew
    fetches a list of them rather than each; a batch that was committed late is not overlooked."""
    monkeypatch.setattr(sys.modules[Lake.__module__], "CATALOGUED_AT_ONCE", 5)
    here = settings_in(tmp_path).model_copy(update={"raw": "s3://tills", "lake": "s3://lake"})
    files = {f"{n:02}.csv": till([Order(minute=n), Order(minute=n + 1)]) for n in range(24)}
    for name, body in files.items():
        s3.put("tills", name, body)
        assert clean_raw(here, [f"s3://tills/{name}"]).objects == 1
        if name == "07.csv":
            late = max(key for key in s3.objects("lake") if key.startswith("objects/"))
            commit = s3.objects("lake")[late]
            s3.client().delete_object(Bucket="lake", Key=late)
    assert sum(key.startswith("catalogue/") for key in s3.objects("lake")) == 4
    s3.put("lake", late, commit)
    shutil.rmtree(tmp_path / "cache")
    with s3.counting() as requests:
        assert len(Lake(here.lake).batches()) == 24
    assert requests["get"] <= 4 + 5
    load_lake(here)
    assert rows(here, "select count(*) from orders") == [(25,)]
    assert clean_raw(here, ["s3://tills"]).objects_skipped == 24


# --- wholly or not at all


def test_a_batch_without_its_commit_is_not_there(tmp_path: Path) -> None:
    """Without its objects file a batch is neither read nor kept by the next run."""
    here = cleaned(tmp_path, a=till([Order()]))
    Path(here.lake, "objects").rename(tmp_path / "objects")
    assert load_lake(here).objects == 0
    assert clean_raw(here).objects == 1
    assert len([file for file in lake_files(here) if file != ".lock"]) == len(TABLES)
    assert load_lake(here).orders == 1


def test_drafts_and_spill_of_a_killed_run_are_cleared_away(tmp_path: Path) -> None:
    """What a killed run left is gone after the next, even one with nothing to clean."""
    here = cleaned(tmp_path, a=till([Order()]))
    before = lake_files(here)
    write_files(
        Path(here.lake),
        {
            "orders/20240101T000000000000-abcdef01.parquet": b"half",
            "objects/.20240101T000000000000-abcdef01.parquet": b"half",
            ".spill/duckdb_temp_storage-0.tmp": b"spilled",
        },
    )
    assert clean_raw(here).objects == 0
    assert lake_files(here) == before


@pytest.mark.parametrize("table", ["orders", "lines", "items", "rejects"])
def test_a_lost_file_is_told(tmp_path: Path, table: str) -> None:
    """A batch that lacks one of its files is an error: its orders are not silently forgotten."""
    here = cleaned(tmp_path, a=till([Order()]))
    load_lake(here)
    before = content(here)
    for file in Path(here.lake, table).iterdir():
        file.unlink()
    write_files(Path(here.raw), {"b.csv": till([Order(minute=1)])})
    clean_raw(here)
    lost = rf"the lake has lost .*/{table}/.*parquet: put it back"
    if table != "rejects":  # those of a.csv are loaded and stay
        with pytest.raises(LakeError, match=lost):
            load_lake(here)
        assert content(here) == before
    Path(here.warehouse).unlink()
    with pytest.raises(LakeError, match=lost):
        load_lake(here)


@pytest.mark.parametrize("table", ["orders", "lines", "items", "rejects"])
@pytest.mark.parametrize("damage", ["nonsense", "cut short", "other bytes"])
def test_a_damaged_file_is_told(tmp_path: Path, table: str, damage: str) -> None:
    """A file of a batch that is no Parquet, or not what was written, is named with the way out, and
    the warehouse stays as it was."""
    here = cleaned(tmp_path, a=till([Order(minute=n) for n in range(50)]))
    load_lake(here)
    before = content(here)
    write_files(Path(here.raw), {"b.csv": till([Order(minute=n, payment="?") for n in range(50)])})
    clean_raw(here)
    file = max(Path(here.lake, table).iterdir())
    data = file.read_bytes()
    file.write_bytes(
        {
            "nonsense": b"nonsense",
            "cut short": data[:-100],
            "other bytes": data[:4] + bytes(len(data) - 8) + data[-4:],
        }[damage]
    )
    with pytest.raises(LakeError, match=rf"the lake's file .*/{file.name} is damaged: put it back"):
        load_lake(here)
    assert content(here) == before


def test_a_lake_may_lie_anywhere(tmp_path: Path) -> None:
    """A folder whose name looks like a column and its value is a folder like any other."""
    folder = tmp_path / "env=prod" / "batch=1"
    here = cleaned(folder, a=till([Order()]))
    load_lake(here)
    clean_raw(here)
    assert len(content(here)["sales"]) == 1


@pytest.mark.parametrize("limit", ["0GB", "1KB"])
def test_too_little_memory_is_no_damage(tmp_path: Path, limit: str) -> None:
    """Where memory does not suffice for the lake or the warehouse, the advice is to give more of it,
    and not to remove anything."""
    here = cleaned(tmp_path, a=till([Order()]))
    load_lake(here)
    poor = here.model_copy(update={"memory_limit": limit})
    for attempt in (
        lambda: clean_raw(poor),
        lambda: load_lake(poor),
        lambda: open_warehouse(poor.warehouse, limit),
    ):
        with pytest.raises(BrewtopiaError, match="ran out of memory: raise BREWTOPIA_MEMORY_LIMIT"):
            attempt()


def test_a_broken_commit_is_told(tmp_path: Path) -> None:
    """An objects file that is no Parquet is an error that names the lake and the way out."""
    here = cleaned(tmp_path, a=till([Order()]))
    for file in Path(here.lake, "objects").iterdir():
        file.write_bytes(b"nonsense")
    with pytest.raises(LakeError, match=r"the lake .* cannot be read: .*remove it"):
        clean_raw(here)


# --- one writer at a time


def _hold(lake: str, held: "multiprocessing.synchronize.Event") -> None:
    with Lake(lake).writing():
        held.set()
        signal.pause()


def test_a_killed_writer_gives_the_lake_free(tmp_path: Path) -> None:
    """A run waits for the one that holds the lake, and goes on as soon as that one is killed."""
    here = settings_in(tmp_path)
    write_files(Path(here.raw), {"a.csv": till([Order()])})
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    holder = context.Process(target=_hold, args=(here.lake, held))
    holder.start()
    assert held.wait(60)
    command = [sys.executable, "-m", "brewtopia_lib.cli", "clean"]
    places = {"BREWTOPIA_RAW": here.raw, "BREWTOPIA_LAKE": here.lake}
    waiting = subprocess.Popen(command, env=os.environ | places, stdout=subprocess.DEVNULL)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(3)
    holder.kill()
    assert waiting.wait(60) == 0
    holder.join()
    assert load_lake(here).orders == 1


# --- what ails it


def test_a_file_in_its_place(tmp_path: Path) -> None:
    """A file where the lake should be is an error that names it."""
    here = settings_in(tmp_path)
    write_files(tmp_path, {"raw/a.csv": till([Order()]), "lake": b"mine"})
    with pytest.raises(LakeError, match=r"/lake cannot be written: .*BREWTOPIA_LAKE"):
        ingest(here)
    assert Path(here.lake).read_bytes() == b"mine"


@pytest.mark.parametrize("room", [200, 3000, 9000])
def test_files_as_big_as_they_may_get(tmp_path: Path, room: int) -> None:
    """Where the disk takes no more, the command says so, keeps what was, and can be run again."""
    here = cleaned(tmp_path, a=till([Order()]))
    load_lake(here)
    before, files_before = content(here), lake_files(here)
    orders = [
        Order(day=day, minute=minute, items=(("Latte", day * minute + 1),))
        for day in range(2, 20)
        for minute in range(60)
    ]
    write_files(Path(here.raw), {"many.csv": till(orders)})

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    places = {
        f"BREWTOPIA_{name.upper()}": getattr(here, name) for name in ("raw", "lake", "warehouse")
    }
    run = subprocess.run(
        [sys.executable, "-m", "brewtopia_lib.cli", "ingest"], env=os.environ | places,
        preexec_fn=limit, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (1, "")
    assert f"the lake {here.lake} cannot be written: File too large; nothing of" in run.stderr
    assert run.stderr.count("\n") == 1
    assert content(here) == before
    assert lake_files(here) == files_before
    assert not ingest(here).failures
    assert rows(here, "select count(*) from orders") == [(1 + len(orders),)]
    assert leftovers(here) == []
