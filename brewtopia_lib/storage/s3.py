"""Objects in S3: one thin layer over boto3, whose own configuration says where and as whom."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar

from brewtopia_lib.errors import S3Error, S3UnavailableError, UsageError
from brewtopia_lib.settings import without_secrets

THREADS = 8
ATTEMPTS = 6
CONNECT_SECONDS = 10
READ_SECONDS = 60

SCHEME = "s3://"

_CHUNK_BYTES = 1 << 20
_DELETED_AT_ONCE = 1000
_LONGEST_PAUSE_SECONDS = 10

_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".ipynb": "application/x-ipynb+json",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
}

_RIGHTS = {
    "listed": "s3:ListBucket",
    "read": "s3:GetObject",
    "written": "s3:PutObject",
    "deleted": "s3:DeleteObject",
}
_CREDENTIALS = "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give this machine a role"
_BUSY = "S3 does not keep up or is disturbed", "run it again in a while"
_EXPIRED = "the AWS credentials have expired", "sign in again"
_NOT_ACCEPTED = "AWS does not accept the credentials", _CREDENTIALS
_OTHER_REGION = "bucket {bucket} is in {region}", "set AWS_REGION to it"
_DENIED = "the right {right} on bucket {bucket} is missing", "grant it (docs/s3.md has the policy)"
_NOT_THERE = "it is not there", "check the name"
_NOT_REACHED = "{endpoint} cannot be reached", "check the network, AWS_ENDPOINT_URL and AWS_REGION"
CAUSES = {
    "NoSuchBucket": ("bucket {bucket} does not exist", "check the name"),
    "InvalidBucketName": ("{bucket} cannot be a bucket's name", "check the name"),
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "403": _DENIED,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "TokenRetrievalError": _EXPIRED,
    "SSOTokenLoadError": _EXPIRED,
    "UnauthorizedSSOTokenError": _EXPIRED,
    "InvalidAccessKeyId": _NOT_ACCEPTED,
    "InvalidToken": _NOT_ACCEPTED,
    "SignatureDoesNotMatch": _NOT_ACCEPTED,
    "NoCredentialsError": ("no AWS credentials were found", _CREDENTIALS),
    "PartialCredentialsError": ("the AWS credentials are not complete", _CREDENTIALS),
    "CredentialRetrievalError": ("the AWS credentials cannot be got", _CREDENTIALS),
    "ProfileNotFound": ("there is no such AWS profile", "check AWS_PROFILE"),
    "AuthorizationHeaderMalformed": _OTHER_REGION,
    "IllegalLocationConstraintException": _OTHER_REGION,
    "PermanentRedirect": _OTHER_REGION,
    "301": _OTHER_REGION,
    "InvalidRegionError": ("AWS_REGION is no region", "set it to the bucket's"),
    "400": (  # all there is of an answer without a body
        "S3 does not accept the credentials or the region",
        "sign in again, and check AWS_REGION",
    ),
    "NoSuchKey": _NOT_THERE,
    "404": _NOT_THERE,
    "InvalidObjectState": ("it is archived", "restore it first"),
    "RequestTimeTooSkewed": ("this machine's clock is wrong", "set it"),
    "SlowDown": _BUSY,
    "InternalError": _BUSY,
    "ServiceUnavailable": _BUSY,
    "RequestTimeout": _BUSY,
    "ReadTimeoutError": _BUSY,
    "ResponseStreamingError": _BUSY,
    "IncompleteReadError": _BUSY,
    "ConnectionClosedError": _BUSY,
    "500": _BUSY,
    "503": _BUSY,
    "EndpointConnectionError": _NOT_REACHED,
    "ConnectTimeoutError": _NOT_REACHED,
    "ProxyConnectionError": _NOT_REACHED,
    "SSLError": ("{endpoint} has no certificate to trust", "check AWS_CA_BUNDLE"),
}

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, order=True)
class S3Path:
    """A bucket and a key in it; the key may be a prefix, or empty."""

    bucket: str
    key: str = ""

    @classmethod
    def parse(cls, uri: str) -> Self:
        """The path an `s3://bucket/key` names; a key is taken as it is written.

        Raises UsageError where there is no bucket in it.
        """
        bucket, _, key = uri.removeprefix(SCHEME).partition("/")
        if not uri.startswith(SCHEME) or not re.fullmatch(
            r"[A-Za-z0-9][\w.-]{1,253}", bucket, re.ASCII
        ):
            raise UsageError(f"{without_secrets(uri)} names no bucket: write s3://bucket/prefix")
        return cls(bucket, key)

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """What the keys below it begin with."""
        return self.key.rstrip("/") + "/" if self.key else ""

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Stored:
    """What S3 tells of an object: its ETag changes with its content; times are S3's own, UTC."""

    key: str
    etag: str
    size: int
    modified: datetime
    told: datetime

    @property
    def is_settled(self) -> bool:
        """Whether no other content can come with the same time, which S3 tells in whole seconds."""
        return self.told - self.modified >= timedelta(seconds=1)


def is_s3(location: str) -> bool:
    return location.startswith(SCHEME)


