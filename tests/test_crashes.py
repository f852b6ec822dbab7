"""Kills at any instant: what is published stays whole, and the next run ends where it should."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tills import Content, Order, content, leftovers, settings_in, till, write_files

from brewtopia_lib.errors import WarehouseError
from brewtopia_lib.ingest import ingest
from brewtopia_lib.settings import Settings

KILLED = -9
LINES = (
    "Transaction ID,Timestamp,Branch,Product,Size,Quantity,Unit Price,Payment Method\n"
    "1,2024-03-02 09:00,York,Latte,Large,2,2.95,CARD\n1,2024-03-02 09:00,York,Tea,,1,1.50,CARD\n"
)


def day_of(branch: str, day: int, orders: int = 30) -> bytes:
    return till(Order(day=day, minute=minute, branch=branch) for minute in range(orders))


FIRST = {
    f"{branch}_{day}.csv": day_of(branch, day) for branch in ("Leeds", "York") for day in (1, 2)
}
LATER = FIRST | {
    "Leeds_1.csv": day_of("Leeds", 1, 12),
    "Leeds_2.csv": b"",
    "York_1.csv": day_of("York", 3),
    "York_2.csv": day_of("York", 2) + b"what is this\n",
    "Hull_2.csv": day_of("Hull", 2) + day_of("York", 1, 3),
    "York_lines.csv": LINES.encode(),
}


class Answer(NamedTuple):
    exit: int
    seconds: float


class Nursery:
    """Runs `ingest` in a process of its own, which is killed when told."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("nursery.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ingest(self, settings: Settings, **kill: float) -> Answer:
        places = {name: getattr(settings, name) for name in ("raw", "lake", "warehouse")}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"settings": places} | kill), file=self._process.stdin, flush=True)
        return Answer(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate()


class Stage(NamedTuple):
    """A state to start from, and the contents of a warehouse before and after a whole run."""

    begin: Callable[[], Settings]
    before: Content | None
    after: Content

    def is_whole(self, settings: Settings) -> bool:
        """Whether what is published now is one of the two."""
        return published(settings) in (self.before, self.after)


def published(settings: Settings) -> Content | None:
    try:
        return content(settings)
    except WarehouseError as error:
        assert "there is no warehouse" in str(error)
        return None


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture(scope="module", params=["first load", "later load"])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A first load into nothing, or a load of corrections into a warehouse that is there."""
    folder = tmp_path_factory.mktemp("stage")
    base, clean = settings_in(folder / "base"), settings_in(folder / "clean", folder / "base/raw")
    before = None
    write_files(Path(base.raw), FIRST)
    if request.param == "later load":
        assert not ingest(base).failures
        before = content(base)
        write_files(Path(base.raw), LATER)
    assert not ingest(clean).failures
    trials = 0

    def begin() -> Settings:
        nonlocal trials
        trials += 1
        place = folder / f"trial{trials}"
        shutil.copytree(folder / "base", place)
        return settings_in(place)

    return Stage(begin, before, content(clean))


def finish(nursery: Nursery, stage: Stage, settings: Settings) -> None:
    """The next run that nobody kills gives the right warehouse and leaves nothing behind."""
    assert nursery.ingest(settings).exit == 0
    assert published(settings) == stage.after
    assert leftovers(settings) == []
    shutil.rmtree(Path(settings.lake).parent)


@pytest.mark.slow
def test_kill_before_every_change_of_the_disk(nursery: Nursery, stage: Stage) -> None:
    """Killed before any file is opened, renamed, removed or synced, a run harms nothing."""
    step = 0
    answer = Answer(KILLED, 0)
    while answer.exit == KILLED:
        step += 1
        settings = stage.begin()
        answer = nursery.ingest(settings, kill_at_step=step)
        assert stage.is_whole(settings), step
        finish(nursery, stage, settings)
    assert answer.exit == 0
    assert step > 20


@pytest.mark.slow
def test_kill_at_random_instants(nursery: Nursery, stage: Stage) -> None:
    """Killed at instants spread over its whole life, some in a row, a run harms nothing."""
    whole = max(nursery.ingest(stage.begin()).seconds for _ in range(3))
    kills = trials = 0
    while kills < 25 or trials < 20:
        assert trials < 100, f"only {kills} kills came before the run had ended"
        settings = stage.begin()
        for _ in range(1 + trials % 3):
            instant = whole * random.uniform(trials % 20, trials % 20 + 1) / 20
            kills += nursery.ingest(settings, kill_after=instant).exit == KILLED
            assert stage.is_whole(settings), instant
        finish(nursery, stage, settings)
        trials += 1


def test_the_nursery_does_what_ingest_does(nursery: Nursery, tmp_path: Path) -> None:
    """A run in the nursery that nobody kills is a plain `ingest`, failures told by its exit code."""
    settings = settings_in(tmp_path)
    write_files(Path(settings.raw), FIRST)
    assert nursery.ingest(settings).exit == 0
    assert len(content(settings)["orders"]) == 120
    write_files(Path(settings.raw), {"other.csv": b"a,b\n1,2\n"})
    assert nursery.ingest(settings).exit == 1


def test_a_killed_command_can_be_run_again(tmp_path: Path) -> None:
    """The command itself, killed while it works, does the whole work when run again."""
    settings = settings_in(tmp_path)
    write_files(Path(settings.raw), FIRST)
    command = [sys.executable, "-m", "brewtopia_lib.cli", "ingest", "--json"]
    environment: dict[str, Any] = {
        "BREWTOPIA_RAW": settings.raw,
        "BREWTOPIA_LAKE": settings.lake,
        "BREWTOPIA_WAREHOUSE": settings.warehouse,
    }
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None and not Path(settings.lake, "orders").exists():
        pass
    process.kill()
    process.wait()
    assert published(settings) is None
    again = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=120)
    assert json.loads(again.stdout)["orders"] == 120
    assert len(content(settings)["orders"]) == 120
    assert leftovers(settings) == []
