"""Rules of governance in words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from django.utils import timezone

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


SOON = dt.timedelta(days=7)

_STATES = {
    "draft": Look("pen", "grey", "draft", "In force nowhere: no job freezes it."),
    "active": Look("done", "green", "active", "Jobs submitted now freeze it."),
    "retired": Look("ban", "grey", "retired", "No job freezes it any more."),
    "expired": Look("clock", "amber", "expired", "Its time has passed: no job freezes it any more."),
}


class Sayable(Protocol):
    """A row of a rule, or its spec."""

    @property
    def kind(self) -> Any: ...

    @property
    def params(self) -> Any: ...

    @property
    def expression(self) -> str: ...


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule as shown. `state` is that of now: an active rule may have expired."""

    rule: GovernanceRule
    look: Look
    words: str
    state: Look

    @property
    def expires_soon(self) -> bool:
        """Whether jobs freeze it for a few days only."""
        ends = self.rule.expires_at
        return ends is not None and self.state.word == "active" and ends - timezone.now() < SOON


def rule_views(rules: Iterable[GovernanceRule]) -> list[RuleView]:
    """The rules with what each says in words, in the order given."""
    return [RuleView(rule, look_of_rule(rule.kind), say_rule(rule), look_of_state(rule)) for rule in rules]


def look_of_rule(kind: str) -> Look:
    """How a kind of rule is shown."""
    return _LOOKS.get(kind, Look("dash", "grey", kind))


def look_of_state(rule: GovernanceRule) -> Look:
    """How the state of a rule is shown, as it is now."""
    expired = rule.is_active and rule.expires_at is not None and rule.expires_at <= timezone.now()
    return _STATES["expired" if expired else rule.state]


def say_rule(rule: Sayable) -> str:
    """What a rule does, as a sentence. An expression is shown beside it, not translated."""
    params: dict[str, Any] = dict(rule.params or {})
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
    return f"The side that is newer by its evidence “{params.get('field', 'observed_at')}” wins"


def _confidence(params: dict[str, Any]) -> str:
    return f"The stronger side wins, if it is ahead by at least {params.get('margin', 0):g}"


def _aggregation(params: dict[str, Any]) -> str:
    return f"The agent {params.get('agent', '?')} sees the sides and rules"


def _operator(params: dict[str, Any]) -> str:
    groups = [str(group) for group in params.get("groups") or ()]
    who = f"somebody of the role {_listed(groups, 'or')}" if groups else "a person"
    return f"No further rule is asked: {who} decides{_policy(params)}"


def _approval(params: dict[str, Any]) -> str:
    count = params.get("count", 1)
    who = _listed([str(group) for group in params.get("groups") or ()], "or") or "operator"
    people = f"{count} {'person' if count == 1 else 'people'} of the role {who}"
    return f"A value stands only once approved by {people}{_policy(params)}"


_AT_DEADLINE = {
    "stay": "it stays open",
    "reject": "nothing stands",
    "strongest": "the strongest side stands",
}


def _policy(params: dict[str, Any]) -> str:
    """By which policy people answer (D9.2), to go on a sentence with."""
    parts = []
    if params.get("exclude_submitter"):
        parts.append(", never the submitter")
    if params.get("reason"):
        parts.append(", with a reason")
    deadline, remind = params.get("deadline"), params.get("remind")
    if isinstance(deadline, int | float):
        ends = _AT_DEADLINE.get(str(params.get("outcome", "stay")), _AT_DEADLINE["stay"])
        parts.append(f", within {span_words(deadline)}, after which {ends}")
        if isinstance(remind, int | float):
            parts.append(f"; people are reminded {span_words(remind)} before")
    return "".join(parts)


def span_words(seconds: float) -> str:
    """A span in its two largest units: 2 days 4 h, 30 min, 45 s."""
    found: list[str] = []
    left = round(seconds)
    for word, size in (("days", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count and len(found) < 2:
            found.append(f"{count} {'day' if word == 'days' and count == 1 else word}")
    return " ".join(found) or "0 s"


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
    "operator": _operator,
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
