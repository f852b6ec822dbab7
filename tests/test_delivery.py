"""Delivery: each page to each recipient once, whatever fails, and owners hear of it."""

import email
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from mail_server import Post, mail_server

from brewtopia_lib.errors import ParameterError
from brewtopia_lib.mail import sending
from brewtopia_lib.mail.delivery import (
    check_recipients,
    deliver,
    report_failures,
    rerun_command,
    unknown_branches,
)
from brewtopia_lib.mail.sending import Delivery
from brewtopia_lib.pages.markup import DIGEST
from brewtopia_lib.reports.batches import ReportRun
from brewtopia_lib.reports.definitions import Definition
from brewtopia_lib.reports.redaction import redacted, secrets_of
from brewtopia_lib.reports.runs import Ledger
from brewtopia_lib.settings import Settings

MONDAY = datetime.fromisoformat("2024-07-01T07:00:00+01:00")
SECRETS = ("hunter2&co", "tok-3n-99")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "PAUSES_SECONDS", (0, 0.01, 0.01))


@pytest.fixture
def post() -> Iterator[Post]:
    with mail_server(Post()) as post:
        yield post


def settings_for(folder: Path, post: Post | None = None, **others: Any) -> Settings:
    mail = f"smtp://127.0.0.1:{post.port}?tls=never" if post else f"outbox:{folder / 'outbox'}"
    places = {"reports": str(folder / "output"), "runs": str(folder / "runs.sqlite"), "mail": mail}
    return Settings(**places | others)


def definition(**declared: Any) -> Definition:
    given = {"recipients": ["all@example.org"], "owners": ["it@example.org"], "for_each": "branch"}
    return Definition(name="trends", title="Trends", notebook=Path("t.ipynb"), **given | declared)


def made(folder: Path, branch: str = "Leeds", **others: Any) -> ReportRun:
    """A run as `run_report` leaves it: a page and an executed notebook that says something."""
    folder = folder / "output" / "trends"
    folder.mkdir(parents=True, exist_ok=True)
    page, notebook = folder / f"{branch}.html", folder / f"{branch}.ipynb"
    page.write_text(f"<!DOCTYPE html><title>{branch}</title>")
    said = [{"title": branch}, {"nothing_changed": "Nothing stands out."}]
    notebook.write_text(json.dumps({"cells": [{"outputs": [{"data": {DIGEST: said}}]}]}))
    facts: dict[str, Any] = {
        "state": "done", "page": page, "seconds": 1.0, "notebook": notebook,
        "title": f"Trends: {branch}", "until": date(2024, 6, 30),
        "parameters": {"branch": branch, "until": date(2024, 6, 30), "weeks": 4},
    }  # fmt: skip
    return ReportRun("trends", branch, **facts | others)


def failed(folder: Path, error: str = "cell 3: ValueError: no", traceback: str = "") -> ReportRun:
    """A run whose notebook failed."""
    path = folder / "leeds.failed.ipynb"
    outputs = [{"output_type": "error", "traceback": traceback.split("\n")}]
    path.write_text(json.dumps({"cells": [{"outputs": outputs}]}))
    return made(folder, state="failed", page=None, notebook=path, error=error)


def states(deliveries: list[Delivery]) -> list[str]:
    return [one.state for one in deliveries]


def mails(folder: Path) -> list[EmailMessage]:
    found = []
    for path in sorted((folder / "outbox").glob("*.eml")):
        message = email.message_from_bytes(path.read_bytes(), policy=default)
        assert isinstance(message, EmailMessage)
        found.append(message)
    return found


# --- who gets what


def test_each_branch_has_its_readers(tmp_path: Path) -> None:
    """Every page goes to the recipients, a branch's also to its own, each address once."""
    readers = definition(
        branch_recipients={
            "leeds": ["leeds@example.org", "all@example.org"],
            "Hull": ["h@example.org"],
        }
    )
    sent = deliver(settings_for(tmp_path), readers, [made(tmp_path), made(tmp_path, "York")])
    assert [(one.what, one.recipient) for one in sent] == [
        ("Trends: Leeds", "all@example.org"),
        ("Trends: Leeds", "leeds@example.org"),
        ("Trends: York", "all@example.org"),
    ]
    assert sorted(mail["To"] for mail in mails(tmp_path)) == ["all@example.org"] * 2 + [
        "leeds@example.org"
    ]
    (wrong,) = unknown_branches(readers, ["Leeds", "York"])
    assert "Hull" in wrong.why


def test_a_report_for_nobody_is_refused() -> None:
    """A report without recipients cannot be mailed, and the way out is named."""
    with pytest.raises(
        ParameterError, match=r"trends has no recipients: name them in reports/trends"
    ):
        check_recipients(definition(recipients=[]))


