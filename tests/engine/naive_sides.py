"""What the naive model is made of: values, candidates, sides, and the rules that decide between sides (D3.2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runtime.engine.spec import RuleSpec

Slot = tuple[str, str]
Voice = tuple[str, Any]  # (agent, item); ("@seed", n); ("@person", username)
Premise = tuple[Slot, str]  # (slot, canonical text of the value)


def text(value: Any) -> str:
    """Canonical text: two values are equal as JSON exactly if their texts are (1 = 1.0, -0.0 = 0, true is not 1)."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def thousandths(confidence: float) -> int:
    """0..1 in thousandths, half to even."""
    return round(1000 * confidence)


@dataclass(frozen=True)
class Said:
    """What one voice currently says about a slot."""

    value: Any
    conf: int
    evidence: Any
    premises: frozenset[Premise] = frozenset()

    def statement(self) -> tuple[str, int, str]:
        """What must be equal for the voice to have repeated itself unchanged."""
        return text(self.value), self.conf, text(self.evidence)


@dataclass(frozen=True)
class Ruled:
    """The last word of an aggregation agent on a slot; `said` is None if it abstained."""

    said: Said | None
    seen: str


@dataclass(frozen=True)
class Decided:
    """A person's decision: a value, or that nothing stands."""

    value: Any
    none: bool
    by: str
    conf: int = 1000  # of what a deadline ruled, as it was said
    rules: tuple[str, ...] = ()  # under whose policies it was made

    def statement(self) -> tuple[str, bool, str]:
        """What makes two decisions the same."""
        return text(self.value), self.none, self.by


@dataclass
class Stands:
    """What a slot comes to, and how."""

    status: str = "empty"  # empty | fact | contested | held | refused
    value: Any = None
    conf: int = 0
    sides: dict[str, dict[Voice, Said]] = field(default_factory=dict)
    side: str | None = None  # text of the side that stands, None for a ruling or a decision
    by: str = ""  # "" | decision | one | rule kind
    rule: str = ""
    ruling: Ruled | None = None
    awaiting: str = ""
    left_to_people_by: str = ""  # the operator or approval rule that asks them
    all_asked: bool = (
        True  # whether every resolution rule was asked, or a wait or an operator rule came before
    )

    @property
    def shown(self) -> tuple[Any, ...] | None:
        """What agents are shown of the slot (D2.1)."""
        if self.status == "fact":
            return ("fact", text(self.value), self.conf)
        return (self.status,) if self.status in ("contested", "held") else None

    def is_fact(self, value_text: str) -> bool:
        """Whether exactly this value stands."""
        return self.status == "fact" and text(self.value) == value_text


Meaning = Callable[[Mapping[str, Any], Callable[[str], Mapping[str, Any]]], bool]


def sides_text(sides: Mapping[str, Mapping[Voice, Said]]) -> str:
    """Sides as one comparable text: values, voices, confidences, evidence."""
    return json.dumps(
        [
            [name, sorted([v[0], str(v[1]), s.conf, text(s.evidence)] for v, s in voices.items())]
            for name, voices in sorted(sides.items())
        ]
    )


def strength(voices: Mapping[Voice, Said]) -> int:
    """A side is as strong as its strongest candidate."""
    return max(said.conf for said in voices.values())


def reachable(start: str, edges: set[tuple[str, str]]) -> set[str]:
    """Everything one or more edges away from `start`."""
    found: set[str] = set()
    while True:
        more = {b for a, b in edges if a == start or a in found}
        if more == found:
            return found
        found = more


def decide(rule: RuleSpec, sides: Mapping[str, Mapping[Voice, Said]]) -> str | None:
    """The side a dominance, newer or confidence rule decides for, or None."""
    if rule.kind == "dominance":
        dominant = [
            name for name, voices in sides.items() if any(_dominates(rule, *v) for v in voices.items())
        ]
        return dominant[0] if len(dominant) == 1 else None
    if rule.kind == "newer":
        times = {name: _newest(rule.params["field"], voices.values()) for name, voices in sides.items()}
        return _single_best(times)
    ranked = sorted((strength(voices) for voices in sides.values()), reverse=True)
    if ranked[0] - ranked[1] < thousandths(rule.params["margin"]):
        return None
    return _single_best({name: strength(voices) for name, voices in sides.items()})


def _dominates(rule: RuleSpec, voice: Voice, said: Said) -> bool:
    evidence = said.evidence if isinstance(said.evidence, Mapping) else {}
    return (
        voice[0] in rule.params.get("agents", ())
        or ("source" in evidence and evidence["source"] in rule.params.get("sources", ()))
        or any(
            f in evidence and text(evidence[f]) == text(v) for f, v in rule.params.get("evidence", {}).items()
        )
    )


def _newest(name: str, voices: Iterable[Said]) -> Any:
    times = [said.evidence[name] for said in voices if name in said.evidence]
    return max(times) if times else None


def _single_best(scores: Mapping[str, Any]) -> str | None:
    if any(score is None for score in scores.values()):
        return None
    best = [name for name, score in scores.items() if score == max(scores.values())]
    return best[0] if len(best) == 1 else None
