"""PostgreSQL's wire protocol, as much as a proxy needs of it."""

import socket
import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

SSL_REQUEST = 80877103
PROTOCOL = 196608


class Message(NamedTuple):
    kind: bytes
    body: bytes

    def __bytes__(self) -> bytes:
        return self.kind + struct.pack("!I", len(self.body) + 4) + self.body


class Closed(Exception):
    """The other end is gone."""


class Refused(Exception):
    """The server says no; `fields` has its words."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(fields.get("M"))
        self.fields = dict(fields)


def read_exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if data is None or len(data) < size:
        raise Closed
    return data


def read_message(stream: BinaryIO) -> Message:
    kind = read_exactly(stream, 1)
    (size,) = struct.unpack("!I", read_exactly(stream, 4))
    return Message(kind, read_exactly(stream, size - 4))


def read_startup(stream: BinaryIO) -> tuple[int, dict[str, str]]:
    """The code of a start-up packet and its parameters."""
    size, code = struct.unpack("!II", read_exactly(stream, 8))
    body = read_exactly(stream, size - 8)
    words = [word.decode() for word in body.split(b"\0")]
    return code, dict(zip(words[::2], words[1::2], strict=False)) if code == PROTOCOL else {}


def startup(parameters: Mapping[str, str]) -> bytes:
    words = b"".join(f"{key}\0{value}\0".encode() for key, value in parameters.items()) + b"\0"
    return struct.pack("!II", len(words) + 8, PROTOCOL) + words


def error(fields: Mapping[str, str]) -> Message:
    words = b"".join(key.encode() + value.encode() + b"\0" for key, value in fields.items())
    return Message(b"E", words + b"\0")


def error_fields(body: bytes) -> dict[str, str]:
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


class Backend:
    """A session of the PostgreSQL behind."""

    def __init__(self, path: str, user: str, database: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._stream = self._socket.makefile("rb")
        self.greeting: list[Message] = []
        self.pid = 0
        options = "-c default_transaction_isolation=repeatable\\ read -c client_min_messages=error"
        options += " -c lock_timeout=30000"  # a test that waits for ever fails instead
        self._socket.sendall(startup({"user": user, "database": database, "options": options}))
        for message in self.until_ready():
            if message.kind == b"K":
                (self.pid,) = struct.unpack("!I", message.body[:4])
            self.greeting.append(message)

    def send(self, *messages: Message) -> None:
        self._socket.sendall(b"".join(map(bytes, messages)))

    def until_ready(self) -> Iterator[Message]:
        """What it answers, up to and with ReadyForQuery.

        Raises Refused where it will not even begin.
        """
        while True:
            message = read_message(self._stream)
            if message.kind == b"E" and not self.pid:
                raise Refused(error_fields(message.body))
            yield message
            if message.kind == b"Z" or (message.kind == b"G"):
                return

    def query(self, sql: str) -> list[list[str | None]]:
        """The rows of a plain query, as texts."""
        self.send(Message(b"Q", sql.encode() + b"\0"))
        rows = []
        refused = None
        for message in self.until_ready():
            if message.kind == b"D":
                rows.append(_cells(message.body))
            elif message.kind == b"E":
                refused = Refused(error_fields(message.body))
        if refused is not None:
            raise refused
        return rows

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


def _cells(body: bytes) -> list[str | None]:
    (count,) = struct.unpack("!H", body[:2])
    cells: list[str | None] = []
    place = 2
    for _ in range(count):
        (size,) = struct.unpack("!i", body[place : place + 4])
        place += 4
        cells.append(None if size < 0 else body[place : place + size].decode())
        place += max(size, 0)
    return cells
