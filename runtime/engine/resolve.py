"""What stands in a slot: a function of its candidates and of what people said, not of their history (D3)."""

from __future__ import annotations

from typing import Any, NamedTuple

from runtime.engine.compiled import KeyPlan, Rule
from runtime.engine.expr import ExpressionError
from runtime.engine.policies import LEAVES, rules_on_deciding
from runtime.engine.rules import DECIDERS, Sides, side_strength
from runtime.engine.spec import CLOCK, RuleSpec
from runtime.engine.state import CONTESTED, EMPTY, FACT, HELD, Candidate, Desk, Slot
from runtime.engine.values import THOUSAND, parse

Trace = list[dict[str, Any]]


class Standing(NamedTuple):
    """What stands, and why. `would` is a value that needs approval or was refused; `asked` are the aggregation agents
    (their numbers) whose rule was reached."""

    status: int
    raw: bytes | None
    strength: int
    would: bytes | None = None
    rule: str | None = None
    trace: Trace | None = None
    asked: tuple[int, ...] = ()
    refused: bool = False


NOTHING = Standing(EMPTY, None, 0)


def resolve(slot: Slot, plan: KeyPlan, agents: dict[str, int], submitter: str) -> Standing:
    """Works out again what stands in `slot`. `agents` numbers the pack's agents by name."""
    desk = slot.desk
    if desk is not None and desk.verdict is not None:
        found = _decided(desk)
    elif not slot.cands:
        return NOTHING
    elif len(slot.cands) == 1 or _agree(slot.cands):
        found = Standing(FACT, slot.cands[0].raw, side_strength(slot.cands))
    else:
        found = _between(slot, plan, agents)
    if plan.approvals and found.status == FACT:
        return _approved(slot, plan, found, submitter)
    return found


def _agree(cands: list[Candidate]) -> bool:
    first = cands[0].raw
    return all(c.raw == first for c in cands)


def _decided(desk: Desk) -> Standing:
    verdict = desk.verdict
    assert verdict is not None
    if verdict.raw is None:
        return NOTHING
    return Standing(FACT, verdict.raw, verdict.strength)


def _between(slot: Slot, plan: KeyPlan, agents: dict[str, int]) -> Standing:
    """The first resolution rule that decides between the sides; contested if none does (3.3, 3.4)."""
    sides = slot.sides()
    trace: Trace = []
    asked: list[int] = []
    shape: list[dict[str, Any]] | None = None
    for rule in plan.resolution:
        if rule.expression is not None:
            shape = shape or _as_json(sides)
            why = _does_not_apply(rule, slot, shape)
            if why:
                trace.append(_asked(rule, False, why))
                continue
        kind = rule.spec.kind
        if kind == "operator":
            trace.append(_asked(rule, False, LEAVES))
            break
        if kind == "aggregation":
            at = agents[rule.spec.params["agent"]]
            asked.append(at)
            decided, raw, strength, why = _ruled(slot, at, sides, rule.spec.params["agent"])
            trace.append(_asked(rule, decided, why))
            if decided:
                return Standing(FACT, raw, strength, None, rule.spec.name, trace, tuple(asked))
            if raw is None and strength < 0:
                break
            continue
        winner, why = DECIDERS[kind](rule, sides)
        trace.append(_asked(rule, winner is not None, why))
        if winner is not None:
            return Standing(
                FACT, winner, side_strength(sides[winner]), None, rule.spec.name, trace, tuple(asked)
            )
    return Standing(CONTESTED, None, 0, None, None, trace, tuple(asked))


def _asked(rule: Rule, decided: bool, why: str) -> dict[str, Any]:
    return {"rule": rule.spec.name, "kind": rule.spec.kind, "decided": decided, "why": why}


def _does_not_apply(rule: Rule, slot: Slot, sides: list[dict[str, Any]]) -> str:
    """Why the rule's condition keeps it out of this slot, "" if it applies. An error never decides."""
    assert rule.expression is not None
    try:
        if rule.expression.holds({"key": slot.key, "subject": slot.subject, "sides": sides}):
            return ""
    except ExpressionError as error:
        return f"its condition could not be evaluated: {error}"
    return f"its condition does not hold: {rule.spec.expression}"


def _ruled(slot: Slot, at: int, sides: Sides, name: str) -> tuple[bool, bytes | None, int, str]:
    """(decided, value, strength, why). Undecided with strength -1 means that the rules below must wait (D3.2)."""
    ruling = slot.desk.rulings.get(at) if slot.desk is not None else None
    if ruling is None:
        return False, None, -1, f"{name} has not ruled on these sides yet"
    if ruling.refused:
        return False, None, -1, f"what {name} ruled was refused"
    if ruling.raw is not None:
        return True, ruling.raw, ruling.conf, f"{name} ruled"
    if ruling.sides == signature(sides):
        return False, None, 0, f"{name} abstained"
    return False, None, -1, f"{name} abstained on other sides and has not seen these"


