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
        slot.own_desk().verdict = Verdict(_chosen(decision, entries), "", ())
    if _shown_last(entries) == "held":
        slot.status, slot.would = HELD, _asked_for(entries)
    return slot_version(slot)


def decision_in_force(entries: Sequence[Entry]) -> Entry | None:
    """The applied decision of an operator, or of a deadline that passed, that nobody undid since."""
    for place in range(len(entries) - 1, -1, -1):
        entry = entries[place]
        if entry.kind == "inbox" and entry.data.get("result") == "applied":
            act = entry.data.get("act")
            if act == "undo":
                return None
            # At the deadline of an approval nobody decides between sides.
            if act == "decide" or (act == "expire" and _shown_last(entries[:place]) != "held"):
                return entry
    return None


def answers_in_force(entries: Sequence[Entry]) -> list[int]:
    """The rows of the inbox by which a held value was refused, or let pass at a deadline, and that an undo would take
    back now: none where somebody decided the slot since, as that is what is undone first."""
    rows: list[int] = []
    is_decided, shown = False, ""
    for entry in entries:
        act = entry.data.get("act") if entry.kind == "inbox" and entry.data.get("result") == "applied" else ""
        if act == "refuse" or (act == "expire" and shown == "held"):
            rows.append(entry.data["row"])
        elif act in ("decide", "expire"):
            is_decided = True
        elif act == "undo" and is_decided:
            is_decided = False
        elif act == "undo":
            rows.clear()
        shown = entry.now or shown
    return [] if is_decided else rows


def _chosen(decision: Entry, entries: Sequence[Entry]) -> bytes | None:
    """The value decided for, None for none. A deadline's is what came to stand, or is held since."""
    if decision.data.get("act") == "decide":
        return None if decision.data.get("none") else canonical(decision.data.get("choice"))
    if decision.now == "held":
        return _asked_for(entries)
    return canonical(decision.data.get("value")) if decision.now == "fact" else None


def _shown_last(entries: Sequence[Entry]) -> str:
    return next((entry.now for entry in reversed(entries) if entry.now), "")


def _candidate(slot: Slot, voice: Voice) -> Candidate:
    raw = canonical(voice.value)
    return Candidate(Speaker(voice.agent, 0, voice.item), slot, raw, 0, b"", GROUND, voice.seq)


def _asked_for(entries: Sequence[Entry]) -> bytes | None:
    """The value whose approval was asked for last."""
    for entry in reversed(entries):
        if entry.kind == "approval" and entry.data.get("action") == "asked":
            return canonical(entry.data.get("value"))
    return None
