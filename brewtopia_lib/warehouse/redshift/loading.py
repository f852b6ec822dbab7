"""Lake → Redshift: one retried transaction that makes anew what the new files speak of."""

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

from brewtopia_lib.errors import RetryableError, WarehouseError
from brewtopia_lib.lake import Lake, a_day_before
from brewtopia_lib.warehouse.duckdb import Loaded
from brewtopia_lib.warehouse.redshift.copying import copy_files
from brewtopia_lib.warehouse.redshift.location import RedshiftLocation, parse
from brewtopia_lib.warehouse.redshift.migrations import migrate
from brewtopia_lib.warehouse.redshift.session import Session, StatementError

ATTEMPTS = 8
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_NAMED_AT_ONCE = 500


def load(
    location: str,
    lake: Lake,
    *,
    pause: Callable[[float], object] = time.sleep,
) -> Loaded:
    """Bring the warehouse up to what the lake holds.

    Everything happens in one transaction that holds a lock on the ledger: loads at the same time
    wait for each other, readers wait for none. A conflict, a lost connection or a disturbed S3
    rolls it back, and it is tried again, up to eight times. Where the answer to the commit was
    lost, the next attempt finds out whether it was done.

    Raises CopyError where a file of the lake cannot be taken, LakeError where one is missing,
    and the RetryableError of the last attempt where none came through. The warehouse is then as
    it was before, unless it was the very last commit whose answer was lost.
    """
    place = parse(location)
    unknown: dict[datetime, Loaded] = {}
    for attempt in range(1, ATTEMPTS + 1):
        run = _Load(place, lake)
        try:
            return run.once(unknown)
        except RetryableError:
            if run.committing is not None:
                unknown[run.loaded_at] = run.committing
            if attempt == ATTEMPTS:
                raise
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt)
        pause(random.uniform(longest / 2, longest))
    raise AssertionError("unreachable")


class _Load:
    """One attempt, on a connection of its own.

    Attributes:
        loaded_at: what it enters into `loads`, which tells its rows from those of any other.
        committing: what it came to, once only the answer to its commit was to come.
    """

    def __init__(self, location: RedshiftLocation, lake: Lake) -> None:
        self._location = location
        self._lake = lake
        self.loaded_at = datetime.now(UTC).replace(tzinfo=None)
        self.committing: Loaded | None = None

    def once(self, unknown: Mapping[datetime, Loaded]) -> Loaded:
        """Load, or give what one of the attempts came to whose commit was never answered."""
        self._session = Session(self._location)
        try:
            migrate(self._session)
            loaded = Loaded(0, 0, 0)
            found = set(self._lake.batches())
            if any(self._changes(found)):
                with self._session.transaction():
                    # the lock before all else: the snapshot must not be older than it
                    self._session.execute("lock table load_ledger")
                    self.committing = loaded = self._replace(found)
            return loaded if loaded.objects else self._committed(unknown)
        except StatementError as error:
            raise WarehouseError(
                f"the load into {self._location} failed and changed nothing: {error}"
            ) from error
        finally:
            self._session.close()

    def _committed(self, unknown: Mapping[datetime, Loaded]) -> Loaded:
        entered = "select count(*) from loads where loaded_at = :moment"
        for moment, loaded in unknown.items():
            if self._session.execute(entered, {"moment": moment}).first_column[0]:
                return loaded
        return Loaded(0, 0, 0)

    def _changes(self, found: Collection[str]) -> tuple[list[str], list[str]]:
        """The batches found in the lake that the ledger lacks, and those that the lake no longer
        has."""
        after = self._agreed_up_to(found)
        known = set(
            self._session.execute(
                "select distinct batch from load_ledger where batch > :after", {"after": after}
            ).first_column
        )
        recent = {batch for batch in found if batch > after}
        gone = known - recent
        if gone:  # or written, and loaded by another, since the lake was looked at
            gone.difference_update(self._lake.batches())
        return sorted(recent - known), sorted(gone)

    def _agreed_up_to(self, found: Collection[str]) -> str:
        """A batch up to which ledger and lake hold the same, so that it need not be asked for.

        A batch may be committed up to a day after the time in its name.
        """
        newest = self._session.execute("select max(batch) from load_ledger").first_column[0]
        if newest is None:
            return ""
        after = a_day_before(newest)
        known = self._session.execute(
            "select count(distinct batch) from load_ledger where batch <= :after", {"after": after}
        ).first_column[0]
        return after if int(known) == sum(batch <= after for batch in found) else ""

    def _replace(self, found: Collection[str]) -> Loaded:
        session = self._session
        fresh, gone = self._changes(found)
        for some in _slices(gone):
            condition, values = _one_of(some)
            session.execute(f"delete from load_ledger where {condition}", values)
        session.run("redshift_stage")
        self._copy("objects", fresh)
        session.run("redshift_arrivals")
        self._refuse_strangers()
        arrived = self._ask("select distinct batch from arrivals where orders > 0")
        self._copy("orders", arrived)
        session.run("redshift_touched")
        provided = self._ask("select distinct batch from providers where orders > 0")
        self._copy("orders", [batch for batch in provided if batch not in set(arrived)])
        self._copy("lines", provided)
        self._copy("items", provided)
        self._copy("rejects", self._ask("select distinct batch from arrivals where rejected > 0"))
        session.run("redshift_load", {"loaded_at": self.loaded_at})
        counts = session.execute(
            "select (select count(*) from arrivals), (select count(*) from fresh_orders),"
            " (select count(*) from touched)"
        )
        return Loaded(*counts.rows[0])

    def _refuse_strangers(self) -> None:
        """Raises WarehouseError where the warehouse has what the lake has not: whose is it then?"""
        strangers, stranger = self._session.execute(
            "select count(*), min(loads.source) from loads"
            " left join lake_current on lake_current.source = loads.source"
            " where loads.is_current and lake_current.source is null"
        ).rows[0]
        if strangers:
            raise WarehouseError(
                f"the warehouse in {self._location} holds {strangers:,} files that the lake does "
                f"not know, such as {stranger}: run `brewtopia clean` on all raw files, or name "
                "another database or schema to make it anew from this lake"
            )

    def _copy(self, table: str, batches: Sequence[str]) -> None:
        copy_files(self._session, self._lake, table, batches)

    def _ask(self, sql: str) -> list[str]:
        return self._session.execute(sql).first_column


def _slices(batches: Sequence[str]) -> list[Sequence[str]]:
    return [
        batches[start : start + _NAMED_AT_ONCE] for start in range(0, len(batches), _NAMED_AT_ONCE)
    ]


def _one_of(batches: Sequence[str]) -> tuple[str, dict[str, object]]:
    """A condition on the batch, and the parameters it takes."""
    values: dict[str, object] = {f"batch{number}": one for number, one in enumerate(batches)}
    return f"batch in ({', '.join(f':{name}' for name in values)})", values
