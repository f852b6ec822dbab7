"""S3 and Redshift by settings alone: what folders and a DuckDB file do, they do exactly."""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from cloud import BUCKETS, Cloud
from privacy import Personal
from redshift_stand_in import Disturbances, StandIn, needs_stand_in
from redshift_stand_in.questions import answer, assert_same_rows, content
from redshift_stand_in.server import PASSWORD
from s3_server import Flaky, S3Server
from tills import Order, settings_in, till, write_files

from brewtopia_lib import analyses
from brewtopia_lib.errors import RetryableError
from brewtopia_lib.findings import look
from brewtopia_lib.forecast import forecast
from brewtopia_lib.ingest import ingest
from brewtopia_lib.pages.scopes import find_scope
from brewtopia_lib.queries import load_query, query_names
from brewtopia_lib.sample import write_sample
from brewtopia_lib.storage import s3 as s3_module
from brewtopia_lib.warehouse import Warehouse, load_warehouse, open_warehouse
from brewtopia_lib.warehouse.redshift import loading, parse

pytestmark = [needs_stand_in, pytest.mark.slow]

ORDER = {
    "sales": "order_id, line_no",
    "orders": "order_id",
    "hourly_sales": "sold_on, branch, hour, product, size, flavour",
    "rejects": "source, line_number",
    "loads": "source, version",
}


@pytest.fixture(scope="module")
def clouds(s3_server: S3Server, stand_in: StandIn) -> Iterator[Any]:
    """Makes projects in the cloud; their environment holds for this process too."""
    s3_server.reset()
    s3_server.make_buckets(*BUCKETS)
    with pytest.MonkeyPatch.context() as patch:

        def make(folder: Path) -> Cloud:
            made = Cloud(folder, s3_server, stand_in)
            for name, value in made.environment.items():
                if not name.startswith("BREWTOPIA_") or name.endswith("PASSWORD"):
                    patch.setenv(name, value)
            return made

        yield make


@pytest.fixture(scope="module")
def real(clouds: Any, tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Cloud:
    """The real files, ingested."""
    made: Cloud = clouds(tmp_path_factory.mktemp("real"))
    ingest_into_both(made, real_data / "branches")
    return made


@pytest.fixture(scope="module")
def sample(clouds: Any, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    """A generated chain of three branches over ten weeks, ingested, damaged files among it."""
    folder = tmp_path_factory.mktemp("sample")
    made: Cloud = clouds(folder)
    write_sample(folder / "files", branches=3, days=70, faults=True)
    ingest_into_both(made, folder / "files")
    return made


def ingest_into_both(cloud: Cloud, files: Path) -> None:
    """From a folder into the bucket, by the command into Redshift, and from its lake into DuckDB."""
    cloud.put({str(file.relative_to(files)): file.read_bytes() for file in files.rglob("*.*")})
    cloud.run("ingest", "--json")
    cloud.redshift.administrate(parse(cloud.settings.warehouse).schema, "analyze")  # as Redshift
    load_warehouse(cloud.embedded())


@contextlib.contextmanager
def both_open(cloud: Cloud) -> Iterator[tuple[Warehouse, Warehouse]]:
    """The DuckDB warehouse and the Redshift of one lake."""
    with (
        open_warehouse(cloud.embedded().warehouse) as one,
        open_warehouse(cloud.settings.warehouse) as other,
    ):
        yield one, other


def test_the_real_data_exactly_and_twice(real: Cloud) -> None:
    """`ingest` takes the real files from S3 into Redshift to the penny; again, it loads nothing;
    every row is the one that DuckDB has of the same lake."""
    first = json.loads(real.logs[0])
    assert (first["objects"], first["rejected"]) == (153, 0)
    assert (first["orders"], first["lines"], first["revenue"]) == (46_001, 126_510, "281119.40")
    real.redshift.statements.clear()
    again = json.loads(real.run("ingest", "--json").stdout)
    assert (again["objects"], again["objects_skipped"], again["branch_days"]) == (0, 153, 0)
    assert not [sql for sql in real.redshift.statements if re.match("copy|lock|insert", sql)]
    asked = "select count(*), count(distinct order_id), sum(total) from orders"
    assert real.run("sql", asked, "--format", "csv").stdout.splitlines()[1] == (
        "46001,46001,281119.40"
    )
    with both_open(real) as (one, other):
        assert_same_rows(one, other)


def test_nothing_personal_gets_through(real: Cloud, real_data: Path) -> None:
    """No customer's name and no card number is in the lake's bucket, in any table of Redshift, in
    what was asked of it, or in what any command said."""
    texts = [*real.logs, *real.redshift.statements]
    schema = parse(real.settings.warehouse).schema
    tables = real.redshift.administrate(
        schema, f"select tablename from pg_tables where schemaname = '{schema}'"
    )
    for (table,) in tables:
        texts += [f"{row}" for row in real.redshift.administrate(schema, f"select * from {table}")]
    for name, body in real.in_lake().items():
        file = real.folder / "of_the_lake.parquet"
        file.write_bytes(body)
        texts += [name, body.decode("latin-1")]
        texts.append(str(duckdb.read_parquet(str(file)).fetchall()))
    assert sum(map(len, texts)) > 10_000_000
    Personal(real_data / "branches").assert_absent(texts)


@pytest.fixture(scope="module", params=["real", "sample"])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Warehouse, Warehouse]]:
    """A DuckDB warehouse and a Redshift of the same lake, open."""
    with both_open(request.getfixturevalue(request.param)) as opened:
        yield opened


