"""Resolution rules that decide by looking at the sides: dominance, newer, confidence (D3.2).

Each takes the rule and the sides and gives (the winning value or None, why in words).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from runtime.engine.compiled import Rule
from runtime.engine.state import Candidate
from runtime.engine.values import BoundsError, canonical, parse

Sides = dict[bytes, list[Candidate]]
Decision = tuple[bytes | None, str]


def side_strength(cands: list[Candidate]) -> int:
    """A side is as strong as its strongest candidate, in thousandths."""
    return max(c.conf for c in cands)


def by_dominance(rule: Rule, sides: Sides) -> Decision:
    """Decides if exactly one side has a dominant voice."""
    having = [raw for raw, cands in sides.items() if any(_dominates(rule, c) for c in cands)]
    if len(having) == 1:
        return having[0], "one side has a dominant voice"
    return (
        None,
        "no side has a dominant voice" if not having else f"{len(having)} sides have a dominant voice",
    )


def _dominates(rule: Rule, cand: Candidate) -> bool:
    params = rule.spec.params
    if cand.voice.agent in params.get("agents", ()):
        return True
    sources, fields = params.get("sources", ()), params.get("evidence", {})
    if not cand.evidence or not (sources or fields):
        return False
    evidence = parse(cand.evidence)
    return evidence.get("source") in sources or any(
        k in evidence and canonical(evidence[k]) == _canonical_or_none(v) for k, v in fields.items()
    )


def _canonical_or_none(value: Any) -> bytes | None:
    try:
        return canonical(value)
    except BoundsError:
        return None


def by_newer(rule: Rule, sides: Sides) -> Decision:
    """Decides for the side whose newest candidate is strictly newest by an evidence field present on every side."""
    field = rule.spec.params["field"]
    newest: list[tuple[float, bytes]] = []
    for raw, cands in sides.items():
        moments = [m for c in cands if c.evidence and (m := moment(parse(c.evidence).get(field))) is not None]
        if not moments:
            return None, f"`{field}` is missing on the side {raw.decode()[:60]}"
        newest.append((max(moments), raw))
    newest.sort(reverse=True)
    if newest[0][0] == newest[1][0]:
        return None, f"two sides are equally new by `{field}`"
    return newest[0][1], f"newest by `{field}`"


def by_confidence(rule: Rule, sides: Sides) -> Decision:
    """Decides for the strongest side, if it leads the second by the margin."""
    ranked = sorted(((side_strength(cands), raw) for raw, cands in sides.items()), reverse=True)
    lead = ranked[0][0] - ranked[1][0]
    said = f"leads by {lead / 1000:g}, the margin is {rule.needs / 1000:g}"
    if lead >= rule.needs and lead > 0:
        return ranked[0][1], said
    return None, said


DECIDERS: dict[str, Callable[[Rule, Sides], Decision]] = {
    "dominance": by_dominance,
    "newer": by_newer,
    "confidence": by_confidence,
}

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d\d:?\d\d)?)?",
    re.IGNORECASE,
)


def moment(value: Any) -> float | None:
    """Seconds since 1970 of an ISO 8601 text (no zone: UTC), or a number as it is; None for anything else.

    Days are counted by the civil calendar rule (Hinnant, "chrono-compatible low-level date algorithms").
    """
    if type(value) in (int, float):
        return float(value)
    match = _ISO.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    hour, minute, second = (int(match[n] or 0) for n in (4, 5, 6))
    if not (
        1 <= month <= 12
        and 1 <= day <= _month_length(year, month)
        and hour <= 24
        and minute < 60
        and second <= 60
    ):
        return None
    seconds = _days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
    return seconds + float(f"0.{match[7] or 0}") - _zone_seconds(match[8])


def _month_length(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _days_from_civil(year: int, month: int, day: int) -> int:
    year -= month <= 2
    era, in_era = divmod(year, 400)
    in_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + in_era * 365 + in_era // 4 - in_era // 100 + in_year - 719_468


def _zone_seconds(zone: str | None) -> int:
    if not zone or zone in "Zz":
        return 0
    seconds = int(zone[1:3]) * 3_600 + int(zone[-2:]) * 60
    return -seconds if zone[0] == "-" else seconds
