"""A small project with sample data, names that try to break out, and the project's own reports."""

import contextlib
import csv
import shutil
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from brewtopia_lib.ingest import ingest
from brewtopia_lib.reports import run_report
from brewtopia_lib.reports.batches import ReportRun
from brewtopia_lib.sample import write_sample
from brewtopia_lib.settings import Settings

ROOT = Path(__file__).parent.parent
SCRIPT = "<script>alert(1)</script>"
DOLLARS = "Bean $x^2$ & $$ blend"
SQL_BRANCH = "'; drop table orders; --"
SQL_BRANCH_KEPT = "'; Drop Table Orders; --"
LAST_DAY = date(2024, 6, 30)
DAYS = 70


def settings_of(folder: Path) -> Settings:
    """Settings whose every location is inside the folder."""
    return Settings(
        raw=str(folder / "raw"),
        lake=str(folder / "lake"),
        warehouse=str(folder / "warehouse.duckdb"),
        reports=str(folder / "output"),
        mail=f"outbox:{folder / 'outbox'}",
        runs=str(folder / "runs.sqlite"),
    )


def make_project(folder: Path) -> Settings:
    """Three invented branches and a hostile one, ten weeks each, ingested."""
    copy_reports(folder)
    settings = settings_of(folder)
    write_sample(folder / "raw", branches=3, days=DAYS, seed=3, until=LAST_DAY)
    write_hostile_branch(folder / "raw")
    ingest(settings)
    return settings


def copy_reports(folder: Path) -> None:
    """The project's definitions and notebooks, so that the folder is a project of its own."""
    (folder / ".env").touch()
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    (folder / "reports").mkdir()
    for path in (ROOT / "reports").glob("*.toml"):
        shutil.copy(path, folder / "reports")


def write_hostile_branch(folder: Path) -> None:
    """Till files of a branch and of products whose names are SQL, HTML and mathematics."""
    for back in range(DAYS):
        on = LAST_DAY - timedelta(days=back)
        with (folder / f"hostile_{on:%d-%m-%Y}_09-00-00.csv").open("w", newline="") as stream:
            rows = csv.writer(stream)
            for hour in range(9, 17):
                items = f"Regular {SCRIPT} - 2.50, Large {DOLLARS} - 3.00"
                moment = f"{on:%d/%m/%Y} {hour:02d}:00"
                rows.writerow([moment, SQL_BRANCH, "A Customer", items, "5.5", "CASH", ""])


@dataclass(frozen=True)
class Reported:
    """A project whose reports were made: where it is, its settings and each run by page name."""

    folder: Path
    settings: Settings
    runs: dict[str, ReportRun]

    def page(self, name: str) -> Path:
        """The page of that name, such as `leeds`."""
        page = self.runs[name].page
        assert page is not None, self.runs[name].error
        return page

    def text(self, name: str) -> str:
        """The HTML of the page of that name."""
        return self.page(name).read_text(encoding="utf-8")


def report_everything(folder: Path) -> Reported:
    """A project in the folder, with the company's, two branches' and the quality report made."""
    settings = make_project(folder)
    with contextlib.chdir(folder):
        names = ["company_trends", "data_quality", "branch_trends"]
        runs = run_report(settings, names, branches=["Leeds", SQL_BRANCH_KEPT], workers=2)
    return Reported(folder, settings, {run.page.stem: run for run in runs if run.page})
