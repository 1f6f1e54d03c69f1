"""How far the answer has come: each tier is reached or it is not, and what is missing is named (D4.2).

Doubt never rounds up: whatever cannot be proven is a gap (D4.6).
"""

from __future__ import annotations

from typing import Any

from runtime.engine.compiled import Rule
from runtime.engine.eligible import is_eligible
from runtime.engine.expr import ExpressionError
from runtime.engine.ledger import AgentState, Ledger
from runtime.engine.state import Slot

MAX_NAMED = 20

Gap = dict[str, Any]


def judge_tiers(ledger: Ledger, upto: int, provisional: dict[Slot, None]) -> list[list[Gap]]:
    """The gaps of tiers 1..`upto`, in order. An empty list is a tier whose own demands are met."""
    return [_gaps(ledger, tier, provisional) for tier in range(1, upto + 1)]


def _gaps(ledger: Ledger, tier: int, provisional: dict[Slot, None]) -> list[Gap]:
    gaps: list[Gap] = []
    for agent in ledger.agents:
        if agent.tier == tier and (agent.spec.required or agent.spec.wait or is_eligible(ledger, agent)):
            gaps += _agent_gaps(ledger, agent)
    for name, plan in ledger.plan.keys.items():
        state = ledger.keys[name]
        if plan.tier == tier and (state.contested or state.held):
            gaps += _slot_gaps("conflict", state.contested) + _slot_gaps("hold", state.held)
    gaps += _slot_gaps("refused", (s for s in ledger.refused_slots if _tier_of(ledger, s) == tier))
    gaps += _slot_gaps("provisional", (s for s in provisional if _tier_of(ledger, s) == tier))
    for rule in ledger.plan.invariants:
        if int(rule.spec.params.get("tier", 1)) == tier:
            gaps += invariant_gap(ledger, rule)
    return gaps


def _tier_of(ledger: Ledger, slot: Slot) -> int:
    return ledger.plan.keys[slot.key].tier


def _agent_gaps(ledger: Ledger, agent: AgentState) -> list[Gap]:
    name = agent.spec.name
    if is_eligible(ledger, agent):
        return [_gap("eligible", f"`{name}` still has work to do", agent=name)]
    if not agent.spec.required:
        return _awaited(ledger, agent) if agent.spec.wait else []
    gaps: list[Gap] = []
    if agent.spec.shape == "whole" and (not agent.ever or agent.voice(None).silent):
        gaps.append(_gap("nothing_to_read", f"`{name}` is required and has nothing to read", agent=name))
    for item, failure in _first(agent.open_failures()):
        on = f" on {item}" if item is not None else ""
        text = f"`{name}` failed{on}: {failure.message} ({failure.cls})"
        gap = _gap("failed", text, agent=name, item=item, cls=failure.cls, transient=failure.transient)
        if failure.tool:
            gap["tool"] = failure.tool
        given_up = ledger.given_up.get((agent.at, item), "")
        if given_up:
            gap.update(text=f"{text}; {given_up}", given_up=True)
        gaps.append(gap)
    for item, refusals in _first(agent.open_refusals()):
        key, subject, why = refusals[0]
        text = f"what `{name}` proposed was refused: {why}"
        gaps.append(_gap("rejected", text, agent=name, item=item, key=key, subject=subject))
    return gaps


def _awaited(ledger: Ledger, agent: AgentState) -> list[Gap]:
    """An optional agent that the pack says to wait for (D4.3), while it may recover and nobody has given it up."""
    open_failures = agent.open_failures().items()
    transient = {i: f for i, f in open_failures if f.transient and (agent.at, i) not in ledger.given_up}
    for item, failure in _first(transient)[:1]:
        name, wait = agent.spec.name, agent.spec.wait
        text = f"`{name}` is optional and waited for, up to {wait:g} s: {failure.message} ({failure.cls})"
        gap = _gap("awaited", text, agent=name, item=item, cls=failure.cls, tool=failure.tool, wait=wait)
        return [{**gap, "transient": True}]
    return []


def may_recover(gap: Gap) -> bool:
    """Whether a gap may close by itself when a dependency recovers (D5.4)."""
    return bool(gap.get("transient")) and not gap.get("given_up")


def _first(named: dict[Any, Any]) -> list[tuple[Any, Any]]:
    """The first few, in canonical order, so that a gap list stays readable."""
    return sorted(named.items(), key=lambda pair: pair[0] or "")[:MAX_NAMED]


_WORDS = {
    "conflict": "{} / {} is contested",
    "hold": "{} / {} waits for approval",
    "refused": "{} / {} was refused approval",
    "provisional": "{} / {} is provisional: what it rests on does not stand any more",
}


def _slot_gaps(what: str, slots: Any) -> list[Gap]:
    ordered = sorted(slots, key=lambda s: (s.key, s.subject))
    gaps = [
        _gap(what, _WORDS[what].format(s.key, s.subject), key=s.key, subject=s.subject)
        for s in ordered[:MAX_NAMED]
    ]
    if len(ordered) > MAX_NAMED:
        gaps.append(_gap(what, f"and {len(ordered) - MAX_NAMED:,} more like these", count=len(ordered)))
    return gaps


def invariant_gap(ledger: Ledger, rule: Rule) -> list[Gap]:
    """What keeps an invariant from holding; an error does not hold either."""
    assert rule.expression is not None
    name = rule.spec.name
    try:
        if rule.expression.holds({}, ledger.lookups()):
            return []
        why = rule.spec.message or f"`{rule.spec.expression}` does not hold"
    except ExpressionError as error:
        why = f"it could not be evaluated: {error}"
    return [_gap("invariant", f"{name}: {why}", rule=name)]


def invariant_is_open(ledger: Ledger, rule: Rule) -> bool:
    """Whether a broken invariant may only be waiting: something it looks at is contested, held, refused or failed."""
    assert rule.expression is not None
    keys = set(rule.expression.keys)
    return any(
        ledger.keys[k].contested or ledger.keys[k].held or not ledger.keys[k].shown
        for k in keys
        if k in ledger.keys
    ) or any(agent.open_failures() and keys & agent.writes for agent in ledger.agents)


def _gap(what: str, text: str, **named: Any) -> Gap:
    return {"what": what, "text": text, **{k: v for k, v in named.items() if v not in (None, "")}}
