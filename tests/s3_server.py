"""An S3 of moto's in this process, which counts requests and misbehaves when told."""

import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import boto3
from botocore.config import Config
from moto.moto_api._internal import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import WSGIRequestHandler, make_server

Environ = dict[str, Any]
Answer = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Fault = Callable[[str, Environ], Answer | None]

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "a-secret-never-to-be-shown",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}


class S3Server:
    """moto behind a door that sees each request first.

    Attributes:
        requests: how many there were, by action: list, get, head, put, delete, other.
        bytes_sent: how many bytes were in the bodies of answers to GETs and of PUTs, by action.
        most_at_once: how many of them were answered at the same time.
        fault: asked before each request, as (action, environ); what it gives answers instead.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.bytes_sent: Counter[str] = Counter()
        self.fault: Fault | None = None
        self.most_at_once = 0
        self._at_work = 0
        self._count = threading.Lock()
        self._clock = _an_hour_ago()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        action = _action(environ)
        with self._count:
            self.requests[action] += 1
            self._at_work += 1
            self.most_at_once = max(self.most_at_once, self._at_work)
        try:
            other = self.fault(action, environ) if self.fault else None
            answer = (other or self._moto)(environ, start)
            if action == "put":
                self.bytes_sent[action] += int(environ.get("CONTENT_LENGTH") or 0)
            if action == "get" and other is None:
                answer = [b"".join(answer)]
                self.bytes_sent[action] += len(answer[0])
            return answer
        finally:
            with self._count:
                self._at_work -= 1

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead boto3 here."""
        return ENVIRONMENT | {"AWS_ENDPOINT_URL": self.url}

    def reset(self) -> None:
        """Empty and well-behaved again."""
        self.fault = None
        moto_api_backend.reset()
        self.requests.clear()
        self.bytes_sent.clear()
        self.most_at_once = 0
        self._clock = _an_hour_ago()

    def client(self) -> Any:
        """A boto3 client of this server."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="secret",
            config=Config(retries={"mode": "standard"}),
        )

    def make_buckets(self, *names: str) -> None:
        for name in names:
            self._backend.create_bucket(name, "us-east-1")

    def put(self, bucket: str, key: str, body: bytes, at: datetime | None = None) -> None:
        """An object that came a while ago, each a second after the one before."""
        self._clock += timedelta(seconds=1)
        self._backend.put_object(bucket, key, body)
        self._backend.buckets[bucket].keys[key].last_modified = at or self._clock

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Everything in a bucket."""
        keys = self._backend.buckets[bucket].keys
        return {key: keys[key].value for key in keys}

    def kinds(self, bucket: str) -> dict[str, str]:
        """The content type of everything in a bucket."""
        keys = self._backend.buckets[bucket].keys
        return {key: keys[key].metadata["Content-Type"] for key in keys}

    def modified(self, bucket: str, key: str) -> datetime:
        moment: datetime = self._backend.buckets[bucket].keys[key].last_modified
        return moment

    def set_modified(self, bucket: str, key: str, at: datetime) -> None:
        self._backend.buckets[bucket].keys[key].last_modified = at

    @property
    def _backend(self) -> Any:
        return s3_backends["123456789012"]["aws"]

    @contextlib.contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """The requests, by action, of what is done inside."""
        before = self.requests.copy()
        during: Counter[str] = Counter()
        yield during
        during.update(self.requests - before)

    def close(self) -> None:
        self._server.shutdown()


def refusal(status: str, code: str, **headers: str) -> Answer:
    """An answer as S3 refuses things: a status, such as `403 Forbidden`, and S3's own code."""

    def answer(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = f"<Error><Code>{escape(code)}</Code><Message>no {SECRETIVE}</Message></Error>"
        start(status, [("Content-Type", "application/xml"), *headers.items()])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body.encode()]

    return answer


SECRETIVE = "words of S3 that may name an access key"


def reset_connection(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
    """No answer: the connection is cut."""
    raw: socket.socket = environ["werkzeug.socket"]
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


class Flaky:
    """Faults for a share of the requests, spread by a seed: 503s, cuts, cuts half-way through
    the answer, answers that are lost after the work was done, and slow ones."""

    def __init__(self, server: S3Server, share: float, slow_seconds: float, seed: int = 7) -> None:
        import random

        self.faults: Counter[str] = Counter()
        self._server = server
        self._share = share
        self._slow_seconds = slow_seconds
        self._chance = random.Random(seed)

    def __call__(self, action: str, environ: Environ) -> Answer | None:
        if self._chance.random() >= self._share:
            return None
        kind = self._chance.choice(["busy", "cut", "half", "lost", "slow"])
        self.faults[f"{kind} {action}"] += 1
        if kind == "busy":
            return refusal("503 Slow Down", "SlowDown")
        if kind == "cut":
            return reset_connection
        if kind == "slow":
            time.sleep(self._slow_seconds)
            return None
        return self.half if kind == "half" else self._lost

    def half(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        body = b"".join(self._server._moto(environ, start))
        yield body[: len(body) // 2]
        reset_connection(environ, start)

    def _lost(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        b"".join(self._server._moto(environ, lambda *_: None))
        return reset_connection(environ, start)


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any, **__: Any) -> None:
        pass


def _an_hour_ago() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0) - timedelta(hours=1)


def _action(environ: Environ) -> str:
    method, query = environ["REQUEST_METHOD"], parse_qs(environ.get("QUERY_STRING", ""))
    if "list-type" in query:
        return "list"
    if method == "POST" and environ.get("QUERY_STRING", "").startswith("delete"):
        return "delete"
    return {"GET": "get", "HEAD": "head", "PUT": "put", "DELETE": "delete"}.get(method, "other")
