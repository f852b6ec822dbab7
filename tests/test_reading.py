"""Reading raw files side by side with looking at the next: nothing of it shows in the result."""

import errno
import os
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO, Self

import duckdb
import pytest
from test_clean import HEADER, LINES_HEADER, ROWS, as_csv, dressed
from tried import GOOD_NAME, GOOD_SALES, NAME, Tried, check, check_no_leak, row, try_files

from brewtopia_lib.cleaning import Cleaning, connect, parsing, reading
from brewtopia_lib.cleaning.feeds import load_feeds
from brewtopia_lib.cleaning.raw_texts import RawText
from brewtopia_lib.cleaning.reading import RawReader
from brewtopia_lib.sources import RawObject, fetch


def mixed_files() -> dict[str, bytes | str]:
    """Files of three feeds in every dress, good ones and bad ones in turns."""
    lines = f"{LINES_HEADER}7,25/08/2021 10:00,Leeds,Tea,Large,2,1.60,CASH\n"
    bad = row(items="Tea") + row(1) + '25/08/2021 09:05,Leeds,"Zelda ' + NAME + "\n" + row(2)
    return {
        **{f"{number} {name}": text for number, (name, text) in enumerate(dressed(ROWS).items())},
        "1 lines.csv": lines,
        "2 bad.csv": bad,
        "4 headed.csv": HEADER + bad,
        "5 empty.csv": "",
        "6 other.csv": as_csv([(cells[0], "Bath", *cells[2:]) for cells in ROWS]),
    }


def told(tried: Tried) -> dict[str, list[tuple[Any, ...]]]:
    tables = ("orders", "sales", "rejects", "hourly_sales")
    found = {table: sorted(tried.tables[table], key=repr) for table in tables}
    found["loads"] = sorted(
        tried.rows("select source, version, feed, rows, orders, lines, rejected from loads")
    )
    return found


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[Any, ...]]]:
    tried = try_files(tmp_path_factory.mktemp("wanted"), mixed_files())
    check(tried)
    return told(tried)


@pytest.mark.parametrize("rows", [1, 5, 20])
def test_blocks_of_any_size_read_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: object, rows: int
) -> None:
    """However many files are read at once, and however many blocks there are."""
    monkeypatch.setattr(reading, "_BLOCK_ROWS", rows)
    tried = try_files(tmp_path, mixed_files())
    check(tried)
    assert told(tried) == wanted


class FullAtTimes:
    """A file that has no room for one thing in three, but for its first byte."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._writes = 0

    def write(self, text: bytes) -> None:
        self._writes += 1
        self._stream.write(text if self._writes % 3 else text[:1])
        if self._writes % 3 == 0:
            no_room()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def no_room(*_: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("has_some", [False, True])
def test_no_memory_for_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: object, has_some: bool
) -> None:
    """Files that there is no room to copy are read one by one, and none of them twice or in part."""
    open_descriptor = os.fdopen
    if has_some:
        monkeypatch.setattr(os, "fdopen", lambda *args: FullAtTimes(open_descriptor(*args)))
    else:
        monkeypatch.setattr(os, "memfd_create", no_room)
    tried = try_files(tmp_path, mixed_files())
    check(tried)
    assert told(tried) == wanted


def test_without_files_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: object
) -> None:
    """Where the system has no files in memory, the careful reader reads the small ones."""
    monkeypatch.delattr(os, "memfd_create")
    tried = try_files(tmp_path, mixed_files())
    check(tried)
    assert told(tried) == wanted


def test_what_the_engine_cannot_hold_stops_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose cleaning fails for a reason nobody thought of is named; the others, read along
    with it, are loaded, and the engine's words, which may quote it, go nowhere."""
    parse = parsing.parse_item

    def fail(text: str, feed: Any) -> Any:
        if "Bomb" in text:
            raise duckdb.ConversionException(f"cannot convert {text}")
        return parse(text, feed)

    monkeypatch.setattr(parsing, "parse_item", fail)
    tried = try_files(
        tmp_path, {"a.csv": row(), "b.csv": row(1, items=f"Bomb {NAME} - 2.15"), "c.csv": row(2)}
    )
    [(source, message)] = tried.summary.failures
    assert source == "b.csv"
    assert message == "b.csv: cleaning failed (ConversionException); please report this file"
    assert sorted(tried.rows("select source from loads")) == [("a.csv",), ("c.csv",), (GOOD_NAME,)]
    assert tried.sales("branch = 'York'") == GOOD_SALES
    assert len(tried.sales()) == 2
    check_no_leak(tried)


def test_only_what_cannot_be_read_again_is_held(tmp_path: Path) -> None:
    """Bytes of a local file go once they are handed on; the file is there to be read again."""
    path = tmp_path / "a.csv"
    path.write_text(row())
    found = fetch(RawObject("a.csv", path))
    copy = fetch(RawObject("a.csv", path))
    copy.stamp = None
    found.forget()
    copy.forget()
    assert (found.data, copy.data) == (None, row().encode())
    with found.open() as stream:
        assert stream.read() == row().encode()
    found.discard()
    assert path.exists()


def test_an_interrupt_ends_what_is_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stops a run does not wait for the file that is being read."""
    begun, ended = threading.Event(), []

    def read(reader: RawReader, *_: object) -> list[Any]:
        begun.set()
        with pytest.raises(duckdb.InterruptException):
            reader._connection.execute(
                "select sum(a.range * b.range) from range(150000) a, range(150000) b"
            )
        ended.append(time.monotonic())
        return []

    monkeypatch.setattr(RawReader, "_read_fast", read)
    path = tmp_path / "a.csv"
    path.write_text(row())
    fetched = fetch(RawObject("a.csv", path))
    fetched.forget()
    [feed] = [feed for feed in load_feeds() if feed.name == "seven-columns"]
    layout = feed.layout([row().split(",")]) or {}
    with pytest.raises(KeyboardInterrupt), Cleaning(connect(), feed) as made:
        made.add(RawText(1, layout, 7, lines=1, fetched=fetched))
        assert begun.wait(30)
        time.sleep(0.3)
        stopped = time.monotonic()
        raise KeyboardInterrupt
    assert ended[0] - stopped < 5
