"""Mails on their way: each leaves once, in several attempts if need be; the ledger knows of each."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from threading import Event
from typing import Literal

from brewtopia_lib.errors import MailError, MailUnavailableError, MailUncertainError
from brewtopia_lib.formats import one_line
from brewtopia_lib.mail.messages import Envelope
from brewtopia_lib.mail.transports import find_transport
from brewtopia_lib.reports.redaction import redacted, secrets_of
from brewtopia_lib.reports.runs import Ledger, SendKey
from brewtopia_lib.settings import Settings

PAUSES_SECONDS: tuple[float, ...] = (0, 10, 30, 90, 270)
"""How long each attempt waits after the one before it, when the mail server is not to be had."""
HELD = "it was being sent when its sender stopped: it may have arrived or not"


@dataclass(frozen=True)
class Delivery:
    """What became of one mail; `already` was sent by an earlier delivery."""

    what: str
    recipient: str
    state: Literal["sent", "already", "held", "failed"]
    error: str | None = None
    command: str = ""


@dataclass(frozen=True)
class Letter:
    """One mail to send: its identity, how it is built when its turn comes, and how to repeat it."""

    key: SendKey
    what: str
    build: Callable[[Envelope, int], EmailMessage]
    command: str
    reply_to: tuple[str, ...] = ()


def send(
    settings: Settings, letters: Sequence[Letter], *, resend: bool, stop: Event | None
) -> list[Delivery]:
    """Send what is to be sent, in several attempts if need be."""
    batch = _Batch(settings, resend, stop or Event())
    waiting = [letter for letter in letters if not batch.is_sent(letter)]
    for pause in PAUSES_SECONDS if waiting else ():
        if batch.stop.wait(pause):
            break
        waiting = batch.attempt(waiting)
        if not waiting:
            break
    stopped = "the work was stopped before it was sent"
    return [batch.ended.get(one.key) or _ended(one, "failed", stopped) for one in letters]


class _Batch:
    """Mails that go out together, and what became of each; the ledger knows before and after."""

    def __init__(self, settings: Settings, resend: bool, stop: Event) -> None:
        self.ended: dict[SendKey, Delivery] = {}
        self.stop = stop
        self._sender = settings.mail_from
        self._resend = resend
        self._ledger = Ledger(settings.runs)
        self._transport = find_transport(settings.mail)
        self._secrets = secrets_of(settings)

    def is_sent(self, letter: Letter) -> bool:
        """Whether an earlier batch sent it, so that there is nothing to do."""
        is_sent = not self._resend and self._ledger.send_state(letter.key) == "sent"
        if is_sent:
            self.ended[letter.key] = _ended(letter, "already")
        return is_sent

    def attempt(self, letters: Sequence[Letter]) -> list[Letter]:
        """Send the letters as far as that goes, and give those worth trying again."""
        while not self.stop.is_set():
            with self._ledger.alone("mail", 1.0) as is_ours:
                if is_ours:
                    return self._connected(letters)
        return []

    def _connected(self, letters: Sequence[Letter]) -> list[Letter]:
        waiting, later = list(letters), []
        try:
            with self._transport:
                while waiting and not self.stop.is_set():
                    letter = waiting.pop(0)
                    if self._is_worth_another(letter):
                        later.append(letter)
        except MailError as error:  # there is no connection: none of them left
            for letter in waiting:
                if self._is_begun(letter):
                    self._note(letter, "failed", error)
            return waiting if isinstance(error, MailUnavailableError) else []
        return later

    def _is_worth_another(self, letter: Letter) -> bool:
        """Send one letter; whether it did not leave for a reason that may pass."""
        envelope = Envelope(
            self._sender,
            letter.key.recipient,
            _message_id(letter.key, self._sender),
            datetime.now(UTC),
            letter.reply_to,
        )
        try:
            message = letter.build(envelope, self._transport.largest_bytes)
        except Exception as error:  # noqa: BLE001 - the other mails go out
            self.ended[letter.key] = _ended(letter, "failed", self._why(error))
            return False
        if not self._is_begun(letter):
            return False
        try:
            self._transport.send(message, self._sender, letter.key.recipient)
        except MailUncertainError as error:
            self._note(letter, "held", error)
        except MailError as error:
            self._note(letter, "failed", error)
            return isinstance(error, MailUnavailableError)
        else:
            self._ledger.end_send(letter.key, "sent")
            self.ended[letter.key] = _ended(letter, "sent")
        return False

    def _is_begun(self, letter: Letter) -> bool:
        """Whether the ledger has the letter as being sent now; otherwise it is not to be."""
        state = self._ledger.begin_send(
            letter.key,
            _message_id(letter.key, self._sender),
            again=self._resend,
            repeatable=self._transport.is_repeatable,
        )
        if state == "sent":
            self.ended[letter.key] = _ended(letter, "already")
        elif state == "held":
            self.ended[letter.key] = _ended(letter, "held", HELD)
        return state == "sending"

    def _note(self, letter: Letter, state: Literal["held", "failed"], error: Exception) -> None:
        self._ledger.end_send(letter.key, state, self._why(error))
        self.ended[letter.key] = _ended(letter, state, self._why(error))

    def _why(self, error: Exception) -> str:
        return one_line(redacted(str(error) or type(error).__name__, self._secrets))


def _ended(
    letter: Letter,
    state: Literal["sent", "already", "held", "failed"],
    error: str | None = None,
) -> Delivery:
    return Delivery(letter.what, letter.key.recipient, state, error, letter.command)


def _message_id(key: SendKey, sender: str) -> str:
    """The same for the same mail, so that a receiver can tell a repeated one."""
    digest = hashlib.sha256("\n".join(key).encode()).hexdigest()
    name = re.sub("[^a-z0-9]+", "-", key.report.lower()).strip("-")[:40]
    return f"<{name}.{digest[:32]}@{sender.rpartition('@')[2]}>"
