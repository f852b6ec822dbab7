"""COPY of files of the lake, and what Redshift says about those it cannot take."""

import contextlib
import json
import re
import secrets
from collections.abc import Sequence

from brewtopia_lib.errors import S3Error, WarehouseError
from brewtopia_lib.lake import MANIFESTS, Lake
from brewtopia_lib.warehouse.redshift.session import Session, StatementError

_SIGNATURE = re.compile(r"(https?://[^\s?']+)\?[^\s']*")
_CONTEXT = re.compile(r"context:\s*(.*?)\s*(?:\n\s*query:|\Z)", re.DOTALL)
_FILE = re.compile(r"(?:s3://|https?://)[^\s',]+")
_COLUMN = re.compile(r"column '?(?:(?:s3|https?)://[^\s']*[./])?(\w+)'?", re.IGNORECASE)


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


def copy_files(session: Session, lake: Lake, table: str, batches: Sequence[str]) -> None:
    """Copy a table's files of these batches into its stage table, all of them at once.

    They are named in a manifest that lies beside the lake for as long as this takes.

    Raises CopyError where a file cannot be taken, LakeError where one is missing.
    """
    if not batches:
        return
    files = lake.files(table, batches)
    entries = [
        {"url": uri, "mandatory": True, "meta": {"content_length": size}} for uri, size in files
    ]
    name = f"{MANIFESTS}/{table}-{secrets.token_hex(8)}.json"
    body = json.dumps({"entries": entries}, ensure_ascii=False).encode()
    manifest = lake.write(name, body)
    role = session.location.role
    try:
        session.execute(
            f"copy stage_{table} from {_quoted(manifest)} iam_role"
            f" {role if role == 'default' else _quoted(role)} format as parquet manifest"
        )
    except StatementError as error:
        raise _copy_error(session, table, error) from error
    finally:
        with contextlib.suppress(S3Error):  # a manifest that stays does no harm
            lake.remove(name)


def _copy_error(session: Session, table: str, error: StatementError) -> CopyError:
    """What Redshift's error view says about it, else what came with the error."""
    context = _CONTEXT.search(error.detail)
    cause = " ".join((context[1] if context else error.detail).split()) or str(error)
    cause = _SIGNATURE.sub(r"\1", cause)
    file = _FILE.search(cause)
    column = _COLUMN.search(cause)
    known = [file[0].rstrip(".") if file else "", column[1] if column else "", cause]
    try:
        session.execute("rollback")
        # asked apart: this function runs on the leader node only, the view on all
        session_id = session.execute("select pg_backend_pid()").first_column[0]
        found = session.execute(
            "select file_name, column_name, error_message from sys_load_error_detail"
            " where session_id = :session_id order by start_time desc limit 1",
            {"session_id": session_id},
        )
        for row in found.rows:
            known = [
                " ".join((new or "").split()) or old for new, old in zip(row, known, strict=True)
            ]
    except WarehouseError:
        pass  # without the right to see it, the error itself must do
    name, where, why = known
    place = f"{name}, column {where}" if name and where else name or "the lake's files"
    return CopyError(
        f"{session.location} cannot take the lake's {table}: {place}: {why}; the warehouse is "
        "as it was before (docs/redshift.md says more about COPY)",
        table=table, file=name, column=where, cause=why,
    )  # fmt: skip


def _quoted(text: str) -> str:
    """A literal; Redshift takes a backslash for an escape, and control characters help no one."""
    if re.search(r"[\\\x00-\x1f]", text):
        raise WarehouseError(
            "the lake's location has a backslash or a control character in it, which COPY cannot "
            "take: set BREWTOPIA_LAKE to another prefix"
        )
    return "'" + text.replace("'", "''") + "'"
