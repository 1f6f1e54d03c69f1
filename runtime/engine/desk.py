"""Applies what came from outside at the start of a cycle: seeds, and the rows of the job's inbox in order (D7.2).

Constraints and schemas bind people too (D3.7). A decision made on another state of the slot is stale and has no
effect (D9.2).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from orjson import Fragment

from runtime.engine.expiry import rule_that_asks, strongest_side
from runtime.engine.inputs import INBOX_ACTS, InboxRow, Seed
from runtime.engine.ledger import Ledger
from runtime.engine.merge import merge_statement, restand_and_tell, withdraw, write_rejected
from runtime.engine.policies import spoken_name
from runtime.engine.prepare import Rejected, Statement, check_value
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
from runtime.engine.spec import PERSON, SEED
from runtime.engine.state import GROUND, HELD, Slot, Verdict, Voice, slot_version
from runtime.engine.values import MAX_KEY, MAX_NAME, BoundsError, canonical, check_name, thousandths
from runtime.engine.versions import REFUSALS_ARE_UNDONE

NO_SAY = "your word does not count under the rule that holds this"
NO_DECISION = "your decision does not count under the rule that leaves this to people"
NOT_JSON = "the value is not JSON as Converge takes it, or is too large"


class Receipt(NamedTuple):
    """What became of one inbox row: `applied`, `refused` or `stale`, and a sentence for who asked."""

    id: int
    result: str
    message: str


def apply_seed(ledger: Ledger, seed: Seed) -> None:
    """A seed speaks as a voice of its own, with no premises."""
    _say(
        ledger,
        ledger.person(SEED, str(seed.number)),
        seed.key,
        seed.subject,
        seed.value,
        seed.confidence,
        seed.evidence,
    )


def _say(
    ledger: Ledger, voice: Voice, key: str, subject: str, value: Any, confidence: float, evidence: Any = None
) -> str:
    """Merges a person's or seed's statement; gives why it was refused, or ""."""
    said = _check_said(ledger, voice, key, subject, value, confidence, evidence)
    if type(said) is Statement:
        merge_statement(ledger, voice, said)
        return ""
    assert isinstance(said, Rejected)
    write_rejected(ledger, voice, said)
    return said.reason


def _check_said(
    ledger: Ledger, voice: Voice, key: str, subject: str, value: Any, confidence: float, evidence: Any
) -> Statement | Rejected:
    try:
        check_name("key", key)
        check_name("subject", subject)
        if key not in ledger.keys:
            raise BoundsError(f"`{key}` is no key of this pack; its keys are {', '.join(ledger.keys)}")
        raw, conf = canonical(value), thousandths(confidence)
        proof = canonical(dict(evidence)) if evidence else b""
    except BoundsError as error:
        sound = ((key, MAX_KEY), (subject, MAX_NAME))
        names = [n if isinstance(n, str) and n.isprintable() and len(n) <= most else "" for n, most in sound]
        return Rejected(names[0], names[1], None, None, b"", None, str(error), malformed=True)
    refusal, rule = check_value(ledger, voice.agent, key, subject, raw, conf, proof)
    if refusal:
        return Rejected(key, subject, raw, conf, proof, None, refusal, rule)
    return Statement(key, subject, raw, conf, proof, GROUND, None)


def apply_row(ledger: Ledger, row: InboxRow) -> Receipt:
    """Applies one row and writes it down. An unknown act is a programmer's error (ValueError)."""
    if row.act not in INBOX_ACTS:
        raise ValueError(f"unknown inbox act {row.act!r}")
    fields: dict[str, Any] = {"kind": "inbox", "row": row.id, "act": row.act, "by": row.by}
    if row.reason:
        fields["reason"] = row.reason
    if row.version:
        fields["version"] = row.version
    if row.groups:
        fields["groups"] = list(row.groups)
    if row.act == "cancel":
        return _finish(ledger, row, fields, "applied", "the job ends here")
    if row.act in ("retry", "retry_due"):
        return _retry(ledger, row, fields)
    if row.act == "give_up":
        return _give_up(ledger, row, fields)
    fields.update(key=row.key, subject=row.subject)
    refusal = _cannot_name_slot(ledger, row)
    if refusal:
        return _finish(ledger, row, fields, "refused", refusal)
    slot = ledger.slot(row.key, row.subject)
    if row.version and row.version != slot_version(slot):
        message = "the candidates changed since this was decided; nothing was done"
        return _finish(ledger, row, {**fields, **_chosen(row)}, "stale", message)
    return _ACTS[row.act](ledger, row, slot, fields)


def _chosen(row: InboxRow) -> dict[str, Any]:
    """The row's own value for the journal, so that a replay applies the same row."""
    if row.none:
        return {"none": True}
    try:
        return {"choice": Fragment(canonical(row.value)), "sure": thousandths(row.confidence)}
    except BoundsError:
        return {}


