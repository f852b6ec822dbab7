"""Reports: checked before they run, made whole or not at all, and pure."""

import contextlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_project import (
    DOLLARS,
    ROOT,
    SCRIPT,
    SQL_BRANCH_KEPT,
    Reported,
    copy_reports,
    settings_of,
)

from brewtopia_lib.errors import ParameterError, ReportError
from brewtopia_lib.ingest import ingest
from brewtopia_lib.reports import batches, run_report
from brewtopia_lib.reports.planning import slugs
from brewtopia_lib.sample import write_sample

ALL_PAGES = ("company_trends", "data_quality", "leeds", "drop-table-orders")


@pytest.fixture
def inside(reported: Reported) -> Iterator[Reported]:
    """The reported project as the working directory; tests write to folders of their own."""
    with contextlib.chdir(reported.folder):
        yield reported


def elsewhere(reported: Reported, folder: Path) -> Any:
    """The same settings, with reports written to another folder."""
    return reported.settings.model_copy(update={"reports": str(folder)})


class Page(HTMLParser):
    """What a browser makes of a page: its elements and its text without styles."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def add_report(folder: Path, name: str, *cells: str, for_each: bool = True) -> None:
    """A report of the given code cells, the first of them its parameters."""
    found = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell-{place}",
            "metadata": {"tags": ["parameters"]} if not place else {},
            "outputs": [],
            "source": source,
        }
        for place, source in enumerate(cells)
    ]
    notebook = {"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / f"{name}.ipynb").write_text(json.dumps(notebook))
    each = 'for_each = "branch"\n' if for_each else ""
    (folder / "reports" / f"{name}.toml").write_text(
        f'title = "{name}"\nnotebook = "{name}.ipynb"\n{each}'
    )


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running any notebook is an error."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a notebook was started")

    monkeypatch.setattr(batches, "execute", refuse)


# --- the pages


@pytest.mark.parametrize("name", ALL_PAGES)
def test_pages_load_nothing(reported: Reported, name: str) -> None:
    """A page names nothing on the network, runs no script, and is below a megabyte."""
    markup = reported.text(name)
    assert len(markup.encode()) < 1_000_000
    for tag, attributes in Page(markup).elements:
        assert tag not in {"script", "link", "iframe", "object"}
        for key in ("src", "srcset", "href"):
            value = attributes.get(key) or "data:"
            assert value.startswith(("data:image/svg+xml;base64,", "data:image/png;", "#", "data:"))
        assert not any(key.startswith("on") for key in attributes)
    assert not re.search(r"url\(|@import", markup)


@pytest.mark.parametrize("name", ALL_PAGES)
def test_pages_say_what_they_are(reported: Reported, name: str) -> None:
    """A page has language, title, viewport and one main heading, and says when data were loaded."""
    page = Page(reported.text(name))
    elements = page.elements
    assert ("html", {"lang": "en-GB"}) in elements
    assert sum(tag == "title" for tag, _ in elements) == 1
    assert sum(tag == "h1" for tag, _ in elements) == 1
    assert any(attributes.get("name") == "viewport" for _, attributes in elements)
    assert "Data loaded" in page.text
    assert all(attributes.get("alt") for tag, attributes in elements if tag == "img")
    assert "import brewtopia_lib" not in page.text


def test_the_company_page_has_every_part(reported: Reported) -> None:
    """The company page goes from the period over the findings to where the numbers come from."""
    text = Page(reported.text("company_trends")).text
    parts = [
        "4 weeks to Sun 30 June 2024 · against the 4 weeks before · 4 branches",
        "Average basket",
        "What changed, and what it is worth",
        "Revenue averaged",
        "The week from",
        "The next 14 days should bring about",
        "leads with",
        " the busiest",
        "of orders hold one or two items",
        "Products together earned",
        "of what comes in sizes",
        " pays for ",
        "Where the numbers come from",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_names_from_the_data_are_shown_as_they_are(reported: Reported) -> None:
    """A product that is a script and a branch that is SQL are words on the page, no more."""
    company = Page(reported.text("company_trends")).text
    assert SQL_BRANCH_KEPT in company
    branch = Page(reported.text("drop-table-orders"))
    assert SCRIPT in branch.text
    assert any(SCRIPT in (attributes.get("alt") or "") for _, attributes in branch.elements)
    assert DOLLARS.replace("$$ ", "") not in branch.text
    assert DOLLARS in branch.text


def test_a_branch_page_holds_it_against_the_chain(reported: Reported) -> None:
    """A branch's page has its rank, its change beside the chain's, and what it sells unlike it."""
    text = Page(reported.text("leeds")).text
    assert re.search(r"Leeds is \d\w\w of 4 by revenue and \d\w\w of 4 by change", text)
    assert "chain ▲" in text or "chain ▼" in text
    assert "Share of units and average price by product, beside the chain’s" in text


def test_the_executed_notebook_lies_beside_the_page(reported: Reported) -> None:
    """Beside each page is its notebook as it ran, with the parameters but without time or place."""
    notebook = reported.page("leeds").with_suffix(".ipynb").read_text(encoding="utf-8")
    assert 'branch = \\"Leeds\\"' in notebook
    assert str(reported.folder) not in notebook
    assert "start_time" not in notebook
    assert not any("error" in cell.get("outputs", []) for cell in json.loads(notebook)["cells"])


def test_nothing_else_is_left_behind(reported: Reported) -> None:
    """Pages, notebooks, drawings and the gallery are in the folder: nothing temporary or hidden."""
    folder = Path(reported.settings.reports)
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {Path(name).suffix for name in names} == {".html", ".ipynb", ".svg"}
    assert not any(name.startswith(".") for name in names)


def test_every_run_keeps_a_page_of_its_own(reported: Reported) -> None:
    """Beside the page that is always the newest, each run has its own, which is the same."""
    for run in reported.runs.values():
        assert run.page
        assert run.archived
        assert run.archived != run.page
        assert run.archived.read_bytes() == run.page.read_bytes()


def test_same_warehouse_same_parameters_same_page(inside: Reported, tmp_path: Path) -> None:
    """A second run gives the same page and the same notebook, byte for byte."""
    (again,) = run_report(elsewhere(inside, tmp_path), "branch_trends", branches=["Leeds"])
    assert again.page
    for suffix in (".html", ".ipynb"):
        first, second = inside.page("leeds").with_suffix(suffix), again.page.with_suffix(suffix)
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("days", [3, 10])
def test_short_history_is_admitted(
    days: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a few days of sales the page says so and compares nothing."""
    monkeypatch.chdir(tmp_path)
    copy_reports(tmp_path)
    settings = settings_of(tmp_path)
    write_sample(tmp_path / "raw", branches=1, days=days)
    ingest(settings)
    (run,) = run_report(settings, "company_trends")
    assert run.page, run.error
    text = Page(run.page.read_text(encoding="utf-8")).text
    assert f"{days} days are too few to compare 4 weeks with the 4 weeks before" in text
    assert "on the 4 weeks before" not in text
    assert "Products that moved most" not in text


