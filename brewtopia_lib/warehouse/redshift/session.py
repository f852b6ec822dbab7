"""One connection to Redshift: statements in, rows out, each failure told apart."""

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any, NoReturn

import numpy as np
import redshift_connector
from redshift_connector.error import NotSupportedError

from brewtopia_lib.errors import WarehouseError, WarehouseUnavailableError
from brewtopia_lib.warehouse.parameters import parameter_names, replace_parameters
from brewtopia_lib.warehouse.redshift.credentials import credentials
from brewtopia_lib.warehouse.redshift.location import RedshiftLocation

# Redshift reports conflicts as XX000 with a number of its own in front of the message.
_CONFLICT = re.compile(r"^(1023|1018)\b|serializable isolation violation", re.IGNORECASE)
_CONFLICT_STATES = ("40001", "40P01")
_PASSING_STATES = ("08", "53", "57P")
_PASSING_S3 = re.compile(
    r"SlowDown|ServiceUnavailable|InternalError|RequestTimeout|Status 50[03]", re.IGNORECASE
)
_DATA_STATES = ("22", "23")


class StatementError(WarehouseError):
    """Redshift refuses a statement; the message has its words without any data.

    Attributes:
        state: the SQLSTATE.
        detail: what Redshift adds, which may name files and columns.
    """

    def __init__(self, message: str, *, state: str, detail: str) -> None:
        super().__init__(message)
        self.state = state
        self.detail = detail


@dataclass(frozen=True)
class Column:
    """A column of a result: its name and the number of its type."""

    name: str
    type_oid: int


@dataclass(frozen=True)
class Result:
    """All rows of a statement, as exact Python values."""

    columns: list[Column]
    rows: Sequence[Sequence[Any]]

    @property
    def first_column(self) -> list[Any]:
        return [row[0] for row in self.rows]


class Session:
    """A connection in autocommit mode, whose search path is the location's schema.

    Raises WarehouseError where the sign-in is refused, WarehouseUnavailableError where nothing
    answers.
    """

    def __init__(self, location: RedshiftLocation) -> None:
        self.location = location
        signed = credentials(location)
        try:
            self._connection = redshift_connector.connect(
                host=signed.host,
                port=signed.port,
                database=location.database,
                user=signed.user,
                password=signed.password,
                sslmode=location.sslmode,
                application_name="brewtopia",
                max_prepared_statements=0,
                # a long COPY says nothing: only so is a dead connection told from a busy one
                tcp_keepalive_idle=60,
                tcp_keepalive_interval=15,
                tcp_keepalive_count=4,
            )
        except Exception as error:  # noqa: BLE001 - the driver raises of every kind
            problem = _problem(error)
            if problem and not problem["C"].startswith(_PASSING_STATES):
                raise WarehouseError(f"{location} refuses the sign-in: {_words(problem)}") from None
            will_not_pass = isinstance(_of_the_system(error), ssl.SSLError | socket.gaierror)
            kind = WarehouseError if will_not_pass else WarehouseUnavailableError
            raise kind(
                f"{location} cannot be reached ({_cause(error)}): check the host, the port, the "
                "security group and the network"
            ) from None
        self._connection.autocommit = True
        self.execute(f'set search_path to "{location.schema}"')

    @property
    def is_in_transaction(self) -> bool:
        return bool(self._connection.in_transaction)

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> Result:
        """Run one statement, its parameters written `:name`.

        Raises StatementError where Redshift refuses it, and WarehouseUnavailableError where
        another one was faster or the connection is lost.
        """
        text, values = bind(sql, parameters or {})
        cursor = self._connection.cursor()
        cursor.paramstyle = "qmark"
        try:
            cursor.execute(text, values or None)
            columns = [Column(str(one[0]), int(one[1])) for one in cursor.description or ()]
            return Result(columns, cursor.fetchall() if columns else ())
        except Exception as error:  # noqa: BLE001 - a cut connection raises of every kind
            self._fail(error)

    def run(self, name: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run each statement of a file in `ddl/`, with those of the parameters that it names."""
        for sql in statements(name):
            wanted = parameter_names(sql)
            self.execute(sql, {key: (parameters or {})[key] for key in wanted})

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, or nothing of it."""
        self.execute("begin")
        try:
            yield
            self.execute("commit")
        except BaseException:
            with contextlib.suppress(WarehouseError):
                self.execute("rollback")
            raise

    def close(self) -> None:
        with contextlib.suppress(Exception):  # it may be cut already
            self._connection.close()

    def _fail(self, error: Exception) -> NoReturn:
        problem = _problem(error)
        if problem is None:
            if isinstance(error, NotSupportedError):
                raise WarehouseError(
                    f"a parameter has a type Redshift cannot take: {error}"
                ) from None
            self.close()
            raise WarehouseUnavailableError(
                f"the connection to {self.location} was lost ({_cause(error)}): run it again"
            ) from None
        state, words, detail = problem["C"], _words(problem), problem.get("D", "")
        if state in _CONFLICT_STATES or (
            state == "XX000" and (_CONFLICT.search(words) or _CONFLICT.search(detail))
        ):
            raise WarehouseUnavailableError(
                f"{self.location}: another load changed the same tables (error 1023): run it again"
            ) from None
        if state.startswith(_PASSING_STATES) or _PASSING_S3.search(detail):
            raise WarehouseUnavailableError(f"{self.location}: {words}: run it again") from None
        raise StatementError(words, state=state, detail=detail) from None


def bind(sql: str, parameters: Mapping[str, object]) -> tuple[str, list[object]]:
    """The SQL with `$1`, `$2` … for its `:name`s, and their values in this order.

    Raises WarehouseError naming what is missing or not taken.
    """
    names = parameter_names(sql)
    for name in names:
        if name not in parameters:
            raise WarehouseError(f"the query lacks a value for :{name}")
    for name in parameters:
        if name not in names:
            raise WarehouseError(f"the query has no parameter :{name}")
    places = {name: f"${number}" for number, name in enumerate(names, start=1)}
    return replace_parameters(sql, places.__getitem__), [_plain(parameters[n]) for n in names]


def statements(name: str) -> list[str]:
    """The statements of a file in `ddl/`, each of which ends with a semicolon and its line."""
    path = resources.files("brewtopia_lib") / "warehouse" / "ddl" / f"{name}.sql"
    parts = re.split(r";[ \t]*(?:\n|\Z)", path.read_text("utf-8"))
    return [part.strip() for part in parts if re.sub(r"--[^\n]*", "", part).strip()]


def _plain(value: object) -> object:
    """The value as a type the driver knows."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, datetime) and type(value) is not datetime:
        return datetime.fromisoformat(value.isoformat())
    return value


def _problem(error: Exception) -> dict[str, str] | None:
    """The fields that the server sent with an error; None where it sent none."""
    fields = error.args[0] if error.args else None
    return fields if isinstance(fields, dict) and "C" in fields else None


def _words(problem: Mapping[str, str]) -> str:
    words = " ".join(problem.get("M", "it gives no reason").split())
    # an error of data quotes the value behind a colon
    return words.partition(': "')[0] if problem["C"].startswith(_DATA_STATES) else words


def _cause(error: Exception) -> str:
    """Why a connection failed, in the words of the operating system where it has some."""
    cause = _of_the_system(error)
    return cause.strerror if cause and cause.strerror else type(error).__name__


def _of_the_system(error: Exception) -> OSError | None:
    found = (one for one in (error, *error.args) if isinstance(one, OSError))
    return next(found, None)
