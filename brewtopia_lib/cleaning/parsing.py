"""Each distinct text of the `raw` table but items, parsed once, as tables of what the texts say."""

from duckdb import DuckDBPyConnection

from brewtopia_lib.cleaning.feeds import Feed
from brewtopia_lib.cleaning.tables import clean_sql, fill
from brewtopia_lib.cleaning.values import marks, parse_branch, parse_payment, parse_pence, pounds

_MARK_COLUMNS = "high bigint, low bigint"


def parse_values(connection: DuckDBPyConnection, feed: Feed) -> None:
    connection.execute(clean_sql("texts"))
    given = connection.execute(
        "select object_no, text, branch from branch_texts join object using (object_no)"
    ).fetchall()
    branches = [
        (object_no, text, name, *marks("branch", name))
        for object_no, text, constant in given
        for name in [constant or _branch(text, feed)]
    ]
    fill(
        connection, "branches",
        f"object_no integer, text varchar, branch varchar, {_MARK_COLUMNS}", branches,
    )  # fmt: skip
    payments = [
        (text, parse_payment(text, feed.values.payment))
        for text in _distinct(connection, "tender_texts", "payment")
    ]
    fill(
        connection, "payments", f"text varchar, payment varchar, {_MARK_COLUMNS}",
        [(text, payment, *marks("payment", payment)) for text, payment in payments],
    )  # fmt: skip
    connection.execute(clean_sql("names"))
    mark, currency = feed.money.decimal_mark, feed.money.currency
    totals = [
        (text, parse_pence(text, mark, currency))
        for text in _distinct(connection, "tender_texts", "total")
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


def _branch(text: str, feed: Feed) -> str | None:
    return None if feed.is_null(text) else parse_branch(text, feed.values.branch)


def _distinct(connection: DuckDBPyConnection, table: str, column: str) -> list[str]:
    found = connection.execute(f'select distinct "{column}" from {table}').fetchall()
    return [text for (text,) in found]
