"""The serial merge: one statement at a time, each to exactly one outcome, the first that applies (D2.3, section 3)."""

from __future__ import annotations

from typing import Any

from orjson import Fragment

from runtime.engine.compiled import KeyPlan
from runtime.engine.ledger import Ledger
from runtime.engine.policies import spoken_name
from runtime.engine.prepare import Prepared, Rejected, Statement
from runtime.engine.resolve import Standing
from runtime.engine.spec import OPERATOR
from runtime.engine.state import CONTESTED, FACT, HELD, STATUS_NAMES, Candidate, Shown, Slot, Voice


def merge_run(ledger: Ledger, done: Prepared) -> None:
    """Merges what one voice said: withdrawals first, then statements as proposed (D2.3)."""
    voice = done.run.voice
    if voice.said:
        _withdraw_unsaid(ledger, done)
    for said in done.said:
        if isinstance(said, Statement):
            merge_statement(ledger, voice, said)
        else:
            write_rejected(ledger, voice, said)


def _withdraw_unsaid(ledger: Ledger, done: Prepared) -> None:
    """A run speaks for its voice: what it said before and does not say now is withdrawn (D3.5)."""
    valid = {(s.key, s.subject) for s in done.said if type(s) is Statement}
    refused = {(s.key, s.subject) for s in done.said if type(s) is Rejected}
    append = done.agent.spec.append
    for cand in list(done.run.voice.said.values()):
        slot = (cand.slot.key, cand.slot.subject)
        if slot in valid:
            continue
        if slot in refused:
            withdraw(ledger, cand, "what it says now was refused")
        elif not append:
            withdraw(ledger, cand, "it does not say so any more")
        elif not cand.premises.hold():
            withdraw(ledger, cand, "a premise fell, and it was not said again")


def merge_statement(ledger: Ledger, voice: Voice, said: Statement) -> None:
    """Puts one statement into its slot and writes down its outcome; nothing if the voice repeats itself unchanged."""
    key, subject, raw, conf, evidence, premises, because = said
    slot = ledger.slot(key, subject)
    old = voice.said.get(slot)
    if old is not None and old.raw == raw and old.conf == conf and old.evidence == evidence:
        if not old.premises.hold():
            ledger.rebase(old, premises)
        return
    plan = ledger.plan.keys[key]
    log = ledger.log
    before = (slot.status, slot.raw, slot.strength)
    stood = old is not None and before[0] == FACT and before[1] == old.raw
    ledger.put(Candidate(voice, slot, raw, conf, evidence, premises, log.seq), old)
    standing = ledger.restand(slot, plan)
    fields: dict[str, Any] = {
        "kind": "revised" if stood else "accepted",
        "agent": voice.agent,
        "key": key,
        "subject": subject,
        "value": Fragment(raw),
        "conf": conf,
    }
    if voice.item is not None:
        fields["item"] = voice.item
    if evidence:
        fields["evidence"] = Fragment(evidence)
    if because is not None:
        fields["because"] = because
    if standing is None:  # alone in its slot, and nobody is asked: what it says is what stands
        if before != (FACT, raw, conf):
            fields["now"] = "fact"
            slot.seq, slot.cycle = log.seq, ledger.cycle
        log.add(fields)
        return
    supported = before[0] == FACT and before[1] == raw and _another_says(slot, voice, raw)
    fields["kind"], reason = outcome_of(slot, standing, raw, supported, stood)
    if reason:
        fields["reason"] = reason
    if standing.trace:
        fields["trace"] = standing.trace
    write_with_change(ledger, slot, before, fields, raw, conf, standing)


def _another_says(slot: Slot, voice: Voice, raw: bytes) -> bool:
    desk = slot.desk
    if desk is not None and desk.verdict is not None and desk.verdict.raw == raw:
        return True
    if desk is not None and any(r.raw == raw for r in desk.rulings.values()):
        return True
    return any(c.raw == raw and c.voice is not voice for c in slot.cands)


def outcome_of(slot: Slot, standing: Standing, raw: bytes, supported: bool, stood: bool) -> tuple[str, str]:
    desk = slot.desk
    if desk is not None and desk.verdict is not None and desk.verdict.raw != raw:
        return "overruled", f"{spoken_name(desk.verdict.by)} decided otherwise for this slot"
    if standing.refused and standing.would == raw and desk is not None:
        return "overruled", f"{spoken_name(desk.refusals[raw])} refused this very value"
    if standing.status == CONTESTED:
        return "contested", "no rule decides between the sides"
    if standing.status == HELD and standing.would == raw:
        return "held", f"it needs approval under `{standing.rule}`"
    if standing.status != FACT or standing.raw != raw:
        return (
            "lost",
            f"`{standing.rule}` decided for another side" if standing.rule else "another side stands",
        )
    if supported:
        return "confirmed", ""
    if stood:
        return "revised", ""
    return ("won", f"`{standing.rule}` decided for it") if standing.trace else ("accepted", "")


