import csv
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from brewtopia_lib.errors import UsageError
from brewtopia_lib.sample import FAULTS, ODD_NAMES, SampleSummary, write_sample

KINDS = {
    "product_trend",
    "price_rise",
    "day_shift",
    "missing_day",
    "level_shift",
    "silent_product",
    "branch_trend",
    "unusual_day",
    "missed_product",
    "price_gap",
    "pair_gap",
    "opening_hours",
}


@dataclass
class Sample:
    """A written sample, its truth, and its orders (`o`) and lines (`l`) in DuckDB."""

    folder: Path
    summary: SampleSummary
    truth: dict[str, Any]
    database: duckdb.DuckDBPyConnection

    def planted(self, *kinds: str) -> list[dict[str, Any]]:
        return [plant for plant in self.truth["planted"] if plant["kind"] in kinds]

    def value(self, sql: str, *parameters: object) -> Any:
        row = self.database.execute(sql, list(parameters)).fetchone()
        assert row is not None
        return row[0]

    def alike(self, branch: str) -> list[str]:
        formats = {entry["branch"]: entry["format"] for entry in self.truth["branches"]}
        return [name for name in formats if formats[name] == formats[branch] and name != branch]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    folder = tmp_path_factory.mktemp("sample")
    truth = folder / "truth" / "truth.json"
    summary = write_sample(folder / "raw", branches=14, days=112, seed=3, truth=truth)
    with duckdb.connect() as database:
        database.execute(
            """
            create table o as
            select row_number() over () as id, strptime(time, '%d/%m/%Y %H:%M') as sold_at,
                sold_at::date as day, hour(sold_at) as hour,
                branch, items, total::decimal(12, 2) as total
            from read_csv(?, header = false, all_varchar = true, names =
                ['time', 'branch', 'customer', 'items', 'total', 'payment', 'card'])
            """,
            [str(folder / "raw" / "*.csv")],
        )
        database.execute(
            r"""
            create table l as
            select id, day, branch, total,
                regexp_extract(line, '^(Regular|Large) (.*) - ([0-9]+\.[0-9]{2})$', 1) as size,
                regexp_extract(line, '^(Regular|Large) (.*) - ([0-9]+\.[0-9]{2})$', 2) as product,
                regexp_extract(line, ' ([0-9]+\.[0-9]{2})$', 1)::decimal(12, 2) as price
            from (select * exclude items, unnest(string_split(items, ', ')) as line from o)
            """
        )
        yield Sample(
            folder / "raw", summary, json.loads(truth.read_text(encoding="utf-8")), database
        )


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """A clean sample, the same with faults, and the truth about the latter."""
    folder = tmp_path_factory.mktemp("faulty")
    truth_path = folder / "truth.json"
    write_sample(folder / "clean", branches=4, days=45)
    write_sample(folder / "faulty", branches=4, days=45, truth=truth_path, faults=True)
    truth = json.loads(truth_path.read_text(encoding="utf-8"))
    return folder / "clean", folder / "faulty", truth


def digest(folder: Path) -> str:
    sums = [
        f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(folder.iterdir())
    ]
    return "\n".join(sums)


def split_log_ratio(sample: Sample, plant: dict[str, Any]) -> float:
    """How units (or a branch's orders) changed from the first half to the second, as a log."""
    where, parameters = ["true"], []
    for column in ("branch", "product"):
        if plant[column] is not None:
            where.append(f"{column} = ?")
            parameters.append(plant[column])
    return float(
        sample.value(
            f"""
            select ln(count(*) filter (day >= date '2024-05-06') * 1.0
                    / count(*) filter (day < date '2024-05-06'))
            from {"l" if plant["product"] else "o"} where {" and ".join(where)}
            """,
            *parameters,
        )
    )


def orders_a_day(sample: Sample, branch: str, first: str, last: str, hours: str = "true") -> float:
    return float(
        sample.value(
            f"select count(*) filter ({hours}) * 1.0 / count(distinct day) from o "
            "where branch = ? and day between ?::date and ?::date",
            branch,
            first,
            last,
        )
    )


