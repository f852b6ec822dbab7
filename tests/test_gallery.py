"""The gallery: the newest of each, what failed, every run kept; by mouse, keys and ear."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from report_project import SCRIPT, SQL_BRANCH_KEPT, Reported
from test_pages_in_browser import QUIET, browser  # noqa: F401 - a fixture
from test_reports import PARAMETERS, Page, add_report, elsewhere

from brewtopia_lib.reports import run_report
from brewtopia_lib.reports.gallery import Made, gallery
from brewtopia_lib.reports.outputs import KEPT_RUNS

ONE = Made(
    report="trends",
    report_title="Trends",
    title="Trends: Leeds",
    branch="Leeds",
    state="done",
    error=None,
    first_day=date(2024, 6, 3),
    until=date(2024, 6, 30),
    made_at=datetime(2024, 7, 1, 7, tzinfo=UTC),
    seconds=2.2,
    page="trends/history/leeds/1.html",
    thumbnail=None,
    numbers=[{"name": "Revenue", "value": "£1,234", "lines": ["▼ −3.1% on the 4 weeks before"]}],
)


def later(run: Made, **changed: Any) -> Made:
    return replace(run, made_at=run.made_at + timedelta(hours=1), **changed)


def parts(markup: str) -> tuple[str, str, str]:
    """The text of what failed, of the newest and of the history."""
    text = Page(markup).text
    history = text.partition("History")
    failed, _, newest = history[0].partition("Show all") if "Show all" in text else ("", "", text)
    return failed, newest, history[2]


def test_nothing_made_yet() -> None:
    """Without any run the gallery says so, and has no form and no script."""
    markup = gallery([])
    assert "No report has been made yet" in Page(markup).text
    assert "<script" not in markup


def test_the_newest_data_are_shown() -> None:
    """Of two runs of one report and branch the one with newer data is the card, made last or not."""
    older = later(ONE, until=date(2024, 5, 31), numbers=[{"name": "R", "value": "£9", "lines": []}])
    _, newest, history = parts(gallery([ONE, older]))
    assert "£1,234" in newest
    assert "£9" not in newest
    assert "Sun 30 June 2024" in history
    assert "Fri 31 May 2024" in history


def test_a_failure_is_told_until_it_is_mended() -> None:
    """A run that failed last is told with its reason, while the card keeps the page of before."""
    failed = later(ONE, state="failed", error="cell 3: KeyError", page="f.html", numbers=[])
    told, newest, history = parts(gallery([failed, ONE]))
    assert "cell 3: KeyError" in told
    assert "£1,234" in newest
    assert "not made" in history
    told, _, history = parts(gallery([later(later(ONE)), failed, ONE]))
    assert "KeyError" not in told
    assert "KeyError" in history


def test_only_so_many_are_kept() -> None:
    """The history ends after a stated number of runs of each report and branch, newest first."""
    runs = [replace(ONE, made_at=ONE.made_at + timedelta(days=n)) for n in range(KEPT_RUNS + 5)]
    _, _, history = parts(gallery([*runs, replace(ONE, branch="York", title="Trends: York")]))
    assert history.count("Trends: Leeds") == KEPT_RUNS
    assert history.count("Trends: York") == 1
    assert f"the last {KEPT_RUNS} of each" in history
    assert "1 Jul 2024" not in history.partition("Trends: York")[0].split("Trends: Leeds")[1]


def test_what_comes_from_data_cannot_break_out() -> None:
    """Names and reasons that are HTML are words."""
    bad = '"><img src=x onerror=alert(1)>'
    markup = gallery(
        [replace(ONE, branch=bad, title=bad, report_title=bad, state="failed", error=bad)]
    )
    page = Page(markup)
    assert not any(tag == "img" for tag, _ in page.elements)
    assert bad in page.text


def test_the_gallery_of_real_runs(reported: Reported) -> None:
    """Every report made is a card: linked to its own page, with its number and first chart."""
    folder = Path(reported.settings.reports)
    markup = (folder / "index.html").read_text(encoding="utf-8")
    page = Page(markup)
    links = [str(attributes["href"]) for tag, attributes in page.elements if tag == "a"]
    images = [str(attributes["src"]) for tag, attributes in page.elements if tag == "img"]
    assert len(set(links)) == len(reported.runs)
    assert len(images) == 3
    assert all((folder / address).is_file() for address in (*links, *images))
    assert SQL_BRANCH_KEPT in page.text
    assert "Revenue" in page.text
    assert len(markup) < 100_000


def test_failed_runs_are_in_the_gallery(reported: Reported, tmp_path: Path) -> None:
    """A run that failed is told with its reason, and linked to the page that shows the cell."""
    with contextlib.chdir(reported.folder):
        add_report(reported.folder, "sad", PARAMETERS, "raise ValueError('no beans')")
        (run,) = run_report(elsewhere(reported, tmp_path), "sad", branches=["Leeds"])
        (reported.folder / "reports" / "sad.toml").unlink()
    told, _, _ = parts((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert "cell 3: ValueError: no beans" in told
    assert run.archived
    assert "no beans" in run.archived.read_text(encoding="utf-8")
    assert "history/leeds/" in (tmp_path / "index.html").read_text(encoding="utf-8")


# --- as it is used


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:  # noqa: F811
    """A gallery of two reports, three branches and two periods, opened from the file system."""
    runs = [
        replace(
            ONE,
            report=report.lower(),
            report_title=report,
            title=f"{report}: {branch}",
            branch=branch,
            until=until,
            made_at=ONE.made_at + timedelta(days=(until - ONE.until).days),
            page=f"{report}-{branch}-{until}.html",
        )
        for report in ("Trends", "Stock")
        for branch in ("Leeds", "York", SCRIPT)
        for until in (date(2024, 6, 23), date(2024, 6, 30))
    ]
    runs.append(later(runs[1], state="failed", error="cell 3: no beans"))
    path = tmp_path / "index.html"
    path.write_text(gallery(runs), encoding="utf-8")
    page = browser.new_page(viewport={"width": 390, "height": 844})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    yield page
    assert complaints == []
    page.close()


def rows(page: Any) -> list[str]:
    return page.locator("tbody tr:visible td:nth-of-type(1) a").all_inner_texts()


def test_it_filters(opened: Any) -> None:
    """Branch, report and date narrow cards and history, are told aloud, and can be undone."""
    assert len(rows(opened)) == 13
    opened.get_by_label("Branch").select_option("York")
    assert rows(opened) == ["Trends: York", "Stock: York"] * 2
    assert opened.locator(".cards li:visible").count() == 2
    assert opened.locator(".failed:visible").count() == 0
    opened.get_by_label("Report").select_option("Stock")
    assert rows(opened) == ["Stock: York"] * 2
    opened.get_by_label("Data up to, from").fill("2024-06-24")
    assert rows(opened) == ["Stock: York"]
    assert opened.get_by_role("status").inner_text() == "1 of 13 runs shown"
    opened.get_by_label("to", exact=True).fill("2024-06-25")
    assert rows(opened) == []
    assert opened.get_by_role("status").inner_text() == "No run fits"
    opened.get_by_role("button", name="Show all").click()
    opened.wait_for_function("document.querySelectorAll('tbody tr:not([hidden])').length === 13")
    assert opened.get_by_role("status").inner_text() == ""


def test_it_goes_by_keyboard(opened: Any) -> None:
    """Tab reaches what failed, the filters and the cards in that order, and each shows its focus."""
    seen = []
    for _ in range(14):
        opened.keyboard.press("Tab")
        seen.append(
            opened.evaluate(
                """() => { const one = document.activeElement, card = one.closest(".cards li");
                const style = getComputedStyle(one, card ? "::after" : null);
                return [one.name || one.innerText, style.outlineStyle, style.outlineWidth]; }"""
            )
        )
    names = list(dict.fromkeys(name for name, _, _ in seen))
    order = ["Trends: Leeds", "report", "branch", "from", "to", "Show all", SCRIPT, "Leeds"]
    assert names[: len(order)] == order
    assert [each for each in seen if each[1:] != ["solid", "3px"]] == []


def test_keys_choose(opened: Any) -> None:
    """A branch is chosen with keys alone."""
    opened.get_by_label("Branch").focus()
    opened.keyboard.type("Yo")
    assert set(rows(opened)) == {"Trends: York", "Stock: York"}


def test_it_can_be_heard(opened: Any) -> None:
    """A screen reader finds headings in order, named controls, list items and a table with heads."""
    tree = opened.locator("body").aria_snapshot()
    assert re.findall(r"heading \"(.*?)\" \[level=(\d)\]", tree)[:3] == [
        ("Reports", "1"),
        ("What could not be made", "2"),
        ("Stock", "2"),
    ]
    for role in ("combobox", "textbox", "button", "status", "list", "table", "columnheader"):
        assert role in tree, role
    assert 'columnheader "Outcome"' in tree
    assert opened.locator("form").get_attribute("aria-label") == "Show only"


def test_contrast_is_enough(opened: Any) -> None:
    """Every text has at least 4.5 times the luminance of its ground, or the other way round."""
    found = opened.evaluate(
        """() => {
        const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(c => c / 255)
            .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const ground = one => { for (; one; one = one.parentElement) {
            const colour = getComputedStyle(one).backgroundColor;
            if (!colour.endsWith(", 0)")) return colour; } return "rgb(255, 255, 255)"; };
        return [...document.querySelectorAll("main *")]
            .filter(one => [...one.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && one.offsetParent)
            .map(one => { const [a, b] = [light(getComputedStyle(one).color), light(ground(one))];
                return [one.outerHTML.slice(0, 60), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]; });
        }"""
    )
    assert len(found) > 20
    assert [each for each in found if each[1] < 4.5] == []
