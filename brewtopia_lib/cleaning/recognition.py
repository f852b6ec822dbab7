"""Which feed takes a raw file, and where its rows begin."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import BinaryIO

import pandas as pd

from brewtopia_lib.cleaning.choice import choose_feed
from brewtopia_lib.cleaning.feeds import GUIDE, Feed, FileRule
from brewtopia_lib.cleaning.raw_texts import RawText
from brewtopia_lib.errors import FeedError
from brewtopia_lib.sources import Fetched
from brewtopia_lib.sources.records import Record, is_blank, read_records

_HEAD_BYTES = 2 << 10
_SAMPLE_ROWS = 12
_FRAME = "frame"


@dataclass(frozen=True)
class Recognised:
    """Raw data ready to be cleaned; feed and text are None where there are no rows."""

    source: str
    feed: Feed | None
    text: RawText | None


def recognise(fetched: Fetched, feeds: Sequence[Feed], object_no: int) -> Recognised:
    """Find the feed that takes a file, and where its rows begin.

    Raises FeedError where no feed takes it, or more than one, or there are bytes and no rows.
    """
    samples: dict[tuple[str, str, int, int | None], list[Record]] = {}

    def sample(rule: FileRule, width: int | None = None) -> list[Record]:
        key = (rule.delimiter, rule.quote, rule.skip_lines, width)
        if key not in samples:
            samples[key] = _sample(fetched, rule, width)
        rows = samples[key]
        # only then is there anything that depends on the width
        return sample(rule, rule.columns) if width != rule.columns and _span_lines(rows) else rows

    choice = choose_feed(feeds, fetched.object.name, sample)
    if choice is None:
        with fetched.open() as stream:
            if not is_blank(stream):
                raise FeedError(
                    "not one of its rows can be read: it is damaged, or no text; have it sent "
                    f"again, or see {GUIDE}"
                )
        return Recognised(fetched.object.source, None, None)
    branch = choice.feed.branch_of(fetched.object.name)
    text = RawText(object_no, choice.layout, choice.width, choice.skip_lines, branch, fetched)
    return Recognised(fetched.object.source, choice.feed, text)


def recognise_frame(
    frame: pd.DataFrame, feeds: Sequence[Feed], name: str | None = None
) -> Recognised:
    """Find the feed that takes a frame; its columns are named by a header, or numbered.

    Without the name of its file, feeds take it whatever their files are called.

    Raises FeedError where no feed takes it, or more than one.
    """
    has_header = not all(isinstance(name, int) for name in frame.columns)
    header = tuple(str(name) for name in frame.columns)

    def records() -> Iterator[Record]:
        cells = frame.astype(object).where(frame.notna(), "")
        for number, row in enumerate(cells.itertuples(index=False, name=None), start=1):
            fields = tuple(str(cell) for cell in row)
            yield Record(number, sum(map(len, fields)) + len(fields) - 1, fields, None)

    first = [Record(0, 0, header, None)] if has_header else []
    sample = [*first, *islice(records(), _SAMPLE_ROWS)]
    choice = choose_feed(feeds, name, lambda rule: sample)
    if choice is None:
        return Recognised(_FRAME, None, None)
    if has_header and choice.feed.width:
        raise FeedError(
            "the frame's columns have names that no feed knows; if they are the file's first row, "
            "read it again with header=None"
        )
    if name is None and choice.feed.branch.file_name is not None:
        raise FeedError(
            f"feed {choice.feed.name} takes the branch from the file's name, which a frame has "
            'not: say name="…" beside it'
        )
    branch = choice.feed.branch_of(name or _FRAME)
    text = RawText(1, choice.layout, len(header), 0, branch, records=records)
    return Recognised(_FRAME, choice.feed, text)


def _sample(fetched: Fetched, rule: FileRule, width: int | None) -> list[Record]:
    """The first rows that can be told apart; the whole file is searched if it must be."""
    head = fetched.head(_HEAD_BYTES)
    if len(head) == _HEAD_BYTES:
        head = head[: head.rfind(b"\n") + 1]
    rows = _first_rows(BytesIO(head), rule, width)
    if rows or fetched.size <= len(head):
        return rows
    with fetched.open() as stream:
        return _first_rows(stream, rule, width)


def _span_lines(rows: Sequence[Record]) -> bool:
    return any("\n" in field for row in rows for field in row.fields or ())


def _first_rows(stream: BinaryIO, rule: FileRule, width: int | None) -> list[Record]:
    rows = (
        row
        for row in read_records(stream, rule.delimiter, rule.quote, width)
        if row.fields is not None and row.line_number > rule.skip_lines
    )
    return list(islice(rows, _SAMPLE_ROWS))
