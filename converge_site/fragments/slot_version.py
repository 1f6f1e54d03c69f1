"""The version of a slot, read from its journal: what a decision on it is compared with when it is applied (D9.2).

The engine works it out from its own state; here the same state is folded from the slot's entries, so that a page needs
no replay of the whole job.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from converge_site.fragments.voices import Voice
from runtime.engine.desk import slot_version
from runtime.engine.state import GROUND, HELD, Candidate, Slot, Verdict
from runtime.engine.state import Voice as Speaker
from runtime.engine.values import canonical
from runtime.models import Entry


def version_of(key: str, subject: str, entries: Sequence[Entry], candidates: Iterable[Voice]) -> str:
    """16 hex digits. `candidates` are the voices that speak here, rulings left out."""
    slot = Slot(key, subject)
    slot.cands = [_candidate(slot, voice) for voice in candidates]
    decision = decision_in_force(entries)
    if decision is not None:
        chosen = None if decision.data.get("none") else canonical(decision.data.get("choice"))
        slot.own_desk().verdict = Verdict(chosen, "", ())
    if next((entry.now for entry in reversed(entries) if entry.now), "") == "held":
        slot.status, slot.would = HELD, _asked_for(entries)
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


def _asked_for(entries: Sequence[Entry]) -> bytes | None:
    """The value whose approval was asked for last."""
    for entry in reversed(entries):
        if entry.kind == "approval" and entry.data.get("action") == "asked":
            return canonical(entry.data.get("value"))
    return None
