"""A slot's page: what stands and why, what does not and why not, and all that was ever said in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from converge_site.fragments.journal import Row, row_of
from converge_site.fragments.premises import Premises, read_premises
from converge_site.fragments.voices import Voice, read_voices
from runtime.models import Conflict, Entry, Job
from runtime.store import slot_history, standing

SHOWN = 300
WHY_NOT = ("lost", "rejected", "overruled", "contested", "held", "withdrawn")


@dataclass(frozen=True, slots=True)
class SlotView:
    """One slot. `made_by` is the entry that made it show what it shows; `decided` is whether an operator did."""

    key: str
    subject: str
    title: str
    status: str
    value: Any
    confidence: float | None
    made_by: Row | None
    premises: Premises
    trace: list[dict[str, Any]]
    evidence: dict[str, Any]
    agreeing: list[Voice] = field(default_factory=list)
    dissenting: list[Voice] = field(default_factory=list)
    why_not: list[Row] = field(default_factory=list)
    history: list[Row] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    decided: bool = False


def read_slot(job: Job, key: str, subject: str) -> SlotView | None:
    """The slot's page; None if nothing was ever said in it."""
    entries = list(slot_history(job, key, subject))
    if not entries:
        return None
    now = next((row for row in standing(job, keys=[key]) if row.subject == subject), None)
    status = now.status if now else "empty"
    maker = _find_maker(entries)
    voices = read_voices(job.pk, key, [subject]).get(subject, [])
    stands = status == "fact" and now is not None
    body = maker.data if maker else {}
    return SlotView(
        key=key,
        subject=subject,
        title=_title(job, key),
        status=status,
        value=now.value if now and stands else None,
        confidence=now.confidence if now and stands else None,
        made_by=row_of(maker) if maker else None,
        premises=read_premises(maker) if maker else Premises(),
        trace=body.get("trace") or [],
        evidence=body.get("evidence") or {},
        agreeing=[voice for voice in voices if now and stands and voice.says(now.value)],
        dissenting=[voice for voice in voices if not (now and stands and voice.says(now.value))],
        why_not=_why_not(entries, [voice for voice in voices if now and stands and voice.says(now.value)]),
        history=[row_of(entry) for entry in entries[-SHOWN:]],
        conflicts=list(Conflict.objects.filter(job=job, key=key, subject=subject).order_by("id")),
        decided=_is_decided(entries),
    )


def _find_maker(entries: list[Entry]) -> Entry | None:
    """The newest entry that changed what the slot shows."""
    return next((entry for entry in reversed(entries) if entry.now), None)


def _why_not(entries: list[Entry], agreeing: list[Voice]) -> list[Row]:
    """What was said and did not come to stand; not the last word of a voice whose value stands after all."""
    stands = {voice.seq for voice in agreeing}
    return [row_of(entry) for entry in entries if entry.kind in WHY_NOT and entry.seq not in stands][-SHOWN:]


def _is_decided(entries: list[Entry]) -> bool:
    """Whether an operator's decision on the slot is in force: applied, and not undone since."""
    for entry in reversed(entries):
        if entry.kind == "inbox" and entry.data.get("result") == "applied":
            act = entry.data.get("act")
            if act in ("decide", "undo"):
                return bool(act == "decide")
    return False


def _title(job: Job, key: str) -> str:
    found = next((spec for spec in job.frozen_spec()["keys"] if spec["name"] == key), None)
    return (found or {}).get("title") or key
