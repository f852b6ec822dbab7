"""Executed notebooks as pages: self-contained HTML, with their charts counted."""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from threading import Lock
from typing import Any

import jinja2
from nbconvert import HTMLExporter

from brewtopia_lib.formats import plural, printable, without_colours
from brewtopia_lib.pages.markup import DIGEST

TEMPLATES = str(files("brewtopia_lib") / "templates")
IMAGES = ("image/png", "image/svg+xml", "image/jpeg")
DRAWN = re.compile(r"<picture\b.*?</picture>|<img\b|<svg\b", re.DOTALL)
FIRST_DRAWING = re.compile(r'(?:srcset|src)="data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)"')
LOST = re.compile(r"<Figure size |Figure\(")
_one_at_a_time = Lock()


@dataclass(frozen=True)
class Facts:
    """What stands at the head of a page: its title, what it covers, and what is to be noticed."""

    title: str
    description: str
    notice: str | None = None


def report_page(notebook: Any, facts: Facts) -> str:
    """The page of a notebook: what its cells put out, but for those tagged `lab`."""
    with _one_at_a_time:
        page, _ = _exporter().from_notebook_node(notebook, resources={"report": facts})
    return str(page)


def failure_page(
    notebook: Any, facts: Facts, error: str, failed_cell: int | None, asked: Mapping[str, Any]
) -> str:
    """A page that says why there is none: the reason, the cell that failed, and its traceback.

    `asked` are the parameters. The notebook and the reason are without secrets already.
    """
    cell = None if failed_cell is None else notebook.cells[failed_cell]
    traceback = [
        without_colours(line)
        for output in (cell.outputs if cell else ())
        if output.output_type == "error"
        for part in output.traceback
        for line in part.splitlines()
    ]
    return template("failure.html.j2").render(
        facts=facts,
        error=error,
        source=cell.source if cell else "",
        traceback="\n".join(map(printable, traceback)),
        asked=asked,
    )


def template(name: str) -> jinja2.Template:
    """One of our templates, in which whatever is put in is escaped."""
    return _templates().get_template(name)


def chart_fault(notebook: Any, fewest: int) -> str | None:
    """What is wrong with the charts that the page will show; None where nothing is.

    Fewer than `fewest`, or a plot of which only its description has arrived.
    """
    outputs = list(_shown(notebook))
    lost = sum(
        bool(LOST.match(data.get("text/plain", "")))
        and not any(kind in data for kind in (*IMAGES, "text/html"))
        for data in outputs
    )
    if lost:
        return f"{plural(lost, 'plot')} came without an image"
    charts = sum(
        len(DRAWN.findall(data["text/html"]))
        if "text/html" in data
        else any(kind in data for kind in IMAGES)
        for data in outputs
    )
    if charts < fewest:
        return f"it shows {plural(charts, 'chart')}, and {fewest} is the fewest it should"
    return None


def first_drawing(page: str) -> str | None:
    """The first chart of a page as an SVG document, in its narrow variant; None without any.

    One of the whole width, where there is one: the small charts of findings need their sentence.
    """
    found = FIRST_DRAWING.search(page, max(page.find('<picture class="full">'), 0))
    return base64.b64decode(found[1]).decode() if found else None


def leading_numbers(notebook: Any) -> list[dict[str, Any]]:
    """The numbers that head the page, as name, value and lines; empty where there are none."""
    said = (part for data in _shown(notebook) for part in data.get(DIGEST, []))
    found: list[dict[str, Any]] = next((part["numbers"] for part in said if "numbers" in part), [])
    return found


def _shown(notebook: Any) -> Iterator[Mapping[str, Any]]:
    """The data of each output that is on the page."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and "lab" not in cell.metadata.get("tags", []):
            yield from (output.data for output in cell.outputs if "data" in output)


@cache
def _exporter() -> HTMLExporter:
    return HTMLExporter(template_name="report", extra_template_basedirs=[TEMPLATES])


@cache
def _templates() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(TEMPLATES)
    return jinja2.Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
