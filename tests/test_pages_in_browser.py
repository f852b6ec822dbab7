"""The pages and mails as a reader sees them, in Chromium, wide and on a telephone."""

import base64
import contextlib
import email
import io
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from email.policy import default
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from report_project import SCRIPT, Reported

from brewtopia_lib.mail.delivery import deliver, report_failures
from brewtopia_lib.pages import page, tables
from brewtopia_lib.pages.headline import Headline
from brewtopia_lib.reports.definitions import load_definition

PAGES = ("company_trends", "data_quality", "leeds", "drop-table-orders", "index")
WIDTHS = {"wide": 1000, "phone": 390}
QUIET = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-gpu"]
SMALLEST_PIXELS = 11

IMAGES = """() => [...document.images].map(image => ({
    source: image.currentSrc || image.src, loaded: image.naturalWidth, alt: image.alt,
    width: image.getBoundingClientRect().width }))"""
TEXT_SIZES = """() => {
    const sizes = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const parent = walker.currentNode.parentElement;
        if (walker.currentNode.data.trim() && parent.offsetParent)
            sizes.push(parseFloat(getComputedStyle(parent).fontSize));
    }
    return sizes; }"""


@dataclass
class Seen:
    """What a browser saw of one page."""

    width: int
    scroll_width: int
    images: list[dict[str, Any]]
    text_sizes: list[float]
    text: str
    screenshot: bytes
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; skipped where it is absent, unless BREWTOPIA_REQUIRE_BROWSER says it must be."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        why = "Chromium is not installed: the pages are not looked at"
        if os.environ.get("BREWTOPIA_REQUIRE_BROWSER") == "1":
            pytest.fail(why)
        pytest.skip(why)
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def seen(browser: Any, reported: Reported) -> dict[tuple[str, str], Seen]:
    """Every page at every width, looked at once."""
    return {
        (name, width): look(browser, address(reported, name), WIDTHS[width])
        for name in PAGES
        for width in WIDTHS
    }


def address(reported: Reported, name: str) -> Path:
    return (
        Path(reported.settings.reports) / "index.html" if name == "index" else reported.page(name)
    )


def look(browser: Any, path: Path, width: int) -> Seen:
    """Open a page and note all it shows and all it does."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append("a script ran"), dialog.dismiss()))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri(), wait_until="load")
    found = Seen(
        width,
        page.evaluate("document.documentElement.scrollWidth"),
        page.evaluate(IMAGES),
        page.evaluate(TEXT_SIZES),
        page.inner_text("body"),
        page.screenshot(full_page=True),
        complaints,
        [url for url in requests if not url.startswith(("data:", path.parent.as_uri()))],
    )
    page.close()
    return found


def drawing_of(image: dict[str, Any]) -> str:
    """The SVG that an image shows, from the page itself or from a file beside it."""
    source = image["source"]
    if source.startswith("file:"):
        return Path(unquote(urlsplit(source).path)).read_text(encoding="utf-8")
    return base64.b64decode(source.partition("base64,")[2]).decode()


every_look = pytest.mark.parametrize(
    "look_at", [(n, w) for n in PAGES for w in WIDTHS], ids="-".join
)
Looks = dict[tuple[str, str], Seen]


@every_look
def test_nothing_is_loaded_and_nothing_complains(seen: Looks, look_at: tuple[str, str]) -> None:
    """A page asks for nothing outside its folder, and writes nothing to the console."""
    assert seen[look_at].requests == []
    assert seen[look_at].complaints == []


@every_look
def test_nothing_scrolls_sideways(seen: Looks, look_at: tuple[str, str]) -> None:
    """A page is never wider than the screen, a telephone's included."""
    assert seen[look_at].scroll_width <= seen[look_at].width


@every_look
def test_every_image_is_shown(seen: Looks, look_at: tuple[str, str]) -> None:
    """Every chart is drawn and says in words what it shows."""
    images = seen[look_at].images
    assert len(images) >= {"company_trends": 10, "leeds": 11, "drop-table-orders": 8}.get(
        look_at[0], 0
    )
    if look_at[0] == "index":
        return  # the gallery's thumbnails load when they come into sight
    for image in images:
        assert image["loaded"] > 0
        assert image["width"] > 250
        assert image["alt"]


@every_look
def test_text_can_be_read(seen: Looks, look_at: tuple[str, str]) -> None:
    """No text, in charts or beside them, is shown below 11 pixels."""
    found = seen[look_at]
    assert min(found.text_sizes) >= SMALLEST_PIXELS
    for image in found.images:
        drawing = drawing_of(image)
        box = re.search(r'viewBox="0 0 ([\d.]+)', drawing)
        sizes = re.findall(r"font(?:-size)?:[^;\"]*?([\d.]+)px", drawing)
        assert box
        assert sizes
        assert min(map(float, sizes)) * image["width"] / float(box[1]) >= SMALLEST_PIXELS


@every_look
def test_something_is_to_be_seen(seen: Looks, look_at: tuple[str, str]) -> None:
    """A screenshot is no blank sheet: it has ink, and paper, and more than a few colours."""
    picture = np.asarray(Image.open(io.BytesIO(seen[look_at].screenshot)).convert("RGB"))
    colours = np.unique(picture.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32))
    assert len(colours) > 20
    assert colours.min() < 0x303030
    assert colours.max() == 0xFFFFFF


