"""Uploads to warehouse: the same cleaning and loading as the command line, asked for by S3.

A notice only says that something happened to an object: what counts is what the object holds when
it is read. So notices may come late, twice or out of order. An object that is gone leaves lake
and warehouse as they are, as a raw file that is gone does everywhere.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from brewtopia_lib.errors import BrewtopiaError, EventError, SettingsError, explained
from brewtopia_lib.events.notices import Notice, read_notices
from brewtopia_lib.events.queues import Message
from brewtopia_lib.events.telemetry import Telemetry
from brewtopia_lib.ingest import clean_raw, load_lake
from brewtopia_lib.settings import Settings, load_settings
from brewtopia_lib.sources import is_till_file
from brewtopia_lib.storage.s3 import S3Path, is_s3

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

TOGETHER_TIMES = 2

Failures = dict[str, str]
"""Message id → why its work is not done."""

Work = Callable[[Settings, Sequence[Message], Telemetry], Failures]
"""What is done with messages; whatever goes wrong is in the failures, nothing is raised."""


def clean_uploads(
    settings: Settings, messages: Sequence[Message], telemetry: Telemetry
) -> Failures:
    """Clean the raw objects that messages tell of into the lake, all in one go.

    A message that was handed out more than twice has failed, or broke what worked on it: its
    objects are cleaned alone, so that they cannot take others with them.
    """
    return _clean(settings, messages, telemetry)[0]


def ingest_uploads(
    settings: Settings, messages: Sequence[Message], telemetry: Telemetry
) -> Failures:
    """Clean the raw objects that messages tell of, then load."""
    failed, cleaned = _clean(settings, messages, telemetry)
    return failed | _load(settings, cleaned, telemetry)


def load_cleaned(settings: Settings, messages: Sequence[Message], telemetry: Telemetry) -> Failures:
    """Load what the lake has and the warehouse has not, whichever batches messages tell of."""
    failed: Failures = {}
    asking = []
    for message in messages:
        try:
            if read_notices(message.body):
                asking.append(message.id)
        except EventError as error:
            failed[message.id] = str(error)
    return failed | _load(settings, asking, telemetry)


def clean_handler(event: Mapping[str, Any], context: object) -> "PartialItemFailureResponse":
    """The Lambda on uploads to the raw bucket: cleans them into the lake."""
    return _handle("clean", event)


def load_handler(event: Mapping[str, Any], context: object) -> "PartialItemFailureResponse":
    """The Lambda on uploads to the lake bucket (`objects/`): loads them into the warehouse."""
    return _handle("load", event)


def raw_place(settings: Settings) -> S3Path:
    """Where raw objects are.

    Raises SettingsError where that is no place on S3.
    """
    if not is_s3(settings.raw):
        raise SettingsError(
            f"S3 tells nothing of the folder {settings.raw}: "
            "set BREWTOPIA_RAW to s3://bucket/prefix, or use brewtopia ingest"
        )
    return S3Path.parse(settings.raw)


def _clean(
    settings: Settings, messages: Sequence[Message], telemetry: Telemetry
) -> tuple[Failures, list[str]]:
    """Clean what messages tell of; gives what failed, and the ids of those whose work is done."""
    place = raw_place(settings)
    failed: Failures = {}
    uris: dict[str, list[str]] = {}
    for message in messages:
        try:
            uris[message.id] = _told_of(place, read_notices(message.body), telemetry)
        except EventError as error:
            failed[message.id] = str(error)
    asking = [message for message in messages if uris.get(message.id)]
    together = [message.id for message in asking if message.receives <= TOGETHER_TIMES]
    alone = [[message.id] for message in asking if message.receives > TOGETHER_TIMES]
    for ids in [together, *alone]:
        wrong = _clean_objects(settings, place, [u for one in ids for u in uris[one]], telemetry)
        for one in ids:
            reasons = [wrong[uri] for uri in uris[one] if uri in wrong]
            if reasons:
                failed[one] = "; ".join(reasons)
    return failed, [message.id for message in asking if message.id not in failed]


def _told_of(place: S3Path, notices: Sequence[Notice], telemetry: Telemetry) -> list[str]:
    """The URIs of the till files among the objects told of; the others are noted in the log."""
    uris = []
    for notice in notices:
        uri = str(S3Path(notice.bucket, notice.key))
        is_inside = notice.bucket == place.bucket and notice.key.startswith(place.folder)
        if is_inside and is_till_file(notice.key.removeprefix(place.folder)):
            uris.append(uri)
        else:
            telemetry.say("passed over: no till file of BREWTOPIA_RAW", object=uri)
    return uris


def _clean_objects(
    settings: Settings, place: S3Path, uris: Sequence[str], telemetry: Telemetry
) -> Failures:
    """Clean those of some objects that are there; gives URI → why one is not cleaned."""
    wanted = list(dict.fromkeys(uris))
    if not wanted:
        return {}
    try:
        summary = clean_raw(settings, wanted)
    except Exception as error:  # noqa: BLE001 - the message comes again, and says why
        return dict.fromkeys(wanted, explained(error))
    # what is there fails by its key; only what is not is called by its URI
    gone = [source for source, _ in summary.failures if source in wanted]
    for uri in gone:
        telemetry.say("is gone: what it said stays", object=uri)
    summary.failures = [failure for failure in summary.failures if failure[0] not in gone]
    telemetry.cleaned(summary)
    start = str(S3Path(place.bucket, place.folder))
    return {start + source: why for source, why in summary.failures}


def _load(settings: Settings, ids: Sequence[str], telemetry: Telemetry) -> Failures:
    """Load for the sake of some messages, if there are any."""
    if not ids:
        return {}
    try:
        summary = load_lake(settings)
    except Exception as error:  # noqa: BLE001 - the messages come again, and say why
        return dict.fromkeys(ids, explained(error))
    telemetry.loaded(summary, settings)
    return {}


def _handle(
    part: Literal["clean", "load"], event: Mapping[str, Any]
) -> "PartialItemFailureResponse":
    """Work on an event from SQS, or on one that came straight from S3, SNS or EventBridge.

    Messages of SQS whose work failed are told to Lambda, which gives them back to the queue; for
    another event the failure is raised.
    """
    from aws_lambda_powertools.utilities.data_classes import SQSEvent

    records = event.get("Records") or [{}]
    is_queue = records[0].get("eventSource") == "aws:sqs"
    messages = [Message("", json.dumps(_straight(event)))]
    if is_queue:
        messages = [
            Message(
                one.message_id,
                one.body,
                receives=int(one.attributes.approximate_receive_count or 1),
            )
            for one in SQSEvent(dict(event)).records
        ]
    telemetry = _telemetry(part)
    failed = _WORK[part](load_settings(), messages, telemetry)
    report_failures(telemetry, messages, failed)
    if failed and not is_queue:
        raise BrewtopiaError(failed[""])
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}


def report_failures(telemetry: Telemetry, messages: Sequence[Message], failed: Failures) -> None:
    """Say of each failed message why, and how often it was handed out so far."""
    for message in messages:
        if message.id in failed:
            why = failed[message.id]
            telemetry.complain(
                "failed", message_id=message.id, receives=message.receives, reason=why
            )
    if failed:
        telemetry.count(MessagesFailed=len(failed))


def _straight(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """An event without what SNS wraps around it for a Lambda."""
    first = (event.get("Records") or [{}])[0]
    return json.loads(first["Sns"]["Message"]) if "Sns" in first else event


@cache
def _telemetry(part: Literal["clean", "load"]) -> Telemetry:
    return Telemetry(part)


_WORK: dict[str, Work] = {"clean": clean_uploads, "load": load_cleaned}
