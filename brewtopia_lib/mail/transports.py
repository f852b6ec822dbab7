"""How a mail leaves: into a folder, to an SMTP server, or to Amazon SES."""

import os
import re
import smtplib
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NoReturn, Protocol, Self
from urllib.parse import unquote

from brewtopia_lib.errors import (
    MailError,
    MailUnavailableError,
    MailUncertainError,
    SettingsError,
)
from brewtopia_lib.settings import OUTBOX

TIMEOUT_SECONDS = 30.0
LARGEST_BYTES = 10_000_000
"""Mails larger than this are refused by many servers."""


class Transport(Protocol):
    """A way for mails to leave, open for a batch of them.

    Opening and sending raise MailUnavailableError for what may go better later,
    MailUncertainError where a mail may have left or not, and MailError for what is final.
    """

    largest_bytes: int
    is_repeatable: bool
    """Whether sending the same mail twice is no more than sending it once."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *args: object) -> None: ...

    def send(self, message: EmailMessage, sender: str, recipient: str) -> None:
        """Hand over one mail to one address."""


def find_transport(location: str) -> Transport:
    """The transport that the setting `mail` names.

    Raises SettingsError for one that cannot be; nothing is connected to yet.
    """
    scheme, separator, rest = location.partition("://")
    if not separator:
        return Outbox(Path(location.removeprefix(OUTBOX)))
    if scheme == "ses":
        return Ses(rest.strip("/"))
    return _smtp(scheme, rest)


def _bytes(message: EmailMessage) -> bytes:
    """The message as it travels: lines end with CR and LF."""
    return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))


@dataclass
class Outbox:
    """A folder that each mail is written into as one `.eml` file, named after its Message-ID."""

    folder: Path
    largest_bytes: int = LARGEST_BYTES
    is_repeatable: bool = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        pass

    def send(self, message: EmailMessage, sender: str, recipient: str) -> None:
        """Write the file whole or not at all."""
        name = re.sub(r"[^A-Za-z0-9._-]", "", message["Message-ID"].partition("@")[0])
        temporary = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=f".{name}.")
            with os.fdopen(handle, "wb") as stream:
                stream.write(_bytes(message))
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, self.folder / f"{name}.eml")
        except OSError as error:
            raise MailError(f"the outbox {self.folder} cannot be written: {error}") from error
        except BaseException:
            if temporary:
                Path(temporary).unlink(missing_ok=True)
            raise


@dataclass
class Smtp:
    """A mail server, over TLS unless `tls` says never.

    `tls` is `from_start` (smtps), `starttls`, which must then be offered, or `never`.
    Certificates are checked against those the system trusts (SSL_CERT_FILE names others).
    """

    host: str
    port: int
    tls: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    largest_bytes: int = LARGEST_BYTES
    is_repeatable: bool = False
    _server: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        self._server = self._connected()
        announced = self._server.esmtp_features.get("size", "")
        if announced.isdecimal() and int(announced):
            self.largest_bytes = min(LARGEST_BYTES, int(announced))
        return self

    def __exit__(self, *args: object) -> None:
        if self._server:
            try:
                self._server.quit()
            except (OSError, smtplib.SMTPException):
                self._server.close()
            self._server = None

    def send(self, message: EmailMessage, sender: str, recipient: str) -> None:
        """Hand over one mail; a connection that was lost is made again."""
        server = self._server = self._server or self._connected()
        body = re.sub(rb"(?m)^\.", b"..", _bytes(message))
        with self._lost_connections(MailUnavailableError):
            self._expect(server.mail(sender), 250)
            self._expect(server.rcpt(recipient), 250, 251)
            self._expect(server.docmd("DATA"), 354)
            server.send(body if body.endswith(b"\r\n") else body + b"\r\n")
        with self._lost_connections(MailUncertainError):  # from here on it may be taken
            server.send(b".\r\n")
            answer = server.getreply()
        self._expect(answer, 250)

    def _connected(self) -> smtplib.SMTP:
        with self._lost_connections(MailUnavailableError):
            name, seconds = socket.gethostname(), TIMEOUT_SECONDS
            if self.tls == "from_start":
                context = ssl.create_default_context()
                server: smtplib.SMTP = smtplib.SMTP_SSL(
                    self.host, self.port, local_hostname=name, timeout=seconds, context=context
                )
            else:
                server = smtplib.SMTP(self.host, self.port, local_hostname=name, timeout=seconds)
            server.ehlo_or_helo_if_needed()
            if self.tls == "starttls":
                if not server.has_extn("starttls"):
                    raise MailError(
                        f"the mail server {self._place} offers no STARTTLS: use smtps://, or add "
                        "?tls=never to BREWTOPIA_MAIL if the way to it is safe"
                    )
                server.starttls(context=ssl.create_default_context())
                server.ehlo_or_helo_if_needed()
            if self.user is not None:
                server.login(self.user, self.password or "")
        return server

    @property
    def _place(self) -> str:
        return f"{self.host}:{self.port}"

    def _expect(self, answer: tuple[int, bytes], *codes: int) -> None:
        """Nothing, or the error that the server's answer means; it says what it was not told."""
        code, said = answer
        if code in codes:
            return
        if self._server and code != 421:
            with self._lost_connections(MailUnavailableError):
                self._server.rset()
        else:
            self._drop()
        self._refuse(code, said)

    def _refuse(self, code: int, said: bytes | str) -> NoReturn:
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        kind = MailUnavailableError if 400 <= code < 500 else MailError
        raise kind(f"the mail server {self._place} refused it: {code} {' '.join(text.split())}")

    def _drop(self) -> None:
        if self._server:
            self._server.close()
            self._server = None

    @contextmanager
    def _lost_connections(self, kind: type[MailError]) -> Iterator[None]:
        """What goes wrong with the connection, as an error of ours."""
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            self._drop()
            raise MailError(
                f"the certificate of the mail server {self._place} is not trusted "
                f"({error.verify_message}): name the authority's file in SSL_CERT_FILE"
            ) from error
        except smtplib.SMTPResponseException as error:
            self._drop()
            self._refuse(error.smtp_code, error.smtp_error)
        except smtplib.SMTPNotSupportedError as error:
            self._drop()
            raise MailError(f"the mail server {self._place} takes no login: {error}") from error
        except (OSError, smtplib.SMTPException) as error:  # the latter: it hung up
            self._drop()
            why = str(error) or type(error).__name__
            raise kind(
                f"the connection to the mail server {self._place} was lost: {why}"
            ) from error


