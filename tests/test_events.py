"""Notices of uploads become a warehouse: by the worker and by the Lambda handlers."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from event_stream import LAKE, RAW, documents, lake_texts, metrics, notice, open_stream, record
from s3_server import S3Server, refusal
from tills import Content, Order, content, rows, settings_in, till, write_files

from brewtopia_lib import cli, events
from brewtopia_lib.doctor import examine
from brewtopia_lib.errors import EventError, QueueError, WarehouseUnavailableError
from brewtopia_lib.events import worker
from brewtopia_lib.events.notices import read_notices
from brewtopia_lib.events.telemetry import METRICS
from brewtopia_lib.events.worker import Worker
from brewtopia_lib.ingest import clean_raw, ingest
from brewtopia_lib.settings import Settings

NAME, CARD = "Ottoline Zebedee", "4929123412341234"
ODD_KEYS = ["a b.csv", "a+b.csv", "a%20b.csv", "Café Öl/☕ & 1=1.csv", "it's.csv"]


def settings_of(folder: Path, queue: str | None = None) -> Settings:
    return settings_in(folder).model_copy(update={"raw": RAW, "lake": LAKE, "queue": queue})


def facts(settings: Settings) -> Content:
    """What an analyst sees, but for the versions: on S3 they are ETags."""
    found = content(settings)
    return found | {"loads": [(one[0], *one[2:]) for one in found["loads"]]}


def one_clean_run(folder: Path, files: dict[str, bytes]) -> Content:
    local = settings_in(folder)
    write_files(Path(local.raw), files)
    assert not ingest(local).failures
    return facts(local)


def work(settings: Settings) -> Worker:
    one = Worker(settings)
    one.run(once=True)
    return one


@pytest.fixture(autouse=True)
def _log_to_where_stdout_is_now() -> None:
    for part in ("worker", "clean", "load"):
        logging.Logger.manager.loggerDict.pop(f"brewtopia-{part}", None)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed comes again without a pause."""
    monkeypatch.setattr(worker, "_back_off_seconds", lambda _: 0)


# --- what S3 tells


