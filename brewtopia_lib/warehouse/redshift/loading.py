"""Lake → Redshift: one retried transaction that makes anew what the new files speak of."""

import json
import random
import re
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Protocol

from brewtopia_lib.errors import LakeError, WarehouseError, WarehouseUnavailableError
from brewtopia_lib.warehouse.duckdb import Loaded
from brewtopia_lib.warehouse.redshift.location import RedshiftLocation, parse
from brewtopia_lib.warehouse.redshift.migrations import migrate
from brewtopia_lib.warehouse.redshift.session import Session, StatementError

ATTEMPTS = 8
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_NAMED_AT_ONCE = 500

_SIGNATURE = re.compile(r"(https?://[^\s?']+)\?[^\s']*")
_CONTEXT = re.compile(r"context:\s*(.*?)\s*(?:\n\s*query:|\Z)", re.DOTALL)
_FILE = re.compile(r"(?:s3://|https?://)[^\s',]+")
_COLUMN = re.compile(r"column '?(?:(?:s3|https?)://[^\s']*[./])?(\w+)'?", re.IGNORECASE)


class LakeFiles(Protocol):
    """What a load takes from a lake on S3, beside which it leaves its manifests for a moment."""

    def batches(self) -> Sequence[str]:
        """The names of all committed batches."""

    def files(self, table: str, batches: Collection[str]) -> Sequence[tuple[str, int]]:
        """The s3:// URI and the size in bytes of a table's file of each of these batches."""

    def write(self, name: str, body: bytes) -> str:
        """Put a small object beside the lake's tables; gives its s3:// URI."""

    def remove(self, name: str) -> None:
        """Delete what `write` put there."""


class CopyError(WarehouseError):
    """Redshift cannot take a file of the lake.

    Attributes:
        table: which of the lake's tables.
        file: the file, where Redshift names it.
        column: the column, where Redshift names it.
        cause: what is wrong with it, in Redshift's words.
    """

    def __init__(self, message: str, *, table: str, file: str, column: str, cause: str) -> None:
        super().__init__(message)
        self.table = table
        self.file = file
        self.column = column
        self.cause = cause


def load(
    location: str,
    lake: LakeFiles,
    *,
    batches: Sequence[str] | None = None,
    pause: Callable[[float], object] = time.sleep,
) -> Loaded:
    """Bring the warehouse up to what the lake holds, or to these batches of it.

    Everything happens in one transaction that holds a lock on the ledger: loads at the same time
    wait for each other, readers wait for none. A conflict or a lost connection rolls it back, and
    it is tried again, up to eight times.

    Raises CopyError where a file of the lake cannot be taken, LakeError where one is missing,
    and WarehouseUnavailableError where no attempt came through; the warehouse is then as it was
    before.
    """
    place = parse(location)
    uncertain = Loaded(0, 0, 0)
    for attempt in range(1, ATTEMPTS + 1):
        run = _Load(place, lake, batches)
        try:
            loaded = run.once()
            # a commit whose answer was lost may have been done
            return loaded if loaded.objects else uncertain
        except WarehouseUnavailableError:
            uncertain = run.committing or uncertain
            if attempt == ATTEMPTS:
                raise
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt)
        pause(random.uniform(longest / 2, longest))
    raise AssertionError("unreachable")


