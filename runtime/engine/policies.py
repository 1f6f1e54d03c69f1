"""Which rule asks people, and under whose policy they answer (D9.2): groups, the submitter, a deadline and its outcome.

Approval rules ask for holds, operator rules for conflicts. Both carry the same parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.engine.spec import CLOCK, RESOLUTION_KINDS, PackSpec, RuleSpec

OUTCOMES_OF_DEADLINES = ("stay", "reject", "strongest")
LEAVES = "leaves it to an operator"
SHORTEST, LONGEST = 1, 366 * 86_400  # seconds


def fault_of_policy(params: Mapping[str, Any]) -> str:
    """What is wrong with the policy of a rule, "" if nothing is."""
    groups, deadline, remind = params.get("groups", ()), params.get("deadline"), params.get("remind")
    if isinstance(groups, str) or not all(isinstance(group, str) and group for group in groups):
        return f"`groups` is {groups!r}; it must be a list of names, such as ['operator']"
    for name in ("exclude_submitter", "reason"):
        if not isinstance(params.get(name, False), bool):
            return f"`{name}` is {params[name]!r}; it must be true or false"
    for name in ("deadline", "remind"):
        span = params.get(name)
        if span is not None and (type(span) not in (int, float) or not SHORTEST <= span <= LONGEST):
            return f"`{name}` is {span!r}; it must be seconds from {SHORTEST} to {LONGEST:,} (a year), such as 14400"
    if params.get("outcome", "stay") not in OUTCOMES_OF_DEADLINES:
        return f"`outcome` is {params['outcome']!r}; it must be one of {', '.join(OUTCOMES_OF_DEADLINES)}"
    if deadline is None and ("outcome" in params or remind is not None):
        return f"`{'outcome' if 'outcome' in params else 'remind'}` is about a deadline; give one, in seconds"
    if deadline is not None and remind is not None and remind >= deadline:
        return f"`remind` is {remind:g} seconds before a deadline of {deadline:g}; it must be fewer"
    return ""


def spoken_name(by: str) -> str:
    """Whoever ruled, as people say it: a rule's deadline rules in the clock's name."""
    return "the deadline" if by == CLOCK else by


def asked_by(trace: Sequence[Mapping[str, Any]] | None) -> str:
    """The name of the operator rule that a trace of rules ends in, "" if none leaves the slot to people."""
    last = trace[-1] if trace else None
    return (
        str(last["rule"]) if last is not None and last["kind"] == "operator" and last["why"] == LEAVES else ""
    )


def rules_on_deciding(rules: Sequence[RuleSpec], trace: Sequence[Mapping[str, Any]] | None) -> list[RuleSpec]:
    """The operator rules of a slot whose policies bind who decides it. `rules` are its resolution rules in the order
    asked, `trace` what they said of its sides, None if it is not contested.

    That is the rule which leaves it to people. Where none does, a decision must be good under each of them: else it
    could be had before the question is asked, or by saying something that makes a rule's condition false.
    """
    name = asked_by(trace)
    return [rule for rule in rules if rule.kind == "operator" and name in ("", rule.name)]


def policies_on_deciding(
    pack: PackSpec, key: str, trace: Sequence[Mapping[str, Any]] | None
) -> list[RuleSpec]:
    """As `rules_on_deciding`, from the pack."""
    covering = [r for r in pack.rules if r.enabled and r.kind in RESOLUTION_KINDS and r.covers(key)]
    return rules_on_deciding(sorted(covering, key=lambda r: r.priority), trace)
