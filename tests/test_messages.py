"""Mails: small, whole without style sheets or network, and nothing breaks out of its place."""

import base64
import email
import io
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from typing import Any

import pytest
from PIL import Image

from brewtopia_lib.mail.digests import Digest, read_digest
from brewtopia_lib.mail.messages import (
    Attachment,
    Envelope,
    Failure,
    failure_message,
    report_message,
)
from brewtopia_lib.pages.markup import DIGEST

HOSTILE = "</p><script>alert(1)</script>\r\nBcc: spy@example.org\r\n\r\n<img src=http://x/y>"
ENVELOPE = Envelope(
    "reports@example.org",
    "leeds@example.org",
    "<1.abc@example.org>",
    datetime(2024, 7, 1, 6, tzinfo=UTC),
)
CHANGE = {
    "way": "down",
    "worth": "−£76 a week",
    "sentence": "Mocha is down £76 a week (−5.0%) on the 4 weeks before.",
    "detail": "12 sold, 20 before",
}


def png(colour: str) -> str:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(stream, "png")
    return base64.b64encode(stream.getvalue()).decode()


def notebook(*said: dict[str, Any]) -> dict[str, Any]:
    """An executed notebook whose only cell said this."""
    return {"cells": [{"outputs": [{"data": {DIGEST: list(said), "text/html": "<p>"}}]}]}


def full(text: str = "Leeds") -> dict[str, Any]:
    """A notebook that says everything a page can say, with a text in every place."""
    chart = {"headline": text, "measure": text, "numbers": text}
    return notebook(
        {"title": text, "overline": text, "period": text, "loaded": text},
        {"notices": [text] * 9},
        {"numbers": [{"name": text, "value": text, "lines": [text, "▲ +1%"]}] * 9},
        {"changes": [CHANGE, *[{**CHANGE, "sentence": text, "detail": text}] * 9]},
        *({"chart": {**chart, "png": png(colour)}} for colour in ("red", "green", "blue")),
    )


def mail(said: dict[str, Any], **options: Any) -> EmailMessage:
    """The mail of a notebook, as its receiver parses it."""
    digest = read_digest(said, "Branch trends: Leeds")
    made = report_message(
        digest, ENVELOPE, report="branch_trends", **{"largest_bytes": 10_000_000, **options}
    )
    parsed = email.message_from_bytes(made.as_bytes(), policy=default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


class Elements(HTMLParser):
    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_parts_stand_in_their_order() -> None:
    """A mail is mixed of an alternative (text, then HTML with its images) and what is attached."""
    page = Attachment("leeds.html", b"<!DOCTYPE html><p>page")
    message = mail(full(), attachments=[page])
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related",
        "text/html", "image/png", "image/png", "text/html",
    ]  # fmt: skip
    (attached,) = message.iter_attachments()
    assert (attached.get_filename(), attached.get_payload(decode=True)) == (page.name, page.content)
    images = {part["Content-ID"] for part in message.walk() if part["Content-ID"]}
    shown = re.findall(r'src="cid:([^"]+)"', body(message, "html"))
    assert {f"<{cid}>" for cid in shown} == images
    assert len(images) == 2


def test_the_first_lines_say_what_changed_and_what_it_is_worth() -> None:
    """Subject, text and HTML begin with the largest change and its pounds."""
    message = mail(full())
    sentence = "Mocha is down £76 a week (−5.0%) on the 4 weeks before"
    assert message["Subject"] == f"Leeds: −£76 a week. {sentence}"
    assert body(message, "plain").startswith(sentence)
    assert sentence in " ".join(Elements(body(message, "html")).text.split())[:120]


def test_a_finding_has_its_chart_in_the_mail() -> None:
    """The small chart of a finding comes with the mail, once, and says in words what it shows."""
    drawn = {**CHANGE, "png": png("red"), "way": "idea"}
    message = mail(notebook({"title": "Leeds"}, {"changes": [CHANGE, drawn, drawn]}))
    (image,) = (part for part in message.walk() if part.get_content_type() == "image/png")
    found = Elements(body(message, "html"))
    shown = [attributes for tag, attributes in found.found if tag == "img"]
    assert {f"<{str(one['src']).removeprefix('cid:')}>" for one in shown} == {image["Content-ID"]}
    assert all("Mocha is down" in str(one["alt"]) for one in shown)
    assert "◆ −£76 a week" in " ".join(found.text.split())


def test_the_text_stands_alone() -> None:
    """Who reads only the text gets the numbers, every change, the charts in words, and the place."""
    text = body(mail(full("Hull"), link="https://r.example.org/a.html"), "plain")
    for said in (
        "Hull: Hull (Hull; ▲ +1%)",
        "−£76 a week",
        "12 sold",
        "https://r.example.org/a.html",
    ):
        assert said in text
    assert "<" not in text


