"""What S3 tells of its objects, in whatever wrapping it comes; pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from brewtopia_lib.errors import EventError

_TOLD = (
    *("ObjectCreated:", "ObjectRemoved:", "ObjectRestore:Completed", "LifecycleExpiration:"),
    *("Object Created", "Object Deleted", "Object Restore Completed"),
)
_LONGEST_WRAPPING = 3


@dataclass(frozen=True)
class Notice:
    """That an object was uploaded, restored or removed.

    It says that something happened, not what is there now: notices come late, twice and out of
    order. `version_id` is that of a versioned bucket.
    """

    bucket: str
    key: str
    version_id: str | None = None


def read_notices(message: str | Mapping[str, Any]) -> list[Notice]:
    """The notices in a message: S3's own form, or EventBridge's, as it is or passed on by SNS.

    None for S3's test message and for what does not change what is there, such as a new tag.

    Raises EventError for any other message; it does not repeat what that holds.
    """
    try:
        return list(_notices(message, _LONGEST_WRAPPING))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EventError(
            f"a message is none that S3 sends ({type(error).__name__}): "
            "let nothing but S3's notifications into this queue"
        ) from None


def _notices(message: Any, wrappings: int) -> Iterator[Notice]:
    content = json.loads(message) if isinstance(message, str | bytes) else message
    if content.get("Event") == "s3:TestEvent":
        return
    if content.get("Type") == "Notification" and wrappings:
        yield from _notices(content["Message"], wrappings - 1)
    elif content.get("source") == "aws.s3":
        told, detail = content["detail-type"], content["detail"]
        yield from _notice(told, detail["bucket"], detail["object"], detail["object"]["key"])
    else:
        for record in content["Records"]:
            told, detail = record["eventName"].removeprefix("s3:"), record["s3"]
            key = unquote_plus(detail["object"]["key"], errors="strict")
            yield from _notice(told, detail["bucket"], detail["object"], key)


def _notice(
    told: str, bucket: Mapping[str, Any], facts: Mapping[str, Any], key: Any
) -> Iterator[Notice]:
    name_of_bucket = bucket["name"]
    if not (isinstance(key, str) and isinstance(name_of_bucket, str)):
        raise TypeError
    if told.startswith(_TOLD):
        version_id = facts.get("versionId") or facts.get("version-id")
        yield Notice(name_of_bucket, key, version_id)
