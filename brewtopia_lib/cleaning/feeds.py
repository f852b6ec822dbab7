"""Till layouts, declared in TOML: which files a feed takes and what each column means.

A feed is an allow-list: a column it does not name is never read past the parser.
"""

import fnmatch
import hashlib
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from brewtopia_lib.cleaning.headers import folded_header, looks_like_header
from brewtopia_lib.cleaning.values import MAX_NAME_LENGTH, parse_branch
from brewtopia_lib.errors import FeedError

GUIDE = "docs/add-a-till.md"

ROLES = (
    "sold_at", "date", "time", "branch", "items", "product", "size", "flavour",
    "unit_price", "quantity", "line_total", "order", "total", "payment",
)  # fmt: skip


_TIME_LETTERS = frozenset("aAbBdfHIjmMpSyY%")

# What pydantic says in words of its own.
_PLAINLY = {
    "extra_forbidden": "is nothing that a feed has",
    "missing": "is missing",
    "string_pattern_mismatch": "may hold small letters, digits, - and _ only",
}

_OPTIONAL_ROLES = frozenset({"payment", "size", "flavour", "quantity", "total"})


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _is_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no pattern: {error}") from None
    return text


def _is_name(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty: say the name to keep, or leave the line out")
    return text.strip()


Pattern = Annotated[str, AfterValidator(_is_pattern)]
Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]
Kept = Annotated[str, Field(max_length=MAX_NAME_LENGTH), AfterValidator(_is_name)]
ColumnRef = Annotated[int, Field(strict=True, ge=1)] | Names


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileRule(_Table):
    """Which files a feed takes, and how their text is cut into fields."""

    name: str = "*"
    columns: int | None = Field(default=None, ge=1)
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', max_length=1)
    skip_lines: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.delimiter == self.quote or {self.delimiter, self.quote} & {"\n", "\r", "\0"}:
            raise ValueError("delimiter and quote must be two different marks, not line ends")
        return self


