"""A slot's page: what stands and why, what does not and why not, what people sent, and all that was ever said in it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from converge_site.fragments.conflicts import Card, read_cards
from converge_site.fragments.context import slot_href
from converge_site.fragments.journal import Row, row_of
from converge_site.fragments.lineage import LineagePanel, read_lineage, show_lineage
from converge_site.fragments.slot_version import decision_in_force, version_of
from converge_site.fragments.voices import Voice, fold_voices, form_of
from runtime.lineage import DEPTH
from runtime.models import Conflict, Decision, Entry, Job
from runtime.store import StandingRow, slot_history, standing_row

SHOWN = 300
SENT_SHOWN = 20
EARLIER_SHOWN = 6


@dataclass(frozen=True, slots=True)
class SlotView:
    """One slot. `made_by` is the entry that made it show what it shows; `decided` is whether an operator did.

    `sides` are the values said now, `earlier` those that stood before; `version` is what a decision is made on.
    `lineage` is None where the page does not tell why: on a form of its own.
    """

    job: Job
    key: str
    subject: str
    title: str
    status: str
    value: Any
    confidence: float | None
    made_by: Row | None
    version: str
    voices: list[Voice] = field(default_factory=list)
    sides: list[Any] = field(default_factory=list)
    earlier: list[Any] = field(default_factory=list)
    history: list[Row] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    settled: list[Conflict] = field(default_factory=list)
    sent: list[Decision] = field(default_factory=list)
    decided: bool = False
    lineage: LineagePanel | None = None
    depth: int = DEPTH

    @property
    def query(self) -> str:
        """The slot in an address."""
        deeper = {"depth": self.depth} if self.depth != DEPTH else {}
        return urlencode({"key": self.key, "subject": self.subject, **deeper})

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


def read_slot(
    job: Job, key: str, subject: str, depth: int = DEPTH, *, why: bool = True, patient: bool = False
) -> SlotView | None:
    """The slot's page with `depth` levels of why; None if nothing was ever said in it and nobody sent anything about
    it. Without `why` what is cheap: all that its forms need. `patient` is for pushes, see `read_lineage`."""
    entries = slot_history(job, key, subject)
    sent = list(Decision.objects.filter(job=job, key=key, subject=subject).order_by("-id")[:SENT_SHOWN])
    if not entries and not sent:
        return None
    maker = next((entry for entry in reversed(entries) if entry.now), None)
    now = standing_row(maker) if maker and maker.now != "empty" else None
    stands = now is not None and now.status == "fact"
    voices = fold_voices(entries)
    candidates = [voice for voice in voices if not voice.ruling]
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
        version=version_of(key, subject, entries, candidates),
        voices=voices,
        sides=sides,
        earlier=_earlier(entries, sides, now),
        history=[row_of(entry) for entry in entries[-SHOWN:]],
        cards=read_cards([conflict for conflict in conflicts if conflict.status == "open"]),
        settled=[conflict for conflict in conflicts if conflict.status != "open"],
        sent=sent,
        decided=decision_in_force(entries) is not None,
        lineage=_read_why(job, key, subject, depth, entries, patient) if why else None,
        depth=depth,
    )


def _read_why(
    job: Job, key: str, subject: str, depth: int, entries: list[Entry], patient: bool
) -> LineagePanel | None:
    return show_lineage(read_lineage(job, key, subject, depth, entries, patient=patient))


def values_that_stood(entries: list[Entry], most: int) -> list[Any]:
    """The latest distinct values that stood in a slot, newest first."""
    stood = (entry.data.get("value") for entry in reversed(entries) if entry.now == "fact")
    return _distinct(stood, most)


def _distinct(values: Any, most: int = SHOWN) -> list[Any]:
    found: dict[Hashable, Any] = {}
    for value in values:
        found.setdefault(form_of(value), value)
        if len(found) == most:
            break
    return list(found.values())


def _earlier(entries: list[Entry], sides: list[Any], now: StandingRow | None) -> list[Any]:
    """What stood here before and nobody says now: in a swing, the other end of it."""
    shown = [*sides, now.value] if now and now.status == "fact" else sides
    stood = values_that_stood(entries, EARLIER_SHOWN)
    known = {form_of(value) for value in shown}
    return [value for value in stood if form_of(value) not in known]


def _title(job: Job, key: str) -> str:
    found = next((spec for spec in job.frozen_spec()["keys"] if spec["name"] == key), None)
    return (found or {}).get("title") or key