def change_against_others(sample: Sample, plant: dict[str, Any], hours: str = "true") -> float:
    """A branch's change in orders from the 28 days before a plant, less that of steady ones."""
    first = date.fromisoformat(plant["first_day"])
    before = (str(first - timedelta(days=28)), str(first - timedelta(days=1)))
    after = (plant["first_day"], plant["last_day"])
    unsteady = {p["branch"] for p in sample.planted("day_shift", "level_shift", "branch_trend")}
    steady = [b["branch"] for b in sample.truth["branches"] if b["branch"] not in unsteady]

    def change(branch: str) -> float:
        return orders_a_day(sample, branch, *after, hours) / orders_a_day(
            sample, branch, *before, hours
        )

    return change(plant["branch"]) / (sum(map(change, steady)) / len(steady)) - 1


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    """The same arguments write the same names and bytes, faults and truth included."""
    for name in ("first", "second"):
        truth = tmp_path / name / "truth.json"
        write_sample(tmp_path / name, branches=3, days=20, seed=7, faults=True, truth=truth)
    assert digest(tmp_path / "first") == digest(tmp_path / "second")


def test_other_seed_other_orders(tmp_path: Path) -> None:
    """Another seed writes other orders for the same branches and days."""
    for seed in (1, 2):
        write_sample(tmp_path / str(seed), branches=1, days=2, seed=seed)
    first, second = (sorted((tmp_path / str(seed)).iterdir()) for seed in (1, 2))
    assert [path.name for path in first] == [path.name for path in second]
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(first, second, strict=True))


def test_rows_are_as_tills_write_them(tmp_path: Path) -> None:
    """Rows have seven columns, quotes only where needed, short totals and no card for cash."""
    write_sample(tmp_path, branches=1, days=1)
    (path,) = tmp_path.iterdir()
    assert path.name == "leeds_30-06-2024_08-00-00.csv"
    text = path.read_text(encoding="utf-8")
    rows = list(csv.reader(text.splitlines()))
    written = "".join(
        ",".join(f'"{field}"' if "," in field else field for field in row) + "\n" for row in rows
    )
    assert written == text
    assert {len(row) for row in rows} == {7}
    assert {(row[5], len(row[6])) for row in rows} == {("CARD", 16), ("CASH", 0)}
    assert all(row[4] == str(float(row[4])) for row in rows)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


def test_summary_counts_what_is_in_the_files(sample: Sample) -> None:
    """Files, orders, lines and revenue of the summary are those of the files and the truth."""
    summary = sample.summary
    assert summary.files == len(list(sample.folder.iterdir())) == 14 * 112 - 1
    assert summary.orders == sample.value("select count(*) from o")
    assert summary.lines == sample.value("select count(*) from l")
    assert summary.revenue == sample.value("select sum(total) from o")
    assert Decimal(sample.truth["revenue"]) == summary.revenue
    assert [sample.truth[name] for name in ("files", "orders", "lines")] == [
        summary.files,
        summary.orders,
        summary.lines,
    ]


def test_totals_equal_lines(sample: Sample) -> None:
    """Every order's total is the sum of its lines, and every line has size, name and price."""
    differing = (
        "select count(*) from (select id from l group by id, total having sum(price) <> total)"
    )
    assert sample.value(differing) == 0
    assert sample.value("select count(*) from l where size = '' or product = '' or price <= 0") == 0


def test_orders_look_like_a_cafe(sample: Sample) -> None:
    """Basket size and value are those of real branches, and sizes and cash are all in use."""
    assert 2.5 < sample.summary.lines / sample.summary.orders < 3.0
    assert 5.5 < float(sample.summary.revenue) / sample.summary.orders < 6.7
    assert 250 < sample.summary.orders / sample.summary.files < 450
    assert 0.4 < sample.value("select avg((size = 'Large')::int) from l") < 0.6


def test_menus_and_hours_are_those_of_the_truth(sample: Sample) -> None:
    """Each branch sells just the products, in just the hours, that the truth names."""
    menus = set()
    for entry in sample.truth["branches"]:
        name = entry["branch"]
        sold = sample.database.execute("select distinct product from l where branch = ?", [name])
        assert {product for (product,) in sold.fetchall()} == set(entry["products"])
        assert sample.value("select min(hour) from o where branch = ?", name) == entry["opens"]
        assert sample.value("select max(hour) from o where branch = ?", name) < entry["closes"]
        menus.add(tuple(entry["products"]))
    assert len(menus) > 7


def test_counts_are_overdispersed(sample: Sample) -> None:
    """Daily units of steady products vary more than chance alone would make them."""
    dispersion = sample.value(
        """
        select median(ratio) from (
            select var_samp(units) / avg(units) as ratio from (
                select branch, product, day, count(*) as units from l
                where isodow(day) = 2 group by all
            ) group by branch, product having avg(units) > 10)
        """
    )
    assert dispersion > 1.3