def test_the_page_is_attached_or_linked(tmp_path: Path) -> None:
    """The definition says whether page and notebook are attached, the settings where pages are."""
    settings = settings_for(tmp_path, reports_url="https://r.example.org/cafe")
    deliver(settings, definition(attachments=["page", "notebook"]), [made(tmp_path)])
    deliver(settings, definition(attachments=[]), [made(tmp_path)], to=["x@example.org"])
    attached = {
        mail["To"]: [part.get_filename() for part in mail.iter_attachments()]
        for mail in mails(tmp_path)
    }
    assert attached == {"all@example.org": ["Leeds.html", "Leeds.ipynb"], "x@example.org": []}
    for mail in mails(tmp_path):
        assert "https://r.example.org/cafe/trends/Leeds.html" in mail.as_string()


# --- once


def test_what_was_sent_is_not_sent_again(tmp_path: Path, post: Post) -> None:
    """The same report for the same period goes out once; another period, and --resend, do."""
    settings = settings_for(tmp_path, post)
    assert states(deliver(settings, definition(), [made(tmp_path)])) == ["sent"]
    assert states(deliver(settings, definition(), [made(tmp_path)])) == ["already"]
    assert len(post.taken) == 1
    monday = made(tmp_path, scheduled_for=MONDAY)
    assert states(deliver(settings, definition(), [monday])) == ["sent"]
    later = made(tmp_path, scheduled_for=MONDAY, parameters={**monday.parameters, "until": None})
    assert states(deliver(settings, definition(), [later])) == ["already"]
    assert states(deliver(settings, definition(), [monday], resend=True)) == ["sent"]
    assert len(post.taken) == 3


def test_all_sent_needs_no_server(tmp_path: Path, post: Post) -> None:
    """Where nothing is left to send, a server that is down is no failure."""
    deliver(settings_for(tmp_path, post), definition(), [made(tmp_path)])
    gone = settings_for(tmp_path, mail="smtp://127.0.0.1:9?tls=never")
    assert states(deliver(gone, definition(), [made(tmp_path)])) == ["already"]


def test_what_may_have_arrived_is_held(tmp_path: Path, post: Post) -> None:
    """A connection lost after the text leaves the mail held, until it is asked for."""
    settings = settings_for(tmp_path, post)
    post.drops = ["after"]
    sent = deliver(settings, definition(recipients=["a@x.org", "b@x.org"]), [made(tmp_path)])
    assert states(sent) == ["held", "sent"]
    assert sent[0].command.endswith("--email --resend --to a@x.org")
    again = deliver(settings, definition(recipients=["a@x.org", "b@x.org"]), [made(tmp_path)])
    assert states(again) == ["held", "already"]
    assert len(post.taken) == 2
    deliver(settings, definition(), [made(tmp_path)], to=["a@x.org"], resend=True)
    assert [reader for reader, _ in post.taken] == ["a@x.org", "b@x.org", "a@x.org"]
    ids = {email.message_from_bytes(c)["Message-ID"] for r, c in post.taken if r == "a@x.org"}
    assert len(ids) == 1


def test_a_server_that_asks_to_wait_is_asked_again(tmp_path: Path, post: Post) -> None:
    """Busy servers and lost connections before the text are tried again, and each mail is one."""
    post.answers = {"a@x.org": ["450 later"], "data": ["451 busy"]}
    post.drops = ["before"]
    readers = definition(recipients=["a@x.org", "b@x.org", "c@x.org"])
    assert states(deliver(settings_for(tmp_path, post), readers, [made(tmp_path)])) == ["sent"] * 3
    assert sorted(reader for reader, _ in post.taken) == ["a@x.org", "b@x.org", "c@x.org"]


def test_a_refused_address_leaves_the_others_alone(tmp_path: Path, post: Post) -> None:
    """A final refusal is told once, and the other recipients have their mail."""
    post.answers = {"a@x.org": ["550 no such person", "550 asked again"]}
    sent = deliver(
        settings_for(tmp_path, post),
        definition(recipients=["a@x.org", "b@x.org"]),
        [made(tmp_path)],
    )
    assert states(sent) == ["failed", "sent"]
    assert "no such person" in str(sent[0].error)


def test_a_server_that_stays_down_is_a_clear_failure(tmp_path: Path, post: Post) -> None:
    """After the last attempt the mail has failed, by name; it goes out when the server is back."""
    gone = settings_for(tmp_path, mail="smtp://127.0.0.1:9?tls=never")
    (one,) = deliver(gone, definition(), [made(tmp_path)])
    assert one.state == "failed"
    assert "127.0.0.1:9" in str(one.error)
    assert [(row["state"], row["attempts"]) for row in Ledger(gone.runs).sends()] == [("failed", 3)]
    assert states(deliver(settings_for(tmp_path, post), definition(), [made(tmp_path)])) == ["sent"]


