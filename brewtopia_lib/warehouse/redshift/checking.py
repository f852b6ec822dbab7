"""Whether a load would go well, without loading anything."""

import contextlib

from brewtopia_lib.errors import WarehouseError
from brewtopia_lib.lake import Lake
from brewtopia_lib.warehouse.redshift.copying import copy_files
from brewtopia_lib.warehouse.redshift.location import parse
from brewtopia_lib.warehouse.redshift.migrations import check_version
from brewtopia_lib.warehouse.redshift.session import Session, StatementError


def check_loading(location: str, lake: Lake) -> None:
    """Try what a load needs: to sign in, to make temp tables, COPY of the lake, and the tables.

    COPY takes the newest batch of the lake, into a temp table; nothing is left of it.

    Raises WarehouseError naming what is missing and the way out.
    """
    session = Session(parse(location))
    try:
        session.execute("begin")
        session.run("redshift_stage")
        copy_files(session, lake, "objects", list(lake.batches())[-1:])
        session.execute("rollback")
        check_version(session)
        right = "select has_table_privilege('load_ledger', 'insert')"
        may_write = session.execute(right).first_column[0]
    except StatementError as error:
        raise WarehouseError(
            f"nothing can be loaded into {session.location}: {error}: grant the loader its rights "
            "(docs/redshift.md)"
        ) from error
    finally:
        with contextlib.suppress(WarehouseError):
            session.close()
    if not may_write:
        raise WarehouseError(
            f"the tables in {session.location} belong to another user, and nothing can be loaded: "
            "sign in as the loader, or leave BREWTOPIA_LAKE unset where only reports are made"
        )
