"""What stands, by key: facts with confidence, dissent, provisional and incomplete marks; contested and held slots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse
from django.utils.safestring import SafeString

from converge_site.fragments.columns import Column, make_columns
from converge_site.fragments.moment import Moment
from converge_site.fragments.voices import Voice, read_voices
from runtime.models import Answer, Conflict, Entry, Job
from runtime.standing import Head, Place, find_place, standing_heads
from runtime.store import StandingRow, standing_row

SHOWN = 24
PAGE = 200  # on the page of one key
KEPT = 1_000  # keys of jobs at some cycle, some 20 KB each


@dataclass(frozen=True, slots=True)
class FactRow:
    """One slot as shown. `status`: "fact", "contested" or "held"; `conflict` is the open question on it, if any."""

    key: str
    subject: str
    status: str
    value: Any
    confidence: float | None
    agent: str
    href: str
    seq: int
    dissent: int = 0
    support: int = 0
    provisional: bool = False
    incomplete: str = ""
    conflict: int | None = None

    @property
    def is_marked(self) -> bool:
        """Whether there is any mark to show."""
        return bool(self.dissent or self.support > 1 or self.provisional or self.incomplete)


@dataclass(frozen=True, slots=True)
class KeySet:
    """A key and the first of its slots by subject. `place` numbers it within the job."""

    place: int
    name: str
    title: str
    description: str
    seed: bool
    subject_label: str
    columns: list[Column] = field(default_factory=list)
    in_answer: bool = True
    rows: list[FactRow] = field(default_factory=list)
    facts: int = 0
    contested: int = 0
    held: int = 0
    skipped: int = 0
    drawn: list[SafeString] = field(default_factory=list, compare=False, repr=False)  # its HTML, once made

    @property
    def last(self) -> int:
        """The place of the last slot shown, counted from 1."""
        return self.skipped + len(self.rows)

    @property
    def total(self) -> int:
        """All its slots that show something."""
        return self.facts + self.contested + self.held

    @property
    def is_open(self) -> bool:
        """Whether it starts unfolded: what the answer is made of, and what waits for a person."""
        return bool(self.contested or self.held) or (self.total > 0 and self.in_answer and not self.seed)


def incomplete_words(mark: dict[str, Any]) -> str:
    """What input of a marked fact was incomplete, by name; "" if none."""
    said = mark.get("incomplete") or ""
    return (
        ", ".join(map(str, said))
        if isinstance(said, list | tuple)
        else str(said)
        if said is not True
        else "input"
    )


def slot_href(job_id: int, key: str, subject: str) -> str:
    """The page of a slot's history."""
    return f"{reverse('slot', args=[job_id])}?{urlencode({'key': key, 'subject': subject})}"


def read_context(
    job: Job, keys: Iterable[str] | None = None, moment: Moment | None = None, shown: int = SHOWN
) -> list[KeySet]:
    """The keys of the job's pack in order with what stands in them, or stood at `moment`; only `keys` if given.

    What stood at the end of a cycle never changes, so what was read of it is kept for a while.
    """
    pack = job.frozen_spec()
    specs = dict(enumerate(pack["keys"]))
    if keys is not None:
        wanted = set(keys)
        specs = {at: spec for at, spec in specs.items() if spec["name"] in wanted}
    then = Then(job, find_place(job.pk, moment.seq if moment else None), moment)
    found = {at: _memory.get((*then.name, at, shown)) for at in specs}
    asked = [at for at, key_set in found.items() if key_set is None]
    if asked:
        heads = then.heads([specs[at]["name"] for at in asked])
        known = _read_known(then)
        for at in asked:
            read = _key_set(
                then, at, specs[at], heads[specs[at]["name"]], known, shown, answer=pack["answer"]
            )
            found[at] = _memory[(*then.name, at, shown)] = read
        while len(_memory) > KEPT:
            _memory.pop(next(iter(_memory)), None)
    return [key_set for key_set in found.values() if key_set is not None]


def read_key(
    job: Job, key: str, text: str = "", shown: int = PAGE, moment: Moment | None = None, page: int = 1
) -> KeySet | None:
    """One key with its slots whose subject contains `text`, a page of them; None if the pack has no such key."""
    for at, spec in enumerate(job.frozen_spec()["keys"]):
        if spec["name"] == key:
            then = Then(job, find_place(job.pk, moment.seq if moment else None), moment)
            heads = then.heads([key])[key]
            if text:
                heads = [head for head in heads if text.casefold() in head.subject.casefold()]
            return _key_set(then, at, spec, heads, _read_known(then), shown, skipped=shown * (page - 1))
    return None


