"""S3 and Redshift by settings alone: what folders and a DuckDB file do, they do exactly."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud import BUCKETS, Cloud
from redshift_stand_in import StandIn
from redshift_stand_in.server import PASSWORD
from s3_server import S3Server
from test_redshift import content, needs_stand_in

from brewtopia_lib.sample import write_sample
from brewtopia_lib.warehouse import load_warehouse, open_warehouse
from brewtopia_lib.warehouse.redshift import parse

pytestmark = [needs_stand_in, pytest.mark.slow]

TABLES = ("sales", "orders", "hourly_sales", "rejects", "loads")


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
    """The real files in the bucket of raw files."""
    made: Cloud = clouds(tmp_path_factory.mktemp("real"))
    made.put({file.name: file.read_bytes() for file in (real_data / "branches").glob("*.csv")})
    return made


def test_the_real_data_exactly_and_twice(real: Cloud) -> None:
    """`ingest` takes the real files from S3 into Redshift to the penny; again, it loads nothing;
    every row is the one that DuckDB has of the same lake."""
    first = json.loads(real.run("ingest", "--json").stdout)
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
    load_warehouse(real.embedded())
    with (
        open_warehouse(real.embedded().warehouse) as one,
        open_warehouse(real.settings.warehouse) as other,
    ):
        for table in TABLES:
            assert content(other, table) == content(one, table), table


@pytest.fixture(scope="module")
def sample(clouds: Any, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    """A generated chain of three branches over ten weeks, ingested, damaged files among it."""
    folder = tmp_path_factory.mktemp("sample")
    made: Cloud = clouds(folder)
    write_sample(folder / "files", branches=3, days=70, faults=True)
    made.put({file.name: file.read_bytes() for file in (folder / "files").rglob("*.*")})
    made.run("ingest")
    load_warehouse(made.embedded())
    return made


def test_doctor_tries_a_load(sample: Cloud) -> None:
    """Sign-in, rights, the role of COPY and the tables are tried and nothing is left of it; what
    is missing is named."""
    before = set(sample.s3.objects("lake"))
    assert re.search(r"✓ warehouse: [\d,]+ orders up to 20", sample.run("doctor").stdout)
    assert set(sample.s3.objects("lake")) == before
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
