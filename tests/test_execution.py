"""Runs of notebooks: typed values, a limit of time, charts counted, and no secret told."""

import contextlib
import email
import html
import os
import shutil
import time
from collections.abc import Callable, Iterator
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from report_project import LAST_DAY, Reported, settings_of
from test_kernels import assert_ends
from test_reports import PARAMETERS, Page, add_report, elsewhere

from brewtopia_lib.errors import UsageError
from brewtopia_lib.ingest import ingest
from brewtopia_lib.mail import sending
from brewtopia_lib.mail.delivery import deliver, report_failures
from brewtopia_lib.mail.transports import Outbox
from brewtopia_lib.reports import pdf, run_report
from brewtopia_lib.reports.batches import ReportRun
from brewtopia_lib.reports.definitions import load_definition
from brewtopia_lib.reports.runs import Ledger
from brewtopia_lib.sample import write_sample
from brewtopia_lib.settings import Settings

Try = Callable[..., ReportRun]
SECRETS = {
    "BREWTOPIA_MAIL": "smtp://who:mail%3Cs3cret@mail.example.org",
    "AWS_ACCESS_KEY_ID": "AKIAPLANTED",
    "AWS_SECRET_ACCESS_KEY": "aws/s3cret+key",
    "AWS_SESSION_TOKEN": 'session"s3cret',
    "BREWTOPIA_REDSHIFT_PASSWORD": "redshift&s3cret",
}
PLANTED = ["mail%3Cs3cret", "mail<s3cret", *list(SECRETS.values())[1:]]
SPELLINGS = [*PLANTED, *map(html.escape, PLANTED), 'session\\"s3cret', "s3cret"]


@pytest.fixture
def attempt(reported: Reported, tmp_path: Path) -> Iterator[Try]:
    """Makes a report of the given cells for the chain, in a folder and a ledger of the test's."""
    settings = elsewhere(reported, tmp_path / "output").model_copy(
        update={"runs": str(tmp_path / "runs.sqlite")}
    )

    def make(*cells: str, declared: str = "", changed: Any = None, **options: Any) -> ReportRun:
        add_report(reported.folder, "tried", *cells, for_each=False)
        with (reported.folder / "reports" / "tried.toml").open("a") as definition:
            definition.write(declared)
        (run,) = run_report(settings.model_copy(update=changed or {}), "tried", **options)
        return run

    with contextlib.chdir(reported.folder):
        yield make
    (reported.folder / "reports" / "tried.toml").unlink(missing_ok=True)


def text_of(path: Path | None) -> str:
    assert path is not None
    return Page(path.read_text(encoding="utf-8")).text


# --- values


def test_values_arrive_as_their_types(attempt: Try) -> None:
    """A notebook gets days as days and numbers as numbers, lists and none included."""
    run = attempt(
        "from datetime import date, datetime\nfrom typing import Literal\n"
        "on: date | None = None\nshare: float = 0.1\nsizes: list[str] = []\n"
        "days: list[date] = []\nby: Literal['revenue', 'units'] = 'units'\n"
        "scheduled_for: datetime | None = None\nnone: int | None = 3",
        "print([on, share, sizes, days, by, scheduled_for, none])",
        parameters={
            "on": "2024-06-30",
            "share": "1",
            "sizes": 'Regular, It\'s "large"',
            "days": "2024-06-29,2024-06-30",
            "by": "revenue",
            "none": "none",
            "scheduled_for": "2024-07-01T07:00:00+01:00",
        },
    )
    assert run.error is None
    assert (
        "[datetime.date(2024, 6, 30), 1.0, ['Regular', 'It\\'s \"large\"'], "
        "[datetime.date(2024, 6, 29), datetime.date(2024, 6, 30)], 'revenue', "
        "datetime.datetime(2024, 7, 1, 7, 0, tzinfo=datetime.timezone(datetime.timedelta(seconds=3600)))"
        ", None]"
    ) in text_of(run.page)


def test_cold_and_warm_make_the_same_page(reported: Reported, tmp_path: Path) -> None:
    """A kernel started cold makes the page that a warm one makes, byte for byte."""
    with contextlib.chdir(reported.folder):
        (cold,) = run_report(
            elsewhere(reported, tmp_path), "branch_trends", branches=["Leeds"], kernel="cold"
        )
    assert cold.page
    assert cold.page.read_bytes() == reported.page("leeds").read_bytes()


# --- time


