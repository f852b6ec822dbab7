"""Transports, against a real SMTP server and moto's SES: what left, what did not, what may have."""

from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import quote

import pytest
from mail_server import PASSWORD, USER, Post, certificate, mail_server

from brewtopia_lib.errors import (
    MailError,
    MailUnavailableError,
    MailUncertainError,
    RetryableError,
    SettingsError,
)
from brewtopia_lib.mail.transports import find_transport

SENDER, READER = "reports@example.org", "leeds@example.org"
LOGIN = f"{USER}:{quote(PASSWORD, safe='')}"


def message(text: str = "Mocha is down.") -> EmailMessage:
    made = EmailMessage()
    made["Message-ID"] = "<trends.1a2b@example.org>"
    made["Subject"] = "Leeds"
    made.set_content(text)
    return made


def send(location: str, reader: str = READER, text: str = "Mocha is down.") -> None:
    with find_transport(location) as transport:
        transport.send(message(text), SENDER, reader)


@pytest.fixture
def post() -> Iterator[Post]:
    """A server without TLS."""
    with mail_server(Post()) as post:
        yield post


def plain(post: Post) -> str:
    return f"smtp://127.0.0.1:{post.port}?tls=never"


# --- SMTP


def test_starttls_and_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With STARTTLS, a certificate that is trusted and the right password, the mail arrives."""
    context = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    post = Post()
    with mail_server(
        post, tls_context=context, require_starttls=True, auth_required=True,
        authenticator=post.authenticate,
    ):  # fmt: skip
        send(f"smtp://{LOGIN}@127.0.0.1:{post.port}")
        ((reader, content),) = post.taken
        assert reader == READER
        assert b"Mocha is down." in content
        with pytest.raises(MailError, match="refused it: 535") as refused:
            send(f"smtp://{USER}:wrong@127.0.0.1:{post.port}")
        assert not isinstance(refused.value, RetryableError)
    assert len(post.taken) == 1


def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    """A server whose certificate is not trusted gets neither password nor mail."""
    post = Post()
    with (
        mail_server(post, tls_context=certificate(tmp_path), authenticator=post.authenticate),
        pytest.raises(MailError, match="is not trusted"),
    ):
        send(f"smtp://{LOGIN}@127.0.0.1:{post.port}")
    assert (post.taken, post.logins) == ([], [])


def test_tls_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """smtps:// speaks TLS from the first byte."""
    context = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    with mail_server(Post(), ssl_context=context) as post:
        send(f"smtps://127.0.0.1:{post.port}")
    assert len(post.taken) == 1


def test_a_server_without_starttls_gets_nothing(post: Post) -> None:
    """smtp:// does not fall back to plain text: no login, no mail, and a way out."""
    with pytest.raises(MailError, match="offers no STARTTLS: use smtps"):
        send(f"smtp://{LOGIN}@127.0.0.1:{post.port}")
    assert (post.taken, post.logins) == ([], [])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("550 no such person", MailError), ("450 later, please", MailUnavailableError)],
)
@pytest.mark.parametrize("when", [READER, "data"])
def test_refusals(post: Post, answer: str, kind: type[MailError], when: str) -> None:
    """5xx is final and 4xx passes, at the address and after the text; the next mail goes out."""
    post.answers = {when: [answer]}
    with find_transport(plain(post)) as transport:
        with pytest.raises(MailError, match=answer[4:]) as refused:
            transport.send(message(), SENDER, READER)
        assert type(refused.value) is kind
        transport.send(message(), SENDER, "hull@example.org")
    assert [reader for reader, _ in post.taken] == ["hull@example.org"]


@pytest.mark.parametrize(
    ("drop", "kind", "taken"),
    [("before", MailUnavailableError, 0), ("after", MailUncertainError, 1)],
)
def test_drops(post: Post, drop: str, kind: type[MailError], taken: int) -> None:
    """A connection lost before the text is a mail not sent; after it nobody knows."""
    post.drops = [drop]
    with find_transport(plain(post)) as transport:
        with pytest.raises(kind):
            transport.send(message(), SENDER, READER)
        assert len(post.taken) == taken
        transport.send(message(), SENDER, "hull@example.org")
    assert len(post.taken) == taken + 1