@dataclass(frozen=True, slots=True)
class Then:
    """A job at the end of a cycle; `moment` is None for the present."""

    job: Job
    place: Place | None
    moment: Moment | None

    @property
    def name(self) -> tuple[Any, ...]:
        """What nothing else is called. A job's number alone may be given anew."""
        return self.job.pk, self.job.created_at, self.place, self.moment and self.moment.cycle

    @property
    def until(self) -> int | None:
        """The last entry that counts."""
        return self.moment.seq if self.moment else None

    def heads(self, keys: Sequence[str]) -> dict[str, list[Head]]:
        """Every slot of these keys that shows something, without its value."""
        return standing_heads.read(self.job.pk, keys, self.place)


Slot = tuple[str, str]
# The newest answer's marks, and the open questions.
Known = tuple[dict[Slot, dict[str, Any]], dict[Slot, int]]
_memory: dict[tuple[Any, ...], KeySet] = {}


def _key_set(
    then: Then,
    place: int,
    spec: dict[str, Any],
    heads: Sequence[Head],
    known: Known,
    shown: int,
    skipped: int = 0,
    answer: Sequence[str] = (),
) -> KeySet:
    # What waits for a person comes first: it must not hide behind "and 900 more".
    ordered = nsmallest(skipped + shown, heads, key=lambda head: (head.status == "fact", head.subject))
    visible = {head.seq: head.subject for head in ordered[skipped:]}
    entries = {entry.seq: entry for entry in Entry.objects.filter(job_id=then.job.pk, seq__in=visible)}
    rows = [standing_row(entries[seq]) for seq in visible]
    voices = read_voices(then.job.pk, spec["name"], visible.values(), then.until)
    counts = Counter(head.status for head in heads)
    return KeySet(
        place=place,
        name=spec["name"],
        title=spec.get("title") or spec["name"],
        description=spec.get("description", ""),
        seed=bool(spec.get("seed")),
        subject_label=spec.get("subject_label") or "Subject",
        columns=make_columns(spec.get("schema") or {}),
        in_answer=not answer or spec["name"] in answer,
        rows=[_fact_row(then, row, voices.get(row.subject, []), known) for row in rows],
        facts=counts["fact"],
        contested=counts["contested"],
        held=counts["held"],
        skipped=skipped,
    )


def _fact_row(then: Then, row: StandingRow, voices: list[Voice], known: Known) -> FactRow:
    marks, questions = known
    slot = (row.key, row.subject)
    mark = marks.get(slot, {})
    agreeing = sum(voice.says(row.value) for voice in voices) if row.status == "fact" else 0
    return FactRow(
        key=row.key,
        subject=row.subject,
        status=row.status,
        value=row.value,
        confidence=row.confidence if row.status == "fact" else None,
        agent=row.agent,
        href=slot_href(then.job.pk, *slot) + (f"&{then.moment.query}" if then.moment else ""),
        seq=row.seq,
        dissent=len(voices) - agreeing if row.status == "fact" else 0,
        support=agreeing,
        provisional=bool(mark.get("provisional")),
        incomplete=incomplete_words(mark),
        conflict=questions.get(slot),
    )


def _read_known(then: Then) -> Known:
    return _read_marks(then), _read_questions(then)


def _read_marks(then: Then) -> dict[Slot, dict[str, Any]]:
    """The marks of the newest answer: what was provisional or incomplete when the job last settled."""
    answers = Answer.objects.filter(job=then.job)
    if then.until is not None:
        answers = answers.filter(seq__lte=then.until)
    answer = answers.order_by("-version").only("marks").first()
    return {(mark["key"], mark["subject"]): mark for mark in answer.marks} if answer else {}


def _read_questions(then: Then) -> dict[Slot, int]:
    """The questions that were open, by slot. A question says nothing but that: what it asks is told elsewhere."""
    if then.moment is None:
        asked = Conflict.objects.filter(job=then.job, status="open")
    else:
        still_open = Q(closed_cycle__isnull=True) | Q(closed_cycle__gt=then.moment.cycle)
        asked = Conflict.objects.filter(still_open, job=then.job, opened_cycle__lte=then.moment.cycle)
    return {(key, subject): pk for key, subject, pk in asked.values_list("key", "subject", "pk")}
