"""What stands, by key: facts with confidence, dissent, provisional and incomplete marks; contested and held slots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from converge_site.fragments.columns import Column, make_columns
from converge_site.fragments.voices import Voice, read_voices
from runtime.models import Answer, Conflict, Job
from runtime.store import StandingRow, standing

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
    by_key: dict[str, list[StandingRow]] = defaultdict(list)
    for row in standing(job, keys=None if keys is None else [spec["name"] for _, spec in specs]):
        if row.status != "empty":
            by_key[row.key].append(row)
    marks, questions = _read_marks(job), _read_questions(job)
    return [
        _key_set(job, place, spec, by_key[spec["name"]], (marks, questions), shown, pack["answer"])
        for place, spec in specs
    ]


def read_key(job: Job, key: str, text: str = "", shown: int = SHOWN) -> KeySet | None:
    """One key with its slots whose subject contains `text`, up to `shown`; None if the pack has no such key."""
    for place, spec in enumerate(job.frozen_spec()["keys"]):
        if spec["name"] == key:
            rows = [row for row in standing(job, keys=[key]) if row.status != "empty"]
            rows = [row for row in rows if text.casefold() in row.subject.casefold()]
            return _key_set(job, place, spec, rows, (_read_marks(job), _read_questions(job)), shown)
    return None


Slot = tuple[str, str]
# The newest answer's marks, and the open questions.
Known = tuple[dict[Slot, dict[str, Any]], dict[Slot, int]]


def _key_set(
    job: Job,
    place: int,
    spec: dict[str, Any],
    rows: list[StandingRow],
    known: Known,
    shown: int,
    answer: Sequence[str] = (),
) -> KeySet:
    # What waits for a person comes first: it must not hide behind "and 900 more".
    rows = sorted(rows, key=lambda row: (row.status == "fact", row.subject))
    visible = rows[:shown]
    voices = read_voices(job.pk, spec["name"], [row.subject for row in visible])
    return KeySet(
        place=place,
        name=spec["name"],
        title=spec.get("title") or spec["name"],
        description=spec.get("description", ""),
        seed=bool(spec.get("seed")),
        subject_label=spec.get("subject_label") or "Subject",
        columns=make_columns(spec.get("schema") or {}),
        in_answer=not answer or spec["name"] in answer,
        rows=[_fact_row(job.pk, row, voices.get(row.subject, []), *known) for row in visible],
        facts=sum(row.status == "fact" for row in rows),
        contested=sum(row.status == "contested" for row in rows),
        held=sum(row.status == "held" for row in rows),
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
