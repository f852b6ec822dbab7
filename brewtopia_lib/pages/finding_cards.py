"""Findings as the cards that open a report, and as what a mail says of them; pure."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from brewtopia_lib.findings import Found
from brewtopia_lib.findings.finding import Finding, Kind
from brewtopia_lib.formats import full_day, plural, pounds
from brewtopia_lib.pages.chart_style import styled
from brewtopia_lib.pages.finding_charts import evidence
from brewtopia_lib.pages.markup import Html, safe
from brewtopia_lib.pages.pictures import encoded, picture
from brewtopia_lib.pages.scopes import Scope

MOST_CARDS = 6
MOST_MAILED = 3
"""How many of the findings a mail shows with their chart."""
ARROWS = {"up": "▲", "down": "▼", "idea": "◆"}
MARKS: dict[Kind, str] = {
    "unusual_day": "dash",
    "opening_hours": "dash",
    "missed_product": "stroke",
    "price_gap": "stroke",
}
"""How the chart of a finding shows what was expected, where it is no line."""

_TITLE = "What changed, and what it is worth"
_ALSO = 40


def worth(finding: Finding) -> tuple[str, str]:
    """Which way a finding goes (up, down or idea), and its worth in a few words."""
    amount = finding.effect.pounds
    if finding.is_idea:
        return "idea", f"{pounds(abs(amount))} a week {'to gain' if amount > 0 else 'at stake'}"
    unit = "a week" if finding.lasts else "once"
    return "up" if amount > 0 else "down", f"{pounds(amount, signed=True)} {unit}"


@styled
def top_findings(found: Found, scope: Scope) -> Html:
    """The findings worth most as cards, the others in a line each, and what was not looked for."""
    notes = "".join(f'<p class="note">{safe(note)}</p>' for note in found.notes)
    period = f"{plural(found.weeks, 'week')} to {full_day(scope.until)}"
    if not found.findings:
        return _nothing(found, scope, notes, period)
    top, rest = found.findings[:MOST_CARDS], found.findings[MOST_CARDS:]
    drawn = [evidence(one) for one in top]
    measure = (
        f"Worth most first, from the {period}. What changed was tested: at most one in twenty is "
        "expected to be chance. One sale can count in several, so do not add these up."
    )
    return Html(
        f'<section><h2>{_TITLE}</h2><p class="measure">{safe(measure)}</p>'
        f'<div class="changes">{"".join(map(_card, top, drawn))}</div>{_also(rest)}{notes}</section>',
        [
            {
                "changes": [
                    _mailed(one) | ({"png": encoded(figure)} if place < MOST_MAILED else {})
                    for place, (one, figure) in enumerate(zip(top, drawn, strict=True))
                ]
            }
        ],
    )


def _nothing(found: Found, scope: Scope, notes: str, period: str) -> Html:
    where = f"at {scope.branch}" if scope.branch else "in the chain"
    text = (
        f"Nothing surely changed {where}: of {plural(found.tests, 'thing')} looked at in "
        f"the {period}, none moved more than chance would have it."
        if found.long_enough
        else f"It is too early to tell whether anything changed {where}."
    )
    return Html(
        f"<section><h2>{_TITLE}</h2><p>{safe(text)}</p>{notes}</section>",
        [{"nothing_changed": " ".join([text, *found.notes])}],
    )


def _card(finding: Finding, figure: Figure) -> str:
    way, amount = worth(finding)
    said = f"{_caption(finding)}. {finding.sentence}"
    return (
        f'<div class="card change"><p class="worth {way}">{ARROWS[way]} {safe(amount)}</p>'
        f'<p>{safe(finding.sentence)}</p><p class="small">{safe(finding.said.detail)}</p>'
        f'<p class="small caption">{safe(_caption(finding))}</p>'
        f"{picture(figure, said).markup}</div>"
    )


def _caption(finding: Finding) -> str:
    """What the small chart shows."""
    shown = finding.evidence
    measure = shown.measure[0].upper() + shown.measure[1:]
    if not shown.expected:
        return measure
    mark = MARKS.get(finding.kind, "line")
    return f"{measure}; {mark}: {shown.expected_is}"


def _also(rest: Sequence[Finding]) -> str:
    """The findings that have no card, in a line each, to be unfolded."""
    if not rest:
        return ""
    lines = []
    for one in rest[:_ALSO]:
        way, amount = worth(one)
        lines.append(
            f'<li><span class="{way}">{ARROWS[way]} {safe(amount)}</span> {safe(one.sentence)}</li>'
        )
    if len(rest) > _ALSO:
        lines.append(f"<li>and {len(rest) - _ALSO} more: see <code>brewtopia findings</code></li>")
    return (
        f"<details><summary>{plural(len(rest), 'more finding')}</summary>"
        f'<ul class="also">{"".join(lines)}</ul></details>'
    )


def _mailed(finding: Finding) -> dict[str, Any]:
    way, amount = worth(finding)
    said = {"sentence": finding.sentence, "detail": finding.said.detail}
    return {"way": way, "worth": amount, **said}