def test_no_server_may_be_one_later() -> None:
    """Where nobody listens, the error says where, and that it may pass."""
    with mail_server(Post()) as post:
        gone = plain(post)
    with pytest.raises(MailUnavailableError, match=rf"127\.0\.0\.1:{post.port}"):
        send(gone)


def test_dots_and_size(post: Post) -> None:
    """Lines of dots arrive as they are, and the size the server announces is respected."""
    send(plain(post), text="first\n.\n..\n.last\n")
    assert b"first\r\n.\r\n..\r\n.last\r\n" in post.taken[0][1]
    with (
        mail_server(Post(), data_size_limit=5000) as small,
        find_transport(plain(small)) as transport,
    ):
        assert transport.largest_bytes == 5000


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("smtp://who:pw@host:25?tls=never", "sent in the clear"),
        ("smtp://host:25?tls=maybe", "must be smtp://"),
        ("smtp://host/folder", "must be smtp://"),
        ("smtps://ho st", "must be smtps://"),
    ],
)
def test_locations_that_cannot_be(location: str, says: str) -> None:
    """A location that is not understood is refused, without its password."""
    with pytest.raises(SettingsError, match=says) as refused:
        find_transport(location)
    assert "pw" not in str(refused.value).replace("password", "")


# --- the outbox


def test_the_outbox_has_one_file_for_a_mail(tmp_path: Path) -> None:
    """A mail becomes one .eml file, and stays one when it is sent again."""
    for _ in range(2):
        send(f"outbox:{tmp_path / 'box'}")
    (path,) = (tmp_path / "box").iterdir()
    assert path.name == "trends.1a2b.eml"
    assert b"Mocha is down." in path.read_bytes()


def test_an_outbox_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Where the folder cannot be made, the error names it."""
    (tmp_path / "box").write_text("a file")
    with pytest.raises(MailError, match="box cannot be written"):
        send(f"outbox:{tmp_path / 'box'}")


# --- SES


@pytest.fixture
def ses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """moto's SES, where the sender's address is known."""
    moto = pytest.importorskip("moto")
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with moto.mock_aws():
        boto3.client("sesv2", region_name="eu-west-2").create_email_identity(EmailIdentity=SENDER)
        yield


@pytest.mark.usefixtures("ses")
def test_ses_takes_the_mail_as_it_is() -> None:
    """SES gets the whole mail once, for one address."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.sesv2.models import sesv2_backends

    send("ses://eu-west-2")
    (sent,) = sesv2_backends[DEFAULT_ACCOUNT_ID]["eu-west-2"].core_backend.sent_messages
    assert sent.destinations == [READER]
    assert "Mocha is down." in str(sent.raw_data)


@pytest.mark.usefixtures("ses")
def test_ses_refuses_senders_it_does_not_know() -> None:
    """What SES refuses is final and says why."""
    with find_transport("ses://eu-west-2") as transport, pytest.raises(MailError) as refused:
        transport.send(message(), "stranger@example.net", READER)
    assert type(refused.value) is MailError
    assert "SES refused it" in str(refused.value)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "TooManyRequestsException", MailUnavailableError),
        (400, "ThrottlingException", MailUnavailableError),
        (500, "InternalFailure", MailUncertainError),
        (400, "MessageRejected", MailError),
    ],
)
@pytest.mark.usefixtures("ses")
def test_what_ses_means(status: int, code: str, kind: type[MailError]) -> None:
    """Throttling passes, a failure inside SES leaves it open, the rest is final; nothing is retried."""
    from botocore.stub import Stubber

    from brewtopia_lib.mail.transports import Ses

    with Ses("eu-west-2") as transport, Stubber(transport._client) as stub:
        stub.add_client_error("send_email", code, "words", http_status_code=status)
        with pytest.raises(MailError, match=code) as refused:
            transport.send(message(), SENDER, READER)
        assert type(refused.value) is kind
        stub.assert_no_pending_responses()
