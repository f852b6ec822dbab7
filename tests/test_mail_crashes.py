"""Kills at any instant of a batch with mail: nothing goes out twice, and no page is half."""

import email
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from mail_server import Post, mail_server
from test_reports import add_report

from brewtopia_lib.ingest import ingest
from brewtopia_lib.reports.definitions import Timing
from brewtopia_lib.reports.runs import Ledger
from brewtopia_lib.sample import write_sample
from brewtopia_lib.schedule.agenda import Agenda
from brewtopia_lib.settings import Settings

KILLED = -signal.SIGKILL
BRANCHES, READERS = 3, ("all@example.org", "also@example.org")
MAILS = BRANCHES * len(READERS)
KILLS = 25
MONDAY = datetime(2024, 7, 1, 6, tzinfo=UTC)
WEEKLY = Timing(cron="0 7 * * mon", time_zone="Europe/London", catch_up=1)


class Answer(NamedTuple):
    exit: int
    seconds: float


NAMES = ("raw", "lake", "warehouse", "reports", "runs", "mail")


class Nursery:
    """Makes and mails what is due on Monday in a process of its own, which is killed when told."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("mail_nursery.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
        )  # fmt: skip

    def begin(self, settings: Settings, kill_after: float | None = None) -> None:
        places = {name: getattr(settings, name) for name in NAMES}
        job = {"settings": places, "moment": MONDAY.isoformat(), "kill_after": kill_after}
        assert self._process.stdin is not None
        print(json.dumps(job), file=self._process.stdin, flush=True)

    def end(self) -> Answer:
        assert self._process.stdout is not None
        return Answer(**json.loads(self._process.stdout.readline()))

    def run(self, settings: Settings, kill_after: float | None = None) -> Answer:
        self.begin(settings, kill_after)
        return self.end()

    def close(self) -> None:
        self._process.communicate()


class Batches:
    """A project of three branches whose report is due on Mondays, and a nursery to make it in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".env").touch()
        (folder / "reports").mkdir()
        add_report(folder, "trends", "branch: str = 'Leeds'\nweeks: int = 1", "print(branch)")
        definition = folder / "reports" / "trends.toml"
        definition.write_text(
            f"{definition.read_text()}recipients = {json.dumps(READERS)}\n"
            f'[schedule]\ncron = "{WEEKLY.cron}"\ntime_zone = "{WEEKLY.time_zone}"\n'
            f"catch_up = {WEEKLY.catch_up}\n"
        )
        last_day = (MONDAY - timedelta(days=1)).date()
        write_sample(folder / "raw", branches=BRANCHES, days=9, seed=3, until=last_day)
        self._shared = Settings(
            raw=str(folder / "raw"),
            lake=str(folder / "lake"),
            warehouse=str(folder / "warehouse.duckdb"),
        )
        assert not ingest(self._shared).failures
        self._trials = 0
        self.nursery = Nursery(folder)

    def begin(self, mail: str) -> Settings:
        """A place of its own, where the schedule is known since Sunday; mail may say {place}."""
        self._trials += 1
        place = self.folder / f"trial{self._trials}"
        own = {"reports": str(place / "output"), "runs": str(place / "runs.sqlite")}
        settings = self._shared.model_copy(update=own | {"mail": mail.format(place=place)})
        Agenda(Ledger(settings.runs)).plan("trends", WEEKLY, MONDAY - timedelta(days=1))
        return settings


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batches]:
    batches = Batches(tmp_path_factory.mktemp("batches"))
    yield batches
    batches.nursery.close()


def pages_are_whole(settings: Settings) -> bool:
    """Whether every page, gallery and notebook that is there is there to its end."""
    output = Path(settings.reports)
    pages, notebooks = list(output.rglob("*.html")), list(output.rglob("*.ipynb"))
    return all(page.read_text().rstrip().endswith("</html>") for page in pages) and all(
        json.loads(notebook.read_text())["cells"] for notebook in notebooks
    )


def all_pages(settings: Settings) -> list[str]:
    return sorted(path.name for path in (Path(settings.reports) / "trends").glob("*.html"))


def ids_of(contents: Iterable[bytes]) -> Counter[str]:
    return Counter(str(email.message_from_bytes(one)["Message-ID"]) for one in contents)


def in_state(settings: Settings, state: str) -> set[str]:
    return {row["message_id"] for row in Ledger(settings.runs).sends() if row["state"] == state}