def test_a_run_is_ended_at_its_limit(attempt: Try, tmp_path: Path) -> None:
    """A notebook that takes too long is ended with its children; the page shows where it was."""
    begun = time.monotonic()
    run = attempt(
        "weeks: int = 4",
        "print('so far')",
        "import os, pathlib, signal, subprocess\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"pathlib.Path({str(tmp_path / 'pids')!r}).write_text(f'{{os.getpid()}} {{child.pid}}')\n"
        "while True: pass",
        declared="timeout_seconds = 3\n",
    )
    assert run.state == "failed"
    assert run.error == "cell 4: it was stopped at its limit of 3 seconds"
    assert 3 <= time.monotonic() - begun < 60
    assert_ends(*map(int, (tmp_path / "pids").read_text().split()))
    assert "while True: pass" in text_of(run.archived)
    assert "so far" in str(run.notebook and run.notebook.read_text())


def test_an_interrupted_batch_ends_at_once(reported: Reported, tmp_path: Path) -> None:
    """When a batch is interrupted, the notebooks at work are ended and those waiting not begun."""
    cell = (
        "import os, pathlib, time\n"
        f"pathlib.Path({str(tmp_path)!r}, f'pid-{{os.getpid()}}').touch()\n"
        "time.sleep(0 if branch == 'Bristol' else 600)"
    )
    settings = elsewhere(reported, tmp_path / "output").model_copy(
        update={"runs": str(tmp_path / "runs.sqlite")}
    )

    def interrupt(*_: object) -> None:
        while len(list(tmp_path.glob("pid-*"))) < 3:
            time.sleep(0.05)
        raise KeyboardInterrupt

    begun = time.monotonic()
    with contextlib.chdir(reported.folder):
        add_report(reported.folder, "slow", PARAMETERS, cell)
        with pytest.raises(KeyboardInterrupt):
            run_report(settings, "slow", all_branches=True, workers=2, progress=interrupt)
        (reported.folder / "reports" / "slow.toml").unlink()
    assert time.monotonic() - begun < 120
    assert_ends(*(int(path.name.partition("-")[2]) for path in tmp_path.glob("pid-*")))
    states = {row["branch"]: row["state"] for row in Ledger(settings.runs).runs()}
    assert states.pop("Bristol") == "done"
    assert set(states.values()) == {"running"}
    assert not list((tmp_path / "output").rglob("*.failed.*"))


# --- charts

PICTURE = (
    "from IPython.display import HTML\nHTML('<picture><source><img src=\"data:,\"></picture>')"
)
PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"


@pytest.mark.parametrize(
    ("cells", "fewest", "error"),
    [
        ([PICTURE, PLOT], 2, None),
        ([PICTURE], 2, "it shows 1 chart, and 2 is the fewest it should"),
        (["print('no plot')"], 1, "it shows 0 charts, and 1 is the fewest it should"),
    ],
)
def test_charts_are_counted(attempt: Try, cells: list[str], fewest: int, error: str | None) -> None:
    """A report that shows fewer charts than it declares is a failure that says so."""
    run = attempt("weeks: int = 4", *cells, declared=f"charts = {fewest}\n")
    assert (run.error or "").startswith(error or "")
    assert run.state == ("failed" if error else "done")


def test_a_plot_that_is_lost_is_a_failure(attempt: Try) -> None:
    """A plot of which only the description arrives is a failure, declared or not."""
    lose = (
        "from IPython import get_ipython\nfrom matplotlib.figure import Figure\n"
        "get_ipython().display_formatter.formatters['image/png'].enabled = False\nFigure()"
    )
    assert attempt("weeks: int = 4", lose).error == "1 plot came without an image"


def test_our_reports_declare_their_charts(reported: Reported) -> None:
    """The reports with charts say how many they cannot be without."""
    declared = {
        path.stem: "charts = " in path.read_text()
        for path in (reported.folder / "reports").glob("*_trends.toml")
    }
    assert declared == {"branch_trends": True, "company_trends": True}


def test_a_closed_branch_needs_no_charts(reported: Reported, tmp_path: Path) -> None:
    """The page of a branch without sales in the period is made, though it has no chart to show."""
    settings = settings_of(tmp_path)
    write_sample(tmp_path / "raw", branches=2, days=70, until=LAST_DAY)
    for path in (tmp_path / "raw").glob("leeds_*-0[56]-2024_*"):
        path.unlink()
    ingest(settings)
    with contextlib.chdir(reported.folder):
        runs = run_report(settings, "branch_trends", all_branches=True)
    assert {run.branch: run.error for run in runs} == {"Harrogate": None, "Leeds": None}


# --- secrets

