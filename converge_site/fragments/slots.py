"""A slot's page: what stands and why, what does not and why not, what people sent, and all that was ever said in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from converge_site.fragments.conflicts import Card, read_cards
from converge_site.fragments.context import slot_href
from converge_site.fragments.journal import Row, row_of
from converge_site.fragments.premises import Premises, read_premises
from converge_site.fragments.slot_version import decision_in_force, version_of
from converge_site.fragments.voices import Voice, fold_voices, same_value
from runtime.models import Conflict, Decision, Entry, Job
from runtime.store import StandingRow, slot_history, standing_row

SHOWN = 300
SENT_SHOWN = 20
EARLIER_SHOWN = 6
WHY_NOT = ("lost", "rejected", "overruled", "contested", "held", "withdrawn")


@dataclass(frozen=True, slots=True)
class SlotView:
    """One slot. `made_by` is the entry that made it show what it shows; `decided` is whether an operator did.

    `sides` are the values said now, `earlier` those that stood before; `version` is what a decision is made on.
    """

    job: Job
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
    version: str
    voices: list[Voice] = field(default_factory=list)
    sides: list[Any] = field(default_factory=list)
    earlier: list[Any] = field(default_factory=list)
    agreeing: list[Voice] = field(default_factory=list)
    dissenting: list[Voice] = field(default_factory=list)
    why_not: list[Row] = field(default_factory=list)
    history: list[Row] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    settled: list[Conflict] = field(default_factory=list)
    sent: list[Decision] = field(default_factory=list)
    decided: bool = False

    @property
    def query(self) -> str:
        """The slot in an address."""
        return urlencode({"key": self.key, "subject": self.subject})

    @property
    def is_contested(self) -> bool:
        """Whether a card shows the sides already."""
        return any(card.conflict.kind == "conflict" for card in self.cards)

    @property
    def href(self) -> str:
        """The address of this page."""
        return slot_href(self.job.pk, self.key, self.subject)

    @property
    def rev(self) -> str:
        """Changes whenever a person's forms must be others."""
        sent = ".".join(f"{row.pk}{row.status}" for row in self.sent[:2])
        opened = ".".join(str(card.conflict.pk) for card in self.cards)
        last = self.history[-1].seq if self.history else 0
        return f"{self.version}-{opened}-{sent}-{last}-{'ended' if self.job.is_ended else ''}"


def read_slot(job: Job, key: str, subject: str) -> SlotView | None:
    """The slot's page; None if nothing was ever said in it and nobody sent anything about it."""
    entries = slot_history(job, key, subject)
    sent = list(Decision.objects.filter(job=job, key=key, subject=subject).order_by("-id")[:SENT_SHOWN])
    if not entries and not sent:
        return None
    maker = next((entry for entry in reversed(entries) if entry.now), None)
    now = standing_row(maker) if maker and maker.now != "empty" else None
    stands = now is not None and now.status == "fact"
    voices = fold_voices(entries)
    agreeing = [voice for voice in voices if now and stands and voice.says(now.value)]
    candidates = [voice for voice in voices if not voice.ruling]
    body = maker.data if maker else {}
    conflicts = list(
        Conflict.objects.filter(job=job, key=key, subject=subject).select_related("job").order_by("id")
    )
    sides = _distinct([voice.value for voice in candidates])
    return SlotView(
        job=job,
        key=key,
        subject=subject,
        title=_title(job, key),
        status=now.status if now else "empty",
        value=now.value if now and stands else None,
        confidence=now.confidence if now and stands else None,
        made_by=row_of(maker) if maker else None,
        premises=read_premises(maker) if maker else Premises(),
        trace=body.get("trace") or [],
        evidence=body.get("evidence") or {},
        version=version_of(key, subject, entries, candidates),
        voices=voices,
        sides=sides,
        earlier=_earlier(entries, sides, now),
        agreeing=agreeing,
        dissenting=[voice for voice in voices if voice not in agreeing],
        why_not=_why_not(entries, agreeing),
        history=[row_of(entry) for entry in entries[-SHOWN:]],
        cards=read_cards([conflict for conflict in conflicts if conflict.status == "open"]),
        settled=[conflict for conflict in conflicts if conflict.status != "open"],
        sent=sent,
        decided=decision_in_force(entries) is not None,
    )


def values_that_stood(entries: list[Entry], most: int) -> list[Any]:
    """The latest distinct values that stood in a slot, newest first."""
    stood = (entry.data.get("value") for entry in reversed(entries) if entry.now == "fact")
    return _distinct(stood, most)


def _distinct(values: Any, most: int = SHOWN) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if not any(same_value(value, other) for other in found):
            found.append(value)
            if len(found) == most:
                break
    return found


def _earlier(entries: list[Entry], sides: list[Any], now: StandingRow | None) -> list[Any]:
    """What stood here before and nobody says now: in a swing, the other end of it."""
    shown = [*sides, now.value] if now and now.status == "fact" else sides
    stood = values_that_stood(entries, EARLIER_SHOWN)
    return [value for value in stood if not any(same_value(value, other) for other in shown)]


def _why_not(entries: list[Entry], agreeing: list[Voice]) -> list[Row]:
    """What was said and did not come to stand; not the last word of a voice whose value stands after all."""
    stands = {voice.seq for voice in agreeing}
    return [row_of(entry) for entry in entries if entry.kind in WHY_NOT and entry.seq not in stands][-SHOWN:]


def _title(job: Job, key: str) -> str:
    found = next((spec for spec in job.frozen_spec()["keys"] if spec["name"] == key), None)
    return (found or {}).get("title") or key
