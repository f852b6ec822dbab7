"""One thing is told once: what of the findings says what another says already."""

from dataclasses import replace

import numpy as np

from brewtopia_lib.findings.finding import Finding
from brewtopia_lib.findings.significance import FALSE_DISCOVERY_RATE

_EXPLAINS = 0.6


def told(believed: list[tuple[Finding, float]], seen: list[Finding]) -> list[Finding]:
    """What is told of what the tests believe, with the q-value of each, and of what needs none.

    Of several guises one is told, so that what is told is fewer than what is believed, and the
    false among it a larger share. So it is the number told that the false are held to: Katsevich,
    Sabatti and Bogomolov, "Filtering the rejection set while preserving false discovery rate
    control" (2023).
    """
    q = np.sort([own for _, own in believed])
    rank = np.searchsorted(q, q, side="right")
    while True:
        tests = [replace(one, q_value=own) for one, own in believed]
        kept = _in_one_guise(tests + seen)
        number = sum(one.q_value is not None for one in kept)
        allowed = np.count_nonzero(q * rank <= FALSE_DISCOVERY_RATE * number)
        if allowed >= len(believed):
            break
        surest = set(q[:allowed])
        believed = [(one, own) for one, own in believed if own in surest]
    guises = len(believed) / max(number, 1)
    return [
        one if one.q_value is None else replace(one, q_value=one.q_value * guises) for one in kept
    ]


def _in_one_guise(seen: list[Finding]) -> list[Finding]:
    """Without what another finding says already.

    A branch moves in one way: of its revenue, orders and basket the first that was found tells
    it, with the others in its detail; of the parts of its day the one that moved most. Where a
    part of the day, or a product, explains the branch's move, that is told. A silent product is
    not also one that fades.
    """
    causes: dict[str | None, list[Finding]] = {}
    for one in seen:
        if one.branch and one.kind in ("product_trend", "silent_product"):
            causes.setdefault(one.branch, []).append(one)
    silent = {(one.branch, one.product) for one in seen if one.kind == "silent_product"}
    parts: dict[str | None, Finding] = {}
    for one in seen:
        known = parts.get(one.branch)
        if one.kind == "day_shift" and (
            known is None or abs(one.effect.pounds) > abs(known.effect.pounds)
        ):
            parts[one.branch] = one
    kept: list[Finding] = []
    moved: set[str | None] = set()
    for one in seen:
        if one.kind in ("branch_trend", "level_shift"):
            why = [*causes.get(one.branch, []), *filter(None, [parts.get(one.branch)])]
            share = max((part.effect.pounds / (one.effect.pounds or 1) for part in why), default=0)
            said = share >= _EXPLAINS or one.branch in moved
            moved.add(one.branch)
        elif one.kind == "day_shift":
            said = parts[one.branch] is not one
        elif one.kind == "product_trend":
            said = (one.branch, one.product) in silent or (None, one.product) in silent
        else:
            said = False
        if not said:
            kept.append(one)
    return kept
