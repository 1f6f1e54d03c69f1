"""What each voice currently says about a slot, folded from the slot's journal entries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

from runtime.engine.values import BoundsError, canonical
from runtime.models import Entry
from runtime.store import entries_of_slots

SAYS = ("accepted", "won", "confirmed", "revised", "lost", "contested", "held", "overruled")
UNSAYS = (
    "withdrawn",
    "rejected",
)  # a statement that is refused leaves an earlier one as it was; a ruling does not


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice on one slot: its value, and the entry in which it last spoke."""

    agent: str
    item: str
    value: Any
    confidence: float | None
    seq: int
    kind: str
    evidence: dict[str, Any] = field(default_factory=dict)
    because: Any = None
    trace: list[dict[str, Any]] = field(default_factory=list)
    ruling: bool = False  # an aggregation agent's word: no side of its own

    def says(self, value: Any) -> bool:
        """Whether this voice's value equals `value`, as JSON."""
        return same_value(self.value, value)


def form_of(value: Any) -> Hashable:
    """What equal JSON values share, to compare many of them at once: 1 is 1.0, and true is not 1. What has no canonical
    form is equal to nothing, not even to itself."""
    try:
        return canonical(value)
    except BoundsError:
        return object()


def same_value(one: Any, other: Any) -> bool:
    """Whether two JSON values are one value."""
    return form_of(one) == form_of(other)


def read_voices(
    job_id: int, key: str, subjects: Iterable[str], until: int | None = None
) -> dict[str, list[Voice]]:
    """For each subject, what the voices on `(key, subject)` say now, or said after entry `until`, in the order in which
    they first spoke."""
    by_subject: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries_of_slots(job_id, key, subjects, until):
        if entry.kind in SAYS or entry.kind in UNSAYS:
            by_subject[entry.subject].append(entry)
    return {subject: fold_voices(of_slot) for subject, of_slot in by_subject.items()}


def fold_voices(entries: Iterable[Entry]) -> list[Voice]:
    """What the voices of one slot say after its `entries`, in the order in which they first spoke."""
    said: dict[tuple[str, str], Voice] = {}
    for entry in entries:
        voice = (entry.agent, entry.item)
        if entry.kind in SAYS:
            said[voice] = _voice(entry)
        elif entry.kind == "withdrawn" or (entry.kind == "rejected" and voice in said and said[voice].ruling):
            said.pop(voice, None)
    return list(said.values())


def _voice(entry: Entry) -> Voice:
    body = entry.data
    confidence = body.get("conf")
    return Voice(
        agent=entry.agent,
        item=entry.item,
        value=body.get("value"),
        confidence=None if confidence is None else confidence / 1000,
        seq=entry.seq,
        kind=entry.kind,
        evidence=body.get("evidence") or {},
        because=body.get("because"),
        trace=body.get("trace") or [],
        ruling=bool(body.get("ruling")),
    )