def test_html_needs_no_style_sheet_and_no_network() -> None:
    """All style is inline, images come with the mail, and there is no script."""
    found = Elements(body(mail(full()), "html")).found
    assert not {tag for tag, _ in found} & {"style", "script", "link", "form"}
    assert all(attributes["src"].startswith("cid:") for tag, attributes in found if tag == "img")
    assert all(attributes.get("alt") for tag, attributes in found if tag == "img")
    assert all(
        attributes.get("role") == "presentation" for tag, attributes in found if tag == "table"
    )
    assert sum("style" in attributes for _, attributes in found) > 30


def test_html_stays_small_whatever_the_names_are() -> None:
    """With the longest texts in every place the HTML is below 60 KB, which Gmail shows whole."""
    assert len(body(mail(full("Ł & <b>" * 500)), "html").encode()) < 60_000


def test_nothing_breaks_out_of_its_place() -> None:
    """Markup and line breaks in any text stay text: no element, no header, no line of their own."""
    message = mail(full(HOSTILE))
    assert "Bcc" not in message
    assert HOSTILE.splitlines()[0] in Elements(body(message, "html")).text
    found = Elements(body(message, "html")).found
    assert not [tag for tag, _ in found if tag == "script"]
    assert not [a for tag, a in found if tag == "img" and not str(a["src"]).startswith("cid:")]
    assert not any(line.startswith("Bcc:") for line in body(message, "plain").splitlines())
    assert b"\nBcc:" not in message.as_bytes().partition(b"\n\n")[0].replace(b"\r", b"")


@pytest.mark.parametrize("field", ["sender", "recipient", "message_id"])
def test_headers_take_no_line_breaks(field: str) -> None:
    """An address or id with a line break is refused, not written."""
    envelope = Envelope(**{**vars(ENVELOPE), field: "a@example.org\r\nBcc: spy@example.org"})
    with pytest.raises(ValueError, match="."):
        report_message(Digest("Leeds"), envelope, report="r", largest_bytes=10**7).as_bytes()


def test_a_page_too_large_gives_way_and_the_mail_says_so() -> None:
    """Where page and mail together are too large, the page is left out with a word on it."""
    page = Attachment("leeds.html", b"x" * 2_000_000)
    whole = mail(full(), attachments=[page])
    assert "is attached: leeds.html" in body(whole, "plain")
    for link, says in ((None, "ask for leeds.html"), ("https://r.example.org/a", "open it with")):
        small = mail(full(), attachments=[page], link=link, largest_bytes=1_000_000)
        assert not list(small.iter_attachments())
        for kind in ("plain", "html"):
            assert f"(2.0 MB) is too large to attach: {says}" in body(small, kind)
        assert len(small.as_bytes()) < 1_000_000


def test_a_report_that_says_nothing_has_a_mail() -> None:
    """A notebook without a page of ours is mailed under its title."""
    message = mail({"cells": [{"outputs": [{"output_type": "stream", "text": "x"}]}, {}]})
    assert message["Subject"] == "Branch trends: Leeds"
    assert "Branch trends: Leeds" in body(message, "html")


def test_findings_stand_in_for_changes() -> None:
    """A report that compares nothing leads with its first headline, and lists the others."""
    message = mail(
        notebook({"title": "Quality"}, {"headline": "All is well"}, {"headline": "No pair"})
    )
    assert message["Subject"] == "Quality: All is well"
    assert "* No pair" in body(message, "plain")


def test_the_same_mail_is_the_same_bytes() -> None:
    """Made twice, a mail is the same, boundaries included."""
    digest = read_digest(full(), "Leeds")
    made = [
        report_message(digest, ENVELOPE, report="r", largest_bytes=10**7).as_bytes()
        for _ in range(2)
    ]
    assert made[0] == made[1]


def test_lines_are_seven_bit_and_short() -> None:
    """No byte or line of a mail is more than any mail server takes."""
    made = mail(
        full("Café " * 50), attachments=[Attachment("a.html", "é".encode() * 9000)]
    ).as_bytes()
    assert max(made) < 128
    assert max(map(len, made.splitlines())) <= 998


def test_failures_come_with_the_command() -> None:
    """The mail to owners names each failure with its traceback and command, all as plain words."""
    failures = [
        Failure(f"Leeds {n}", HOSTILE, "brewtopia report x", f"line 1\n{HOSTILE}")
        for n in range(25)
    ]
    message = email.message_from_bytes(
        failure_message(failures, "Branch trends", ENVELOPE).as_bytes(), policy=default
    )
    assert isinstance(message, EmailMessage)
    assert message["Subject"] == "Branch trends: 25 failures"
    for kind in ("plain", "html"):
        assert "brewtopia report x" in body(message, kind)
        assert "and 5 more" in body(message, kind)
    assert not [tag for tag, _ in Elements(body(message, "html")).found if tag in ("script", "img")]
    assert "Bcc" not in message
