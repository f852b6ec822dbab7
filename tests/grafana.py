"""Grafana's side of a dashboard: its panels' SQL as the Redshift data source would send it."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "deploy" / "grafana"
DASHBOARDS = sorted(FOLDER.glob("dashboards/*.json"))

_MACRO = re.compile(r"\$__(\w+)\(([^()]*)\)")
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}")


@dataclass(frozen=True)
class Asked:
    """What a viewer has chosen: the days, and the values of the dashboard's variables."""

    first_day: date
    until: date
    variables: dict[str, Sequence[str]]

    def expanded(self, sql: str) -> str:
        """The SQL with variables and macros filled in.

        Raises KeyError for a macro that the data source does not have, or a variable that the
        dashboard does not have.
        """
        start, end = f"'{self.first_day}T00:00:00Z'", f"'{self.until}T23:59:59Z'"
        macros = {
            "timeFrom": lambda _: start,
            "timeTo": lambda _: end,
            "timeFilter": lambda column: f"{column} BETWEEN {start} AND {end}",
        }
        filled = _VARIABLE.sub(lambda found: self._value(*found.groups()), sql)
        return _MACRO.sub(lambda found: macros[found[1]](found[2].strip()), filled)

    def _value(self, name: str, form: str | None) -> str:
        assert form == "sqlstring", f"{name} would go into the SQL without being quoted"
        return ",".join("'" + value.replace("'", "''") + "'" for value in self.variables[name])


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def targets(dashboard: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The title of each panel with each of its queries to data sources of a kind."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            if target["datasource"]["type"] == kind:
                yield panel["title"], target
