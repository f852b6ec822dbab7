"""The warehouse's tables as views over the lake's Parquet files, before any load."""

from importlib import resources

from brewtopia_lib.errors import LakeError
from brewtopia_lib.lake import Lake
from brewtopia_lib.warehouse.duckdb_session import DuckDBSession


class LakeTables(DuckDBSession):
    """What the lake held when it was opened, read-only, under the warehouse's names.

    A load would give the same rows; `loads.loaded_at` is when a file was cleaned. Each query reads
    the files anew: for much data, the warehouse is faster.

    Raises LakeError where there is nothing in the lake yet, or it cannot be read.
    """

    def __init__(self, lake: Lake, memory_limit: str | None = None) -> None:
        super().__init__(memory_limit)
        self.location = lake.location
        try:
            if lake.is_empty():
                raise LakeError(
                    f"there is nothing in the lake {lake.location} yet: run `brewtopia clean` first"
                )
            lake.attach(self._connection)
            ddl = resources.files("brewtopia_lib") / "warehouse" / "ddl"
            for name in ("lake_views", "duckdb_views"):
                self._connection.execute((ddl / f"{name}.sql").read_text("utf-8"))
        except BaseException:
            self.close()
            raise
