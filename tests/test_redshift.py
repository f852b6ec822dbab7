"""The Redshift warehouse, on the stand-in: the same tables and answers as DuckDB's, safely loaded."""

import datetime as dt
import inspect
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pandas as pd
import pytest
import sqlglot
from redshift_stand_in import Fault, StandIn, needs_stand_in
from redshift_stand_in.questions import PARTS, TABLES, assert_same_rows, content
from redshift_stand_in.server import DATABASE, PASSWORD, ROLE, Action
from s3_server import S3Server
from sqlglot import exp
from tills import Order, settings_in, till, write_files

from brewtopia_lib.desk import Desk
from brewtopia_lib.errors import (
    BrewtopiaError,
    LakeError,
    SettingsError,
    WarehouseError,
    WarehouseUnavailableError,
)
from brewtopia_lib.ingest import ingest
from brewtopia_lib.lake import Lake
from brewtopia_lib.queries import load_query, query_names
from brewtopia_lib.settings import Settings
from brewtopia_lib.warehouse import Warehouse, open_warehouse
from brewtopia_lib.warehouse.redshift import CopyError, RedshiftWarehouse, load, parse
from brewtopia_lib.warehouse.redshift.credentials import credentials
from brewtopia_lib.warehouse.redshift.migrations import migrate, migrations
from brewtopia_lib.warehouse.redshift.session import Session, bind, statements

RESERVED = frozenset(
    (Path(__file__).parent / "redshift_stand_in" / "reserved_words.txt").read_text().split()
)
DDL = sorted(
    path.stem
    for path in Path(inspect.getfile(Settings)).parent.glob("warehouse/ddl/redshift_*.sql")
)


@pytest.fixture(scope="module", autouse=True)
def bucket(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 with the lake's bucket in it, where boto3 finds it."""
    s3_server.reset()
    s3_server.make_buckets("lake")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment.items():
            patch.setenv(name, value)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield s3_server


@pytest.fixture
def redshift(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """The stand-in without what an earlier test asked of it."""
    for name, value in stand_in.environment.items():
        monkeypatch.setenv(name, value)
    stand_in.faults.clear()
    stand_in.statements.clear()
    yield stand_in
    stand_in.faults.clear()


class Twins:
    """The same raw files, through one lake on S3, in a DuckDB warehouse and in a Redshift."""

    def __init__(self, folder: Path, server: StandIn) -> None:
        self.location = server.new_location()
        self.server = server
        self.prefix = f"{schema_of(self.location)}/lake of Café's + 100%"
        self.settings = settings_in(folder).model_copy(update={"lake": f"s3://lake/{self.prefix}"})
        self.lake = Lake(self.settings.lake)

    def clean(self, files: Mapping[str, bytes] | None = None) -> Lake:
        """Clean the raw files, with these among them."""
        write_files(Path(self.settings.raw), files or {})
        assert not ingest(self.settings).failures
        return self.lake

    def ingest(self, files: Mapping[str, bytes] | None = None) -> "Twins":
        load(self.location, self.clean(files), pause=lambda _: None)
        return self

    def stored(self, folder: str) -> list[str]:
        """The keys in a folder of the lake."""
        found = self.server.s3.list_objects_v2(Bucket="lake", Prefix=f"{self.prefix}/{folder}/")
        return [one["Key"] for one in found.get("Contents", ())]

    def replace(self, table: str, body: bytes) -> str:
        """Put other bytes in the place of a table's only file; gives its URI."""
        (key,) = self.stored(table)
        self.server.s3.put_object(Bucket="lake", Key=key, Body=body)
        return f"s3://lake/{key}"

    def duckdb(self) -> Warehouse:
        return open_warehouse(self.settings.warehouse)

    def redshift(self) -> RedshiftWarehouse:
        return RedshiftWarehouse(self.location)

    def assert_equal(self) -> None:
        """Row for row, but for the time of loading."""
        with self.duckdb() as one, self.redshift() as other:
            assert_same_rows(one, other)


def schema_of(location: str) -> str:
    return parse(location).schema


FILES = {
    "Leeds_1.csv": till(Order(day=1, minute=minute) for minute in range(20)),
    "Leeds_2.csv": till(Order(day=2, minute=minute) for minute in range(20)) + b"what is this\n",
    "York_1.csv": till(
        Order(day=1, minute=minute, branch="York", items=(("Large Tea", 150), ("Latte", 245)))
        for minute in range(10)
    ),
}


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory, stand_in: StandIn) -> Twins:
    """Three small files, cleaned and in DuckDB: what many tests begin with a copy of."""
    made = Twins(tmp_path_factory.mktemp("cleaned"), stand_in)
    made.clean(FILES)
    return made


@pytest.fixture
def twins(tmp_path: Path, redshift: StandIn, cleaned: Twins, bucket: S3Server) -> Twins:
    """Three small files, loaded into both."""
    shutil.copytree(Path(cleaned.settings.raw).parent, tmp_path, dirs_exist_ok=True)
    twins = Twins(tmp_path, redshift)
    for key, body in bucket.objects("lake").items():
        if key.startswith(cleaned.prefix):
            bucket.put("lake", key.replace(cleaned.prefix, twins.prefix), body)
    load(twins.location, twins.lake)
    return twins


# --- locations


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("redshift://workgroup.sales/dev", "Redshift database dev of workgroup sales"),
        ("redshift://cluster.main-1/dev?user=loader", "Redshift database dev of cluster main-1"),
        ("redshift://loader@db.example:5440/dev", "Redshift database dev of db.example:5440"),
        ("redshift://db.example/dev?secret=loader/key", "Redshift database dev of db.example:5439"),
        # a host may begin like the other forms, where a user says that it is one
        ("redshift://me@workgroup.sales/dev", "Redshift database dev of workgroup.sales:5439"),
    ],
)
def test_locations_name_a_database(location: str, shown: str) -> None:
    """A workgroup, a cluster and a host are told apart."""
    assert str(parse(location)) == shown


