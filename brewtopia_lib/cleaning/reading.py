"""Raw objects → the `raw` table: their fields as text, one row per raw row, and `broken` rows.

DuckDB's parallel parser reads what is well formed; what it does not read row for row goes to the
careful reader in `records`. Which of the two read an object is never visible in the result.
"""

import codecs
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import pandas as pd
from duckdb import DuckDBPyConnection

from brewtopia_lib.cleaning.feeds import Feed
from brewtopia_lib.sources.records import MAX_ROW_BYTES, Record, read_records

ORDER_ROLES = ("sold_at", "branch", "items", "total", "payment")
LINE_ROLES = (
    "order", "sold_at", "branch", "product", "size", "flavour", "unit_price", "quantity",
    "line_total", "total", "payment",
)  # fmt: skip

KEYS = {
    "branch_key": ("object_no", "branch"),
    "tender_key": ("payment", "total"),
    "items_key": ("items",),
}
"""Columns of `raw` that stand for the texts of others: numbers are quicker to compare."""

# Spaces around a time are seldom and take longer to remove than the time to read.
_READ_AT = (
    "coalesce(try_strptime(time, getvariable('timestamp_formats')),"
    " try_strptime(trim(time), getvariable('timestamp_formats')))"
)
# Of another century than tills are is no time; what is none may be one with day and month swapped.
_SOLD_AT = (
    "case when year(read_at) between 1990 and 2100 then read_at end as sold_at,"
    " case when sold_at is null then time end as unread_time"
)
_BLOCK_BYTES = 64 << 20
_BLOCK_ROWS = 50_000


@dataclass(frozen=True)
class RawText:
    """One raw object as the cleaning step takes it.

    Attributes:
        object_no: tells the objects of one run apart.
        layout: role → field index, from 0.
        width: how many fields a row has.
        skip_lines: physical lines before the first row, the header's included.
        branch: the branch of every row, where no column has it.
        lines: how many lines `data` or `path` has, if the fast reader may try it.
        data, path, records: exactly one of them says where the text is.
    """

    object_no: int
    layout: Mapping[str, int]
    width: int
    skip_lines: int = 0
    branch: str | None = None
    lines: int | None = None
    data: bytes | None = None
    path: Path | None = None
    records: Callable[[], Iterator[Record]] | None = None


