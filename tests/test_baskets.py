"""Baskets: however they are sampled and cut, the same orders and lines come out."""

from pathlib import Path

import pytest
from test_reading import mixed_files, told
from tried import Tried, check, row, try_files

from brewtopia_lib.cleaning import baskets


def try_baskets(folder: Path) -> Tried:
    """Items that many baskets have or a single one, good, bad, and with the separator in a name."""
    many = [row(number, items="Latte - 2.15, Tea - 1.60", total="3.75") for number in range(9)]
    few = [
        row(10 + number, items=items, total=total)
        for number, (items, total) in enumerate(
            [
                ("Ham, cheese and rye - 4.20, Tea - 1.60", "5.80"),
                ("Ham, cheese and rye - 4.20, Tea - 1.60", "9.99"),
                ("Tea - 1.60, Latte", "3.75"),
                ("Latte - 1.605, Tea", "1.60"),
                ("Tea - 1.60, Tea - 1.60, Bun - 1.00", "4.20"),
                ("Bun - 1.00, Tea - 1.60, Tea - 1.60", "4.20"),
                ("Scone - 2.00", "2.00"),
            ]
        )
    ]
    return try_files(folder, {**mixed_files(), "9 baskets.csv": "".join(many + few)})


@pytest.mark.parametrize(("sampled", "at_once"), [(1, 1_000), (1, 1), (2, 3)])
def test_however_baskets_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampled: int, at_once: int
) -> None:
    """Items that the sample lacks are found, and the baskets cut together do not matter."""
    wanted = try_baskets(tmp_path / "wanted")
    monkeypatch.setattr(baskets, "_SAMPLED", sampled)
    monkeypatch.setattr(baskets, "_AT_ONCE", at_once)
    tried = try_baskets(tmp_path / "tried")
    check(tried)
    assert told(tried) == told(wanted)
    assert tried.reasons("9 baskets.csv") == [
        (11, "bad_items"), (12, "bad_items"), (13, "bad_price"),
    ]  # fmt: skip


def test_ids_stay_as_they_are(tmp_path: Path) -> None:
    """An order keeps its id from one version of the library to the next."""
    tried = try_files(
        tmp_path, {"a.csv": row(items="Large Latte - 2.45, Tea - 1.60", total="4.05")}
    )
    [(order,)] = tried.rows("select order_id from orders where branch = 'Leeds'")
    assert order == "2cdfda9161c4cab308993905eefa8db9"
