"""Messages about uploads, taken from SQS one handful after another until told to end."""

import time
from collections.abc import Sequence

from brewtopia_lib.errors import QueueError, SettingsError
from brewtopia_lib.events import ingest_uploads, raw_place, report_failures
from brewtopia_lib.events.queues import MOST_AT_ONCE, Message, Queue, held
from brewtopia_lib.events.telemetry import Telemetry
from brewtopia_lib.settings import Settings
from brewtopia_lib.signals import told_to_end

HANDFUL = 100
"""How many messages are worked on together, if as many wait."""

HOLD_SECONDS = 120
POLL_SECONDS = 5
ONE_POLL_SECONDS = 1
"""How long an empty queue is asked; what is told to end does so after that at the latest."""

_FIRST_BACK_OFF_SECONDS = 30
_LONGEST_BACK_OFF_SECONDS = 900


class Worker:
    """Ingests what the messages of the queue tell of, and deletes each when that is committed."""

    def __init__(self, settings: Settings) -> None:
        if settings.queue is None:
            raise SettingsError(
                "BREWTOPIA_QUEUE is not set: set it to the URL of the SQS queue that the raw "
                "bucket's notifications go to (docs/events.md)"
            )
        raw_place(settings)
        self._settings = settings
        self._queue = Queue(settings.queue)
        self._telemetry = Telemetry("worker")
        self._is_told_to_end = False
        self.failed = 0
        self.done = 0

    def run(self, *, once: bool = False) -> None:
        """Take messages until told to end (SIGTERM, SIGINT), or, with `once`, until none waits.

        What is in hand when that comes is finished, or given back. Raises QueueError where the
        queue cannot be used at the start, or, with `once`, at any time.
        """
        waiting = self._queue.waiting()
        self._telemetry.say("started", queue=self._queue.url, waiting=waiting)
        troubles = 0
        with told_to_end(self._end):
            while not self._is_told_to_end:
                try:
                    messages = self._take(ONE_POLL_SECONDS if once else POLL_SECONDS)
                    if once and not messages:
                        break
                    self._work(messages)
                    troubles = 0
                except QueueError as error:
                    if once:
                        raise
                    self._complain(error)
                    troubles += 1
                    self._rest(_back_off_seconds(troubles))
        self._telemetry.say("ended", done=self.done, failed=self.failed)

    def _take(self, wait_seconds: int) -> list[Message]:
        taken = got = self._queue.receive(wait_seconds, HOLD_SECONDS)
        while len(got) == MOST_AT_ONCE and len(taken) < HANDFUL:
            got = self._queue.receive(0, HOLD_SECONDS)
            taken = taken + got
        return taken

    def _work(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        if self._is_told_to_end:
            self._queue.hold(messages, 0)
            return
        with held(self._queue, messages, HOLD_SECONDS, self._complain):
            failed = ingest_uploads(self._settings, messages, self._telemetry)
        report_failures(self._telemetry, messages, failed)
        self._queue.delete([message for message in messages if message.id not in failed])
        for message in messages:
            if message.id in failed:
                self._queue.hold([message], _back_off_seconds(message.receives))
        self.failed += len(failed)
        self.done += len(messages) - len(failed)

    def _complain(self, error: QueueError) -> None:
        self._telemetry.complain("the queue cannot be used", reason=str(error))

    def _end(self, *_: object) -> None:
        self._is_told_to_end = True

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._is_told_to_end and time.monotonic() < until:
            time.sleep(0.5)


def _back_off_seconds(failures: int) -> int:
    return int(min(_FIRST_BACK_OFF_SECONDS * 2 ** (failures - 1), _LONGEST_BACK_OFF_SECONDS))
