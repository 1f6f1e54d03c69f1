"""Rules of governance in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from converge_site.fragments.words import Look
from runtime.models import GovernanceRule

_LOOKS = {
    "constraint": Look("ban", "red", "constraint"),
    "invariant": Look("flag", "green", "invariant"),
    "approval": Look("hold", "amber", "approval"),
    "operator": Look("person", "amber", "operator"),
    "aggregation": Look("merge", "blue", "aggregation"),
    "dominance": Look("up", "blue", "dominance"),
    "newer": Look("clock", "blue", "newer"),
    "confidence": Look("gauge", "blue", "confidence"),
    "discount": Look("half", "grey", "discount"),
}


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule as shown."""

    rule: GovernanceRule
    look: Look
    words: str


def rule_views(rules: Iterable[GovernanceRule]) -> list[RuleView]:
    """The rules with what each says in words, in the order given."""
    return [
        RuleView(rule, _LOOKS.get(rule.kind, Look("dash", "grey", rule.kind)), say_rule(rule))
        for rule in rules
    ]


def say_rule(rule: GovernanceRule) -> str:
    """What a rule does, as a sentence. An expression is shown beside it, not translated."""
    params: dict[str, Any] = rule.params or {}
    sentence = _SENTENCES[rule.kind](params)
    needs = rule.kind in ("constraint", "invariant")
    return sentence + ("" if needs or not rule.expression else ", where the condition holds") + "."


def _dominance(params: dict[str, Any]) -> str:
    named = [
        *(f"agent {name}" for name in params.get("agents") or ()),
        *(f"source {name}" for name in params.get("sources") or ()),
        *(f"evidence {name} = {value}" for name, value in (params.get("evidence") or {}).items()),
    ]
    return f"The side of {_listed(named, 'or') or 'nobody yet'} wins, if it is on one side only"


def _newer(params: dict[str, Any]) -> str:
    return f"The side that is newer by its evidence `{params.get('field', 'observed_at')}` wins"


def _confidence(params: dict[str, Any]) -> str:
    return f"The stronger side wins, if it is ahead by at least {params.get('margin', 0):g}"


def _aggregation(params: dict[str, Any]) -> str:
    return f"The agent {params.get('agent', '?')} sees the sides and rules"


def _approval(params: dict[str, Any]) -> str:
    count = params.get("count", 1)
    who = _listed([str(group) for group in params.get("groups") or ()], "or") or "operator"
    people = f"{count} {'person' if count == 1 else 'people'} of the role {who}"
    submitter = ", never the submitter" if params.get("exclude_submitter") else ""
    return f"A value stands only once approved by {people}{submitter}"


def _discount(params: dict[str, Any]) -> str:
    parts = [
        f"times {params[name]:g} on {name} input"
        for name in ("incomplete", "provisional")
        if isinstance(params.get(name), int | float)
    ]
    return f"Published confidence is reduced: {_listed(parts, 'and') or 'by nothing'}"


_SENTENCES = {
    "constraint": lambda params: "A proposal is refused unless the expression holds",
    "invariant": lambda params: (
        f"Tier {params['tier']} is reached only while the expression holds"
        if params.get("tier")
        else "No tier is reached unless the expression holds"
    ),
    "operator": lambda params: "No further rule is asked: a person decides",
    "dominance": _dominance,
    "newer": _newer,
    "confidence": _confidence,
    "aggregation": _aggregation,
    "approval": _approval,
    "discount": _discount,
}


def _listed(parts: list[str], word: str) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}"