class Bucket:
    """A bucket to list, read, write and delete in; safe to share between threads.

    boto3 tries again what fails in passing; whatever else fails is an S3Error of one line that
    names bucket and action and repeats nothing secret.
    """

    def __init__(self, name: str, attempts: int = ATTEMPTS) -> None:
        self.name = name
        self._client: Any = None
        with self._explaining("reached", ""):
            self._client = client("s3", attempts)

    @property
    def endpoint(self) -> str:
        return str(self._client.meta.endpoint_url) if self._client else "S3"

    def objects(
        self, prefix: str = "", limit: int | None = None, after: str = ""
    ) -> Iterator[Stored]:
        """The objects whose keys begin with a prefix, in the order of their keys.

        With `after`, those whose keys come after that one; the others cost nothing.
        """
        paginator = self._client.get_paginator("list_objects_v2")
        few = {"MaxItems": limit, "PageSize": limit}
        pages = iter(
            paginator.paginate(
                Bucket=self.name, Prefix=prefix, StartAfter=after, PaginationConfig=few
            )
        )
        while True:
            with self._explaining("listed", prefix):
                page = next(pages, None)
            if page is None:
                return
            for one in page.get("Contents", ()):
                yield _stored(one["Key"], one, one["Size"], page)

    def read(
        self, key: str, take: Callable[[Stored, Iterator[bytes]], Result]
    ) -> tuple[Stored, Result]:
        """Read an object whole: what it is, and what `take` makes of its content.

        Length and checksum are checked. Where the content breaks off, `take` gets it anew.
        """
        from botocore.exceptions import (
            FlexibleChecksumError,
            IncompleteReadError,
            ReadTimeoutError,
            ResponseStreamingError,
        )

        broken_off = (
            FlexibleChecksumError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError,
        )  # fmt: skip
        with self._explaining("read", key):
            for attempt in range(1, ATTEMPTS + 1):
                response = self._client.get_object(Bucket=self.name, Key=key)
                stored = _stored(key, response, response["ContentLength"], response)
                try:
                    with closing(response["Body"]) as body:
                        return stored, take(stored, body.iter_chunks(_CHUNK_BYTES))
                except broken_off:  # boto3 tries again only up to the first byte
                    if attempt == ATTEMPTS:
                        raise
                    time.sleep(min(2**attempt / 4, _LONGEST_PAUSE_SECONDS))
        raise AssertionError("the last attempt ends it")

    def look(self, key: str) -> Stored:
        """What there is to know of an object but its content."""
        with self._explaining("read", key):
            response = self._client.head_object(Bucket=self.name, Key=key)
        return _stored(key, response, response["ContentLength"], response)

    def write(self, key: str, content: bytes | Path) -> None:
        """Write an object whole, in one PUT: readers see the old one until the new one is there."""
        kind = _CONTENT_TYPES.get(Path(key).suffix, "application/octet-stream")
        body = content.open("rb") if isinstance(content, Path) else content
        try:
            with self._explaining("written", key):
                self._client.put_object(Bucket=self.name, Key=key, Body=body, ContentType=kind)
        finally:
            if not isinstance(body, bytes):
                body.close()

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there count as deleted."""
        from botocore.exceptions import ClientError

        for start in range(0, len(keys), _DELETED_AT_ONCE):
            some = keys[start : start + _DELETED_AT_ONCE]
            with self._explaining("deleted", some[0]):
                answer = self._client.delete_objects(
                    Bucket=self.name,
                    Delete={"Objects": [{"Key": key} for key in some], "Quiet": True},
                )
            for error in answer.get("Errors", ()):
                with self._explaining("deleted", error.get("Key", "")):
                    raise ClientError({"Error": error}, "DeleteObjects")

    @contextmanager
    def _explaining(self, action: str, key: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            answer = error.response if isinstance(error, ClientError) else {}
            code = code_of(error)
            headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            region = answer.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region")
            found = CAUSES.get(code, (f"S3 says {code}", "see docs/s3.md"))
            cause, way_out = found
            kind = S3UnavailableError if found in (_BUSY, _NOT_REACHED) else S3Error
            facts = {
                "bucket": self.name,
                "right": _RIGHTS.get(action, ""),
                "region": f"region {region}" if region else "another region",
                "endpoint": without_secrets(self.endpoint),
            }
            raise kind(
                f"{S3Path(self.name, key)} cannot be {action}: {cause.format(**facts)}: {way_out}",
                bucket=self.name, key=key, code=code,
            ) from error  # fmt: skip


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The results of a function in the order of its items, several worked on at a time."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)


def client(service: str, attempts: int = ATTEMPTS) -> Any:
    """A boto3 client that tries again what fails in passing."""
    import boto3
    from botocore.config import Config
    from botocore.session import get_session

    session = get_session()
    session.register_component("data_loader", _loader())
    return boto3.Session(botocore_session=session).client(
        service,
        config=Config(
            retries={
                "mode": "standard",
                "total_max_attempts": session.get_config_variable("max_attempts") or attempts,
            },
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=THREADS,
        ),
    )


def code_of(error: Exception) -> str:
    """AWS's own word for why, or the name of what kept boto3 from asking."""
    answer = getattr(error, "response", None) or {}
    return str(answer.get("Error", {}).get("Code") or type(error).__name__)


@cache
def _loader() -> Any:
    """What boto3 knows of AWS: most of the time a client takes to be made goes into reading it."""
    from botocore.loaders import create_loader

    return create_loader()


def _stored(key: str, facts: dict[str, Any], size: int, response: dict[str, Any]) -> Stored:
    date = response["ResponseMetadata"]["HTTPHeaders"].get("date")
    told = parsedate_to_datetime(date) if date else datetime.now(UTC)
    # some stores tell fractions of a second in lists and none elsewhere
    modified = _naive(facts["LastModified"]).replace(microsecond=0)
    return Stored(key, facts["ETag"].strip('"'), size, modified, _naive(told))


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
