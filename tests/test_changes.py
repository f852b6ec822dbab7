"""What changed: ranked by pounds a week, in sentences a manager understands."""

from typing import Any

import pandas as pd
from test_scopes import SCOPE

from brewtopia_lib.changes import Change, moved_branches, what_changed

MOVER = "product revenue revenue_before change_pounds change price_effect volume_effect mix_effect"


def movers(*rows: tuple[str, float, float]) -> pd.DataFrame:
    """Products with revenue now and before, all of it by volume."""
    return pd.DataFrame(
        [
            {
                "product": product,
                "change_pounds": now - before,
                "change": (now - before) / before if before else None,
                "price_effect": 0.0,
                "volume_effect": now - before,
                "mix_effect": 0.0,
                "units": now / 2,
                "units_before": before / 2,
            }
            for product, now, before in rows
        ],
        columns=[*MOVER.split(), "units", "units_before"],
    )


def parts(*rows: tuple[str, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["day_part", "revenue", "change"])


def league(*rows: tuple[str, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["branch", "revenue", "change"])


def missing(*rows: tuple[str, str, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["branch", "sold_on", "expected_revenue"])
    return frame.assign(sold_on=pd.to_datetime(frame["sold_on"]))


def silent(*rows: tuple[str, str, str, int, float, float]) -> pd.DataFrame:
    columns = [
        "branch",
        "product",
        "last_sold_on",
        "days_silent",
        "expected_units",
        "weekly_revenue",
    ]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(last_sold_on=pd.to_datetime(frame["last_sold_on"]))


def changed(**frames: Any) -> list[Change]:
    nothing = {
        "movers": movers(),
        "day_parts": parts(),
        "missing_days": missing(),
        "silent_products": silent(),
    }
    return what_changed(scope=SCOPE, **(nothing | frames))


def test_nothing_changed_is_an_empty_list() -> None:
    """Level products and parts of the day are not findings."""
    assert (
        changed(movers=movers(("Latte", 1010, 1000)), day_parts=parts(("Morning", 9e4, 0.02))) == []
    )


def test_largest_first_in_pounds_a_week() -> None:
    """Changes are ranked by pounds a week whatever their kind and direction."""
    found = changed(
        movers=movers(("Mocha", 600, 1000), ("Latte", 1200, 1000)),
        day_parts=parts(("Morning", 900.0, -0.5)),
        league=league(("Hull", 1500.0, 0.5), ("York", 2000.0, 0.001)),
    )
    assert [(one.kind, round(one.pounds_a_week)) for one in found] == [
        ("day_part", -225),
        ("branch", 125),
        ("product", -100),
        ("product", 50),
    ]
    assert found[2].sentence == "Mocha is down £100 a week (−40.0%) on the 4 weeks before."
    assert found[2].detail.endswith("volume −£100, price £0 and mix £0 a week")


def test_wording_claims_no_significance() -> None:
    """Sentences compare with the weeks before and speak of no trend, test or significance."""
    for one in changed(movers=movers(("Mocha", 600, 1000)), league=league(("Hull", 500.0, -0.5))):
        assert "on the 4 weeks before" in one.sentence
        for word in ("signific", "trend", "growing", "shrinking", "chance"):
            assert word not in one.sentence


def test_new_and_gone_products_have_their_own_words() -> None:
    """A product without a past is new; one without a present no longer sells."""
    found = changed(movers=movers(("Nitro", 400, 0), ("Mocha", 0, 400)))
    assert {one.sentence for one in found} == {
        "Nitro is new: it brings £100 a week.",
        "Mocha no longer sells: it brought £100 a week.",
    }


def test_what_is_missing_always_has_a_place() -> None:
    """Missing days and silent products are shown even where larger changes would fill the list."""
    found = changed(
        movers=movers(*[(f"P{number}", 9000, 1000) for number in range(9)]),
        league=league(*[(f"B{number}", 90000.0, 0.5) for number in range(9)]),
        missing_days=missing(("Derby", "2024-06-11", 296.0)),
        silent_products=silent(("York", "Scone", "2024-06-18", 11, 93.0, 115.0)),
        limit=4,
    )
    assert len(found) == 4
    assert found[-1].sentence == "Derby has no sales on Tue 11 June 2024; it usually takes £296."
    assert found[-1].once == -296
    assert found[-2].sentence == (
        "Scone has not sold at York since 18 Jun; it used to bring £115 a week."
    )


def test_many_missing_days_are_one_finding() -> None:
    """Several missing branch-days are summed into one sentence that names the first."""
    (one,) = changed(
        missing_days=missing(*[("Derby", f"2024-06-{day:02d}", 100.0) for day in range(10, 15)])
    )
    assert one.once == -500
    assert one.sentence.startswith("5 branch-days have no sales; they usually take £500")
    assert one.detail == "Derby on 10 Jun, Derby on 11 Jun, Derby on 12 Jun and 2 more"


def test_no_kind_crowds_out_the_others() -> None:
    """At most three of a kind are told, so that branches do not hide a product."""
    found = changed(
        movers=movers(("Mocha", 600, 1000)),
        league=league(*[(f"B{number}", 90000.0, 0.5) for number in range(9)]),
    )
    assert [one.kind for one in found] == ["branch", "branch", "branch", "product"]


def test_a_branch_says_when_in_the_day_it_moved() -> None:
    """Where one part of the day makes up most of a branch's change, it is named."""
    table = league(("Hull", 5000.0, -0.5))
    assert moved_branches(table, SCOPE) == ["Hull"]
    mornings = parts(("Morning", 500.0, -0.9), ("Midday", 4500.0, -0.01))
    (one,) = changed(league=table, parts_by_branch={"Hull": mornings})
    assert one.detail == "£1,250 a week now; mostly the morning, −£1,125 a week"
    (plain,) = changed(league=table)
    assert plain.detail == "£1,250 a week now"