def instants(batches: Batches, mail: str) -> Iterator[float]:
    """Seconds after which to kill, at random but spread over the whole life of a batch."""
    whole = max(batches.nursery.run(batches.begin(mail)).seconds for _ in range(2))
    for trial in range(4 * KILLS):
        yield whole * random.uniform(trial % KILLS, trial % KILLS + 1) / KILLS
    raise AssertionError("too few kills came before the batch had ended")


@pytest.mark.slow
def test_kills_with_a_mail_server(batches: Batches) -> None:
    """Killed at random instants and run again, each mail arrived once, or one is held."""
    with mail_server(Post(seconds=0.02)) as post:  # as slow as one is, so that some come in between
        mail = f"smtp://127.0.0.1:{post.port}?tls=never"
        kills = cut_short = 0
        for instant in instants(batches, mail):
            settings = batches.begin(mail)
            post.taken.clear()
            kills += batches.nursery.run(settings, kill_after=instant).exit == KILLED
            cut_short += 0 < len(post.taken) < MAILS
            assert pages_are_whole(settings), instant
            for _ in range(2):
                assert batches.nursery.run(settings).exit == 0
            arrived = ids_of(content for _, content in post.taken)
            sent, held = in_state(settings, "sent"), in_state(settings, "held")
            assert set(arrived.values()) == {1}, instant
            assert len(sent | held) == MAILS, instant
            assert len(held) <= 1
            assert sent <= set(arrived) <= sent | held
            assert pages_are_whole(settings)
            assert len(all_pages(settings)) == BRANCHES
            shutil.rmtree(Path(settings.reports))
            if kills >= KILLS:
                break
        assert cut_short


@pytest.mark.slow
def test_kills_with_an_outbox(batches: Batches) -> None:
    """Into a folder every mail goes once and whole, whenever the batch was killed."""
    mail = "outbox:{place}/box"
    kills = 0
    for instant in instants(batches, mail):
        settings = batches.begin(mail)
        kills += batches.nursery.run(settings, kill_after=instant).exit == KILLED
        assert pages_are_whole(settings), instant
        assert batches.nursery.run(settings).exit == 0
        contents = [path.read_bytes() for path in Path(settings.runs).parent.glob("box/*.eml")]
        assert all(content.rstrip().endswith(b"--") for content in contents), instant
        assert set(ids_of(contents).values()) == {1}
        assert len(contents) == len(in_state(settings, "sent")) == MAILS
        assert len(all_pages(settings)) == BRANCHES
        shutil.rmtree(Path(settings.reports))
        if kills >= KILLS:
            break


@pytest.mark.slow
def test_the_command_is_killed_while_it_mails(batches: Batches) -> None:
    """`schedule due`, killed with its kernels after its first mail, sends the others when run again."""
    with mail_server(Post()) as post:
        settings = batches.begin(f"smtp://127.0.0.1:{post.port}?tls=never")
        told = {f"BREWTOPIA_{name.upper()}": str(getattr(settings, name)) for name in NAMES}
        command = [sys.executable, "-m", "brewtopia_lib.cli", "schedule", "due"]
        process = subprocess.Popen(
            command, cwd=batches.folder, env=os.environ | told, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 120
        while not post.taken and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        process.kill()
        assert process.wait() == KILLED
        assert 0 < len(post.taken) < MAILS
        assert pages_are_whole(settings)
        ended = subprocess.run(
            command, cwd=batches.folder, env=os.environ | told, capture_output=True, timeout=200,
            check=False,
        )  # fmt: skip
        arrived = ids_of(content for _, content in post.taken)
        sent, held = in_state(settings, "sent"), in_state(settings, "held")
        assert ended.returncode == (1 if held else 0)
        assert set(arrived.values()) == {1}
        assert len(held) <= 1
        assert len(sent | held) == MAILS
        assert sent <= set(arrived) <= sent | held
        assert pages_are_whole(settings)


def test_two_schedulers_in_processes_of_their_own(batches: Batches) -> None:
    """Of two processes started together one makes the pages, and each mail goes out once."""
    other = Nursery(batches.folder)
    with mail_server(Post()) as post:
        settings = batches.begin(f"smtp://127.0.0.1:{post.port}?tls=never")
        both = (batches.nursery, other)
        for nursery in both:
            nursery.begin(settings)
        assert [nursery.end().exit for nursery in both] == [0, 0]
        assert len(Ledger(settings.runs).runs()) == BRANCHES
        assert set(ids_of(content for _, content in post.taken).values()) == {1}
        assert len(post.taken) == MAILS
    other.close()
