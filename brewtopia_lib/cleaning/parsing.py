"""Each distinct text of the `raw` table but items, parsed once, as tables of what the texts say."""

from duckdb import DuckDBPyConnection

from brewtopia_lib.cleaning.feeds import Feed
from brewtopia_lib.cleaning.tables import clean_sql, fill
from brewtopia_lib.cleaning.values import marks, parse_branch, parse_payment, parse_pence, pounds

_MARK_COLUMNS = "high bigint, low bigint"


def parse_values(connection: DuckDBPyConnection, feed: Feed) -> None:
    texts = "raw"
    if not feed.per_line:
        connection.execute(clean_sql("texts"))
        texts = "terms_texts"
    branches = [
        (text, name, *marks("branch", name))
        for text, name in _branches(connection, feed, _distinct(connection, texts, "branch"))
    ]
    fill(connection, "branches", f"text varchar, branch varchar, {_MARK_COLUMNS}", branches)
    payments = [
        (text, parse_payment(text, feed.values.payment))
        for text in _distinct(connection, texts, "payment")
    ]
    fill(
        connection, "payments", f"text varchar, payment varchar, {_MARK_COLUMNS}",
        [(text, payment, *marks("payment", payment)) for text, payment in payments],
    )  # fmt: skip
    connection.execute(clean_sql("names"))
    mark, currency = feed.money.decimal_mark, feed.money.currency
    totals = [
        (text, parse_pence(text, mark, currency)) for text in _distinct(connection, texts, "total")
    ]
    is_absent = "total" not in feed.columns
    fill(
        connection, "totals",
        f"text varchar, total decimal(12, 2), is_absent boolean, {_MARK_COLUMNS}",
        [(text, pounds(pence), is_absent, *marks("total", pence)) for text, pence in totals],
    )  # fmt: skip
    if feed.per_line:
        orders = [
            (text, text.strip())
            for text in _distinct(connection, "raw", "order")
            if not feed.is_null(text)
        ]
        fill(
            connection, "order_texts", f'text varchar, "order" varchar, {_MARK_COLUMNS}',
            [(text, order, *marks("order", order)) for text, order in orders],
        )  # fmt: skip


def _branches(
    connection: DuckDBPyConnection, feed: Feed, texts: list[str]
) -> list[tuple[str, str | None]]:
    """Each text and the branch it names; where no column has it, texts are numbers of objects."""
    if "branch" not in feed.columns:
        of_objects = dict(connection.execute("select object_no, branch from object").fetchall())
        return [(text, of_objects[int(text)]) for text in texts]
    return [
        (text, None if feed.is_null(text) else parse_branch(text, feed.values.branch))
        for text in texts
    ]


def _distinct(connection: DuckDBPyConnection, table: str, column: str) -> list[str]:
    found = connection.execute(f'select distinct "{column}" from {table}').fetchall()
    return [text for (text,) in found]
