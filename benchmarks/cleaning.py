"""One large CSV to the lake, against DuckDB's plain copy of it and against pandas."""

import itertools
from pathlib import Path

from benchmarks.data import join_files, write_till_files
from benchmarks.measure import Figure, at_least, at_most, interleaved, ratio
from benchmarks.others import Totals, clean_with_pandas, copy_with_duckdb
from brewtopia_lib.ingest import clean_raw
from brewtopia_lib.settings import Settings


def run(folder: Path, *, real: bool, scale: float, rounds: int) -> list[Figure]:
    files = write_till_files(
        folder / "files", branches=18, days=max(1, round(156 * scale)), real=real
    )
    file = join_files(files, folder / "orders.csv")
    number = itertools.count()
    found: dict[str, Totals] = {}

    def ours() -> None:
        lake = folder / f"lake{next(number)}"
        made = clean_raw(Settings(raw=str(folder), lake=str(lake)), [str(file)])
        assert not made.failures, made.failures
        found["lake"] = Totals(made.orders, made.lines, made.revenue)

    def floor() -> None:
        copy_with_duckdb(file, folder / "floor.parquet")

    def pandas(name: str, *, once_per_text: bool) -> None:
        found[name] = clean_with_pandas(
            file, folder / f"pandas{next(number)}", once_per_text=once_per_text
        )

    ours_taken, floor_taken = interleaved(2 * rounds + 1, ours, floor)
    again, plain, once = interleaved(
        rounds,
        ours,
        lambda: pandas("pandas", once_per_text=False),
        lambda: pandas("pandas, each text once", once_per_text=True),
    )
    assert len(set(found.values())) == 1, found
    orders = found["lake"].orders
    slower, detail = ratio(once, again)
    return [
        at_most(
            f"{orders:,} orders in one CSV to the lake, against DuckDB's plain copy", 1.6, "×",
            *ratio(ours_taken, floor_taken),
        ),
        at_least("the same against vectorised pandas", 10, "×", *ratio(plain, again)),
        Figure(
            "the same against pandas that parses each distinct item once", "",
            f"{slower:.1f} × {detail}",
        ),
    ]  # fmt: skip
