"""Digests: what a mail says of a report, read from its executed notebook; pure."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brewtopia_lib.formats import shortened
from brewtopia_lib.pages.markup import DIGEST

MOST_CHARTS = 2
ARROWS = {"up": "▲", "down": "▼", "idea": "◆"}
LONGEST_NAME, LONGEST_TEXT = 80, 400


def _cid(image: bytes) -> str:
    return f"{hashlib.sha256(image).hexdigest()[:16]}@brewtopia"


@dataclass(frozen=True)
class Number:
    """One of the numbers that matter, with small lines such as its change."""

    name: str
    value: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Said:
    """One finding: which way it goes (up, down or idea), its worth, a sentence, a small chart."""

    way: str
    worth: str
    sentence: str
    detail: str = ""
    png: bytes = field(default=b"", repr=False)

    @property
    def cid(self) -> str:
        """What names the chart in the mail."""
        return _cid(self.png)


@dataclass(frozen=True)
class Chart:
    """A chart as an image, with what it shows in words; `cid` names it in the mail."""

    headline: str
    measure: str
    numbers: str
    png: bytes = field(repr=False)

    @property
    def cid(self) -> str:
        return _cid(self.png)


@dataclass(frozen=True)
class Digest:
    """What a mail says of a report."""

    title: str
    overline: str = ""
    period: str = ""
    loaded: str = ""
    notices: tuple[str, ...] = ()
    numbers: tuple[Number, ...] = ()
    changes: tuple[Said, ...] = ()
    findings: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()

    @property
    def lead(self) -> str:
        """The first thing to say: the largest change, or else the first finding."""
        found = [one.sentence for one in self.changes] or [*self.findings, self.title]
        return found[0]

    @property
    def subject(self) -> str:
        """The report, what the first thing to say of it is worth, and that thing."""
        worth = [one.worth for one in self.changes[:1]]
        said = ". ".join([*filter(None, worth), self.lead.rstrip(".")])
        return self.title if said == self.title else f"{self.title}: {said}"

    @property
    def about(self) -> str:
        """Which report this is."""
        return " · ".join(filter(None, [self.overline, self.title]))


def read_digest(notebook: Mapping[str, Any], title: str, notice: str | None = None) -> Digest:
    """The digest in the outputs of an executed notebook, as the pieces of its page left it.

    `title` stands for what has none, and `notice` comes before those of the page. Every text is
    put on one line and cut where it is too long for a mail.
    """
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    said = [
        {**part}
        for output in outputs
        for part in output.get("data", {}).get(DIGEST, [])
        if isinstance(part, dict)
    ]
    heads = {key: value for part in reversed(said) for key, value in part.items()}
    notices = [text for part in said for text in part.get("notices", [])]
    findings = [
        text for text in [heads.get("nothing_changed")] if text and not heads.get("changes")
    ]
    if "changes" not in heads and not findings:
        findings = [part["headline"] for part in said if "headline" in part]
    return Digest(
        title=_line(heads.get("title", title), LONGEST_NAME),
        overline=_line(heads.get("overline", ""), LONGEST_NAME),
        period=_line(heads.get("period", "")),
        loaded=_line(heads.get("loaded", "")),
        notices=tuple(map(_line, ([notice] if notice else []) + notices))[:6],
        numbers=tuple(map(_number, heads.get("numbers", [])[:8])),
        changes=tuple(map(_said, heads.get("changes", [])[:6])),
        findings=tuple(map(_line, findings[:8])),
        charts=tuple(_chart(part["chart"]) for part in said if "chart" in part)[:MOST_CHARTS],
    )


def _line(value: Any, longest: int = LONGEST_TEXT) -> str:
    return shortened(str(value), longest)


def _number(said: Mapping[str, Any]) -> Number:
    lines = tuple(_line(line, LONGEST_NAME) for line in said.get("lines", [])[:4])
    return Number(_line(said["name"], LONGEST_NAME), _line(said["value"], LONGEST_NAME), lines)


def _said(said: Mapping[str, Any]) -> Said:
    way = said["way"] if said.get("way") in ("up", "idea") else "down"
    worth, sentence, detail = (_line(said.get(key, "")) for key in ("worth", "sentence", "detail"))
    return Said(way, worth, sentence, detail, base64.b64decode(said.get("png", "")))


def _chart(said: Mapping[str, Any]) -> Chart:
    headline, measure, numbers = (_line(said[key]) for key in ("headline", "measure", "numbers"))
    return Chart(headline, measure, numbers, base64.b64decode(said["png"]))
