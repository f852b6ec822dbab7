"""A feed proposed for a till file of an unknown layout; nothing personal is ever shown of it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from brewtopia_lib.cleaning import Cleaned, clean
from brewtopia_lib.cleaning.feeds import GUIDE, Feed, FileRule, load_feeds, parse_feed
from brewtopia_lib.cleaning.headers import folded_header, looks_like_header, shown_header
from brewtopia_lib.cleaning.recognition import recognise
from brewtopia_lib.desk import column_roles as looks
from brewtopia_lib.errors import FeedError, SourceError
from brewtopia_lib.settings import load_settings
from brewtopia_lib.sources import Fetched, fetch, list_objects
from brewtopia_lib.sources.records import read_records

_DELIMITERS = ",;\t|"
_SAMPLE_ROWS = 400
_FROM_NAME = r"^(?P<branch>[A-Za-z]+(?:[ _-][A-Za-z]+)*)[ _-]\d"


@dataclass(frozen=True, repr=False)
class Proposal:
    """A feed for one file, as TOML whose comments say what it gives; `print` shows it all.

    Attributes:
        toml: the feed's text, or only comments where a feed takes the file already.
        cleaned: what the file becomes with it.
    """

    toml: str
    cleaned: Cleaned

    def __repr__(self) -> str:
        return self.toml


@dataclass(frozen=True)
class _Table:
    """The first rows of a file, cut by the mark that suits it."""

    delimiter: str
    header: Sequence[str] | None
    columns: Sequence[looks.Column]

    def name(self, place: int) -> str:
        return self.header[place] if self.header else str(place + 1)


def new_feed(file: str | Path, name: str | None = None) -> Proposal:
    """Look at a till file of an unknown layout, and propose the feed that would take it.

        print(bt.new_feed("example_new_till.csv"))

    `name` is the new feed's; by default it is made of the file's. What people's names, cards,
    addresses or numbers seem to be in stays out and is not shown. Raises SourceError where the
    file cannot be read, and FeedError where no feed can be told from it.
    """
    path = Path(file)
    objects, failures = list_objects("", [str(path) if str(file).strip() else ""])
    if not objects:
        message = failures[0][1] if failures else f"there is no till file in {path}: name one"
        raise SourceError(message, source=str(path))
    fetched = fetch(objects[0])
    feeds = load_feeds(load_settings().feeds)
    takers = [feed for feed in feeds if _takes(feed, fetched)]
    if len(takers) == 1:
        cleaned = clean(path, feeds=takers)
        if len(cleaned.rejects) <= len(cleaned.orders):
            said = f"# Feed {takers[0].name} takes {path.name}: it becomes {_becomes(cleaned)}\n"
            return Proposal(said, cleaned)
    table = _table(path.name, fetched)
    roles, mark, forms = _roles(table)
    toml = "".join(_toml(name or _feed_name(path), path, table, roles, mark, forms))
    if takers:
        toml = toml.replace("\n", f"\nbefore = {json.dumps([one.name for one in takers])}\n", 1)
    cleaned = clean(path, feeds=[parse_feed(toml, "proposed").model_copy(update={"before": ()})])
    return Proposal("".join(_remarks(path, table, roles, cleaned)) + toml, cleaned)


def _takes(feed: Feed, fetched: Fetched) -> bool:
    try:
        return recognise(fetched, [feed], 1).feed is not None
    except FeedError:
        return False


def _table(name: str, fetched: Fetched) -> _Table:
    cuts = []
    for delimiter in _DELIMITERS:
        with fetched.open() as stream:
            rows = [
                row.fields
                for row in islice(read_records(stream, delimiter, '"'), _SAMPLE_ROWS)
                if row.fields
            ]
        widths = [len(row) for row in rows]
        width = max(set(widths), key=widths.count, default=0)
        cuts.append((widths.count(width) * (width > 1), width, delimiter, rows))
    fitting, width, delimiter, rows = max(cuts, key=lambda cut: cut[:2])
    if fitting < 2:
        raise FeedError(f"{name} has no rows and columns that can be told apart; see {GUIDE}")
    rows = [row for row in rows if len(row) == width]
    header = rows.pop(0) if looks_like_header(rows[0]) else None
    if not rows:
        raise FeedError(f"{name} has a header and no rows: take a file with some sales")
    return _Table(delimiter, header, list(zip(*rows, strict=True)))


def _roles(table: _Table) -> tuple[dict[str, int], str, Sequence[str]]:
    """Role → column, the decimal mark and the time format; the file's names go before its looks."""
    named: dict[str, int] = {}
    for place, cell in enumerate(table.header or ()):
        role = looks.role_named(cell)
        if role is not None:
            named.setdefault(role, place)
    free = [
        place
        for place, column in enumerate(table.columns)
        if place not in named.values()
        and not looks.is_personal(table.header[place] if table.header else None, column)
    ]
    roles = {
        role: place
        for role, place in named.items()
        if not looks.is_personal(None, table.columns[place])
    }
    forms = _times(table, roles, free)
    mark = _money(table, roles, free)
    if "order" not in roles or "product" not in roles:
        for role in ("order", "product", "size", "flavour", "quantity", "unit_price", "line_total"):
            roles.pop(role, None)
        _items(table, roles, free, mark)
    else:
        roles.pop("items", None)
    _take(roles, "payment", (p for p in free if looks.is_payment(table.columns[p])))
    taken = set(roles.values())
    few = [p for p in free if p not in taken and looks.may_be_branch(table.columns[p])]
    # a till's own name or number has a digit, a branch's seldom
    few.sort(
        key=lambda p: (any(map(str.isdigit, "".join(table.columns[p]))), len({*table.columns[p]}))
    )
    _take(roles, "branch", few)
    return roles, mark, forms