def test_locations_take_options() -> None:
    """Each option ends where it belongs, percent signs decoded."""
    location = parse(
        f"redshift://workgroup.sales/dev?region=eu-west-2&role={ROLE.replace('/', '%2F')}"
        "&schema=cafe&readers=dashboards"
    )
    assert (location.region, location.role) == ("eu-west-2", ROLE)
    assert (location.schema, location.readers) == ("cafe", "dashboards")


@pytest.mark.parametrize(
    ("location", "word"),
    [
        ("redshift://", "database"),
        ("redshift://workgroup.sales", "database"),
        ("redshift://workgroup.sales/", "database"),
        ("redshift://workgroup.sales/a/b", "database"),
        ("redshift://workgroup./dev", "neither a user nor a secret|no workgroup"),
        ("redshift://@/dev", "no workgroup, cluster or host"),
        ("redshift://cluster.main/dev", "user is missing"),
        ("redshift://db.example/dev", "neither a user nor a secret"),
        ("redshift://me@db.example:x/dev", "port"),
        ("redshift://me@db.example:70000/dev", "port"),
        ("redshift://me:Fl4t-White@db.example/dev", "a password stands in it"),
        ("redshift://me:Fl4t@White@db.example/dev", "a password stands in it"),
        ("redshift://me@db.example/dev?password=Fl4t-White", "a password stands in it"),
        ("redshift://workgroup.sales/dev?regoin=eu-west-2", "there is region"),
        ("redshift://workgroup.sales/dev?region=London", "region is not a region"),
        ("redshift://workgroup.sales/dev?role=admin", "role is not default, or the ARN"),
        ("redshift://workgroup.sales/dev?role=x'--", "role is not"),
        ('redshift://workgroup.sales/dev?schema=a"b', "schema is not"),
        ("redshift://workgroup.sales/dev?schema=a&schema=b", "twice"),
        ("redshift://me@db.example/dev?sslmode=disable", "verify-full or verify-ca"),
        ("redshift://cluster.main/dev?user=me&secret=x", "no such option"),
    ],
)
def test_wrong_locations_are_refused(location: str, word: str) -> None:
    """What is wrong is named, before anything is connected to, and no password is repeated."""
    with pytest.raises(SettingsError, match=word) as caught:
        open_warehouse(location)
    assert "Fl4t" not in str(caught.value)
    assert "White" not in str(caught.value)


def test_missing_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a password the variable that wants it is named."""
    monkeypatch.delenv("BREWTOPIA_REDSHIFT_PASSWORD", raising=False)
    with pytest.raises(SettingsError, match="set BREWTOPIA_REDSHIFT_PASSWORD"):
        open_warehouse("redshift://me@db.example/dev")


def test_the_driver_is_not_imported_without_need() -> None:
    """Who works with DuckDB never waits for Redshift's driver."""
    code = "import sys, brewtopia_lib.warehouse as w; sys.exit('redshift_connector' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- signing in