@pytest.mark.parametrize("key", [*(f"raw/{name}" for name in ODD_KEYS), "raw/日本 +%2B.csv"])
def test_keys_are_read_as_they_are(key: str) -> None:
    """Whatever letters a key has, and however S3's notice is wrapped, the notice names that key."""
    plain = notice(key)
    in_sns = json.dumps({"Type": "Notification", "Message": plain})
    detail = {"bucket": {"name": "tills"}, "object": {"key": key, "version-id": "v7"}}
    in_eventbridge = json.dumps(
        {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
    )
    for message in (plain, json.loads(plain), in_sns, in_eventbridge):
        [read] = read_notices(message)
        assert (read.bucket, read.key, read.version_id) == ("tills", key, "v7")


def test_what_changes_nothing_is_no_notice() -> None:
    """S3's test message and a new tag tell of no change; uploads and removals of all kinds do."""
    assert read_notices('{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "x"}') == []
    assert read_notices(notice("raw/a.csv", "ObjectTagging:Put")) == []
    for event in ("CompleteMultipartUpload", "Post", "Copy"):
        assert read_notices(notice("raw/a.csv", f"ObjectCreated:{event}"))
    assert read_notices(notice("raw/a.csv", "s3:ObjectRemoved:DeleteMarkerCreated"))
    assert len(read_notices({"Records": [record("raw/a.csv"), record("raw/b.csv")]})) == 2


@pytest.mark.parametrize(
    "message",
    ["", NAME, "[]", "7", "{}", '{"Records": [{"eventName": "ObjectCreated:Put"}]}',
     '{"Records": ["x"]}', '{"Type": "Notification", "Message": "x"}',
     notice("x").replace('"x"', '"%ff"'), notice("x").replace('"tills"', "7")],
)  # fmt: skip
def test_other_messages_are_refused(message: str) -> None:
    """A message that S3 does not send is an error that does not repeat it."""
    with pytest.raises(EventError, match="none that S3 sends") as caught:
        read_notices(message)
    assert NAME not in str(caught.value)


# --- the worker


def test_uploads_become_the_warehouse(
    s3: S3Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """S3's own notices, its test message, doubled and late ones, those of a multipart upload, of
    corrections, of removed objects and of what is no till file leave the queue empty and the
    warehouse as one clean run makes it; nothing personal is in logs, lake or queue."""
    stream = open_stream(s3)
    files = {
        name: till([Order(minute=n, customer=f"{NAME} {n}"), "broken\n"])
        for n, name in enumerate(ODD_KEYS)
    }
    for name, body in files.items():
        s3.put("tills", f"raw/{name}", till([Order(day=9)]) + body)
        s3.put("tills", f"raw/{name}", body)
    for key in ("raw/notes.md", "raw/.hidden.csv", "raw/folder/", "other/raw/x.csv"):
        s3.put("tills", key, till([Order(day=8)]))
    client = s3.client()
    client.put_object(Bucket="tills", Key="raw/gone.csv", Body=till([Order(day=7)]))
    client.delete_object(Bucket="tills", Key="raw/gone.csv")
    upload = {"Bucket": "tills", "Key": "raw/parts.csv"}
    number = client.create_multipart_upload(**upload)["UploadId"]
    files["parts.csv"] = till([Order(branch="York")])
    part = client.upload_part(**upload, UploadId=number, PartNumber=1, Body=files["parts.csv"])
    client.complete_multipart_upload(
        **upload, UploadId=number,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )  # fmt: skip
    stream.send(*(notice(f"raw/{name}") for name in reversed(ODD_KEYS)))
    stream.send(notice("raw/a b.csv", bucket="another"), notice("raw/never-was.csv"))
    bodies = stream.bodies()
    assert not any(secret in body for body in bodies for secret in (NAME, CARD))
    stream.send(*bodies)
    here = settings_of(tmp_path, stream.url)
    waiting = stream.count()
    done = work(here)
    assert (done.done, done.failed) == (waiting, 0)
    assert waiting > 20
    assert stream.count() == stream.count(stream.dead_url) == 0
    assert facts(here) == one_clean_run(tmp_path / "wanted", files)

    late = [notice(f"raw/{name}") for name in ODD_KEYS]
    before = set(s3.objects("lake"))
    stream.send(*late)
    assert work(here).done == len(late)
    assert facts(here) == one_clean_run(tmp_path / "wanted", files)
    assert set(s3.objects("lake")) == before
    said = capsys.readouterr()
    written = said.out + said.err + " ".join(lake_texts()) + str(content(here))
    assert "Leeds" in written
    assert not any(secret in written for secret in (NAME, CARD))


def test_a_removed_object_stays_in_the_warehouse(s3: S3Server, tmp_path: Path) -> None:
    """What a file said stays when the file is removed; an empty one in its place takes it back."""
    stream = open_stream(s3)
    here = settings_of(tmp_path, stream.url)
    for branch in ("Leeds", "York"):
        s3.put("tills", f"raw/{branch}.csv", till([Order(branch=branch)]))
    work(here)
    for branch in ("Leeds", "York"):
        s3.client().delete_object(Bucket="tills", Key=f"raw/{branch}.csv")
    s3.put("tills", "raw/York.csv", b"")
    assert work(here).failed == 0
    assert rows(here, "select branch from orders") == [("Leeds",)]
    assert stream.count() == 0


@pytest.mark.usefixtures("at_once")
def test_a_poison_file_ends_in_the_dead_letter_queue(
    s3: S3Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file no feed takes and a message nobody understands end in the dead-letter queue, with
    their reasons in the log and nothing of what they hold; all others are done."""
    stream = open_stream(s3, attempts=3)
    s3.put("tills", "raw/poison.csv", f"{NAME},{CARD}\n".encode())
    stream.send(f"what {NAME} said")
    for number in range(20):
        s3.put("tills", f"raw/{number}.csv", till([Order(minute=number)]))
    here = settings_of(tmp_path, stream.url)
    done = work(here)
    assert (done.done, done.failed) == (21, 6)
    assert rows(here, "select count(*) from orders") == [(20,)]
    assert stream.count() == 0
    dead = stream.bodies(stream.dead_url)
    assert len(dead) == 2
    assert [read_notices(body)[0].key for body in dead if NAME not in body] == ["raw/poison.csv"]
    said = capsys.readouterr().out
    failures = [one for one in documents(said) if one.get("message") == "failed"]
    assert [one["receives"] for one in failures if "poison.csv" in one["reason"]] == [1, 2, 3]
    assert sum("none that S3 sends" in one["reason"] for one in failures) == 3
    assert sum(sum(v) for name, _, v in metrics(said) if name == "MessagesFailed") == 6
    assert NAME not in said
    assert CARD not in said


def test_what_breaks_the_worker_is_tried_alone(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one file makes all that is cleaned with it fail, the others are done soon."""
    stream = open_stream(s3)
    monkeypatch.setattr(worker, "_back_off_seconds", lambda failures: 0 if failures < 3 else 60)

    def clean(settings: Settings, uris: list[str]) -> Any:
        if f"{RAW}/bomb.csv" in uris:
            raise MemoryError
        return clean_raw(settings, uris)

    monkeypatch.setattr(events, "clean_raw", clean)
    for name in ("Leeds", "bomb", "York"):
        s3.put("tills", f"raw/{name}.csv", till([Order(branch=name)]))
    here = settings_of(tmp_path, stream.url)
    work(here)
    assert rows(here, "select branch from orders order by 1") == [("Leeds",), ("York",)]
    assert stream.count() == 1


@pytest.mark.usefixtures("at_once")
def test_nothing_is_deleted_before_it_is_loaded(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages whose load failed stay in the queue, and come again until it goes well."""
    stream = open_stream(s3)
    load = events.load_lake
    counts = []

    def fail_twice(settings: Settings) -> Any:
        counts.append(stream.count())
        if len(counts) <= 2:
            raise WarehouseUnavailableError("the warehouse is busy: try again")
        return load(settings)

    monkeypatch.setattr(events, "load_lake", fail_twice)
    s3.put("tills", "raw/a.csv", till([Order()]))
    here = settings_of(tmp_path, stream.url)
    work(here)
    assert counts == [2, 1, 1]  # S3's test message is gone after the first time
    assert rows(here, "select count(*) from orders") == [(1,)]
    assert stream.count() == 0


def test_messages_in_hand_are_kept_from_others(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While work takes longer than messages are hidden for, nobody else is given them."""
    stream = open_stream(s3)
    monkeypatch.setattr(worker, "HOLD_SECONDS", 1)
    seen = []
    clean = events.clean_raw

    def slow(settings: Settings, uris: list[str]) -> Any:
        time.sleep(2.5)
        seen.append(stream.sqs.receive_message(QueueUrl=stream.url).get("Messages"))
        return clean(settings, uris)

    monkeypatch.setattr(events, "clean_raw", slow)
    s3.put("tills", "raw/a.csv", till([Order()]))
    assert work(settings_of(tmp_path, stream.url)).failed == 0
    assert seen == [None]


def environment_of(s3: S3Server, settings: Settings) -> dict[str, str]:
    places = {"raw": settings.raw, "lake": settings.lake, "warehouse": settings.warehouse}
    own = {f"BREWTOPIA_{name.upper()}": value for name, value in places.items()}
    return os.environ | s3.environment | own | {"BREWTOPIA_QUEUE": str(settings.queue)}


def test_told_to_end_it_finishes_what_it_has(s3: S3Server, tmp_path: Path) -> None:
    """After SIGTERM the worker finishes the messages in hand, and ends with exit code 0."""
    stream = open_stream(s3)
    here = settings_of(tmp_path, stream.url)
    reading, go_on = threading.Event(), threading.Event()

    def wait(action: str, environ: dict[str, Any]) -> None:
        if action == "get" and environ["PATH_INFO"].endswith("a.csv"):
            reading.set()
            go_on.wait(30)

    s3.put("tills", "raw/a.csv", till([Order()]))
    s3.fault = wait  # type: ignore[assignment]
    process = subprocess.Popen(
        [sys.executable, "-m", "brewtopia_lib.cli", "worker"],
        env=environment_of(s3, here), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert reading.wait(30)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    go_on.set()
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert documents(said)[-1]["message"] == "ended"
    assert rows(here, "select count(*) from orders") == [(1,)]
    assert stream.count() == 0


def test_told_to_end_it_gives_back_what_it_took(s3: S3Server, tmp_path: Path) -> None:
    """Messages that came after it was told to end are given back at once, untouched."""
    stream = open_stream(s3)
    s3.put("tills", "raw/a.csv", till([Order()]))
    one = Worker(settings_of(tmp_path, stream.url))
    taken = one._take(0)
    one._end()
    one._work(taken)
    assert one.done == 0
    assert len(stream.bodies()) == 2
    assert s3.objects("lake") == {}


# --- what it says when it cannot work


def test_what_the_worker_needs(
    s3: S3Server, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Without a queue, with raw files in a folder, and with a queue that is not there or not to be
    used, the worker ends at once with one line that says what to set."""

    def run() -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(["worker", "--once"])
        return int(ended.value.code or 0), capsys.readouterr().err

    exit_code, said = run()
    assert exit_code == 2
    assert said.startswith("brewtopia: BREWTOPIA_QUEUE is not set: set it to the URL")
    url = f"{s3.url}/123456789012/nowhere"
    monkeypatch.setenv("BREWTOPIA_QUEUE", url)
    exit_code, said = run()
    assert exit_code == 2
    assert "set BREWTOPIA_RAW to s3://bucket/prefix" in said
    monkeypatch.setenv("BREWTOPIA_RAW", RAW)
    exit_code, said = run()
    assert exit_code == 1
    assert f"queue {url} cannot be looked at: it does not exist: check BREWTOPIA_QUEUE" in said
    monkeypatch.setenv("BREWTOPIA_QUEUE", "uploads")
    assert run()[1].startswith("brewtopia: setting BREWTOPIA_QUEUE must be the URL of an SQS queue")
    s3.fault = lambda *_: refusal("403 Forbidden", "AccessDenied")
    monkeypatch.delenv("BREWTOPIA_QUEUE")
    with pytest.raises(QueueError, match="the right sqs:GetQueueAttributes is missing"):
        Worker(settings_of(tmp_path, url)).run()


def test_failures_of_one_run_are_its_exit_code(
    s3: S3Server, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`worker --once` ends with 1 and a line where messages failed, and with 0 where none did."""
    stream = open_stream(s3)
    for name, value in {"RAW": RAW, "LAKE": LAKE, "QUEUE": stream.url}.items():
        monkeypatch.setenv(f"BREWTOPIA_{name}", value)
    s3.put("tills", "raw/poison.csv", b"a\n1\n")
    with pytest.raises(SystemExit) as ended:
        cli.main(["worker", "--once"])
    assert ended.value.code == 1
    assert "1 messages failed" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        cli.main(["worker", "--once"])
    assert ended.value.code == 0


def test_doctor_looks_at_the_queue(
    s3: S3Server, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor says how many messages wait, and calls a queue without a dead-letter queue broken."""
    stream = open_stream(s3, attempts=4)
    monkeypatch.setenv("BREWTOPIA_RAW", RAW)
    monkeypatch.setenv("BREWTOPIA_QUEUE", stream.url)
    [found] = [one for one in examine() if one.part == "queue"]
    assert found.is_fine
    assert "1 messages wait" in found.says
    assert "4 times" in found.says
    monkeypatch.setenv("BREWTOPIA_QUEUE", stream.dead_url)
    [found] = [one for one in examine() if one.part == "queue"]
    assert found.is_broken
    assert "dead-letter queue" in found.says


# --- Lambda


@pytest.fixture
def in_lambda(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    here = settings_of(tmp_path)
    for name in ("raw", "lake", "warehouse"):
        monkeypatch.setenv(f"BREWTOPIA_{name.upper()}", getattr(here, name))
    events._telemetry.cache_clear()
    return here


def from_sqs(*bodies: str) -> dict[str, Any]:
    """What Lambda is called with for messages of a queue; their ids are their numbers."""
    return {
        "Records": [
            {"eventSource": "aws:sqs", "messageId": str(number), "body": body,
             "receiptHandle": "r", "attributes": {"ApproximateReceiveCount": "1"}}
            for number, body in enumerate(bodies)
        ]
    }  # fmt: skip


def test_the_lambda_path(
    s3: S3Server, tmp_path: Path, in_lambda: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cleaning on an upload to the raw bucket and loading on one to the lake bucket come to what
    one clean run does; only messages that failed are given back; the metrics are in the output."""
    files = {"a.csv": till([Order(customer=NAME), "broken\n"]), "b.csv": till([Order(day=2)])}
    for name, body in files.items():
        s3.put("tills", f"raw/{name}", body)
    s3.put("tills", "raw/poison.csv", b"a\n1\n")
    bodies = [notice(f"raw/{name}") for name in ("a.csv", "poison.csv", "b.csv", "gone.csv")]
    answer = events.clean_handler(from_sqs(*bodies, "nonsense"), None)
    assert sorted(one["itemIdentifier"] for one in answer["batchItemFailures"]) == ["1", "4"]
    [batch] = [key for key in s3.objects("lake") if key.startswith("x/objects/")]
    answer = events.load_handler(from_sqs(notice(batch, bucket="lake"), "{}"), None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert facts(in_lambda) == one_clean_run(tmp_path / "wanted", files)
    said = capsys.readouterr().out
    assert NAME not in said
    told = {(name, *sorted(dimensions.items())): value for name, dimensions, value in metrics(said)}
    assert told["FilesCleaned", ("service", "clean")] == [2]
    assert told["FilesFailed", ("service", "clean")] == [1]
    assert told["Rows", ("service", "clean")] == [3]
    rejected = "RowsRejectedByReason", ("reason", "too_few_columns"), ("service", "clean")
    assert told[rejected] == [1]
    assert told["FilesLoaded", ("service", "load")] == [2]
    assert told["DaysSinceLastSale", ("branch", "Leeds"), ("service", "load")][0] > 900


def test_money_not_counted_is_a_metric(
    s3: S3Server, in_lambda: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pounds on rejected rows are told, but not those of a row that repeats another."""
    wrong = str(Order(minute=1)).replace("01/03/2024", "31/02/2024")
    s3.put("tills", "raw/a.csv", till([Order(), Order(), wrong, wrong.replace("2.45", "1.55")]))
    events.clean_handler(json.loads(notice("raw/a.csv")), None)
    told = {name: value for name, _, value in metrics(capsys.readouterr().out)}
    assert told["RowsRejected"] == [3]
    assert told["RevenueNotCounted"] == [4.0]


def test_events_straight_from_s3(s3: S3Server, in_lambda: Settings) -> None:
    """S3, SNS and EventBridge may call the Lambda without a queue; a failure is then raised."""
    for name, branch in {"a": "Hull", "b": "Leeds", "c": "York"}.items():
        s3.put("tills", f"raw/{name}.csv", till([Order(branch=branch)]))
    detail = {"bucket": {"name": "tills"}, "object": {"key": "raw/c.csv"}}
    for event in (
        json.loads(notice("raw/a.csv")),
        {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": notice("raw/b.csv")}}]},
        {"source": "aws.s3", "detail-type": "Object Created", "detail": detail},
    ):
        assert events.clean_handler(event, None) == {"batchItemFailures": []}
    events.load_handler(json.loads(notice("x/objects/any.parquet", bucket="lake")), None)
    assert rows(in_lambda, "select branch from orders order by 1") == [
        ("Hull",),
        ("Leeds",),
        ("York",),
    ]
    s3.put("tills", "raw/poison.csv", b"a\n1\n")
    with pytest.raises(Exception, match="no feed"):
        events.clean_handler(json.loads(notice("raw/poison.csv")), None)


def test_the_metrics_are_documented() -> None:
    """docs/events.md has each metric with its unit, and no other."""
    text = Path(__file__).parent.parent.joinpath("docs/events.md").read_text()
    table = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", text, flags=re.MULTILINE))
    assert table == METRICS
