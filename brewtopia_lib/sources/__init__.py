"""Raw till files: list them, read them, and tell one version from another."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from blake3 import blake3

from brewtopia_lib.errors import SourceError, UsageError
from brewtopia_lib.settings import without_secrets
from brewtopia_lib.sources.records import count_lines
from brewtopia_lib.storage.s3 import Bucket, S3Path, Stored, is_s3

TILL_SUFFIXES = (".csv", ".tsv", ".txt", ".psv", ".dat")

SMALL_BYTES = 8 << 20
"""Up to this size a file is read into memory."""

_READ_BYTES = 256 << 10


@dataclass(frozen=True)
class RawObject:
    """A raw file where it lies.

    Attributes:
        source: its key: relative to the raw location where it lies in there, else its whole path
            or URI.
        path: where to read it.
        version, modified, size: what is known of an object on S3 without reading it: its ETag,
            since when it holds this content (UTC, naive), and its bytes.
    """

    source: str
    path: Path | S3Path
    version: str | None = None
    modified: datetime | None = None
    size: int = 0

    @cached_property
    def name(self) -> str:
        return _readable(Path(self.path.name))


class Content(NamedTuple):
    """What reading the whole of a file tells.

    Attributes:
        version: BLAKE3 hash of its bytes, or its ETag; another content is another version.
        lines: as `count_lines` gives them; None also where nobody has counted.
    """

    version: str
    lines: int | None = None


@dataclass
class Fetched:
    """What a raw file held at one moment.

    Attributes:
        as_of: when it held this content (UTC, naive).
        content: gives what is known of the whole, as soon as it has been read.
        data: its bytes where they are few, until `forget`; else None.
        path: where its bytes are if `data` is None: the file itself, or a copy of it.
        stamp: what tells the file itself from a later one; None for a copy, which nobody changes.
    """

    object: RawObject
    as_of: datetime
    size: int
    content: Callable[[], Content]
    data: bytes | None
    path: Path
    stamp: tuple[int, int] | None

    def open(self) -> BinaryIO:
        """Its bytes; raises SourceError where they cannot be read."""
        if self.data is not None:
            return BytesIO(self.data)
        try:
            return self.path.open("rb")
        except OSError as error:
            raise _unreadable(self.object, error) from error

    @property
    def version(self) -> str:
        """What tells this content from any other; raises SourceError where it cannot be read."""
        return self.content().version

    @cached_property
    def lines(self) -> int | None:
        """How many lines the fast reader should find, None where only the careful one may try.

        Raises SourceError where the file cannot be read.
        """
        return self.content().lines if self.data is None else count_lines([self.data])

    def head(self, size: int) -> bytes:
        """The first bytes, for a look at the header."""
        with self.open() as stream:
            return stream.read(size)

    def is_unchanged(self) -> bool:
        """Whether the file is still the one that was read."""
        try:
            return self.stamp is None or _stamp(os.stat(self.path)) == self.stamp
        except OSError:
            return False

    def forget(self) -> None:
        """Let go of the bytes, if they can be read again."""
        if self.stamp is not None:
            self.data = None

    def discard(self) -> None:
        """Remove the copy, if it is one."""
        if self.stamp is None and self.data is None:
            self.path.unlink(missing_ok=True)


def list_objects(
    raw: str, uris: Sequence[str] = ()
) -> tuple[list[RawObject], list[tuple[str, str]]]:
    """The till files under some folders, or those named; by default all in the raw location.

    A folder, or a prefix on S3, gives its files with a till's suffix, at any depth, hidden ones
    apart; a file that is named is always taken. Each comes once, in the order of its key.

    Returns the files, and what does not exist or could not be listed as (name, message).

    Raises UsageError where one of `uris` is empty, S3Error where S3 does not list it; and
    SourceError where the raw location is not there.
    """
    if not all(map(str.strip, uris)):
        raise UsageError("a URI is empty: name a till file, a folder of them or s3://…")
    found: dict[str, RawObject] = {}
    failures: list[tuple[str, str]] = []
    for uri in uris or (raw,):
        try:
            found |= {one.source: one for one in _listed(uri, raw, bool(uris), failures)}
        except SourceError as error:
            if not uris:
                raise
            failures.append((error.source, str(error)))
    return [found[source] for source in sorted(found)], failures


def _listed(
    uri: str, raw: str, is_named: bool, failures: list[tuple[str, str]]
) -> Iterator[RawObject]:
    if is_s3(uri):
        return _list_s3(S3Path.parse(uri), raw, is_named=is_named)
    if "://" in uri:
        raise SourceError(
            f"{without_secrets(uri)} cannot be read: files, folders and s3:// can",
            source=without_secrets(uri),
        )
    return _list_folder(uri, raw, failures)


def fetch(raw_object: RawObject) -> Fetched:
    """Read a file once: its version, its lines, and its bytes where they are few.

    Large files are read in the background, while whoever asked goes on.

    Raises SourceError naming the file and why it cannot be read.
    """
    path = raw_object.path
    assert isinstance(path, Path), "objects on S3 are read by fetching()"
    as_of = datetime.now(UTC).replace(tzinfo=None)
    try:
        if path.exists() and not path.is_file():  # a pipe would never end
            raise OSError(errno.EINVAL, "it is no regular file")
        with ExitStack() as closing:
            stream = closing.enter_context(path.open("rb"))
            stamp = _stamp(os.fstat(stream.fileno()))
            if stamp[0] <= SMALL_BYTES:
                data = stream.read()
                content = Content(blake3(data).hexdigest())
                return Fetched(raw_object, as_of, len(data), lambda: content, data, path, stamp)
            closing.pop_all()
    except OSError as error:
        raise _unreadable(raw_object, error) from error
    pool = ThreadPoolExecutor(1)
    reading = pool.submit(_read_through, raw_object, stream)
    pool.shutdown(wait=False)
    return Fetched(raw_object, as_of, stamp[0], reading.result, None, path, stamp)


def _read_through(raw_object: RawObject, stream: BinaryIO) -> Content:
    digest = blake3()

    def chunks() -> Iterator[bytes]:
        while chunk := stream.read(_READ_BYTES):
            digest.update(chunk)
            yield chunk

    try:
        with stream:
            lines = count_lines(chunks())
            for _ in chunks():
                pass
    except OSError as error:
        raise _unreadable(raw_object, error) from error
    return Content(digest.hexdigest(), lines)


def _unreadable(raw_object: RawObject, error: OSError) -> SourceError:
    return SourceError(
        f"{raw_object.source} cannot be read: {error.strerror}", source=raw_object.source
    )


def _list_folder(uri: str, raw: str, failures: list[tuple[str, str]]) -> Iterator[RawObject]:
    root = None if is_s3(raw) else Path(os.path.abspath(raw))
    start = Path(os.path.abspath(uri))
    if not start.exists():
        raise SourceError(f"{uri} does not exist: name a till file or a folder of them", source=uri)
    for path in _walk(start, failures) if start.is_dir() else (start,):
        is_inside = root is not None and path.is_relative_to(root)
        yield RawObject(_readable(path.relative_to(root) if root and is_inside else path), path)


def _list_s3(start: S3Path, raw: str, *, is_named: bool) -> Iterator[RawObject]:
    bucket = Bucket(start.bucket)
    root = f"{S3Path(start.bucket, S3Path.parse(raw).folder)}" if is_s3(raw) else None
    is_empty = True
    for stored in _objects(bucket, start) if is_named else bucket.objects(start.folder):
        is_empty = False
        path = S3Path(start.bucket, stored.key)
        if path == start or is_till_file(stored.key.removeprefix(start.folder)):
            uri = str(path)
            source = uri.removeprefix(root) if root and uri.startswith(root) else uri
            yield RawObject(source, path, stored.etag, stored.modified, stored.size)
    if is_empty and is_named:
        raise SourceError(
            f"there is nothing at {start}: name a till file or a prefix of them", source=str(start)
        )


def _objects(bucket: Bucket, start: S3Path) -> Iterator[Stored]:
    """The object of that very key, or all below it."""
    if start.key and not start.key.endswith("/"):
        first = next(bucket.objects(start.key, limit=1), None)
        if first is not None and first.key == start.key:
            yield first
            return
    yield from bucket.objects(start.folder)


def is_till_file(name: str) -> bool:
    """Whether a name below a folder or prefix is one of a till file, hidden ones apart."""
    *folders, last = name.split("/")
    return last.casefold().endswith(TILL_SUFFIXES) and not any(
        part.startswith(".") for part in (*folders, last)
    )


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
