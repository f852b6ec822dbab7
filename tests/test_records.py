"""Raw bytes to rows: none is lost, and what is broken says why."""

import csv
import io
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

import brewtopia_lib.sources.records
from brewtopia_lib.sources.records import MAX_ROW_BYTES, count_lines, read_records


def records(data: bytes, delimiter: str = ",", quote: str = '"') -> list[tuple[object, ...]]:
    """(line number, fields or problem) of each row."""
    return [
        (record.line_number, record.fields or record.problem)
        for record in read_records(io.BytesIO(data), delimiter, quote)
    ]


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"", []),
        (b"\n\r\n \n\t\n\0\0\n", []),
        (b"a,b", [(1, ("a", "b"))]),
        (b"a,b\nc,d\n", [(1, ("a", "b")), (2, ("c", "d"))]),
        (b"a\r\nb\rc\n\nd", [(1, ("a",)), (2, ("b",)), (3, ("c",)), (5, ("d",))]),
        (b",,\n", [(1, ("", "", ""))]),
        (b' "a,b" ,c\n', [(1, ("a,b", "c"))]),
        (b'a "b" c,d\n', [(1, ('a "b" c', "d"))]),
        (b'"a ""b""",c\n', [(1, ('a "b"', "c"))]),
        (b'"a"b,c\nd\n', [(1, "broken_quotes"), (2, ("d",))]),
        (b'a,"b\nc,d\ne\n', [(1, "broken_quotes"), (2, ("c", "d")), (3, ("e",))]),
        (b'a,"b\nc",d\ne\n', [(1, ("a", "b\nc", "d")), (3, ("e",))]),
        (b'a,"b\n\nc"\n', [(1, ("a", "b\n\nc"))]),
        (b"a,b\0\nc\n", [(1, "nul_byte"), (2, ("c",))]),
        (b"caf\xe9,caf\xc3\xa9\n", [(1, ("café", "cafÃ©"))]),
        (b"caf\xc3\xa9\ncaf\xe9\n", [(1, ("café",)), (2, ("café",))]),
        (b"\xef\xbb\xbfa\n", [(1, ("a",))]),
    ],
)  # fmt: skip
def test_rows(data: bytes, wanted: list[tuple[object, ...]]) -> None:
    """Rows keep their place in the file; blank lines are none; one broken row is one row."""
    assert records(data) == wanted


WIDE = [f"{n}/8/2021 9:0{n},Leeds,Bob {n},Tea - 1.00,1.00,CARD,4" for n in range(1, 6)]


def changed(places: dict[int, tuple[str, str]]) -> list[str]:
    return [line.replace(*places.get(n, ("", "")), 1) for n, line in enumerate(WIDE, start=1)]


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (changed({2: ("Tea", '"Tea'), 5: ("CARD,4", 'CARD,4"')}), "12345"),
        (changed({2: ("Bob", '"Bob'), 5: ("Bob 5", 'Bob 5"')}), "12345"),
        (changed({2: ("Bob", '"Bob'), 3: ("Bob 3", 'Bob 3"')}), "12345"),
        (changed({2: ("2/8", '"2/8'), 5: ("5/8/2021 9:05", '5/8/2021 9:05"')}), "12345"),
        (changed({2: ("Bob 2", '"Bob\n\nthe, second"')}), "12567"),
        (changed({2: ("2/8/2021 9:02", '"2/8/2021\n9:02"')}), "12456"),
        (changed({2: ("Tea - 1.00", '"Tea - 1,\nBun - 1, Bun - 1, Bun - 1, Bun - 1"')}), "12456"),
    ],
)  # fmt: skip
def test_a_quote_swallows_no_rows(lines: list[str], wanted: str) -> None:
    """A quote that closes in a later row spoils the line it stands in; one around text that spans
    lines spoils nothing, whatever delimiters that text has."""
    data = "\n".join(lines).encode()
    found = list(read_records(io.BytesIO(data), ",", '"', 7))
    assert "".join(str(record.line_number) for record in found) == wanted
    problems = [(record.line_number, record.problem) for record in found if record.problem]
    assert problems == ([(2, "broken_quotes")] if wanted == "12345" else [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(encoding: str) -> None:
    """The same text gives the same rows in every encoding that Brewtopia reads."""
    text = 'Zoë,"Łódź, PL",1\r\nsecond,row,2\r\n'
    wanted = [(1, ("Zoë", "Łódź, PL", "1")), (2, ("second", "row", "2"))]
    assert records(text.encode(encoding)) == wanted


def test_other_delimiters_and_quotes() -> None:
    """Fields may be parted by any mark and quoted by any other, or not at all."""
    assert records(b"'a;b';c\"\n", ";", "'") == [(1, ("a;b", 'c"'))]
    assert records(b'"a\tb"\tc\n', "\t", "") == [(1, ('"a', 'b"', "c"))]
    assert records("a¦b|c\n".encode(), "¦") == [(1, ("a", "b|c"))]


@pytest.mark.parametrize("extra", [-1, 0, 1, 10_000_000])
def test_a_row_too_long(extra: int) -> None:
    """A row of more than the most bytes is rejected alone, its length told, whatever its end."""
    long = b"x" * (MAX_ROW_BYTES + extra)
    found = list(read_records(io.BytesIO(b"a\r\n" + long + b"\r\nb\r\n"), ",", '"'))
    assert [record.line_number for record in found] == [1, 2, 3]
    assert found[1].length == len(long)
    assert found[1].problem == ("row_too_long" if extra > 0 else None)
    assert found[2].fields == ("b",)


def test_one_quote_too_many_does_not_take_long() -> None:
    """Every row opening a quote that never closes is rejected; the time grows with their number."""
    started = time.monotonic()
    assert {problem for _, problem in records(b'a,"b\n' * 20_000)} == {"broken_quotes"}
    assert time.monotonic() - started < 10


CELLS = st.lists(
    st.lists(
        st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])), min_size=2
    ),
    max_size=6,
)