class Aws(BaseHTTPRequestHandler):
    """Redshift Serverless's API, as much as signing in needs."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server: Any = self.server
        action = self.headers["X-Amz-Target"].rpartition(".")[2]
        server.asked.append((action, asked))
        status, answer = server.answers[action]
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An endpoint whose answers a test sets, and what was asked of it."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Aws)
    server.asked, server.answers = [], {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    yield server
    server.shutdown()


@needs_stand_in
def test_workgroups_sign_in_by_iam(twins: Twins, aws: Any) -> None:
    """A workgroup's endpoint and its short-lived password come from AWS, over a checked TLS."""
    server = twins.server
    server.passwords["IAMR:analyst"] = "for a while"
    server.administrate("postgres", 'create user "IAMR:analyst"')
    schema = schema_of(twins.location)
    server.administrate(schema, f'grant usage on schema {schema} to "IAMR:analyst"')
    server.administrate(schema, f'grant select on all tables in schema {schema} to "IAMR:analyst"')
    endpoint = {"address": "localhost", "port": server.port}
    aws.answers = {
        "GetWorkgroup": (200, {"workgroup": {"endpoint": endpoint}}),
        "GetCredentials": (200, {"dbUser": "IAMR:analyst", "dbPassword": "for a while"}),
    }
    location = f"redshift://workgroup.sales/{DATABASE}?region=eu-west-2&schema={schema}"
    with open_warehouse(location) as warehouse:
        assert warehouse.rows("select current_user, count(*) from orders")[1] == [
            ("IAMR:analyst", 50)
        ]
    assert ("GetCredentials", {"workgroupName": "sales", "dbName": DATABASE}) in aws.asked


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("AccessDeniedException", "grant redshift-serverless:GetWorkgroup"),
        ("ExpiredTokenException", "sign in again"),
        ("ResourceNotFoundException", "check the names and the region"),
    ],
)
def test_what_aws_refuses(aws: Any, code: str, word: str) -> None:
    """A right that is missing, an expired sign-in and a wrong name are one line with the way out."""
    aws.answers = {"GetWorkgroup": (400, {"__type": code, "message": "no"})}
    with pytest.raises(WarehouseError, match=word) as caught:
        open_warehouse("redshift://workgroup.sales/dev?region=eu-west-2")
    assert "workgroup sales" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_clusters_and_secrets(bucket: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster's sign-in comes from IAM, a host's from Secrets Manager, and no repr shows it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
    boto3.client("redshift", region_name="us-east-1").create_cluster(
        ClusterIdentifier="main", NodeType="ra3.large", MasterUsername="admin",
        MasterUserPassword="Adm1n-Pass", DBName="dev", ClusterType="single-node",
    )  # fmt: skip
    boto3.client("secretsmanager", region_name="us-east-1").create_secret(
        Name="loader/key", SecretString=json.dumps({"username": "loader", "password": PASSWORD})
    )
    boto3.client("secretsmanager", region_name="us-east-1").create_secret(
        Name="broken", SecretString=PASSWORD
    )
    cluster = credentials(parse("redshift://cluster.main/dev?user=loader&region=us-east-1"))
    assert (cluster.user, cluster.port) == ("IAM:loader", 5439)
    assert cluster.host.startswith("main.")
    host = credentials(parse("redshift://db.example/dev?secret=loader/key&region=us-east-1"))
    assert (host.user, host.password, host.host) == ("loader", PASSWORD, "db.example")
    assert PASSWORD not in repr(host)
    with pytest.raises(SettingsError, match="not JSON with username and password") as caught:
        credentials(parse("redshift://db.example/dev?secret=broken&region=us-east-1"))
    assert PASSWORD not in str(caught.value)


@needs_stand_in
def test_no_password_in_any_message(
    twins: Twins, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A refused sign-in, a wrong certificate and a lost server say so without the password."""
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("BREWTOPIA_REDSHIFT_PASSWORD", "Wr0ng-Brew")
    said = [raised(WarehouseError, lambda: twins.redshift())]
    assert "refuses the sign-in" in said[0]
    monkeypatch.setenv("BREWTOPIA_REDSHIFT_PASSWORD", PASSWORD)
    lost = twins.location.replace(f":{twins.server.port}/", ":1/")
    said.append(raised(WarehouseUnavailableError, lambda: open_warehouse(lost)))
    assert "cannot be reached" in said[1]
    monkeypatch.delenv("SSL_CERT_FILE")
    said.append(raised(WarehouseError, lambda: twins.redshift()))
    assert "cannot be reached" in said[2]
    for text in (*said, caplog.text):
        assert "Wr0ng-Brew" not in text
        assert PASSWORD not in text


def raised(kind: type[BrewtopiaError], function: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        function()
    return str(caught.value)


# --- SQL that Redshift takes


@pytest.mark.parametrize("name", DDL)
def test_statements_parse(name: str) -> None:
    """Every statement that is sent parses in Redshift's dialect."""
    found = statements(name)
    assert found
    for sql in found:
        parsed = sqlglot.parse(sql, dialect="redshift")
        assert len(parsed) == 1
        assert not isinstance(parsed[0], exp.Command), sql


@needs_stand_in
def test_statements_sent_parse(twins: Twins) -> None:
    """So does all else that a load and a reader send; what the parser leaves alone is listed."""
    with twins.redshift() as warehouse:
        list(warehouse.frames("select * from orders"))
    unparsed = set()
    for sql in set(twins.server.statements):
        if sql == "begin read only":  # AWS documents it, and the parser does not know it
            continue
        (parsed,) = sqlglot.parse(sql, dialect="redshift")
        if isinstance(parsed, exp.Command):
            unparsed.add(sql.split()[0])
    assert unparsed <= {"lock", "declare", "fetch"}


@pytest.mark.parametrize("sql", [*DDL, *query_names()])
def test_no_name_is_a_reserved_word(sql: str) -> None:
    """No table, column or alias is a word that Redshift keeps for itself."""
    texts = statements(sql) if sql in DDL else [load_query(sql).sql]
    for text in texts:
        for identifier in sqlglot.parse_one(text, dialect="redshift").find_all(exp.Identifier):
            assert identifier.quoted or identifier.name.upper() not in RESERVED, identifier.name


def test_types_are_explicit() -> None:
    """No column takes a length or a scale that Redshift would choose, and none numbers itself."""
    tables = re.sub(r"--[^\n]*", "", "\n".join(";\n".join(statements(name)) for name in DDL))
    for kind in ("varchar", "decimal"):
        assert re.search(rf"\b{kind}\b", tables)
        assert not re.search(rf"\b{kind}\b(?!\s*\()", tables)
    assert not re.search(r"\b(text|numeric|float|real|identity|char)\b", tables)
    assert not re.search(r"\b(truncate|merge|primary key|unique)\b", tables)


# --- the same as DuckDB


CORRECTIONS: dict[str, list[dict[str, bytes]]] = {
    "corrected": [{"Leeds_1.csv": till(Order(day=1, minute=m, payment="CASH") for m in range(5))}],
    "emptied": [{"Leeds_1.csv": b""}],
    "moved to another day": [{"York_1.csv": till([Order(day=9, branch="York")])}],
    "overlapping": [
        {
            "both.csv": FILES["Leeds_1.csv"]
            + till([Order(day=2, minute=0), Order(day=2, minute=99)]),
            "again.csv": FILES["Leeds_2.csv"],
        }
    ],
    "one of two overlapping gone": [
        {"again.csv": FILES["Leeds_1.csv"] + till([Order(day=1, minute=77)])},
        {"Leeds_1.csv": b""},
        {"again.csv": till([Order(day=1, minute=77)])},
    ],
    "reverted": [{"Leeds_1.csv": till([Order(day=1)])}, {"Leeds_1.csv": FILES["Leeds_1.csv"]}],
    "of many names": [
        {
            "Łódź_3.csv": till(
                [
                    Order(day=3, branch="Łódź", items=(("Large It's \\ 100% Ø", 100),)),
                    Order(day=3, branch="Łódź", items=(("Latte", 245), ("Regular Latte", 245))),
                ]
            )
        }
    ],
}


@needs_stand_in
@pytest.mark.parametrize("story", CORRECTIONS)
def test_deliveries_end_as_in_duckdb(twins: Twins, story: str) -> None:
    """Corrected, emptied, overlapping and reverted files leave what they leave in DuckDB."""
    for files in CORRECTIONS[story]:
        twins.ingest(files)
        twins.assert_equal()


@needs_stand_in
def test_superseded_versions_keep_their_time(twins: Twins) -> None:
    """A corrected file's earlier version stays in `loads` with the time it was loaded at."""
    sql = "select version, loaded_at from loads where source = 'Leeds_1.csv'"
    with twins.redshift() as warehouse:
        first = warehouse.rows(sql)[1]
    twins.ingest({"Leeds_1.csv": till([Order(day=1)])})
    with twins.redshift() as warehouse:
        assert warehouse.rows(f"{sql} and not is_current")[1] == first
        assert len(warehouse.rows(sql)[1]) == 2


@needs_stand_in
def test_many_deliveries_at_once(tmp_path: Path, redshift: StandIn) -> None:
    """Batches loaded together come to what they come to one by one, in one COPY a table."""
    twins = Twins(tmp_path, redshift)
    for files in (FILES, *CORRECTIONS["one of two overlapping gone"], *CORRECTIONS["overlapping"]):
        lake = twins.clean(files)
    assert len(lake.batches()) == 5
    redshift.statements.clear()
    load(twins.location, lake)
    copies = [sql for sql in redshift.statements if sql.startswith("copy")]
    assert len(copies) == 5
    assert len({sql.split()[1] for sql in copies}) == 5
    twins.assert_equal()


@needs_stand_in
def test_the_longest_names_fit(tmp_path: Path, redshift: StandIn) -> None:
    """Names of 120 letters of four bytes each reach both warehouses whole; longer ones neither."""
    longest, longer = "\U00010414" * 120, "\U00010414" * 121
    rows = [
        Order(branch=longest, items=((f"Large {longest}", 245),)),
        Order(minute=1, items=((f"Large {longer}", 245),)),
        Order(minute=2, branch=longer),
    ]
    twins = Twins(tmp_path, redshift)
    twins.ingest({"long.csv": till(rows)})
    with twins.redshift() as warehouse:
        (row,) = warehouse.rows("select product, octet_length(branch) from sales")[1]
        assert row == (longest, 480)
        assert warehouse.rows("select count(*) from rejects")[1] == [(2,)]
    twins.assert_equal()


# --- loading safely


@needs_stand_in
def test_four_loaders_at_once(tmp_path: Path, redshift: StandIn) -> None:
    """Loaders that start together on an empty database make the tables and the rows once."""
    twins = Twins(tmp_path, redshift)
    lake = twins.clean(FILES)
    barrier = threading.Barrier(4)

    def one_load(_: int) -> int:
        barrier.wait()
        return load(twins.location, lake, pause=lambda _: None).orders

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(one_load, range(4))) == [0, 0, 0, 50]
    twins.assert_equal()


@needs_stand_in
def test_what_another_loaded_meanwhile_stays(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that came and was loaded after a load had looked at the lake is not taken for gone."""
    looks: list[list[str]] = []

    def batches(lake: Lake) -> list[str]:
        looks.append(look(lake))
        if len(looks) == 1:
            twins.ingest({"Hull_1.csv": till([Order(branch="Hull")])})
        return looks[-1]

    twins.clean({"Leeds_1.csv": b""})
    look = Lake.batches
    monkeypatch.setattr(Lake, "batches", batches)
    load(twins.location, twins.lake)
    twins.assert_equal()
    assert load(twins.location, twins.lake).objects == 0


FAULTS = [
    ("drop", "^begin$"),
    ("drop", "^lock table load_ledger"),
    ("drop", "^insert into loads"),
    ("drop", "^commit$"),
    ("drop_after", "^copy stage_orders"),
    ("drop_after", "^delete from order_facts"),
    ("drop_after", "^commit$"),
    ("conflict", "^lock table load_ledger"),
    ("conflict", "^copy stage_lines"),
    ("conflict", "create temp table touched"),
    ("conflict", "^commit$"),
]


@needs_stand_in
@pytest.mark.parametrize(("action", "pattern"), FAULTS)
def test_faults_lose_and_double_nothing(twins: Twins, action: Any, pattern: str) -> None:
    """A conflict or a cut connection at any step ends in the same warehouse."""
    lake = twins.clean(CORRECTIONS["overlapping"][0] | {"York_1.csv": b""})
    twins.server.faults.append(Fault(pattern, action))
    pauses: list[float] = []
    loaded = load(twins.location, lake, pause=pauses.append)
    assert not twins.server.faults
    assert loaded.objects == 3
    assert len(pauses) == 1
    assert all(0 < seconds <= 30 for seconds in pauses)
    assert not twins.stored("manifests")
    twins.assert_equal()


@needs_stand_in
def test_a_commit_without_an_answer(twins: Twins) -> None:
    """What a load did is what it says, whether it was committed or another did it meanwhile."""
    theirs: list[int] = []

    def another_load(_: float) -> None:
        theirs.append(load(twins.location, twins.lake).objects)

    stories: list[tuple[Action, bytes, tuple[int, int]]] = [
        ("drop", b"", (0, 1)),
        ("drop_after", FILES["Leeds_1.csv"], (1, 0)),
    ]
    for action, body, done in stories:
        twins.clean({"Leeds_1.csv": body})
        twins.server.faults.append(Fault("^commit$", action))
        mine = load(twins.location, twins.lake, pause=another_load).objects
        assert (mine, theirs.pop()) == done
    twins.assert_equal()


@needs_stand_in
def test_trying_ends(twins: Twins) -> None:
    """After eight attempts the load gives up with an error that says it may pass, and changes nothing."""
    lake = twins.clean({"Leeds_1.csv": b""})
    twins.server.faults.append(Fault("^insert into loads", "conflict", times=100))
    pauses: list[float] = []
    with pytest.raises(WarehouseUnavailableError, match="1023"):
        load(twins.location, lake, pause=pauses.append)
    assert len(pauses) == 7
    twins.server.faults.clear()
    with twins.redshift() as warehouse:
        assert warehouse.rows("select count(*) from orders")[1] == [(50,)]


def parquet(query: str, codec: str = "snappy") -> bytes:
    with duckdb.connect() as connection:
        path = Path(os.environ["PYTEST_PARQUET"])
        connection.execute(f"copy ({query}) to '{path}' (format parquet, compression {codec})")
        return path.read_bytes()


GOOD_LINE = "'b' as batch, 1::bigint as basket_no, 1::integer as line_no, 1::bigint as item_no"
GOOD_ITEM = (
    "'b' as batch, 1::bigint as item_no, 'Tea' as product, null::varchar as size,"
    " null::varchar as flavour, 1::integer as quantity, 1::decimal(12, 2) as unit_price,"
    " 1::decimal(12, 2) as line_total"
)


@needs_stand_in
@pytest.mark.parametrize(
    ("table", "query", "column", "cause"),
    [
        ("lines", "", "", "not a Parquet file"),
        ("lines", f"select {GOOD_LINE}", "", "unsupported compression codec ZSTD"),
        ("lines", "select 1 as batch", "", "Unmatched number of columns"),
        ("lines", f"select {GOOD_LINE}, 1 as more", "", "Unmatched number of columns"),
        ("lines", f"select * replace ('x' as line_no) from (select {GOOD_LINE})", "line_no",
         "incompatible Parquet schema"),
        ("items", f"select * replace (1.5::double as line_total) from (select {GOOD_ITEM})",
         "line_total", "incompatible Parquet schema"),
        ("items", f"select * replace (1::decimal(18, 4) as unit_price) from (select {GOOD_ITEM})",
         "unit_price", "incompatible Parquet schema"),
        ("items", f"select * replace (repeat('é', 241) as product) from (select {GOOD_ITEM})",
         "product", "longer than the length defined in the table. Table: 480, Data: 482"),
    ],
)  # fmt: skip
def test_files_that_copy_cannot_take(
    tmp_path: Path, redshift: StandIn, monkeypatch: pytest.MonkeyPatch,
    table: str, query: str, column: str, cause: str,
) -> None:  # fmt: skip
    """The file, the column and the cause are named, nothing is changed, no manifest is left."""
    monkeypatch.setenv("PYTEST_PARQUET", str(tmp_path / "bad.parquet"))
    twins = Twins(tmp_path, redshift)
    lake = twins.clean(FILES)
    codec = "zstd" if "ZSTD" in cause else "snappy"
    body = parquet(query, codec) if query else b"nothing that Parquet begins with"
    uri = twins.replace(table, body)
    with pytest.raises(CopyError) as caught:
        load(twins.location, lake, pause=lambda _: None)
    error = caught.value
    assert (error.table, error.file, error.column) == (table, uri, column)
    assert cause in error.cause
    assert uri in str(error)
    assert "\n" not in str(error)
    assert not twins.stored("manifests")
    with twins.redshift() as warehouse:
        assert warehouse.rows("select count(*) from loads")[1] == [(0,)]


@needs_stand_in
def test_timestamps_must_not_be_nanoseconds(
    tmp_path: Path, redshift: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times that Redshift would read as nonsense are refused by the stand-in."""
    monkeypatch.setenv("PYTEST_PARQUET", str(tmp_path / "bad.parquet"))
    twins = Twins(tmp_path, redshift)
    lake = twins.clean(FILES)
    (key,) = twins.stored("orders")
    good = tmp_path / "good.parquet"
    good.write_bytes(redshift.s3.get_object(Bucket="lake", Key=key)["Body"].read())
    twins.replace(
        "orders", parquet(f"select * replace (sold_at::timestamp_ns as sold_at) from '{good}'")
    )
    with pytest.raises(CopyError) as caught:
        load(twins.location, lake)
    assert caught.value.column == "sold_at"


@needs_stand_in
def test_rights_that_copy_lacks(tmp_path: Path, redshift: StandIn) -> None:
    """A role that may not read the lake, and one that there is not, are named as the cause."""
    twins = Twins(tmp_path, redshift)
    lake = twins.clean(FILES)
    other = ROLE.replace("brewtopia-copy", "other")
    wrong = twins.location.replace(ROLE, other)
    with pytest.raises(CopyError, match="not authorized to assume IAM Role"):
        load(wrong, lake)
    redshift.roles[other] = {"another-bucket"}
    with pytest.raises(CopyError, match="Access Denied"):
        load(wrong, lake)
    redshift.roles.pop(other)
    load(twins.location.replace(f"role={ROLE}", "role=default"), lake)
    twins.assert_equal()


@needs_stand_in
def test_files_that_are_missing(tmp_path: Path, redshift: StandIn) -> None:
    """A file that is gone fails the load, and loses nothing."""
    twins = Twins(tmp_path, redshift)
    lake = twins.clean(FILES)
    listed = lake.files("lines", lake.batches())
    (key,) = twins.stored("lines")
    redshift.s3.delete_object(Bucket="lake", Key=key)
    with pytest.raises(LakeError, match="the lake has lost"):
        load(twins.location, lake)
    lake.files = lambda table, batches: (  # type: ignore[method-assign]
        listed if table == "lines" else Lake.files(lake, table, batches)
    )
    with pytest.raises(CopyError, match="not found"):
        load(twins.location, lake)


@needs_stand_in
def test_another_lake_is_refused(twins: Twins, tmp_path: Path) -> None:
    """A lake that knows nothing of what is loaded is not this warehouse's, and changes nothing."""
    other = Twins(tmp_path / "other", twins.server)
    lake = other.clean({"Hull_1.csv": till([Order(branch="Hull")])})
    with pytest.raises(WarehouseError, match=r"holds 3 files .* such as Leeds_1.csv"):
        load(twins.location, lake)
    twins.assert_equal()


# --- reading


@needs_stand_in
def test_parameters(twins: Twins) -> None:
    """Values of every type reach the query as they are, and quotes in them do no harm."""
    evil = "'; drop table orders; --"
    with twins.redshift() as warehouse:
        _, rows = warehouse.rows(
            "select cast(:text as varchar), cast(:day as date), cast(:number as integer),"
            " cast(:nothing as varchar), cast(:moment as timestamp), cast(:text as varchar), ':text'",
            {
                "text": evil,
                "day": dt.date(2024, 2, 29),
                "number": 7,
                "nothing": None,
                "moment": pd.Timestamp("2024-02-29 12:30"),
            },
        )
        moment = dt.datetime(2024, 2, 29, 12, 30)
        assert rows == [(evil, dt.date(2024, 2, 29), 7, None, moment, evil, ":text")]
        assert len(warehouse.query("select * from orders where branch = :b", {"b": "York"})) == 10
        with pytest.raises(WarehouseError, match="lacks a value for :b"):
            warehouse.query("select * from orders where branch = :b")
        with pytest.raises(WarehouseError, match="no parameter :c"):
            warehouse.query("select 1", {"c": 1})


def test_parameters_are_numbered_by_name() -> None:
    """A name that stands twice is one value."""
    assert bind("select :b, :a, :b", {"a": 1, "b": 2}) == ("select $1, $2, $1", [2, 1])


@needs_stand_in
@pytest.mark.parametrize("first", ["commit", "rollback", "select 1"])
def test_readers_change_nothing(twins: Twins, first: str) -> None:
    """Nothing can be written through a reader, not even after it ends its transaction."""
    with twins.redshift() as warehouse:
        warehouse.rows(first)
        for sql in (
            "delete from loads",
            "create table mine (a integer)",
            "select 1; drop table loads",
        ):
            with pytest.raises(WarehouseError):
                warehouse.rows(sql)
        assert warehouse.rows("select count(*) from loads")[1] == [(3,)]


@needs_stand_in
def test_wrong_sql(twins: Twins) -> None:
    """A wrong query gives the engine's words without data, and the next one works."""
    with twins.redshift() as warehouse:
        with pytest.raises(WarehouseError, match='column "brnch" does not exist'):
            warehouse.query("select brnch from orders")
        with pytest.raises(WarehouseError) as caught:
            warehouse.query("select cast(branch as integer) from orders")
        assert "Leeds" not in str(caught.value)
        assert len(warehouse.query("select * from orders")) == 50


@needs_stand_in
def test_an_interrupt_ends_a_query(twins: Twins) -> None:
    """Interrupting the kernel ends the query in the server too, and the next one is answered."""
    active = (
        "select count(*) from pg_stat_activity"
        " where state = 'active' and query like 'fetch %' and wait_event = 'PgSleep'"
    )

    def interrupt_when_it_runs() -> None:
        while twins.server.administrate("public", active) == [["0"]]:
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    with Desk("warehouse", twins.redshift) as desk:
        orders = len(desk.query("select * from orders"))
        threading.Thread(target=interrupt_when_it_runs).start()
        with pytest.raises(KeyboardInterrupt):
            desk.query("select pg_sleep(30)")
        assert twins.server.administrate("public", active) == [["0"]]
        assert any("pg_cancel_backend" in sql for sql in twins.server.statements)
        assert len(desk.query("select * from orders")) == orders


@needs_stand_in
def test_a_reader_keeps_its_snapshot(twins: Twins) -> None:
    """A load neither waits for an open reader nor shows in it; the next reader sees it."""
    with twins.redshift() as warehouse:
        for table in TABLES:
            warehouse.rows(f"select count(*) from {table}")
        before = [content(warehouse, table) for table in TABLES]
        loader = threading.Thread(target=twins.ingest, args=({"Leeds_1.csv": b""},))
        loader.start()
        loader.join(timeout=30)
        assert not loader.is_alive()
        assert [content(warehouse, table) for table in TABLES] == before
    twins.assert_equal()


@needs_stand_in
def test_a_load_holds_no_reader_up(twins: Twins) -> None:
    """While a loader holds its lock and has written, a new reader reads what was there before."""
    session = Session(parse(twins.location))
    with session.transaction():
        session.execute("lock table load_ledger")
        for table in ("order_facts", "basket_lines", "loads", "rejects", "hourly_sales"):
            session.execute(f"delete from {table}")
        with twins.redshift() as warehouse:
            assert len(content(warehouse, "sales")) == 60
        session.execute("rollback")
        session.execute("begin")
    session.close()


@needs_stand_in
def test_large_results_are_streamed(twins: Twins) -> None:
    """Frames of a query hold so many rows at most, and together all of them."""
    with twins.redshift() as warehouse:
        sql = "select * from orders where branch = :branch order by sold_at"
        frames = list(warehouse.frames(sql, {"branch": "Leeds"}, rows_at_once=15))
        assert [len(frame) for frame in frames] == [15, 15, 10]
        whole = warehouse.query(sql, {"branch": "Leeds"})
        pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), whole)
        assert next(warehouse.frames(sql, {"branch": "Leeds"}, rows_at_once=1)).shape[0] == 1
        assert len(list(warehouse.frames("select 1 as a"))) == 1


