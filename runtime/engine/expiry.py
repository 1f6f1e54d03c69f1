"""Questions that nobody answered in time: which rule asks, and which side is the strongest (D9.2)."""

from __future__ import annotations

from runtime.engine.conflicts import awaiting
from runtime.engine.ledger import Ledger
from runtime.engine.policies import asked_by
from runtime.engine.resolve import resolve
from runtime.engine.rules import side_strength
from runtime.engine.spec import RuleSpec
from runtime.engine.state import CONTESTED, HELD, Slot


def rule_that_asks(ledger: Ledger, slot: Slot) -> RuleSpec | None:
    """The rule under which people are asked about this slot now; None if they are not, or by no rule."""
    plan = ledger.plan.keys[slot.key]
    if slot.status not in (CONTESTED, HELD) or (slot.status == CONTESTED and awaiting(ledger, slot)):
        return None
    found = resolve(slot, plan, ledger.plan.index, ledger.submitter)
    name = found.rule if slot.status == HELD else asked_by(found.trace)
    return next((r.spec for r in (*plan.approvals, *plan.resolution) if r.spec.name == name), None)


def strongest_side(slot: Slot) -> bytes | None:
    """The value of the one side that is stronger than all others; None if two are equally strong."""
    ranked = sorted(((side_strength(cands), raw) for raw, cands in slot.sides().items()), reverse=True)
    return None if ranked[0][0] == ranked[1][0] else ranked[0][1]
