"""What the pages of one batch have in common is asked of the warehouse once."""

import os
from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from brewtopia_lib import analyses, shared
from brewtopia_lib.queries import load_query

UNTIL = date(2024, 6, 30)


class Counting:
    """A warehouse that counts what it is asked, and of which a load makes another."""

    def __init__(self) -> None:
        self.loads = 1
        self.asked: Counter[str] = Counter()

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        if sql == load_query("tender_mix").sql:
            self.asked[f"{(parameters or {})['branch']}"] += 1
            return pd.DataFrame({"payment": ["CARD"], "orders": [self.loads]})
        return pd.DataFrame({"files": [self.loads], "loaded_at": [UNTIL]})

    def orders(self, branch: str | None = None) -> int:
        return int(analyses.tender_mix(self, until=UNTIL, branch=branch)["orders"].iloc[0])


@pytest.fixture
def warehouse() -> Counting:
    return Counting()


def test_the_pages_of_a_batch_ask_once(
    warehouse: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers of the chain are asked for once in a batch, those of a branch by each page."""
    monkeypatch.setitem(os.environ, shared.FOLDER, str(tmp_path))
    assert {warehouse.orders() for _ in range(3)} == {1}
    assert {warehouse.orders("Leeds") for _ in range(3)} == {1}
    assert warehouse.asked == {"None": 1, "Leeds": 3}


def test_new_data_are_asked_for_again(
    warehouse: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was computed before a load is not what a page is told after it."""
    monkeypatch.setitem(os.environ, shared.FOLDER, str(tmp_path))
    assert warehouse.orders() == 1
    warehouse.loads = 2
    assert warehouse.orders() == 2


def test_outside_of_a_batch_nothing_is_kept(warehouse: Counting) -> None:
    """Without a batch every question is asked."""
    assert [warehouse.orders() for _ in range(2)] == [1, 1]
    assert warehouse.asked == {"None": 2}