def test_shared_shocks_move_all_branches(sample: Sample) -> None:
    """Branches' days rise and fall together, with the weather that the truth names."""
    days = sorted(sample.truth["weather"])
    assert len(days) == 112
    weather = ", ".join(f"(date '{d}', {sample.truth['weather'][d]})" for d in days)
    correlation = sample.value(
        f"""
        with w(day, weather) as (values {weather}),
        daily as (select day, count(*) as orders from o group by day),
        scaled as (
            select day, ln(orders / avg(orders) over (partition by isodow(day))) as up from daily)
        select corr(up, weather) from scaled join w using (day)
        """
    )
    assert correlation > 0.5


def test_every_kind_is_planted(sample: Sample) -> None:
    """A chain of fair size gets every kind of plant, with complete and true-to-form facts."""
    assert {plant["kind"] for plant in sample.truth["planted"]} == KINDS
    branches = {entry["branch"] for entry in sample.truth["branches"]}
    fields = {"kind", "branch", "product", "other_product", "first_day", "last_day"}
    sold = {product for entry in sample.truth["branches"] for product in entry["products"]}
    for plant in sample.truth["planted"]:
        assert set(plant) == fields | {"change", "change_per_week", "direction"}
        assert plant["branch"] in branches | {None}
        assert plant["product"] in sold | {None}
        assert "2024-03-11" <= plant["first_day"] <= plant["last_day"] <= "2024-06-30"
        size = plant["change"] or plant["change_per_week"]
        expected = None if size is None else "rising" if size > 0 else "falling"
        assert plant["direction"] == expected


def test_trends_grow_and_fade_as_planted(sample: Sample) -> None:
    """Products and branches with a trend change at about the planted weekly rate."""
    trends = sample.planted("product_trend", "branch_trend")
    assert {(t["branch"] is None, t["direction"]) for t in trends} >= {
        (True, "rising"),
        (True, "falling"),
        (False, "rising"),
        (False, "falling"),
    }
    errors = [
        split_log_ratio(sample, trend) - 8 * math.log(1 + trend["change_per_week"])
        for trend in trends
    ]
    assert max(map(abs, errors)) < 0.25
    assert abs(sum(errors)) / len(errors) < 0.05


def test_mornings_are_lost(sample: Sample) -> None:
    """The branch with a day shift loses its mornings from that day, and nothing later."""
    (plant,) = sample.planted("day_shift")
    assert change_against_others(sample, plant, "hour < 11") == pytest.approx(-0.6, abs=0.08)
    assert change_against_others(sample, plant, "hour >= 11") == pytest.approx(0, abs=0.12)


def test_levels_shift(sample: Sample) -> None:
    """Branches with a level shift sell about that much more or less from that day."""
    shifts = sample.planted("level_shift")
    assert len(shifts) == 2
    for plant in shifts:
        assert change_against_others(sample, plant) == pytest.approx(plant["change"], abs=0.1)


def test_unusual_day_stands_out(sample: Sample) -> None:
    """The unusual day's orders are far above the same weekdays of its branch."""
    (plant,) = sample.planted("unusual_day")
    usual = sample.value(
        "select count(*) / count(distinct day) from o "
        "where branch = ? and day <> ?::date and isodow(day) = isodow(?::date)",
        plant["branch"],
        plant["first_day"],
        plant["first_day"],
    )
    day = (plant["first_day"], plant["last_day"])
    assert orders_a_day(sample, plant["branch"], *day) > 1.5 * usual


def test_missing_day_has_no_file(sample: Sample) -> None:
    """Just the planted branch-day has no file and no orders; all others have one."""
    (plant,) = sample.planted("missing_day")
    day = date.fromisoformat(plant["first_day"])
    slug = plant["branch"].lower().replace(" ", "_")
    assert not list(sample.folder.glob(f"{slug}_{day:%d-%m-%Y}_*"))
    per_day = sample.database.execute(
        "select branch from o group by branch having count(distinct day) <> 112"
    )
    assert per_day.fetchall() == [(plant["branch"],)]


def test_silent_product_stops_selling(sample: Sample) -> None:
    """The silent product sells on nearly every day before, and not at all from its day on."""
    (plant,) = sample.planted("silent_product")
    days = "select count(distinct day) from l where branch = ? and product = ? and day {} ?::date"
    facts = (plant["branch"], plant["product"], plant["first_day"])
    assert sample.value(days.format(">="), *facts) == 0
    assert sample.value(days.format("<"), *facts) > 95


