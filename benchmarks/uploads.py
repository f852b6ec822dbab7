"""What uploads cost a chain of 500 branches, one by one and together, after days and after a year.

S3 is moto's in this process: requests and bytes are as AWS would count them, CPU seconds hold
moto's own work too.
"""

import os
import sys
import tempfile
from pathlib import Path
from unittest import mock

from benchmarks.measure import Figure, at_most, timed

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from event_stream import notice
from long_history import write_history
from s3_server import S3Server
from tills import Order, settings_in, till

from brewtopia_lib.events import ingest_uploads
from brewtopia_lib.events.queues import Message
from brewtopia_lib.events.telemetry import Telemetry

BRANCHES = 500
DAYS = (2, 30, 365)
HANDFULS = (1, 10, 100)
MOST_REQUESTS = 25


def run(folder: Path, *, real: bool, scale: float, rounds: int) -> list[Figure]:
    s3 = S3Server()
    own = {"XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder)}
    with (
        mock.patch.dict(os.environ, s3.environment | own),
        mock.patch.object(tempfile, "tempdir", str(folder)),
        open(os.devnull, "w") as nowhere,
        mock.patch.object(sys, "stdout", nowhere),
    ):
        telemetry = Telemetry("worker")
        return [
            figure
            for days in sorted({max(2, round(days * scale)) for days in DAYS})
            for figure in _after(s3, folder, days, telemetry)
        ]


def _after(s3: S3Server, folder: Path, days: int, telemetry: Telemetry) -> list[Figure]:
    s3.reset()
    s3.make_buckets("tills", "lake")
    place = folder / f"{days}-days"
    place.mkdir()
    settings = settings_in(place).model_copy(
        update={"raw": "s3://tills/raw", "lake": f"s3://lake/{days}"}
    )
    batches = write_history(s3, folder, f"{days}/", branches=BRANCHES, days=days)
    figures = []
    for handful in (0, *HANDFULS):
        names = [f"raw/{handful}-{number}.csv" for number in range(max(handful, 1))]
        for number, name in enumerate(names):
            orders = [Order(minute=n, branch=f"Branch {number}") for n in range(300)]
            s3.put("tills", name, till(orders))
        messages = [Message(name, notice(name)) for name in names]
        moved = s3.bytes_sent.total()
        with s3.counting() as requests:
            taken = timed(lambda: ingest_uploads(settings, messages, telemetry))  # noqa: B023
        if handful:  # the first of all reads the catalogue and loads the history
            each = requests.total() / handful
            kilobytes = (s3.bytes_sent.total() - moved) / handful / 1024
            detail = f"({kilobytes:.0f} KiB and {taken.cpu_seconds / handful:.2f} s of CPU each)"
            said = f"{handful} uploads at a time after {batches:,} batches: each"
            figures.append(at_most(said, MOST_REQUESTS, "requests", each, detail))
    return figures
