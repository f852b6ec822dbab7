"""Mails made of reports: pure, and nothing from the data can break out of its place."""

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
from brewtopia_lib.mail.digests import ARROWS, Chart, Digest, Said

POLICY = SMTP.clone(cte_type="7bit")
"""Seven-bit lines, which every mail server takes."""
LONGEST_SUBJECT = 120
MOST_FAILURES = 20


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