def test_missed_product_sells_elsewhere(sample: Sample) -> None:
    """All comparable branches sell the missed product well; the planted branch never does."""
    (plant,) = sample.planted("missed_product")
    units = "select count(*) from l where branch = ? and product = ?"
    assert sample.value(units, plant["branch"], plant["product"]) == 0
    alike = sample.alike(plant["branch"])
    assert len(alike) >= 3
    assert all(sample.value(units, branch, plant["product"]) > 500 for branch in alike)


def test_price_rises_on_its_day(sample: Sample) -> None:
    """In every branch the product costs about a tenth more from the planted day, not before."""
    (plant,) = sample.planted("price_rise")
    ratios = sample.database.execute(
        """
        with prices as (
            select branch, size, day >= ?::date as later, min(price) as low, max(price) as high
            from l where product = ? group by all
        )
        select after.low / before.low, after.low = after.high and before.low = before.high
        from prices as before join prices as after using (branch, size)
        where after.later and not before.later
        """,
        [plant["first_day"], plant["product"]],
    ).fetchall()
    assert len(ratios) == 28
    assert all(steady for _, steady in ratios)
    assert all(ratio == pytest.approx(1 + plant["change"], abs=0.03) for ratio, _ in ratios)


def test_price_gap_is_below_all_comparable_branches(sample: Sample) -> None:
    """The product with a price gap is cheaper there than in any comparable branch."""
    (plant,) = sample.planted("price_gap")
    price = "select avg(price) from l where branch = ? and product = ? and size = 'Regular'"
    here = sample.value(price, plant["branch"], plant["product"])
    elsewhere = [
        sample.value(price, other, plant["product"]) for other in sample.alike(plant["branch"])
    ]
    assert here < 0.85 * min(elsewhere)


def test_pairs_sell_together_but_for_the_gap(sample: Sample) -> None:
    """A pair's second product comes with a good share of the first, but for the planted branch."""
    attach_rate = """
        with a as (select distinct id from l where branch = ? and product = ?),
        b as (select distinct id from l where branch = ? and product = ?)
        select avg((b.id is not null)::int) from a left join b using (id)
    """
    gaps = sample.planted("pair_gap")
    assert len(gaps) == 2
    for gap in gaps:
        for branch in [gap["branch"], *sample.alike(gap["branch"])]:
            pair = (branch, gap["product"], branch, gap["other_product"])
            rate = sample.value(attach_rate, *pair)
            assert rate < 0.15 if branch == gap["branch"] else rate > 0.3


def test_late_branch_opens_an_hour_after_its_format(sample: Sample) -> None:
    """The branch with an opening-hours plant opens an hour later than comparable ones."""
    (plant,) = sample.planted("opening_hours")
    opens = {entry["branch"]: entry["opens"] for entry in sample.truth["branches"]}
    expected = {opens[plant["branch"]] - 1}
    assert {opens[branch] for branch in sample.alike(plant["branch"])} == expected


@pytest.mark.parametrize(("branches", "days"), [(1, 1), (1, 3), (2, 45), (3, 182)])
def test_small_samples_leave_out_what_does_not_fit(
    tmp_path: Path, branches: int, days: int
) -> None:
    """Samples of any size work, and their truth names only branches and days they have."""
    truth_path = tmp_path / "truth.json"
    summary = write_sample(
        tmp_path / "raw", branches=branches, days=days, truth=truth_path, faults=True
    )
    truth = json.loads(truth_path.read_text(encoding="utf-8"))
    missing = [plant for plant in truth["planted"] if plant["kind"] == "missing_day"]
    assert (
        summary.files == branches * days - len(missing) == len(list((tmp_path / "raw").iterdir()))
    )
    names = {entry["branch"] for entry in truth["branches"]}
    assert {plant["branch"] for plant in truth["planted"]} <= names | {None}
    assert bool(truth["planted"]) == (days >= 42)
    assert len(truth["faults"]) <= summary.files / 3


def test_hundreds_of_branches_have_names_of_their_own(tmp_path: Path) -> None:
    """A chain of five hundred branches has five hundred names and files."""
    summary = write_sample(tmp_path / "raw", branches=500, days=1, truth=tmp_path / "truth.json")
    truth = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
    assert len({entry["branch"] for entry in truth["branches"]}) == 500
    assert len(list((tmp_path / "raw").iterdir())) == summary.files == 500