def _times(table: _Table, roles: dict[str, int], free: Sequence[int]) -> Sequence[str]:
    at = [roles.pop(role) for role in ("sold_at", "date") if role in roles]
    clock = roles.pop("time", None)
    for place in [*at, *free]:
        if form := looks.time_format(table.columns[place]):
            roles["sold_at"] = place
            return [form]
    days = [(p, form) for p in [*at, *free] if (form := looks.day_format(table.columns[p]))]
    hours = [*([clock] if clock is not None else []), *free]
    times = [(p, form) for p in hours if (form := looks.clock_format(table.columns[p]))]
    if not (days and times):
        raise FeedError(f"no column holds days and times in a form that is known; see {GUIDE}")
    roles["date"], roles["time"] = days[0][0], times[0][0]
    return [f"{days[0][1]} {times[0][1]}"]


def _money(table: _Table, roles: dict[str, int], free: Sequence[int]) -> str:
    amounts = [roles[role] for role in ("total", "unit_price", "line_total") if role in roles]
    taken = set(roles.values())
    for place in [*amounts, *(p for p in reversed(free) if p not in taken)]:
        mark = looks.decimal_mark(table.columns[place])
        if mark and (place in amounts or any(m in "".join(table.columns[place]) for m in ".,")):
            if not amounts:
                roles["total"] = place
            return mark
    return "."


def _items(table: _Table, roles: dict[str, int], free: Sequence[int], mark: str) -> None:
    taken = set(roles.values()) - {roles.get("items")}
    places = [roles["items"]] if "items" in roles else [p for p in free if p not in taken]
    best = max(((looks.item_grammar(table.columns[p], mark)[0], p) for p in places), default=None)
    if best is None or best[0] < 0.3:
        raise FeedError(
            "no column holds items with their prices, nor are there columns for receipt and product "
            f"by name: write the feed by hand, see {GUIDE}"
        )
    roles["items"] = best[1]


