"""COPY of Parquet from S3 through a manifest, as strict as Redshift is."""

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from botocore.exceptions import BotoCoreError, ClientError

_COPY = re.compile(
    r"\s*copy\s+(?P<table>[\w.\"]+)\s+from\s+'(?P<uri>(?:[^']|'')*)'\s+iam_role\s+"
    r"(?P<role>default|'(?:[^']|'')*')\s+format\s+(?:as\s+)?parquet\b(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
# what each type of a table takes: Parquet's physical type and what it stands for
_PARQUET = {
    "smallint": {("INT32", "INT_16"), ("INT32", "INT_32"), ("INT32", None)},
    "integer": {("INT32", "INT_32"), ("INT32", None)},
    "bigint": {("INT64", "INT_64"), ("INT64", None)},
    "boolean": {("BOOLEAN", None)},
    "date": {("INT32", "DATE")},
    "timestamp without time zone": {("INT64", "TIMESTAMP_MICROS"), ("INT64", "TIMESTAMP_MILLIS")},
    "character varying": {("BYTE_ARRAY", "UTF8")},
    "numeric": {
        ("INT32", "DECIMAL"), ("INT64", "DECIMAL"), ("FIXED_LEN_BYTE_ARRAY", "DECIMAL"),
    },
}  # fmt: skip


class Column(NamedTuple):
    name: str
    type: str

    @property
    def sizes(self) -> list[int]:
        return [int(size) for size in re.findall(r"\d+", self.type)]

    @property
    def base(self) -> str:
        return re.sub(r"\(.*\)", "", self.type)


class Copy(NamedTuple):
    table: str
    uri: str
    role: str
    is_manifest: bool


class CopyRefused(Exception):
    """Why Redshift would not copy, in about its words."""

    def __init__(
        self, context: str, *, code: int = 15007, file: str = "", column: str = ""
    ) -> None:
        super().__init__(context)
        self.code = code
        self.file = file
        self.column = column

    @property
    def fields(self) -> dict[str, str]:
        line = "-" * 47
        detail = (
            f"\n  {line}\n  error:  Spectrum Scan Error\n  code:      {self.code}\n"
            f"  context:   {self}\n  query:     4711\n  location:  scan.cpp:1\n"
            f"  process:   worker_thread [pid=1]\n  {line}\n"
        )
        return {"S": "ERROR", "C": "XX000", "M": "Spectrum Scan Error", "D": detail}


def parse_copy(sql: str) -> Copy | None:
    """The parts of a COPY; None where the statement is another one."""
    if not re.match(r"\s*copy\s", sql, re.IGNORECASE):
        return None
    match = _COPY.fullmatch(sql)
    if match is None:
        raise CopyRefused(
            "only COPY … FROM 's3://…' IAM_ROLE … FORMAT AS PARQUET can be told apart"
        )
    options = match["rest"].upper().split()
    for option in options:
        if option != "MANIFEST":
            raise CopyRefused(f"{option} argument is not supported for PARQUET based COPY")
    return Copy(
        match["table"],
        match["uri"].replace("''", "'"),
        match["role"].strip("'").replace("''", "'"),
        "MANIFEST" in options,
    )


def fetch_rows(
    copy: Copy, columns: Sequence[Column], s3: Any, roles: Mapping[str, set[str]], folder: Path
) -> Path:
    """All rows as one CSV file for PostgreSQL, nulls bare and texts in quotes."""
    if copy.role not in roles:
        raise CopyRefused(f"User is not authorized to assume IAM Role {copy.role}")
    store = _Store(s3, roles[copy.role])
    entries = _manifest(copy, store) if copy.is_manifest else store.listed(copy.uri)
    if not entries:
        raise CopyRefused(f"The specified S3 prefix '{copy.uri}' does not exist")
    with ThreadPoolExecutor(8) as threads:
        paths = list(
            threads.map(lambda one: store.fetch(one[1], folder / f"{one[0]}"), enumerate(entries))
        )
    uris = dict(zip(map(str, paths), entries, strict=True))
    with duckdb.connect() as connection:
        files = list(uris)
        _check_schemas(connection, files, uris, columns)
        _check_lengths(connection, files, uris, columns)
        texts = [f"column{n}" for n, one in enumerate(columns) if one.base == "character varying"]
        names = ", ".join(f"column{number}" for number in range(len(columns)))
        path = folder / "rows.csv"
        connection.execute(
            f"copy (select * from read_parquet($files) as t({names})) to '{path}' (format csv,"
            f" header false, nullstr '', force_quote ({', '.join(texts)}))"
            if texts
            else f"copy (select * from read_parquet($files)) to '{path}' (format csv, header false)",
            {"files": files},
        )
    return path


class _Store:
    """What a role may read of S3."""

    def __init__(self, s3: Any, buckets: set[str]) -> None:
        self._s3 = s3
        self._buckets = buckets

    def size(self, uri: str) -> int | None:
        bucket, key = self._parts(uri)
        try:
            return int(self._s3.head_object(Bucket=bucket, Key=key)["ContentLength"])
        except (BotoCoreError, ClientError) as error:
            refused = _refused(error, uri)
            if ",Status 404," in str(refused):
                return None
            raise refused from None

    def read(self, uri: str) -> bytes:
        bucket, key = self._parts(uri)
        try:
            return bytes(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except (BotoCoreError, ClientError) as error:
            raise _refused(error, uri) from None

    def fetch(self, uri: str, path: Path) -> Path:
        path.write_bytes(self.read(uri))
        return path

    def listed(self, uri: str) -> list[str]:
        bucket, key = self._parts(uri)
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
        return [f"s3://{bucket}/{one['Key']}" for page in pages for one in page.get("Contents", ())]

    def _parts(self, uri: str) -> tuple[str, str]:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if bucket not in self._buckets:
            raise CopyRefused(
                f"S3ServiceException:Access Denied,Status 403,Error AccessDenied, file {uri}",
                file=uri,
            )
        return bucket, key


def _refused(error: BotoCoreError | ClientError, uri: str) -> CopyRefused:
    code, status = "ServiceUnavailable", 503
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return CopyRefused(
        f"S3ServiceException:{code},Status {status},Error {code}, file {uri}", file=uri
    )


def _manifest(copy: Copy, store: _Store) -> list[str]:
    try:
        entries = json.loads(store.read(copy.uri))["entries"]
    except (ValueError, KeyError, TypeError):
        raise CopyRefused("Manifest file is not in correct json format") from None
    found = []
    for entry in entries:
        uri = entry["url"]
        if "content_length" not in entry.get("meta", {}):
            raise CopyRefused(
                f"meta.content_length is required in the manifest for {uri}", file=uri
            )
        size = store.size(uri)
        if size is None and entry.get("mandatory"):
            raise CopyRefused(f"Problem reading manifest file - file {uri} not found", file=uri)
        if size is not None and size != entry["meta"]["content_length"]:
            raise CopyRefused(f"the content length of {uri} is not that of the manifest", file=uri)
        if size is not None:
            found.append(uri)
    return found


def _check_schemas(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[str],
    uris: Mapping[str, str],
    columns: Sequence[Column],
) -> None:
    try:
        rows = connection.execute(
            "select file_name, name, type, converted_type, logical_type, precision, scale"
            " from parquet_schema($files) where num_children is null",
            {"files": list(files)},
        ).fetchall()
    except duckdb.Error as error:
        names = [uris[file] for file in files if file in str(error)]
        file = names[0] if names else ""
        raise CopyRefused(f"File '{file}' is not a Parquet file", code=15001, file=file) from None
    for file, codec in connection.execute(
        "select file_name, any_value(compression) from parquet_metadata($files)"
        " where compression not in ('SNAPPY', 'GZIP', 'UNCOMPRESSED') group by file_name",
        {"files": list(files)},
    ).fetchall():
        uri = uris[file]
        raise CopyRefused(f"File '{uri}' has an unsupported compression codec {codec}", file=uri)
    found: dict[str, list[Any]] = {file: [] for file in files}
    for file, *column in rows:
        found[file].append(column)
    for file, parts in found.items():
        uri = uris[file]
        if len(parts) != len(columns):
            raise CopyRefused(
                "Unmatched number of columns between table and file. "
                f"Table columns: {len(columns)}, Data columns: {len(parts)}, File name: {uri}",
                file=uri,
            )
        for column, (name, physical, converted, logical, precision, scale) in zip(
            columns, parts, strict=True
        ):
            fits = (physical, converted) in _PARQUET.get(column.base, ())
            if column.base == "numeric":
                size, digits = column.sizes
                fits = fits and (scale or 0) == digits and precision <= size
            if not fits:
                raise CopyRefused(
                    f"File '{uri}' has an incompatible Parquet schema for column '{uri}.{name}'. "
                    f"Column type: {column.type.upper()}, Parquet schema:\n"
                    f"optional {physical} {name} ({logical or converted})",
                    file=uri,
                    column=column.name,
                )


def _check_lengths(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[str],
    uris: Mapping[str, str],
    columns: Sequence[Column],
) -> None:
    texts = {n: one for n, one in enumerate(columns) if one.base == "character varying"}
    if not texts:
        return
    names = ", ".join(f"column{number}" for number in range(len(columns)))
    longest = ", ".join(f"max(strlen(column{number}))" for number in texts)
    rows = connection.execute(
        f"select filename, {longest} from read_parquet($files, filename = true)"
        f" as t({names}, filename) group by filename order by filename",
        {"files": list(files)},
    ).fetchall()
    for file, *found in rows:
        for column, length in zip(texts.values(), found, strict=True):
            limit = column.sizes[0]
            if length is not None and length > limit:
                raise CopyRefused(
                    f"The length of the data column {column.name} is longer than the length "
                    f"defined in the table. Table: {limit}, Data: {length}, File name: {uris[file]}",
                    code=15001,
                    file=uris[file],
                    column=column.name,
                )
