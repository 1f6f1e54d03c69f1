"""What a person decided, as a rule that would have decided the same: whose side wins, and for exactly which questions.

Pure: values in, values out. A question's *shape* is who speaks on each side (`runtime.shapes`); the rule's condition
holds for that shape and for no other, so what was learned from one kind of question never decides another.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from runtime.engine.compiled import KeyPlan, Rule, expression_names
from runtime.engine.expr import MAX_EXPRESSION, compile_expression
from runtime.engine.resolve import resolve
from runtime.engine.spec import PERSON, SEED, KeySpec, RuleSpec
from runtime.engine.state import GROUND, Candidate, Slot, Voice
from runtime.engine.values import canonical
from runtime.shapes import side_like

LONGEST_NAME = 80  # of a rule's 100 characters: a number may have to be added
Speakers = Sequence[str]


class CannotLearn(ValueError):
    """No rule can say what was decided; the message tells why, for people."""


class Said(NamedTuple):
    """What one voice says in a slot. `evidence` is an object; `confidence` lies between 0 and 1."""

    agent: str
    item: str
    value: Any
    confidence: float
    evidence: Mapping[str, Any]


def rule_from_decision(
    key: str, subject: str, sides: Sequence[Speakers], kept: Speakers, *, only_subject: bool = False
) -> dict[str, Any]:
    """The settings of a dominance rule, without its priority, under which the side of `kept` wins questions like this.

    `sides` are the speakers of each side. Raises CannotLearn where no rule can express the decision.
    """
    place = _place_of(sides, kept)
    elsewhere = {name for at, side in enumerate(sides) if at != place for name in side}
    own = [name for name in sorted(set(sides[place])) if name not in elsewhere]
    params = _params(own)
    expression = condition_of(sides, subject if only_subject else None)
    if len(expression) > MAX_EXPRESSION:
        raise CannotLearn("So many voices speak on its sides that no one rule can name them all.")
    return {
        "name": _name(key, own, sorted(elsewhere), subject if only_subject else ""),
        "kind": "dominance",
        "keys": [key],
        "params": params,
        "expression": expression,
        "message": "",
    }


def condition_of(sides: Sequence[Speakers], subject: str | None = None) -> str:
    """CEL that holds where each side has exactly these speakers; of one subject alone, if one is given."""
    parts = [] if subject is None else [f"subject == {_text(subject)}"]
    parts.append(f"size(sides) == {len(sides)}")
    for speakers, count in sorted(Counter(tuple(sorted(set(side))) for side in sides).items()):
        said = _spoken_by(speakers)
        parts.append(
            f"sides.exists_one(s, {said})" if count == 1 else f"size(sides.filter(s, {said})) == {count}"
        )
    return " && ".join(parts)


def value_under(settings: Mapping[str, Any], key: str, subject: str, said: Sequence[Said]) -> bytes | None:
    """The value, as canonical JSON, that the rule alone lets stand between what the voices say; None if it decides
    nothing. The engine itself says so. Raises ExpressionError for a condition that is no CEL."""
    spec = RuleSpec(
        name=settings["name"],
        kind=settings["kind"],
        keys=tuple(settings["keys"]),
        params=settings["params"],
        expression=settings["expression"],
    )
    condition = compile_expression(spec.expression, expression_names(spec.kind)) if spec.expression else None
    slot = Slot(key, subject)
    for seq, one in enumerate(said):
        evidence = canonical(dict(one.evidence)) if one.evidence else b""
        slot.cands.append(
            Candidate(
                Voice(one.agent, 0, one.item or None),
                slot,
                canonical(one.value),
                round(one.confidence * 1000),
                evidence,
                GROUND,
                seq,
            )
        )
    return resolve(slot, KeyPlan(KeySpec(key), resolution=[Rule(spec, condition)]), {}, "").raw


def _place_of(sides: Sequence[Speakers], kept: Speakers) -> int:
    if not kept:
        raise CannotLearn("No side was kept, and a rule can only let one of the sides win.")
    place = side_like(kept, sides)
    if place is None:
        raise CannotLearn("Its sides cannot be told apart by who speaks on them.")
    return place


def _params(own: Sequence[str]) -> dict[str, list[str]]:
    """Who dominates. Agents are enough: the condition says that all of them speak on that side."""
    agents = [name for name in own if not name.startswith("@")]
    sources = [name.removeprefix(f"{SEED}:") for name in own if name.startswith(f"{SEED}:")]
    if agents:
        return {"agents": agents}
    if sources:
        return {"sources": sources}
    if not own:
        raise CannotLearn("Whoever speaks on the side that was kept speaks on another one too.")
    who = "people" if PERSON in own else "seeds that name no source"
    raise CannotLearn(f"Only {who} speak on the side that was kept, and a rule cannot name them.")


def _spoken_by(speakers: Sequence[str]) -> str:
    """CEL for "exactly these speak on the side `s`"."""
    agents = [name for name in speakers if name != SEED and not name.startswith(f"{SEED}:")]
    seeds = [name for name in speakers if name not in agents]
    tests = [_is_agent(agents)] if agents else []
    tests += [_is_seed(name) for name in seeds]
    said = f"s.voices.all(v, {' || '.join(tests)})"
    if len(speakers) == 1:
        return said  # a side has a voice
    each = [_is_agent([name]) for name in agents] + [_is_seed(name) for name in seeds]
    return " && ".join([said, *(f"s.voices.exists(v, {test})" for test in each)])


def _is_agent(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"v.agent == {_text(names[0])}"
    return f"v.agent in [{', '.join(_text(name) for name in names)}]"


def _is_seed(speaker: str) -> str:
    if speaker == SEED:
        source = 'has(v.evidence.source) && type(v.evidence.source) == type("") && v.evidence.source != ""'
        return f"(v.agent == {_text(SEED)} && !({source}))"
    name = _text(speaker.removeprefix(f"{SEED}:"))
    return f"(v.agent == {_text(SEED)} && has(v.evidence.source) && v.evidence.source == {name})"


def _text(text: str) -> str:
    """A CEL string: JSON writes them alike."""
    return json.dumps(text, ensure_ascii=False)


def _name(key: str, own: Sequence[str], others: Sequence[str], subject: str) -> str:
    where = f" for {subject}" if subject else ""
    name = f"{key}: {_listed(own)} over {_listed(others)}{where}"
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name.removeprefix(f"{SEED}:").removeprefix("@") for name in names)
