"""Every way a till file is known to go wrong, each as a pure function from bytes to bytes."""

import csv
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from io import StringIO

Fault = Callable[[bytes], bytes]
RowFault = Callable[[list[str]], list[str]]

TIME, BRANCH, CUSTOMER, ITEMS, TOTAL, PAYMENT, CARD = range(7)
STAMP = "%d/%m/%Y %H:%M"

# Bytes that are no UTF-8 come out of a changed row as they went in.
KEEP_BYTES = "surrogateescape"


def _lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def _row(line: bytes) -> list[str]:
    """The fields of a line; none if it is not CSV."""
    try:
        return next(csv.reader([line.decode(errors=KEEP_BYTES).rstrip("\r\n")]), [])
    except csv.Error:
        return []


def _line(row: list[str]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue().encode(errors=KEEP_BYTES)


def _in_one_row(
    data: bytes, change: RowFault, write: Callable[[list[str]], bytes] = _line
) -> bytes:
    """The file with a change to the first whole row from its middle on."""
    lines = _lines(data)
    for place in range(len(lines) // 2, len(lines)):
        row = _row(lines[place])
        if len(row) == CARD + 1:
            lines[place] = write(change(row))
            break
    return b"".join(lines)


def _in_second_half(data: bytes, change: RowFault) -> bytes:
    """The file with a change to each whole row after its middle."""
    lines = _lines(data)
    for place in range(len(lines) // 2, len(lines)):
        row = _row(lines[place])
        if len(row) == CARD + 1:
            lines[place] = _line(change(row))
    return b"".join(lines)


def _put_between(data: bytes, inserted: bytes) -> bytes:
    """The file with the bytes put in between the lines of its middle."""
    lines = _lines(data)
    half = len(lines) // 2
    return b"".join([*lines[:half], inserted, *lines[half:]])


def byte_order_mark(data: bytes) -> bytes:
    return b"\xef\xbb\xbf" + data


def carriage_returns(data: bytes) -> bytes:
    return b"\r\n".join(data.replace(b"\r\n", b"\n").split(b"\n"))


def utf_16(data: bytes) -> bytes:
    # Spelled out, as plain "utf-16" follows the machine's byte order.
    return b"\xff\xfe" + data.decode("utf-8", "replace").encode("utf-16-le")


def latin_1(data: bytes) -> bytes:
    accented = _in_one_row(data, partial(_set, values={CUSTOMER: "Zoë Brontë"}))
    return accented.decode("utf-8", "replace").encode("latin-1", "replace")


def nul_bytes(data: bytes) -> bytes:
    half = len(data) // 2
    return data[:half] + b"\0\0\0" + data[half:]


def broken_utf_8(data: bytes) -> bytes:
    half = len(data) // 2
    return data[:half] + b"\xc3\xff\xe2\x82" + data[half:]


def empty_file(data: bytes) -> bytes:
    return b""


def header_only(data: bytes) -> bytes:
    return b"timestamp,branch,customer,items,total,payment,card\n"


def blank_lines(data: bytes) -> bytes:
    return b"\n" + _put_between(data, b"\n\n") + b"\n\n"


def line_of_spaces(data: bytes) -> bytes:
    return _put_between(data, b"    \n") + b" "


def unclosed_quote(data: bytes) -> bytes:
    def write(row: list[str]) -> bytes:
        text = ",".join([*row[:ITEMS], '"' + row[ITEMS], *row[TOTAL:]]) + "\n"
        return text.encode(errors=KEEP_BYTES)

    return _in_one_row(data, list, write)


def cut_short(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def no_last_line_end(data: bytes) -> bytes:
    return data.rstrip(b"\r\n")


def long_line(data: bytes) -> bytes:
    return _put_between(data, b"x" * 3_000_000 + b"\n")


def pasted_block(data: bytes) -> bytes:
    lines = _lines(data)
    return b"".join([*lines, *lines[len(lines) * 3 // 4 :]])


def several_days(data: bytes) -> bytes:
    def next_day(row: list[str]) -> list[str]:
        try:
            later = datetime.strptime(row[TIME], STAMP) + timedelta(days=1)
        except (ValueError, OverflowError):
            return row
        return [f"{later:{STAMP}}", *row[BRANCH:]]

    return _in_second_half(data, next_day)


def several_branches(data: bytes) -> bytes:
    return _in_second_half(data, partial(_set, values={BRANCH: "Pop-up stall"}))


def too_few_columns(row: list[str]) -> list[str]:
    return row[:ITEMS]


def too_many_columns(row: list[str]) -> list[str]:
    return [*row, "unexpected", "columns"]


def card_in_two_columns(row: list[str]) -> list[str]:
    return [*row[:PAYMENT], "CARD", "discover", "9011000990139424"]


def spaces_around(row: list[str]) -> list[str]:
    return [f" {field}  " for field in row]


def lower_case_branch(row: list[str]) -> list[str]:
    return _set(row, {BRANCH: row[BRANCH].lower().replace(" ", "  ")})


def impossible_date(row: list[str]) -> list[str]:
    return _set(row, {TIME: f"31/02/{row[TIME][6:]}"})


def time_outside_day(row: list[str]) -> list[str]:
    return _set(row, {TIME: f"{row[TIME][:10]} 25:61"})


def other_date_order(row: list[str]) -> list[str]:
    return _set(row, {TIME: f"{row[TIME][3:5]}/28/{row[TIME][6:]}"})


def _set(row: list[str], values: dict[int, str]) -> list[str]:
    return [values.get(column, field) for column, field in enumerate(row)]


FILE_FAULTS: tuple[Fault, ...] = (
    byte_order_mark,
    carriage_returns,
    utf_16,
    latin_1,
    nul_bytes,
    broken_utf_8,
    empty_file,
    header_only,
    blank_lines,
    line_of_spaces,
    unclosed_quote,
    cut_short,
    no_last_line_end,
    long_line,
    pasted_block,
    several_days,
    several_branches,
)

ROW_FAULTS: tuple[RowFault, ...] = (
    too_few_columns,
    too_many_columns,
    card_in_two_columns,
    spaces_around,
    lower_case_branch,
    impossible_date,
    time_outside_day,
    other_date_order,
)

FIELD_FAULTS: dict[str, dict[int, str]] = {
    "time_not_known": {TIME: "N/A"},
    "branch_missing": {BRANCH: "MISSING"},
    "customer_none": {CUSTOMER: "None"},
    "customer_garbled": {CUSTOMER: "Zo\ufffd Bront\ufffd"},
    "items_missing": {ITEMS: "MISSING"},
    "total_not_known": {TOTAL: "N/A"},
    "payment_none": {PAYMENT: "None"},
    "card_as_float": {PAYMENT: "CARD", CARD: "9.49E+15"},
    "sql_in_branch": {BRANCH: "'; drop table orders; --"},
    "script_in_product": {ITEMS: "Regular <script>alert(1)</script> - 2.00", TOTAL: "2.0"},
    "comma_in_product": {ITEMS: "Regular Ham, cheese & chutney toastie - 4.20", TOTAL: "4.2"},
    "items_empty": {ITEMS: ""},
    "items_half_parsed": {ITEMS: "Regular Latte - 2.15, Large Flavoured lat", TOTAL: "5.0"},
    "price_zero": {ITEMS: "Regular Tap water - 0.00, Large Latte - 2.45", TOTAL: "2.45"},
    "price_negative": {ITEMS: "Regular Latte - -2.15", TOTAL: "-2.15"},
    "price_three_decimals": {ITEMS: "Regular Latte - 2.155", TOTAL: "2.155"},
    "price_with_pound_sign": {ITEMS: "Regular Latte - £2.15", TOTAL: "£2.15"},
    "price_with_thousands_mark": {ITEMS: "Large Wedding cake - 1,250.00", TOTAL: "1,250.00"},
    "total_differs": {ITEMS: "Regular Latte - 2.15, Large Latte - 2.45", TOTAL: "4.1"},
}

# What each fault makes of a till file. Every one takes any bytes, and returns them as they are
# where there is nothing it could damage.
FAULTS: dict[str, Fault] = {
    **{fault.__name__: fault for fault in FILE_FAULTS},
    **{fault.__name__: partial(_in_one_row, change=fault) for fault in ROW_FAULTS},
    **{
        name: partial(_in_one_row, change=partial(_set, values=values))
        for name, values in FIELD_FAULTS.items()
    },
}

# What each fault makes of the name a till gives its file.
ODD_NAMES: dict[str, Callable[[str], str]] = {
    "name_with_spaces": lambda name: name.replace("_", " "),
    "name_with_hash": lambda name: name.replace("_", "#"),
    "name_with_percent": lambda name: name.replace("_", "%20"),
    "name_with_quotes": lambda name: f"'copy' of \"{name.removesuffix('.csv')}\".csv",
    "name_with_accents": lambda name: f"Łódź café, {name}",
    "name_without_date": lambda name: f"till export {name.split('_')[0]}.csv",
}
