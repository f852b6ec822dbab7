"""Feeds proposed for layouts nobody has seen: they clean the file, and name nobody."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brewtopia_lib.cleaning import clean
from brewtopia_lib.cleaning.feeds import load_feeds, parse_feed
from brewtopia_lib.cli import main
from brewtopia_lib.desk.proposals import new_feed
from brewtopia_lib.errors import BrewtopiaError, FeedError, SourceError, UsageError

NAME, CARD = "Quackenbush", "4929123412345678"
ITEMS = [("Latte", "Large", 245), ("Tea", "Regular", 130), ("Flat white", "Regular", 215)]


def pounds(pence: int, mark: str = ".") -> str:
    return f"{pence // 100}{mark}{pence % 100:02}"


def file_of(
    header: str,
    row: Callable[[int, str, str, str], str],
    item: str,
    separator: str,
    mark: str = ".",
) -> tuple[str, int]:
    """Thirty orders of two items each, written by `row`, and their pence together."""
    lines, sum_ = [header] if header else [], 0
    for number in range(30):
        two = (ITEMS[number % 3], ITEMS[(number + 1) % 3])
        texts = [item.format(p=p, s=s, m=pounds(pence, mark)) for p, s, pence in two]
        total = sum(pence for *_, pence in two)
        sum_ += total
        customer = f"{NAME} the {number}th"
        lines.append(row(number, customer, separator.join(texts), pounds(total, mark)))
    return "\n".join(lines) + "\n", sum_


LAYOUTS = {
    "semicolons.csv": file_of(
        "Date;Time;Site;Guest;Card No;Items;Total;Paid",
        lambda n, who, items, total: (
            f"25/08/2021;09:{n:02};Leeds;{who};{CARD};{items};{total};Visa"
        ),
        "{p} ({s}) {m}",
        " | ",
        ",",
    ),
    "till4_1.csv": file_of(
        "",
        lambda n, who, items, total: f"till 4,{who},Leeds,{items},{total},C,2021-08-25 09:{n:02}",
        "{m} {s} {p}",
        "; ",
    ),
    "tabs.tsv": file_of(
        "Receipt No\tSold at\tShop\tCustomer e-mail\tBasket\tAmount\tTender",
        lambda n, who, items, total: (
            f"{n}\t2021-08-25 09:{n:02}:00\tLeeds\t{NAME}{n}@example.org\t{items}\t{total}\tcash"
        ),
        "1x {s} {p} @ {m}",
        " / ",
    ),
    "leeds_2021.csv": file_of(
        "When,Who,What was bought,Sum",
        lambda n, who, items, total: f'08/25/2021 09:{n:02} AM,{who},"{items}",£{total}',
        "{s} {p} - {m}",
        ", ",
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_proposal_takes_its_file(name: str, tmp_path: Path) -> None:
    """The feed proposed is one that, beside the others, takes every row of the file, to the penny
    and the product."""
    text, pence = LAYOUTS[name]
    path = tmp_path / name
    path.write_text(text)
    toml = new_feed(path).toml
    cleaned = clean(path, feeds=[*load_feeds(), parse_feed(toml, "proposed")])
    assert len(cleaned.orders) == 30
    assert cleaned.rejects.empty
    assert cleaned.orders["branch"].unique().tolist() == ["Leeds"]
    assert cleaned.orders["total_matches"].all()
    assert round(cleaned.sales["line_total"].sum() * 100) == pence
    sold = set(zip(cleaned.sales["product"], cleaned.sales["size"], strict=True))
    assert sold == {(product, size) for product, size, _ in ITEMS}
    assert "30 orders of 60 lines (" in toml


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_proposal_names_nobody(name: str, tmp_path: Path) -> None:
    """What is printed of a file holds no customer and no card, and the columns they are in stay
    out."""
    path = tmp_path / name
    path.write_text(LAYOUTS[name][0])
    proposal = new_feed(path)
    shown = proposal.toml + repr(proposal) + str(proposal.cleaned) + proposal.cleaned._repr_html_()
    assert NAME not in shown
    assert CARD not in shown
    assert "Columns that stay out" in proposal.toml


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.permutations(["time", "branch", "who", "card", "items", "total", "paid"]),
    st.booleans(),
    st.sampled_from([1, 3, 12]),
    st.sampled_from([",", ";", "\t"]),
)
def test_whatever_the_columns_nobody_is_named(
    tmp_path_factory: pytest.TempPathFactory,
    order: list[str],
    is_same: bool,
    rows: int,
    delimiter: str,
) -> None:
    """Headerless, in any order of columns, with one customer or many: neither a feed, nor an error,
    nor what the file becomes on the screen names a customer."""
    path = tmp_path_factory.mktemp("till") / "till.csv"
    with path.open("w") as stream:
        for n in range(rows):
            cells = {
                "time": f"25/08/2021 09:{n:02}",
                "branch": "Leeds",
                "who": NAME if is_same else f"{NAME} {chr(97 + n)}",
                "card": CARD if n % 2 else "",
                "items": "Latte - 2.15",
                "total": "2.15",
                "paid": NAME if n == 2 else "Visa",
            }
            stream.write(delimiter.join(cells[name] for name in order) + "\n")
    try:
        shown = new_feed(path).toml
    except BrewtopiaError as error:
        shown = str(error)
    assert NAME not in shown
    assert CARD not in shown


def test_one_row_per_line(tmp_path: Path) -> None:
    """A file of order lines is told by the names of its columns."""
    path = tmp_path / "lines.csv"
    rows = [f"{n // 2},2021-08-25 09:00,Leeds,Item {n % 5},2,1.50,Card" for n in range(20)]
    path.write_text("\n".join(["Ticket,When,Site,What,Qty,Each,Paid by", *rows]))
    cleaned = new_feed(path).cleaned
    assert (len(cleaned.orders), len(cleaned.sales), len(cleaned.rejects)) == (10, 20, 0)
    assert set(cleaned.sales["quantity"]) == {2}


def test_what_a_feed_takes_already_needs_none(tmp_path: Path) -> None:
    """Where a feed takes the file, it says so and proposes none."""
    path = tmp_path / "a.csv"
    path.write_text('25/08/2021 09:00,Leeds,A,"Latte - 2.15",2.15,CARD,\n')
    toml = new_feed(path).toml
    assert "Feed seven-columns takes a.csv: it becomes 1 orders" in toml
    assert all(line.startswith("#") for line in toml.splitlines())


@pytest.mark.parametrize("text", ["", "one word\n", "a,b\n1,2\n", "Date,Time,Site,Items,Total\n"])
def test_no_feed_can_be_told(text: str, tmp_path: Path) -> None:
    """A file without sales that can be made out is one error that names the guide or the file."""
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(FeedError, match=r"a\.csv|add-a-till"):
        new_feed(path)


def test_no_file_to_look_at(tmp_path: Path) -> None:
    """A file that is not there, a folder without one, and an empty name are clear errors."""
    with pytest.raises(SourceError, match="nosuch.csv does not exist"):
        new_feed(tmp_path / "nosuch.csv")
    with pytest.raises(SourceError, match="there is no till file in"):
        new_feed(tmp_path)
    with pytest.raises(UsageError, match="is empty"):
        new_feed("")


def test_the_command_prints_a_feed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`new-feed` prints TOML that is a feed as it stands, under the name asked for."""
    path = tmp_path / "semicolons.csv"
    path.write_text(LAYOUTS[path.name][0])
    with pytest.raises(SystemExit) as ended:
        main(["new-feed", str(path), "--name", "harbour"])
    assert ended.value.code == 0
    assert parse_feed(capsys.readouterr().out, "printed").name == "harbour"
