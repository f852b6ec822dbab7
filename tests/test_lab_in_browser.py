"""JupyterLab as an analyst meets it: started by the command, looked at in Chromium."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_pages_in_browser import QUIET, browser  # noqa: F401 - a fixture
from tills import settings_in

from brewtopia_lib.ingest import ingest
from brewtopia_lib.sample import write_sample

ROOT = Path(__file__).parent.parent
TOKEN = "start"
PATIENCE = 60_000
OVERFLOWING = """() => [...document.querySelectorAll('.jp-OutputArea-output')]
    .filter(one => one.scrollWidth > one.clientWidth + 1).length"""

pytestmark = pytest.mark.slow


@dataclass
class Lab:
    """A running JupyterLab, and the page of it that was opened."""

    page: Any
    requests: list[str]
    pictures: Path

    def picture(self, name: str) -> np.ndarray:
        """What the screen shows now; kept where LAB_PICTURES says."""
        path = self.pictures / f"{name}.png"
        self.page.screenshot(path=path)
        return np.asarray(Image.open(path).convert("RGB"))


@pytest.fixture(scope="module")
def lab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:  # noqa: F811
    """`brewtopia lab` on a copy of the notebooks and a small chain, and its start page."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / ".env").touch()
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    settings = settings_in(folder)
    write_sample(folder / "raw", branches=3, days=70, seed=3, until=date(2024, 6, 30), faults=True)
    ingest(settings)
    environment = {
        "BREWTOPIA_RAW": settings.raw,
        "BREWTOPIA_LAKE": settings.lake,
        "BREWTOPIA_WAREHOUSE": settings.warehouse,
        "PYTHONPATH": str(ROOT),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    said = folder / "said"
    with said.open("w") as stream:
        server = subprocess.Popen(
            [
                sys.executable, "-m", "brewtopia_lib.cli", "lab", "--no-browser", "--allow-root",
                "--ServerApp.port=0", f"--IdentityProvider.token={TOKEN}",
            ],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=stream,
            stderr=stream,
        )  # fmt: skip
    try:
        address = _address(said, server)
        page = browser.new_page(viewport={"width": 1280, "height": 3600})
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{address}?token={TOKEN}")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=PATIENCE)
        pictures = Path(os.environ.get("LAB_PICTURES", folder))
        yield Lab(page, requests, pictures)
        page.close()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def _address(said: Path, server: subprocess.Popen[bytes]) -> str:
    for _ in range(600):
        if found := re.search(r"http://\S+?(?=\?token)", said.read_text()):
            return found[0]
        assert server.poll() is None, said.read_text()
        time.sleep(0.2)
    raise AssertionError(said.read_text())


@pytest.fixture(scope="module")
def ran(lab: Lab) -> Lab:
    """The start notebook with all its cells run."""
    lab.page.get_by_role("menuitem", name="Run", exact=True).click()
    lab.page.get_by_text("Run All Cells", exact=True).click()
    lab.page.wait_for_function(
        "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]"
        ".every(prompt => /\\[\\d+\\]/.test(prompt.innerText))",
        timeout=PATIENCE,
    )
    lab.page.wait_for_selector(".widget-dropdown select", timeout=PATIENCE)
    return lab


def test_it_opens_on_the_start_notebook(lab: Lab) -> None:
    """The command opens the notebook to start from, with a Python kernel and no question asked."""
    assert "explore/00_start_here.ipynb" in lab.page.url
    assert lab.page.locator(".jp-Dialog").count() == 0
    lab.page.wait_for_selector(".jp-RenderedMarkdown h1", timeout=PATIENCE)
    assert "Start here" in lab.page.locator(".jp-RenderedMarkdown h1").first.inner_text()


def test_no_news_are_offered(ran: Lab) -> None:
    """JupyterLab neither asks whether to fetch news nor fetches any."""
    assert "Jupyter news" not in ran.page.locator("body").inner_text()
    assert not [url for url in ran.requests if url.endswith("/lab/api/news")]
    assert ran.page.locator(".jp-Notification-List, .Toastify__toast").count() == 0


def test_tables_and_figures_are_seen(ran: Lab) -> None:
    """All cells run without an error; there is a table to sort and a figure drawn in the notebook."""
    page = ran.page
    assert (
        page.locator(".jp-OutputArea [data-mime-type='application/vnd.jupyter.error']").count() == 0
    )
    table = page.locator("table.dataTable").first
    table.wait_for(timeout=PATIENCE)
    assert "Leeds" in table.inner_text()
    assert table.locator("th.dt-orderable-asc").count() > 3
    shown = ran.picture("notebook")
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 50
    figure = page.locator(".jp-RenderedSVG img, .jp-RenderedSVG svg").last
    assert 400 < figure.bounding_box()["width"] <= 820
    assert page.evaluate(OVERFLOWING) == 0


def test_the_explorer_follows_its_choices(ran: Lab) -> None:
    """Another branch and product give other charts, and a comparison is drawn."""
    page = ran.page
    choices = page.locator(".widget-dropdown select")
    shown = page.locator(".widget-html-content:has(h3)").first
    assert "Everything, the whole chain" in shown.locator("h3").inner_text()
    assert shown.locator("svg").count() == 3
    choices.nth(0).select_option(label="Leeds")
    page.wait_for_selector("h3:has-text('Everything, Leeds')", timeout=PATIENCE)
    ran.picture("explorer")
    product = choices.nth(2).evaluate("one => one.options[1].text")
    choices.nth(2).select_option(index=1)
    title = page.locator("h3").get_by_text(f"{product}, Leeds")
    title.wait_for(timeout=PATIENCE)
    choices.nth(3).select_option(index=1)
    page.wait_for_selector("p:has-text('per cent of its own average')", timeout=PATIENCE)
    assert shown.locator("svg").count() == 1
    ran.picture("compared")


def test_nothing_comes_from_elsewhere(ran: Lab) -> None:
    """Tables, widgets and figures ask nothing but the server they came from."""
    host = re.match(r"http://[^/]+/", ran.page.url)[0]  # type: ignore[index]
    others = [url for url in ran.requests if not url.startswith((host, "data:", "blob:"))]
    assert others == []