def test_real_data(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real files give an exact company page that admits their short history."""
    monkeypatch.chdir(tmp_path)
    copy_reports(tmp_path)
    settings = settings_of(tmp_path)
    ingest(settings, [str(real_data / "branches")])
    (run,) = run_report(settings, "company_trends")
    assert run.page, run.error
    text = Page(run.page.read_text(encoding="utf-8")).text
    assert "£281,119.40" in text
    assert "46,001" in text
    assert "16 days are too few" in text
    assert "9 of 18 branches have sales on fewer than half of the 16 days" in text


# --- what is refused before anything runs


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize(
    ("name", "asked", "says"),
    [
        ("company_trend", {}, "there is company_trends"),
        ("company_trends", {"branches": ["Leeds"]}, "takes no branch"),
        ("company_trends", {"all_branches": True}, "takes no branch"),
        ("company_trends", {"weeks": 0}, "1 to 104"),
        ("company_trends", {"weeks": 200}, "1 to 104"),
        ("company_trends", {"parameters": {"until": "1 June"}}, "2024-06-30"),
        ("company_trends", {"parameters": {"until": "2031-01-01"}}, "outside the data"),
        ("company_trends", {"parameters": {"week": "1"}}, "did you mean weeks"),
        ("data_quality", {"weeks": 4}, "takes top"),
        ("branch_trends", {}, "--all-branches"),
        ("branch_trends", {"branches": ["Leeds", "leds"]}, "did you mean Leeds"),
        ("branch_trends", {"parameters": {"branch": "leds"}}, "did you mean Leeds"),
        ("branch_trends", {"branches": [""]}, "there is no branch ''"),
        ("branch_trends", {"parameters": {"branch": ""}}, "there is no branch ''"),
        ("company_trends", {"weeks": 3, "parameters": {"weeks": "5"}}, "weeks is given twice"),
        (
            "branch_trends",
            {"branches": ["Leeds"], "parameters": {"branch": "Hull"}},
            "branch is given twice",
        ),
    ],
)
def test_refused_before_a_kernel_starts(
    inside: Reported, name: str, asked: dict[str, Any], says: str
) -> None:
    """What cannot be reported is refused as wrong usage, saying what can, and nothing is run."""
    with pytest.raises(ParameterError) as refused:
        run_report(inside.settings, name, **asked)
    assert says in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("title = ", "cannot be read"),
        ('title = "T"', "lacks notebook"),
        ('title = "T"\nnotebook = "x"\ncolour = "red"', "colour = 'red' is not understood"),
        ('title = "T"\nnotebook = "x"\nfor_each = "product"', "for_each: can only be 'branch'"),
    ],
)
def test_a_definition_that_is_wrong_is_named(project: Path, content: str, says: str) -> None:
    """A definition that cannot be understood is an error that names the file and the line's key."""
    (project / "reports").mkdir()
    (project / "reports" / "odd.toml").write_text(content)
    with pytest.raises(ReportError, match=r"odd\.toml") as refused:
        run_report(settings_of(project), "odd")
    assert says in str(refused.value)


# --- what fails while it runs

PARAMETERS = "branch: str = 'Leeds'"


def test_the_report_of_the_documentation_is_one(
    reported: Reported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notebook and the definition that docs/reports.md begins with make a page."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").touch()
    (tmp_path / "reports").mkdir()
    text = (ROOT / "docs" / "reports.md").read_text()
    cells = re.findall("```python\n(.*?)```", text, re.DOTALL)
    add_report(tmp_path, "best_day", *cells, for_each=False)
    (definition,) = re.findall("```toml\n(.*?)```", text, re.DOTALL)
    assert 'notebook = "notebooks/reports/best_day.ipynb"' in definition
    definition = definition.replace("notebooks/reports/", "")
    (tmp_path / "reports" / "best_day.toml").write_text(definition)
    (run,) = run_report(elsewhere(reported, tmp_path / "output"), "best_day")
    assert run.page == tmp_path / "output" / "best_day" / "best_day.html", run.error
    assert "revenue" in Page(run.page.read_text()).text


@pytest.fixture
def failing(inside: Reported) -> Iterator[Reported]:
    """A report that fails for one branch and is fine for the others."""
    add_report(
        inside.folder,
        "picky",
        PARAMETERS,
        "import os\nprint(branch, os.environ['BREWTOPIA_WAREHOUSE'])",
        "assert branch != 'Harrogate', f'not \\x1b[31mfor\\n {branch}'",
    )
    yield inside
    (inside.folder / "reports" / "picky.toml").unlink()


def test_a_notebook_that_fails_fails_alone(failing: Reported, tmp_path: Path) -> None:
    """One failing branch leaves the others done; its error names the cell in one line."""
    told: list[tuple[int, int]] = []
    runs = run_report(
        elsewhere(failing, tmp_path),
        "picky",
        all_branches=True,
        workers=2,
        progress=lambda done, total, _: told.append((done, total)),
    )
    states = {run.branch: run.state for run in runs}
    assert states == {
        SQL_BRANCH_KEPT: "done",
        "Bristol": "done",
        "Harrogate": "failed",
        "Leeds": "done",
    }
    failed = next(run for run in runs if run.state == "failed")
    assert failed.error == "cell 4: AssertionError: not for Harrogate"
    assert failed.page is None
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert not (tmp_path / "picky" / "harrogate.html").exists()
    assert (tmp_path / "picky" / "harrogate.failed.ipynb").exists()
    why = Page((tmp_path / "picky" / "harrogate.failed.html").read_text(encoding="utf-8")).text
    assert "cell 4: AssertionError: not for Harrogate" in why
    assert "assert branch != 'Harrogate'" in why
    assert "Traceback (most recent call last)" in why
    assert "\x1b" not in why


def test_the_kernel_reads_the_given_warehouse(failing: Reported, tmp_path: Path) -> None:
    """A notebook works on the warehouse of the settings, whatever the environment says."""
    (run,) = run_report(elsewhere(failing, tmp_path), "picky", branches=["Leeds"])
    assert run.page
    assert f"Leeds {failing.settings.warehouse}" in run.page.read_text(encoding="utf-8")


def test_a_failure_keeps_the_page_of_before(
    failing: Reported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a page cannot be rendered, the one of before stays whole, and nothing half-written."""
    settings = elsewhere(failing, tmp_path)
    (run,) = run_report(settings, "picky", branches=["Leeds"])
    assert run.page
    before = run.page.read_bytes()

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(batches, "report_page", full)
    (run,) = run_report(settings, "picky", branches=["Leeds"])
    assert run.state == "failed"
    assert "No space left on device" in str(run.error)
    page = tmp_path / "picky" / "leeds.html"
    assert page.read_bytes() == before
    assert sorted(path.name for path in page.parent.iterdir() if path.is_file()) == [
        "leeds.failed.html",
        "leeds.failed.ipynb",
        "leeds.html",
        "leeds.ipynb",
    ]


def test_a_page_that_is_made_ends_the_failure_of_before(
    failing: Reported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a run that is done, the page and the notebook of an older failure are gone."""
    settings = elsewhere(failing, tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(batches, "chart_fault", lambda *_: "no charts")
        (run,) = run_report(settings, "picky", branches=["Leeds"])
    assert run.error == "no charts"
    assert (tmp_path / "picky" / "leeds.failed.html").exists()
    run_report(settings, "picky", branches=["Leeds"])
    names = {path.name for path in (tmp_path / "picky").iterdir() if path.is_file()}
    assert names == {"leeds.html", "leeds.ipynb"}


def test_a_kernel_that_dies_fails_alone(inside: Reported, tmp_path: Path) -> None:
    """A notebook that kills its kernel is a failed run with a clear word, not a crash."""
    add_report(inside.folder, "deadly", "weeks: int = 4", "import os\nos._exit(1)", for_each=False)
    (run,) = run_report(elsewhere(inside, tmp_path), "deadly")
    (inside.folder / "reports" / "deadly.toml").unlink()
    assert run.state == "failed"
    assert "DeadKernelError" in str(run.error)
    assert "\n" not in str(run.error)


# --- file names


@given(st.lists(st.text(max_size=80), unique=True, max_size=30))
def test_no_two_names_share_a_file(names: list[str]) -> None:
    """Any set of names gets file names that are safe, apart, and independent of their order."""
    found = slugs(names)
    assert len(set(found.values())) == len(names)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,75}", slug) for slug in found.values())
    assert slugs(reversed(names)) == found


def test_plain_names_stay_readable() -> None:
    """A plain name is its own file name; twins are told apart."""
    assert slugs(["St. Albans", "Leeds"]) == {"St. Albans": "st-albans", "Leeds": "leeds"}
    twins = slugs(["St Albans", "St. Albans"])
    assert all(slug.startswith("st-albans-") for slug in twins.values())
    assert slugs(["../../etc/passwd"]) == {"../../etc/passwd": "etc-passwd"}
