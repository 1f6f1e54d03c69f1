"""Conflicts and holds open, change and close at the end of a cycle (D3.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orjson import Fragment

from runtime.engine.ledger import Ledger
from runtime.engine.policies import asked_by
from runtime.engine.resolve import approvals_for, resolve
from runtime.engine.state import CONTESTED, HELD, Desk, Slot, slot_version
from runtime.engine.values import parse


def settle_questions(ledger: Ledger, slots: Iterable[Slot]) -> None:
    """Writes down, for every slot touched in this cycle, what became of its conflict and its hold."""
    for slot in sorted(slots, key=lambda s: (s.key, s.subject)):
        if slot.status == CONTESTED or (slot.desk is not None and slot.desk.open_version is not None):
            _settle_conflict(ledger, slot, slot.own_desk())
        if slot.status == HELD or (slot.desk is not None and slot.desk.asked is not None):
            _settle_hold(ledger, slot, slot.own_desk())


def awaiting(ledger: Ledger, slot: Slot) -> str:
    """The aggregation agent that is about to rule on the slot, "" if it is up to people."""
    for at in ledger.asked.get(slot, ()):
        agent = ledger.agents[at]
        if (
            slot.subject in agent.pending
            or slot.subject in agent.retry
            or (agent.dirty and slot.subject in agent.reached)
        ):
            return agent.spec.name
    return ""


def _settle_conflict(ledger: Ledger, slot: Slot, desk: Desk) -> None:
    if slot.status != CONTESTED:
        ledger.log.add(
            {**_named(slot, "conflict", "closed"), "how": _how(slot, desk), "version": desk.open_version[0]}
        )
        desk.open_version = None
        return
    plan = ledger.plan.keys[slot.key]
    trace = resolve(slot, plan, ledger.plan.index, ledger.submitter).trace
    asked = asked_by(trace)
    # Another rule may ask while the sides' values are the same. Only one with a policy makes that another question.
    policy = asked if any(r.spec.name == asked and r.spec.params for r in plan.resolution) else ""
    now = (slot_version(slot), awaiting(ledger, slot), policy)
    if now == desk.open_version:
        return
    action = "opened" if desk.open_version is None else "changed"
    desk.open_version = now
    fields = {**_named(slot, "conflict", action), "version": now[0], "sides": sides_as_json(slot)}
    if policy:
        fields["rule"] = policy
    if trace:
        fields["trace"] = trace
    if now[1]:
        fields["awaiting"] = now[1]
    ledger.log.add(fields)


def _how(slot: Slot, desk: Desk) -> str:
    if desk.verdict is not None:
        return "decided"
    if len(slot.sides()) < 2:
        return "agreed" if slot.cands else "withdrawn"
    return "ruled"


def _settle_hold(ledger: Ledger, slot: Slot, desk: Desk) -> None:
    plan = ledger.plan.keys[slot.key]
    standing = resolve(slot, plan, ledger.plan.index, ledger.submitter)
    rule = next((r for r in plan.approvals if slot.status == HELD and r.spec.name == standing.rule), None)
    asked = (slot.would, rule.spec.name) if rule is not None and slot.would is not None else None
    if asked == desk.asked:
        return
    if desk.asked is not None and asked is None and desk.asked[0] not in desk.refusals:
        fields = {**_named(slot, "approval", "lapsed"), "value": Fragment(desk.asked[0])}
        if desk.verdict is not None:
            fields["how"] = "decided"
        ledger.log.add(fields)
    desk.asked = asked
    if asked is None or rule is None:
        return
    ledger.log.add(
        {
            **_named(slot, "approval", "asked"),
            "value": Fragment(asked[0]),
            "conf": standing.strength,
            "version": slot_version(slot),
            "rule": rule.spec.name,
            "have": approvals_for(desk, rule, asked[0], ledger.submitter),
            "need": rule.needs,
            "sides": sides_as_json(slot),
        }
    )


def _named(slot: Slot, kind: str, action: str) -> dict[str, Any]:
    return {"kind": kind, "action": action, "key": slot.key, "subject": slot.subject}


def sides_as_json(slot: Slot) -> list[dict[str, Any]]:
    """The sides as people are shown them; strongest first, then by value."""
    sides = [
        {
            "value": parse(raw),
            "conf": max(c.conf for c in cands),
            "voices": [
                {
                    "agent": c.voice.agent,
                    **({"item": c.voice.item} if c.voice.item is not None else {}),
                    "conf": c.conf,
                    "seq": c.seq,
                }
                for c in cands
            ],
        }
        for raw, cands in slot.sides().items()
    ]
    return sorted(sides, key=lambda s: -s["conf"])