def _cannot_name_slot(ledger: Ledger, row: InboxRow) -> str:
    try:
        check_name("key", row.key, MAX_KEY)
        check_name("subject", row.subject)
    except BoundsError:
        return "the row names no slot"
    return "" if row.key in ledger.keys else f"`{row.key}` is no key of this pack"


def _finish(ledger: Ledger, row: InboxRow, fields: dict[str, Any], result: str, message: str) -> Receipt:
    for name in ("key", "subject"):
        if name in fields and not str(fields[name]).isprintable():
            fields[name] = ""
    ledger.log.add({**fields, "result": result, "message": message})
    return Receipt(row.id, result, message)


def _retry(ledger: Ledger, row: InboxRow, fields: dict[str, Any]) -> Receipt:
    """Makes failed runs due again (D2.1): for a person all of them, for the clock those that may recover (D5.2)."""
    by_clock = row.act == "retry_due"
    if not by_clock:
        ledger.given_up.clear()
    count = 0
    for agent in ledger.agents:
        failed = {i: f for i, f in agent.failed.items() if f.transient} if by_clock else agent.failed
        if not failed:
            continue
        open_failures = agent.open_failures()
        due = [item for item in failed if item in open_failures]
        for item in failed:
            if item not in open_failures:  # not reached now: due as soon as it is
                agent.voice(item).shown = None
        agent.retry.update(dict.fromkeys(due))
        ledger.awake[agent.tier][agent.at] = None
        ledger.due = None
        count += len(due)
    message = (
        f"{count} failed {'run is' if count == 1 else 'runs are'} tried again"
        if count
        else "nothing had failed"
    )
    return _finish(ledger, row, fields, "applied", message)


def _give_up(ledger: Ledger, row: InboxRow, fields: dict[str, Any]) -> Receipt:
    """Stops waiting for failures that may recover: of the agent named, or of all. These voices are tried again only
    when somebody asks or what they are shown changes."""
    if row.on:
        fields["on"] = row.on
    found = [
        agent
        for agent in ledger.agents
        if row.on in ("", agent.spec.name) and any(f.transient for f in agent.failed.values())
    ]
    for agent in found:
        for item, failure in agent.failed.items():
            if failure.transient:
                ledger.given_up[agent.at, item] = row.reason
    message = (
        f"no longer waiting for {', '.join(a.spec.name for a in found)}" if found else "nothing had failed"
    )
    return _finish(ledger, row, fields, "applied", message)


def _decide(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    fields.update(_chosen(row))
    if row.on:
        fields["on"] = row.on
        rule = rule_that_asks(ledger, slot)
        if rule is not None and rule.name != row.on:
            return _finish(
                ledger, row, fields, "stale", "another rule asks about this by now; nothing was done"
            )
    if not _counts(ledger, row, slot):
        return _finish(ledger, row, fields, "refused", NO_DECISION)
    raw: bytes | None = None
    if not row.none:
        try:
            raw = canonical(row.value)
        except BoundsError:
            return _finish(ledger, row, fields, "refused", NOT_JSON)
        refusal, _ = check_value(ledger, "@operator", row.key, row.subject, raw, 1000, b"")
        if refusal:
            return _finish(ledger, row, fields, "refused", refusal)
    before = slot.desk.verdict if slot.desk is not None else None
    plan = ledger.plan.keys[slot.key]
    rules = tuple(r.name for r in rules_to_decide(slot, plan, ledger.plan.index, ledger.submitter))
    slot.own_desk().verdict = Verdict(raw, row.by, row.groups, rules)
    if raw is not None and ledger.engine_version >= REFUSALS_ARE_UNDONE:
        found = resolve(slot, plan, ledger.plan.index, ledger.submitter)
        if found.refused:
            slot.own_desk().verdict = before
            said_no = spoken_name(slot.own_desk().refusals[raw])
            return _finish(
                ledger, row, fields, "refused", f"{said_no} refused this very value; undo that first"
            )
    return _restand(ledger, row, slot, fields, "decided")


def _restand(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any], done: str) -> Receipt:
    message = done
    plan = ledger.plan.keys[slot.key]
    fields.update(result="applied", message=message)
    ledger.loosen(slot)
    restand_and_tell(ledger, slot, plan, fields)
    return Receipt(row.id, "applied", message)


def _counts(ledger: Ledger, row: InboxRow, slot: Slot) -> bool:
    asked = (slot, ledger.plan.keys[slot.key], ledger.plan.index, row.by, row.groups, ledger.submitter)
    return may_decide(*asked) and (ledger.engine_version < REFUSALS_ARE_UNDONE or may_end_hold(*asked))


