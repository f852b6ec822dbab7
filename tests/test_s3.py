"""The layer over boto3: whole objects, odd keys, failures in passing, and failures in one line."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from s3_server import ENVIRONMENT, SECRETIVE, Flaky, S3Server, refusal, reset_connection

from brewtopia_lib import cli
from brewtopia_lib.errors import RetryableError, S3Error, UsageError
from brewtopia_lib.storage import s3 as s3_module
from brewtopia_lib.storage.s3 import THREADS, Bucket, S3Path, Stored, in_parallel

ODD_KEYS = [
    "raw/a b.csv", "raw/a+b.csv", "raw/a%20b.csv", "raw/100%.csv", "raw/Café Öl/münchen ☕.csv",
    "raw/what?is=this&that#one.csv", "raw/it's \"quoted\".csv", "raw//double.csv", "raw/a\\b.csv",
    "raw/[a]*.csv",
]  # fmt: skip


def whole(_: Stored, chunks: Iterator[bytes]) -> bytes:
    return b"".join(chunks)


def content(bucket: Bucket, key: str) -> bytes:
    return bucket.read(key, whole)[1]


# --- paths


def test_a_key_is_taken_as_it_is_written() -> None:
    """Nothing in a key is decoded or dropped, and a path prints as it was read."""
    for key in ODD_KEYS:
        path = S3Path.parse(f"s3://tills/{key}")
        assert (path.bucket, path.key, str(path)) == ("tills", key, f"s3://tills/{key}")


@pytest.mark.parametrize("uri", ["s3://", "s3:///a.csv", "s3://who:hunter2@tills/a", "s3://a b/c"])
def test_what_names_no_bucket_is_refused(uri: str) -> None:
    """A URI without a usable bucket is wrong usage; a password in it is not repeated."""
    with pytest.raises(UsageError, match="names no bucket: write s3://bucket/prefix") as error:
        S3Path.parse(uri)
    assert "hunter2" not in str(error.value)


def test_boto3_is_imported_when_it_is_used() -> None:
    """The command line, and even the modules that use S3, start without boto3."""
    code = (
        "import sys, brewtopia_lib.cli, brewtopia_lib.storage.s3, brewtopia_lib.storage.stores,"
        " brewtopia_lib.sources.fetching; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# --- objects


def test_odd_keys_come_back(s3: S3Server) -> None:
    """Spaces, +, %, quotes and letters of any alphabet can be written, listed, read and deleted."""
    bucket = Bucket("tills")
    for key in ODD_KEYS:
        bucket.write(key, key.encode())
    assert sorted(s3.objects("tills")) == sorted(ODD_KEYS)
    assert sorted(one.key for one in bucket.objects("raw/")) == sorted(ODD_KEYS)
    assert [content(bucket, key).decode() for key in ODD_KEYS] == ODD_KEYS
    bucket.delete(ODD_KEYS)
    assert s3.objects("tills") == {}


def test_lists_and_deletions_of_any_length(s3: S3Server) -> None:
    """More objects than one answer holds are all listed, in order, and all deleted."""
    keys = [f"raw/{number:05}.csv" for number in range(2_100)]
    for key in keys:
        s3.put("tills", key, b"")
    bucket = Bucket("tills")
    with s3.counting() as requests:
        assert [one.key for one in bucket.objects("raw/")] == keys
        assert len(list(bucket.objects("raw/", limit=1))) == 1
        bucket.delete(keys)
    assert s3.objects("tills") == {}
    assert requests == {"list": 4, "delete": 3}


def test_a_write_is_one_put_with_a_checksum(s3: S3Server) -> None:
    """Whatever its size, an object comes whole, in one request that says what it must be."""
    big = bytes(range(256)) * 100_000
    bucket = Bucket("tills")
    with s3.counting() as requests:
        bucket.write("big.parquet", big)
    assert requests == {"put": 1}
    assert s3.objects("tills") == {"big.parquet": big}
    head = s3.client().head_object(Bucket="tills", Key="big.parquet", ChecksumMode="ENABLED")
    assert head["ChecksumCRC32"]
    assert head["ContentType"] == "application/vnd.apache.parquet"


def test_eight_transfers_at_a_time(s3: S3Server) -> None:
    """Objects are read several at a time, not one after the other, and no more than that."""

    def slow(*_: object) -> None:
        time.sleep(0.05)

    for number in range(24):
        s3.put("tills", f"{number}", b"x")
    bucket = Bucket("tills")
    s3.fault = slow
    assert b"".join(in_parallel(lambda key: content(bucket, f"{key}"), range(24))) == b"x" * 24
    assert s3.most_at_once == THREADS


# --- what fails in passing


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short time-outs and short pauses between attempts."""
    monkeypatch.setattr(s3_module, "READ_SECONDS", 1)
    monkeypatch.setattr(s3_module, "_LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff._MAX_BACKOFF", 0.1)