def signature(sides: Sides) -> tuple[Any, ...]:
    """Exactly what an aggregation agent is shown of the sides, for comparison."""
    return tuple(
        (raw, tuple((c.voice.agent, c.voice.item, c.conf, c.evidence) for c in cands))
        for raw, cands in sides.items()
    )


def _as_json(sides: Sides) -> list[dict[str, Any]]:
    """The sides as rule conditions see them."""
    return [
        {
            "value": parse(raw),
            "confidence": side_strength(cands) / THOUSAND,
            "voices": [
                {
                    "agent": c.voice.agent,
                    "item": c.voice.item,
                    "confidence": c.conf / THOUSAND,
                    "evidence": parse(c.evidence or b"{}"),
                }
                for c in cands
            ],
        }
        for raw, cands in sides.items()
    ]


def _approved(slot: Slot, plan: KeyPlan, found: Standing, submitter: str) -> Standing:
    """Lets a value stand only if every approval rule that is about it is satisfied for that very value."""
    assert found.raw is not None
    rules = [r for r in plan.approvals if _needs_approval(r, slot, found.raw, found.strength)]
    if not rules:
        return found
    desk = slot.desk
    if desk is not None and found.raw in desk.refusals:
        return Standing(EMPTY, None, 0, found.raw, rules[0].spec.name, found.trace, found.asked, refused=True)
    for rule in rules:
        if desk is not None and rule.spec.name in desk.passed.get(found.raw, ()):
            continue  # its deadline let this very value pass
        if approvals_for(desk, rule, found.raw, submitter) < rule.needs:
            return Standing(HELD, None, found.strength, found.raw, rule.spec.name, found.trace, found.asked)
    return found


def rules_with_a_say(
    slot: Slot, plan: KeyPlan, agents: dict[str, int], by: str, groups: tuple[str, ...], submitter: str
) -> list[Rule]:
    """The approval rules about the value that is held here under which this person's word counts."""
    held = resolve(slot, plan, agents, submitter)
    return [
        rule
        for rule in plan.approvals
        if held.would is not None
        and _needs_approval(rule, slot, held.would, held.strength)
        and counts_for(rule, by, groups, submitter)
    ]


def may_decide(
    slot: Slot, plan: KeyPlan, agents: dict[str, int], by: str, groups: tuple[str, ...], submitter: str
) -> bool:
    """Whether this person's decision on the slot counts, as it is now (D9.2)."""
    if by == CLOCK:
        return False
    names = {r.name for r in rules_to_decide(slot, plan, agents, submitter)}
    return all(counts_for(r, by, groups, submitter) for r in plan.resolution if r.spec.name in names)


def may_end_hold(
    slot: Slot, plan: KeyPlan, agents: dict[str, int], by: str, groups: tuple[str, ...], submitter: str
) -> bool:
    """Whether this person has a say about the value that is held, which a decision would put aside. What people decided
    and is held may be decided anew by whoever may decide."""
    if slot.status != HELD or (slot.desk is not None and slot.desk.verdict is not None):
        return True
    name = resolve(slot, plan, agents, submitter).rule
    return all(counts_for(r, by, groups, submitter) for r in plan.approvals if r.spec.name == name)


def rules_to_decide(slot: Slot, plan: KeyPlan, agents: dict[str, int], submitter: str) -> list[RuleSpec]:
    """The operator rules under whose policy the slot is decided: if it was decided, those of then."""
    if slot.desk is not None and slot.desk.verdict is not None:
        made_under = slot.desk.verdict.rules
        return [r.spec for r in plan.resolution if r.spec.name in made_under]
    found = resolve(slot, plan, agents, submitter) if slot.status == CONTESTED else None
    return rules_on_deciding([r.spec for r in plan.resolution], found.trace if found is not None else None)


def _needs_approval(rule: Rule, slot: Slot, raw: bytes, strength: int) -> bool:
    if rule.expression is None:
        return True
    names = {"key": slot.key, "subject": slot.subject, "confidence": strength / THOUSAND}
    try:
        return rule.expression.evaluate({**names, "value": parse(raw)}) is not False
    except ExpressionError:
        return True  # doubt never rounds up: what cannot be told waits for a person


def approvals_for(desk: Desk | None, rule: Rule, raw: bytes, submitter: str) -> int:
    """How many people whose word counts under `rule` have approved exactly this value."""
    if desk is None:
        return 0
    people = dict(desk.approvals.get(raw, {}))
    if desk.verdict is not None and desk.verdict.raw == raw:
        people[desk.verdict.by] = desk.verdict.groups
    return sum(counts_for(rule, name, groups, submitter) for name, groups in people.items())


def counts_for(rule: Rule, name: str, groups: tuple[str, ...], submitter: str) -> bool:
    """Whether this person's word counts under `rule` (D9.2). The clock is nobody: it has rows of its own."""
    params = rule.spec.params
    if name == CLOCK:
        return False
    if params.get("exclude_submitter") and name == submitter:
        return False
    allowed = params.get("groups") or ()
    return not allowed or bool(set(allowed) & set(groups))
