"""Raw files, lake and reports on S3: the same results as in folders, by changing settings alone."""

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from event_stream import lake_texts
from s3_server import Environ, Flaky, S3Server, refusal
from tills import Content, Order, content, rows, settings_in, till, write_files

import brewtopia_lib as bt
from brewtopia_lib.errors import LakeError, S3Error
from brewtopia_lib.ingest import clean_raw, ingest, load_lake
from brewtopia_lib.lake import Lake
from brewtopia_lib.reports.publishing import reports_folder
from brewtopia_lib.settings import Settings
from brewtopia_lib.sources import SMALL_BYTES, Fetched, list_objects
from brewtopia_lib.sources.fetching import fetching
from brewtopia_lib.storage import s3 as s3_module

RAW, LAKE = "s3://tills/raw", "s3://lake/x"
FILES = {
    "leeds_1.csv": till([Order(), Order(minute=1), Order(minute=1, customer="Zebulon Quist")]),
    "york/leeds_2.csv": till([Order(minute=1), Order(day=2), "broken\n"]),
    "york/york_1.csv": till([Order(branch="York", payment="CASH", card="")]),
    "empty.csv": b"",
}


def settings_on_s3(folder: Path, raw: str = RAW, lake: str = LAKE) -> Settings:
    return settings_in(folder).model_copy(update={"raw": raw, "lake": lake})


def put_all(s3: S3Server, files: Mapping[str, bytes]) -> None:
    for name, body in files.items():
        s3.put("tills", f"raw/{name}", body)


def facts(settings: Settings) -> Content:
    """What an analyst sees, but for the versions: on S3 they are ETags."""
    found = content(settings)
    return found | {"loads": [(one[0], *one[2:]) for one in found["loads"]]}


def in_folders(folder: Path, files: Mapping[str, bytes]) -> Content:
    """What one clean run over the same files in folders comes to."""
    local = settings_in(folder)
    Path(local.raw).mkdir(parents=True)
    write_files(Path(local.raw), files)
    assert not ingest(local).failures
    return facts(local)


def copies(tmp_path: Path) -> list[Path]:
    """Temp copies of raw files, and the folders they are in."""
    return list((tmp_path / "temp").glob("*/run-*"))


# --- the same, by settings alone


def test_the_real_data_exactly_and_twice(s3: S3Server, tmp_path: Path, real_data: Path) -> None:
    """The real files come through S3 to the penny; the second run reads no object at all; neither
    a name nor a card number is in the lake, its cache or a temp folder."""
    files = {
        file.name: file.read_bytes() for file in sorted((real_data / "branches").rglob("*.csv"))
    }
    put_all(s3, files)
    here = settings_on_s3(tmp_path)
    made = ingest(here)
    assert (made.clean.objects, made.clean.rejected) == (153, 0)
    assert (made.clean.orders, made.clean.lines) == (46_001, 126_510)
    assert f"{made.clean.revenue}" == "281119.40"
    before = content(here)
    with s3.counting() as requests:
        again = ingest(here)
    assert (again.clean.objects, again.clean.objects_skipped) == (0, 153)
    assert set(requests) == {"list"}
    assert content(here) == before
    assert rows(here, "select count(*), sum(total) from orders")[0][0] == 46_001
    assert facts(here) == in_folders(tmp_path / "local", files)
    personal = {
        row[column]
        for body in files.values()
        for row in csv.reader(body.decode().splitlines())
        for column in (2, 6)
        if row[column]
    }
    assert len(personal) > 40_000
    assert not personal & set(lake_texts())
    assert {key.rsplit(".", 1)[-1] for key in s3.objects("lake")} == {"parquet"}
    assert copies(tmp_path) == []


@pytest.mark.parametrize("raw", ["folder", "s3"])
@pytest.mark.parametrize("lake", ["folder", "s3"])
def test_any_mix_of_folders_and_buckets(s3: S3Server, tmp_path: Path, raw: str, lake: str) -> None:
    """Wherever raw files and lake are, the warehouse is the same, twice, and after a correction."""
    wanted = in_folders(tmp_path / "wanted", FILES)
    here = settings_in(tmp_path)
    Path(here.raw).mkdir()
    here = here.model_copy(
        update={
            "raw": RAW if raw == "s3" else here.raw,
            "lake": LAKE if lake == "s3" else here.lake,
        }
    )

    def deliver(files: Mapping[str, bytes]) -> None:
        put_all(s3, files) if raw == "s3" else write_files(Path(here.raw), files)

    deliver(FILES)
    for objects in (4, 0):
        assert ingest(here).clean.objects == objects
        assert facts(here) == wanted
    correction = {"york/leeds_2.csv": till([Order(day=2), Order(day=3)])}
    deliver(correction)
    assert ingest(here).clean.objects == 1
    assert facts(here) == in_folders(tmp_path / "corrected", FILES | correction)


