"""Where the lake and the reports are kept: a local folder or an S3 prefix, behind one interface.

A file is there whole or not at all, and names are relative, with slashes.
"""

import contextlib
import errno
import fcntl
import hashlib
import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from brewtopia_lib.errors import S3Error
from brewtopia_lib.storage.s3 import Bucket, S3Path, Stored, in_parallel, is_s3
from brewtopia_lib.storage.scratch import private_folder

Progress = Callable[[int, int, str], None]

ABANDONED_AFTER = timedelta(days=1)
"""How old a draft of a shared place is when whoever wrote it must be dead."""

KEPT_UNREAD = timedelta(days=30)
"""How long the local cache keeps what nobody reads."""

_DRAFTS = "*/.*.parquet"

_ASKED_SINGLY = 100
"""Up to how many objects are asked about one by one, rather than listed a thousand at a time."""


class Store(Protocol):
    """A place that keeps files.

    Attributes:
        location: where it is, fit to print.
        is_shared: whether others may be writing too while this process holds `writing`.
    """

    location: str
    is_shared: bool

    def writing(self) -> AbstractContextManager[Path]:
        """Hold the right to write; gives the path of a private folder for spilled data."""

    def uri(self, name: str) -> str: ...

    def files(self, folder: str) -> dict[str, datetime]:
        """The names of the files in a folder, and when each came (UTC, naive)."""

    def names(self, folder: str, after: str = "") -> list[str]:
        """The names of the files in a folder, in order; with `after`, those that come after it."""

    def publish(self, name: str) -> AbstractContextManager[Path]:
        """A path to write a file to, which is published when that went well."""

    def local(self, names: Sequence[str], progress: Progress | None = None) -> list[Path]:
        """Paths to read files at.

        Raises FileNotFoundError naming the first that is not there.
        """

    def sizes(self, names: Sequence[str]) -> list[int]:
        """How many bytes files have.

        Raises FileNotFoundError as `local` does.
        """

    def delete(self, names: Sequence[str]) -> None:
        """Delete files, whether they are there or not."""


def open_store(location: str) -> Store:
    """The place a setting names."""
    return S3Store(location) if is_s3(location) else FolderStore(Path(location))


class FolderStore:
    """A local folder; one process at a time holds `writing`."""

    is_shared = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.location = str(self.folder)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Path]:
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            spill = self.folder / ".spill"
            shutil.rmtree(spill, ignore_errors=True)
            for draft in self.folder.glob(_DRAFTS):
                draft.unlink()
            try:
                yield spill
            finally:
                shutil.rmtree(spill, ignore_errors=True)
        finally:
            os.close(lock)

    def uri(self, name: str) -> str:
        return str(self.folder / name)

    def files(self, folder: str) -> dict[str, datetime]:
        return {
            path.name: datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None)
            for path in (self.folder / folder).glob("[!.]*")
        }

    def names(self, folder: str, after: str = "") -> list[str]:
        try:
            found = os.listdir(self.folder / folder)
        except FileNotFoundError:
            return []
        return sorted(name for name in found if name > after and not name.startswith("."))

    @contextlib.contextmanager
    def publish(self, name: str) -> Iterator[Path]:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = _draft(path)
        try:
            yield draft
            sync(draft)
            draft.replace(path)
            sync(path.parent)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def local(self, names: Sequence[str], progress: Progress | None = None) -> list[Path]:
        paths = [self.folder / name for name in names]
        for path in paths:
            if not path.exists():
                raise FileNotFoundError(errno.ENOENT, "it is not there", str(path))
        return paths

    def sizes(self, names: Sequence[str]) -> list[int]:
        return [(self.folder / name).stat().st_size for name in names]

    def delete(self, names: Sequence[str]) -> None:
        for name in names:
            (self.folder / name).unlink(missing_ok=True)


