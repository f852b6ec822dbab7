"""Mails made of reports: pure, and nothing from the data can break out of its place."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from typing import Any

import css_inline
import jinja2
from markupsafe import Markup, escape

from brewtopia_lib.formats import listed, plural, shortened
from brewtopia_lib.page import DIGEST

POLICY = SMTP.clone(cte_type="7bit")
"""Seven-bit lines, which every mail server takes."""
MOST_CHARTS = 2
ARROWS = {"up": "▲", "down": "▼", "idea": "◆"}
LONGEST_NAME, LONGEST_TEXT = 80, 400
LONGEST_SUBJECT = 120
MOST_FAILURES = 20


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
        """The report, and the first thing to say of it."""
        lead = self.lead.rstrip(".")
        return self.title if lead == self.title else f"{self.title}: {lead}"

    @property
    def about(self) -> str:
        """Which report this is."""
        return " · ".join(filter(None, [self.overline, self.title]))


@dataclass(frozen=True)
class Attachment:
    """A file to go with a mail."""

    name: str
    content: bytes = field(repr=False)
    kind: tuple[str, str] = ("text", "html")


@dataclass(frozen=True)
class Envelope:
    """Who writes to whom, as what, and when; `reply_to` may be empty."""

    sender: str
    recipient: str
    message_id: str
    sent_at: datetime
    reply_to: tuple[str, ...] = ()


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


def report_message(
    digest: Digest,
    envelope: Envelope,
    *,
    report: str,
    attachments: Sequence[Attachment] = (),
    link: str | None = None,
    largest_bytes: int,
) -> EmailMessage:
    """The mail of one report to one person: a text that stands alone, HTML, and what is attached.

    The HTML needs no style sheet and loads nothing. Where the mail would be larger than
    `largest_bytes`, it says so and leaves the attachments out.
    """

    def made(attached: Sequence[Attachment]) -> EmailMessage:
        facts = {
            "digest": digest,
            "subject": shortened(digest.subject, LONGEST_SUBJECT),
            "link": link,
            "whole": _whole(attached, attachments, link),
            "why": f"You are among the recipients of the report {report}.",
        }
        message = _message("report", facts, envelope)
        _, html = message.iter_parts()
        drawn: list[Said | Chart] = [*digest.changes, *digest.charts]
        images = {one.cid: one.png for one in drawn if one.png}
        for cid, image in images.items():
            name = f"{cid.partition('@')[0]}.png"
            html.add_related(
                image, "image", "png", cid=f"<{cid}>", disposition="inline", filename=name
            )
        for one in attached:
            message.add_attachment(
                one.content, one.kind[0], one.kind[1], filename=one.name, cte="base64"
            )
        return _finished(message)

    message = made(attachments)
    return message if len(message.as_bytes()) <= largest_bytes else made(())


@dataclass(frozen=True)
class Failure:
    """One thing that failed: what, why, how to mend it, and where it has one its traceback."""

    what: str
    why: str
    command: str
    traceback: str = ""


def failure_message(failures: Sequence[Failure], title: str, envelope: Envelope) -> EmailMessage:
    """The mail to those who look after a report: what failed, and the commands to run again."""
    facts = {
        "subject": shortened(f"{title}: {plural(len(failures), 'failure')}", LONGEST_SUBJECT),
        "title": title,
        "failures": failures[:MOST_FAILURES],
        "more": len(failures) - MOST_FAILURES,
    }
    return _finished(_message("failures", facts, envelope))


def _message(template: str, facts: Mapping[str, Any], envelope: Envelope) -> EmailMessage:
    """A mail with its headers, as text and as HTML."""
    message = EmailMessage(policy=POLICY)
    message["From"] = Address("Brewtopia", addr_spec=envelope.sender)
    message["To"] = Address(addr_spec=envelope.recipient)
    if envelope.reply_to:
        message["Reply-To"] = [Address(addr_spec=one) for one in envelope.reply_to]
    message["Subject"] = facts["subject"]
    message["Date"] = envelope.sent_at
    message["Message-ID"] = envelope.message_id
    message["Auto-Submitted"] = "auto-generated"
    html = css_inline.inline(
        _environment().get_template(f"mail/{template}.html.j2").render(facts),
        load_remote_stylesheets=False,
    )
    text = _plain().get_template(f"mail/{template}.txt.j2").render(facts)
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    return message


def _finished(message: EmailMessage) -> EmailMessage:
    """The message with boundaries of its own: the same message is the same bytes."""
    seed = hashlib.sha256(message["Message-ID"].encode()).hexdigest()[:24]
    for place, part in enumerate(message.walk()):
        if part.is_multipart():
            part.set_boundary(f"=_{seed}_{place}")
    return message


def _whole(attached: Sequence[Attachment], asked: Sequence[Attachment], link: str | None) -> str:
    """Where the whole report is."""
    names = [one.name for one in asked]
    if attached:
        return f"The whole report is attached: {listed(names)}."
    if asked:
        size = sum(len(one.content) for one in asked) / 1_000_000
        large = f"The whole report ({size:,.1f} MB) is too large to attach"
        return f"{large}: open it with the link." if link else f"{large}: ask for {listed(names)}."
    return "The whole report opens in a browser." if link else ""


@cache
def _environment() -> jinja2.Environment:
    return _templates(autoescape=True)


@cache
def _plain() -> jinja2.Environment:
    return _templates(autoescape=False)


def _templates(*, autoescape: bool) -> jinja2.Environment:
    loader = jinja2.PackageLoader("brewtopia_lib")
    environment = jinja2.Environment(loader=loader, autoescape=autoescape)
    environment.filters |= {"way": _way, "money": _money, "arrow": ARROWS.__getitem__}
    return environment


def _way(line: str) -> str:
    return {"▲": "up", "▼": "down"}.get(line[:1], "flat")


def _money(text: str) -> Markup:
    """The text as HTML, with no line break between a sign and its pound."""
    kept = r'<span class="kept">\1</span>'
    return Markup(re.sub("([+\N{MINUS SIGN}]£[0-9,.]*)", kept, str(escape(text))))


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