@pytest.mark.parametrize("name", query_names())
def test_analyses_are_equal(both: tuple[Warehouse, Warehouse], name: str) -> None:
    """Every analysis gives the same frame on both engines, value for value and type for type."""
    one, _ = both
    last, branch = one.rows("select max(sold_on), min(branch) from orders")[1][0]
    assert isinstance(last, date)
    periods = ((last, 1, None), (last, 4, None), (last - timedelta(9), 1, branch))
    for until, weeks, scope in periods if load_query(name).parameters else periods[:1]:
        left, right = (answer(each, name, until, weeks, scope) for each in both)
        pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_what_is_compared_says_something(sample: Cloud) -> None:
    """The generated chain gives most analyses something to say: equal frames are not empty ones."""
    with open_warehouse(sample.settings.warehouse) as warehouse:
        until = analyses.coverage(warehouse)["last_day"][0].date()
        names = [name for name in query_names() if hasattr(analyses, name)]
        said = [name for name in names if len(answer(warehouse, name, until))]
        assert len(said) >= len(names) - 3


def test_findings_are_equal(both: tuple[Warehouse, Warehouse]) -> None:
    """What is found and forecast, the figures and the sentences are the same on both engines."""
    until = find_scope(both[0], weeks=10).until
    one, other = (look(each, until=until, weeks=10) for each in both)
    assert [found.to_json() for found in other.findings] == [f.to_json() for f in one.findings]
    assert other.notes == one.notes
    ahead, other_ahead = (forecast(each, until=until).to_json() for each in both)
    assert ahead == other_ahead


@pytest.mark.parametrize(
    ("command", "has"),
    [
        (("findings", "--weeks", "10"), "£"),
        (("forecast", "--branch", "Leeds", "--json"), '"days": [\n'),
        (("quality",), " files have faults"),
        (("status",), "Leeds"),
        (("sql", "select * from orders where branch = 'Leeds' order by order_id limit 3"), "Leeds"),
    ],
)
def test_commands_say_the_same(sample: Cloud, command: tuple[str, ...], has: str) -> None:
    """What a command says of Redshift is what it says of the DuckDB file, to the letter."""
    one = sample.run(*command, BREWTOPIA_WAREHOUSE=sample.embedded().warehouse)
    other = sample.run(*command)
    assert (other.returncode, other.stdout, other.stderr) == (0, one.stdout, one.stderr)
    assert has in one.stdout


def test_frames_have_duckdbs_types(sample: Cloud) -> None:
    """A plain query gives the columns and types that DuckDB gives, nulls and no rows included."""
    texts = [f"select * from {table} order by {order} limit 2000" for table, order in ORDER.items()]
    texts += ["select * from orders where branch = 'nowhere'", "select is_current from loads"]
    texts += ["select distinct product, size, flavour from hourly_sales"]
    with both_open(sample) as (one, other):
        for text in texts:
            left, right = one.query(text), other.query(text)
            assert list(left.columns) == list(right.columns)
            assert left.dtypes.to_dict() == right.dtypes.to_dict(), text
            assert len(left) == len(right)
        frames = list(other.frames("select * from orders order by order_id"))
        whole = other.query("select * from orders order by order_id")
        assert len(whole) > 1_000  # more than a single FETCH brings
        pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), whole)


@pytest.mark.parametrize(
    "report", [("company_trends",), ("branch_trends", "--branch", "Leeds"), ("data_quality",)]
)
def test_reports_are_made_of_it(request: pytest.FixtureRequest, report: tuple[str, ...]) -> None:
    """Each report is made from Redshift and put into the bucket of pages."""
    has_real = "BREWTOPIA_REAL_DATA" in os.environ
    chain: Cloud = request.getfixturevalue("real" if has_real else "sample")
    made = chain.run("report", *report)
    assert made.returncode == 0, made.stderr
    (address,) = made.stdout.split()
    assert address.removeprefix("s3://pages/") in chain.s3.objects("pages")


