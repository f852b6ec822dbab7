"""Raw files: which are found, under what key, and what tells one version from another."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from blake3 import blake3
from tills import write_files

from brewtopia_lib.errors import SourceError, UsageError
from brewtopia_lib.sources import Fetched, RawObject, fetch, list_objects


def sources(raw: Path, *uris: Path | str) -> list[str]:
    found, failures = list_objects(str(raw), [str(uri) for uri in uris])
    assert failures == []
    return [one.source for one in found]


def fetched(path: Path) -> Fetched:
    return fetch(RawObject(path.name, path))


# --- listing


def test_a_folder_gives_its_till_files(tmp_path: Path) -> None:
    """Till files at any depth, whatever the case of their suffix; hidden and other files are not."""
    names = ["b.csv", "a.CSV", "x/y/c.tsv", "d.txt", "e.psv", "f.dat", "notes.md", "g.parquet",
             ".hidden.csv", ".git/h.csv", "csv"]  # fmt: skip
    write_files(tmp_path, dict.fromkeys(names, b""))
    assert sources(tmp_path) == ["a.CSV", "b.csv", "d.txt", "e.psv", "f.dat", "x/y/c.tsv"]


def test_a_named_file_is_always_taken(tmp_path: Path) -> None:
    """A file that is named counts as a till file whatever it is called."""
    write_files(tmp_path, {"export": b"", ".hidden.csv": b""})
    assert sources(tmp_path, tmp_path / "export", tmp_path / ".hidden.csv") == [
        ".hidden.csv", "export",
    ]  # fmt: skip


def test_the_key_is_the_same_however_a_file_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the raw folder a file's key is its place there; it comes once however often it is named."""
    raw = tmp_path / "raw"
    write_files(raw, {"day/a.csv": b""})
    monkeypatch.chdir(raw / "day")
    for uris in ([], [raw], [raw / "day"], ["a.csv"], ["../day/a.csv", "."], [f"{raw}/./day/"]):
        assert sources(raw, *uris) == ["day/a.csv"], uris


def test_outside_the_raw_folder_the_key_is_the_path(tmp_path: Path) -> None:
    """A file elsewhere is known by its whole path, so that it is never taken for another."""
    write_files(tmp_path, {"raw/a.csv": b"", "raw2/a.csv": b""})
    assert sources(tmp_path / "raw", tmp_path) == [str(tmp_path / "raw2/a.csv"), "a.csv"]


@pytest.mark.parametrize("uri", ["nowhere", "nowhere/a.csv"])
def test_what_is_not_there_is_named(tmp_path: Path, uri: str) -> None:
    """A path that does not exist is named, and keeps no other from being listed."""
    write_files(tmp_path, {"a.csv": b""})
    found, failures = list_objects(
        str(tmp_path), [str(tmp_path / uri), "ftp://x/a.csv", str(tmp_path)]
    )
    assert [one.source for one in found] == ["a.csv"]
    assert [source for source, _ in failures] == [str(tmp_path / uri), "ftp://x/a.csv"]
    assert f"{uri} does not exist: name a till file" in failures[0][1]
    with pytest.raises(SourceError, match=f"{uri} does not exist"):
        list_objects(str(tmp_path / uri))


def test_nothing_is_not_the_folder_one_is_in(tmp_path: Path) -> None:
    """An empty URI, such as an unset variable gives, is wrong usage."""
    with pytest.raises(UsageError, match="a URI is empty"):
        list_objects(str(tmp_path), ["a.csv", " "])


def test_links_are_followed_to_files_and_not_in_circles(tmp_path: Path) -> None:
    """A link to a till file is one; a link to a folder, such as one above, is not walked."""
    write_files(tmp_path, {"elsewhere/a.csv": b"a", "raw/day/b.csv": b"b"})
    Path(tmp_path, "raw/a.csv").symlink_to(tmp_path / "elsewhere/a.csv")
    Path(tmp_path, "raw/day/up").symlink_to(tmp_path / "raw")
    assert sources(tmp_path / "raw") == ["a.csv", "day/b.csv"]


# --- fetching


def test_a_version_is_the_content(tmp_path: Path) -> None:
    """The same bytes are the same version under any name and date; one byte more is another."""
    write_files(tmp_path, {"a.csv": b"x,y\n", "b.csv": b"x,y\n", "c.csv": b"x,y\n\n"})
    os.utime(tmp_path / "b.csv", (0, 0))
    versions = [fetched(tmp_path / name).version for name in ("a.csv", "b.csv", "c.csv")]
    assert versions[0] == versions[1] == blake3(b"x,y\n").hexdigest()
    assert versions[2] != versions[0]


@pytest.mark.parametrize("size", [0, 1, 8 << 20, (8 << 20) + 1, 20 << 20])
def test_small_and_large_files_are_told_alike(tmp_path: Path, size: int) -> None:
    """Large files are not held in memory; version, size, lines and first bytes are theirs."""
    row = b"25/08/2021 09:00,Chesterfield,,Tea - 1.50,1.5,CASH,\n"
    content = (row * (size // len(row) + 1))[:size]
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    before = datetime.now(UTC).replace(tzinfo=None)
    found = fetched(path)
    assert found.version == blake3(content).hexdigest()
    assert (found.size, found.head(100)) == (size, content[:100])
    assert found.lines == -(-size // len(row))
    assert (found.data is None) == (size > 8 << 20)
    assert before <= found.as_of <= datetime.now(UTC).replace(tzinfo=None)
    with found.open() as stream:
        assert stream.read() == content


@pytest.mark.parametrize("size", [100, 9 << 20])
@pytest.mark.parametrize("late", [b"\x00", b"\xff", b"\r"], ids=["nul", "not utf-8", "lone cr"])
def test_only_the_careful_reader_may_try_odd_bytes(tmp_path: Path, size: int, late: bytes) -> None:
    """A NUL, a byte that is not UTF-8 or a lone carriage return, however late, is seen."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"x,y\n" * (size // 4) + b"z" + late + b"z\n" + b"x,y\n" * 300_000)
    assert fetched(path).lines is None


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    """A file written to, replaced or taken away after it was read is no longer the one read."""
    path = tmp_path / "a.csv"
    for change in (
        lambda: path.write_bytes(b"x,y\nx,y\n"),
        lambda: os.utime(path, ns=(1, 1)),
        path.unlink,
    ):
        path.write_bytes(b"x,y\n")
        found = fetched(path)
        assert found.is_unchanged()
        change()
        assert not found.is_unchanged()


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A dangling link, a folder and a pipe are errors that name the file, and never hang."""
    Path(tmp_path, "link.csv").symlink_to(tmp_path / "gone.csv")
    Path(tmp_path, "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name, why in (
        ("link.csv", "No such file"),
        ("folder.csv", "no regular file"),
        ("pipe.csv", "no regular file"),
    ):
        with pytest.raises(SourceError, match=f"{name} cannot be read: .*{why}") as error:
            fetched(tmp_path / name)
        assert error.value.source == name
