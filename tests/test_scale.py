"""What one more upload costs does not depend on how many there were before."""

from collections import Counter
from pathlib import Path

import pytest
from event_stream import RAW, notice
from long_history import write_history
from s3_server import S3Server
from tills import Order, rows, settings_in, till

from brewtopia_lib.events import ingest_uploads
from brewtopia_lib.events.queues import Message
from brewtopia_lib.events.telemetry import Telemetry
from brewtopia_lib.settings import Settings


def upload(s3: S3Server, settings: Settings, number: int) -> Counter[str]:
    """The requests that one file takes on its way, and the bytes, by action."""
    name = f"raw/new-{number}.csv"
    s3.put("tills", name, till(Order(minute=minute, day=number) for minute in range(60)))
    before = s3.bytes_sent.copy()
    with s3.counting() as requests:
        failed = ingest_uploads(settings, [Message("1", notice(name))], Telemetry("worker"))
    assert failed == {}
    moved = {f"bytes {action}": n for action, n in (s3.bytes_sent - before).items()}
    return requests + Counter(moved)


@pytest.mark.slow
def test_a_year_of_500_branches(s3: S3Server, tmp_path: Path) -> None:
    """With 182,500 batches in the lake an upload takes as many requests as with 1,000, and moves
    as many bytes."""
    taken = {}
    for days in (2, 365):
        here = settings_in(tmp_path / f"{days}").model_copy(
            update={"raw": RAW, "lake": f"s3://lake/{days}"}
        )
        Path(here.warehouse).parent.mkdir()
        assert write_history(s3, tmp_path, f"{days}/", branches=500, days=days) == days * 500
        upload(s3, here, 1)  # the first reads the catalogue and loads the history
        taken[days] = upload(s3, here, 2)
        assert rows(here, "select count(*) from orders") == [(120,)]
        assert rows(here, "select count(*) from loads") == [(days * 500 + 2,)]
    requests = {days: {k: n for k, n in one.items() if " " not in k} for days, one in taken.items()}
    assert requests[365] == requests[2]
    assert sum(requests[365].values()) <= 25
    for action in ("bytes get", "bytes put"):
        assert taken[365][action] <= 1.1 * taken[2][action]
