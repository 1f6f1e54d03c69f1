"""Open questions to people as cards: sides next to each other, why no rule decides, who waits, what was sent."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import Count

from converge_site.fragments.asked import asked_then
from converge_site.fragments.context import slot_href
from converge_site.fragments.moment import Moment
from converge_site.fragments.policies import Policy, read_policy
from converge_site.fragments.side_diff import SideDiff, diff_sides
from converge_site.fragments.then import questions_then
from converge_site.fragments.values import pretty_value
from converge_site.fragments.voices import Voice, read_voices
from runtime.actions.deciding import side_kept
from runtime.actions.deferring import UNTIL_IT_CHANGES
from runtime.engine.values import canonical
from runtime.lease import database_clock
from runtime.models import Conflict, Decision, Job
from runtime.models.job import ENDED

OPEN_SHOWN = 20
CLOSED_SHOWN = 8
SIDES_SHOWN = 20  # of one question, the strongest first; the others are counted
VOICES_SHOWN = 12  # of one side
EVIDENCE_SHOWN = 12  # fields of what one voice gave as evidence
WHOLE = 4_000  # characters of a value that a card shows in full
ANSWERS = ("decide", "refuse", "approve", "expire")


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
    """One candidate value and who says it; `hidden` counts the voices left out."""

    value: Any
    confidence: float | None
    voices: list[SideVoice]
    hidden: int = 0

    @property
    def whole(self) -> str:
        """The value as indented JSON, as far as a card has room for it: the entries of its voices have all of it."""
        text = pretty_value(self.value)
        return text if len(text) <= WHOLE else f"{text[:WHOLE]}…\nand {len(text) - WHOLE:,} more characters"


@dataclass(frozen=True, slots=True)
class Since:
    """What became of a question after a moment of the past: "settled" (how, and in which cycle), "changed" or "open".

    `answer` is the decision that settled it, or that waits to be applied.
    """

    what: str
    how: str
    cycle: int | None
    answer: Decision | None


@dataclass(frozen=True, slots=True)
class Card:
    """A conflict or hold as shown, on the job page, in the inbox and on its own page alike, with its first sides."""

    conflict: Conflict
    job: Job
    sides: list[Side]
    slot_href: str
    policy: Policy
    last: Decision | None = None  # that was sent
    answer: Decision | None = None  # that counts, or will: what whoever comes second is told
    alike: int = 0  # other open questions of the same shape
    kept: int | None = None  # the place of the side that the answer keeps, once the question is closed
    is_put_off: bool = False
    since: Since | None = None  # on a page that shows the past

    @property
    def hidden_sides(self) -> int:
        """How many sides are left out."""
        return len(self.conflict.sides) - len(self.sides)

    @property
    def diff(self) -> SideDiff | None:
        """Where the sides differ, part by part; for a list of cards nobody works it out."""
        return diff_sides([side.value for side in self.sides]) if not self.hidden_sides else None

    @property
    def put_off_until(self) -> float | None:
        """When it comes back by itself, in seconds since 1970; None if only a change brings it back."""
        until = self.conflict.deferred_until
        return None if until is None or until >= UNTIL_IT_CHANGES else until

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
        off = f"-{self.conflict.deferred_until:.0f}" if self.is_put_off else ""
        # One version may be asked by another rule, and its sides be in another order.
        asked = [self.conflict.rule, *(canonical(side.value).decode() for side in self.sides)]
        order = hashlib.sha256("\0".join(asked).encode()).hexdigest()[:8]
        return f"{self.conflict.version}.{order}-{'open' if self.is_open else 'closed'}-{sent}{off}"


@dataclass(frozen=True, slots=True)
class JobConflicts:
    """The open questions of a job as cards, and the latest closed ones."""

    cards: list[Card]
    open: int
    closed: list[Conflict]


def read_conflicts(job: Job, moment: Moment | None = None) -> JobConflicts:
    """The conflicts panel of a job, as of `moment` or now."""
    if moment is not None:
        return _read_conflicts_then(job, moment)
    waiting = Conflict.objects.filter(job=job, status="open").order_by("-blocks", "id")
    closed = Conflict.objects.filter(job=job, status="closed").order_by("-closed_cycle", "-id")
    shown = list(waiting[:OPEN_SHOWN])
    for conflict in shown:
        conflict.job = job
    count = len(shown) if len(shown) < OPEN_SHOWN else waiting.count()
    return JobConflicts(read_cards(shown), count, list(closed[:CLOSED_SHOWN]))


def _read_conflicts_then(job: Job, moment: Moment) -> JobConflicts:
    """What was open at the moment, each card with what has become of it since, and what was closed by then."""
    waiting = questions_then(job, moment).order_by("-blocks", "id")
    closed = Conflict.objects.filter(job=job, closed_cycle__lte=moment.cycle).order_by("-closed_cycle", "-id")
    now = list(waiting[:OPEN_SHOWN])
    then = asked_then(job, moment, now)
    count = len(now) if len(now) < OPEN_SHOWN else waiting.count()
    return JobConflicts(_cards_then(then, now, moment), count, list(closed[:CLOSED_SHOWN]))


def _cards_then(then: Sequence[Conflict], now: Sequence[Conflict], moment: Moment) -> list[Card]:
    sent, said = _read_sent(now), _read_said(then, moment.seq)
    cards = []
    for was, row in zip(then, now, strict=True):
        card = _card(was, [], said[was.job_id, was.key].get(was.subject, []), 0, 0.0)
        cards.append(replace(card, since=_since(was, row, sent[row.pk])))
    return cards


def _since(was: Conflict, row: Conflict, sent: list[Decision]) -> Since:
    """What became of a question after the moment at which it was as `was`."""
    if row.status == "closed":
        return Since("settled", row.outcome or "closed", row.closed_cycle, _answer(row, sent))
    if (row.version, row.rule) != (was.version, was.rule):
        return Since("changed", "", None, _answer(row, sent))
    return Since("open", "", None, _answer(row, sent))


def read_cards(conflicts: Sequence[Conflict]) -> list[Card]:
    """The cards of some conflicts, with what was sent on each."""
    sent, said = _read_sent(conflicts), _read_said(conflicts)
    alike = _count_alike(conflicts)
    now = database_clock() if any(c.deferred_until is not None for c in conflicts) else 0.0
    return [
        _card(c, sent[c.pk], said[c.job_id, c.key].get(c.subject, []), alike.get(c.shape, 0), now)
        for c in conflicts
    ]


def _read_sent(conflicts: Sequence[Conflict]) -> dict[int | None, list[Decision]]:
    sent: dict[int | None, list[Decision]] = defaultdict(list)
    for decision in Decision.objects.filter(conflict__in=conflicts).order_by("id"):
        sent[decision.conflict_id].append(decision)
    return sent


def _read_said(
    conflicts: Sequence[Conflict], until: int | None = None
) -> dict[tuple[int, str], dict[str, list[Voice]]]:
    """By job and key, then subject, what the voices on these slots say, or said after entry `until`."""
    slots: dict[tuple[int, str], list[str]] = defaultdict(list)
    for conflict in conflicts:
        slots[conflict.job_id, conflict.key].append(conflict.subject)
    return {name: read_voices(*name, subjects, until) for name, subjects in slots.items()}


def _count_alike(conflicts: Sequence[Conflict]) -> dict[str, int]:
    """How many open questions there are of each shape."""
    shapes = {c.shape for c in conflicts if c.shape and c.status == "open"}
    if not shapes:
        return {}
    rows = Conflict.objects.filter(shape__in=shapes, status="open", awaiting="").exclude(
        job__status__in=ENDED
    )
    counted = rows.values("shape").annotate(count=Count("id")).order_by()
    return {row["shape"]: row["count"] for row in counted}


def read_card(conflict: Conflict) -> Card:
    """The card of one conflict."""
    return read_cards([conflict])[0]


def _card(conflict: Conflict, sent: list[Decision], said: list[Voice], alike: int, now: float) -> Card:
    by_voice = {(voice.agent, voice.item): voice for voice in said}
    answer = _answer(conflict, sent)
    settled = answer is not None and conflict.status != "open" and answer.act == "decide"
    counts = not conflict.awaiting and not conflict.job.is_ended
    return Card(
        conflict=conflict,
        job=conflict.job,
        sides=[_side(side, by_voice) for side in conflict.sides[:SIDES_SHOWN]],
        slot_href=slot_href(conflict.job_id, conflict.key, conflict.subject),
        policy=read_policy(conflict),
        last=sent[-1] if sent else None,
        answer=answer,
        alike=max(0, alike - counts) if conflict.status == "open" else 0,
        kept=side_kept(conflict, answer.payload) if answer is not None and settled else None,
        is_put_off=conflict.deferred_until is not None and conflict.deferred_until > now,
    )


def _answer(conflict: Conflict, sent: list[Decision]) -> Decision | None:
    """The decision that settled the question; while it is open, the one that waits to be applied."""
    status = "pending" if conflict.status == "open" else "applied"
    answers = [row for row in sent if row.act in ANSWERS and row.status in (status, "pending")]
    return answers[-1] if answers else None


def _side(side: dict[str, Any], said: dict[tuple[str, str], Voice]) -> Side:
    voices = side.get("voices") or []
    return Side(
        value=side.get("value"),
        confidence=_fraction(side.get("conf")),
        voices=[_side_voice(voice, said) for voice in voices[:VOICES_SHOWN]],
        hidden=max(0, len(voices) - VOICES_SHOWN),
    )


def _side_voice(voice: dict[str, Any], said: dict[tuple[str, str], Voice]) -> SideVoice:
    agent, item = str(voice.get("agent") or ""), str(voice.get("item") or "")
    spoke = said.get((agent, item))
    because = spoke.because if spoke else None
    evidence = voice.get("evidence") or (spoke.evidence if spoke else {})
    return SideVoice(
        agent=agent,
        item=item,
        confidence=_fraction(voice.get("conf")),
        seq=spoke.seq if spoke else None,
        evidence=list(evidence.items())[:EVIDENCE_SHOWN],
        premises=tuple(because) if isinstance(because, list) else (),
        shown=because.get("shown") if isinstance(because, dict) else None,
    )


def _fraction(thousandths: int | None) -> float | None:
    return None if thousandths is None else thousandths / 1000