@pytest.mark.usefixtures("impatient")
def test_busy_cut_and_slow_answers_are_tried_again(s3: S3Server) -> None:
    """With 503s, cut connections, halves of answers and late ones, every object comes whole."""
    bodies = {f"{number}": bytes([number]) * 3_000_000 for number in range(4)}
    bodies |= {f"{number}": bytes([number]) for number in range(4, 60)}
    s3.fault = faults = Flaky(s3, share=0.3, slow_seconds=2)
    bucket = Bucket("tills")
    list(in_parallel(lambda key: bucket.write(key, bodies[key]), bodies))
    assert {one.key: one.size for one in bucket.objects()} == {
        key: len(body) for key, body in bodies.items()
    }
    read = dict(zip(bodies, in_parallel(lambda key: content(bucket, key), bodies), strict=True))
    assert read == bodies
    assert {kind.split()[0] for kind in faults.faults} == {"busy", "cut", "half", "lost", "slow"}


@pytest.mark.usefixtures("impatient")
def test_a_content_that_breaks_off_is_taken_anew(s3: S3Server) -> None:
    """What was read of an answer that broke off is forgotten, not put before the rest."""
    s3.put("tills", "a", b"0123456789" * 100_000)
    halves = iter([True, True])
    flaky = Flaky(s3, share=1, slow_seconds=0)
    s3.fault = lambda action, environ: flaky.half if next(halves, False) else None
    takes = []

    def take(_: Stored, chunks: Iterator[bytes]) -> int:
        takes.append(0)
        for chunk in chunks:
            takes[-1] += len(chunk)
        return takes[-1]

    assert Bucket("tills").read("a", take)[1] == 1_000_000
    assert len(takes) == 3


# --- what fails


LIST, READ = (
    lambda: list(Bucket("tills").objects("raw/")),
    lambda: content(Bucket("tills"), "raw/a"),
)
WRITE, DELETE = (
    lambda: Bucket("tills").write("raw/a", b""),
    lambda: Bucket("tills").delete(["raw/a"]),
)
ACTIONS = {"listed": LIST, "read": READ, "written": WRITE, "deleted": DELETE}
RIGHTS = {
    "listed": "s3:ListBucket", "read": "s3:GetObject", "written": "s3:PutObject",
    "deleted": "s3:DeleteObject",
}  # fmt: skip


def told(action: str) -> str:
    with pytest.raises(S3Error) as error:
        ACTIONS[action]()
    message = str(error.value)
    assert message.startswith("s3://tills/raw/")
    assert f" cannot be {action}: " in message
    assert "\n" not in message
    for secret in (SECRETIVE, ENVIRONMENT["AWS_SECRET_ACCESS_KEY"], "AKIDEXAMPLE"):
        assert secret not in message
    assert (error.value.bucket, error.value.code != "") == ("tills", True)
    return message.split(f" cannot be {action}: ")[1]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        ("403 Forbidden", "AccessDenied", "the right {right} on bucket tills is missing: grant it"),
        ("400 Bad Request", "ExpiredToken", "the AWS credentials have expired: sign in again"),
        ("403 Forbidden", "InvalidAccessKeyId", "AWS does not accept the credentials: set"),
        ("403 Forbidden", "SignatureDoesNotMatch", "AWS does not accept the credentials: set"),
        (
            "400 Bad Request",
            "AuthorizationHeaderMalformed",
            "tills is in another region: set AWS_R",
        ),
        ("403 Forbidden", "RequestTimeTooSkewed", "this machine's clock is wrong: set it"),
        ("404 Not Found", "NoSuchBucket", "bucket tills does not exist: check the name"),
        ("418 I'm a teapot", "Unheard", "S3 says Unheard: see docs/s3.md"),
    ],
)
def test_a_refusal_is_one_line(
    s3: S3Server, action: str, status: str, code: str, says: str
) -> None:
    """What S3 refuses is told with bucket, action, cause and way out, and in none of its words."""
    s3.fault = lambda *_: refusal(status, code)
    assert says.format(right=RIGHTS[action]) in told(action)


def test_a_refusal_without_a_body(s3: S3Server) -> None:
    """Where S3 gives a bare status only, that says as much as it can."""
    s3.fault = lambda *_: refusal("400 Bad Request", "ExpiredToken")
    with pytest.raises(S3Error, match="cannot be read: .* sign in again, and check AWS_REGION"):
        Bucket("tills").look("raw/a")


