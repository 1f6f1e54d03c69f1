"""The version of a slot, read from its journal: what a decision on it is compared with when it is applied (D9.2).

The engine works it out from its own state; here the same state is folded from the slot's entries, so that a page needs
no replay of the whole job.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from converge_site.fragments.voices import Voice
from runtime.engine.desk import slot_version
from runtime.engine.state import GROUND, Candidate, Slot, Verdict
from runtime.engine.state import Voice as Speaker
from runtime.engine.values import canonical
from runtime.models import Entry


def version_of(key: str, subject: str, entries: Sequence[Entry], candidates: Iterable[Voice]) -> str:
    """16 hex digits; "" if the entries do not tell. `candidates` are the voices that speak here, rulings left out."""
    slot = Slot(key, subject)
    slot.cands = [_candidate(slot, voice) for voice in candidates]
    decision = decision_in_force(entries)
    if decision is not None:
        chosen = None if decision.data.get("none") else canonical(decision.data.get("choice"))
        slot.own_desk().verdict = Verdict(chosen, "", ())
    now = next((entry.now for entry in reversed(entries) if entry.now), "empty")
    if now == "held":
        slot.would = _last_value(entries, "asked")
    elif now == "empty" and (slot.cands if decision is None else chosen is not None):
        slot.would = _last_value(entries, "refused")  # something would stand, had it not been refused
        if slot.would is None or _refused_more_than_one(entries):
            return ""
    return slot_version(slot)


def decision_in_force(entries: Sequence[Entry]) -> Entry | None:
    """The applied decision of an operator that nobody undid since."""
    for entry in reversed(entries):
        if entry.kind == "inbox" and entry.data.get("result") == "applied":
            act = entry.data.get("act")
            if act in ("decide", "undo"):
                return entry if act == "decide" else None
    return None


def _candidate(slot: Slot, voice: Voice) -> Candidate:
    raw = canonical(voice.value)
    return Candidate(Speaker(voice.agent, 0, voice.item), slot, raw, 0, b"", GROUND, voice.seq)


def _approvals(entries: Sequence[Entry], action: str) -> list[bytes]:
    """The values of the slot's approvals that were `asked` or `refused`, in order."""
    said = (entry.data for entry in entries if entry.kind == "approval")
    return [canonical(body.get("value")) for body in said if body.get("action") == action]


def _last_value(entries: Sequence[Entry], action: str) -> bytes | None:
    return next(reversed(_approvals(entries, action)), None)


def _refused_more_than_one(entries: Sequence[Entry]) -> bool:
    return len(set(_approvals(entries, "refused"))) > 1