def _smtp(scheme: str, rest: str) -> Smtp:
    """`smtp(s)://[user:password@]host[:port][?tls=never]`"""
    user, at, place = rest.rpartition("@")
    place, _, query = place.partition("?")
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?/?", place)
    if not match or query not in ("", "tls=never") or (query and scheme == "smtps"):
        raise SettingsError(
            f"BREWTOPIA_MAIL must be {scheme}://user:password@host:port, user, password and port "
            "if need be"
            + ("" if scheme == "smtps" else ", and ?tls=never at its end to do without")
        )
    if query and at:
        raise SettingsError(
            "BREWTOPIA_MAIL has a password and tls=never: it would be sent in the clear"
        )
    tls = "from_start" if scheme == "smtps" else "never" if query else "starttls"
    port = int(match[2]) if match[2] else 465 if scheme == "smtps" else 25 if query else 587
    name, _, password = user.partition(":")
    login = (unquote(name), unquote(password)) if at else (None, None)
    return Smtp(match[1].strip("[]"), port, tls, *login)


@dataclass
class Ses:
    """Amazon SES, version 2, in a region; credentials and endpoint are those of boto3."""

    region: str
    largest_bytes: int = LARGEST_BYTES
    is_repeatable: bool = False
    _client: Any = None

    def __enter__(self) -> Self:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        try:
            self._client = boto3.client(
                "sesv2",
                region_name=self.region,
                config=Config(
                    retries={"total_max_attempts": 1},  # a retry of its own could send twice
                    connect_timeout=TIMEOUT_SECONDS,
                    read_timeout=TIMEOUT_SECONDS,
                ),
            )
        except (BotoCoreError, ValueError) as error:
            raise MailError(f"SES in {self.region!r} cannot be used: {error}") from error
        return self

    def __exit__(self, *args: object) -> None:
        self._client = None

    def send(self, message: EmailMessage, sender: str, recipient: str) -> None:
        """Hand over one mail in a single attempt."""
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectionClosedError,
            ConnectTimeoutError,
            EndpointConnectionError,
            ReadTimeoutError,
        )

        try:
            self._client.send_email(
                FromEmailAddress=sender,
                Destination={"ToAddresses": [recipient]},
                Content={"Raw": {"Data": _bytes(message)}},
            )
        except ClientError as error:
            said = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            text = f"SES refused it: {said.get('Code')}: {said.get('Message')}"
            if status in (429, 503) or "Throttl" in str(said.get("Code")):
                raise MailUnavailableError(text) from error
            if status >= 500:
                raise MailUncertainError(text) from error
            raise MailError(text) from error
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            raise MailUnavailableError(f"SES cannot be reached: {error}") from error
        except (ReadTimeoutError, ConnectionClosedError) as error:
            raise MailUncertainError(f"SES gave no answer: {error}") from error
        except BotoCoreError as error:
            raise MailError(f"SES cannot be used: {error}") from error