def test_every_fault_is_in_the_files(faulty: tuple[Path, Path, dict[str, Any]]) -> None:
    """Each fault damages one file as the truth says, and all other files are as without."""
    clean, damaged, truth = faulty
    faults = {entry["fault"]: entry["file"] for entry in truth["faults"]}
    assert set(faults) == {*FAULTS, *ODD_NAMES}
    originals = {path.name: path.read_bytes() for path in clean.iterdir()}
    written = {path.name: path.read_bytes() for path in damaged.iterdir()}
    assert len(written) == len(originals)
    for fault, file in faults.items():
        if fault in ODD_NAMES:
            usual = [name for name in originals if ODD_NAMES[fault](name) == file]
            assert written[file] in [originals[name] for name in usual]
        else:
            assert written[file] == FAULTS[fault](originals[file]) != originals[file]
    good = [name for name in written if name not in faults.values()]
    assert len(good) >= 2 * len(faults)
    assert all(written[name] == originals[name] for name in good)


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_change_a_good_file_alike(fault: str, tmp_path: Path) -> None:
    """Each fault changes a good file, and does the same when asked again."""
    write_sample(tmp_path, branches=1, days=1)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    assert FAULTS[fault](content) != content
    assert FAULTS[fault](content) == FAULTS[fault](content)


ROWS = st.lists(st.binary(max_size=8), min_size=7, max_size=7).map(b",".join)
CONTENTS = st.binary(max_size=300) | st.lists(ROWS, min_size=1, max_size=4).map(b"\n".join)


@given(CONTENTS, st.lists(st.sampled_from(sorted(FAULTS)), max_size=4))
@example(b"\xfa,Shop,,Latte - 2.15,2.15,CARD,\n", ["unclosed_quote"])
def test_faults_take_any_bytes(content: bytes, faults: list[str]) -> None:
    """Faults can follow one another on any bytes, rows of seven fields among them."""
    for fault in faults:
        content = FAULTS[fault](content)
        assert isinstance(content, bytes)


def test_one_row_fault_damages_one_row(tmp_path: Path) -> None:
    """A fault of a field leaves all other rows as they were."""
    write_sample(tmp_path, branches=1, days=1)
    (path,) = tmp_path.iterdir()
    rows = path.read_bytes().splitlines()
    damaged = FAULTS["impossible_date"](path.read_bytes()).splitlines()
    changed = [new for old, new in zip(rows, damaged, strict=True) if old != new]
    assert len(changed) == 1
    assert changed[0].startswith(b"31/02/2024 ")


def test_progress_counts_every_file(tmp_path: Path) -> None:
    """Progress is told after each file, up to the number of files."""
    told: list[tuple[int, int]] = []
    write_sample(tmp_path, branches=2, days=3, progress=lambda *counts: told.append(counts))
    assert told == [(done, 6) for done in range(1, 7)]


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    """The same sample may be written over itself, and no unfinished files stay behind."""
    write_sample(tmp_path, branches=2, days=3)
    before = digest(tmp_path)
    write_sample(tmp_path, branches=2, days=3)
    assert digest(tmp_path) == before


def test_a_stopped_write_leaves_the_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk fills half-way, the file of that name is still the one from before."""
    write_sample(tmp_path, branches=1, days=1, seed=1)
    (path,) = tmp_path.glob("*.csv")
    before = path.read_bytes()

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:100])
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        write_sample(tmp_path, branches=1, days=1, seed=2)
    assert path.read_bytes() == before


def test_other_till_files_are_not_mixed_in(tmp_path: Path) -> None:
    """A folder that holds other CSV files is refused, named, and left as it was."""
    (tmp_path / "real_01-01-2024_09-00-00.csv").write_text("not ours", encoding="utf-8")
    with pytest.raises(UsageError, match=r"real_01-01-2024_09-00-00\.csv"):
        write_sample(tmp_path, branches=1, days=1)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"branches": 0},
        {"branches": 10**6},
        {"days": 0},
        {"days": 10**6},
        {"seed": -1},
        {"until": date(1, 1, 1)},
    ],
)
def test_sizes_out_of_range_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """Counts, seeds and days that cannot be are refused before anything is written."""
    with pytest.raises(UsageError):
        write_sample(tmp_path / "raw", **wrong)
    assert not (tmp_path / "raw").exists()
