"""Reports: what is asked for is checked, then every page is made, several at a time."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from brewtopia_lib.errors import ParameterError
from brewtopia_lib.reports.forking import KernelStart, prepare

if TYPE_CHECKING:
    from brewtopia_lib.reports.batches import ReportRun
    from brewtopia_lib.settings import Settings


def run_report(
    settings: "Settings",
    name: str | Sequence[str],
    *,
    branches: Sequence[str] | None = None,
    all_branches: bool = False,
    until: date | None = None,
    weeks: int | None = None,
    parameters: Mapping[str, Any] = MappingProxyType({}),
    workers: int | None = None,
    kernel: KernelStart | None = None,
    pdf: bool = False,
    notices: Mapping[str | None, str] = MappingProxyType({}),
    progress: Callable[[int, int, str], None] | None = None,
) -> "list[ReportRun]":
    """Make the pages of a report; one that fails leaves the others alone.

    Several reports may be named: their pages are made together, in no order, and compute once
    what they have in common. The branches are for those of them that are about one branch.

    Each page is written whole or not at all, with its executed notebook beside it and the gallery
    above; of a run that failed, a `.failed.html` that says why, and a `.failed.ipynb`. Parameters
    are checked first: raises ParameterError before any notebook runs. The parameter
    `scheduled_for`, the time a run is for, may be given for every report. Each notebook has a
    kernel of its own, as many at a time as there are `workers` (cores, if not given), started
    `warm` or `cold` (warm where that is safe). `pdf` prints the pages too. `notices`, by branch or
    None for the chain, stand on the page. `progress` is told (done, total, what) after each page.
    """
    if kernel != "cold":
        prepare()  # what it imports takes as long as what comes next
    from brewtopia_lib.reports.making import make_reports

    given = {"until": until, "weeks": weeks}
    for key, one in {**given, "branch": branches[0] if branches else None}.items():
        if one is not None and str(parameters.get(key, one)) != str(one):
            raise ParameterError(f"{key} is given twice, and not the same: give it once")
    return make_reports(
        settings,
        [name] if isinstance(name, str) else name,
        workers=workers,
        kernel=kernel,
        pdf=pdf,
        progress=progress,
        branches=branches,
        all_branches=all_branches,
        parameters={**parameters, **{key: one for key, one in given.items() if one is not None}},
        notices=notices,
    )
