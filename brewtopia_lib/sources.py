"""Raw till files: list them, read them, and tell one version from another."""

import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from brewtopia_lib.errors import SourceError
from brewtopia_lib.records import count_lines

TILL_SUFFIXES = (".csv", ".tsv", ".txt", ".psv", ".dat")

_SMALL_BYTES = 8 << 20
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class RawObject:
    """A raw file where it lies.

    Attributes:
        source: its key: relative to the raw folder where it lies in there, else its whole path.
        path: where to read it.
    """

    source: str
    path: Path

    @property
    def name(self) -> str:
        return _readable(Path(self.path.name))


@dataclass(frozen=True)
class Fetched:
    """What a raw file held at one moment.

    Attributes:
        version: SHA-256 of its bytes; the same content is the same version.
        as_of: when it held this content (UTC, naive).
        lines: how many lines the fast reader should find, None where only the careful one may try.
        data: its bytes where they are few, else None.
    """

    object: RawObject
    version: str
    as_of: datetime
    size: int
    lines: int | None
    data: bytes | None
    stamp: tuple[int, int]

    def open(self) -> BinaryIO:
        return BytesIO(self.data) if self.data is not None else self.object.path.open("rb")

    def head(self, size: int) -> bytes:
        """The first bytes, for a look at the header."""
        with self.open() as stream:
            return stream.read(size)

    def is_unchanged(self) -> bool:
        """Whether the file on disk is still the one that was read."""
        try:
            return _stamp(os.stat(self.object.path)) == self.stamp
        except OSError:
            return False


def list_objects(
    raw: str, uris: Sequence[str] = ()
) -> tuple[list[RawObject], list[tuple[str, str]]]:
    """The till files under some folders, or those named; by default all in the raw folder.

    A folder gives its files with a till's suffix, at any depth, hidden ones apart; a file that is
    named is always taken. Each file comes once, in the order of its key.

    Returns the files, and what could not be listed as (name, message).

    Raises SourceError where one of `uris` does not exist.
    """
    root = Path(os.path.abspath(raw))
    found: dict[str, RawObject] = {}
    failures: list[tuple[str, str]] = []
    for uri in uris or (raw,):
        if "://" in uri:
            raise SourceError(
                f"{uri} cannot be read: only files and folders can, so far", source=uri
            )
        start = Path(os.path.abspath(uri))
        if not start.exists():
            raise SourceError(
                f"{uri} does not exist: name a till file or a folder of them", source=uri
            )
        for path in _walk(start, failures) if start.is_dir() else (start,):
            source = _readable(path.relative_to(root) if path.is_relative_to(root) else path)
            found[source] = RawObject(source, path)
    return [found[source] for source in sorted(found)], failures


def fetch(raw_object: RawObject) -> Fetched:
    """Read a file once: its version, its lines, and its bytes where they are few.

    Raises SourceError naming the file and why it cannot be read.
    """
    digest = hashlib.sha256()
    as_of = datetime.now(UTC).replace(tzinfo=None)
    try:
        if raw_object.path.exists() and not raw_object.path.is_file():  # a pipe would never end
            raise OSError(errno.EINVAL, "it is no regular file")
        with raw_object.path.open("rb") as stream:
            stamp = _stamp(os.fstat(stream.fileno()))
            size = stamp[0]
            if size <= _SMALL_BYTES:
                data = stream.read()
                digest.update(data)
                return Fetched(
                    raw_object, digest.hexdigest(), as_of, len(data), count_lines([data]), data,
                    stamp,
                )  # fmt: skip

            def chunks() -> Iterator[bytes]:
                while chunk := stream.read(_READ_BYTES):
                    digest.update(chunk)
                    yield chunk

            lines = count_lines(chunks())
            for _ in chunks():
                pass
            return Fetched(raw_object, digest.hexdigest(), as_of, size, lines, None, stamp)
    except OSError as error:
        raise SourceError(
            f"{raw_object.source} cannot be read: {error.strerror}", source=raw_object.source
        ) from error


def _walk(folder: Path, failures: list[tuple[str, str]]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        name = str(error.filename)
        failures.append((name, f"{name} cannot be listed: {error.strerror}"))

    for parent, folders, files in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.casefold().endswith(TILL_SUFFIXES) and not name.startswith("."):
                yield Path(parent, name)


def _readable(path: Path) -> str:
    """A path as text that any table can hold, whatever bytes the file system allows."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns
