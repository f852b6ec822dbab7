"""The command line: what it prints where, how it ends, and that it leaks nothing."""

import csv
import email
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from test_delivery import made

from brewtopia_lib import __version__, cli, reports
from brewtopia_lib.cli.app import FAILURES_SHOWN
from brewtopia_lib.errors import WarehouseError
from brewtopia_lib.mail import sending
from brewtopia_lib.reports.batches import ReportRun
from brewtopia_lib.reports.runs import Ledger
from brewtopia_lib.settings import Settings

CUSTOMER = "Ottoline Zebedee"


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Brewtopia = Callable[..., Ended]


@pytest.fixture
def brewtopia(capsys: pytest.CaptureFixture[str]) -> Brewtopia:
    """Runs a command in this process and gives its exit code and what it printed."""

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        out, err = capsys.readouterr()
        return Ended(int(end.value.code or 0), out, err)

    return run


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with three branches' sample files, ingested."""
    folder = tmp_path_factory.mktemp("chain")
    (folder / ".env").touch()
    for arguments in (
        ["sample", "data/raw", "--branches=3", "--days=10", "--truth=truth.json"],
        ["ingest"],
    ):
        subprocess.run(
            [sys.executable, "-m", "brewtopia_lib.cli", *arguments],
            cwd=folder,
            env=clean_environment(),
            check=True,
            capture_output=True,
            timeout=120,
        )
    return folder


