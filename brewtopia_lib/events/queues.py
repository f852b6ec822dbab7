"""A queue in Amazon SQS: take messages, hold them while they are worked on, delete or release."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

from brewtopia_lib.errors import QueueError
from brewtopia_lib.storage.s3 import CAUSES, client, code_of

MOST_AT_ONCE = 10
"""How many messages SQS takes or gives in one request."""

_DENIED = "the right {right} is missing", "grant it (docs/events.md has the policy)"
_NO_QUEUE = "it does not exist", "check BREWTOPIA_QUEUE and AWS_REGION"
_CAUSES = {
    "AWS.SimpleQueueService.NonExistentQueue": _NO_QUEUE,
    "QueueDoesNotExist": _NO_QUEUE,
    "InvalidAddress": _NO_QUEUE,
    "AccessDenied": _DENIED,
    "AccessDeniedException": _DENIED,
    "AWS.SimpleQueueService.AccessDenied": _DENIED,
    "403": _DENIED,
}
_RIGHTS = {
    "looked at": "sqs:GetQueueAttributes",
    "read": "sqs:ReceiveMessage",
    "held": "sqs:ChangeMessageVisibility",
    "deleted from": "sqs:DeleteMessage",
}


@dataclass(frozen=True)
class Message:
    """A message in hand; `receives` is how often it was handed out, this time included."""

    id: str
    body: str
    receipt: str = ""
    receives: int = 1


class Queue:
    """A queue by its URL; boto3's own configuration says as whom. Raises QueueError."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client: Any = None
        with self._explaining("looked at"):
            self._client = client("sqs")

    def receive(self, wait_seconds: int, hold_seconds: int) -> list[Message]:
        """Up to ten messages, waiting for the first; nobody else is given them for a while."""
        with self._explaining("read"):
            answer = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=MOST_AT_ONCE,
                WaitTimeSeconds=wait_seconds,
                VisibilityTimeout=hold_seconds,
                AttributeNames=["ApproximateReceiveCount"],
            )
        return [_message(one) for one in answer.get("Messages", ())]

    def hold(self, messages: Sequence[Message], seconds: int) -> None:
        """Keep messages from others for so long from now; 0 gives them back at once."""
        with self._explaining("held"):
            for some in _tens(messages):
                entries = [_entry(number, one) for number, one in enumerate(some)]
                self._client.change_message_visibility_batch(
                    QueueUrl=self.url,
                    Entries=[entry | {"VisibilityTimeout": seconds} for entry in entries],
                )

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages; one that was not deleted comes again, which does no harm."""
        with self._explaining("deleted from"):
            for some in _tens(messages):
                entries = [_entry(number, one) for number, one in enumerate(some)]
                self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)

    def waiting(self) -> int:
        """About how many messages are there to be taken."""
        return int(self._attributes()["ApproximateNumberOfMessages"])

    def attempts(self) -> int | None:
        """How often a message is handed out before the dead-letter queue gets it, if there is one."""
        policy = self._attributes().get("RedrivePolicy")
        return int(json.loads(policy)["maxReceiveCount"]) if policy else None

    def _attributes(self) -> dict[str, str]:
        with self._explaining("looked at"):
            answer = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])
        return dict(answer["Attributes"])

    @contextmanager
    def _explaining(self, action: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            code = code_of(error)
            unknown = f"SQS says {code}", "see docs/events.md"
            cause, way_out = _CAUSES.get(code) or CAUSES.get(code) or unknown
            endpoint = self._client.meta.endpoint_url if self._client else "SQS"
            cause = cause.format(right=_RIGHTS[action], endpoint=endpoint, bucket="", region="")
            raise QueueError(f"queue {self.url} cannot be {action}: {cause}: {way_out}") from error


@contextmanager
def held(
    queue: Queue, messages: Sequence[Message], seconds: int, tell: Callable[[QueueError], None]
) -> Iterator[None]:
    """Keep messages from others for as long as this lasts; `tell` hears when that fails."""
    done = Event()

    def keep() -> None:
        while not done.wait(seconds / 3):
            try:
                queue.hold(messages, seconds)
            except QueueError as error:
                tell(error)

    thread = Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _message(answer: dict[str, Any]) -> Message:
    receives = int(answer.get("Attributes", {}).get("ApproximateReceiveCount", 1))
    return Message(answer["MessageId"], answer["Body"], answer["ReceiptHandle"], receives)


def _tens(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    for start in range(0, len(messages), MOST_AT_ONCE):
        yield messages[start : start + MOST_AT_ONCE]


def _entry(number: int, message: Message) -> dict[str, Any]:
    return {"Id": str(number), "ReceiptHandle": message.receipt}
