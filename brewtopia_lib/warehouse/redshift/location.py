"""What a `redshift://` location names; docs/redshift.md tells each part."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal
from urllib.parse import unquote

from brewtopia_lib.errors import SettingsError

SCHEME = "redshift://"
PASSWORD_VARIABLE = "BREWTOPIA_REDSHIFT_PASSWORD"
PORT = 5439

FORMS = (
    "redshift://workgroup.NAME/DATABASE, redshift://cluster.NAME/DATABASE?user=USER "
    "or redshift://USER@HOST:PORT/DATABASE"
)

Kind = Literal["workgroup", "cluster", "host"]

_OPTIONS: dict[Kind, tuple[str, ...]] = {
    "workgroup": ("region", "role", "schema", "readers"),
    "cluster": ("user", "region", "role", "schema", "readers"),
    "host": ("secret", "region", "role", "schema", "readers", "sslmode"),
}
_ROLE = r"arn:[a-z-]+:iam::\d{12}:role/[\w+=.@/-]+"
_PATTERNS = {
    "user": (r"[^\s\x00-\x1f'\"\\]{1,127}", "a database user"),
    "region": (r"[a-z]{2}(-[a-z]+)+-\d", "a region such as eu-west-2"),
    "role": (rf"default|{_ROLE}(,{_ROLE})*", "default, or the ARN of an IAM role"),
    "schema": (r"[a-z_][a-z0-9_]{0,126}", "a name of small letters, digits and _"),
    "readers": (r"[a-z_][a-z0-9_]{0,126}", "the name of a database role"),
    "secret": (r"[\w/+=.@:-]{1,2048}", "the name or the ARN of a secret"),
    "sslmode": (r"verify-full|verify-ca", "verify-full or verify-ca"),
}
_NAME = r"[a-z0-9][a-z0-9-]{0,63}"
_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?"
_DATABASE = r"[^\s\x00-\x1f/'\"\\]{1,127}"


@dataclass(frozen=True)
class RedshiftLocation:
    """A database in Redshift and how to get in; it holds no password.

    Attributes:
        name: of the workgroup, the cluster or the host.
        user: the database user; a workgroup takes it from the AWS identity.
        role: the IAM role that COPY reads the lake with; `default` is the cluster's own.
        readers: the database role that may read the tables, if there is one.
        secret: where Secrets Manager keeps user and password, if it does.
    """

    kind: Kind
    name: str
    database: str
    port: int = PORT
    user: str | None = None
    region: str | None = None
    role: str = "default"
    schema: str = "public"
    readers: str | None = None
    secret: str | None = None
    sslmode: str = "verify-full"

    def __str__(self) -> str:
        place = f"{self.name}:{self.port}" if self.kind == "host" else f"{self.kind} {self.name}"
        schema = f" (schema {self.schema})" if self.schema != "public" else ""
        return f"Redshift database {self.database}{schema} of {place}"


def parse(location: str) -> RedshiftLocation:
    """The parts of a location.

    Raises SettingsError naming the part that is wrong, and never a value that may be a secret.
    """
    place, _, query = location.removeprefix(SCHEME).partition("?")
    authority, _, database = place.partition("/")
    user, at, host = authority.rpartition("@")
    if ":" in user:
        raise _wrong(
            f"a password stands in it: take it out, and set {PASSWORD_VARIABLE} or secret=NAME"
        )
    database = unquote(database)
    if not re.fullmatch(_DATABASE, database):
        raise _wrong(f"it names no database: write {FORMS}")
    kind, name, port = _place(host, named_user=bool(at))
    options = _options(query, kind)
    if at:
        options["user"] = _checked("user", unquote(user))
    if kind == "cluster" and "user" not in options:
        raise _wrong(f"user is missing: write redshift://cluster.{name}/{database}?user=USER")
    if kind == "host" and not at and "secret" not in options:
        raise _wrong("it names neither a user nor a secret: write USER@HOST, or secret=NAME")
    return RedshiftLocation(kind, name, database, port, **options)


def _place(host: str, *, named_user: bool) -> tuple[Kind, str, int]:
    if not named_user:
        for kind in ("workgroup", "cluster"):
            name = host.removeprefix(f"{kind}.")
            if name != host and re.fullmatch(_NAME, name):
                return kind, name, PORT
    host, colon, port = host.partition(":")
    if not re.fullmatch(_HOST, host):
        raise _wrong(f"it names no workgroup, cluster or host: write {FORMS}")
    if colon and not (re.fullmatch(r"\d{1,5}", port) and 0 < int(port) < 65536):
        raise _wrong("its port is not a number from 1 to 65535")
    return "host", host, int(port) if colon else PORT


def _options(query: str, kind: Kind) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name in ("password", "pwd"):
            raise _wrong(f"a password stands in it: take it out, and set {PASSWORD_VARIABLE}")
        if name not in _OPTIONS[kind]:
            near = get_close_matches(name, _OPTIONS[kind], n=1) or _OPTIONS[kind]
            raise _wrong(f"a {kind} takes no such option: there is {', '.join(near)}")
        if name in options:
            raise _wrong(f"{name} stands in it twice")
        options[name] = _checked(name, unquote(value))
    return options


def _checked(name: str, value: str) -> str:
    pattern, meaning = _PATTERNS[name]
    if not re.fullmatch(pattern, value, re.ASCII if name != "user" else 0):
        raise _wrong(f"{name} is not {meaning}")
    return value


def _wrong(what: str) -> SettingsError:
    return SettingsError(f"the redshift:// location cannot be used: {what} (docs/redshift.md)")
