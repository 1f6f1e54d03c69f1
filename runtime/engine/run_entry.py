"""The journal's entry for an agent's runs in one cycle (D3.1)."""

from __future__ import annotations

from typing import Any

from runtime.engine.inputs import Call, Failure
from runtime.engine.ledger import AgentState, Ledger
from runtime.engine.prepare import Prepared, Statement
from runtime.engine.state import Premises


def run_entry(ledger: Ledger, agent: AgentState, done: list[Prepared]) -> dict[str, Any]:
    """One entry for all of an agent's runs in a cycle: counts, failures, and what no merge entry will tell."""
    fields: dict[str, Any] = {"kind": "run", "agent": agent.spec.name, "ran": len(done)}
    one = done[0]
    if len(done) == 1 and one.failure is None and not one.run.voice.said and agent.is_plain and not one.calls:
        fields["said"] = len(one.said)
        return fields
    said = 0
    failed: list[dict[str, Any]] = []
    abstained: list[str] = []
    rebased: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for one in done:
        item = one.run.item
        calls += [_called(item, call) for call in one.calls]
        if one.failure is not None:
            failed.append(_failed(item, one.failure))
            continue
        said += len(one.said)
        if agent.spec.shape == "aggregate" and not one.said:
            abstained.append(item or "")
        if one.run.voice.said or agent.spec.shape == "aggregate":
            rebased += [
                r
                for s in one.said
                if type(s) is Statement and (r := _rebased(ledger, agent, one, s)) is not None
            ]
    if not agent.spec.append:
        fields["said"] = (
            said  # what an appending agent leaves unsaid stays: no record could tell the number again
        )
    rebased.sort(key=lambda r: (r["item"] or "", r["key"], r["subject"]))
    for name, value in (("failed", failed), ("abstained", abstained), ("rebased", rebased), ("calls", calls)):
        if value:
            fields[name] = value
    return fields


def _failed(item: str | None, failure: Failure) -> dict[str, Any]:
    message = "".join(c if c.isprintable() else " " for c in failure.message[:500])
    return {
        **({"item": item} if item is not None else {}),
        "cls": failure.cls,
        "message": message,
        "transient": failure.transient,
        **({"tool": failure.tool} if failure.tool else {}),
    }


def _called(item: str | None, call: Call) -> dict[str, Any]:
    """Without the number of requests: one that a runtime sent before it died is in the record of calls, and the journal
    is that of a run nobody disturbed (D7.4)."""
    told = {n: v for n, v in zip(Call._fields, call, strict=True) if v and n != "attempts"}
    return {**({"item": item} if item is not None else {}), **told}


def _rebased(ledger: Ledger, agent: AgentState, one: Prepared, said: Statement) -> dict[str, Any] | None:
    """A statement repeated unchanged leaves no entry; if it names new premises, a replay must still know them."""
    if said.because is None:
        old = _repeated(ledger, one, said)
        if old is None or old.default or old.hold():
            return None
        return {"item": one.run.item, "key": said.key, "subject": said.subject, "because": None}
    if agent.spec.shape != "aggregate":
        old = _repeated(ledger, one, said)
        if old is None or old.hold():
            return None
    return {"item": one.run.item, "key": said.key, "subject": said.subject, "because": said.because}


def _repeated(ledger: Ledger, one: Prepared, said: Statement) -> Premises | None:
    """The premises of the same statement made before, None if this one is new."""
    slot = ledger.keys[said.key].slots.get(said.subject)
    cand = one.run.voice.said.get(slot) if slot is not None else None
    if cand is None or (cand.raw, cand.conf, cand.evidence) != (said.raw, said.conf, said.evidence):
        return None
    return cand.premises