def _take(roles: dict[str, int], role: str, places: Iterator[int] | Sequence[int]) -> None:
    taken = set(roles.values())
    place = next((p for p in places if p not in taken), None)
    if role not in roles and place is not None:
        roles[role] = place


def _toml(
    name: str, path: Path, table: _Table, roles: Mapping[str, int], mark: str, forms: Sequence[str]
) -> Iterator[str]:
    rule = FileRule()
    yield f'name = "{name}"\n'
    file = {"delimiter": table.delimiter} if table.delimiter != rule.delimiter else {}
    if table.header is None:
        pattern = json.dumps(re.sub(r"\d+", "*", path.name), ensure_ascii=False)
        yield f"\n[file]\nname = {pattern}\ncolumns = {len(table.columns)}\n"
    elif file:
        yield "\n[file]\n"
    for key, value in file.items():
        yield f"{key} = {json.dumps(value)}\n"
    yield "\n[columns]\n"
    for role, place in roles.items():
        given = json.dumps(table.name(place).strip(), ensure_ascii=False)
        yield f"{role} = {given if table.header else place + 1}\n"
    yield f"\n[timestamp]\nformats = {json.dumps(forms[0])}\n"
    if mark != ".":
        yield f'\n[money]\ndecimal_mark = "{mark}"\n'
    if "branch" not in roles:
        is_named = re.search(_FROM_NAME, path.name)
        given = f"file_name = '''{_FROM_NAME}'''" if is_named else 'constant = "Name of the branch"'
        yield f"\n[branch]\n{given}\n"
    if "items" in roles:
        _, separator, pattern = looks.item_grammar(table.columns[roles["items"]], mark)
        yield f"\n[items]\nseparator = {json.dumps(separator)}\npattern = '''{pattern}'''\n"
    if "payment" in roles:
        # only spellings that are known are shown: who knows what else stands there
        found = {text.strip().casefold(): text.strip() for text in table.columns[roles["payment"]]}
        known = [
            (found[spelling], kept)
            for kept, spellings in looks.PAID.items()
            for spelling in spellings
            if spelling in found and spelling != kept.casefold()
        ]
        if known:
            yield "\n[values.payment]\n"
            yield from (
                f"{json.dumps(spelling)} = {json.dumps(kept)}\n" for spelling, kept in known
            )


def _remarks(
    path: Path, table: _Table, roles: Mapping[str, int], cleaned: Cleaned
) -> Iterator[str]:
    yield f"# Proposed from {path.name}: read it through, then put it into the folder of feeds.\n"
    yield f"# With it the file becomes {_becomes(cleaned)}\n"
    out = [_shown(table, p) for p in range(len(table.columns)) if p not in roles.values()]
    yield f"# Columns that stay out, never read past the parser: {', '.join(out) or 'none'}\n"
    if "branch" not in roles:
        yield "# No column could be told to hold branches: check [branch].\n"
    elif table.header is None:
        yield "# Make sure that the column of the branch holds no customers.\n"


def _becomes(cleaned: Cleaned) -> str:
    """What comes of a file, without a value of any column but the names of products."""
    products = [str(name) for name in cleaned.sales["product"].value_counts().index[:5]]
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in cleaned.reasons.items())
    return (
        f"{len(cleaned.orders):,} orders of {len(cleaned.sales):,} lines"
        + (f" ({', '.join(products)})" if products else "")
        + f"; {len(cleaned.rejects):,} rows rejected"
        + (f": {reasons}" if reasons else "")
    )


def _shown(table: _Table, place: int) -> str:
    """A column that stays out: its number, and its name where that is made of header words."""
    if table.header is None:
        return str(place + 1)
    name = shown_header([table.header[place], "date", "time"]).removeprefix("the header ")
    return f"{place + 1} ({name.split(',')[0]})"


def _feed_name(path: Path) -> str:
    name = re.sub(r"[^a-z]+", "-", folded_header(path.stem)).strip("-")
    return name or "new-till"
