"""Whether anything personal of the real till files stands in a text."""

import csv
import io
import re
from collections.abc import Iterable
from functools import cached_property
from itertools import pairwise
from pathlib import Path


class Personal:
    """The customers' names and card numbers of a folder of headerless till files."""

    def __init__(self, folder: Path) -> None:
        self.rows = [
            row
            for file in sorted(folder.glob("*.csv"))
            for row in csv.reader(io.StringIO(file.read_text("utf-8"), newline=""))
            if row
        ]

    @cached_property
    def cards(self) -> set[str]:
        return {row[6].strip() for row in self.rows if row[6].strip()}

    @cached_property
    def names(self) -> set[str]:
        """Each customer's first and last name together, and each last name that is no other word."""
        names = {row[2].strip() for row in self.rows}
        public = _words_and_pairs("\n".join({f"{row[1]} {row[3]}" for row in self.rows}))
        lasts = {name.split()[-1] for name in names}
        found = {" ".join(name.split()[-2:]) for name in names}
        return (found | {last for last in lasts if len(last) >= 5}) - public

    def assert_absent(self, texts: Iterable[str]) -> None:
        """No name and no card number stands in any of the texts."""
        assert len(self.names) > 10_000
        assert len(self.cards) > 10_000
        for text in texts:
            assert not self.names & _words_and_pairs(text)
            assert not self.cards & set(re.findall(r"\d{8,}", text))


def _words_and_pairs(text: str) -> set[str]:
    """Each word of a text, and each two that follow one another."""
    words = re.findall(r"[^\W\d_][\w'-]*", text)
    return {*words, *map(" ".join, pairwise(words))}
