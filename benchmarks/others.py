"""The same work with other tools, as well as it can be done with them."""

from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import duckdb
import pandas as pd

from benchmarks.data import COLUMNS, KEPT

_ITEM = (
    r"^(?:(?P<size>Small|Medium|Regular|Large) )?(?P<product>.*?)"
    r"(?: - (?P<flavour>[^-]*?))? - (?P<price>-?\d+(?:\.\d{1,2})?)$"
)


class Totals(NamedTuple):
    """What cleaning came to, to see that all did the same work; revenue in pounds."""

    orders: int
    lines: int
    revenue: Decimal


def copy_with_duckdb(files: Path | list[Path], parquet: Path) -> None:
    """CSV → Parquet, the kept columns as they stand, nothing cleaned: the floor."""
    listed = [str(file) for file in (files if isinstance(files, list) else [files])]
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select {', '.join(KEPT)} from read_csv($files, header = false,"
            " auto_detect = false, delim = ',', quote = '\"', columns = $columns))"
            f" to '{parquet}' (format parquet, compression zstd)",
            {"files": listed, "columns": dict.fromkeys(COLUMNS, "varchar")},
        )


def clean_with_pandas(file: Path, folder: Path, *, once_per_text: bool) -> Totals:
    """Vectorised pandas: orders, order lines and rejects as Parquet, as the lake holds them.

    With `once_per_text`, each distinct item text is parsed once: Brewtopia's own trick, which
    pandas code seldom uses.
    """
    raw = pd.read_csv(file, header=None, names=list(COLUMNS), dtype=str, engine="pyarrow")
    raw["is_copy"] = raw.duplicated()
    raw = raw.drop(columns=["customer", "card"])

    orders = pd.DataFrame(
        {
            "sold_at": pd.to_datetime(raw["sold_at"], format="%d/%m/%Y %H:%M", errors="coerce"),
            "branch": raw["branch"].str.strip().str.title(),
            "payment": raw["payment"].str.strip().str.upper(),
            "total": (pd.to_numeric(raw["total"], errors="coerce") * 100).round().astype("Int64"),
        }
    )
    orders["payment"] = orders["payment"].where(orders["payment"].isin(["CARD", "CASH"]), "UNKNOWN")

    texts = raw["items"].str.split(", ").explode()
    if once_per_text:
        codes, distinct = pd.factorize(texts)
        parsed = _parsed(pd.Series(distinct))
        lines = parsed.take(codes).set_axis(texts.index)
    else:
        lines = _parsed(texts)
    good_lines = lines["product"].notna() & lines["price"].notna()
    is_bad = (~good_lines).groupby(level=0).any()
    orders["lines_total"] = lines["price"].groupby(level=0).sum()
    orders["total_matches"] = orders["lines_total"] == orders["total"]

    reason = pd.Series(pd.NA, index=raw.index, dtype="str")
    reason[is_bad] = "bad_items"
    reason[orders["branch"].isna()] = "no_branch"
    reason[orders["sold_at"].isna()] = "bad_timestamp"
    reason[raw["is_copy"]] = "duplicate_row"
    rejects = pd.DataFrame({"line_number": raw.index + 1, "reason": reason}).dropna()
    orders = orders[reason.isna()]

    content = orders.assign(items=raw["items"])[["sold_at", "branch", "total", "payment", "items"]]
    content["ordinal"] = content.groupby(list(content.columns), dropna=False).cumcount()
    for half in ("left", "right"):  # 2 × 64 bits, so that no two orders become one
        orders[f"order_id_{half}"] = pd.util.hash_pandas_object(
            content, index=False, hash_key=f"{half:-<16}"
        )
    lines = lines[lines.index.isin(orders.index)]
    lines["line_no"] = lines.groupby(level=0).cumcount() + 1

    folder.mkdir()
    orders.to_parquet(folder / "orders.parquet", compression="zstd")
    lines.to_parquet(folder / "lines.parquet", compression="zstd")
    rejects.to_parquet(folder / "rejects.parquet", compression="zstd")
    return Totals(len(orders), len(lines), Decimal(int(orders["total"].sum())).scaleb(-2))


def _parsed(texts: "pd.Series[str]") -> pd.DataFrame:
    lines = texts.str.extract(_ITEM)
    lines["price"] = (pd.to_numeric(lines["price"], errors="coerce") * 100).round().astype("Int64")
    return lines
