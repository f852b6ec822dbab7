"""A queue of moto's that the notifications of bucket `tills` go to, with a dead-letter queue."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

import boto3
import duckdb
from s3_server import ENVIRONMENT, S3Server

from brewtopia_lib.lake import Lake

RAW, LAKE = "s3://tills/raw", "s3://lake/x"


@dataclass(frozen=True)
class Stream:
    """What a bucket tells, on its way.

    Attributes:
        url, dead_url: the queue, and where it puts what was handed out too often.
    """

    sqs: Any
    url: str
    dead_url: str

    def send(self, *bodies: str) -> None:
        """Messages beside those that S3 sends."""
        for start in range(0, len(bodies), 10):
            self.sqs.send_message_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": str(number), "MessageBody": body}
                    for number, body in enumerate(bodies[start : start + 10])
                ],
            )

    def count(self, url: str = "") -> int:
        """How many messages a queue holds, those in somebody's hand included."""
        told = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=["All"])
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(told["Attributes"][name]) for name in names)

    def bodies(self, url: str = "") -> list[str]:
        """Take all messages out of a queue."""
        found = []
        while got := self.sqs.receive_message(
            QueueUrl=url or self.url, MaxNumberOfMessages=10, VisibilityTimeout=0
        ).get("Messages"):
            for one in got:
                found.append(one["Body"])
                self.sqs.delete_message(
                    QueueUrl=url or self.url, ReceiptHandle=one["ReceiptHandle"]
                )
        return found


def open_stream(s3: S3Server, attempts: int = 10, *, notify: bool = True) -> Stream:
    """Make the queues, and have bucket `tills` tell of its objects there."""
    sqs = boto3.client(
        "sqs",
        endpoint_url=s3.url,
        region_name="us-east-1",
        aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
    )
    dead_url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    redrive = {"deadLetterTargetArn": _arn(sqs, dead_url), "maxReceiveCount": attempts}
    url = sqs.create_queue(QueueName="uploads", Attributes={"RedrivePolicy": json.dumps(redrive)})[
        "QueueUrl"
    ]
    if notify:
        events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
        s3.client().put_bucket_notification_configuration(
            Bucket="tills",
            NotificationConfiguration={
                "QueueConfigurations": [{"QueueArn": _arn(sqs, url), "Events": events}]
            },
        )
    return Stream(sqs, url, dead_url)


def notice(key: str, event: str = "ObjectCreated:Put", bucket: str = "tills") -> str:
    """A message as S3 sends it."""
    return json.dumps({"Records": [record(key, event, bucket)]})


def record(key: str, event: str = "ObjectCreated:Put", bucket: str = "tills") -> dict[str, Any]:
    facts = {"key": quote_plus(key, safe="/"), "sequencer": "0055AED6DCD90281E5", "versionId": "v7"}
    return {
        "eventSource": "aws:s3",
        "eventName": event,
        "s3": {"bucket": {"name": bucket}, "object": facts},
    }


def documents(output: str) -> list[dict[str, Any]]:
    """The lines of JSON in what was said."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def metrics(output: str) -> Iterable[tuple[str, dict[str, str], list[float]]]:
    """The metrics in what was said, as (name, dimensions, values)."""
    for said in documents(output):
        for block in said.get("_aws", {}).get("CloudWatchMetrics", ()):
            assert block["Namespace"] == "Brewtopia"
            dimensions = {name: said[name] for name in block["Dimensions"][0]}
            for metric in block["Metrics"]:
                yield metric["Name"], dimensions, said[metric["Name"]]


def _arn(sqs: Any, url: str) -> str:
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(told["Attributes"]["QueueArn"])


def lake_texts() -> Iterable[str]:
    """Every distinct text in any column of any table of the lake."""
    with duckdb.connect() as connection:
        Lake(LAKE).attach(connection)
        for table in ("orders", "lines", "items", "rejects", "objects"):
            frame = connection.execute(f"select * from lake_{table}").df()
            for name in frame.columns:
                yield from frame[name].dropna().astype(str).unique()
