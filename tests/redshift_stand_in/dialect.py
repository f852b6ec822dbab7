"""Redshift's SQL → PostgreSQL's, and an error for what Redshift does not have."""

import re

_STRINGS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_ATTRIBUTES = re.compile(
    r"\bdiststyle\s+(?:auto|even|all|key)\b|\b(?:compound\s+|interleaved\s+)?sortkey\s*\([^)]*\)"
    r"|\bsortkey\s+auto\b|\bdistkey\s*\([^)]*\)|\bdistkey\b|\bsortkey\b|\bencode\s+\w+"
    r"|\bbackup\s+(?:yes|no)\b",
    re.IGNORECASE,
)
# told to the planner, and never enforced
_KEYS = re.compile(
    r",\s*(?:primary\s+key|unique)\s*\([^)]*\)"
    r"|,\s*foreign\s+key\s*\([^)]*\)\s*references\s+\w+\s*(?:\([^)]*\))?"
    r"|\bprimary\s+key\b|\bunique\b|\breferences\s+\w+\s*(?:\([^)]*\))?",
    re.IGNORECASE,
)
_CREATE_TABLE = re.compile(r"create\s+(?:temp(?:orary)?\s+|local\s+)*table\b", re.IGNORECASE)
# one column of a table: Redshift counts bytes where PostgreSQL counts letters
_VARCHAR = re.compile(r"(\b\w+)\s+varchar\s*\(\s*(\d+)\s*\)", re.IGNORECASE)

# What PostgreSQL takes and Redshift does not, as its documentation says.
_ABSENT = {
    r"\bis\s+(?:not\s+)?distinct\s+from\b": "is distinct from",
    r"\bfilter\s*\(\s*where\b": "filter",
    r"\bdistinct\s+on\b": "distinct on",
    r"\blateral\b": "lateral",
    r"\bon\s+conflict\b": "on conflict",
    r"\breturning\b": "returning",
    r"\bcreate\s+(?:unique\s+)?index\b": "index",
    r"\bserial\b|\bbigserial\b": "serial",
    r"\bgenerate_series\s*\(": "generate_series",
    r"\bstring_agg\s*\(|\barray_agg\s*\(": "aggregates into one value",
    r"\bgrouping\s+sets\s*\(\s*\(\s*\)\s*\)": "empty grouping sets",
    r"\bsavepoint\b": "savepoint",
    r"\bgenerated\s+(?:always|by\s+default)\s+as\s+identity\b": "generated as identity",
    r"\bfrom\s*\(\s*values\b": "values as a table",
    r"\b(?:sum|avg|count|min|max)\s*\(\s*distinct\b[^()]*\)\s*over\b": "distinct window functions",
    r"\brange\s+between\b": "range frames",
    r"\bas\s+(?:not\s+)?materialized\b": "materialized CTEs",
}
_FETCH = re.compile(r"\s*fetch\s+forward\s+(?P<count>\d+|all)\b", re.IGNORECASE)
_FETCHED_OF_A_SINGLE_NODE = 1_000
_FRAMELESS = re.compile(
    r"\b(?:sum|avg|count|min|max)\s*\((?:[^()]|\([^()]*\))*\)\s*over\s*\((?P<window>[^()]*)\)",
    re.IGNORECASE,
)


class Unsupported(Exception):
    """Redshift would refuse this SQL."""


def to_postgres(sql: str) -> str:
    """The statement as PostgreSQL must hear it.

    Raises Unsupported naming what Redshift does not have.
    """
    bare = _STRINGS.sub(" '' ", sql)
    for pattern, name in _ABSENT.items():
        if re.search(pattern, bare, re.IGNORECASE):
            raise Unsupported(f"Redshift has no {name}")
    fetch = _FETCH.match(bare)
    if fetch and (fetch["count"] == "all" or int(fetch["count"]) > _FETCHED_OF_A_SINGLE_NODE):
        raise Unsupported("the fetch size exceeds the limit of 1000 for a single node")
    for match in _FRAMELESS.finditer(bare):
        window = match["window"].lower()
        if "order by" in window and "rows" not in window:
            raise Unsupported("an aggregate window function with order by needs a frame clause")
    if re.search(r"\bto\s+role\b|\bgrant\s+role\b", bare, re.IGNORECASE):
        return re.sub(r"\b(to|grant)\s+role\b", r"\1", sql, flags=re.IGNORECASE)
    if _CREATE_TABLE.search(bare):
        plain = _KEYS.sub("", _ATTRIBUTES.sub("", sql))
        return _VARCHAR.sub(r"\1 varchar(\2) check (octet_length(\1) <= \2)", plain)
    return sql
