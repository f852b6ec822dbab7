"""Which pages are asked for: reports, branches and parameters checked, as jobs to be done."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from brewtopia_lib import analyses
from brewtopia_lib.errors import ParameterError
from brewtopia_lib.pages.scopes import find_scope
from brewtopia_lib.reports.batches import Job
from brewtopia_lib.reports.definitions import Definition
from brewtopia_lib.reports.outputs import Place
from brewtopia_lib.reports.parameters import (
    SCHEDULED_FOR,
    Parameter,
    check_parameters,
    read_parameters,
    take_scheduled_for,
)
from brewtopia_lib.warehouse import Warehouse


def plan(
    definitions: Sequence[Definition],
    warehouse: Warehouse,
    folder: Path,
    *,
    branches: Sequence[str] | None = None,
    all_branches: bool = False,
    parameters: Mapping[str, Any] = MappingProxyType({}),
    notices: Mapping[str | None, str] = MappingProxyType({}),
) -> list[Job]:
    """The pages of these reports, in the order they are named; see `run_report`.

    Raises ParameterError where one of them cannot be as it was asked for.
    """
    if (branches or all_branches) and not any(one.for_each for one in definitions):
        names = " and ".join(one.name for one in definitions)
        raise ParameterError(f"report {names} is about the whole chain: it takes no branch")
    jobs = []
    for definition in definitions:
        given = {**definition.parameters, **parameters}
        scheduled_for = take_scheduled_for(given)
        declared = read_parameters(definition.notebook)
        if SCHEDULED_FOR in declared and scheduled_for:
            given[SCHEDULED_FOR] = scheduled_for.isoformat()
        wanted = _wanted(definition, warehouse, branches, all_branches, given)
        jobs += [
            _planned(
                definition, warehouse, declared, given, Place(folder / definition.name, slug),
                branch, scheduled_for, notices.get(branch),
            )
            for branch, slug in wanted
        ]  # fmt: skip
    return jobs


def slugs(names: Iterable[str]) -> dict[str, str]:
    """A file name for each name, no two alike whatever the names are.

    Plain ones read well (`St. Albans` is `st-albans`); where two would be alike, or nothing
    legible is left, a digest of the name tells them apart.
    """
    plain = {name: _plain(name) for name in names}
    times = Counter(plain.values())
    return {
        name: slug if slug and times[slug] == 1 else f"{slug or 'name'}-{_digest(name)}"
        for name, slug in plain.items()
    }


def _plain(name: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")[:60].strip("-")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:10]


def _wanted(
    definition: Definition,
    warehouse: Warehouse,
    branches: Sequence[str] | None,
    all_branches: bool,
    given: dict[str, Any],
) -> list[tuple[str | None, str]]:
    """The branches to report on (None for the chain) with the name of each page."""
    name = definition.name
    if definition.for_each is None:
        return [(None, name)]
    known = slugs(analyses.branches(warehouse)["branch"])
    if all_branches:
        return list(known.items())
    one = given.pop("branch", None)
    chosen = list(dict.fromkeys(branches or ([] if one is None else [one])))
    if not chosen:
        some = ", ".join(list(known)[:3])
        raise ParameterError(
            f"report {name} is about one branch: name it with --branch ({some} …), "
            "or ask for --all-branches"
        )
    return [(branch, known.get(branch, "")) for branch in chosen]


def _planned(
    definition: Definition,
    warehouse: Warehouse,
    declared: Mapping[str, Parameter],
    given: Mapping[str, Any],
    place: Place,
    branch: str | None,
    scheduled_for: datetime | None,
    notice: str | None,
) -> Job:
    about = given if branch is None else {**given, "branch": branch}
    values = check_parameters(declared, about, definition.name)
    asked = {key: values[key] for key in ("until", "weeks", "branch") if key in values}
    # a report that asks for no period is about all there is, and be it rejected rows alone
    scope = find_scope(warehouse, **asked, needs_sales=bool(asked))
    if "until" in values:
        values["until"] = scope.until
    return Job(definition, scope, values, place, scheduled_for, notice)
