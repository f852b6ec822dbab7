"""Days by the week, counted back from the last; pure."""

from brewtopia_lib.findings.history import History
from brewtopia_lib.findings.significance import Floats

COMPARED_WEEKS = 8


def by_week(values: Floats) -> Floats:
    """Sums of seven days each along the last axis, the last of them ending on the last day."""
    weeks = values.shape[-1] // 7
    whole = values[..., values.shape[-1] - 7 * weeks :]
    sums: Floats = whole.reshape(*values.shape[:-1], weeks, 7).sum(axis=-1)
    return sums


def week_labels(history: History) -> list[str]:
    """The first day of each of those weeks."""
    return [str(day) for day in history.dates[len(history.dates) % 7 :: 7]]


def compared_weeks(history: History) -> int:
    """How many weeks back a growth is reckoned in pounds."""
    return min(COMPARED_WEEKS, len(history.dates) // 7)
