"""What every SQL file is asked with when two engines are compared."""

from datetime import date, timedelta

import pandas as pd

from brewtopia_lib import analyses
from brewtopia_lib.queries import load_query, run_query
from brewtopia_lib.warehouse import Warehouse


def answer(
    warehouse: Warehouse, name: str, until: date, weeks: int = 4, branch: str | None = None
) -> pd.DataFrame:
    """What a SQL file answers, as its analysis types it where it has one."""
    given = {
        "until": until,
        "weeks": weeks,
        "branch": branch,
        "limit": 5,
        "product": None,
        "first_day": until - timedelta(7 * weeks - 1),
        "recent_day": until - timedelta(6),
    }
    wanted = {key: given[key] for key in load_query(name).parameters}
    if hasattr(analyses, name):
        frame = getattr(analyses, name)(warehouse, **wanted)
    else:
        frame = run_query(warehouse, name, **wanted)
        frame = frame.astype(dict.fromkeys(frame.select_dtypes("number").columns, "float64"))
    return frame.drop(columns="loaded_at", errors="ignore")