def test_doctor_tries_a_load(sample: Cloud) -> None:
    """Sign-in, rights, the role of COPY and the tables are tried and nothing is left of it; what
    is missing is named."""
    before = sample.in_lake()
    assert re.search(r"✓ warehouse: [\d,]+ orders up to 20", sample.run("doctor").stdout)
    assert sample.in_lake() == before
    location = sample.settings.warehouse
    schema = parse(location).schema
    sample.redshift.add_user("reader", PASSWORD)
    sample.redshift.administrate(
        schema,
        f"grant usage on schema {schema} to reader",
        f"grant select on all tables in schema {schema} to reader",
    )
    for wrong, named in (
        (location.replace("role=", "role=arn:aws:iam::123456789012:role/other,"), "IAM Role"),
        (location.replace("schema=", "schema=not_"), "run `brewtopia ingest` first"),
        (location.replace("loader@", "reader@"), "belong to another user"),
        (location.replace("loader@", "stranger@"), "refuses the sign-in"),
    ):
        said = sample.run("doctor", BREWTOPIA_WAREHOUSE=wrong).stdout
        (line,) = (line for line in said.splitlines() if "warehouse:" in line)
        assert line.startswith("✗"), line
        assert named in line


def test_redshift_needs_a_lake_on_s3(sample: Cloud) -> None:
    """With a lake in a folder nothing is even cleaned for Redshift, and the setting is named;
    who only reads needs no lake."""
    lake = str(sample.folder / "lake")
    for command in ("ingest", "load"):
        refused = sample.run(command, BREWTOPIA_LAKE=lake)
        assert refused.returncode == 2
        assert "set BREWTOPIA_LAKE to s3://bucket/prefix" in refused.stderr
    assert not Path(lake).exists()
    assert "to be read only" in sample.run("doctor", BREWTOPIA_LAKE=lake).stdout


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short time-outs, and short pauses between attempts."""
    monkeypatch.setattr(s3_module, "READ_SECONDS", 0.5)
    monkeypatch.setattr(s3_module, "_LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff._MAX_BACKOFF", 0.1)
    monkeypatch.setattr(loading, "_LONGEST_PAUSE_SECONDS", 0.1)


def day_of(branch: str, day: int, orders: int) -> bytes:
    return till(Order(day=day, minute=minute, branch=branch) for minute in range(orders))


DELIVERIES: list[dict[str, bytes]] = [
    {
        f"{branch}_{day}.csv": day_of(branch, day, 20)
        for branch in ("Leeds", "York")
        for day in range(1, 6)
    },
    {
        "Leeds_2.csv": day_of("Leeds", 2, 5),
        "again.csv": day_of("York", 3, 30) + b"what is this\n",
        "York_1.csv": b"",
    },
]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("seed", range(2))
def test_disturbances_lose_and_double_nothing(clouds: Any, tmp_path: Path, seed: int) -> None:
    """With 503s, cut connections, lost answers and slow ones between it and S3, and conflicts and
    the same in the database's connection, ingesting ends as a clean run does, row for row."""
    cloud: Cloud = clouds(tmp_path)
    clean = settings_in(tmp_path)
    s3, database = Flaky(cloud.s3, 0.12, 0.6, seed), Disturbances(0.03, seed)
    for delivery in DELIVERIES:
        cloud.put(delivery)
        write_files(Path(clean.raw), delivery)
        assert not ingest(clean).failures
        cloud.s3.fault, cloud.redshift.disturbances = s3, database
        try:
            while True:
                with contextlib.suppress(RetryableError):
                    assert not ingest(cloud.settings).failures
                    break
        finally:
            cloud.s3.fault = cloud.redshift.disturbances = None
    assert {kind.split()[0] for kind in s3.faults} == {"busy", "cut", "half", "lost", "slow"}
    assert sum(database.met.values()) >= 3
    with open_warehouse(clean.warehouse) as one, open_warehouse(cloud.settings.warehouse) as other:
        for table in ("sales", "orders", "hourly_sales", "rejects"):
            assert content(other, table) == content(one, table), table
        counted = (
            "select source, is_current, rows, orders, lines, rejected, revenue from loads"
            " order by source, is_current, orders"
        )
        assert other.rows(counted) == one.rows(counted)
