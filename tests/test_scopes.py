"""What a report is about: periods in words, what history allows, and what is refused."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime

import duckdb
import pandas as pd
import pytest

from brewtopia_lib.errors import ParameterError, WarehouseError
from brewtopia_lib.pages.scopes import Scope, find_scope

SCOPE = Scope(
    until=date(2024, 6, 30),
    weeks=4,
    branch=None,
    first_day=date(2024, 1, 1),
    last_day=date(2024, 6, 30),
    loaded_at=datetime(2024, 7, 1, 6, 15),
)


class FewTables:
    """A warehouse of two tables, as far as scopes look at them."""

    def __init__(self, sales: dict[str, list[str]]) -> None:
        self.connection = duckdb.connect()
        self.connection.execute(
            "create table orders (branch varchar, sold_on date, total decimal(12, 2),"
            " line_count integer);"
            "create table rejects (reason varchar, total decimal(12, 2));"
            "create table loads (loaded_at timestamp, is_current boolean);"
            "insert into loads values ('2024-07-01 06:15', true)"
        )
        for branch, days in sales.items():
            for day in days:
                self.connection.execute("insert into orders values (?, ?, 5, 2)", [branch, day])

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        return self.connection.execute(sql, parameters).df()


@pytest.fixture
def warehouse() -> FewTables:
    return FewTables({"Leeds": ["2024-05-06", "2024-06-30"], "Hull": ["2024-06-16", "2024-06-20"]})


def test_a_scope_is_the_last_weeks_unless_asked_otherwise(warehouse: FewTables) -> None:
    """Without anything asked, the period ends on the last day with sales, and knows its load."""
    scope = find_scope(warehouse)
    assert (scope.first, scope.until) == (date(2024, 6, 3), date(2024, 6, 30))
    assert scope.has_before
    assert scope.loaded_at == datetime(2024, 7, 1, 6, 15)
    assert find_scope(warehouse, until="2024-06-23").until == date(2024, 6, 23)


def test_a_branch_has_its_own_history(warehouse: FewTables) -> None:
    """What can be compared for a branch depends on its own first day, not on the chain's."""
    scope = find_scope(warehouse, branch="Hull")
    assert scope.first_day == date(2024, 6, 16)
    assert not scope.has_before


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"branch": "leds"}, "did you mean Leeds"),
        ({"branch": "Zzz"}, "there is Hull, Leeds"),
        ({"until": "30/06/2024"}, "2024-06-30"),
        ({"until": date(2024, 7, 1)}, "from 2024-05-06 to 2024-06-30"),
        ({"until": date(2024, 5, 5)}, "from 2024-05-06 to 2024-06-30"),
        ({"weeks": 0}, "1 to 104"),
        ({"weeks": 105}, "1 to 104"),
    ],
)
def test_what_cannot_be_is_refused(
    warehouse: FewTables, asked: dict[str, object], says: str
) -> None:
    """A branch, day or number of weeks that cannot be is refused, naming what can."""
    with pytest.raises(ParameterError) as refused:
        find_scope(warehouse, **asked)
    assert says in str(refused.value)


def test_an_empty_warehouse_says_what_to_do() -> None:
    """Where there are no sales at all, the error says how to get some."""
    rejected = FewTables({})
    with pytest.raises(
        WarehouseError, match="1 file loaded, but not one sale: `brewtopia quality`"
    ):
        find_scope(rejected)
    assert find_scope(rejected, needs_sales=False).until == date(2024, 7, 1)
    rejected.connection.execute("delete from loads")
    for needs_sales in (True, False):
        with pytest.raises(WarehouseError, match="brewtopia ingest"):
            find_scope(rejected, needs_sales=needs_sales)


def test_words() -> None:
    """Period and comparison read as a person would say them."""
    assert SCOPE.period == "4 weeks to Sun 30 June 2024"
    assert SCOPE.before == "the 4 weeks before"
    assert replace(SCOPE, weeks=1).before == "the week before"
    assert replace(SCOPE, first_day=date(2024, 6, 15)).period == "16 days to Sun 30 June 2024"
    assert SCOPE.shortfall is None


@pytest.mark.parametrize(
    ("first_day", "last_day", "says"),
    [
        (date(2024, 6, 15), date(2024, 6, 30), "16 days are too few to compare 4 weeks"),
        (date(2024, 6, 15), date(2024, 6, 30), "over 1 week could: add --weeks 1."),
        (date(2024, 6, 30), date(2024, 6, 30), "1 day is too few to compare"),
        (date(2024, 7, 1), date(2024, 7, 9), "after this period"),
        (date(2024, 1, 1), date(2024, 5, 1), "before this period"),
    ],
)
def test_short_history_is_admitted(first_day: date, last_day: date, says: str) -> None:
    """Where there is nothing to compare with, the scope says why, and what could be done."""
    scope = replace(SCOPE, first_day=first_day, last_day=last_day)
    assert says in str(scope.shortfall)


def test_all_weeks_known() -> None:
    """The weeks known reach over all the data, and never further than a report may look."""
    assert SCOPE.weeks_known == 26
    assert replace(SCOPE, first_day=date(2010, 1, 1)).weeks_known == 104