@pytest.fixture
def in_chain(chain: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(chain)
    return chain


def clean_environment(**more: str) -> dict[str, str]:
    settings = {f"BREWTOPIA_{name.upper()}" for name in Settings.model_fields}
    return {k: v for k, v in os.environ.items() if k not in settings} | more


# --- how it starts and ends


def test_version(brewtopia: Brewtopia) -> None:
    """`--version` prints the version of the library and nothing else."""
    assert brewtopia("--version") == (0, f"brewtopia {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["espresso"],
        ["ingest", "--espresso"],
        ["sample"],
        ["sample", "x", "--branches=0"],
        ["sql", "select 1", "--format=xml"],
        ["report", "company_trends", "--until=31/03/2024"],
        ["report", "company_trends", "--branch=Leeds", "--all-branches"],
        ["report", "company_trends", "-p", "weeks"],
        ["report", "company_trends", "--weeks=soon"],
        ["report", "company_trends", "--kernel=lukewarm"],
        ["report", "company_trends", "--resend"],
        ["report", "company_trends", "--to=nobody"],
        ["report", "company_trends", "--to=a@example.org\r\nBcc: b@example.org"],
        ["schedule", "next", "--count=0"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(brewtopia: Brewtopia, project: Path, arguments: list[str]) -> None:
    """A command that cannot be meant says why on stderr, prints nothing and writes nothing."""
    ended = brewtopia(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.strip()
    assert "Traceback" not in ended.err
    assert [path.name for path in project.iterdir()] == [".env"]


def test_no_command_shows_the_help(brewtopia: Brewtopia) -> None:
    """Without a command, all commands are listed."""
    ended = brewtopia()
    assert ended.code == 2
    assert "ingest" in ended.out + ended.err


def test_a_failure_is_one_line(brewtopia: Brewtopia, project: Path) -> None:
    """Without a warehouse, reading commands say in one line what to run first."""
    for arguments in (["sql", "select 1"], ["quality"], ["quality", "--json"]):
        ended = brewtopia(*arguments)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith("brewtopia: there is no warehouse at ")
        assert "run `brewtopia ingest` first" in ended.err
        assert ended.err.count("\n") == 1


def test_wrong_settings_end_with_2(
    brewtopia: Brewtopia, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that cannot be used ends with 2 and names the variable, not its value."""
    monkeypatch.setenv("BREWTOPIA_WAREHOUSE", "mysql://who:hunter2@host")
    ended = brewtopia("sql", "select 1")
    assert ended.code == 2
    assert "BREWTOPIA_WAREHOUSE" in ended.err
    assert "hunter2" not in ended.err


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_unexpected_failure_shows_no_data(
    brewtopia: Brewtopia, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure nobody thought of is named by its type; its words, which may hold data, are not."""
    monkeypatch.setattr("brewtopia_lib.ingest.ingest", failing(ValueError(CUSTOMER)))
    ended = brewtopia("ingest")
    assert ended.code == 1
    assert "ValueError" in ended.err
    assert "--debug" in ended.err
    assert ended.err.count("\n") == 1
    assert CUSTOMER not in ended.err


@pytest.mark.parametrize("arguments", [["--debug", "ingest"], ["ingest", "--debug"]])
def test_debug_shows_the_traceback(
    brewtopia: Brewtopia, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """`--debug` adds the traceback, before the command or after it."""
    monkeypatch.setattr("brewtopia_lib.ingest.ingest", failing(WarehouseError("it is gone")))
    ended = brewtopia(*arguments)
    assert ended.code == 1
    assert "Traceback" in ended.err
    assert ended.err.endswith("brewtopia: it is gone\n")


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (OSError(28, "No space left on device", "/data/lake"), 1, "No space left on device: /data"),
        (
            ModuleNotFoundError("no", name="duckdb"),
            1,
            "duckdb is missing or broken: run make setup",
        ),
        (KeyboardInterrupt(), 130, ""),
        (MemoryError(), 1, "MemoryError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_other_ends(
    brewtopia: Brewtopia,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    shown: str,
) -> None:
    """A full disk, a missing package and an interrupt end as a shell expects, without a traceback."""
    monkeypatch.setattr("brewtopia_lib.ingest.ingest", failing(error))
    ended = brewtopia("ingest")
    assert ended.code == code
    assert shown in ended.err
    assert "Traceback" not in ended.err


def test_a_reader_that_stops_early_is_no_failure_to_report(chain: Path) -> None:
    """`brewtopia sql … | head` ends quietly."""
    run = subprocess.run(
        f"{sys.executable} -m brewtopia_lib.cli sql 'select * from sales' --format csv | head -n 1",
        shell=True,
        cwd=chain,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.stdout.startswith("order_id,line_no")
    assert run.stderr == ""


def test_output_is_utf8_whatever_the_locale(chain: Path) -> None:
    """In the C locale pounds and accents come out as UTF-8, not as a crash."""
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "brewtopia_lib.cli",
            "sql",
            "select chr(163) || chr(10003) as text",
            "--format=csv",
        ],
        cwd=chain,
        env=clean_environment(
            LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii"
        ),
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert run.stdout.decode("utf-8") == "text\n£✓\n"


# --- from files to answers


def test_sample_says_what_it_wrote(brewtopia: Brewtopia, project: Path) -> None:
    """`sample` writes the files and prints how much they hold; the truth file agrees."""
    ended = brewtopia("sample", "tills", "--branches=2", "--days=3", "--truth=truth.json")
    truth = json.loads((project / "truth.json").read_text())
    assert ended.code == 0
    assert len(list((project / "tills").iterdir())) == truth["files"]
    assert ended.out == (
        f"{truth['files']} files, {truth['orders']:,} orders, {truth['lines']:,} lines, "
        f"£{Decimal(truth['revenue']):,} in tills\n"
    )


def test_json_is_one_document(brewtopia: Brewtopia, chain: Path, project: Path) -> None:
    """`--json` prints one document with exact sums; a second run finds nothing new."""
    truth = json.loads((chain / "truth.json").read_text())
    first = brewtopia("ingest", str(chain / "data/raw"), "--json")
    facts = json.loads(first.out)
    assert (first.code, first.err) == (0, "")
    assert facts.keys() >= {
        *("objects", "objects_skipped", "orders", "lines", "rows", "rejected"),
        *("rejected_by_reason", "revenue", "seconds"),
    }
    for name in ("orders", "lines", "revenue"):
        assert facts[name] == truth[name]
    assert (facts["objects"], facts["rejected"]) == (truth["files"], 0)

    second = json.loads(brewtopia("ingest", str(chain / "data/raw"), "--json").out)
    assert (second["objects"], second["objects_skipped"]) == (0, truth["files"])
    assert json.loads(brewtopia("load", "--json").out)["orders"] == 0
    assert json.loads(brewtopia("clean", str(chain / "data/raw"), "--json").out)["objects"] == 0


def test_a_file_that_fails_is_named_and_the_others_are_done(
    brewtopia: Brewtopia, chain: Path, project: Path
) -> None:
    """A file no feed takes gives exit 1 and one line; without `--json` the sums are for people."""
    good = next((chain / "data/raw").iterdir())
    (project / "odd.csv").write_text(f"{CUSTOMER};5.20\n")
    ended = brewtopia("ingest", "odd.csv", str(good))
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert "odd.csv" in ended.err
    assert CUSTOMER not in ended.err + ended.out
    assert re.search(r"^objects +1$", ended.out, re.MULTILINE)
    failed = json.loads(brewtopia("ingest", "odd.csv", "--json").out)["failed"]
    assert [Path(one["source"]).name for one in failed] == ["odd.csv"]


def test_a_file_that_is_not_there_stops_no_other(
    brewtopia: Brewtopia, chain: Path, project: Path
) -> None:
    """A file named that does not exist is told of, and the one named beside it is done; an empty
    name is wrong usage, and not the current folder."""
    good = next((chain / "data/raw").iterdir())
    ended = brewtopia("ingest", str(good), "nosuch.csv", "--json")
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert "nosuch.csv does not exist: name a till file" in ended.err
    assert json.loads(ended.out)["objects"] == 1
    empty = brewtopia("ingest", "")
    assert (empty.code, empty.out) == (2, "")
    assert "a URI is empty" in empty.err


def test_many_failures_fit_a_screen(brewtopia: Brewtopia, project: Path) -> None:
    """Of a folder full of strange files, some are named and the rest are counted."""
    for number in range(FAILURES_SHOWN + 5):
        (project / f"{number}.csv").write_text("what;is;this\n")
    lines = brewtopia("clean", ".").err.splitlines()
    assert len(lines) == FAILURES_SHOWN + 1
    assert lines[-1] == "brewtopia: and 5 more failed"


def test_strict_makes_a_rejected_row_a_failure(brewtopia: Brewtopia, project: Path) -> None:
    """With `--strict` a bad row ends with 1 and loads nothing; without it the rest is loaded."""
    (project / "leeds.csv").write_text(
        f'25/08/2021 09:00,Leeds,{CUSTOMER},"Large Latte - 2.45",2.45,CARD,1234567890123456\n'
        f'99/99/2021 09:00,Leeds,{CUSTOMER},"Large Latte - 2.45",2.45,CARD,1234567890123456\n'
    )
    strict = brewtopia("ingest", "leeds.csv", "--strict")
    assert (strict.code, strict.err.count("\n")) == (1, 1)
    assert brewtopia("sql", "select 1").code == 1
    assert brewtopia("ingest", "leeds.csv").code == 0
    assert "1" in brewtopia("sql", "select count(*) from orders").out
    said = json.loads(brewtopia("quality", "--json").out)
    assert said["summary"][0]["rows"] == 1
    assert said["summary"][0]["revenue_not_counted"] == "2.45"
    assert CUSTOMER not in json.dumps(said)


def test_sql_prints_exact_values(brewtopia: Brewtopia, in_chain: Path) -> None:
    """Decimals keep their places, null is empty or null, days are ISO, in each format."""
    query = "select cast(2.50 as decimal(12, 2)) as price, null as size, date '2024-03-01' as day"
    assert brewtopia("sql", query, "--format=csv").out == "price,size,day\n2.50,,2024-03-01\n"
    assert json.loads(brewtopia("sql", query, "--format=json").out) == [
        {"price": "2.50", "size": None, "day": "2024-03-01"}
    ]
    assert brewtopia("sql", query).out.splitlines()[2].split() == ["2.50", "2024-03-01"]


def test_sql_adds_up_to_the_truth(brewtopia: Brewtopia, in_chain: Path) -> None:
    """The revenue that `sql` prints is the revenue of the sample, to the penny."""
    truth = json.loads((in_chain / "truth.json").read_text())
    out = brewtopia("sql", "select sum(total) as revenue from orders", "--format=csv").out
    assert list(csv.DictReader(io.StringIO(out))) == [{"revenue": truth["revenue"]}]


@pytest.mark.parametrize(
    "query",
    [
        "select nothing from orders",
        "selec 1",
        "",
        "/* nothing */",
        "drop view orders",
        "delete from rejects",
        "insert into hourly_sales select * from hourly_sales",
        "copy orders to 'out.csv'",
        "select * from read_csv('data/raw/*.csv')",
        "attach 'other.duckdb'",
    ],
)
def test_sql_refuses_what_is_wrong_or_writes(
    brewtopia: Brewtopia, in_chain: Path, query: str
) -> None:
    """A wrong query, a write or a look at other files ends with 1 and one line."""
    before = {path: path.stat().st_mtime_ns for path in in_chain.rglob("*")}
    ended = brewtopia("sql", query)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("\n") == 1
    assert "unexpected" not in ended.err
    assert {path: path.stat().st_mtime_ns for path in in_chain.rglob("*")} == before


def test_quality_names_only_files_with_faults(brewtopia: Brewtopia, in_chain: Path) -> None:
    """For people, `quality` leaves out the files that have nothing wrong; JSON has them all."""
    truth = json.loads((in_chain / "truth.json").read_text())
    out = brewtopia("quality").out
    assert out.startswith(f"0 of {truth['files']} files have faults")
    assert ".csv" not in out
    assert len(json.loads(brewtopia("quality", "--json").out)["files"]) == truth["files"]


# --- reports


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `run_report` is asked for, when Leeds is made and Hull fails."""
    calls: list[dict[str, Any]] = []

    def run_report(settings: Settings, names: list[str], **options: Any) -> list[ReportRun]:
        calls.append({"names": names} | options)
        (name, *_) = names
        return [
            ReportRun(
                name, "Leeds", "done", Path("/out/leeds.html"), 1.0, None, address="/out/leeds.html"
            ),
            ReportRun(name, "Hull", "failed", None, 1.0, "cell 3: it is gone"),
        ]

    monkeypatch.setattr(reports, "run_report", run_report)
    return calls


def test_report_passes_on_what_was_asked(brewtopia: Brewtopia, asked: list[dict[str, Any]]) -> None:
    """Every option reaches the library as the typed value it stands for."""
    brewtopia(
        *("report", "branch_trends", "--branch=Leeds", "--branch=Hull", "--until=2024-03-31"),
        *("--weeks=6", "--workers=2", "-p", "note=a=b", "-p", "limit=5", "--kernel=cold", "--pdf"),
    )
    call = asked[0]
    assert (call["names"], call["branches"]) == (["branch_trends"], ["Leeds", "Hull"])
    assert (call["until"].isoformat(), call["weeks"], call["workers"]) == ("2024-03-31", 6, 2)
    assert call["parameters"] == {"note": "a=b", "limit": "5"}
    assert (call["kernel"], call["pdf"]) == ("cold", True)
    brewtopia("report", "company_trends", "branch_trends", "--all-branches")
    assert asked[1]["names"] == ["company_trends", "branch_trends"]
    assert asked[1]["all_branches"] is True
    for name in ("until", "weeks", "workers", "kernel"):
        assert asked[1][name] is None
    assert asked[1]["pdf"] is False


def test_report_prints_pages_and_names_failures(
    brewtopia: Brewtopia, asked: list[dict[str, Any]]
) -> None:
    """Stdout has the pages that were made and nothing else; one that failed is named, with 1."""
    ended = brewtopia("report", "branch_trends", "--all-branches")
    assert (ended.code, ended.out) == (1, "/out/leeds.html\n")
    assert ended.err == (
        "brewtopia: branch_trends for Hull could not be made: cell 3: it is gone\n"
    )


@pytest.fixture
def mailing(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the report `trends`, due on Mondays, whose page of Leeds is made at once."""
    (project / "reports").mkdir()
    (project / "reports" / "trends.toml").write_text(
        'title = "Trends"\nnotebook = "t.ipynb"\nfor_each = "branch"\n'
        'recipients = ["all@example.org"]\nowners = ["it@example.org"]\n'
        '[schedule]\ncron = "0 7 * * mon"\ntime_zone = "Europe/London"\n'
    )
    monkeypatch.setenv("BREWTOPIA_REPORTS", str(project / "output"))
    page = made(project)
    monkeypatch.setattr(
        reports, "run_report", lambda *_, **__: [replace(page, address=str(page.page))]
    )
    return project


def mailed_to(project: Path) -> list[str]:
    """Who has a mail in the outbox, in order."""
    mails = (project / "reports" / "outbox").glob("*.eml")
    return sorted(str(email.message_from_bytes(path.read_bytes())["To"]) for path in mails)


def test_report_mails_what_it_made(brewtopia: Brewtopia, mailing: Path) -> None:
    """`--email` mails the recipients once, `--to` somebody else instead, `--resend` again."""
    page = f"{mailing / 'output' / 'trends' / 'Leeds.html'}\n"
    asked = ("report", "trends", "--branch=Leeds")
    assert brewtopia(*asked).out == page
    assert mailed_to(mailing) == []
    first = brewtopia(*asked, "--email")
    assert first == (0, f"{page}Trends: Leeds mailed to all@example.org\n", "")
    assert "was mailed before to all@example.org" in brewtopia(*asked, "--email").out
    assert "Leeds mailed to all@example.org" in brewtopia(*asked, "--email", "--resend").out
    assert mailed_to(mailing) == ["all@example.org"]
    brewtopia(*asked, "--to=x@example.org", "--to=y@example.org")
    assert mailed_to(mailing) == ["all@example.org", "x@example.org", "y@example.org"]


def test_a_mail_that_cannot_leave_is_named(
    brewtopia: Brewtopia, mailing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page is printed though its mail failed: that ends with 1 and the command to try again."""
    monkeypatch.setattr(sending, "PAUSES_SECONDS", (0, 0))
    monkeypatch.setenv("BREWTOPIA_MAIL", "smtp://127.0.0.1:9?tls=never")
    ended = brewtopia("report", "trends", "--branch=Leeds", "--email")
    assert ended.code == 1
    assert ended.out.endswith("Leeds.html\n")
    assert "was not mailed to all@example.org: the connection" in ended.err
    assert "try again: brewtopia report trends --branch Leeds" in ended.err


def test_a_report_for_nobody_is_not_made_to_be_mailed(
    brewtopia: Brewtopia, mailing: Path, asked: list[dict[str, Any]]
) -> None:
    """`--email` for a report without recipients is wrong usage before any notebook runs."""
    definition = mailing / "reports" / "trends.toml"
    definition.write_text(definition.read_text().replace('"all@example.org"', ""))
    ended = brewtopia("report", "trends", "--branch=Leeds", "--email")
    assert (ended.code, asked) == (2, [])
    assert "name them in reports/trends.toml" in ended.err


# --- schedules


def test_schedules_are_listed(brewtopia: Brewtopia, mailing: Path) -> None:
    """`list` has each report with its rule and its next time, `next` the times that come."""
    (listed,) = json.loads(brewtopia("schedule", "list", "--json").out)
    assert (listed["cron"], listed["time zone"]) == ("0 7 * * mon", "Europe/London")
    assert (listed["last"], listed["state"]) == (None, None)
    coming = brewtopia("schedule", "next", "--count=3").out.splitlines()
    assert len(coming) == 3
    assert all(re.fullmatch(r"Mon \d{4}-\d\d-\d\dT07:00\+0[01]:00  trends", one) for one in coming)
    moment = datetime.fromisoformat(listed["next"])
    assert coming[0].split()[1] == moment.isoformat(timespec="minutes")
    assert "trends" in brewtopia("schedule", "list").out


def test_a_broken_definition_is_named_in_the_list(brewtopia: Brewtopia, mailing: Path) -> None:
    """`list` shows the schedules it can read, names the file it cannot, and ends with 1."""
    (mailing / "reports" / "broken.toml").write_text("title =")
    ended = brewtopia("schedule", "list")
    assert ended.code == 1
    assert "trends" in ended.out
    assert "broken.toml" in ended.err


def test_due_tells_what_failed(brewtopia: Brewtopia, mailing: Path) -> None:
    """`due` does nothing where nothing is due; what is due and fails is named, with 1, and mailed."""
    assert brewtopia("schedule", "due") == (0, "", "")
    week_ago = (datetime.now(UTC) - timedelta(days=7)).isoformat()
    with Ledger(mailing / "data" / "runs.sqlite").transaction() as rows:
        rows.execute("update schedules set handled_until = ?", (week_ago,))
    ended = brewtopia("schedule", "due")
    assert ended.code == 1
    assert "there is no warehouse" in ended.err
    assert mailed_to(mailing) == ["it@example.org"]
    assert brewtopia("schedule", "due").code == 0
    (listed,) = json.loads(brewtopia("schedule", "list", "--json").out)
    assert listed["state"] == "failed"


# --- doctor and lab


def test_doctor_is_content_with_a_working_project(brewtopia: Brewtopia, in_chain: Path) -> None:
    """Where all works, every line but the browser's is a tick and the exit code is 0."""
    ended = brewtopia("doctor")
    lines = ended.out.splitlines()
    assert ended.code == 0, ended.out
    assert all(line.startswith("✓ ") for line in lines if "browser" not in line)
    assert {line.split(":")[0][2:] for line in lines} >= {"python", "packages", "warehouse"}
    assert not list(in_chain.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("variable", "value", "mends"),
    [
        ("BREWTOPIA_WAREHOUSE", "elsewhere.duckdb", "run `brewtopia ingest` first"),
        ("BREWTOPIA_WAREHOUSE", "truth.json", "truth.json"),
        ("BREWTOPIA_RAW", "nowhere", "run brewtopia sample"),
        ("BREWTOPIA_FEEDS", "nowhere", "not a folder"),
        ("BREWTOPIA_LAKE", "truth.json/lake", "truth.json"),
        ("BREWTOPIA_REPORTS", "truth.json/pages", "truth.json"),
        ("BREWTOPIA_WAREHOSE", "x.duckdb", "did you mean BREWTOPIA_WAREHOUSE?"),
        ("BREWTOPIA_RAW", "gs://who:hunter2@x", "BREWTOPIA_RAW"),
    ],
)
def test_doctor_says_how_to_mend(
    brewtopia: Brewtopia,
    in_chain: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    mends: str,
) -> None:
    """A broken part is one crossed line with the way out, and the exit code is 1."""
    monkeypatch.setenv(variable, value)
    ended = brewtopia("doctor")
    crossed = [line for line in ended.out.splitlines() if line.startswith("✗ ")]
    assert ended.code == 1
    assert any(mends in line for line in crossed), ended.out
    assert "hunter2" not in ended.out + ended.err


def test_doctor_compares_packages_with_what_is_required(
    brewtopia: Brewtopia, in_chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that is missing or too old is named, with the way out."""
    wanted = ["duckdb>=2.0", "espresso-machine>=1", "rich>=999", "s3>=1; extra == 'dev'"]
    monkeypatch.setattr("importlib.metadata.requires", lambda _: wanted)
    ended = brewtopia("doctor")
    line = next(line for line in ended.out.splitlines() if "packages" in line)
    assert line.startswith("✗ ")
    assert "espresso-machine is missing" in line
    assert "rich is " in line
    assert "duckdb" not in line
    assert "s3" not in line
    assert "make setup" in line


def test_lab_opens_the_notebooks(
    brewtopia: Brewtopia, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`lab` becomes JupyterLab on the project's notebooks; without any it says where it looked."""
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda program, arguments, _: started.append(arguments))
    ended = brewtopia("lab")
    assert ended.code == 1
    assert str(project / "notebooks") in ended.err
    start = project / "notebooks" / "explore" / "00_start_here.ipynb"
    start.parent.mkdir(parents=True)
    start.touch()
    assert brewtopia("lab", "--no-browser").code == 0
    [arguments] = started
    assert arguments[1:3] == ["-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={project / 'notebooks'}" in arguments
    assert "--LabApp.default_url=/lab/tree/explore/00_start_here.ipynb" in arguments
    assert arguments[-1] == "--no-browser"
