"""Which one of the feeds takes a file that begins like this, or why none does."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from brewtopia_lib.cleaning.feeds import GUIDE, Feed, FileRule, listed
from brewtopia_lib.cleaning.headers import shown_header
from brewtopia_lib.errors import FeedError
from brewtopia_lib.sources.records import Record

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class Choice:
    """The feed that takes a file, where its roles stand, and the file's first rows."""

    feed: Feed
    layout: Mapping[str, int]
    sample: Sequence[Record]

    @property
    def width(self) -> int:
        return self.feed.width or len(self.sample[0].fields or ())

    @property
    def skip_lines(self) -> int:
        """Physical lines before the first row, the header's included."""
        return self.feed.file.skip_lines if self.feed.width else self.sample[0].line_number


def choose_feed(
    feeds: Sequence[Feed], file_name: str | None, sample: Callable[[FileRule], Sequence[Record]]
) -> Choice | None:
    """The one feed that takes a file; None where the file has no rows at all.

    Args:
        feeds: in any order; the choice does not depend on it.
        file_name: last part of the file's key; None where any name will do.
        sample: gives the file's first readable rows, cut by a feed's file rule.

    Raises:
        FeedError: no feed takes the file, or two do and neither says that it comes before.
    """
    samples = [(feed, sample(feed.file)) for feed in feeds]
    if not any(rows for _, rows in samples):
        return None
    fitting = [
        Choice(feed, layout, rows)
        for feed, rows in samples
        if rows and (layout := feed.layout([row.fields or () for row in rows])) is not None
    ]
    taking = [
        choice for choice in fitting if file_name is None or choice.feed.takes_name(file_name)
    ]
    if not taking:
        raise FeedError(
            f"no feed takes this file: it has {_shown(sample)}{_hint(samples, fitting)}; "
            f"{GUIDE} shows how to add a till"
        )
    beaten = {name for choice in taking for name in choice.feed.before}
    left = [choice for choice in taking if choice.feed.name not in beaten]
    if len(left) != 1:
        raise FeedError(
            f"two feeds take this file: {listed(choice.feed.name for choice in taking)}; let one "
            f'of them say before = ["…"] with the other\'s name, see {GUIDE}'
        )
    return left[0]


def _hint(samples: Iterable[tuple[Feed, Sequence[Record]]], fitting: Sequence[Choice]) -> str:
    """What would make a feed take a file that none takes, if one comes near it."""
    for choice in fitting:
        return (
            f" (feed {choice.feed.name} would, but for its [file] name {choice.feed.file.name!r})"
        )
    near = [
        (len(lacks), feed.name, lacks)
        for feed, rows in samples
        if rows and 0 < len(lacks := feed.lacks(rows[0].fields or ())) <= len(feed.columns) // 2
    ]
    if not near:
        return ""
    _, name, lacks = min(near)
    return f" (feed {name} finds no column for {', '.join(lacks)})"


def _shown(sample: Callable[[FileRule], Sequence[Record]]) -> str:
    """What an error tells of a file's first row, cut by the mark that gives most columns."""
    firsts = {
        name: rows[0].fields or ()
        for mark, name in _DELIMITERS.items()
        if (rows := sample(FileRule(delimiter=mark)))
    }
    name = max(firsts, key=lambda name: len(firsts[name]))
    shown = shown_header(firsts[name])
    return shown if name == "commas" else f"{shown}, with {name} between the columns"
