"""What people rule, and deadlines in their stead: decisions, approvals, refusals, and taking them back (D3.7, D9.2)."""

from __future__ import annotations

from typing import Any

from orjson import Fragment

from runtime.engine.expiry import rule_that_asks, strongest_side
from runtime.engine.inputs import InboxRow
from runtime.engine.ledger import Ledger
from runtime.engine.policies import spoken_name
from runtime.engine.prepare import check_value
from runtime.engine.receipts import Receipt, chosen, finish, restand
from runtime.engine.resolve import (
    approvals_for,
    counts_for,
    may_decide,
    may_end_hold,
    resolve,
    rules_to_decide,
    rules_with_a_say,
)
from runtime.engine.rules import side_strength
from runtime.engine.state import HELD, Slot, Verdict
from runtime.engine.values import BoundsError, canonical
from runtime.engine.versions import REFUSALS_ARE_UNDONE

NO_SAY = "your word does not count under the rule that holds this"
NO_DECISION = "your decision does not count under the rule that leaves this to people"
NOT_JSON = "the value is not JSON as Converge takes it, or is too large"


def decide(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    """Lets a person rule on a slot, if their decision counts under the rules that ask for it."""
    fields.update(chosen(row))
    if row.on:
        fields["on"] = row.on
        rule = rule_that_asks(ledger, slot)
        if rule is not None and rule.name != row.on:
            return finish(
                ledger, row, fields, "stale", "another rule asks about this by now; nothing was done"
            )
    if not _counts(ledger, row, slot):
        return finish(ledger, row, fields, "refused", NO_DECISION)
    raw: bytes | None = None
    if not row.none:
        try:
            raw = canonical(row.value)
        except BoundsError:
            return finish(ledger, row, fields, "refused", NOT_JSON)
        refusal, _ = check_value(ledger, "@operator", row.key, row.subject, raw, 1000, b"")
        if refusal:
            return finish(ledger, row, fields, "refused", refusal)
    before = slot.desk.verdict if slot.desk is not None else None
    plan = ledger.plan.keys[slot.key]
    rules = tuple(r.name for r in rules_to_decide(slot, plan, ledger.plan.index, ledger.submitter))
    slot.own_desk().verdict = Verdict(raw, row.by, row.groups, rules)
    if raw is not None and ledger.engine_version >= REFUSALS_ARE_UNDONE:
        found = resolve(slot, plan, ledger.plan.index, ledger.submitter)
        if found.refused:
            slot.own_desk().verdict = before
            said_no = spoken_name(slot.own_desk().refusals[raw])
            return finish(
                ledger, row, fields, "refused", f"{said_no} refused this very value; undo that first"
            )
    return restand(ledger, row, slot, fields, "decided")


def _counts(ledger: Ledger, row: InboxRow, slot: Slot) -> bool:
    asked = (slot, ledger.plan.keys[slot.key], ledger.plan.index, row.by, row.groups, ledger.submitter)
    return may_decide(*asked) and (ledger.engine_version < REFUSALS_ARE_UNDONE or may_end_hold(*asked))


def undo(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    """Takes back the decision on a slot; where there is none, what was refused or let pass in it."""
    if slot.desk is None or slot.desk.verdict is None:
        if ledger.engine_version >= REFUSALS_ARE_UNDONE and slot.desk is not None and slot.desk.is_answered():
            return _undo_answers(ledger, row, slot, fields)
        return finish(ledger, row, fields, "refused", "nobody decided this slot; there is nothing to undo")
    if not _counts(ledger, row, slot):
        return finish(ledger, row, fields, "refused", NO_DECISION)
    slot.desk.verdict = None
    return restand(ledger, row, slot, fields, "the decision is undone")


def _undo_answers(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    """What was refused, or let pass at a deadline, is asked again."""
    approvals = ledger.plan.keys[slot.key].approvals
    if not any(counts_for(rule, row.by, row.groups, ledger.submitter) for rule in approvals):
        return finish(ledger, row, fields, "refused", NO_SAY)
    desk = slot.own_desk()
    desk.refusals.clear()
    desk.passed.clear()
    return restand(ledger, row, slot, fields, "the answer is undone; it is asked again")


def approve(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    """Counts one person's approval for exactly the value that is held, and no other (D9.2)."""
    if slot.status != HELD or slot.would is None:
        return finish(ledger, row, fields, "stale", "nothing waits for approval here any more")
    plan = ledger.plan.keys[slot.key]
    raw = slot.would
    rules = rules_with_a_say(slot, plan, ledger.plan.index, row.by, row.groups, ledger.submitter)
    if not rules:
        return finish(ledger, row, fields, "refused", NO_SAY)
    people = slot.own_desk().approvals.setdefault(raw, {})
    people[row.by] = row.groups
    have = max(approvals_for(slot.desk, r, raw, ledger.submitter) for r in rules)
    need = max(r.needs for r in rules)
    receipt = restand(ledger, row, slot, fields, f"approved, {have} of {need}")
    if slot.status != HELD:
        slot.own_desk().asked = (
            None  # this entry says so; any other end of a hold is told when the cycle closes
        )
    ledger.log.add(
        {
            "kind": "approval",
            "action": "granted",
            "key": slot.key,
            "subject": slot.subject,
            "value": Fragment(raw),
            "by": row.by,
            "have": have,
            "need": need,
            "open": slot.status == HELD,
        }
    )
    return receipt


def refuse(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    """Takes one person's refusal of exactly the value that is held: it never stands, unless undone."""
    if slot.status != HELD or slot.would is None:
        return finish(ledger, row, fields, "stale", "nothing waits for approval here any more")
    raw = slot.would
    plan = ledger.plan.keys[slot.key]
    if not rules_with_a_say(slot, plan, ledger.plan.index, row.by, row.groups, ledger.submitter):
        return finish(ledger, row, fields, "refused", NO_SAY)
    slot.own_desk().refusals[raw] = row.by
    receipt = restand(ledger, row, slot, fields, "refused; this value will not stand")
    ledger.log.add(
        {
            "kind": "approval",
            "action": "refused",
            "key": slot.key,
            "subject": slot.subject,
            "value": Fragment(raw),
            "by": row.by,
        }
    )
    return receipt


def expire(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    """The deadline of the rule `row.on` has passed, and nobody answered: what the rule says shall happen then, happens
    to this very question and no other (D9.2)."""
    fields["on"] = row.on
    rule = rule_that_asks(ledger, slot)
    if rule is None or rule.name != row.on:
        return finish(ledger, row, fields, "stale", "nothing waits for people under this rule here any more")
    outcome = rule.params.get("outcome", "stay")
    if outcome not in ("reject", "strongest"):
        return finish(ledger, row, fields, "refused", "the rule lets it stay open")
    if slot.status == HELD and slot.would is not None:
        return _expire_hold(ledger, row, slot, fields, outcome, slot.would)
    if outcome == "reject":
        slot.own_desk().verdict = Verdict(None, row.by, (), (rule.name,))
        return restand(ledger, row, slot, fields, "nobody decided in time; nothing stands")
    strongest = strongest_side(slot)
    if strongest is None:
        return finish(ledger, row, fields, "refused", "nobody decided in time, and no side is the strongest")
    strength = side_strength(slot.sides()[strongest])  # nobody looked: it is no surer than it was said
    slot.own_desk().verdict = Verdict(strongest, row.by, (), (rule.name,), strength)
    return restand(ledger, row, slot, fields, "nobody decided in time; the strongest side stands")


def _expire_hold(
    ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any], outcome: str, raw: bytes
) -> Receipt:
    desk = slot.own_desk()
    about = {
        "kind": "approval",
        "key": slot.key,
        "subject": slot.subject,
        "value": Fragment(raw),
        "by": row.by,
    }
    if outcome == "reject":
        desk.refusals[raw] = row.by
        receipt = restand(ledger, row, slot, fields, "nobody answered in time; this value will not stand")
        ledger.log.add({**about, "action": "refused"})
        return receipt
    desk.passed.setdefault(raw, {})[row.on] = None
    receipt = restand(ledger, row, slot, fields, "nobody answered in time; the rule lets it stand")
    if slot.status != HELD:
        desk.asked = None
    ledger.log.add({**about, "action": "passed", "rule": row.on, "open": slot.status == HELD})
    return receipt