def test_odd_keys_are_sources(s3: S3Server, tmp_path: Path) -> None:
    """Spaces, +, %, quotes and letters of any alphabet are in a source's name as in its key."""
    names = ["a b.csv", "a+b.csv", "a%20b.csv", "Café Öl/☕.csv", "it's.csv", "what?x=1&y#z.csv"]
    put_all(s3, {name: till([Order(minute=n)]) for n, name in enumerate(names)})
    here = settings_on_s3(tmp_path)
    ingest(here)
    assert {source for (source,) in rows(here, "select source from loads")} == set(names)
    assert rows(here, "select count(*) from orders") == [(6,)]
    assert ingest(here, [f"{RAW}/{name}" for name in names]).clean.objects_skipped == 6


def test_what_is_listed(s3: S3Server) -> None:
    """Below a prefix: till files, hidden ones apart, known by their key from the raw location on;
    a named object is always taken; a prefix ends at a slash."""
    for key in ("raw/a.csv", "raw/x/B.TSV", "raw/.hidden.csv", "raw/.x/c.csv", "raw/notes.md",
                "raw/sub/", "raw2/d.csv", "e.csv"):  # fmt: skip
        s3.put("tills", key, b"")

    def sources(*uris: str) -> list[str]:
        found, failures = list_objects(RAW, uris)
        assert failures == []
        return [one.source for one in found]

    assert sources() == sources(RAW) == sources(f"{RAW}/") == ["a.csv", "x/B.TSV"]
    assert sources(f"{RAW}/x") == sources(f"{RAW}/x/B.TSV", f"{RAW}/x") == ["x/B.TSV"]
    assert sources(f"{RAW}/notes.md") == ["notes.md"]
    assert sources("s3://tills/e.csv") == ["s3://tills/e.csv"]
    assert sources("s3://tills") == [
        "a.csv",
        "s3://tills/e.csv",
        "s3://tills/raw2/d.csv",
        "x/B.TSV",
    ]
    found, failures = list_objects(RAW, [f"{RAW}/b.csv", f"{RAW}/a.csv"])
    assert [one.source for one in found] == ["a.csv"]
    [(source, message)] = failures
    assert source == f"{RAW}/b.csv"
    assert message.startswith(f"there is nothing at {RAW}/b.csv")


def test_one_file_can_be_tried_from_s3(s3: S3Server) -> None:
    """`clean()` takes objects and prefixes as it takes files and folders."""
    put_all(s3, FILES)
    assert len(bt.clean([f"{RAW}/leeds_1.csv", f"{RAW}/york"]).orders) == 6


# --- what is new


def test_only_what_changed_is_read(s3: S3Server, tmp_path: Path) -> None:
    """Of many objects, one more get for each that is new or changed, and none for the others."""
    put_all(s3, {f"{day}.csv": till([Order(day=day)]) for day in range(1, 21)})
    here = settings_on_s3(tmp_path, lake=str(tmp_path / "lake"))
    with s3.counting() as first:
        ingest(here)
    put_all(s3, {"3.csv": till([Order(day=3, minute=5)]), "21.csv": till([Order(day=21)])})
    with s3.counting() as later:
        assert ingest(here).clean.objects == 2
    assert (first, later) == ({"list": 1, "get": 20}, {"list": 1, "get": 2})


def test_what_stands_there_now_speaks(s3: S3Server, tmp_path: Path) -> None:
    """A content that comes back, uploaded again or because what replaced it was removed, counts,
    and so does one whose time is older than that of what was there before."""
    here = settings_on_s3(tmp_path)
    one, two = till([Order()]), till([Order(), Order(minute=1)])
    s3.put("tills", "raw/a.csv", one)
    came = s3.modified("tills", "raw/a.csv")
    ingest(here)
    for body, at, orders in (
        (two, None, 2), (one, None, 1), (two, None, 2),
        (one, came, 1),  # the newer version was removed: the older one is there again
        (two, came - timedelta(days=1), 2),
    ):  # fmt: skip
        s3.put("tills", "raw/a.csv", body, at=at)
        ingest(here)
        assert rows(here, "select count(*) from orders") == [(orders,)]
        with s3.counting() as requests:
            assert clean_raw(here).objects == 0
        assert requests["get"] == 0


