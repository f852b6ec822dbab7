"""Several workers on one queue, killed at random: the warehouse ends as one clean run makes it."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from event_stream import LAKE, RAW, Stream, lake_texts, notice, open_stream
from redshift_stand_in import StandIn, needs_stand_in
from redshift_stand_in.questions import content
from s3_server import S3Server
from tills import Order, settings_in, till, write_files

from brewtopia_lib.ingest import ingest
from brewtopia_lib.settings import Settings
from brewtopia_lib.warehouse import open_warehouse

BRANCHES = ("Leeds", "York", "Hull", "Ripon", "Selby", "Whitby")
PATCHES = {"HANDFUL": 30, "HOLD_SECONDS": 5, "TOGETHER_TIMES": 100}
"""Small handfuls, which come again soon, so that kills hit many; those are not told from poison."""
NAME = "Quackenbush"
CARD = "98765432"


@contextmanager
def workers(
    settings: Settings, environment: dict[str, str], log: Path, **job: Any
) -> Iterator[dict[str, Any]]:
    """Workers at work while this lasts; gives, afterwards, how they ended."""
    names = ("raw", "lake", "warehouse", "queue")
    job |= {"settings": {name: getattr(settings, name) for name in names}}
    answer: dict[str, Any] = {}
    with log.open("w") as stream, subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("worker_nursery.py"))],
        env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=stream, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        print(json.dumps(job), file=process.stdin, flush=True)
        try:
            yield answer
        finally:
            said, _ = process.communicate("end\n", timeout=60)
            answer |= json.loads(said)


class Chain:
    """A café chain that uploads, corrects and empties files, two of which speak of each day."""

    def __init__(self, s3: S3Server, stream: Stream, seed: int, keys: int) -> None:
        self.files: dict[str, bytes] = {}
        self.chance = random.Random(seed)
        self._s3 = s3
        self._stream = stream
        self._keys = keys
        self._late: list[str] = []

    def upload(self) -> str:
        """Put a file that is new, or corrects an earlier one; gives the notice of it."""
        number = self.chance.randrange(self._keys)
        branch, day = BRANCHES[number % 6], 1 + number // 12
        name = f"{branch} {day}/till+{number}.csv"
        orders = [
            Order(day, self.chance.randrange(60), branch, customer=f"Zelda {NAME} {order}",
                  card=f"{CARD}{order:08}")
            for order in range(self.chance.choice((0, 2, 4, 6)))
        ]  # fmt: skip
        broken = [f"{NAME} {CARD}\n"] if len(orders) == 4 else []
        self.files[name] = till([*orders, *broken])
        self._s3.put("tills", f"raw/{name}", self.files[name])
        return notice(f"raw/{name}")

    def send(self, messages: int) -> None:
        """Upload and tell of it: twice, late, out of order, and among what is of no concern."""
        sent = 0
        while sent < messages:
            fresh = [self.upload() for _ in range(self.chance.randint(1, 4))]
            fresh += self.chance.choices(fresh, k=len(fresh))
            fresh.append(self.chance.choice([
                notice("raw/notes.md"), notice("raw/never-was.csv"),
                '{"Event": "s3:TestEvent"}', notice("raw/gone.csv", "ObjectRemoved:Delete"),
            ]))  # fmt: skip
            self._late += fresh
            self.chance.shuffle(self._late)
            some = self._late[: min(self.chance.randint(0, 12), messages - sent)]
            self._late = self._late[len(some) :]
            self._stream.send(*some)
            sent += len(some)

    def send_rest(self) -> int:
        """Send what is still held back: the warehouse can only be right after that."""
        self._stream.send(*self._late)
        return len(self._late)


def wait_until_empty(stream: Stream, seconds: float) -> None:
    until = time.monotonic() + seconds
    while stream.count():
        assert time.monotonic() < until, f"{stream.count()} messages are left"
        time.sleep(0.2)


def check(tmp_path: Path, here: Settings, chain: Chain, log: Path) -> None:
    """The warehouse is as one clean run makes it, and nothing personal is anywhere."""
    local = settings_in(tmp_path / "wanted")
    write_files(Path(local.raw), chain.files)
    assert not ingest(local).failures
    written = " ".join(lake_texts()) + log.read_text()
    with open_warehouse(here.warehouse) as warehouse, open_warehouse(local.warehouse) as wanted:
        for table in ("sales", "orders", "hourly_sales", "rejects"):
            assert content(warehouse, table) == content(wanted, table), table
            written += str(content(warehouse, table))
    assert "Leeds" in written
    for secret in (NAME, CARD):
        assert secret not in written


@pytest.mark.slow
def test_four_workers_and_600_events(s3: S3Server, tmp_path: Path) -> None:
    """600 messages with duplicates, late ones and corrections, and workers that are killed, end in
    the same warehouse as one clean run."""
    stream = open_stream(s3, attempts=100, notify=False)
    here = settings_in(tmp_path).model_copy(update={"raw": RAW, "lake": LAKE, "queue": stream.url})
    chain = Chain(s3, stream, seed=7, keys=72)
    log = tmp_path / "log"
    job = {"workers": 4, "kills": 10, "every_seconds": (0.5, 2.0), "seed": 7,
           "patches": PATCHES}  # fmt: skip
    with workers(here, s3.environment, log, **job) as ended:
        for _ in range(12):
            chain.send(50)
            time.sleep(0.5)
        total = 600 + chain.send_rest()
        wait_until_empty(stream, 240)
    assert total >= 600
    assert ended["exits"] == [0, 0, 0, 0]
    assert ended["kills"] >= 6
    check(tmp_path, here, chain, log)


@pytest.mark.slow
@needs_stand_in
def test_workers_on_redshift(
    s3: S3Server, stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers, one of which is killed now and then, end in the same Redshift as one clean run."""
    for name, value in stand_in.environment.items():
        monkeypatch.setenv(name, value)
    stream = open_stream(s3, attempts=100, notify=False)
    here = settings_in(tmp_path).model_copy(
        update={
            "raw": RAW, "lake": LAKE, "queue": stream.url, "warehouse": stand_in.new_location(),
        }
    )  # fmt: skip
    chain = Chain(s3, stream, seed=11, keys=24)
    log = tmp_path / "log"
    job = {"workers": 2, "kills": 3, "every_seconds": (0.5, 2.0), "seed": 11,
           "patches": PATCHES}  # fmt: skip
    with workers(here, s3.environment, log, **job) as ended:
        chain.send(60)
        chain.send_rest()
        wait_until_empty(stream, 240)
    assert ended["exits"] == [0, 0]
    assert ended["kills"] >= 1
    check(tmp_path, here, chain, log)
