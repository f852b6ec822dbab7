"""What findings say: sentences that a manager understands; pure."""

from datetime import date

from brewtopia_lib.findings.finding import Effect, Said
from brewtopia_lib.formats import count, full_day, hour, listed, percent, plural, pounds

_LEVEL, _LEVEL_A_WEEK = 0.005, 0.001


def between(effect: Effect) -> str:
    """The interval in words."""
    if effect.low is None or effect.high is None:
        return ""
    low, high = sorted((effect.low, effect.high), key=abs)
    if min(effect.low, effect.high) < 0 < max(effect.low, effect.high):
        ends = f"{pounds(effect.low, signed=True)} and {pounds(effect.high, signed=True)}"
    else:
        ends = f"{pounds(abs(low))} and {pounds(abs(high))}"
    return f"between {ends} a week"


def product_trend(
    product: str,
    branch: str | None,
    change: float,
    effect: Effect,
    weeks: int,
    now: float,
    beyond: bool,
) -> Said:
    """A product that grows or fades; `beyond` what it does in the rest of the chain."""
    if beyond:
        way = "gaining {} on" if change > 0 else "falling {} behind"
        sentence = (
            f"{product} is {way.format(_a_week(change))} the rest of the chain at {branch}: about "
            f"{_worth(effect)} than had it moved for {_number(weeks)} weeks as it did elsewhere."
        )
    else:
        where = f"at {branch}" if branch else "across the chain"
        way = "growing" if change > 0 else "shrinking"
        sentence = (
            f"{product} is {way} {_a_week(change)} {where}: about {_worth(effect)} than "
            f"{_ago(weeks)}."
        )
    detail = (
        f"{between(effect).capitalize()}; it brings {pounds(now)} a week now. Judged beside the "
        "rest of the menu, so good weather or a quiet week is not mistaken for it."
    )
    return Said(sentence, detail)


def branch_trend(
    branch: str | None,
    measure: str,
    change: float,
    effect: Effect,
    weeks: int,
    rest: dict[str, float],
    against_chain: bool,
) -> Said:
    """A branch, or the chain, that grows or fades."""
    subject, against = branch or "The chain", " against the other branches" if against_chain else ""
    way = "growing" if change > 0 else "shrinking"
    if measure == "basket":
        opening = f"The average order at {subject} is {way} {_a_week(change)}{against}"
    elif measure == "orders":
        opening = (
            f"{subject} has {_a_week(change)} {_more(change, 'more', 'fewer')} orders{against}"
        )
    else:
        opening = f"{subject} is {way} {_a_week(change)}{against}"
    sentence = f"{opening}: about {_worth(effect)} than {_ago(weeks)}."
    return Said(sentence, f"{_rest(rest, ' a week')}{between(effect).capitalize()}.")


def level_shift(
    branch: str | None,
    measure: str,
    change: float,
    effect: Effect,
    since: date,
    rest: dict[str, float],
    against_chain: bool,
) -> Said:
    """A level that jumped on a day and stayed."""
    subject = branch or "The chain"
    why = "the other branches lead you to expect" if against_chain else "before"
    size, more = percent(abs(change), digits=0), _more(change, "more", "less")
    moved = {
        "revenue": f"{subject} takes {size} {more}",
        "orders": f"{subject} has {size} {_more(change, 'more', 'fewer')} orders",
        "basket": f"the average order at {subject} is {size} {_more(change, 'larger', 'smaller')}",
    }
    sentence = f"Since {full_day(since)} {moved[measure]} than {why}: about {_worth(effect)}."
    return Said(sentence, f"{_rest(rest, '')}{between(effect).capitalize()}.")


def day_shift(
    branch: str,
    part: str,
    hours: tuple[int, int],
    change: float,
    effect: Effect,
    since: date | None,
    weeks: int,
) -> Said:
    """A part of the day that gains or loses beside the rest of it."""
    way = "losing its" if change < 0 else "busier in its"
    when = f"since {full_day(since)}" if since else f"over {plural(weeks, 'week')}"
    opening = f"{branch} is {way} {part}: {when} they bring {percent(abs(change), digits=0)}"
    sentence = (
        f"{opening} {_more(change, 'more', 'less')} than the rest of the day leads to expect, "
        f"about {_worth(effect)}."
    )
    return Said(sentence, f"Orders {_hours(hours)}. {between(effect).capitalize()}.")


def unusual_day(
    branch: str, on: date, taken: float, expected: float, usual: tuple[float, float]
) -> Said:
    """A day far off its expected range."""
    away = taken - expected
    sentence = (
        f"{branch} took {pounds(taken)} on {full_day(on)}, {pounds(abs(away))} "
        f"{_more(away, 'more', 'less')} than such a day usually brings."
    )
    return Said(sentence, f"Usual is {pounds(usual[0])} to {pounds(usual[1])}.")


