"""A headline: what a frame says in one sentence."""

from dataclasses import dataclass
from typing import Any

from brewtopia_lib.formats import listed, number, percent

LEVEL = 0.01
"""A change below this fraction is called level."""
NEAR = 0.03
"""What is less than this fraction below the most is about as much."""


@dataclass(frozen=True)
class Headline:
    """What a frame says in one sentence, and the numbers behind it."""

    text: str
    numbers: str


def greatest(rows: list[dict[str, Any]], column: str) -> dict[str, Any]:
    """The row with the most in a column."""
    return max(rows, key=lambda row: number(row[column]) or 0.0)


def shares(rows: list[dict[str, Any]], label: str, share: str) -> str:
    """Each row's share in words, to stand behind a headline."""
    return listed([f"{row[label]} {percent(row[share] or 0)}" for row in rows]) + "."