class S3Store:
    """A prefix in a bucket, which any number of processes may write into.

    What is read comes from a local cache, where each file is put when it is first needed. It may be
    removed at any time, and what nobody reads for a month goes by itself.
    """

    is_shared = True

    def __init__(self, location: str) -> None:
        path = S3Path.parse(location)
        self.location = str(path)
        self._prefix = path.folder
        self._bucket = Bucket(path.bucket)
        self._cache = cache_of(self._bucket, path)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Path]:
        self._forget(_DRAFTS, ABANDONED_AFTER)
        self._forget("*/[!.]*.parquet", KEPT_UNREAD)
        with private_folder() as folder:
            yield folder / "spill"

    def uri(self, name: str) -> str:
        return str(S3Path(self._bucket.name, self._prefix + name))

    def files(self, folder: str) -> dict[str, datetime]:
        prefix = f"{self._prefix}{folder}/"
        return {one.key.removeprefix(prefix): one.modified for one in self._bucket.objects(prefix)}

    def names(self, folder: str, after: str = "") -> list[str]:
        prefix = f"{self._prefix}{folder}/"
        found = self._bucket.objects(prefix, after=prefix + after)
        return [one.key.removeprefix(prefix) for one in found]

    @contextlib.contextmanager
    def publish(self, name: str) -> Iterator[Path]:
        with private_folder() as folder:
            draft = folder / Path(name).name
            yield draft
            self._bucket.write(self._prefix + name, draft)

    def local(self, names: Sequence[str], progress: Progress | None = None) -> list[Path]:
        missing = [name for name in names if not self._is_cached(name)]
        for done, name in enumerate(in_parallel(self._fetch, missing), start=1):
            if progress is not None:
                progress(done, len(missing), name)
        return [self._cache / name for name in names]

    def _is_cached(self, name: str) -> bool:
        try:
            os.utime(self._cache / name)
        except FileNotFoundError:
            return False
        return True

    def _forget(self, pattern: str, after: timedelta) -> None:
        limit = (datetime.now() - after).timestamp()
        for path in self._cache.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < limit:
                    path.unlink()

    def _fetch(self, name: str) -> str:
        path = self._cache / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = _draft(path)

        def take(_: Stored, chunks: Iterator[bytes]) -> None:
            with draft.open("wb") as stream:
                stream.writelines(chunks)

        try:
            with self._finding(name):
                self._bucket.read(self._prefix + name, take)
            sync(draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        return name

    def sizes(self, names: Sequence[str]) -> list[int]:
        if len(names) <= _ASKED_SINGLY:
            return list(in_parallel(self._size, names))
        keys = [self._prefix + name for name in names]
        first, last = min(keys), max(keys)
        found = {
            one.key: one.size
            for one in itertools.takewhile(
                lambda one: one.key <= last,
                # the list begins behind a key: here behind one that is shorter by a letter
                self._bucket.objects(os.path.commonprefix([first, last]), after=first[:-1]),
            )
        }
        for key, name in zip(keys, names, strict=True):
            if key not in found:
                raise FileNotFoundError(errno.ENOENT, "it is not there", self.uri(name))
        return [found[key] for key in keys]

    def _size(self, name: str) -> int:
        with self._finding(name):
            return self._bucket.look(self._prefix + name).size

    @contextlib.contextmanager
    def _finding(self, name: str) -> Iterator[None]:
        try:
            yield
        except S3Error as error:
            if error.code in ("NoSuchKey", "404"):
                raise FileNotFoundError(errno.ENOENT, "it is not there", self.uri(name)) from error
            raise

    def delete(self, names: Sequence[str]) -> None:
        self._bucket.delete([self._prefix + name for name in names])


def _draft(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(4)}-{path.name}")


def sync(path: Path) -> None:
    """Have the disk keep a file, or what a folder lists, before anything else is done."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cache_of(bucket: Bucket, place: S3Path) -> Path:
    """The local folder that goes with a place on S3: it may be removed at any time."""
    text = f"{bucket.endpoint} {place.bucket} {place.folder}"
    return _cache_folder() / hashlib.sha256(text.encode()).hexdigest()[:16]


def _cache_folder() -> Path:
    """The user's cache folder, or one in the temp folder for those who have none."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(base, "brewtopia")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.gettempdir(), f"brewtopia-{os.getuid()}", "cache")
