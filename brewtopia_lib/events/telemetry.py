"""Structured logs and CloudWatch metrics, both as lines of JSON on stdout.

The metrics are in CloudWatch's embedded format: whatever brings the lines to CloudWatch Logs (a
Lambda does by itself, a container by its log driver) makes metrics of them. docs/events.md lists
them. Nothing here may hold what a till file holds, but for names of branches.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from brewtopia_lib import __version__
from brewtopia_lib.errors import BrewtopiaError
from brewtopia_lib.ingest import CleanSummary, LoadSummary
from brewtopia_lib.settings import Settings
from brewtopia_lib.warehouse import open_warehouse

NAMESPACE = "Brewtopia"

METRICS = {
    "FilesCleaned": "Count",
    "FilesSkipped": "Count",
    "FilesFailed": "Count",
    "Rows": "Count",
    "RowsRejected": "Count",
    "RowsRejectedByReason": "Count",
    "RevenueNotCounted": "None",
    "CleanSeconds": "Seconds",
    "FilesLoaded": "Count",
    "BranchDaysLoaded": "Count",
    "LoadSeconds": "Seconds",
    "DaysSinceLastSale": "None",
    "MessagesFailed": "Count",
    "BranchesLate": "Count",
    "FilesOverRejectLimit": "Count",
    "ReportsLate": "Count",
    "ReportsFailed": "Count",
    "MailsUnsent": "Count",
}
"""Name → unit. Names, units and dimensions are what dashboards and alarms rely on."""

_FRESHNESS_EVERY = timedelta(hours=1)


class Telemetry:
    """What one part (`worker`, `clean`, `load` or `status`) says of its work."""

    def __init__(self, part: Literal["worker", "clean", "load", "status"]) -> None:
        # takes a tenth of a second, which whoever only imports this should not wait for
        from aws_lambda_powertools import Logger

        self.part = part
        self._logger = Logger(service=f"brewtopia-{part}", location=None, utc=True)
        self._logger.append_keys(version=__version__)
        self._fresh_at: datetime | None = None

    def say(self, what: str, **facts: Any) -> None:
        """A line of the log."""
        self._logger.info(what, extra=facts)

    def complain(self, what: str, **facts: Any) -> None:
        """A line of the log about what went wrong."""
        self._logger.error(what, extra=facts)

    def cleaned(self, summary: CleanSummary) -> None:
        """What a run of cleaning came to."""
        facts = summary.to_json()
        self.say("cleaned", **{name: facts[name] for name in facts if name != "failed"})
        self.count(
            FilesCleaned=summary.objects,
            FilesSkipped=summary.objects_skipped,
            FilesFailed=len(summary.failures),
            Rows=summary.rows,
            RowsRejected=summary.rejected,
            RevenueNotCounted=float(summary.revenue_not_counted),
            CleanSeconds=summary.seconds,
        )
        for reason, rows in summary.rejected_by_reason.items():
            self.count({"reason": reason}, RowsRejectedByReason=rows)

    def loaded(self, summary: LoadSummary, settings: Settings) -> None:
        """What a load came to, and, at most once an hour, how fresh each branch is."""
        self.say("loaded", **summary.to_json())
        self.count(
            FilesLoaded=summary.objects,
            BranchDaysLoaded=summary.branch_days,
            LoadSeconds=summary.seconds,
        )
        now = datetime.now(UTC)
        if self._fresh_at is not None and now - self._fresh_at < _FRESHNESS_EVERY:
            return
        try:
            for branch, days in _days_since_last_sale(settings, now.date()).items():
                self.count({"branch": branch}, DaysSinceLastSale=days)
            self._fresh_at = now
        except BrewtopiaError as error:  # what was loaded is loaded
            self.complain("cannot tell how fresh the branches are", reason=str(error))

    def count(self, dimensions: Mapping[str, str] | None = None, **values: float) -> None:
        """Metrics of this part, by their names in METRICS."""
        from aws_lambda_powertools.metrics import EphemeralMetrics

        metrics = EphemeralMetrics(namespace=NAMESPACE, service=self.part)
        for dimension, label in (dimensions or {}).items():
            metrics.add_dimension(dimension, label)
        for name, value in values.items():
            metrics.add_metric(name, METRICS[name], value)
        metrics.flush_metrics()


def _days_since_last_sale(settings: Settings, today: date) -> dict[str, int]:
    with open_warehouse(settings.warehouse, settings.memory_limit) as warehouse:
        _, rows = warehouse.rows(
            "select branch, max(sold_on) as last_day from hourly_sales group by branch"
        )
    return {str(branch): (today - day).days for branch, day in rows if isinstance(day, date)}
