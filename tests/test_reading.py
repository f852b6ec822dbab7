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

from brewtopia_lib import sources
from brewtopia_lib.cleaning import Cleaning, baskets, connect, reading
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


@pytest.mark.parametrize("is_large", [False, True], ids=["small", "large"])
def test_what_is_well_formed_is_read_by_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    """The careful reader, which takes much longer, has only what is not well formed."""
    careful: list[str] = []
    read = RawReader._records

    def note(reader: RawReader, text: RawText) -> Any:
        assert text.fetched is not None
        careful.append(text.fetched.object.name)
        return read(reader, text)

    if is_large:
        monkeypatch.setattr(sources, "SMALL_BYTES", 0)
    monkeypatch.setattr(RawReader, "_records", note)
    plain = "".join(map(row, range(5)))
    files = {
        "plain.csv": plain.encode(),
        "header.csv": (HEADER + plain).encode("utf-8-sig"),
        "windows.csv": plain.replace("\n", "\r\n").encode(),
        "lines.csv": f"{LINES_HEADER}7,25/08/2021 10:00,Leeds,Tea,Large,2,1.60,CASH\n".encode(),
        "odd.csv": (plain + "a,b\n").encode(),
    }
    check(try_files(tmp_path, files))
    assert careful == ["odd.csv"]


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
    parse = baskets.parse_item

    def fail(text: str, feed: Any) -> Any:
        if "Bomb" in text:
            raise duckdb.ConversionException(f"cannot convert {text}")
        return parse(text, feed)

    monkeypatch.setattr(baskets, "parse_item", fail)
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


THREE = {"a.csv": row(), "b.csv": row(1), "c.csv": row(2)}


def check_only_b_failed(tried: Tried, message: str) -> None:
    assert tried.summary.failures == [("b.csv", message)]
    assert sorted(tried.rows("select source from loads")) == [("a.csv",), ("c.csv",), (GOOD_NAME,)]
    assert tried.sales("branch = 'York'") == GOOD_SALES
    assert len(tried.sales()) == 2


@pytest.mark.parametrize("is_large", [False, True], ids=["small", "large"])
def test_a_file_taken_away_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    """A file that goes between the first look at it and the last is named; the others are loaded."""
    add = RawReader.add

    def take_away(reader: RawReader, text: RawText) -> None:
        if text.fetched is not None and text.fetched.path.name == "b.csv":
            text.fetched.path.unlink(missing_ok=True)
        add(reader, text)

    if is_large:
        monkeypatch.setattr(sources, "SMALL_BYTES", 0)
    monkeypatch.setattr(RawReader, "add", take_away)
    tried = try_files(tmp_path, THREE)
    if is_large:
        check_only_b_failed(tried, "b.csv cannot be read: No such file or directory")
    else:
        changed = "b.csv changed while it was read: run again to take what it holds now"
        check_only_b_failed(tried, changed)


def test_a_file_that_cannot_be_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails in the midst of a large file spoils that file only, whether the file is new
    or known."""
    read_through = sources._read_through

    def fail(raw_object: RawObject, stream: BinaryIO) -> Any:
        if raw_object.name != "b.csv":
            return read_through(raw_object, stream)
        stream.close()
        raise sources._unreadable(raw_object, OSError(errno.EIO, os.strerror(errno.EIO)))

    monkeypatch.setattr(sources, "SMALL_BYTES", 0)
    with monkeypatch.context() as patch:
        patch.setattr(sources, "_read_through", fail)
        check_only_b_failed(try_files(tmp_path, THREE), "b.csv cannot be read: Input/output error")
    assert try_files(tmp_path, THREE).summary.failures == []
    with monkeypatch.context() as patch:
        patch.setattr(sources, "_read_through", fail)
        tried = try_files(tmp_path, THREE)
    assert tried.summary.failures == [("b.csv", "b.csv cannot be read: Input/output error")]
    assert len(tried.sales()) == 3  # what it held before stays


@pytest.mark.parametrize("name", ["b.csv", "[b].csv"])
def test_a_large_file_written_to_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whichever reader takes it, and however late the change: nothing of it is loaded."""
    read_through = sources._read_through

    def write(raw_object: RawObject, stream: BinaryIO) -> Any:
        if raw_object.name == name:
            time.sleep(0.5)
            with open(str(raw_object.path), "a") as file:
                file.write(row(5))
        return read_through(raw_object, stream)

    monkeypatch.setattr(sources, "SMALL_BYTES", 0)
    with monkeypatch.context() as patch:
        patch.setattr(sources, "_read_through", write)
        tried = try_files(tmp_path, {"a.csv": row(), name: row(1)})
    [(source, message)] = tried.summary.failures
    assert (source, "changed while it was read" in message) == (name, True)
    assert len(tried.sales()) == 1


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
        made.add(RawText(1, layout, 7, fetched=fetched))
        assert begun.wait(30)
        time.sleep(0.3)
        stopped = time.monotonic()
        raise KeyboardInterrupt
    assert ended[0] - stopped < 5