@given(CELLS)
def test_what_a_csv_writer_writes_is_read(rows: list[list[str]]) -> None:
    """Rows written with every field quoted come back as they were, commas, quotes and line ends
    inside included."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    assert [fields for _, fields in records(text.getvalue().encode())] == [
        tuple(row) for row in rows
    ]


@given(
    st.lists(st.sampled_from([b"a", b",", b'"', b"\n", b"\r", b"\0", b"\xe9", b" "]), max_size=40)
)
def test_any_bytes_are_rows(parts: list[bytes]) -> None:
    """Whatever the bytes, no reading fails; rows come in order; and no line that is not blank is
    left out: it starts a row or lies within one that spans lines."""
    data = b"".join(parts)
    found = list(read_records(io.BytesIO(data), ",", '"'))
    numbers = [record.line_number for record in found]
    assert numbers == sorted(set(numbers))
    covered = {
        number + extra
        for number, record in zip(numbers, found, strict=True)
        for extra in range(1 + sum(field.count("\n") for field in record.fields or ()))
    }
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for number, line in enumerate(lines, start=1):
        assert number in covered or not line.strip(b" \0")


@given(st.text("ab\n\r,é\0", max_size=60), st.integers(1, 7))
def test_lines_are_counted_whatever_the_chunks(text: str, size: int) -> None:
    """A text that the fast reader may take has as many lines as it has, however it is cut; one with
    a NUL or a carriage return alone has none that count."""
    data = text.encode()
    chunks: Iterator[bytes] = (data[at : at + size] for at in range(0, len(data), size))
    is_plain = "\0" not in text and "\r" not in text.replace("\r\n", "")
    lines = data.rstrip(b"\r\n").count(b"\n") + bool(data.rstrip(b"\r\n"))
    assert count_lines(chunks) == (lines if is_plain else None)


def test_text_that_is_not_utf_8_is_for_the_careful_reader() -> None:
    """A byte that is no UTF-8, also one cut off at the end, keeps the fast reader away."""
    assert count_lines([b"caf\xe9\n"]) is None
    assert count_lines([b"caf\xc3"]) is None
    assert count_lines([b"caf\xc3", b"\xa9"]) == 1


@given(st.text('a,;" \n', max_size=30))
def test_the_quick_way_to_split_changes_nothing(text: str) -> None:
    """Rows are what they are without the shortcut for those that are plainly well formed."""
    data = text.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brewtopia_lib.sources.records, "_split_plain", lambda *_: None)
        wanted = records(data)
    assert records(data) == wanted
