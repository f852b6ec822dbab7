"""Raw files read in turn, those on S3 several at a time and ahead of whoever takes them."""

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from brewtopia_lib.errors import S3Error, SourceError
from brewtopia_lib.sources import SMALL_BYTES, Content, Fetched, RawObject, fetch
from brewtopia_lib.sources.records import count_lines
from brewtopia_lib.storage.s3 import THREADS, Bucket, S3Path, Stored
from brewtopia_lib.storage.scratch import private_folder

Outcome = Fetched | SourceError

_AHEAD_BYTES = 64 << 20
_AHEAD_OBJECTS = 500
_TELL_SECONDS = 1.0
_SETTLING_SECONDS = 0.5
_SETTLING_LOOKS = 10

_OWN_TROUBLES = {"AccessDenied", "InvalidObjectState", "NoSuchKey", "404"}
"""What S3 says of one object, while others may be read all the same."""

_DENIED_AT_FIRST = 3


@contextmanager
def fetching(
    objects: Sequence[RawObject], tell: Callable[[str], None] | None = None
) -> Iterator[Iterator[Outcome]]:
    """Read raw files in their order: each comes as what it held, or as why it cannot be read.

    Large objects of S3 are copied into a private folder, which is there until the end; the few
    read ahead are bounded in bytes. `tell` hears of transfers that take long.

    Raises S3Error, while they are read, for what is not the trouble of one object.
    """
    buckets = {one.path.bucket for one in objects if isinstance(one.path, S3Path)}
    if not buckets:
        yield map(_attempt, objects)
        return
    with private_folder() as folder:
        reader = _Reader({name: Bucket(name) for name in buckets}, folder, tell)
        pool = ThreadPoolExecutor(THREADS)
        try:
            yield reader.read_ahead(pool, objects)
        finally:
            pool.shutdown(cancel_futures=True)


def _attempt(raw_object: RawObject) -> Outcome:
    try:
        return fetch(raw_object)
    except SourceError as error:
        return error


class _Reader:
    def __init__(
        self, buckets: dict[str, Bucket], folder: Path, tell: Callable[[str], None] | None
    ) -> None:
        self._buckets = buckets
        self._folder = folder
        self._tell = tell
        self._received: dict[str, int] = {}
        self._read_so_far = 0
        self._denied_so_far = 0

    def read_ahead(
        self, pool: ThreadPoolExecutor, objects: Iterable[RawObject]
    ) -> Iterator[Outcome]:
        """Each object as it was read; whoever takes them decides how fast it goes on."""
        waiting: deque[tuple[RawObject, Future[Outcome]]] = deque()
        size = 0
        for one in objects:
            while waiting and (size + one.size > _AHEAD_BYTES or len(waiting) == _AHEAD_OBJECTS):
                done, future = waiting.popleft()
                yield self._result(done, future)
                size -= done.size
            waiting.append((one, pool.submit(self._read, one)))
            size += one.size
        for done, future in waiting:
            yield self._result(done, future)

    def _result(self, one: RawObject, future: "Future[Outcome]") -> Outcome:
        while self._tell is not None and not wait([future], _TELL_SECONDS).done:
            received = self._received.get(one.source, 0)
            self._tell(f"{one.name} ({received >> 20:,} of {one.size >> 20:,} MiB)")
        self._received.pop(one.source, None)
        outcome = future.result()
        if isinstance(outcome, Fetched):
            self._read_so_far += 1
        elif isinstance(outcome.__cause__, S3Error) and outcome.__cause__.code == "AccessDenied":
            self._denied_so_far += 1
            if not self._read_so_far and self._denied_so_far == _DENIED_AT_FIRST:
                raise outcome.__cause__  # the right is missing for all of them
        return outcome

    def _read(self, one: RawObject) -> Outcome:
        if not isinstance(one.path, S3Path):
            return _attempt(one)
        try:
            return self._read_s3(one, one.path)
        except S3Error as error:
            if error.code not in _OWN_TROUBLES:
                raise
            outcome = SourceError(str(error), source=one.source)
            outcome.__cause__ = error
            return outcome

    def _read_s3(self, one: RawObject, path: S3Path) -> Fetched:
        bucket = self._buckets[path.bucket]
        copy = self._folder / secrets.token_hex(8)

        def keep(stored: Stored, chunks: Iterator[bytes]) -> bytes | None:
            told = self._told(one, chunks)
            if stored.size <= SMALL_BYTES:
                return b"".join(told)
            with copy.open("wb") as stream:
                stream.writelines(told)
            return None

        stored, data = bucket.read(path.key, keep)
        for _ in range(_SETTLING_LOOKS):
            if stored.is_settled:
                break
            # another content could still come with the same time, and be taken for older
            time.sleep(_SETTLING_SECONDS)
            now = bucket.look(path.key)
            if now.etag == stored.etag:
                stored = now
            else:
                stored, data = bucket.read(path.key, keep)
        content = Content(stored.etag, count_lines(_chunks(copy)) if data is None else None)
        return Fetched(one, stored.modified, stored.size, lambda: content, data, copy, stamp=None)

    def _told(self, one: RawObject, chunks: Iterator[bytes]) -> Iterator[bytes]:
        received = 0
        for chunk in chunks:
            received += len(chunk)
            self._received[one.source] = received
            yield chunk


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            yield chunk