@needs_stand_in
def test_a_reader_whose_connection_is_cut(twins: Twins) -> None:
    """The first query is asked again; a later one fails, since a new snapshot might contradict."""
    with twins.redshift() as warehouse:
        twins.server.faults.append(Fault("from rejects", "drop"))
        assert len(warehouse.query("select * from rejects")) == 1
        twins.server.faults.append(Fault("from orders", "drop_after"))
        with pytest.raises(WarehouseUnavailableError, match="was lost"):
            warehouse.query("select * from orders")
        assert len(warehouse.query("select * from orders")) == 50


# --- versions of the tables, and who may read them


@needs_stand_in
def test_no_warehouse_yet(redshift: StandIn) -> None:
    """An empty database says what to run."""
    with pytest.raises(WarehouseError, match="there is no warehouse in Redshift database dev"):
        open_warehouse(redshift.new_location())


@needs_stand_in
def test_migrations_run_once(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has run is not run again, and a failing migration leaves nothing of it."""
    rows = twins.server.administrate(
        schema_of(twins.location), "select name, number from schema_migrations order by number"
    )
    assert rows == [[name, str(number)] for name, number in migrations().items()]
    twins.server.statements.clear()
    twins.ingest({"Leeds_1.csv": b""})
    made = ("create table", "create view")
    assert not any(sql.startswith(made) for sql in twins.server.statements)


@needs_stand_in
def test_a_warehouse_of_an_older_version_is_renewed(twins: Twins) -> None:
    """Tables made before the latest migration get what it brings with the next load."""
    twins.server.administrate(
        schema_of(twins.location),
        "drop view order_baskets",
        "delete from schema_migrations where number = 2",
    )
    with pytest.raises(WarehouseError, match="older version: run `brewtopia load`"):
        twins.redshift()
    twins.ingest()
    twins.assert_equal()


@needs_stand_in
@pytest.mark.parametrize("turn", range(6))
def test_eight_loaders_make_the_tables_once(redshift: StandIn, turn: int) -> None:
    """Loads that begin together in a new schema all find its tables, each made once."""
    location = parse(redshift.new_location())
    sessions = [Session(location) for _ in range(8)]
    barrier = threading.Barrier(len(sessions))

    def make(session: Session) -> int:
        barrier.wait()
        migrate(session)
        return len(session.execute("select * from schema_migrations").rows)

    with ThreadPoolExecutor(len(sessions)) as threads:
        assert list(threads.map(make, sessions)) == [len(migrations())] * len(sessions)
    for session in sessions:
        session.close()


@needs_stand_in
def test_a_failing_migration_leaves_nothing(tmp_path: Path, redshift: StandIn) -> None:
    """A migration that fails half-way is undone, and the next load runs it whole."""
    twins = Twins(tmp_path, redshift)
    redshift.faults.append(Fault("create table rejects", "drop_after"))
    twins.ingest(FILES)
    twins.assert_equal()


@needs_stand_in
def test_other_versions_are_told(twins: Twins) -> None:
    """Tables of a newer version are left alone, those of an older one ask for a load."""
    database = schema_of(twins.location)
    twins.server.administrate(
        database, "insert into schema_migrations values ('redshift_0099_later', 99, now())"
    )
    for function in (lambda: twins.ingest({"Leeds_1.csv": b""}), twins.redshift):
        with pytest.raises(WarehouseError, match="newer version of Brewtopia"):
            function()
    twins.server.administrate(database, "update schema_migrations set number = 0")
    with pytest.raises(WarehouseError, match="older version: run `brewtopia load`"):
        twins.redshift()


@needs_stand_in
def test_readers_have_a_role(tmp_path: Path, redshift: StandIn) -> None:
    """The readers' role may read what analysts see in the location's schema, and nothing else."""
    twins = Twins(tmp_path, redshift)
    twins.location = redshift.location("cafe", "&readers=cafe_readers")
    redshift.add_user("grafana", "Gr4f")
    redshift.administrate("public", "create role cafe_readers", "grant cafe_readers to grafana")
    twins.ingest(FILES)
    twins.assert_equal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BREWTOPIA_REDSHIFT_PASSWORD", "Gr4f")
        with open_warehouse(redshift.location("cafe", user="grafana")) as warehouse:
            for table in (*TABLES, PARTS):
                assert warehouse.rows(f"select count(*) from {table}")[1][0][0] > 0
            for sql in ("select * from load_ledger", "select * from order_facts"):
                with pytest.raises(WarehouseError, match="permission denied"):
                    warehouse.rows(sql)
        with pytest.raises(WarehouseError, match="permission denied"):
            load(redshift.location("cafe", user="grafana"), twins.clean())


# --- the stand-in is as strict as Redshift


@needs_stand_in
def test_stand_in_reports_conflicts(twins: Twins) -> None:
    """Two transactions that change the same rows: the later one gets Redshift's error 1023."""
    one, other = (Session(parse(twins.location)) for _ in range(2))
    for session in (one, other):
        session.execute("begin")
        session.execute("select count(*) from loads")
    one.execute("update loads set rows = rows + 1")
    one.execute("commit")
    with pytest.raises(WarehouseUnavailableError, match="error 1023"):
        other.execute("update loads set rows = rows + 1")
    for session in (one, other):
        session.close()


@needs_stand_in
def test_stand_in_enforces_what_redshift_does(redshift: StandIn) -> None:
    """Keys are not enforced, lengths in bytes are, and what Redshift lacks is refused."""
    session = Session(parse(redshift.location("public")))
    session.execute(
        "create table t (a integer primary key encode az64 distkey, b varchar(4), unique (b))"
        " sortkey (a)"
    )
    for _ in range(2):
        session.execute("insert into t values (1, 'éé')")
    assert session.execute("select count(*) from t").rows[0][0] == 2
    with pytest.raises(WarehouseError):
        session.execute("insert into t values (1, 'ééé')")
    for sql in (
        "select a from t where a is not distinct from 1",
        "select sum(a) over (order by a) from t",
        "select count(*) filter (where a = 1) from t",
        "select distinct on (a) a from t",
        "insert into t values (1) on conflict do nothing",
    ):
        with pytest.raises(WarehouseError, match="Redshift has no|frame clause"):
            session.execute(sql)
    assert session.execute("show transaction_isolation").rows[0][0] == "repeatable read"
    session.close()


@needs_stand_in
def test_stand_in_without_the_lock_doubles(redshift: StandIn) -> None:
    """The lock is what keeps loaders apart: where it is not taken, the stand-in shows the harm."""
    location = parse(redshift.location("public"))
    session, other = Session(location), Session(location)
    session.execute("create table ledger (batch varchar(8))")
    session.execute("create table rows_loaded (batch varchar(8))")
    for one in (session, other):
        one.execute("begin")
        assert one.execute("select count(*) from ledger").rows[0][0] == 0
        one.execute("insert into ledger values ('b')")
        one.execute("insert into rows_loaded values ('b')")
    for one in (session, other):
        one.execute("commit")
    assert session.execute("select count(*) from rows_loaded").rows[0][0] == 2
    session.close()
    other.close()
