"""Applies what came from outside at the start of a cycle: seeds, and the rows of the job's inbox in order (D7.2).

Constraints and schemas bind people too (D3.7). A decision made on another state of the slot is stale and has no
effect (D9.2).
"""

from __future__ import annotations

from typing import Any

from runtime.engine.deciding import NOT_JSON, approve, decide, expire, refuse, undo
from runtime.engine.inputs import INBOX_ACTS, InboxRow, Seed
from runtime.engine.ledger import Ledger
from runtime.engine.merge import merge_statement, withdraw, write_rejected
from runtime.engine.prepare import Rejected, Statement, check_value
from runtime.engine.receipts import Receipt, chosen, finish
from runtime.engine.spec import PERSON, SEED
from runtime.engine.state import GROUND, Slot, Voice, slot_version
from runtime.engine.values import MAX_KEY, MAX_NAME, BoundsError, canonical, check_name, thousandths


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
        return finish(ledger, row, fields, "applied", "the job ends here")
    if row.act in ("retry", "retry_due"):
        return _retry(ledger, row, fields)
    if row.act == "give_up":
        return _give_up(ledger, row, fields)
    fields.update(key=row.key, subject=row.subject)
    refusal = _cannot_name_slot(ledger, row)
    if refusal:
        return finish(ledger, row, fields, "refused", refusal)
    slot = ledger.slot(row.key, row.subject)
    if row.version and row.version != slot_version(slot):
        message = "the candidates changed since this was decided; nothing was done"
        return finish(ledger, row, {**fields, **chosen(row)}, "stale", message)
    return _ACTS[row.act](ledger, row, slot, fields)


def _cannot_name_slot(ledger: Ledger, row: InboxRow) -> str:
    try:
        check_name("key", row.key, MAX_KEY)
        check_name("subject", row.subject)
    except BoundsError:
        return "the row names no slot"
    return "" if row.key in ledger.keys else f"`{row.key}` is no key of this pack"


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
    return finish(ledger, row, fields, "applied", message)


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
    return finish(ledger, row, fields, "applied", message)


def _add_fact(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    fields.update(chosen(row))
    voice = ledger.person(PERSON, row.by)
    said = _check_said(ledger, voice, row.key, row.subject, row.value, row.confidence, None)
    if type(said) is Rejected:
        return finish(ledger, row, fields, "refused", NOT_JSON if said.malformed else said.reason)
    assert type(said) is Statement
    receipt = finish(ledger, row, fields, "applied", "the fact is added")
    merge_statement(ledger, voice, said)
    return receipt


def _withdraw_fact(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any]) -> Receipt:
    voice = ledger.person(PERSON, row.by)
    cand = slot.candidate_of(voice)
    if cand is None:
        return finish(ledger, row, fields, "refused", "people can withdraw only what they said themselves")
    receipt = finish(ledger, row, fields, "applied", "the fact is withdrawn")
    withdraw(ledger, cand, "withdrawn by who said it")
    return receipt


_ACTS = {
    "decide": decide,
    "undo": undo,
    "approve": approve,
    "refuse": refuse,
    "expire": expire,
    "add_fact": _add_fact,
    "withdraw_fact": _withdraw_fact,
}

__all__ = ["Receipt", "apply_row", "apply_seed", "slot_version"]
