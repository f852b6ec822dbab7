"""Named SQL files with bound `:name` parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Protocol, runtime_checkable

import pandas as pd

from brewtopia_lib.errors import ParameterError, WarehouseError
from brewtopia_lib.warehouse.parameters import parameter_names


class Queryable(Protocol):
    """Anything that answers SQL with a frame: every warehouse does."""

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame: ...


@runtime_checkable
class Guarded(Protocol):
    """Tables whose `query` is for people, who seldom mean to get many rows."""

    def all_rows(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> pd.DataFrame: ...


@dataclass(frozen=True)
class Query:
    """One SQL file: its name, its text and the parameters it takes, in order."""

    name: str
    sql: str
    parameters: tuple[str, ...]

    def bind(self, values: Mapping[str, object]) -> dict[str, object]:
        """The values, if they are exactly the query's parameters.

        Raises ParameterError naming each that is missing or not taken.
        """
        missing = [name for name in self.parameters if name not in values]
        surplus = [name for name in values if name not in self.parameters]
        if missing or surplus:
            problems = [f"lacks a value for {name}" for name in missing]
            problems += [f"does not take {name}" for name in surplus]
            takes = ", ".join(self.parameters) or "no parameters"
            raise ParameterError(f"query {self.name!r} {' and '.join(problems)}: it takes {takes}")
        return dict(values)


def query_names() -> list[str]:
    """The names of all SQL files, sorted."""
    folder = files("brewtopia_lib") / "sql"
    return sorted(f.name.removesuffix(".sql") for f in folder.iterdir() if f.name.endswith(".sql"))


@cache
def load_query(name: str) -> Query:
    """The SQL file of that name.

    Raises WarehouseError naming the nearest ones when there is none.
    """
    names = query_names()
    if name not in names:
        near = ", ".join(get_close_matches(name, names)) or ", ".join(names)
        raise WarehouseError(f"there is no query {name!r}: there is {near}")
    sql = (files("brewtopia_lib") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    return Query(name, sql, parameter_names(sql))


def run_query(warehouse: Queryable, name: str, **values: object) -> pd.DataFrame:
    """Run the named SQL file with exactly its parameters; the frame as the engine gives it."""
    query = load_query(name)
    ask = warehouse.all_rows if isinstance(warehouse, Guarded) else warehouse.query
    return ask(query.sql, query.bind(values))