class _Load:
    """One attempt, on a connection of its own."""

    def __init__(
        self, location: RedshiftLocation, lake: LakeFiles, batches: Sequence[str] | None
    ) -> None:
        self._location = location
        self._lake = lake
        self._batches = batches
        self.committing: Loaded | None = None

    def once(self) -> Loaded:
        self._session = Session(self._location)
        try:
            migrate(self._session)
            if not any(self._changes()):
                return Loaded(0, 0, 0)
            with self._session.transaction():
                # the lock before all else: the snapshot must not be older than it
                self._session.execute("lock table load_ledger")
                self.committing = loaded = self._replace()
            return loaded
        except StatementError as error:
            raise WarehouseError(
                f"the load into {self._location} failed and changed nothing: {error}"
            ) from error
        finally:
            self._session.close()

    def _changes(self) -> tuple[list[str], list[str]]:
        """The batches that the ledger lacks, and those that the lake no longer has."""
        if self._batches is not None:
            named = sorted(set(self._batches))
            return [batch for batch in named if batch not in self._known(named)], []
        known = set(self._session.execute("select distinct batch from load_ledger").first_column)
        found = set(self._lake.batches())
        return sorted(found - known), sorted(known - found)

    def _known(self, batches: Sequence[str]) -> set[str]:
        known: set[str] = set()
        for some in _slices(batches):
            condition, values = _one_of(some)
            known |= set(
                self._session.execute(
                    f"select distinct batch from load_ledger where {condition}", values
                ).first_column
            )
        return known

    def _replace(self) -> Loaded:
        session = self._session
        fresh, gone = self._changes()
        for some in _slices(gone):
            condition, values = _one_of(some)
            session.execute(f"delete from load_ledger where {condition}", values)
        session.run("redshift_stage")
        self._copy("objects", fresh)
        session.run("redshift_arrivals")
        self._refuse_strangers()
        arrived = self._ask("select distinct batch from arrivals where orders > 0")
        self._copy("orders", arrived)
        session.run("redshift_touched")
        provided = self._ask("select distinct batch from providers where orders > 0")
        self._copy("orders", [batch for batch in provided if batch not in set(arrived)])
        self._copy("lines", provided)
        self._copy("items", provided)
        self._copy("rejects", self._ask("select distinct batch from arrivals where rejected > 0"))
        session.run("redshift_load", {"loaded_at": datetime.now(UTC).replace(tzinfo=None)})
        counts = session.execute(
            "select (select count(*) from arrivals), (select count(*) from fresh_orders),"
            " (select count(*) from touched)"
        )
        return Loaded(*counts.rows[0])

    def _refuse_strangers(self) -> None:
        """Raises WarehouseError where the warehouse has what the lake has not: whose is it then?"""
        strangers, stranger = self._session.execute(
            "select count(*), min(loads.source) from loads"
            " left join lake_current on lake_current.source = loads.source"
            " where loads.is_current and lake_current.source is null"
        ).rows[0]
        if strangers:
            raise WarehouseError(
                f"the warehouse in {self._location} holds {strangers:,} files that the lake does "
                f"not know, such as {stranger}: run `brewtopia clean` on all raw files, or name "
                "another database or schema to make it anew from this lake"
            )

    def _ask(self, sql: str) -> list[str]:
        return self._session.execute(sql).first_column

    def _copy(self, table: str, batches: Sequence[str]) -> None:
        """All files of a table at once, through a manifest that is there for this long only."""
        if not batches:
            return
        files = self._lake.files(table, batches)
        if len(files) != len(batches):
            raise LakeError(
                f"the lake lacks {len(batches) - len(files)} files of its {table}: run "
                "`brewtopia clean` on all raw files, and load again"
            )
        entries = [
            {"url": uri, "mandatory": True, "meta": {"content_length": size}} for uri, size in files
        ]
        name = f"manifests/{table}-{secrets.token_hex(8)}.json"
        body = json.dumps({"entries": entries}, ensure_ascii=False).encode()
        manifest = self._lake.write(name, body)
        role = self._location.role
        try:
            self._session.execute(
                f"copy stage_{table} from {_quoted(manifest)} iam_role"
                f" {role if role == 'default' else _quoted(role)} format as parquet manifest"
            )
        except StatementError as error:
            raise self._copy_error(table, error) from error
        finally:
            self._lake.remove(name)

    def _copy_error(self, table: str, error: StatementError) -> CopyError:
        """What Redshift's error view says about it, else what came with the error."""
        context = _CONTEXT.search(error.detail)
        cause = " ".join((context[1] if context else error.detail).split()) or str(error)
        cause = _SIGNATURE.sub(r"\1", cause)
        file = _FILE.search(cause)
        column = _COLUMN.search(cause)
        known = [file[0].rstrip(".") if file else "", column[1] if column else "", cause]
        try:
            self._session.execute("rollback")
            # asked apart: this function runs on the leader node only, the view on all
            session_id = self._session.execute("select pg_backend_pid()").first_column[0]
            found = self._session.execute(
                "select file_name, column_name, error_message from sys_load_error_detail"
                " where session_id = :session_id order by start_time desc limit 1",
                {"session_id": session_id},
            )
            for row in found.rows:
                known = [
                    " ".join((new or "").split()) or old
                    for new, old in zip(row, known, strict=True)
                ]
        except WarehouseError:
            pass  # without the right to see it, the error itself must do
        name, where, why = known
        place = f"{name}, column {where}" if name and where else name or "the lake's files"
        return CopyError(
            f"{self._location} cannot take the lake's {table}: {place}: {why}; the warehouse is "
            "as it was before (docs/redshift.md says more about COPY)",
            table=table, file=name, column=where, cause=why,
        )  # fmt: skip


def _slices(batches: Sequence[str]) -> list[Sequence[str]]:
    return [
        batches[start : start + _NAMED_AT_ONCE] for start in range(0, len(batches), _NAMED_AT_ONCE)
    ]


def _one_of(batches: Sequence[str]) -> tuple[str, dict[str, object]]:
    """A condition on the batch, and the parameters it takes."""
    values: dict[str, object] = {f"batch{number}": one for number, one in enumerate(batches)}
    return f"batch in ({', '.join(f':{name}' for name in values)})", values


def _quoted(text: str) -> str:
    """A literal; Redshift takes a backslash for an escape, and control characters help no one."""
    if re.search(r"[\\\x00-\x1f]", text):
        raise WarehouseError(
            "the lake's location has a backslash or a control character in it, which COPY cannot "
            "take: set BREWTOPIA_LAKE to another prefix"
        )
    return "'" + text.replace("'", "''") + "'"
