"""A real SMTP server for tests: it refuses, drops and asks to wait when told to."""

import asyncio
import datetime
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "post", "p/w@d hunter2"


@dataclass
class Post:
    """What the server took, (recipient, content) each, and how it behaves.

    `answers` are what it says to `RCPT` for an address, or (for the key `data`) to what comes
    after DATA; each is used once for every item of its list. `drop` hangs up: `before` DATA, or
    `after` the mail was taken, without an answer. Each mail takes it `seconds` before it answers.
    """

    taken: list[tuple[str, bytes]] = field(default_factory=list)
    answers: dict[str, list[str]] = field(default_factory=dict)
    drops: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    port: int = 0
    seconds: float = 0.0

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if self.answers.get(address):
            return self.answers[address].pop(0)
        if self.drops and self.drops[0] == "before":
            self.drops.pop(0)
            server.transport.abort()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answers.get("data"):
            return self.answers["data"].pop(0)
        self.taken += [(address, envelope.content) for address in envelope.rcpt_tos]
        await asyncio.sleep(self.seconds)
        if self.drops and self.drops[0] == "after":
            self.drops.pop(0)
            server.transport.abort()
        return "250 OK"

    def authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any
    ) -> AuthResult:
        self.logins.append(data.login.decode())
        is_known = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=is_known, handled=False)


@contextmanager
def mail_server(post: Post, **options: Any) -> Iterator[Post]:
    """Run the server on a free port of 127.0.0.1."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        post.port = free.getsockname()[1]
    controller = Controller(post, hostname="127.0.0.1", port=post.port, **options)
    controller.start()
    try:
        yield post
    finally:
        controller.stop()


def certificate(folder: Path) -> ssl.SSLContext:
    """A certificate for 127.0.0.1, in `folder/trusted.pem`, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    trusted, secret = folder / "trusted.pem", folder / "key.pem"
    trusted.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(trusted, secret)
    return context