def missing_day(branch: str, days: list[date], expected: float) -> Said:
    """Days without sales on which the branch should have had some."""
    if len(days) == 1:
        when, such = f"on {full_day(days[0])}", "such a day usually brings"
    else:
        when = f"on {len(days)} days from {full_day(days[0])} to {full_day(days[-1])}"
        such = "they would usually bring"
    sentence = f"{branch} has no sales {when}; {such} {pounds(expected)}."
    return Said(sentence, "A file may be missing, or the branch was closed.")


def silent_product(
    product: str, branches: list[str], since: date, days: int, weekly: float, everywhere: bool
) -> Said:
    """A product that sold nearly every day and then not at all."""
    where = "in any branch" if everywhere else f"at {listed(branches)}"
    sentence = (
        f"{product} has not sold {where} since {full_day(since)}; "
        f"it used to bring {pounds(weekly)} a week."
    )
    return Said(sentence, f"{plural(days, 'trading day')} without a sale: is it out of stock?")


def missed_product(
    product: str,
    branch: str,
    gross: Effect,
    net: Effect,
    sellers: int,
    error: float,
    others: list[tuple[str, float]],
) -> Said:
    """A product that comparable branches sell and this one does not."""
    sentence = (
        f"{branch} does not sell {product}: going by branches like it, it would sell about "
        f"{pounds(gross.pounds)} of it a week, about {pounds(net.pounds)} of that new money."
    )
    detail = (
        f"The rest would be taken from other products. New money is {between(net)}, going by "
        f"{count(sellers)} branches like it; such estimates are typically "
        f"{percent(error, digits=0)} out."
    )
    if others:
        names = [f"{name} ({pounds(worth)})" for name, worth in others[:3]]
        names += [f"{count(len(others) - 3)} more"] if len(others) > 3 else []
        detail += f" It does not sell {listed(names)} either."
    return Said(sentence, detail)


def price_gap(
    product: str, branch: str, price: float, usual: float, effect: Effect, size: str
) -> Said:
    """A price out of line with what the branch's other prices would lead to expect."""
    what = f"{size} {product}" if size else product
    way = _more(price - usual, "more", "less")
    sentence = (
        f"{what} costs {pounds(price, pence=True)} at {branch}, "
        f"{pounds(abs(price - usual), pence=True)} {way} than its other prices lead to expect: at "
        f"{pounds(usual, pence=True)} it would bring about {_worth(effect)}."
    )
    detail = (
        f"{between(effect).capitalize()}: it depends on how many customers a price changes; taken "
        "is half as many, in per cent, as the price moves."
    )
    return Said(sentence, detail)


def pair_gap(
    first: str, second: str, branch: str, here: float, elsewhere: float, effect: Effect
) -> Said:
    """Two products bought together elsewhere, but not here."""
    sentence = (
        f"At {branch} {percent(here, digits=0)} of orders with {first} have {second} too, elsewhere "
        f"{percent(elsewhere, digits=0)}: offered together they would bring about "
        f"{pounds(effect.pounds)} a week."
    )
    return Said(sentence, f"{between(effect).capitalize()}.")


def opening_hours(
    branch: str, opens: int, other: int, effect: Effect, *, early: bool, sellers: int
) -> Said:
    """Trade that is turned away because the branch opens later, or closes earlier, than others."""
    verb, edge = ("opens", "first") if early else ("closes", "last")
    sentence = (
        f"{branch} {verb} at {hour(opens)}, branches like it at {hour(other)}, and its {edge} hour "
        f"is strong: the hour in between could bring about {pounds(effect.pounds)} a week."
    )
    return Said(
        sentence, f"{between(effect).capitalize()}, going by {count(sellers)} branches like it."
    )


def _a_week(change: float) -> str:
    return f"{percent(abs(change), digits=1 if abs(change) < 0.095 else 0)} a week"


def _worth(effect: Effect) -> str:
    return f"{pounds(abs(effect.pounds))} a week {_more(effect.pounds, 'more', 'less')}"


def _more(change: float, up: str, down: str) -> str:
    return up if change > 0 else down


def _ago(weeks: int) -> str:
    return f"{_number(weeks)} weeks ago"


def _number(weeks: int) -> str:
    return {8: "eight", 9: "nine", 10: "ten"}.get(weeks, str(weeks))


def _hours(hours: tuple[int, int]) -> str:
    first, end = hours
    if first == 0:
        return f"before {hour(end)}"
    return f"from {hour(first)}" if end == 24 else f"from {hour(first)} to {hour(end)}"


def _rest(rest: dict[str, float], per: str) -> str:
    """Orders and basket, apart."""
    if not rest:
        return ""
    parts = []
    for name, change in rest.items():
        noun = "the average order" if name == "basket" else name
        parts.append(
            f"{noun} as before"
            if abs(change) < (_LEVEL_A_WEEK if per else _LEVEL)
            else f"{noun} {percent(change, signed=True)}{per}"
        )
    text = listed(parts)
    return f"{text[0].upper()}{text[1:]}. "
