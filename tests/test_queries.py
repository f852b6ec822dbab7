"""Named SQL files: parameters, binding, and the rules that make them portable."""

import re

import pandas as pd
import pytest
import sqlglot
from sqlglot import exp

from brewtopia_lib.errors import ParameterError, WarehouseError
from brewtopia_lib.queries import Query, load_query, query_names, run_query
from brewtopia_lib.warehouse.parameters import duckdb_parameters, parameter_names

FORBIDDEN = (
    "::",
    "~",
    "pivot",
    "listagg",
    "string_agg",
    "to_char",
    "dateadd",
    "datediff",
    "qualify",
    "generate_series",
    "filter (",
    "group by all",
    "exclude",
    "isodow",
    "array",
)


def code(sql: str) -> str:
    """The SQL in lower case without comments and string literals."""
    return re.sub(r"--[^\n]*|'(?:[^']|'')*'", "", sql).lower()


def grain(sql: str) -> list[str]:
    """The key columns that the first comment states; none for a single row."""
    first = sql.splitlines()[0]
    stated = re.fullmatch(r"-- one row(?: per (?P<keys>\w+(?:, \w+)*))?", first)
    assert stated, f"the first comment does not state the grain: {first}"
    return stated["keys"].split(", ") if stated["keys"] else []


class Recorder:
    """A warehouse that keeps what it is asked."""

    def query(self, sql, parameters=None):
        self.asked = (sql, parameters)
        return pd.DataFrame({"answer": [42]})


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("select 1", ()),
        ("select :a, :b, :a", ("a", "b")),
        ("select cast(:until as date) - 7*:weeks", ("until", "weeks")),
        ("select x::date, :day::date, '1'::int", ("day",)),
        ("select ':no', 'it''s :no', :yes", ("yes",)),
        ('select ":no" from t where a=:yes', ("yes",)),
        ("select 1 -- :no, it's\n, :yes", ("yes",)),
        ("select /* :no 'open\n :no */ :yes", ("yes",)),
        ("select '12:30', time '12:30', a[1:2], :_x1", ("_x1",)),
        ("select '-- :no', :yes -- '", ("yes",)),
    ],
)
def test_parameters_are_found(sql, names):
    """Casts, literals, quoted names and comments are not mistaken for parameters."""
    assert parameter_names(sql) == names


def test_duckdb_parameters():
    """Only parameters change when SQL is rewritten for DuckDB."""
    sql = "select :a::date, ':a', \":a\" -- :a\nfrom t where b = :a and c = :b_2"
    rewritten = "select $a::date, ':a', \":a\" -- :a\nfrom t where b = $a and c = $b_2"
    assert duckdb_parameters(sql) == rewritten


def test_binding_names_what_is_missing():
    """A missing value is an error that names it and the query."""
    query = Query("daily", "select :until, :weeks", ("until", "weeks"))
    with pytest.raises(ParameterError, match="'daily' lacks a value for weeks"):
        query.bind({"until": 1})


def test_binding_names_what_is_surplus():
    """A value the query does not take is an error that names it."""
    query = Query("branches", "select 1", ())
    with pytest.raises(ParameterError, match="does not take brnach.*no parameters"):
        query.bind({"brnach": "Leeds"})


def test_binding_keeps_nulls():
    """A value of None is a value: it binds null."""
    assert Query("q", "select :branch", ("branch",)).bind({"branch": None}) == {"branch": None}


def test_unknown_query_names_the_nearest():
    """Asking for a query that does not exist names the one that was probably meant."""
    with pytest.raises(WarehouseError, match="no query 'dayly'.*daily"):
        load_query("dayly")


def test_run_query_binds_and_asks():
    """A query goes to the warehouse as its file says, with its values beside it, not in it."""
    warehouse = Recorder()
    evil = "'; drop table orders; --"
    frame = run_query(warehouse, "tender_mix", until="2024-06-30", weeks=4, branch=evil)
    sql, parameters = warehouse.asked
    assert evil not in sql
    assert parameters == {"until": "2024-06-30", "weeks": 4, "branch": evil}
    assert frame["answer"].tolist() == [42]


@pytest.mark.parametrize("name", query_names())
class TestEverySqlFile:
    """What holds for each SQL file."""

    def test_parses_as_redshift(self, name):
        """It is one select that the redshift dialect parses."""
        statements = sqlglot.parse(load_query(name).sql, dialect="redshift")
        assert [type(s) for s in statements] == [exp.Select]

    def test_uses_the_portable_subset(self, name):
        """It avoids what the two engines do differently, and upper-case keywords."""
        sql = load_query(name).sql
        text = code(sql)
        assert [word for word in FORBIDDEN if word in text] == []
        assert re.search(r"\b(SELECT|FROM|WHERE|GROUP|ORDER|JOIN)\b", sql) is None
        unstated = re.findall(r"\b(?:asc|desc)\b(?! nulls (?:first|last))", text)
        assert not unstated, "asc and desc say where nulls go"

    def test_divides_only_doubles(self, name):
        """Every division starts from a cast to double precision: none is cut to an integer."""
        tree = sqlglot.parse_one(load_query(name).sql, dialect="redshift")
        for division in tree.find_all(exp.Div):
            operands = division.this.find_all(exp.Cast)
            assert any(cast.to.this == exp.DType.DOUBLE for cast in operands), division.sql()

    def test_states_its_grain_and_orders_by_it(self, name):
        """Its first comment states the grain, and the final order leaves no ties within it."""
        sql = load_query(name).sql
        keys = grain(sql)
        tree = sqlglot.parse_one(sql, dialect="redshift")
        assert re.search(r"\nselect \* from final\b[^()]*", sql)
        if keys:
            ordered = {column.name for column in tree.args["order"].find_all(exp.Column)}
            assert set(keys) <= ordered

    def test_casts_its_parameters(self, name):
        """Each parameter stands in a cast, so that both engines know its type."""
        sql = load_query(name).sql
        text = code(sql)
        for parameter in load_query(name).parameters:
            casts = re.findall(rf"cast\(:{parameter} as \w+\)", text)
            assert len(casts) == len(re.findall(rf":{parameter}\b", text))