def _undo(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    if slot.desk is None or slot.desk.verdict is None:
        if ledger.engine_version >= REFUSALS_ARE_UNDONE and slot.desk is not None and slot.desk.is_answered():
            return _undo_answers(ledger, row, slot, fields)
        return _finish(ledger, row, fields, "refused", "nobody decided this slot; there is nothing to undo")
    if not _counts(ledger, row, slot):
        return _finish(ledger, row, fields, "refused", NO_DECISION)
    slot.desk.verdict = None
    return _restand(ledger, row, slot, fields, "the decision is undone")


def _undo_answers(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    """What was refused, or let pass at a deadline, is asked again."""
    approvals = ledger.plan.keys[slot.key].approvals
    if not any(counts_for(rule, row.by, row.groups, ledger.submitter) for rule in approvals):
        return _finish(ledger, row, fields, "refused", NO_SAY)
    desk = slot.own_desk()
    desk.refusals.clear()
    desk.passed.clear()
    return _restand(ledger, row, slot, fields, "the answer is undone; it is asked again")


def _approve(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    """Counts one person's approval for exactly the value that is held, and no other (D9.2)."""
    if slot.status != HELD or slot.would is None:
        return _finish(ledger, row, fields, "stale", "nothing waits for approval here any more")
    plan = ledger.plan.keys[slot.key]
    raw = slot.would
    rules = rules_with_a_say(slot, plan, ledger.plan.index, row.by, row.groups, ledger.submitter)
    if not rules:
        return _finish(ledger, row, fields, "refused", NO_SAY)
    people = slot.own_desk().approvals.setdefault(raw, {})
    people[row.by] = row.groups
    have = max(approvals_for(slot.desk, r, raw, ledger.submitter) for r in rules)
    need = max(r.needs for r in rules)
    receipt = _restand(ledger, row, slot, fields, f"approved, {have} of {need}")
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


def _refuse(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    if slot.status != HELD or slot.would is None:
        return _finish(ledger, row, fields, "stale", "nothing waits for approval here any more")
    raw = slot.would
    plan = ledger.plan.keys[slot.key]
    if not rules_with_a_say(slot, plan, ledger.plan.index, row.by, row.groups, ledger.submitter):
        return _finish(ledger, row, fields, "refused", NO_SAY)
    slot.own_desk().refusals[raw] = row.by
    receipt = _restand(ledger, row, slot, fields, "refused; this value will not stand")
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


def _expire(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    """The deadline of the rule `row.on` has passed, and nobody answered: what the rule says shall happen then, happens
    to this very question and no other (D9.2)."""
    fields["on"] = row.on
    rule = rule_that_asks(ledger, slot)
    if rule is None or rule.name != row.on:
        return _finish(ledger, row, fields, "stale", "nothing waits for people under this rule here any more")
    outcome = rule.params.get("outcome", "stay")
    if outcome not in ("reject", "strongest"):
        return _finish(ledger, row, fields, "refused", "the rule lets it stay open")
    if slot.status == HELD and slot.would is not None:
        return _expire_hold(ledger, row, slot, fields, outcome, slot.would)
    if outcome == "reject":
        slot.own_desk().verdict = Verdict(None, row.by, (), (rule.name,))
        return _restand(ledger, row, slot, fields, "nobody decided in time; nothing stands")
    strongest = strongest_side(slot)
    if strongest is None:
        return _finish(ledger, row, fields, "refused", "nobody decided in time, and no side is the strongest")
    strength = side_strength(slot.sides()[strongest])  # nobody looked: it is no surer than it was said
    slot.own_desk().verdict = Verdict(strongest, row.by, (), (rule.name,), strength)
    return _restand(ledger, row, slot, fields, "nobody decided in time; the strongest side stands")


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
        receipt = _restand(ledger, row, slot, fields, "nobody answered in time; this value will not stand")
        ledger.log.add({**about, "action": "refused"})
        return receipt
    desk.passed.setdefault(raw, {})[row.on] = None
    receipt = _restand(ledger, row, slot, fields, "nobody answered in time; the rule lets it stand")
    if slot.status != HELD:
        desk.asked = None
    ledger.log.add({**about, "action": "passed", "rule": row.on, "open": slot.status == HELD})
    return receipt


def _add_fact(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    fields.update(_chosen(row))
    voice = ledger.person(PERSON, row.by)
    said = _check_said(ledger, voice, row.key, row.subject, row.value, row.confidence, None)
    if type(said) is Rejected:
        return _finish(ledger, row, fields, "refused", NOT_JSON if said.malformed else said.reason)
    assert type(said) is Statement
    receipt = _finish(ledger, row, fields, "applied", "the fact is added")
    merge_statement(ledger, voice, said)
    return receipt


def _withdraw_fact(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    voice = ledger.person(PERSON, row.by)
    cand = slot.candidate_of(voice)
    if cand is None:
        return _finish(ledger, row, fields, "refused", "people can withdraw only what they said themselves")
    receipt = _finish(ledger, row, fields, "applied", "the fact is withdrawn")
    withdraw(ledger, cand, "withdrawn by who said it")
    return receipt


_ACTS = {
    "decide": _decide,
    "undo": _undo,
    "approve": _approve,
    "refuse": _refuse,
    "expire": _expire,
    "add_fact": _add_fact,
    "withdraw_fact": _withdraw_fact,
}

__all__ = ["Receipt", "apply_row", "apply_seed", "slot_version"]
