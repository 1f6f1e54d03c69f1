"""What else happened in the cycles of a timeline: questions to people, what people sent, stops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from converge_site.fragments.amounts import count_words
from converge_site.fragments.timeline_runs import CycleSpan
from converge_site.fragments.words import Look, look_of_status
from runtime.models import Conflict, Decision, Entry, Job

READ = 500  # rows of each kind in one drawing
LAST = 98.8  # hundredths; a mark further on would be cut off


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark above the bars. `x` in hundredths of the drawing; `href` is "" where it leads to several places."""

    x: str
    cycle: int
    look: Look
    words: str
    href: str


def read_marks(job: Job, spans: Sequence[CycleSpan], places: Sequence[tuple[float, float]]) -> list[Mark]:
    """The marks of these cycles, which lie at these places: what was sent first, then questions, then stops."""
    where = {span.number: place for span, place in zip(spans, places, strict=True)}
    first, last = spans[0].number, spans[-1].number
    marks: list[Mark] = []
    sent: dict[int, int] = {}
    rows = Decision.objects.filter(job=job, status="applied", applied_cycle__range=(first, last))
    for cycle in rows.values_list("applied_cycle", flat=True)[:READ]:
        sent[cycle or 0] = sent.get(cycle or 0, 0) + 1
    for cycle, count in sent.items():
        words = f"Cycle {cycle}: {count_words(count, 'thing')} that people or the clock sent took effect"
        marks.append(Mark(_at(where[cycle], 0.0), cycle, Look("inbox", "blue", "sent"), words, ""))
    asked: dict[int, list[int]] = {}
    opened = Conflict.objects.filter(job=job, opened_cycle__range=(first, last))
    for cycle, number in opened.values_list("opened_cycle", "pk")[:READ]:
        asked.setdefault(cycle, []).append(number)
    for cycle, numbers in asked.items():
        href = reverse("conflict", args=numbers) if len(numbers) == 1 else ""
        words = f"Cycle {cycle}: {count_words(len(numbers), 'question')} to people opened"
        marks.append(Mark(_at(where[cycle], 0.5), cycle, Look("split", "amber", "asked"), words, href))
    # A stop is the last entry of its cycle.
    ends = Entry.objects.filter(job=job, seq__in=[span.last_seq for span in spans], kind="stop")
    for entry in ends.only("job_id", "seq", "cycle", "body"):
        reason = str(entry.data.get("reason", ""))
        look = look_of_status(reason)
        href = reverse("entry", args=[job.pk, entry.seq])
        words = f"Cycle {entry.cycle}: stopped, {look.word.lower()}"
        marks.append(Mark(_at(where[entry.cycle], 1.0), entry.cycle, look, words, href))
    return sorted(marks, key=lambda mark: mark.cycle)


def _at(place: tuple[float, float], share: float) -> str:
    return f"{min(place[0] + place[1] * share, LAST):.2f}%"