def test_narrow_screens_get_narrow_charts(seen: Looks) -> None:
    """A telephone is given the narrow drawings, a wide screen the wide ones."""
    for name, width, expected in (("wide", 820, 6), ("phone", 820, 0)):
        images = seen["company_trends", name].images
        boxes = [drawing_of(image) for image in images]
        assert sum(f'viewBox="0 0 {width} ' in drawing for drawing in boxes) == expected


def test_hostile_names_are_words(seen: Looks) -> None:
    """A product called like a script is there to be read, and was not run."""
    look_at = seen["drop-table-orders", "phone"]
    assert SCRIPT in look_at.text
    assert "a script ran" not in look_at.complaints


def test_words_are_whole_and_the_page_narrow(browser: Any) -> None:
    """On a telephone ordinary words are not broken, and no word, however long, widens the page."""
    alike = {"revenue_a": 9.0, "revenue_b": 9.0, "average_price_a": 1.0, "average_price_b": 1.0}
    phone = browser.new_page(viewport={"width": WIDTHS["phone"], "height": 900})
    for name, lines in (("Hot chocolate", 2), ("Middlesbrough " * 9, 9), ("X" * 100, None)):
        rows = pd.DataFrame([{"product_a": name, "product_b": name.lower(), **alike}] * 2)
        piece = page.section(Headline(name, ""), "Pairs", tables.look_alikes(rows))
        phone.set_content(f"<!doctype html>{page.style().markup}<main>{piece.markup}</main>")
        assert phone.evaluate("document.documentElement.scrollWidth") <= WIDTHS["phone"]
        high = phone.evaluate(
            "(cell => (cell.clientHeight - 12) / parseFloat(getComputedStyle(cell).lineHeight))"
            "(document.querySelector('tbody th'))"
        )
        assert lines is None or high < lines + 0.5
    phone.close()


def test_it_prints(browser: Any, reported: Reported) -> None:
    """On paper the page keeps its wide charts, and breaks no card but one with a long table."""
    paper = browser.new_page(viewport={"width": 700, "height": 1000})
    paper.emulate_media(media="print")
    paper.goto(reported.page("company_trends").as_uri())
    kept = paper.evaluate(
        "[...document.querySelectorAll('.card, picture, tr')]"
        ".filter(one => getComputedStyle(one).breakInside !== 'avoid')"
        ".every(one => one.querySelectorAll('tr').length >= 20)"
    )
    wide = paper.evaluate(
        "[...document.images].some(one => one.currentSrc && one.naturalWidth > 700)"
    )
    assert kept
    assert wide
    paper.close()


# --- mails

MAILS = ("report", "failures")
LARGEST_HTML = 60_000
every_mail = pytest.mark.parametrize(
    "look_at", [(n, w) for n in MAILS for w in WIDTHS], ids="-".join
)


@pytest.fixture(scope="module")
def seen_mails(
    browser: Any, reported: Reported, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Seen]:
    """The mails of a branch's page and of two failures, at every width, looked at once."""
    folder = tmp_path_factory.mktemp("mails")
    settings = reported.settings.model_copy(
        update={"mail": f"outbox:{folder}", "runs": str(folder / "runs.sqlite")}
    )
    with contextlib.chdir(reported.folder):
        definition = load_definition("branch_trends").model_copy(
            update={"owners": ["it@example.org"]}
        )
        run = reported.runs["leeds"]
        deliver(settings, definition, [run], to=["leeds@example.org"])
        why = f"cell 3: KeyError: {SCRIPT} {'x' * 200}"
        runs = [replace(run, error=why, title=f"Branch trends: {n}") for n in ("Leeds", "York")]
        report_failures(settings, definition, runs)
    found = {}
    for path in folder.glob("*.eml"):
        mail = email.message_from_bytes(path.read_bytes(), policy=default)
        name = "report" if mail["To"] == "leeds@example.org" else "failures"
        shown = path.with_suffix(".html")
        shown.write_text(as_shown(mail))
        found |= {(name, width): look(browser, shown, WIDTHS[width]) for width in WIDTHS}
    return found


def as_shown(mail: Any) -> str:
    """The HTML of a mail with its own images in their places, as a mail program shows it."""
    html = str(mail.get_body(("html",)).get_content())
    assert len(html.encode()) < LARGEST_HTML
    for part in mail.walk():
        if part["Content-ID"]:
            image = base64.b64encode(part.get_content()).decode()
            html = html.replace(
                f"cid:{part['Content-ID'].strip('<>')}", f"data:image/png;base64,{image}"
            )
    return html


@every_mail
def test_a_mail_reads_well(seen_mails: Looks, look_at: tuple[str, str]) -> None:
    """A mail loads nothing, runs nothing, fits the screen, and has no text below 11 pixels."""
    found = seen_mails[look_at]
    assert (found.requests, found.complaints) == ([], [])
    assert found.scroll_width <= found.width
    assert min(found.text_sizes) >= SMALLEST_PIXELS


@pytest.mark.parametrize("width", WIDTHS)
def test_the_charts_of_a_mail_are_shown(seen_mails: Looks, width: str) -> None:
    """The images that come with a mail are drawn in it, and say in words what they show."""
    images = seen_mails["report", width].images
    assert len(images) >= 2
    for image in images:
        assert image["loaded"] > 0
        assert 100 < image["width"] <= WIDTHS[width]
        assert image["alt"]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_mail_of_failures_has_words_and_commands(seen_mails: Looks, width: str) -> None:
    """Owners read what failed and the command to run again; what looks like markup is text."""
    text = seen_mails["failures", width].text
    assert SCRIPT in text
    assert text.count("brewtopia report branch_trends --branch Leeds") == 2
