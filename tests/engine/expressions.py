"""The few CEL expressions random packs use, each beside the plain Python that the naive model evaluates instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.engine.naive_sides import text

Facts = Callable[[str], Mapping[str, Any]]  # key -> {subject: value} of what stands
Context = Mapping[str, Any]
Meaning = Callable[[Context, Facts], bool]


def _same(a: Any, b: Any) -> bool:
    return text(a) == text(b)


CONSTRAINTS: Mapping[str, Meaning] = {
    "confidence >= 0.5": lambda c, facts: c["confidence"] >= 0.5,
    "value != 2": lambda c, facts: not _same(c["value"], 2),
    'agent == "a0" || subject != "s"': lambda c, facts: c["agent"] == "a0" or c["subject"] != "s",
    'size(facts("m.a")) < 2': lambda c, facts: len(facts("m.a")) < 2,
    'fact("k.a", subject) != value': lambda c, facts: not _same(facts("k.a").get(c["subject"]), c["value"]),
    'key != "k.b" || "s" in facts("k.a")': lambda c, facts: c["key"] != "k.b" or "s" in facts("k.a"),
}
INVARIANTS: Mapping[str, Meaning] = {
    'size(facts("k.a")) >= 1': lambda c, facts: len(facts("k.a")) >= 1,
    'fact("k.b", "n") == null || fact("k.b", "n") == 1': lambda c, facts: (
        facts("k.b").get("n") is None or _same(facts("k.b")["n"], 1)
    ),
}
APPROVALS: Mapping[str, Meaning] = {
    "value == 1": lambda c, facts: _same(c["value"], 1),
    "confidence < 0.65": lambda c, facts: c["confidence"] < 0.65,
    'key == "k.a"': lambda c, facts: c["key"] == "k.a",
}
CONDITIONS: Mapping[str, Meaning] = {
    'subject == "s"': lambda c, facts: c["subject"] == "s",
    "size(sides) == 2": lambda c, facts: len(c["sides"]) == 2,
    "sides.exists(s, s.confidence >= 0.8)": lambda c, facts: any(
        max(said.conf for said in voices.values()) >= 800 for voices in c["sides"].values()
    ),
}
MEANINGS: Mapping[str, Meaning] = {**CONSTRAINTS, **INVARIANTS, **APPROVALS, **CONDITIONS}
MENTIONS: Mapping[str, set[str]] = {
    'size(facts("m.a")) < 2': {"m.a"},
    'fact("k.a", subject) != value': {"k.a"},
    'key != "k.b" || "s" in facts("k.a")': {"k.a"},
    'size(facts("k.a")) >= 1': {"k.a"},
    'fact("k.b", "n") == null || fact("k.b", "n") == 1': {"k.b"},
}