def test_versions_and_uploads_in_parts(s3: S3Server, tmp_path: Path) -> None:
    """What was uploaded in parts is a version like any other; where a bucket keeps versions and the
    newest is removed, the one before speaks again."""
    here, client, raw = (
        settings_on_s3(tmp_path),
        s3.client(),
        {"Bucket": "tills", "Key": "raw/a.csv"},
    )
    client.put_bucket_versioning(Bucket="tills", VersioningConfiguration={"Status": "Enabled"})
    client.put_object(Body=till([Order()]), **raw)
    assert ingest(here).clean.orders == 1
    upload = {"UploadId": client.create_multipart_upload(**raw)["UploadId"]}
    body = till([Order(), Order(minute=1)])
    part = client.upload_part(**raw, **upload, PartNumber=1, Body=body)
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    newer = client.complete_multipart_upload(**raw, **upload, MultipartUpload=parts)
    assert newer["ETag"].endswith('-1"')
    assert ingest(here).clean.orders == 2
    assert ingest(here).clean.objects == 0
    client.delete_object(**raw, VersionId=newer["VersionId"])
    assert ingest(here).clean.orders == 1
    assert rows(here, "select count(*) from orders") == [(1,)]


def test_who_comes_late_has_not_the_last_word(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that read what has since been undone, and commits after everybody else, changes
    nothing."""
    here = settings_on_s3(tmp_path)
    right, wrong = till([Order()]), till([Order(), Order(minute=1)])
    s3.put("tills", "raw/a.csv", right)
    ingest(here)
    s3.put("tills", "raw/a.csv", wrong)
    commit = Lake.commit

    def late(lake: Lake, *arguments: Any, **named: Any) -> None:
        monkeypatch.setattr(Lake, "commit", commit)
        s3.put("tills", "raw/a.csv", right)
        ingest(here)
        commit(lake, *arguments, **named)

    monkeypatch.setattr(Lake, "commit", late)
    clean_raw(here)
    load_lake(here)
    assert rows(here, "select count(*) from orders") == [(1,)]
    assert ingest(here).clean.objects == 0


def test_contents_of_the_same_second(s3: S3Server, tmp_path: Path) -> None:
    """What comes within the second that an object was read in is not taken for the older one."""
    here = settings_on_s3(tmp_path)
    s3.put("tills", "raw/a.csv", till([Order()]))
    later: list[threading.Timer] = []

    def replace(action: str, environ: Environ) -> None:
        if action == "get" and environ["PATH_INFO"].endswith("a.csv") and not later:
            while datetime.now(UTC).microsecond > 300_000:
                time.sleep(0.01)
            now = datetime.now(UTC).replace(tzinfo=None)
            s3.set_modified("tills", "raw/a.csv", now)
            another = till([Order(minute=9)])
            later.append(threading.Timer(0.1, s3.put, ("tills", "raw/a.csv", another, now)))
            later[0].start()

    s3.fault = replace
    ingest(here)
    assert rows(here, "select minute(sold_at) from orders") == [(9,)]


def test_a_load_reads_the_batches_it_needs(s3: S3Server, tmp_path: Path) -> None:
    """A load of one more file reads its batch and those of files of the same branch-day, also on a
    machine that has never seen the lake."""
    here = settings_on_s3(tmp_path)
    for day in range(1, 6):
        put_all(s3, {f"{day}.csv": till([Order(day=day)])})
        clean_raw(here)
    load_lake(here)
    put_all(s3, {"again.csv": till([Order(day=3, minute=5)])})
    clean_raw(here)
    for file in (tmp_path / "cache").rglob("*.parquet"):
        file.unlink()
    with s3.counting() as requests:
        assert load_lake(here).branch_days == 1
    # 6 ledgers; orders, lines and items of two batches; the rejects of one
    assert requests["get"] == 6 + 3 * 2 + 1
    assert rows(here, "select count(*) from orders") == [(6,)]


def test_a_copy_that_nobody_reads_goes(s3: S3Server, tmp_path: Path) -> None:
    """Of the lake's local copies those that nobody read for a month go, and are fetched again when
    they are needed; what was read meanwhile stays."""
    here = settings_on_s3(tmp_path)
    put_all(s3, FILES)
    ingest(here)
    ledger, orders = (
        next((tmp_path / "cache").glob(f"**/{folder}/*.parquet"))
        for folder in ("objects", "orders")
    )
    long_ago = (datetime.now() - timedelta(days=31)).timestamp()
    for path in (ledger, orders):
        os.utime(path, (long_ago, long_ago))
    load_lake(here)
    copy = ledger.stat().st_ino
    put_all(s3, {"one_more.csv": till([Order(day=20)])})
    clean_raw(here)
    assert ledger.exists()
    assert ledger.stat().st_ino == copy
    assert not orders.exists()
    Path(here.warehouse).unlink()
    load_lake(here)
    assert orders.exists()


def test_requests_grow_with_the_files(s3: S3Server, tmp_path: Path) -> None:
    """Three times the files take at most three times the requests, and the lake's do not grow."""
    counts = []
    for files in (20, 60):
        s3.reset()
        s3.make_buckets("tills", "lake")
        put_all(s3, {f"{n}.csv": till([Order(day=1 + n % 28, minute=n)]) for n in range(files)})
        with s3.counting() as requests:
            ingest(settings_on_s3(tmp_path / f"{files}"))
        counts.append(requests)
    few, many = counts
    assert many["get"] - few["get"] == 40
    assert (many["put"], many["list"], many["head"]) == (few["put"], few["list"], few["head"])


# --- temp copies and what others leave


BIG = "".join(
    f'01/03/2024 09:{n % 60:02},Leeds,Ottoline Zebedee {n},"Tea - 1.50",1.50,CASH,\n'
    for n in range(SMALL_BYTES // 60)
).encode()


BIG_ORDERS = BIG.count(b"\n")


def test_large_objects_go_through_a_private_folder(s3: S3Server, tmp_path: Path) -> None:
    """A large object is copied where nobody else looks, for as long as it is needed."""
    assert len(BIG) > SMALL_BYTES
    put_all(s3, {"big.csv": BIG, "small.csv": till([Order(branch="York")])})
    told: list[str] = []
    objects, _ = list_objects(RAW)
    with fetching(objects, told.append) as outcomes:
        big, small = outcomes
        assert isinstance(big, Fetched) and isinstance(small, Fetched)
        [folder] = copies(tmp_path)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert big.path.parent == folder and big.path.read_bytes() == BIG
        assert small.data == till([Order(branch="York")])
        big.discard()
        assert not big.path.exists()
    assert copies(tmp_path) == []
    here = settings_on_s3(tmp_path)
    ingest(here)
    assert rows(here, "select count(*) from orders") == [(BIG_ORDERS + 1,)]
    assert copies(tmp_path) == []


def test_a_long_transfer_tells_how_far_it_is(s3: S3Server, tmp_path: Path) -> None:
    """While a transfer takes long, progress says how much has come."""

    def slow(action: str, _: Environ) -> None:
        if action == "get":
            time.sleep(1.2)

    put_all(s3, {"big.csv": BIG})
    s3.fault = slow
    told: list[tuple[int, int, str]] = []
    clean_raw(settings_on_s3(tmp_path), progress=lambda *what: told.append(what))
    assert (0, 1, f"big.csv (0 of {len(BIG) >> 20} MiB)") in told


def test_a_kill_leaves_copies_until_the_next_start(s3: S3Server, tmp_path: Path) -> None:
    """Copies that a killed process left are gone once another has started, and nothing of it is
    in the lake or the warehouse."""
    put_all(s3, {"big.csv": BIG, "then.csv": till([Order()])})
    here = settings_on_s3(tmp_path, lake=str(tmp_path / "lake"))
    copied, over = threading.Event(), threading.Event()

    def wait(_: str, environ: Environ) -> None:
        if environ["PATH_INFO"].endswith("then.csv") and environ["REQUEST_METHOD"] == "GET":
            copied.set()
            over.wait(30)

    s3.fault = wait
    environment = os.environ | {"BREWTOPIA_RAW": here.raw, "BREWTOPIA_LAKE": here.lake,
                                "BREWTOPIA_WAREHOUSE": here.warehouse}  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "brewtopia_lib.cli", "ingest"], env=environment, cwd=tmp_path
    )
    assert copied.wait(60)
    deadline = time.monotonic() + 30
    while not any(file.stat().st_size == len(BIG) for file in tmp_path.glob("temp/*/run-*/*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    over.set()
    s3.fault = None
    assert copies(tmp_path)
    ingest(here)
    assert copies(tmp_path) == []
    assert rows(here, "select count(*) from orders") == [(BIG_ORDERS + 1,)]
    for place in (tmp_path / "lake", tmp_path / "cache"):
        assert not any(b"Ottoline" in file.read_bytes() for file in place.rglob("*.*"))


def test_leftovers_on_s3_go_when_nobody_can_be_at_work(s3: S3Server, tmp_path: Path) -> None:
    """Of batches without a commit, those older than a day are removed and younger ones are not:
    another process may be about to commit them."""
    here = settings_on_s3(tmp_path)
    put_all(s3, FILES)
    ingest(here)
    before = set(s3.objects("lake"))
    old = s3.modified("lake", min(before)) - timedelta(days=2)
    s3.put("lake", "x/orders/20240101T000000000000-00000000.parquet", b"dead", at=old)
    s3.put("lake", "x/manifests/lines-00000000.json", b"dead", at=old)
    s3.put("lake", "x/lines/20240102T000000000000-00000000.parquet", b"alive?")
    ingest(here)
    assert set(s3.objects("lake")) == before | {"x/lines/20240102T000000000000-00000000.parquet"}


def test_several_at_once_into_one_lake(s3: S3Server, tmp_path: Path) -> None:
    """Four runs at the same time over the same objects end as one run does."""
    files = {f"{n}.csv": till([Order(day=1 + n % 3, minute=n)]) for n in range(24)}
    put_all(s3, files)
    here = settings_on_s3(tmp_path)
    threads = [threading.Thread(target=ingest, args=(here,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ingest(here)
    assert facts(here) == in_folders(tmp_path / "local", files)


# --- what fails


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short time-outs and short pauses between attempts."""
    monkeypatch.setattr(s3_module, "READ_SECONDS", 0.5)
    monkeypatch.setattr(s3_module, "_LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff._MAX_BACKOFF", 0.1)


@pytest.mark.usefixtures("impatient")
def test_disturbances_lose_and_double_nothing(s3: S3Server, tmp_path: Path) -> None:
    """Through 503s, cut connections, broken answers and late ones, the warehouse is exact."""
    files = {f"{n}.csv": till(Order(day=1 + n, minute=m) for m in range(40)) for n in range(20)}
    put_all(s3, files)
    s3.fault = faults = Flaky(s3, share=0.3, slow_seconds=0.8)
    here = settings_on_s3(tmp_path)
    for _ in range(2):
        assert not ingest(here).failures
    assert {kind.split()[0] for kind in faults.faults} == {"busy", "cut", "half", "lost", "slow"}
    s3.fault = None
    assert facts(here) == in_folders(tmp_path / "local", files)
    assert sum(key.startswith("x/objects/") for key in s3.objects("lake")) == 1


def test_one_object_that_cannot_be_read_stops_no_other(s3: S3Server, tmp_path: Path) -> None:
    """A refused object is a failure of its own, named with bucket and right; the rest is done."""
    put_all(s3, FILES)

    def deny(action: str, environ: Environ) -> Any:
        is_it = action == "get" and environ["PATH_INFO"].endswith("leeds_1.csv")
        return refusal("403 Forbidden", "AccessDenied") if is_it else None

    s3.fault = deny
    made = ingest(settings_on_s3(tmp_path))
    assert made.clean.objects == 3
    [(source, why)] = made.failures
    assert source == "leeds_1.csv"
    assert why.startswith("s3://tills/raw/leeds_1.csv cannot be read: the right s3:GetObject on")


def test_a_right_that_is_missing_for_all_is_one_error(s3: S3Server, tmp_path: Path) -> None:
    """Where no object may be read at all, that is told once, not for each of them."""
    put_all(s3, {f"{n}.csv": till([Order(day=n)]) for n in range(1, 20)})
    s3.fault = lambda act, _: refusal("403 Forbidden", "AccessDenied") if act == "get" else None
    with pytest.raises(S3Error, match="the right s3:GetObject on bucket tills is missing"):
        ingest(settings_on_s3(tmp_path))
    assert copies(tmp_path) == []


def test_a_lake_that_refuses_keeps_nothing_half(s3: S3Server, tmp_path: Path) -> None:
    """Without the right to write, the error names the lake; with it, the next run does it all."""
    put_all(s3, FILES)
    here = settings_on_s3(tmp_path)
    s3.fault = lambda act, _: refusal("403 Forbidden", "AccessDenied") if act == "put" else None
    with pytest.raises(S3Error, match="s3://lake/x/.* cannot be written: the right s3:PutObject"):
        ingest(here)
    s3.fault = None
    assert ingest(here).clean.objects == 4
    assert facts(here) == in_folders(tmp_path / "local", FILES)


def test_a_lost_file_of_a_lake_on_s3_is_told(s3: S3Server, tmp_path: Path) -> None:
    """A batch that lacks a file is an error that names it."""
    put_all(s3, FILES)
    here = settings_on_s3(tmp_path)
    clean_raw(here)
    lost = next(key for key in s3.objects("lake") if key.startswith("x/lines/"))
    s3.client().delete_object(Bucket="lake", Key=lost)
    with pytest.raises(LakeError, match=f"the lake has lost s3://lake/{lost}: put it back"):
        load_lake(here)
    with pytest.raises(LakeError, match=f"the lake has lost s3://lake/{lost}"):
        Lake(LAKE).files("lines", [Path(lost).stem])


def test_what_a_manifest_needs(s3: S3Server, tmp_path: Path) -> None:
    """The lake tells where the files of its batches are and how large, as S3 itself does, and asks
    for many of them at once."""
    put_all(s3, FILES)
    clean_raw(settings_on_s3(tmp_path))
    lake = Lake(LAKE)
    kept = s3.objects("lake")
    for table in ("orders", "rejects", "objects"):
        batches = [one for one in lake.batches() if f"x/{table}/{one}.parquet" in kept]
        assert lake.files(table, batches) == [
            (f"s3://lake/x/{table}/{one}.parquet", len(kept[f"x/{table}/{one}.parquet"]))
            for one in batches
        ]
    s3.make_buckets("many")
    names = [f"{number:04}" for number in range(0, 1500, 2)]
    for name in (*names, "0001", "2000"):
        s3.put("many", f"x/lines/{name}.parquet", name.encode())
    with s3.counting() as requests:
        many = Lake("s3://many/x").files("lines", names)
    assert many == [(f"s3://many/x/lines/{name}.parquet", 4) for name in names]
    assert requests == {"list": 1}
    with pytest.raises(LakeError, match="the lake has lost s3://many/x/lines/0003.parquet"):
        Lake("s3://many/x").files("lines", [*names, "0003"])
    assert lake.write("manifests/a b.json", b"{}") == "s3://lake/x/manifests/a b.json"
    assert s3.objects("lake")["x/manifests/a b.json"] == b"{}"
    lake.remove("manifests/a b.json")
    assert s3.objects("lake") == kept


# --- reports


def test_pages_go_to_s3_and_the_index_last(s3: S3Server) -> None:
    """Pages are uploaded with their types, only what changed, the index after what it leads to;
    what was removed goes; a run that failed uploads nothing."""
    order: list[str] = []

    def watch(action: str, environ: Environ) -> None:
        if action in ("put", "delete"):
            order.append(f"{action} {Path(environ['PATH_INFO']).name}")

    s3.fault = watch
    with reports_folder("s3://pages/out") as folder:
        write_files(
            folder,
            {name: b"x" for name in ("index.html", "r/a.html", "r/a.ipynb", "r/b.html", "r/.part")},
        )
    assert s3.kinds("pages") == {
        "out/index.html": "text/html; charset=utf-8",
        "out/r/a.html": "text/html; charset=utf-8",
        "out/r/a.ipynb": "application/x-ipynb+json",
        "out/r/b.html": "text/html; charset=utf-8",
    }
    assert order[-1] == "put index.html"
    order.clear()
    with reports_folder("s3://pages/out") as folder:
        write_files(folder, {"r/a.html": b"new", "index.html": b"new"})
        (folder / "r/b.html").unlink()
    assert order[:2] == ["put a.html", "put index.html"]
    assert set(s3.objects("pages")) == {"out/index.html", "out/r/a.html", "out/r/a.ipynb"}
    with pytest.raises(KeyError), reports_folder("s3://pages/out") as folder:
        write_files(folder, {"r/a.html": b"half a run"})
        raise KeyError
    assert s3.objects("pages")["out/r/a.html"] == b"new"


def test_pages_missing_on_s3_are_uploaded_again(s3: S3Server) -> None:
    """A run that was killed before its upload is made up for by the next."""
    with reports_folder("s3://pages") as folder:
        write_files(folder, {"index.html": b"x", "r/a.html": b"x"})
    s3.client().delete_object(Bucket="pages", Key="r/a.html")
    with reports_folder("s3://pages"):
        pass
    assert set(s3.objects("pages")) == {"index.html", "r/a.html"}
