"""What stands, by key: facts with confidence, dissent, provisional and incomplete marks; contested and held slots."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.db.models import Max
from django.urls import reverse

from converge_site.fragments.columns import Column, make_columns
from converge_site.fragments.voices import Voice, read_voices
from runtime.models import Answer, Conflict, Entry, Job
from runtime.store import StandingRow, standing_row

SHOWN = 24


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


def read_context(job: Job, keys: Iterable[str] | None = None, shown: int = SHOWN) -> list[KeySet]:
    """The keys of the job's pack in their order with what stands in them; only `keys` if given."""
    pack = job.frozen_spec()
    specs = list(enumerate(pack["keys"]))
    if keys is not None:
        wanted = set(keys)
        specs = [(place, spec) for place, spec in specs if spec["name"] in wanted]
    heads = _read_heads(job, [spec["name"] for _, spec in specs])
    known = _read_marks(job), _read_questions(job)
    return [
        _key_set(job, place, spec, heads[spec["name"]], known, shown, pack["answer"]) for place, spec in specs
    ]


def read_key(job: Job, key: str, text: str = "", shown: int = SHOWN) -> KeySet | None:
    """One key with its slots whose subject contains `text`, up to `shown`; None if the pack has no such key."""
    for place, spec in enumerate(job.frozen_spec()["keys"]):
        if spec["name"] == key:
            heads = [head for head in _read_heads(job, [key])[key] if text.casefold() in head[0].casefold()]
            return _key_set(job, place, spec, heads, (_read_marks(job), _read_questions(job)), shown)
    return None


def _read_heads(job: Job, keys: Sequence[str]) -> dict[str, list[Head]]:
    """Every slot that shows something, by key, without its value: a key may have 100,000 and shows a page of them."""
    changes = Entry.objects.filter(job=job, key__in=keys).exclude(now="")
    latest = changes.values("key", "subject").annotate(last=Max("seq")).order_by().values("last")
    found = Entry.objects.filter(job=job, seq__in=latest).exclude(now="empty")
    heads: dict[str, list[Head]] = defaultdict(list)
    for key, subject, status, seq in found.values_list("key", "subject", "now", "seq"):
        heads[key].append((subject, status, seq))
    return heads


Slot = tuple[str, str]
Head = tuple[str, str, int]  # subject, what the slot shows, the entry that made it so
# The newest answer's marks, and the open questions.
Known = tuple[dict[Slot, dict[str, Any]], dict[Slot, int]]


def _key_set(
    job: Job,
    place: int,
    spec: dict[str, Any],
    heads: list[Head],
    known: Known,
    shown: int,
    answer: Sequence[str] = (),
) -> KeySet:
    # What waits for a person comes first: it must not hide behind "and 900 more".
    heads = sorted(heads, key=lambda head: (head[1] == "fact", head[0]))
    visible = {seq: subject for subject, _, seq in heads[:shown]}
    entries = {entry.seq: entry for entry in Entry.objects.filter(job=job, seq__in=visible)}
    rows = [standing_row(entries[seq]) for seq in visible]
    voices = read_voices(job.pk, spec["name"], visible.values())
    counts = Counter(status for _, status, _ in heads)
    return KeySet(
        place=place,
        name=spec["name"],
        title=spec.get("title") or spec["name"],
        description=spec.get("description", ""),
        seed=bool(spec.get("seed")),
        subject_label=spec.get("subject_label") or "Subject",
        columns=make_columns(spec.get("schema") or {}),
        in_answer=not answer or spec["name"] in answer,
        rows=[_fact_row(job.pk, row, voices.get(row.subject, []), *known) for row in rows],
        facts=counts["fact"],
        contested=counts["contested"],
        held=counts["held"],
    )


def _fact_row(
    job_id: int,
    row: StandingRow,
    voices: list[Voice],
    marks: dict[Slot, dict[str, Any]],
    questions: dict[Slot, int],
) -> FactRow:
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
        href=slot_href(job_id, row.key, row.subject),
        seq=row.seq,
        dissent=len(voices) - agreeing if row.status == "fact" else 0,
        support=agreeing,
        provisional=bool(mark.get("provisional")),
        incomplete=incomplete_words(mark),
        conflict=questions.get(slot),
    )


def _read_marks(job: Job) -> dict[Slot, dict[str, Any]]:
    """The marks of the newest answer: what was provisional or incomplete when the job last settled."""
    answer = Answer.objects.filter(job=job).order_by("-version").only("marks").first()
    return {(mark["key"], mark["subject"]): mark for mark in answer.marks} if answer else {}


def _read_questions(job: Job) -> dict[Slot, int]:
    open_now = Conflict.objects.filter(job=job, status="open").values_list("key", "subject", "pk")
    return {(key, subject): pk for key, subject, pk in open_now}
