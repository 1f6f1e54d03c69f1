"""Tier 2: every detector says of every candidate whether it is an incident; rules and people settle it.

A detector that saw nothing at the time says `normal`, but with little weight: it may be blind to this kind of trouble.
So one that is nearly certain prevails (rule `nearly certain`). What is left is weighed by `weigh`, and what it finds
too close to call is for people.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from math import exp, log
from statistics import median
from typing import Any

from runtime.agents import Ruling, propose, ruling
from runtime.engine import Fact, Group, Proposal, Sides, View
from runtime.packs.incident.detectors import DETECTORS, deviate
from runtime.packs.incident.keys import ODDS, pack
from runtime.packs.incident.series import Series, to_seconds
from runtime.packs.incident.signals import FOUND, series_of, signal_subject
from runtime.packs.incident.sliding import find_spread

DENIAL = 0.5  # how much "I see nothing" says: the detector is as likely not made for it
DENIALS = {"silence": 0.2}  # which looks at no value, says less
SHARED_SIGHT = 0.5  # detectors look at the same points: each further one counts half of the one before
LASTING = 2.0  # usual deviations by which the level itself must have moved to be another
NEARLY_CERTAIN = 0.4  # margin: 0.9 against a denial


def _declare(detector: str) -> None:
    def say(candidate: Fact, view: View) -> Proposal | None:
        signal = view.fact("signal", signal_subject(detector, candidate.value["series"]))
        if signal is None:
            return None
        word, sure, evidence = _judge(detector, candidate.value, signal.value)
        if not sure:
            return None
        because = [candidate, signal]
        return propose("verdict", candidate.subject, word, sure, evidence=evidence, because=because)

    pack.each(
        "candidate",
        name=f"{detector}-says",
        title=detector.capitalize(),
        description=f"Says of each candidate what `{detector}` makes of it; nothing where it cannot judge.",
        reads=["signal"],
        writes=["verdict"],
        tier=2,
        required=True,
    )(say)


def _judge(
    detector: str, candidate: Mapping[str, Any], signal: Mapping[str, Any]
) -> tuple[str, float, dict[str, Any]]:
    """(word, confidence, evidence); confidence 0 where the detector cannot judge."""
    begin, end = to_seconds(candidate["from"]), to_seconds(candidate["to"])
    if signal["judges_from"] is None or to_seconds(signal["judges_from"]) > end:
        return "normal", 0.0, {}
    near = [
        stretch
        for stretch in signal["stretches"]
        if to_seconds(stretch["from"]) <= end and to_seconds(stretch["to"]) >= begin
    ]
    best = max(near, key=lambda stretch: stretch["confidence"], default=None)
    seen = best["confidence"] if best else 0.0
    evidence = {"figure": best["figure"], "peak": best["peak"], "seen": seen} if best else {"seen": 0}
    if seen >= FOUND:
        return "incident", seen, evidence
    return "normal", round((1 - seen) * DENIALS.get(detector, DENIAL), 2), evidence


for _detector in DETECTORS:
    _declare(_detector)


@pack.aggregate("verdict", reads=["setting"], tier=2, required=True, priority=20, rule="weighed together")
def weigh(sides: Sides, view: View) -> Ruling | None:
    """Weighs all detectors: those that found it add up, each further one half of the one before; that so many looked is
    held against it. Abstains where the odds are near even."""
    found = [voice.confidence for side in sides.sides if side.value == "incident" for voice in side.voices]
    looked = sum(len(side.voices) for side in sides.sides)
    odds = weigh_odds(found, looked)
    setting = view.fact("setting", "odds")
    sure = round(1 / (1 + exp(-abs(odds))), 2)
    if abs(odds) < log(setting.value if setting else ODDS):
        return None
    evidence = {"odds": round(exp(odds), 2), "found_by": len(found), "looked": looked}
    return ruling("incident" if odds > 0 else "normal", sure, evidence=evidence)


def weigh_odds(found: Sequence[float], looked: int) -> float:
    """Logarithm of the odds for an incident, from the confidences of those that found it and how many looked.

    A chance peak is as many times likelier as there are detectors that might have shown one (Bonferroni).
    """
    weight, odds = 1.0, -log(max(looked, 1))
    for confidence in sorted(found, reverse=True):
        odds += weight * log(confidence / (1 - confidence)) if confidence < 1 else weight * log(999)
        weight *= SHARED_SIGHT
    return odds


@pack.grouped("candidate", by="series", reads=["points"], writes=["extent"], tier=2, required=True)
def measure(group: Group, view: View) -> Iterator[Proposal]:
    """Measures how far each candidate lies from what was usual before it."""
    chunks = [fact for fact in view["points"] if fact.value["series"] == group.name]
    series = series_of(chunks)
    for candidate in group.items:
        value = measure_extent(series, candidate.value)
        yield propose("extent", candidate.subject, value, because=[candidate, *chunks])


def measure_extent(series: Series, candidate: Mapping[str, Any]) -> dict[str, Any]:
    """The values during a candidate beside those of the eight `near` before it (after it, where it comes first).

    It has not ended where the series ends with it, or ends at the level to which it moved.
    """
    begin, end, near = to_seconds(candidate["since"]), to_seconds(candidate["to"]), candidate["near"]
    during = _between(series, begin, end)
    before = _between(series, begin - 8 * near, begin - 1)
    usual = before if len(before) > 8 else _between(series, end + 1, end + 8 * near) or series.values
    middle, spread = median(usual), find_spread(usual) or find_spread(series.values) or 1.0
    extreme = max(during, key=lambda value: (abs(value - middle), value))
    shift = deviate(median(during), middle, spread, 0.0)
    last = median(_between(series, series.times[-1] - near, series.times[-1]))
    left = deviate(last, middle, spread, 0.0)
    stays = abs(shift) >= LASTING and abs(left) >= LASTING and (left > 0) == (shift > 0)
    return {
        "series": series.name,
        "before": _round(middle),
        "during": _round(median(during)),
        "extreme": _round(extreme),
        "deviation": _round(deviate(extreme, middle, spread, 0.0)),
        "shift": _round(shift),
        "hours": round((end - begin + series.step) / 3600, 2),
        "ended": series.times[-1] - end > near and not stays,
    }


def _between(series: Series, begin: int, end: int) -> Sequence[float]:
    return series.values[bisect_left(series.times, begin) : bisect_right(series.times, end)]


def _round(value: float) -> float:
    """Four significant digits: what is compared and shown is no finer."""
    return float(f"{value:.4g}")
