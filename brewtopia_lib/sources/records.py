"""Raw bytes → records: a careful reader that loses no row and says why a row is broken.

Two readers share one meaning. DuckDB's parallel CSV reader takes text that is plainly well formed
(`count_lines`); `read_records` takes everything else: other encodings, broken quotes, NUL bytes,
rows with too few or too many columns, endless lines. Which one reads a file is never visible.
"""

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import BinaryIO, NamedTuple

import numpy as np

MAX_ROW_BYTES = 1 << 20
_CHUNK_BYTES = 4 << 20
_MAX_JOINED_LINES = 100
_LINE_END = re.compile(rb"\r\n|\r|\n")
_WHITE_SPACE = b" \t\r\n\x0b\x0c"
_DIGITS = re.compile(r"\d+")
_BLANK = _WHITE_SPACE + b"\x00"


class Record(NamedTuple):
    """One raw row: its fields, or the problem that keeps them from being told apart."""

    line_number: int
    length: int
    fields: tuple[str, ...] | None
    problem: str | None


class _Line(NamedTuple):
    number: int
    length: int
    text: bytes | None


def count_lines(chunks: Iterable[bytes]) -> int | None:
    """How many lines a text has, blank ones at its end apart, if the fast reader may take it.

    None where it is not UTF-8 or holds a NUL or a lone carriage return. What else may be wrong
    shows when the fast reader finds another number of rows.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines = line_ends = 0
    held = has_text = False
    for chunk in chunks:
        if b"\x00" in chunk:
            return None
        if b"\r" in chunk or held:
            if count_byte(chunk, b"\r") + held != chunk.count(b"\r\n") + (
                held and chunk.startswith(b"\n")
            ) + chunk.endswith(b"\r"):
                return None
            held = chunk.endswith(b"\r")
        if not chunk.isascii() or decoder.getstate()[0]:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                return None
        body = chunk.rstrip(b"\r\n") if chunk.endswith((b"\n", b"\r")) else chunk
        if body:
            lines += line_ends + count_byte(body, b"\n")
            line_ends = 0
        line_ends += chunk.count(b"\n", len(body))
        has_text = has_text or bool(body)
    if held or decoder.getstate()[0]:
        return None
    return lines + has_text


def count_byte(text: bytes, byte: bytes) -> int:
    """How often one byte stands in a text; where that is often, `bytes.count` takes four times as long."""
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == byte[0]))


def read_records(
    stream: BinaryIO, delimiter: str, quote: str, width: int | None = None
) -> Iterator[Record]:
    """Every row of a file that is not blank, in order.

    A quoted field may span lines when it closes properly; a quote that never does spoils only
    the line it stands in. So does one that closes in a later row: where `width`, the number of
    fields that a row has, is known, lines are not joined to a row of another width, nor where one
    of them is a row itself. Encodings: UTF-8 and UTF-16 by their marks or by looking, and line by
    line Windows-1252 where a line is not UTF-8.
    """
    lines = _lines(_as_utf8(stream))
    pending: list[_Line] = []
    while True:
        if not pending:
            line = next(lines, None)
            if line is None:
                return
            pending.append(line)
        line = pending.pop(0)
        if line.text is None:
            yield Record(line.number, line.length, None, "row_too_long")
        elif not line.text.strip(_BLANK):
            continue
        elif b"\x00" in line.text:
            yield Record(line.number, line.length, None, "nul_byte")
        else:
            text = _decoded(line.text)
            if not quote or quote not in text:
                yield Record(line.number, line.length, tuple(text.split(delimiter)), None)
                continue
            fields = _split(text, delimiter, quote)
            if fields is not None:
                yield Record(line.number, line.length, fields, None)
                continue
            joined = _joined(line, pending, lines, delimiter, quote, width)
            if joined is None:
                yield Record(line.number, line.length, None, "broken_quotes")
            else:
                yield joined


def is_blank(stream: BinaryIO) -> bool:
    """Whether a file is empty or holds nothing but white space, in any encoding that is read."""
    return all(not chunk.strip(_WHITE_SPACE) for chunk in _as_utf8(stream))


def _joined(
    first: _Line,
    pending: list[_Line],
    lines: Iterator[_Line],
    delimiter: str,
    quote: str,
    width: int | None,
) -> Record | None:
    """A record whose quoted field spans lines; None leaves the lines after `first` pending."""
    assert first.text is not None
    text = _decoded(first.text)
    if not _open_at_end(text, delimiter, quote):
        return None
    length = first.length
    for index in range(_MAX_JOINED_LINES):
        if index == len(pending):
            line = next(lines, None)
            if line is None:
                return None
            pending.append(line)
        line = pending[index]
        if line.text is None or b"\x00" in line.text or length + line.length > MAX_ROW_BYTES:
            return None
        more = _decoded(line.text)
        text += "\n" + more
        length += line.length + 1
        fields = _split(text, delimiter, quote) if quote in more else None
        if fields is not None:
            if width is not None:
                others = [_split(other, delimiter, quote) or () for other in text.split("\n")[1:]]
                if len(fields) != width or _hides_rows(fields, others):
                    return None
            del pending[: index + 1]
            return Record(first.number, length, fields, None)
        if quote in more and not _open_at_end(text, delimiter, quote):
            return None
    return None


def _hides_rows(joined: Sequence[str], lines: Sequence[Sequence[str]]) -> bool:
    """Whether lines that a row was joined of, but for its first, are rows themselves.

    They are if they have as many fields, and a date or a number where the row has one before what
    spans lines; where it has none there, only if all the lines between its ends have as many.
    """
    spanning = next(place for place, field in enumerate(joined) if "\n" in field)
    whole = [len(line) == len(joined) for line in lines]
    # a date says more than a number
    place = max(range(spanning), key=lambda place: len(_figures(joined[place])), default=None)
    if place is None or not (figures := _figures(joined[place])):
        return any(whole[:-1]) and all(whole[:-1])
    return any(
        is_whole and _figures(line[place]) == figures
        for is_whole, line in zip(whole, lines, strict=True)
    )


def _figures(field: str) -> str:
    """What stands between digits, whichever they are; nothing where there are none."""
    figures = _DIGITS.sub("0", field)
    return figures[figures.find("0") : figures.rfind("0") + 1]


def _split(text: str, delimiter: str, quote: str) -> tuple[str, ...] | None:
    """The fields of a row; None where it is not well formed."""
    return _split_plain(text, delimiter, quote) or _split_odd(text, delimiter, quote)


def _split_plain(text: str, delimiter: str, quote: str) -> tuple[str, ...] | None:
    """The fields where every quote stands right beside a delimiter or an end, as most do."""
    fields: list[str] = []
    parts = text.split(quote)
    last = len(parts) - 1
    if last % 2:
        return None
    for index in range(0, last + 1, 2):
        between = parts[index]
        if index > 0:
            fields.append(parts[index - 1])
            if between[:1] != delimiter:
                return tuple(fields) if index == last and not between else None
            if index < last and between == delimiter:
                continue
            between = between[1:]
        if index == last:
            fields += between.split(delimiter)
        elif between:
            if between[-1] != delimiter:
                return None
            fields += between[:-1].split(delimiter)
    return tuple(fields)


def _split_odd(text: str, delimiter: str, quote: str) -> tuple[str, ...] | None:
    field = _field(delimiter, quote)
    fields: list[str] = []
    place = 0
    while match := field.match(text, place):
        quoted, plain, end = match.groups()
        fields.append(plain if quoted is None else quoted.replace(quote * 2, quote))
        if not end:
            return tuple(fields)
        place = match.end()
    return None


@cache
def _field(delimiter: str, quote: str) -> re.Pattern[str]:
    """One field: wholly quoted, spaces around the quotes apart, or without a quote in front."""
    mark, delimiter = re.escape(quote), re.escape(delimiter)
    return re.compile(
        rf"(?: *+{mark}((?:[^{mark}]++|{mark}{mark})*+){mark} *+|(?! *+{mark})([^{delimiter}]*+))"
        rf"({delimiter}|\Z)"
    )


def _open_at_end(text: str, delimiter: str, quote: str) -> bool:
    """Whether the text ends inside a quoted field that has been well formed so far."""
    return _split(text + quote, delimiter, quote) is not None


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return line.decode("cp1252")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _as_utf8(stream: BinaryIO) -> Iterator[bytes]:
    chunk = stream.read(_CHUNK_BYTES)
    chunk = chunk.removeprefix(codecs.BOM_UTF8)
    encoding = _utf16_of(chunk[:4096])
    if encoding is None:
        while chunk:
            yield chunk
            chunk = stream.read(_CHUNK_BYTES)
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    while chunk:
        yield decoder.decode(chunk).removeprefix("\ufeff").encode("utf-8", "replace")
        chunk = stream.read(_CHUNK_BYTES)
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _utf16_of(head: bytes) -> str | None:
    if head.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    if head.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    # Text in Latin letters has a zero in nearly every second byte; stray NULs do not.
    if len(head) >= 8:
        even, odd = head[::2].count(0) / len(head[::2]), head[1::2].count(0) / len(head[1::2])
        if odd > 0.7 and even < 0.1:
            return "utf-16-le"
        if even > 0.7 and odd < 0.1:
            return "utf-16-be"
    return None


def _lines(chunks: Iterable[bytes]) -> Iterator[_Line]:
    number, rest, skipped = 1, b"", 0
    for chunk in chunks:
        data = rest + chunk
        rest = b""
        # A carriage return at the very end may be half of a CRLF: it waits for the next chunk.
        if data.endswith(b"\r"):
            data, rest = data[:-1], b"\r"
        parts = _split_lines(data)
        rest = parts.pop() + rest
        for part in parts:
            yield _line(number, part, skipped)
            number, skipped = number + 1, 0
        if len(rest) > MAX_ROW_BYTES + 1:
            skipped, rest = skipped + len(rest.rstrip(b"\r")), rest[len(rest.rstrip(b"\r")) :]
    for part in _split_lines(rest):
        if part or skipped:
            yield _line(number, part, skipped)
        number, skipped = number + 1, 0


def _split_lines(text: bytes) -> list[bytes]:
    return _LINE_END.split(text) if b"\r" in text else text.split(b"\n")


def _line(number: int, text: bytes, skipped: int) -> _Line:
    length = skipped + len(text)
    return _Line(number, length, None if length > MAX_ROW_BYTES else text)
