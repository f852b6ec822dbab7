"""The `:name` parameters of a portable SQL text, which notebooks may write `$name`."""

import re
from collections.abc import Callable

# Everything in which a mark is not a parameter's comes first, so that it is consumed whole.
_TOKEN = re.compile(
    r"""
      '(?:[^']|'')*'            # string
    | "(?:[^"]|"")*"            # quoted name
    | --[^\n]*                  # comment to the end of the line
    | /\*.*?\*/                 # comment
    | ::                        # cast
    | (?<!\w)[:$](?P<name>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)


def parameter_names(sql: str) -> tuple[str, ...]:
    """The names written `:name` or `$name` in the SQL, each once, in the order they first appear.

    Casts (`::`), string literals, quoted names and comments are passed over.
    """
    found = (match["name"] for match in _TOKEN.finditer(sql))
    return tuple(dict.fromkeys(name for name in found if name))


def replace_parameters(sql: str, placeholder: Callable[[str], str]) -> str:
    """The SQL with each parameter replaced by what `placeholder(name)` returns."""

    def rewrite(match: re.Match[str]) -> str:
        name = match["name"]
        return placeholder(name) if name else match[0]

    return _TOKEN.sub(rewrite, sql)


def duckdb_parameters(sql: str) -> str:
    """The SQL with each parameter written `$name`, as DuckDB expects it."""
    return replace_parameters(sql, lambda name: f"${name}")