class TimestampRule(_Table):
    """Formats in strptime's letters; with date and time apart, "date time"."""

    formats: Annotated[Names, Field(min_length=1)] = (
        "%d/%m/%Y %H:%M",
        "%d/%m/%Y %H:%M:%S",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%dT%H:%M",
    )

    @property
    def swapped_formats(self) -> tuple[str, ...]:
        """The formats with day and month the other way round, where they stand side by side."""
        swapped = (re.sub(r"(%-?[dm])([^%]*)(%-?[dm])", r"\3\2\1", one) for one in self.formats)
        return tuple(one for one in swapped if one not in self.formats and not one.startswith("%Y"))

    @field_validator("formats")
    @classmethod
    def _readable(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for one in formats:
            letters = re.findall(r"%-?(.)?", one)
            if strange := [letter for letter in letters if letter not in _TIME_LETTERS]:
                raise ValueError(f"has %{strange[0]} in {one!r}, which no time is read with")
            found = set(letters)
            has_day = found & {"Y", "y"} and (
                found & {"m", "b", "B"} and "d" in found or "j" in found
            )
            if not has_day or ("I" in found) != ("p" in found):
                raise ValueError(f"needs a year, a month and a day in {one!r}, and %p beside %I")
        return formats


class MoneyRule(_Table):
    """How an amount in pounds is spelled."""

    decimal_mark: Literal[".", ","] = "."
    currency: Names = ("£", "GBP")


class BranchRule(_Table):
    """Where the branch stands when no column has it."""

    constant: str | None = None
    file_name: Pattern | None = None


class ItemsRule(_Table):
    """The item grammar: what separates items, and a pattern with named groups for one item."""

    separator: str | None = Field(default=None, min_length=1)
    pattern: Pattern


class Values(_Table):
    """Spellings of a value, mapped to the one that is kept."""

    branch: Mapping[str, Kept] = {}
    payment: Mapping[str, Kept] = {}
    product: Mapping[str, Kept] = {}
    size: Mapping[str, Kept] = {}
    flavour: Mapping[str, Kept] = {}


class Feed(_Table):
    """One till layout."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=MAX_NAME_LENGTH)
    description: str = ""
    before: Names = ()
    null: Names = ("N/A", "NA", "MISSING", "None", "NULL", "nan", "-")
    continuation: bool = False
    file: FileRule = FileRule()
    columns: Mapping[str, ColumnRef]
    timestamp: TimestampRule = TimestampRule()
    money: MoneyRule = MoneyRule()
    branch: BranchRule = BranchRule()
    items: ItemsRule | None = None
    values: Values = Values()

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        roles = set(self.columns)
        if unknown := roles - set(ROLES):
            raise ValueError(f"[columns] has no role {listed(unknown)}; roles: {', '.join(ROLES)}")
        kinds = {isinstance(ref, int) for ref in self.columns.values()}
        if len(kinds) > 1:
            raise ValueError("[columns] gives some columns by number and some by name: choose one")
        if kinds == {True} and self.file.columns is None:
            raise ValueError("[file] columns (how many there are) is needed for numbered columns")
        if kinds == {False} and self.file.columns is not None:
            raise ValueError("[file] columns goes with numbered columns, not with header names")
        if self.file.columns is not None:
            too_far = {r for r, c in self.columns.items() if isinstance(c, int) and c > self.width}
            if too_far:
                raise ValueError(f"[columns] {listed(too_far)} lies beyond column {self.width}")
        if not ("sold_at" in roles or {"date", "time"} <= roles):
            raise ValueError("[columns] needs sold_at, or date and time")
        if "sold_at" in roles and roles & {"date", "time"}:
            raise ValueError("[columns] has sold_at and also date or time: choose one")
        places = ("branch" in roles) + bool(self.branch.constant) + bool(self.branch.file_name)
        if places != 1:
            raise ValueError(
                "the branch comes from exactly one place: a column, [branch] constant, "
                "or [branch] file_name"
            )
        if self.branch.constant and parse_branch(self.branch.constant) is None:
            raise ValueError("[branch] constant is no name of a branch")
        if ("items" in roles) == ("product" in roles):
            raise ValueError("[columns] needs either items (one row per order) or product")
        if "items" in roles and self.items is None:
            raise ValueError("[items] with a pattern is needed for the items column")
        if "items" in roles and roles & {"order", "size", "flavour", "unit_price", "quantity"}:
            raise ValueError("[columns] items stands alone; use product for one row per line")
        if "product" in roles:
            groups = self.item_groups if self.items else frozenset()
            if "order" not in roles:
                raise ValueError("[columns] order (a transaction id) is needed beside product")
            if not ({"unit_price", "line_total"} & roles or {"price", "line_total"} & groups):
                raise ValueError("[columns] needs unit_price or line_total beside product")
        if self.continuation and "product" not in roles:
            raise ValueError("continuation goes with one row per line (product and order)")
        if self.items is not None:
            self._check_item_pattern("items" in roles)
        if (
            self.branch.file_name is not None
            and "branch" not in re.compile(self.branch.file_name).groupindex
        ):
            raise ValueError("[branch] file_name needs a group (?P<branch>…)")
        return self

    def _check_item_pattern(self, needs_price: bool) -> None:
        known = {"product", "size", "flavour", "price", "quantity", "line_total"}
        if unknown := self.item_groups - known:
            raise ValueError(f"[items] pattern has an unknown group {listed(unknown)}")
        if "product" not in self.item_groups:
            raise ValueError("[items] pattern needs a group (?P<product>…)")
        if needs_price and not self.item_groups & {"price", "line_total"}:
            raise ValueError("[items] pattern needs a group (?P<price>…) or (?P<line_total>…)")

    @property
    def width(self) -> int:
        """How many columns a headerless file has; 0 where columns go by name."""
        return self.file.columns or 0

    @property
    def per_line(self) -> bool:
        """Whether a row is an order line; otherwise a row is a whole order."""
        return "product" in self.columns

    @cached_property
    def item_pattern(self) -> re.Pattern[str] | None:
        return re.compile(self.items.pattern) if self.items else None

    @property
    def item_groups(self) -> frozenset[str]:
        return frozenset(self.item_pattern.groupindex) if self.item_pattern else frozenset()

    @cached_property
    def digest(self) -> str:
        """Changes whenever the declaration does, so that files are cleaned again."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    @cached_property
    def nulls(self) -> frozenset[str]:
        return frozenset({"", *(token.strip().casefold() for token in self.null)})

    def is_null(self, text: str) -> bool:
        """Whether a text says that there is no value."""
        return text.strip().casefold() in self.nulls

    def takes_name(self, file_name: str) -> bool:
        return self._name_pattern.fullmatch(file_name.casefold()) is not None

    @cached_property
    def _name_pattern(self) -> re.Pattern[str]:
        return re.compile(fnmatch.translate(self.file.name.casefold()))

    def branch_of(self, file_name: str) -> str | None:
        """The branch that every row of a file belongs to, where no column has it.

        Raises FeedError where the file's name should say it and does not.
        """
        if self.branch.constant is not None:
            return parse_branch(self.branch.constant, self.values.branch)
        if self.branch.file_name is None:
            return None
        match = re.search(self.branch.file_name, file_name)
        branch = parse_branch(match["branch"] or "", self.values.branch) if match else None
        if branch is None:
            raise FeedError(
                f"feed {self.name} takes the branch from the file's name, "
                f"which does not match {self.branch.file_name!r}: rename the file, or see {GUIDE}"
            )
        return branch

    def layout(self, sample: Sequence[Sequence[str]]) -> dict[str, int] | None:
        """Role → field index (from 0), if this feed can read a file that begins like that.

        Args:
            sample: the first rows of the file that are not blank, at least one.
        """
        if self.width:
            widths = Counter(len(row) for row in sample)
            if widths[self.width] < max(widths.values()) or looks_like_header(
                sample[0], self.nulls
            ):
                return None
            return {role: ref - 1 for role, ref in self.columns.items() if isinstance(ref, int)}
        places = self._places(sample[0])
        is_whole = len(set(places.values())) == len(places) and not self.lacks(sample[0])
        return places if is_whole else None

    def lacks(self, header: Sequence[str]) -> list[str]:
        """The roles that this feed must have and a header has no column for."""
        return sorted(set(self.columns) - _OPTIONAL_ROLES - set(self._places(header)))

    def _places(self, header: Sequence[str]) -> dict[str, int]:
        """Role → the first column of the name that comes first among the role's names."""
        cells = _folded(tuple(header))
        found = [
            (rank, role, cells[name]) for name in cells for rank, role in self._roles.get(name, ())
        ]
        return {role: place for _, role, place in sorted(found, reverse=True)}

    @cached_property
    def _roles(self) -> dict[str, list[tuple[int, str]]]:
        """A column's name → the roles that it may have, each with the name's rank among others."""
        roles: dict[str, list[tuple[int, str]]] = {}
        for role, names in self.columns.items():
            for rank, name in enumerate(names if isinstance(names, tuple) else ()):
                roles.setdefault(folded_header(name), []).append((rank, role))
        return roles


@lru_cache(maxsize=1)
def _folded(header: tuple[str, ...]) -> dict[str, int]:
    """The names of a header as they are compared, and where each stands first.

    Each feed asks for those of the same file.
    """
    places: dict[str, int] = {}
    for place, cell in enumerate(header):
        places.setdefault(folded_header(cell), place)
    return places


def load_feeds(folder: Path | None = None) -> tuple[Feed, ...]:
    """The built-in feeds, and those in `folder`, which may replace a built-in one by its name.

    Raises FeedError naming the file and the entry that is wrong.
    """
    built_in = resources.files("brewtopia_lib") / "feeds"
    feeds = _read_all((entry.name, entry.read_text("utf-8")) for entry in built_in.iterdir())
    if folder is not None:
        if not folder.is_dir():
            raise FeedError(f"BREWTOPIA_FEEDS names {folder}, which is not a folder; see {GUIDE}")
        feeds |= _read_all((str(path), _text(path)) for path in sorted(folder.glob("*.toml")))
    for feed in feeds.values():
        if feed.name in feed.before:
            raise FeedError(
                f"feed {feed.name}: before names the feed itself: name the one that it goes before; "
                f"see {GUIDE}"
            )
        if unknown := set(feed.before) - set(feeds):
            raise FeedError(
                f"feed {feed.name}: before names {listed(unknown)}, which is none of the feeds "
                f"{listed(feeds)}; see {GUIDE}"
            )
    return tuple(feeds[name] for name in sorted(feeds))


def parse_feed(text: str, name: str) -> Feed:
    """One feed from TOML text; `name` is for error messages."""
    try:
        return Feed.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise FeedError(f"feed {name} is not TOML: {error}; see {GUIDE}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        table, key = ([*first["loc"], "", ""])[:2]
        words = re.sub(r"^(Value error,|Input|String|Value) ", "", first["msg"])
        what = _PLAINLY.get(first["type"], words)
        if table == "columns" and key:
            what = "must be a column's number, from 1, or its header in quotes"
        place = " ".join(str(part) for part in ((f"[{table}]" if key else table), key) if part)
        raise FeedError(f"feed {name}: {place}{' ' if place else ''}{what}; see {GUIDE}") from None


def _read_all(files: Iterable[tuple[str, str]]) -> dict[str, Feed]:
    feeds: dict[str, Feed] = {}
    for name, text in files:
        if not name.endswith(".toml"):
            continue
        feed = parse_feed(text, name)
        if feed.name in feeds:
            raise FeedError(
                f"feed {name}: the name {feed.name!r} is taken by another feed here; see {GUIDE}"
            )
        feeds[feed.name] = feed
    return feeds


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise FeedError(f"feed {path} cannot be read: {error.strerror}; see {GUIDE}") from None
    except UnicodeDecodeError:
        raise FeedError(f"feed {path} is not UTF-8 text: save it as such; see {GUIDE}") from None


def listed(names: Iterable[str]) -> str:
    """Names in a sentence, in order."""
    return " and ".join(sorted(names))
