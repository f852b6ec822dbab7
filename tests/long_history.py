"""A lake with the history of a large chain: one batch for each branch and day, as uploads make them.

The history is in the lake's own files, made in the lake's own format. Its batches hold no rows: a
load reads the rows of new batches and of those that share a branch-day with them, never of others.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
from s3_server import S3Server

from brewtopia_lib.lake import CATALOGUED_AT_ONCE

_HISTORY = """
    select
        strftime(moment, '%Y%m%dT%H%M%S%f') || '-' || lower(hex(number))[-8:] as batch,
        1::integer as object_no,
        'history/' || number || '.csv' as source,
        md5(number::varchar) as version,
        moment as as_of,
        null::varchar as feed, null::varchar as feed_digest, 'none' as feeds_digest,
        0::bigint as rows, 0::bigint as orders, 0::bigint as lines, 0::bigint as rejected,
        0::decimal(14, 2) as revenue,
        moment as cleaned_at
    from (
        select
            day * $branches + branch as number,
            $end::timestamp - to_days(($days - day)::integer)
            + to_milliseconds(branch * 86000000 // $branches) as moment
        from range($days) as days (day), range($branches) as branches (branch)
    )
"""


def write_history(s3: S3Server, folder: Path, prefix: str, *, branches: int, days: int) -> int:
    """Put the batches of so many days up to now into bucket `lake`; gives how many.

    Of those older than two days only the catalogue is there: nothing looks for more.
    """
    end = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=5)
    place = folder / f"history-{days}"
    for name in ("catalogue", "objects"):
        (place / name).mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute(
            f"create table history as {_HISTORY}",
            {"branches": branches, "days": days, "end": end},
        )
        names = [
            name
            for (name,) in connection.execute("select batch from history order by 1").fetchall()
        ]
        whole = len(names) - len(names) % CATALOGUED_AT_ONCE
        for start in range(0, whole, CATALOGUED_AT_ONCE):
            some = names[start : start + CATALOGUED_AT_ONCE]
            _write(connection, some[0], some[-1], place / f"catalogue/{some[-1]}-0.parquet")
        for name in names[-2 * branches :]:
            _write(connection, name, name, place / f"objects/{name}.parquet")
    for path in place.rglob("*.parquet"):
        s3.put("lake", prefix + path.relative_to(place).as_posix(), path.read_bytes())
    return len(names)


def _write(connection: duckdb.DuckDBPyConnection, first: str, last: str, path: Path) -> None:
    connection.execute(
        f"copy (select * from history where batch between '{first}' and '{last}' order by batch)"
        f" to '{path}' (format parquet, compression snappy)"
    )
