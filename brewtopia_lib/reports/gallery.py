"""The gallery: one page of the newest reports and of all runs kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from brewtopia_lib.formats import day, full_day, plural
from brewtopia_lib.reports.outputs import KEPT_RUNS, write_whole
from brewtopia_lib.reports.publishing import INDEX, STATUS
from brewtopia_lib.reports.rendering import template
from brewtopia_lib.reports.runs import Ledger


@dataclass(frozen=True)
class Made:
    """One run, as the gallery shows it; addresses are relative to the gallery."""

    report: str
    report_title: str
    title: str
    branch: str | None
    state: str
    error: str | None
    first_day: date | None
    until: date
    made_at: datetime
    seconds: float
    page: str | None
    thumbnail: str | None
    numbers: Sequence[Mapping[str, Any]]

    @property
    def where(self) -> str:
        """The branch, or the chain in words."""
        return self.branch or "The whole chain"

    @property
    def is_done(self) -> bool:
        return self.state == "done"

    @property
    def period(self) -> str:
        """The days it covers, in words; without a first one, all there are."""
        start = f"{day(self.first_day)} to" if self.first_day else "All up to"
        return f"{start} {full_day(self.until)}"

    @property
    def made(self) -> str:
        """When it was made, in words."""
        return f"{day(self.made_at)} {self.made_at:%Y, %H:%M}"

    @property
    def took(self) -> str:
        """How long it took, in words."""
        return plural(round(self.seconds), "second") if self.seconds >= 1 else "under a second"


def made_of(row: Mapping[str, Any], page: str | None, thumbnail: str | None) -> Made:
    """A run of the ledger, with the addresses of its page and its thumbnail."""
    about = row["summary"]
    title = about.get("title") or ": ".join(filter(None, (row["report"], row["branch"])))
    return Made(
        report=row["report"],
        report_title=about.get("report_title") or row["report"],
        title=title,
        branch=row["branch"],
        state=row["state"],
        error=row["error"],
        first_day=date.fromisoformat(row["first_day"]) if "weeks" in row["parameters"] else None,
        until=date.fromisoformat(row["until"]),
        made_at=datetime.fromisoformat(row["started_at"]).astimezone(),
        seconds=row["seconds"] or 0.0,
        page=page,
        thumbnail=thumbnail,
        numbers=about.get("numbers") or [],
    )


def way_of(line: str) -> str:
    """Whether a line tells of a rise or a fall, as a class of the style sheet."""
    return {"▲": "up", "▼": "down"}.get(line[:1], "")


def address(path: PurePath) -> str:
    """A relative path as an address."""
    return quote(path.as_posix())


def gallery(runs: Iterable[Made], status: str | None = None) -> str:
    """The page: what failed last, the newest report of each branch, and every run kept.

    `status` is the address of the page of the pipeline's state, where there is one. Of each report and branch the newest is the one with the newest data, of those the one made
    last.
    """
    kept = _kept(runs)
    newest = [max(every, key=lambda one: (one.until, one.made_at)) for every in _apart(kept, True)]
    last = [max(every, key=lambda one: one.made_at) for every in _apart(kept, False)]
    sections = [
        (title, sorted(cards, key=lambda one: (one.branch is not None, one.where.casefold())))
        for title, cards in groupby(
            sorted(newest, key=lambda one: (one.report_title, one.report)),
            key=lambda one: one.report_title,
        )
    ]
    return template("index.html.j2").render(
        failed=[one for one in last if not one.is_done],
        sections=sorted(sections, key=lambda section: len(section[1])),
        runs=sorted(kept, key=lambda one: one.made_at, reverse=True),
        reports=sorted({one.report_title for one in kept}),
        branches=sorted({one.where for one in kept}, key=str.casefold),
        kept_runs=KEPT_RUNS,
        way_of=way_of,
        status=status,
    )


def _apart(runs: Sequence[Made], are_done: bool) -> list[list[Made]]:
    """The runs of each report and branch; only those that were done, or all."""
    groups: dict[tuple[str, str | None], list[Made]] = {}
    for run in runs:
        if run.is_done or not are_done:
            groups.setdefault((run.report, run.branch), []).append(run)
    return list(groups.values())


def _kept(runs: Iterable[Made]) -> list[Made]:
    return [
        run
        for every in _apart(list(runs), False)
        for run in sorted(every, key=lambda one: one.made_at, reverse=True)[:KEPT_RUNS]
    ]


def renew_gallery(ledger: Ledger, folder: Path) -> None:
    """Write the gallery of the runs in the ledger whose pages are below the folder."""
    made = []
    for row in ledger.runs():
        page = Path(row["page"] or "")
        if page.is_relative_to(folder) and (row["state"] == "failed" or page.is_file()):
            page_there, drawing_there = (
                address(path.relative_to(folder)) if path.is_file() else None
                for path in (page, page.with_suffix(".svg"))
            )
            made.append(made_of(row, page_there, drawing_there))
    status = STATUS if (folder / STATUS).is_file() else None
    write_whole(folder / INDEX, gallery(made, status))