def test_another_region_is_named(s3: S3Server) -> None:
    """Where S3 says in which region the bucket is, so do we."""
    s3.fault = lambda *_: refusal(
        "301 Moved Permanently", "PermanentRedirect", **{"x-amz-bucket-region": "eu-west-2"}
    )
    assert "bucket tills is in region eu-west-2: set AWS_REGION to it" in told("listed")


def test_a_bucket_that_is_not_there(s3: S3Server) -> None:
    """The server's own words for a bucket that nobody made become ours."""
    for act in (
        lambda: list(Bucket("nowhere").objects()),
        lambda: content(Bucket("nowhere"), "a"),
        lambda: Bucket("nowhere").write("a", b""),
    ):
        with pytest.raises(S3Error, match="bucket nowhere does not exist: check the name"):
            act()


def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


def _half_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


def _no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")


def _no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://who:hunter2@127.0.0.1:9")


def _nonsense_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "not a region")


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_no_credentials, "no AWS credentials were found: set AWS_PROFILE"),
        (_half_credentials, "the AWS credentials are not complete: set AWS_PROFILE"),
        (_no_profile, "there is no such AWS profile: check AWS_PROFILE"),
        (_no_endpoint, "127.0.0.1:9 cannot be reached: check the network"),
        (_nonsense_region, "AWS_REGION is no region"),
    ],
)
def test_wrong_settings_of_boto3_are_one_line(
    spoil: Callable[[pytest.MonkeyPatch], None],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """What is wrong on this side is a line on stderr too, without passwords, and exit code 1."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BREWTOPIA_RAW", "s3://tills/raw")
    spoil(monkeypatch)
    with pytest.raises(SystemExit) as end:
        cli.main(["ingest"])
    [line] = capsys.readouterr().err.splitlines()
    assert end.value.code == 1
    assert line.startswith("brewtopia: s3://tills/")
    assert says in line
    assert "hunter2" not in line


@pytest.mark.usefixtures("impatient")
def test_what_stays_busy_is_told(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """After several attempts, as many as AWS_MAX_ATTEMPTS says, an error tells what to do."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    s3.fault = lambda *_: refusal("503 Slow Down", "SlowDown")
    with s3.counting() as requests:
        assert "run it again in a while" in told("read")
    assert requests == {"get": 3}
    s3.fault = lambda *_: reset_connection
    assert "run it again in a while" in told("listed")
    with pytest.raises(RetryableError):
        LIST()


# --- doctor


@pytest.fixture
def doctor(
    s3: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[[], list[str]]:
    """Runs `brewtopia doctor` with everything on S3 and gives its lines."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").touch()
    places = {"RAW": "s3://tills/raw", "LAKE": "s3://lake/x", "REPORTS": "s3://pages"}
    for name, place in places.items():
        monkeypatch.setenv(f"BREWTOPIA_{name}", place)

    def run() -> list[str]:
        with pytest.raises(SystemExit):
            cli.main(["doctor"])
        return capsys.readouterr().out.splitlines()

    return run


def test_doctor_tries_the_buckets(s3: S3Server, doctor: Callable[[], list[str]]) -> None:
    """What is fine on S3 gets its tick, and the trial leaves nothing behind."""
    lines = doctor()
    assert "✓ raw files: s3://tills/raw has no files yet" in lines
    s3.put("tills", "raw/a.csv", b"")
    lines = doctor()
    assert {"✓ raw files: s3://tills/raw", "✓ lake: s3://lake/x", "✓ reports: s3://pages/"} <= {
        *lines
    }
    assert s3.objects("lake") == s3.objects("pages") == {}


@pytest.mark.parametrize(
    ("action", "part", "right"),
    [
        ("list", "raw files", "s3:ListBucket"),
        ("head", "raw files", "s3:GetObject"),
        ("list", "lake", "s3:ListBucket"),
        ("put", "lake", "s3:PutObject"),
        ("delete", "reports", "s3:DeleteObject"),
    ],
)
def test_doctor_names_the_right_that_is_missing(
    s3: S3Server, doctor: Callable[[], list[str]], action: str, part: str, right: str
) -> None:
    """Each right that a location needs is tried, and named where it is missing."""
    s3.put("tills", "raw/a.csv", b"")
    s3.fault = lambda act, _: refusal("403 Forbidden", "AccessDenied") if act == action else None
    assert any(line.startswith(f"✗ {part}: s3://") and right in line for line in doctor())
