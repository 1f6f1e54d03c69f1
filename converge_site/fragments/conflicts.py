"""Open questions to people as cards: sides next to each other, why no rule decides, who waits, what was sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Max

from converge_site.fragments.context import slot_href
from converge_site.fragments.voices import Voice, read_voices
from runtime.models import Conflict, Decision, Job

OPEN_SHOWN = 20
CLOSED_SHOWN = 8


@dataclass(frozen=True, slots=True)
class SideVoice:
    """A voice of a side, with what it gave as evidence and premises when it spoke."""

    agent: str
    item: str
    confidence: float | None
    seq: int | None = None
    evidence: list[tuple[str, Any]] = field(default_factory=list)
    premises: tuple[int, ...] = ()
    shown: int | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One candidate value and who says it."""

    value: Any
    confidence: float | None
    voices: list[SideVoice]


@dataclass(frozen=True, slots=True)
class Card:
    """A conflict or hold as shown, on the job page, in the inbox and on its own page alike."""

    conflict: Conflict
    job: Job
    sides: list[Side]
    slot_href: str
    last: Decision | None = None

    @property
    def pending(self) -> bool:
        """Whether a decision was sent and waits to be applied."""
        return self.last is not None and self.last.status == "pending"

    @property
    def is_open(self) -> bool:
        """Whether an answer would still do something."""
        return self.conflict.status == "open" and not self.job.is_ended

    @property
    def rev(self) -> str:
        """Changes whenever the form on the card must be another."""
        sent = f"{self.last.pk}.{self.last.status}" if self.last else "0"
        return f"{self.conflict.version}-{'open' if self.is_open else 'closed'}-{sent}"


@dataclass(frozen=True, slots=True)
class JobConflicts:
    """The open questions of a job as cards, and the latest closed ones."""

    cards: list[Card]
    open: int
    closed: list[Conflict]


def read_conflicts(job: Job) -> JobConflicts:
    """The conflicts panel of a job."""
    waiting = Conflict.objects.filter(job=job, status="open").order_by("-blocks", "id")
    closed = Conflict.objects.filter(job=job, status="closed").order_by("-closed_cycle", "-id")
    shown = list(waiting[:OPEN_SHOWN])
    count = len(shown) if len(shown) < OPEN_SHOWN else waiting.count()
    return JobConflicts(read_cards(shown), count, list(closed[:CLOSED_SHOWN]))


def read_cards(conflicts: Sequence[Conflict]) -> list[Card]:
    """The cards of some conflicts, with the last decision sent on each."""
    newest = (
        Decision.objects.filter(conflict__in=conflicts)
        .values("conflict")
        .annotate(last=Max("id"))
        .values("last")
    )
    sent = {decision.conflict_id: decision for decision in Decision.objects.filter(pk__in=newest)}
    slots: dict[tuple[int, str], list[str]] = defaultdict(list)
    for conflict in conflicts:
        slots[conflict.job_id, conflict.key].append(conflict.subject)
    said = {name: read_voices(*name, subjects) for name, subjects in slots.items()}
    return [_card(c, sent.get(c.pk), said[c.job_id, c.key].get(c.subject, [])) for c in conflicts]


def read_card(conflict: Conflict) -> Card:
    """The card of one conflict."""
    return read_cards([conflict])[0]


def _card(conflict: Conflict, last: Decision | None, said: list[Voice]) -> Card:
    by_voice = {(voice.agent, voice.item): voice for voice in said}
    return Card(
        conflict=conflict,
        job=conflict.job,
        sides=[_side(side, by_voice) for side in conflict.sides],
        slot_href=slot_href(conflict.job_id, conflict.key, conflict.subject),
        last=last,
    )


def _side(side: dict[str, Any], said: dict[tuple[str, str], Voice]) -> Side:
    return Side(
        value=side.get("value"),
        confidence=_fraction(side.get("conf")),
        voices=[_side_voice(voice, said) for voice in side.get("voices") or []],
    )


def _side_voice(voice: dict[str, Any], said: dict[tuple[str, str], Voice]) -> SideVoice:
    agent, item = str(voice.get("agent") or ""), str(voice.get("item") or "")
    spoke = said.get((agent, item))
    because = spoke.because if spoke else None
    return SideVoice(
        agent=agent,
        item=item,
        confidence=_fraction(voice.get("conf")),
        seq=spoke.seq if spoke else None,
        evidence=list((voice.get("evidence") or (spoke.evidence if spoke else {})).items()),
        premises=tuple(because) if isinstance(because, list) else (),
        shown=because.get("shown") if isinstance(because, dict) else None,
    )


def _fraction(thousandths: int | None) -> float | None:
    return None if thousandths is None else thousandths / 1000