def test_stopping_sends_no_more(tmp_path: Path, post: Post) -> None:
    """Once asked to stop, no further mail is begun, and all that is left can be sent later."""
    stop = Event()
    stop.set()
    settings = settings_for(tmp_path, post)
    assert states(deliver(settings, definition(), [made(tmp_path)], stop=stop)) == ["failed"]
    assert post.taken == []
    assert states(deliver(settings, definition(), [made(tmp_path)])) == ["sent"]


def test_a_page_that_cannot_be_read_fails_alone(tmp_path: Path) -> None:
    """One broken notebook holds up no other mail, and is not taken for sent."""
    broken = made(tmp_path, "Hull")
    assert broken.notebook
    broken.notebook.write_text("{")
    sent = deliver(settings_for(tmp_path), definition(), [broken, made(tmp_path)])
    assert states(sent) == ["failed", "sent"]


# --- failures


def test_owners_get_one_digest(tmp_path: Path) -> None:
    """Failed pages and mails reach the owners in one mail with commands, once for each batch."""
    settings = settings_for(tmp_path)
    runs = [failed(tmp_path, traceback="\x1b[31mline 1\nValueError: <b>no</b>"), made(tmp_path)]
    held = Delivery("Trends: York", "y@example.org", "held", "maybe", "brewtopia … --resend")
    assert states(report_failures(settings, definition(), runs, [held])) == ["sent"]
    assert states(report_failures(settings, definition(), runs, [held])) == ["already"]
    (mail,) = mails(tmp_path)
    plain, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))  # type: ignore[union-attr]
    assert (mail["To"], mail["Subject"]) == ("it@example.org", "Trends: what failed: 2 failures")
    assert "line 1\n    ValueError: <b>no</b>" in plain.replace("\r", "")
    assert "&lt;b&gt;no&lt;/b&gt;" in html
    assert "brewtopia report trends --branch Leeds -p until=2024-06-30 -p weeks=4 --email" in plain
    assert "--resend" in plain
    assert report_failures(settings, definition(), [made(tmp_path)]) == []
    assert report_failures(settings, definition(owners=[]), runs) == []


def test_a_traceback_is_told_once_and_short(tmp_path: Path) -> None:
    """Of several runs with one traceback the first has it, without the code around its lines."""
    trace = "Cell In[4], line 2\n      1 import this\n----> 2 1 / 0\nZeroDivisionError: division"
    runs = [failed(tmp_path, traceback=trace)]
    runs += [replace(runs[0], branch=name, title=f"Trends: {name}") for name in ("York", "Hull")]
    report_failures(settings_for(tmp_path), definition(), runs)
    (mail,) = mails(tmp_path)
    plain = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert plain.count("----> 2 1 / 0") == 1
    assert "import this" not in plain
    assert plain.count("The traceback is that of Trends: Leeds.") == 2


def test_the_command_is_safe_to_paste(tmp_path: Path) -> None:
    """The command to run again quotes what a shell would take apart, and keeps the time it was for."""
    run = made(tmp_path, "x'; rm -rf ~", scheduled_for=MONDAY)
    assert rerun_command(run) == (
        "brewtopia report trends --branch 'x'\"'\"'; rm -rf ~' -p until=2024-06-30 -p weeks=4 "
        "-p scheduled_for=2024-07-01T07:00:00+01:00 --email"
    )


def test_no_secret_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, post: Post) -> None:
    """Passwords of settings and secrets of the environment are in no mail and no ledger."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRETS[1])
    warehouse = "redshift://cafe:hunter2%26co@group/dev"
    settings = settings_for(tmp_path, warehouse=warehouse)
    said = f"no way in with {SECRETS[0]} at {warehouse} and {SECRETS[1]}"
    runs = [failed(tmp_path, f"cell 1: {said}", f"Traceback\n{said}")]
    report_failures(settings, definition(), runs)
    post.answers = {"all@example.org": [f"550 not you, {SECRETS[1]}"]}
    refused = deliver(
        settings_for(tmp_path, post, warehouse=warehouse), definition(), [made(tmp_path)]
    )
    assert "not you, [hidden]" in str(refused)
    ledger = Path(settings.runs).read_bytes()
    texts = [str(refused), *(mail.as_string() for mail in mails(tmp_path))]
    assert "[hidden]" in texts[1]
    for secret in (*SECRETS, "hunter2%26co", "hunter2&amp;co"):
        assert not any(secret in text for text in texts)
        assert secret.encode() not in ledger


def test_what_counts_as_a_secret() -> None:
    """Passwords, however they are written, and queries of URIs; never a mere folder."""
    settings = Settings(
        mail="smtps://who:p%40ss/w@mail.example.org", raw="s3://bucket/x?key=abcdef"
    )
    found = secrets_of(settings, {"MY_TOKEN": "t0ken!", "HOME": "/home/who", "PIN_PASSWORD": "1"})
    assert set(found) == {"p%40ss/w", "p@ss/w", "abcdef", "t0ken!"}
    assert redacted("p@ss/w and t0ken!", found) == "[hidden] and [hidden]"
