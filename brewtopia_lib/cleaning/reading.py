"""Raw objects → the `raw` table: their fields as text, one row per raw row, and `broken` rows.

DuckDB's parallel parser reads what is well formed; what it does not read row for row goes to the
careful reader in `records`. Which of the two read an object is never visible in the result.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from brewtopia_lib.cleaning.feeds import Feed
from brewtopia_lib.cleaning.raw_texts import Block, RawText, can_share_memory
from brewtopia_lib.cleaning.tables import append, fill
from brewtopia_lib.sources import Fetched
from brewtopia_lib.sources.records import MAX_ROW_BYTES, Record, count_byte, read_records

ORDER_ROLES = ("sold_at", "branch", "items", "total", "payment")
LINE_ROLES = (
    "order", "sold_at", "branch", "product", "size", "flavour", "unit_price", "quantity",
    "line_total", "total", "payment",
)  # fmt: skip

KEYS = {"terms_key": ("terms",), "items_key": ("items",)}
"""Columns of `raw` that stand for the texts of others: numbers are quicker to compare."""

# Of an order what few others have is one text, quicker to keep than three. No cell holds its mark.
_ORDER_TEXTS = {
    "terms": ("concat_ws(chr(0), branch, payment, total)", ("branch", "payment", "total")),
    "items": ("items", ("items",)),
}

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
# More than one of DuckDB's row groups (122,880) has: fewer are sometimes appended very slowly.
_BLOCK_ROWS = 160_000
_BLOCK_BYTES = 64 << 20
_CAREFUL_ROWS = 50_000


class RawReader:
    """Fills the temp tables raw, broken and object of a connection from objects of one feed.

    What was added is read in the background while more is prepared: nobody else may use the
    connection until `finish`, and `close` must follow.
    """

    def __init__(self, connection: DuckDBPyConnection, feed: Feed) -> None:
        self._connection = connection
        self._feed = feed
        self._roles = LINE_ROLES if feed.per_line else ORDER_ROLES
        # each text that is kept: how it is made of roles, and of which
        self._texts: Mapping[str, tuple[str, tuple[str, ...]]] = (
            {role: (f'"{role}"', (role,)) for role in LINE_ROLES if role != "sold_at"}
            if feed.per_line
            else _ORDER_TEXTS
        )
        self._keys = {} if feed.per_line else KEYS
        # Rows are compared by salted hashes of all their fields, so that nothing of a field that
        # the feed does not name can be told from what a crash might leave behind.
        self._salt = secrets.randbits(63)
        self._objects: list[tuple[int, str | None, int]] = []
        self._careful: list[RawText] = []
        self._blocks: dict[tuple[Any, ...], Block] = {}
        self._pool = ThreadPoolExecutor(1)
        self._reads: list[Future[list[RawText]]] = []
        connection.execute("set variable timestamp_formats = ?", [list(feed.timestamp.formats)])
        # where none has another way round, the same ones find nothing again
        swapped = feed.timestamp.swapped_formats or feed.timestamp.formats
        connection.execute("set variable swapped_formats = ?", [list(swapped)])
        columns = {
            "object_no": "integer", "line_number": "bigint", "row_hash": "ubigint",
            "sold_at": "timestamp", "unread_time": "varchar",
            **dict.fromkeys(self._texts, "varchar"), **dict.fromkeys(self._keys, "ubigint"),
        }  # fmt: skip
        fill(connection, "raw", ", ".join(f'"{name}" {kind}' for name, kind in columns.items()), [])
        fill(
            connection, "broken",
            "object_no integer, line_number bigint, reason varchar, row_length bigint", [],
        )  # fmt: skip

    def add(self, text: RawText) -> None:
        """Take one more object; small ones of one shape are read many at a time."""
        self._objects.append((text.object_no, text.branch, text.skip_lines + 1))
        fetched = text.fetched
        if fetched is not None and fetched.data is None and _is_plain(fetched.path):
            self._start(self._read_fast, [text], str(fetched.path), True)
        elif fetched is None or fetched.data is None or not self._fits_a_block(fetched):
            self._careful.append(text)
        else:
            shape = (text.width, *text.layout.items())
            block = self._blocks.setdefault(shape, Block())
            try:
                block.add(text, fetched.data, self._feed.file.delimiter)
            except OSError:  # there is no room for another copy
                self._careful += self._blocks.pop(shape).texts
            else:
                if block.rows >= _BLOCK_ROWS or block.size >= _BLOCK_BYTES:
                    self._start(self._read_block, self._blocks.pop(shape))
            fetched.forget()

    def finish(self) -> None:
        """Read what is left.

        Raises duckdb.Error for what the engine cannot hold, and where it has no room.
        """
        for block in self._blocks.values():
            self._start(self._read_block, block)
        self._blocks.clear()
        for read in self._reads:
            self._careful += read.result()
        fill(
            self._connection, "object", "object_no integer, branch varchar, first_line bigint",
            self._objects,
        )  # fmt: skip
        self._read_carefully(self._careful)

    def close(self) -> None:
        """Stop what is still being read."""
        if not all(read.done() for read in self._reads):
            self._connection.interrupt()
        self._pool.shutdown(cancel_futures=True)

    def _fits_a_block(self, fetched: Fetched) -> bool:
        if fetched.data is None or fetched.lines is None or not can_share_memory():
            return False
        quote = self._feed.file.quote.encode()
        return not quote or count_byte(fetched.data, quote) % 2 == 0

    def _start(self, read: Callable[..., list[RawText]], *what: Any) -> None:
        wait(self._reads)  # so that no more than two blocks are held
        self._reads.append(self._pool.submit(read, *what))

    def _read_block(self, block: Block) -> list[RawText]:
        try:
            with block.written() as path:
                return self._read_fast(block.texts, path, False)
        except OSError:  # as above
            return block.texts

    def _read_fast(self, texts: Sequence[RawText], path: str, alone: bool) -> list[RawText]:
        """Read objects of one shape; gives back those that gave not as many rows as lines."""
        first = texts[0]
        names = [f"c{index}" for index in range(first.width)]
        # DuckDB overlooks empty fields beyond the last: so one more is declared, and what a row
        # does not have is null, which nothing that it has is: a text with NULs is not read here.
        typed = ({} if alone else {"object_no": "integer"}) | dict.fromkeys(
            [*names, "beyond"], "varchar"
        )
        file = self._feed.file
        # a key says all that its texts do, so that no text is hashed twice
        keyed = {
            first.layout.get(role)
            for parts in self._keys.values()
            for kept in parts
            for role in self._texts.get(kept, ("", ()))[1]
        }
        whole_row = [name for index, name in enumerate(names) if index not in keyed] + [*self._keys]
        query = (
            f"insert into raw by name select object_no, {self._kept()},"
            f" hash({self._salt}, {', '.join(whole_row)}) as row_hash"
            f" from (select *{f', {first.object_no} as object_no' if alone else ''},"
            f" {', '.join(_role_texts(self._roles, first.layout))},"
            f" {_time_text(first.layout)} as time, {_READ_AT} as read_at"
            " from read_csv(?, auto_detect = false, header = false, columns = ?, delim = ?,"
            " quote = ?, escape = ?, skip = ?, ignore_errors = true, null_padding = true,"
            " nullstr = chr(0), strict_mode = true, max_line_size = ?, compression = 'none',"
            " hive_partitioning = false, parallel = ?))"
            f" where {names[-1]} is not null and beyond is null{_not_blank(file.delimiter, names)}"
        )
        values = [
            path, typed, file.delimiter, file.quote, file.quote,
            first.skip_lines if alone else 0, MAX_ROW_BYTES,
        ]  # fmt: skip
        read = None
        for parallel in (True, False):  # line ends inside quotes are for one thread only
            try:
                read = self._connection.execute(query, [*values, parallel]).fetchone()
                break
            except duckdb.InterruptException:
                raise
            except duckdb.OutOfMemoryException:
                if not parallel:
                    raise
            except duckdb.Error:  # odd text, or a file that is gone: the careful reader says what
                if first.lines is None or not parallel:
                    return list(texts)
        expected = {
            text.object_no: None if text.lines is None else text.lines - text.skip_lines
            for text in texts
        }
        if alone and read is not None and read[0] == expected[first.object_no]:
            return []
        rows: dict[int, int] = dict(
            self._connection.execute(
                "select object_no, count(*) from raw where object_no between ? and ? group by 1",
                [min(expected), max(expected)],
            ).fetchall()
        )
        failed = [text for text in texts if rows.get(text.object_no, 0) != expected[text.object_no]]
        if failed:
            self._connection.execute(
                "delete from raw where object_no in (select unnest(?))",
                [[text.object_no for text in failed]],
            )
        return failed

    def _read_carefully(self, texts: Iterable[RawText]) -> None:
        rows: list[tuple[Any, ...]] = []
        broken: list[tuple[Any, ...]] = []
        for text in texts:
            cells = [text.layout.get(role) for role in self._roles]
            date, time = text.layout.get("date"), text.layout.get("time")
            for record in self._records(text):
                fields, problem = record.fields, record.problem
                if fields is not None and len(fields) != text.width:
                    few = len(fields) < text.width
                    problem = "too_few_columns" if few else "too_many_columns"
                if len(rows) + len(broken) == _CAREFUL_ROWS:
                    self._append_rows(rows, broken)
                    rows, broken = [], []
                if fields is None or problem is not None:
                    broken.append((text.object_no, record.line_number, problem, record.length))
                    continue
                values = ["" if cell is None else fields[cell] for cell in cells]
                if "branch" not in text.layout:
                    values[self._roles.index("branch")] = str(text.object_no)
                if date is not None and time is not None:
                    values[self._roles.index("sold_at")] = f"{fields[date]} {fields[time]}"
                digest = hash((self._salt, fields)) & 0xFFFF_FFFF_FFFF_FFFF
                rows.append((text.object_no, record.line_number, digest, *values))
        self._append_rows(rows, broken)

    def _append_rows(
        self, rows: Sequence[tuple[Any, ...]], broken: Sequence[tuple[Any, ...]]
    ) -> None:
        names = ["object_no", "line_number", "row_hash", *self._roles]
        query = (
            f"by name select object_no, line_number, row_hash, {self._kept()}"
            f" from (select *, sold_at as time, {_READ_AT} as read_at from appended)"
        )
        append(self._connection, "raw", rows, names, query)
        append(self._connection, "broken", broken)

    def _kept(self) -> str:
        """SQL for what `raw` keeps of the roles' texts, of `time` and of `read_at`."""
        texts = [f'{made} as "{text}"' for text, (made, _) in self._texts.items()]
        keys = [f"hash({', '.join(parts)}) as {key}" for key, parts in self._keys.items()]
        return ", ".join([_SOLD_AT, *texts, *keys])

    def _records(self, text: RawText) -> Iterator[Record]:
        if text.records is not None:
            yield from text.records()
            return
        assert text.fetched is not None
        with text.fetched.open() as stream:
            file = self._feed.file
            for record in read_records(stream, file.delimiter, file.quote, text.width):
                if record.line_number > text.skip_lines:
                    yield record


def _role_texts(roles: Iterable[str], layout: Mapping[str, int]) -> Iterator[str]:
    """SQL for the text of each role; where no column has the branch, the object stands for it."""
    absent = {"branch": "cast(object_no as varchar)"}
    for role in roles:
        if role != "sold_at":
            text = f"c{layout[role]}" if role in layout else absent.get(role, "''")
            yield f'{text} as "{role}"'


def _time_text(layout: Mapping[str, int]) -> str:
    if "date" in layout:
        return f"concat_ws(' ', c{layout['date']}, c{layout['time']})"
    return f"c{layout['sold_at']}"


def _not_blank(delimiter: str, names: Sequence[str]) -> str:
    """SQL that holds for rows of more than white space, which delimiters may be too."""
    if not delimiter.isspace():
        return ""
    return f" and regexp_matches(concat({', '.join(names)}), '[^ \\t\\x0B\\x0C]')"


def _is_plain(path: Path) -> bool:
    """Whether DuckDB takes a path as it is: no pattern, no bytes that are not UTF-8."""
    return str(path).isprintable() and not any(mark in str(path) for mark in "*?[")