def write_with_change(
    ledger: Ledger,
    slot: Slot,
    before: Shown,
    fields: dict[str, Any],
    raw: bytes | None,
    conf: int | None,
    standing: Standing | None,
) -> None:
    """Writes an entry down with what the slot shows after it, and a second one if another value rose by it."""
    log = ledger.log
    after = (slot.status, slot.raw, slot.strength)
    # A proposal's entry tells its own value; if another stands, or stands stronger or weaker by it, that is told apart.
    rises = after != before and after[0] == FACT and after[1] != (before[1] if raw is None else raw)
    if after != before and not rises:
        tell_change(fields, slot, after, raw, conf)
        slot.seq, slot.cycle = log.seq, ledger.cycle
    log.add(fields)
    if rises:
        slot.seq, slot.cycle = log.seq, ledger.cycle
        log.add(risen(slot, standing))


def tell_change(
    fields: dict[str, Any], slot: Slot, after: Shown, raw: bytes | None, conf: int | None
) -> None:
    """Adds what the slot shows now; where the entry is not that of a voice which says so, `speaker` names one."""
    fields["now"] = STATUS_NAMES[after[0]]
    if after[0] != FACT:
        return
    fields["value"] = Fragment(after[1] or b"null")
    if after[2] != conf:
        fields["strength"] = after[2]
    if raw is None:
        agent, item = speaker(slot)
        fields["speaker"] = agent
        if item is not None:
            fields["speaker_item"] = item


def speaker(slot: Slot) -> tuple[str, str | None]:
    """Who says what stands: the operator who decided it, or the strongest of its voices."""
    if slot.desk is not None and slot.desk.verdict is not None:
        return OPERATOR, None
    mine = sorted(
        (c for c in slot.cands if c.raw == slot.raw),
        key=lambda c: (-c.conf, c.voice.agent, c.voice.item or ""),
    )
    return (mine[0].voice.agent, mine[0].voice.item) if mine else ("", None)


def risen(slot: Slot, standing: Standing | None) -> dict[str, Any]:
    """A side that stands now although its voices said nothing new: the strongest of them is named."""
    fields: dict[str, Any] = {
        "kind": "risen",
        "key": slot.key,
        "subject": slot.subject,
        "value": Fragment(slot.raw or b"null"),
        "conf": slot.strength,
        "now": STATUS_NAMES[FACT],
    }
    agent, item = speaker(slot)
    if agent:
        fields["agent"] = agent
    if item is not None:
        fields["item"] = item
    if standing is not None and standing.trace:
        fields["trace"] = standing.trace
    return fields


def write_rejected(ledger: Ledger, voice: Voice, said: Rejected) -> None:
    """Writes a refused proposal down with its reason."""
    fields: dict[str, Any] = {"kind": "rejected", "agent": voice.agent, "reason": said.reason}
    if said.key:
        fields["key"] = said.key
    if said.subject:
        fields["subject"] = said.subject
    if voice.item is not None:
        fields["item"] = voice.item
    if said.raw is not None:
        fields["value"] = Fragment(said.raw)
        fields["conf"] = said.conf
    if said.evidence:
        fields["evidence"] = Fragment(said.evidence)
    if said.because is not None:
        fields["because"] = said.because
    if said.rule:
        fields["rule"] = said.rule
    if said.malformed:
        fields["malformed"] = True
    ledger.log.add(fields)
    voice.refused.append((said.key, said.subject, said.reason))


def withdraw(ledger: Ledger, cand: Candidate, reason: str, unfounded: bool = False) -> None:
    """Takes back what a voice said about a slot, and writes down what stands there now.

    `unfounded` tells that the engine took it back, not the voice.
    """
    slot, voice = cand.slot, cand.voice
    plan = ledger.plan.keys[slot.key]
    before = slot.shown()
    ledger.drop(cand)
    standing = ledger.restand(slot, plan)
    fields: dict[str, Any] = {
        "kind": "withdrawn",
        "agent": voice.agent,
        "key": slot.key,
        "subject": slot.subject,
        "reason": reason,
        "was": cand.seq,
    }
    if voice.item is not None:
        fields["item"] = voice.item
    if unfounded:
        fields["unfounded"] = True
    write_with_change(ledger, slot, before, fields, None, None, standing)


def restand_and_tell(ledger: Ledger, slot: Slot, plan: KeyPlan, fields: dict[str, Any]) -> None:
    """After a person's word changed the slot's desk: one entry that says what stands now."""
    before = slot.shown()
    ledger.restand(slot, plan)
    after = slot.shown()
    if after != before:
        tell_change(fields, slot, after, None, None)
        slot.seq, slot.cycle = ledger.log.seq, ledger.cycle
    ledger.log.add(fields)
