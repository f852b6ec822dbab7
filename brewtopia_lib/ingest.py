"""Raw → lake → warehouse: only what is new or changed, one bad file never stops the others."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from brewtopia_lib.cleaning import Cleaning, Counts, connect, rejected_by_reason
from brewtopia_lib.cleaning.feeds import Feed, load_feeds
from brewtopia_lib.cleaning.raw_texts import RawText
from brewtopia_lib.cleaning.recognition import Recognised, recognise
from brewtopia_lib.errors import FeedError, LakeError, SourceError
from brewtopia_lib.lake import CleanedObject, CurrentVersion, Lake
from brewtopia_lib.settings import Settings
from brewtopia_lib.sources import Fetched, RawObject, list_objects
from brewtopia_lib.sources.fetching import fetching
from brewtopia_lib.storage.s3 import is_s3
from brewtopia_lib.storage.scratch import clear_leftovers
from brewtopia_lib.warehouse import check_loadable, load_warehouse

Progress = Callable[[int, int, str], None]

_BATCH_BYTES = 256 << 20
_TICK = timedelta(microseconds=1)


@dataclass
class CleanSummary:
    """What one run of cleaning came to."""

    objects: int = 0
    objects_skipped: int = 0
    rows: int = 0
    orders: int = 0
    lines: int = 0
    rejected: int = 0
    rejected_by_reason: dict[str, int] = field(default_factory=dict)
    revenue: Decimal = Decimal("0.00")
    revenue_not_counted: Decimal = Decimal("0.00")
    seconds: float = 0.0
    failures: list[tuple[str, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The summary as plain values; money as text, in pounds."""
        return {
            "objects": self.objects,
            "objects_skipped": self.objects_skipped,
            "rows": self.rows,
            "orders": self.orders,
            "lines": self.lines,
            "rejected": self.rejected,
            "rejected_by_reason": self.rejected_by_reason,
            "revenue": str(self.revenue),
            "revenue_not_counted": str(self.revenue_not_counted),
            "seconds": round(self.seconds, 3),
            "failed": [{"source": source, "error": error} for source, error in self.failures],
        }