TELL = (
    (
        "import html, os, pathlib\nfrom brewtopia_lib.settings import load_settings\n"
        "print(dict(os.environ)); print(pathlib.Path('/proc/self/environ').read_bytes())"
    ),
    (
        "from IPython.display import HTML\n"
        "HTML('<p>' + html.escape(str(sorted(os.environ.items()))) + load_settings().mail + '</p>')"
    ),
    (
        "parent = pathlib.Path(f'/proc/{os.getppid()}/environ').read_bytes()\n"
        "print(parent if START == 'warm' else '')"
    ),
    (
        "from brewtopia_lib.pages.markup import DIGEST\nfrom IPython.display import display\n"
        "seen = [f'{k}={v}' for k, v in os.environ.items() if k.startswith('AWS_')]\n"
        "display({DIGEST: [{'title': str(seen), 'notices': seen}], 'text/html': ''}, raw=True)"
    ),
)


@pytest.mark.parametrize("start", ["warm", "cold"])
@pytest.mark.parametrize("raw", ["local", "s3://bucket/tills"])
def test_no_secret_gets_out(
    attempt: Try,
    start: str,
    raw: str,
    tmp_path: Path,
    reported: Reported,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A notebook that tells all it sees tells no secret: in pages, notebooks, mails, ledger or logs.

    Where its data are in the cloud it needs some of them, and they are hidden in what it says.
    """
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sending, "find_transport", lambda _: Outbox(tmp_path / "outbox"))
    (reported.folder / ".env").write_text(f"BREWTOPIA_MAIL={SECRETS['BREWTOPIA_MAIL']}\n")
    changed = {"mail": SECRETS["BREWTOPIA_MAIL"]} | ({"raw": raw} if raw != "local" else {})
    tell = [cell.replace("START", repr(start)) for cell in TELL]
    try:
        done = attempt("weeks: int = 4", *tell, changed=changed, kernel=start)
        assert done.error is None
        assert ("[hidden]" in text_of(done.page)) == (raw != "local")
        told = attempt(
            "word: str = ''",
            "known = 'aws/s3cret+key'\nraise ValueError(f'no way in with {known} and {word}')",
            changed=changed,
            kernel=start,
            declared='owners = ["it@example.org"]',
            parameters={"word": 'session"s3cret'},
        )
        settings = reported.settings.model_copy(
            update=changed | {"runs": str(tmp_path / "runs.sqlite")}
        )
        definition = load_definition("tried")
        deliver(settings, definition, [done], to=["a@example.org"])
        report_failures(settings, definition, [told])
    finally:
        (reported.folder / ".env").write_text("")
    assert told.error == "cell 3: ValueError: no way in with [hidden] and [hidden]"
    logged = capfd.readouterr()
    texts = {"log": caplog.text + logged.out + logged.err, "error": str(told.error)}
    for path in tmp_path.rglob("*"):
        if path.is_file():
            texts[str(path)] = path.read_bytes().decode("utf-8", "replace")
        if path.suffix == ".eml":
            mail = email.message_from_bytes(path.read_bytes(), policy=default)
            parts = [part for part in mail.walk() if part.get_content_maintype() == "text"]
            texts |= {f"{path} {n}": part.get_content() for n, part in enumerate(parts)}
            texts[f"{path} headers"] = str(mail.items())
    mails = {name: text for name, text in texts.items() if ".eml " in name}
    assert len(mails) == 7
    assert (sum("[hidden]" in text for text in mails.values()) > 2) == (raw != "local")
    found = [(name, word) for name, text in texts.items() for word in SPELLINGS if word in text]
    assert found == []


def test_kernels_are_told_what_they_need(attempt: Try) -> None:
    """A notebook sees where its data are, and of the mail nothing but the default."""
    run = attempt(
        "weeks: int = 4",
        "from brewtopia_lib.settings import load_settings\nseen = load_settings()\n"
        "print(seen.warehouse, seen.mail, seen.mail_from)",
        changed={"mail": "smtp://a:b@mail.example.org", "mail_from": "x@example.org"},
    )
    text = text_of(run.page)
    assert "warehouse.duckdb outbox:" in text
    assert Settings.model_fields["mail_from"].default in text


# --- PDF

needs_chromium = pytest.mark.skipif(
    not any(shutil.which(name) for name in pdf.NAMES), reason="Chromium is not installed"
)


@needs_chromium
def test_a_page_is_printed(attempt: Try) -> None:
    """With `pdf`, a PDF lies beside the page; a later page without one takes it away."""
    run = attempt("weeks: int = 4", "print('on paper')", pdf=True)
    assert run.error is None
    assert run.pdf
    assert run.pdf.read_bytes().startswith(b"%PDF-")
    assert run.pdf.parent == run.page.parent if run.page else False
    assert attempt("weeks: int = 4", "print('on screen')").error is None
    assert not run.pdf.exists()


def test_without_chromium_there_is_no_pdf(attempt: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Chromium is missing, asking for a PDF is wrong usage that says so, before any run."""
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(UsageError, match="needs Chromium"):
        attempt("weeks: int = 4", "print('on paper')", pdf=True)
