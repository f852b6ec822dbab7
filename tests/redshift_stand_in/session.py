"""One client's session: its statements go to PostgreSQL, and the answers back, in Redshift's ways."""

import contextlib
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from redshift_stand_in.copying import Column, Copy, CopyRefused, fetch_rows, parse_copy
from redshift_stand_in.dialect import Unsupported, to_postgres
from redshift_stand_in.wire import (
    SSL_REQUEST,
    Backend,
    Closed,
    Message,
    Refused,
    error,
    error_fields,
    read_exactly,
    read_message,
    read_startup,
)

if TYPE_CHECKING:
    from redshift_stand_in.server import StandIn

_CONFLICT = {
    "S": "ERROR",
    "C": "XX000",
    "M": "1023",
    "D": "Serializable isolation violation on table - 108263, transactions forming the cycle are: "
    "4711, 4712 (pid:815)",
}
_FAIL = "do $$ begin raise exception 'stand-in'; end $$"
_CHUNK_BYTES = 1 << 20


def serve(stand_in: "StandIn", client: socket.socket) -> None:
    """Answer a client until it or the fault of the day ends the session."""
    with contextlib.suppress(Closed, OSError, ValueError):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        read_exactly(client.makefile("rb", buffering=0), 8)  # it asks for TLS
        client.sendall(b"S")
        client = stand_in.secured(client)
        stream = client.makefile("rb")
        try:
            backend = _begin(stand_in, client, stream)
        except Refused as refused:
            client.sendall(bytes(error(refused.fields)))
            client.close()
            return
        try:
            _Session(stand_in, client, stream, backend).run()
        finally:
            backend.close()
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)  # whoever still holds it
            client.close()


def _begin(stand_in: "StandIn", client: socket.socket, stream: BinaryIO) -> Backend:
    code, parameters = read_startup(stream)
    assert code != SSL_REQUEST
    user, database = parameters["user"], parameters["database"]
    if stand_in.fault_for(f"sign in as {user}") in ("drop", "drop_after"):
        raise Closed
    client.sendall(bytes(Message(b"R", b"\0\0\0\3")))
    password = read_message(stream).body.rstrip(b"\0").decode()
    if stand_in.passwords.get(user) != password:
        words = f'password authentication failed for user "{user}"'
        raise Refused({"S": "FATAL", "C": "28000", "M": words})
    backend = Backend(stand_in.socket_path, user, database)
    for message in backend.greeting:
        if message.body.startswith(b"server_version\0"):
            message = Message(b"S", b"server_version\0008.0.2\0")
        client.sendall(bytes(message))
    return backend


class _Session:
    def __init__(
        self,
        stand_in: "StandIn",
        client: socket.socket,
        stream: BinaryIO,
        backend: Backend,
    ) -> None:
        self._stand_in = stand_in
        self._client = client
        self._stream = stream
        self._backend = backend
        self._copy: Copy | None = None
        self._fault: str | None = None
        self._refused: dict[str, str] | None = None

    def run(self) -> None:
        """Take messages up to each Sync, and relay what comes back up to ReadyForQuery."""
        messages: list[Message] = []
        while True:
            message = read_message(self._stream)
            if message.kind == b"X":
                return
            if message.kind == b"P":
                message = self._parsed(message)
            messages.append(message)
            if message.kind != b"S":
                continue
            executes = any(one.kind == b"E" for one in messages)
            if executes and self._copy is not None:
                self._run_copy(self._copy)
            elif executes and self._fault == "conflict":
                self._fail(_CONFLICT)
            else:
                self._backend.send(*messages)
                self._relay(is_heard=not executes or self._fault != "drop_after")
            messages = []

    def _parsed(self, message: Message) -> Message:
        name, sql, rest = message.body.split(b"\0", 2)
        text = sql.decode()
        self._copy = self._refused = None
        self._stand_in.statements.append(text)
        self._fault = self._stand_in.fault_for(text)
        if self._fault == "drop":
            raise Closed
        try:
            self._copy = parse_copy(text)
            text = "" if self._copy else to_postgres(text)
        except CopyRefused as refused:
            self._refused = refused.fields
        except Unsupported as refused:
            self._refused = {"S": "ERROR", "C": "42601", "M": str(refused)}
        if self._refused is not None:
            text = "stand-in: a syntax error"
        return Message(b"P", name + b"\0" + text.encode() + b"\0" + rest)

    def _relay(self, *, is_heard: bool = True) -> None:
        answers = []
        for message in self._backend.until_ready():
            answers.append(self._translated(message))
            if len(answers) > 1000 and is_heard:
                self._client.sendall(b"".join(map(bytes, answers)))
                answers = []
        if not is_heard:
            raise Closed
        self._client.sendall(b"".join(map(bytes, answers)))

    def _translated(self, message: Message) -> Message:
        if message.kind != b"E":
            return message
        if self._refused is not None:
            return error(self._refused)
        fields = error_fields(message.body)
        if fields["C"] in ("40001", "40P01"):
            return error(_CONFLICT)
        return message

    def _fail(self, fields: dict[str, str]) -> None:
        """Let the transaction fail, and say why in other words than PostgreSQL's."""
        self._refused = fields
        self._backend.send(Message(b"Q", _FAIL.encode() + b"\0"))
        self._relay()
        self._refused = None

    def _run_copy(self, copy: Copy) -> None:
        folder = Path(tempfile.mkdtemp(dir=self._stand_in.folder))
        try:
            if self._fault == "conflict":
                self._fail(_CONFLICT)
                return
            rows = fetch_rows(
                copy, self._columns(copy.table), self._stand_in.s3, self._stand_in.roles, folder
            )
            sql = f"copy {copy.table} from stdin (format csv, null '')"
            self._backend.send(Message(b"Q", sql.encode() + b"\0"))
            answers = list(self._backend.until_ready())
            if answers[-1].kind == b"G":
                with rows.open("rb") as stream:
                    while chunk := stream.read(_CHUNK_BYTES):
                        self._backend.send(Message(b"d", chunk))
                self._backend.send(Message(b"c", b""))
                answers = list(self._backend.until_ready())
            if self._fault == "drop_after":
                raise Closed
            done = [Message(b"2", b"")] if answers[0].kind != b"E" else []
            self._client.sendall(b"".join(bytes(self._translated(one)) for one in done + answers))
        except CopyRefused as refused:
            self._record(refused)
            self._fail(refused.fields)
        finally:
            shutil.rmtree(folder)

    def _columns(self, table: str) -> list[Column]:
        try:
            rows = self._backend.query(
                "select attname, format_type(atttypid, atttypmod) from pg_attribute"
                f" where attrelid = to_regclass('{table}') and attnum > 0 and not attisdropped"
                " order by attnum"
            )
        except Refused as refused:
            raise CopyRefused(str(refused)) from None
        if not rows:
            raise CopyRefused(f"Cannot COPY into nonexistent table {table}")
        return [Column(str(name), str(type_name)) for name, type_name in rows]

    def _record(self, refused: CopyRefused) -> None:
        """Enter it into the error view, which no rollback undoes."""
        texts = [str(refused), refused.file, refused.column]
        quoted = ", ".join("'" + text.replace("'", "''") + "'" for text in texts)
        self._stand_in.administrate(
            "public",
            "insert into stand_in.load_errors (session_id, error_code, error_message, file_name,"
            f" column_name) values ({self._backend.pid}, {refused.code}, {quoted})",
        )