@dataclass
class LoadSummary:
    """What one load came to."""

    objects: int = 0
    orders: int = 0
    branch_days: int = 0
    seconds: float = 0.0
    failures: list[tuple[str, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {
            "objects": self.objects,
            "orders": self.orders,
            "branch_days": self.branch_days,
            "seconds": round(self.seconds, 3),
        }


@dataclass
class IngestSummary:
    """What cleaning and loading came to; with `strict`, loading may have been left out."""

    clean: CleanSummary
    load: LoadSummary | None
    seconds: float = 0.0

    @property
    def failures(self) -> list[tuple[str, str]]:
        return self.clean.failures

    def to_json(self) -> dict[str, Any]:
        return self.clean.to_json() | {
            "loaded": self.load is not None,
            "branch_days": self.load.branch_days if self.load else 0,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class _Ready:
    fetched: Fetched
    found: Recognised
    feeds_digest: str

    @property
    def feed(self) -> Feed | None:
        return self.found.feed

    @property
    def feed_digest(self) -> str | None:
        return self.feed.digest if self.feed else None

    @property
    def text(self) -> RawText | None:
        return self.found.text


def clean_raw(
    settings: Settings, uris: Sequence[str] = (), progress: Progress | None = None
) -> CleanSummary:
    """Clean the raw files that are new or changed into the lake.

    Files that no feed takes or that cannot be read are in `failures`; the others are done.
    """
    started = time.monotonic()
    summary = CleanSummary()
    feeds = load_feeds(settings.feeds)
    if any(map(is_s3, uris or [settings.raw])):
        clear_leftovers()
    found, summary.failures = list_objects(settings.raw, uris)
    lake = Lake(settings.lake, progress)
    with lake.writing(tidy=not uris) as spill:
        connection = connect(spill, settings.memory_limit)
        known = lake.current_versions(connection, [one.source for one in found] if uris else None)
        lake.catalogue(connection)
        run = _Run(feeds, known, summary, progress or _silent, len(found))
        with fetching(run.to_read(found), run.tell) as outcomes:
            for batch in _batches(run.fresh(outcomes)):
                _clean_batch(connection, lake, batch, summary)
    summary.seconds = time.monotonic() - started
    return summary


def load_lake(settings: Settings, progress: Progress | None = None) -> LoadSummary:
    """Load into the warehouse what the lake has and it has not."""
    started = time.monotonic()
    progress = progress or _silent
    progress(0, 1, "warehouse")
    loaded = load_warehouse(settings, progress)
    progress(1, 1, "warehouse")
    seconds = time.monotonic() - started
    return LoadSummary(loaded.objects, loaded.orders, loaded.branch_days, seconds)


def ingest(
    settings: Settings,
    uris: Sequence[str] = (),
    *,
    strict: bool = False,
    progress: Progress | None = None,
) -> IngestSummary:
    """Clean, then load. With `strict`, nothing is loaded unless every row of every file is good."""
    started = time.monotonic()
    check_loadable(settings)
    cleaned = clean_raw(settings, uris, progress)
    if strict and cleaned.rejected and not cleaned.failures:
        reasons = ", ".join(f"{n} {reason}" for reason, n in cleaned.rejected_by_reason.items())
        message = (
            f"{cleaned.rejected} rows were rejected ({reasons}) and nothing was loaded: "
            "mend the files, or run `brewtopia load` to load the good rows"
        )
        cleaned.failures.append(("", message))
    loaded = None if strict and cleaned.failures else load_lake(settings, progress)
    return IngestSummary(cleaned, loaded, time.monotonic() - started)


def _silent(done: int, total: int, what: str) -> None:
    pass


class _Run:
    """One run over raw files: which of them must be read, and which of those are to be cleaned."""

    def __init__(
        self,
        feeds: Sequence[Feed],
        known: Mapping[str, CurrentVersion],
        summary: CleanSummary,
        progress: Progress,
        total: int,
    ) -> None:
        text = "".join(sorted(feed.digest for feed in feeds))
        self._digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._feeds = feeds
        self._known = known
        self._summary = summary
        self._progress = progress
        self._done, self._total = 0, total

    def tell(self, what: str) -> None:
        self._progress(self._done, self._total, what)

    def to_read(self, found: Sequence[RawObject]) -> list[RawObject]:
        """The files but those on S3 that are as they were: that shows without reading them."""
        wanted = [one for one in found if not self._is_known(one)]
        self._skip(len(found) - len(wanted))
        return wanted

    def _is_known(self, one: RawObject) -> bool:
        # What was uploaded again counts as new, even if equal: whoever may be cleaning what stood
        # there in between shall not have the last word.
        before = self._known.get(one.source)
        return (
            before is not None
            and one.modified is not None
            and one.modified <= before.as_of
            and (one.version, self._digest) == (before.version, before.feeds_digest)
        )

    def fresh(self, outcomes: Iterable[Fetched | SourceError]) -> Iterator[_Ready]:
        """The files that are new or changed, or that another feed takes now."""
        for number, fetched in enumerate(outcomes, start=1):
            if isinstance(fetched, SourceError):
                self._fail(fetched.source, str(fetched))
                continue
            source = fetched.object.source
            is_on_s3 = fetched.object.modified is not None
            self.tell(fetched.object.name)
            before = self._known.get(source)
            try:
                is_same = before is not None and before.version == fetched.version
                if before and is_same and before.feeds_digest == self._digest and not is_on_s3:
                    self._skip()
                    continue
                if before and fetched.as_of <= before.as_of:
                    # the clock was set back, or an older object stands there again
                    fetched = replace(fetched, as_of=before.as_of + _TICK)
                ready = _Ready(fetched, recognise(fetched, self._feeds, number), self._digest)
            except SourceError as error:
                fetched.discard()
                self._fail(source, str(error))
                continue
            except (FeedError, OSError) as error:
                fetched.discard()
                self._fail(source, f"{source}: {error}")
                continue
            if before and is_same and before.feed_digest == ready.feed_digest and not is_on_s3:
                self._skip()
                continue
            self._done += 1
            yield ready
        self.tell("")

    def _skip(self, objects: int = 1) -> None:
        self._done += objects
        self._summary.objects_skipped += objects

    def _fail(self, source: str, why: str) -> None:
        self._done += 1
        self._summary.failures.append((source, why))


def _batches(objects: Iterator[_Ready]) -> Iterator[Iterator[_Ready]]:
    for first in objects:
        yield _batch(first, objects)


def _batch(first: _Ready, others: Iterator[_Ready]) -> Iterator[_Ready]:
    yield first
    size = first.fetched.size
    while size < _BATCH_BYTES and (one := next(others, None)) is not None:
        yield one
        size += one.fetched.size


@dataclass
class _Group:
    """The files of a batch that one feed takes, or that have no rows."""

    cleaning: Cleaning | None
    files: list[_Ready] = field(default_factory=list)

    def add(self, one: _Ready) -> None:
        self.files.append(one)
        if self.cleaning is not None and one.text is not None:
            self.cleaning.add(one.text)

    def close(self) -> None:
        """Let go of all that was needed to clean the files."""
        if self.cleaning is not None:
            self.cleaning.close()
        for one in self.files:
            one.fetched.discard()


def _clean_batch(
    connection: DuckDBPyConnection, lake: Lake, batch: Iterable[_Ready], summary: CleanSummary
) -> None:
    groups: dict[str, _Group] = {}
    with ExitStack() as stack:
        for one in batch:
            name = one.feed.name if one.feed else ""
            if name not in groups:
                groups[name] = stack.enter_context(_group(connection, one.feed))
            groups[name].add(one)
        for group in groups.values():
            try:
                _clean_group(connection, lake, group, summary)
            except duckdb.OutOfMemoryException as error:
                raise LakeError(
                    f"cleaning ran out of memory or of disk for spilled data in {lake.location}: "
                    "free some space, or set BREWTOPIA_MEMORY_LIMIT"
                ) from error
            except (SourceError, duckdb.DataError, duckdb.InvalidInputException, ValueError):
                # Whatever one file brings that nobody thought of, the others shall not suffer.
                for one in group.files:
                    _clean_alone(connection, lake, one, summary)
            group.close()


def _group(connection: DuckDBPyConnection, feed: Feed | None) -> closing[_Group]:
    return closing(_Group(Cleaning(connection, feed) if feed is not None else None))


def _clean_alone(
    connection: DuckDBPyConnection, lake: Lake, one: _Ready, summary: CleanSummary
) -> None:
    source = one.fetched.object.source
    try:
        with _group(connection, one.feed) as group:
            group.add(one)
            _clean_group(connection, lake, group, summary)
    except SourceError as error:
        summary.failures.append((source, str(error)))
    except (duckdb.DataError, duckdb.InvalidInputException, ValueError) as error:
        # The engine's own words may quote a value of the file: they are not passed on.
        summary.failures.append(
            (source, f"{source}: cleaning failed ({type(error).__name__}); please report this file")
        )


def _clean_group(
    connection: DuckDBPyConnection, lake: Lake, group: _Group, summary: CleanSummary
) -> None:
    results: dict[int, Counts] = {}
    if group.cleaning is not None:
        connection = group.cleaning.connection
        results = group.cleaning.finish()
    cleaned = []
    for number, one in enumerate(group.files, start=1):
        source, version = one.fetched.object.source, one.fetched.version
        if not one.fetched.is_unchanged():
            summary.failures.append(
                (source, f"{source} changed while it was read: run again to take what it holds now")
            )
            continue
        object_no = one.text.object_no if one.text else number
        cleaned.append(
            CleanedObject(
                object_no, source, version, one.fetched.as_of,
                one.feed.name if one.feed else None, one.feed_digest, one.feeds_digest,
                *results.get(object_no, Counts(0, 0, 0, 0, Decimal(0))),
            )
        )  # fmt: skip
    if not cleaned:
        return
    lake.commit(connection, cleaned, has_rows=group.cleaning is not None)
    numbers = [one.object_no for one in cleaned]
    if group.cleaning is not None:
        for reason, count, pounds in rejected_by_reason(connection, numbers):
            known = summary.rejected_by_reason.get(reason, 0)
            summary.rejected_by_reason[reason] = known + count
            summary.revenue_not_counted += pounds
    for one_cleaned in cleaned:
        summary.objects += 1
        summary.rows += one_cleaned.rows
        summary.orders += one_cleaned.orders
        summary.lines += one_cleaned.lines
        summary.rejected += one_cleaned.rejected
        summary.revenue += one_cleaned.revenue
