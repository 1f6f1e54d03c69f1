"""Anytime answers: what a job can say now, with what it lacks (D4.4, D3.8)."""

from __future__ import annotations

from typing import Any

from runtime.engine.ledger import Ledger
from runtime.engine.state import FACT, Slot


def incomplete_keys(ledger: Ledger) -> dict[str, str]:
    """Keys that lack what a failed agent would have said, and all that is made from them; each with the key where the
    gap began (D4.3)."""
    found: dict[str, str] = {}
    for agent in ledger.agents:
        if agent.open_failures():
            found.update({key: key for key in sorted(agent.writes) if key not in found})
    growing = bool(found)
    while growing:
        growing = False
        for agent in ledger.agents:
            cause = next((found[k] for k in (*agent.reads, agent.spec.over) if k in found), None)
            for key in sorted(agent.writes) if cause else ():
                if key not in found:
                    found[key] = cause  # type: ignore[assignment]
                    growing = True
    return found


def marks(ledger: Ledger, provisional: dict[Slot, None]) -> list[dict[str, Any]]:
    """The published facts that are no plain facts: provisional ones, and those that rest on incomplete input, with
    their discounted confidence in thousandths (D3.8). In canonical order."""
    incomplete = incomplete_keys(ledger)
    slots = {s: None for s in provisional if ledger.plan.keys[s.key].answers}
    for key in incomplete:
        if ledger.plan.keys[key].answers:
            slots.update(dict.fromkeys(s for s in ledger.keys[key].slots.values() if s.status == FACT))
    ordered = sorted(slots, key=lambda s: (s.key, s.subject))
    return [_mark(ledger, s, s in provisional, incomplete.get(s.key)) for s in ordered]


def _mark(ledger: Ledger, slot: Slot, provisional: bool, incomplete: str | None) -> dict[str, Any]:
    factor = 1.0
    for rule in ledger.plan.discounts:
        if not rule.spec.keys or rule.spec.covers(slot.key):
            factor *= float(rule.spec.params.get("provisional", 1)) if provisional else 1.0
            factor *= float(rule.spec.params.get("incomplete", 1)) if incomplete else 1.0
    mark: dict[str, Any] = {"key": slot.key, "subject": slot.subject, "from": slot.strength}
    mark["conf"] = round(slot.strength * factor)
    if provisional:
        mark["provisional"] = True
    if incomplete:
        mark["incomplete"] = incomplete
    return mark


def count_answer_facts(ledger: Ledger) -> int:
    """How many facts the answer publishes."""
    return sum(
        state.shown - len(state.contested) - len(state.held)
        for name, state in ledger.keys.items()
        if ledger.plan.keys[name].answers
    )