def fill(
    connection: DuckDBPyConnection, table: str, columns: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Make a temp table of Python rows."""
    connection.execute(f"create or replace temp table {table} ({columns})")
    append(connection, table, rows)


def read_raw(connection: DuckDBPyConnection, feed: Feed, texts: Sequence[RawText]) -> None:
    """Fill the temp tables raw, broken and object from objects of one feed."""
    roles = LINE_ROLES if feed.per_line else ORDER_ROLES
    columns = ", ".join(
        f'"{role}" {"timestamp" if role == "sold_at" else "varchar"}' for role in roles
    )
    reader = _Reader(connection, feed, roles, secrets.randbits(63))
    connection.execute("set variable timestamp_formats = ?", [list(feed.timestamp.formats)])
    # where none has another way round, the same ones find nothing again
    swapped = feed.timestamp.swapped_formats or feed.timestamp.formats
    connection.execute("set variable swapped_formats = ?", [list(swapped)])
    fill(
        connection, "raw",
        "object_no integer, line_number bigint, row_hash ubigint, unread_time varchar,"
        f" {columns}, {', '.join(f'{key} ubigint' for key in reader.keys)}", [],
    )  # fmt: skip
    fill(
        connection, "broken",
        "object_no integer, line_number bigint, reason varchar, row_length bigint", [],
    )  # fmt: skip
    fill(
        connection, "object", "object_no integer, branch varchar, first_line bigint",
        [(text.object_no, text.branch, text.skip_lines + 1) for text in texts],
    )  # fmt: skip
    reader.read_carefully(reader.read_fast(texts))


@dataclass(frozen=True)
class _Reader:
    connection: DuckDBPyConnection
    feed: Feed
    roles: Sequence[str]
    # Rows are compared by salted hashes of all their fields, so that nothing of a field that the
    # feed does not name can be told from what a crash might leave behind.
    salt: int

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        known = {"object_no", *self.roles}
        return {key: parts for key, parts in KEYS.items() if known.issuperset(parts)}

    def read_fast(self, texts: Iterable[RawText]) -> list[RawText]:
        """Read what is well formed; gives back the objects that are not.

        Small objects are read as one text, each row led by its object's number, from memory that
        no file system sees. An object counts as read when it gave as many rows as it has lines.
        """
        careful: list[RawText] = []
        blocks: dict[tuple[Any, ...], list[RawText]] = {}
        for text in texts:
            if text.lines is None or (text.path is not None and not _is_plain(text.path)):
                careful.append(text)
            elif text.path is not None:
                careful += self._read_block([text], str(text.path))
            elif not _can_share_memory() or self._has_odd_quotes(text):
                careful.append(text)
            else:
                blocks.setdefault((text.width, *text.layout.items()), []).append(text)
        for block in blocks.values():
            for part in _parts(block):
                rows = (_led(text, self.feed.file.delimiter) for text in part)
                try:
                    with _memory_file(rows) as path:
                        careful += self._read_block(part, path)
                except OSError:  # there is no room for another copy
                    careful += part
        return careful

    def _has_odd_quotes(self, text: RawText) -> bool:
        quote = self.feed.file.quote.encode()
        return bool(quote) and (text.data or b"").count(quote) % 2 == 1

    def _read_block(self, texts: Sequence[RawText], path: str) -> list[RawText]:
        first = texts[0]
        alone = first.path is not None
        names = [f"c{index}" for index in range(first.width)]
        # DuckDB overlooks empty fields beyond the last: so one more is declared, and what a row
        # does not have is null, which nothing that it has is: a text with NULs is not read here.
        typed = ({} if alone else {"object_no": "integer"}) | dict.fromkeys(
            [*names, "beyond"], "varchar"
        )
        file = self.feed.file
        # a key says all that its texts do, so that no text is hashed twice
        keyed = {first.layout.get(role) for parts in self.keys.values() for role in parts}
        whole_row = [name for index, name in enumerate(names) if index not in keyed] + [*self.keys]
        query = (
            f"insert into raw by name select {f'{first.object_no} as' if alone else ''} object_no,"
            f" {_SOLD_AT}, {', '.join(_role_texts(self.roles, first.layout))},"
            f" {self._key_columns()}, hash({self.salt}, {', '.join(whole_row)}) as row_hash"
            f" from (select *, {_time_text(first.layout)} as time, {_READ_AT} as read_at"
            " from read_csv(?, auto_detect = false, header = false, columns = ?, delim = ?,"
            " quote = ?, escape = ?, skip = ?, ignore_errors = true, null_padding = true,"
            " nullstr = chr(0), strict_mode = true, max_line_size = ?, compression = 'none',"
            " hive_partitioning = false, parallel = ?)"
            f" where {names[-1]} is not null and beyond is null)"
        )
        values = [
            path, typed, file.delimiter, file.quote, file.quote,
            first.skip_lines if alone else 0, MAX_ROW_BYTES,
        ]  # fmt: skip
        try:
            read = self.connection.execute(query, [*values, True]).fetchone()
        except duckdb.Error:  # line ends inside quotes are for one thread only
            read = self.connection.execute(query, [*values, False]).fetchone()
        expected = {text.object_no: (text.lines or 0) - text.skip_lines for text in texts}
        if alone and read is not None and read[0] == expected[first.object_no]:
            return []
        rows: dict[int, int] = dict(
            self.connection.execute(
                "select object_no, count(*) from raw where object_no between ? and ? group by 1",
                [min(expected), max(expected)],
            ).fetchall()
        )
        failed = [text for text in texts if rows.get(text.object_no, 0) != expected[text.object_no]]
        if failed:
            self.connection.execute(
                "delete from raw where object_no in (select unnest(?))",
                [[text.object_no for text in failed]],
            )
        return failed

    def read_carefully(self, texts: Iterable[RawText]) -> None:
        rows: list[tuple[Any, ...]] = []
        broken: list[tuple[Any, ...]] = []
        for text in texts:
            cells = [text.layout.get(role) for role in self.roles]
            date, time = text.layout.get("date"), text.layout.get("time")
            for record in self._records(text):
                fields, problem = record.fields, record.problem
                if fields is not None and len(fields) != text.width:
                    few = len(fields) < text.width
                    problem = "too_few_columns" if few else "too_many_columns"
                if len(rows) + len(broken) == _BLOCK_ROWS:
                    self._append_rows(rows, broken)
                    rows, broken = [], []
                if fields is None or problem is not None:
                    broken.append((text.object_no, record.line_number, problem, record.length))
                    continue
                values = ["" if cell is None else fields[cell] for cell in cells]
                if date is not None and time is not None:
                    values[self.roles.index("sold_at")] = f"{fields[date]} {fields[time]}"
                digest = hash((self.salt, fields)) & 0xFFFF_FFFF_FFFF_FFFF
                rows.append((text.object_no, record.line_number, digest, *values))
        self._append_rows(rows, broken)

    def _append_rows(
        self, rows: Sequence[tuple[Any, ...]], broken: Sequence[tuple[Any, ...]]
    ) -> None:
        names = ["object_no", "line_number", "row_hash", *self.roles]
        query = (
            f"by name select * exclude (time, read_at), {_SOLD_AT}, {self._key_columns()}"
            f" from (select * exclude (sold_at) replace (cast(object_no as integer) as object_no),"
            f" sold_at as time, {_READ_AT} as read_at from appended)"
        )
        append(self.connection, "raw", rows, names, query)
        append(self.connection, "broken", broken)

    def _key_columns(self) -> str:
        """SQL for the keys, of columns that the same query names."""
        return ", ".join(f"hash({', '.join(parts)}) as {key}" for key, parts in self.keys.items())

    def _records(self, text: RawText) -> Iterator[Record]:
        if text.records is not None:
            yield from text.records()
            return
        stream: BinaryIO
        if text.data is not None:
            stream = BytesIO(text.data)
        else:
            assert text.path is not None
            stream = text.path.open("rb")
        with stream:
            for record in read_records(stream, self.feed.file.delimiter, self.feed.file.quote):
                if record.line_number > text.skip_lines:
                    yield record


def append(
    connection: DuckDBPyConnection,
    table: str,
    rows: Sequence[tuple[Any, ...]],
    names: list[str] | None = None,
    query: str = "select * from appended",
) -> None:
    """Put Python rows into a table, as `query` makes them of the relation `appended`."""
    if rows:
        # Types come from the table: those of a sample of rows would not fit every row.
        connection.execute("set pandas_analyze_sample = 0")
        connection.register("appended", pd.DataFrame(rows, columns=names, dtype=object))
        connection.execute(f"insert into {table} {query}")
        connection.unregister("appended")


def _role_texts(roles: Iterable[str], layout: Mapping[str, int]) -> Iterator[str]:
    for role in roles:
        if role != "sold_at":
            text = f"c{layout[role]}" if role in layout else "''"
            yield f'{text} as "{role}"'


def _time_text(layout: Mapping[str, int]) -> str:
    if "date" in layout:
        return f"concat_ws(' ', c{layout['date']}, c{layout['time']})"
    return f"c{layout['sold_at']}"


def _is_plain(path: Path) -> bool:
    """Whether DuckDB takes a path as it is: no pattern, no bytes that are not UTF-8."""
    return str(path).isprintable() and not any(mark in str(path) for mark in "*?[")


def _can_share_memory() -> bool:
    return hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd")


def _parts(texts: Iterable[RawText]) -> Iterator[list[RawText]]:
    part: list[RawText] = []
    size = 0
    for text in texts:
        part.append(text)
        size += len(text.data or b"")
        if size >= _BLOCK_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _led(text: RawText, delimiter: str) -> bytes:
    """The rows of an object, each led by the object's number."""
    body = text.data or b""
    body = body.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").rstrip(b"\n")
    if text.skip_lines:
        parts = body.split(b"\n", text.skip_lines)
        body = parts[-1] if len(parts) > text.skip_lines else b""
    if not body:
        return b""
    lead = f"{text.object_no}{delimiter}".encode()
    return lead + body.replace(b"\n", b"\n" + lead) + b"\n"


@contextmanager
def _memory_file(parts: Iterable[bytes]) -> Iterator[str]:
    """A path to text that lives in this process's memory only and goes with it."""
    descriptor = os.memfd_create("till-rows", os.MFD_CLOEXEC)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as stream:
            stream.writelines(parts)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
