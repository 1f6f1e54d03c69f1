"""What aggregation agents say: rulings, which are no sides (D3.2)."""

from __future__ import annotations

from typing import Any

from orjson import Fragment

from runtime.engine.ledger import Ledger
from runtime.engine.merge import outcome_of, risen, write_rejected, write_with_change
from runtime.engine.prepare import Prepared, Rejected, Statement
from runtime.engine.resolve import Standing
from runtime.engine.state import FACT, STATUS_NAMES, Ruling, Shown, Slot, Voice


def merge_ruling(ledger: Ledger, done: Prepared) -> None:
    """An aggregation agent's word: no side, but what the rule that names it goes by (D3.2)."""
    run, voice = done.run, done.run.voice
    assert run.item is not None
    key = done.agent.spec.over
    slot = ledger.slot(key, run.item)
    plan = ledger.plan.keys[key]
    desk = slot.own_desk()
    before = slot.shown()
    old = desk.rulings.get(voice.at)
    statements = [s for s in done.said if type(s) is Statement]
    refused = [s for s in done.said if type(s) is Rejected]
    said = statements[0] if statements and not refused else None
    ruling = Ruling(said.raw if said else None, said.conf if said else 0, run.shown, run.premises)
    ruling.refused = bool(refused)
    if old is not None:
        ledger.release(old.premises)
    if said is not None:
        ruling.premises = said.premises
    ledger.acquire(ruling.premises)
    desk.rulings[voice.at] = ruling
    for one in done.said if refused else ():
        write_rejected(ledger, voice, one if type(one) is Rejected else _with_refused(one))
    standing = ledger.restand(slot, plan)
    if standing is None:
        return
    unchanged = old is not None and said is not None and (old.raw, old.conf) == (said.raw, said.conf)
    if said is None or (unchanged and slot.shown() == before):
        _write_shift(ledger, slot, before, standing, voice)
        return
    outcome, reason = outcome_of(slot, standing, said.raw, False, False)
    fields: dict[str, Any] = {
        "kind": outcome,
        "agent": voice.agent,
        "item": run.item,
        "key": key,
        "subject": run.item,
        "value": Fragment(said.raw),
        "conf": said.conf,
        "ruling": True,
        "reason": reason,
        "trace": standing.trace or [],
    }
    if said.evidence:
        fields["evidence"] = Fragment(said.evidence)
    if said.because is not None:
        fields["because"] = said.because
    write_with_change(ledger, slot, before, fields, said.raw, said.conf, standing)


def _with_refused(said: Statement | Rejected) -> Rejected:
    """A ruling that came with a refused proposal: the run as a whole is no ruling."""
    reason = "another proposal of the same run was refused"
    return Rejected(
        said.key,
        said.subject,
        said.raw,
        said.conf,
        said.evidence,
        said.because,
        reason,
        malformed=said.raw is None,
    )


def _write_shift(ledger: Ledger, slot: Slot, before: Shown, standing: Standing | None, voice: Voice) -> None:
    """After an abstention the rules below are asked: what they change needs an entry of its own."""
    after = slot.shown()
    if after == before:
        return
    slot.seq, slot.cycle = ledger.log.seq, ledger.cycle
    if after[0] == FACT:
        ledger.log.add(risen(slot, standing))
        return
    ledger.log.add(
        {
            "kind": "withdrawn",
            "agent": voice.agent,
            "item": voice.item,
            "key": slot.key,
            "subject": slot.subject,
            "ruling": True,
            "reason": "it rules no more on these sides",
            "now": STATUS_NAMES[after[0]],
        }
    )
