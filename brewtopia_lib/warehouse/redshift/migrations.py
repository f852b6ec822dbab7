"""The tables' versions: each change runs once, wholly or not at all."""

import contextlib
from datetime import UTC, datetime
from importlib import resources

from brewtopia_lib.errors import WarehouseError
from brewtopia_lib.warehouse.redshift.session import Session, StatementError

_NOT_THERE = ("42P01", "3F000")
_TRIES = 5


def migrations() -> dict[str, int]:
    """name → number of each file in `ddl/` that changes the tables, in order."""
    folder = resources.files("brewtopia_lib") / "warehouse" / "ddl"
    names = sorted(path.name.removesuffix(".sql") for path in folder.iterdir())
    numbers = {name: name.split("_")[1] for name in names if name.startswith("redshift_")}
    return {name: int(number) for name, number in numbers.items() if number.isdecimal()}


def latest_version() -> int:
    return max(migrations().values())


def check_version(session: Session) -> None:
    """Raises WarehouseError where the tables are not there, or not those of this version."""
    try:
        found = session.execute("select max(number) from schema_migrations").first_column[0]
    except StatementError as error:
        if error.state not in _NOT_THERE:
            raise
        found = None
    if found is None:
        raise WarehouseError(
            f"there is no warehouse in {session.location} yet: run `brewtopia ingest` first"
        )
    _refuse_newer(session, found)
    if found < latest_version():
        raise WarehouseError(
            f"the warehouse in {session.location} was made by an older version: run "
            "`brewtopia load` to renew it"
        )


def migrate(session: Session) -> None:
    """Bring the tables up to date, and let the location's readers read them."""
    done = _done(session)
    _refuse_newer(session, max(done.values(), default=0))
    for name, number in migrations().items():
        if name not in done:
            _once(session, name, number)
    readers = session.location.readers
    if readers is not None and (grants := f"grants_{latest_version()}_{readers}") not in done:
        _once(session, grants, latest_version())


def _once(session: Session, name: str, number: int) -> None:
    with session.transaction():
        session.execute("lock table schema_migrations")
        if name in _names(session):
            return
        if name.startswith("grants_"):
            _grant(session)
        else:
            session.run(name)
        session.execute(
            "insert into schema_migrations values (:name, :number, :applied_at)",
            {"name": name, "number": number, "applied_at": datetime.now(UTC).replace(tzinfo=None)},
        )


def _grant(session: Session) -> None:
    """Let the readers' role read what analysts see, and the version."""
    location = session.location
    session.execute(f'grant usage on schema "{location.schema}" to role "{location.readers}"')
    session.execute(
        "grant select on sales, orders, hourly_sales, rejects, loads, order_baskets, basket_lines,"
        f' items, schema_migrations to role "{location.readers}"'
    )


def _done(session: Session) -> dict[str, int]:
    """name → number of what has run, from the table that says so; it is made where it is not."""
    for _ in range(_TRIES):
        try:
            return _names(session)
        except StatementError as error:
            if error.state not in _NOT_THERE:
                raise
        # where another load makes the same at the same moment, one of the two fails
        with contextlib.suppress(StatementError):
            _make_table(session)
    _make_table(session)
    return _names(session)


def _names(session: Session) -> dict[str, int]:
    found = session.execute("select name, number from schema_migrations").rows
    return {name: number for name, number in found}


def _make_table(session: Session) -> None:
    schema = session.location.schema
    if schema != "public":
        session.execute(f'create schema if not exists "{schema}"')
    session.execute(
        "create table if not exists schema_migrations"
        " (name varchar(256) not null, number integer not null, applied_at timestamp not null)"
    )


def _refuse_newer(session: Session, found: int) -> None:
    if found > latest_version():
        raise WarehouseError(
            f"the warehouse in {session.location} was made by a newer version of Brewtopia: "
            "update this one"
        )
