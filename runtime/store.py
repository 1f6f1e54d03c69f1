"""From rows back to values: the engine of a job, and what pages and commands read.

The journal is the truth. What stands at any entry is asked of it directly: the last entry of each slot that changed
what the slot shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from operator import attrgetter
from typing import Any

import orjson
from django.db import connection
from django.db.models import Max

from runtime.engine import Core, InboxRow, PackSpec, Seed
from runtime.engine.replay import RecordedCycle, replay
from runtime.models import Answer, Cycle, Decision, Entry, Job, ToolCall
from runtime.standing import find_place, standing_heads

ENTRIES_AT_ONCE = 20_000
ANSWERS_KEPT = 200

_by_subject = attrgetter("subject")
_first_facts: dict[Any, list[dict[str, Any]]] = {}


@dataclass(frozen=True, slots=True)
class StandingRow:
    """What one slot shows: `status` is fact, contested or held; `value` and `confidence` (0..1) only for facts."""

    key: str
    subject: str
    status: str
    value: Any
    confidence: float
    seq: int
    cycle: int
    agent: str
    item: str


def pack_of(job: Job) -> PackSpec:
    """The pack the job froze when it was submitted (D6.4)."""
    return PackSpec.from_json(job.frozen_spec())


def seeds_of(job: Job) -> list[Seed]:
    """The job's seeds, numbered from 1."""
    return [
        Seed(n, s["key"], s["subject"], s["value"], s.get("confidence", 1.0), s.get("evidence"))
        for n, s in enumerate(orjson.loads(job.seeds), 1)
    ]


def read_cycles(job_id: int) -> Iterator[RecordedCycle]:
    """The recorded cycles of a job in order, read in portions."""
    cycles = Cycle.objects.filter(job_id=job_id).order_by("number")
    bodies = _bodies(job_id)
    for number, first, last, digest in cycles.values_list("number", "first_seq", "last_seq", "digest"):
        yield RecordedCycle(number, first, digest, [next(bodies, b"null") for _ in range(first, last + 1)])


def _bodies(job_id: int) -> Iterator[bytes]:
    seq = 0
    while True:
        rows = list(
            Entry.objects.filter(job_id=job_id, seq__gt=seq)
            .order_by("seq")
            .values_list("seq", "body")[:ENTRIES_AT_ONCE]
        )
        for at, body in rows:
            if at != seq + 1:
                return  # a gap: what follows cannot be trusted, and the digest will say so
            seq = at
            yield body.encode()
        if len(rows) < ENTRIES_AT_ONCE:
            return


def load_core(job: Job) -> Core:
    """The job's engine as of its last committed cycle, merged anew and checked against the chain (D7.4)."""
    if not job.cycle:
        return Core(pack_of(job), job.engine_version)
    return replay(pack_of(job), read_cycles(job.pk), job.engine_version)


def has_mail(job_id: int) -> bool:
    """Whether rows wait in the job's inbox. Asked for every job taken up, and mostly answered with no: in SQL, for the
    models take thirty times as long to find nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM runtime_decision WHERE job_id = %s AND status = 'pending' LIMIT 1", [job_id]
        )
        return cursor.fetchone() is not None


def is_cancel_asked(job_id: int) -> bool:
    """Whether somebody asked for the job's end, and its runtime has not heard of it yet."""
    return Decision.objects.filter(job_id=job_id, status="pending", act="cancel").exists()


def pending_rows(job_id: int) -> list[InboxRow]:
    """The rows of the job's inbox that were not applied yet, in order."""
    rows = Decision.objects.filter(job_id=job_id, status="pending").select_related("by").order_by("id")
    return [inbox_row(row) for row in rows]


def inbox_row(row: Decision) -> InboxRow:
    """A row of an inbox as the engine is given it."""
    return InboxRow(
        id=row.pk,
        act=row.act,
        by=row.by_name,
        key=row.key,
        subject=row.subject,
        value=row.payload.get("value"),
        none=bool(row.payload.get("none")),
        confidence=row.payload.get("confidence", 1.0),
        version=row.version,
        reason=row.reason,
        groups=tuple(row.payload.get("groups", ())),
        on=row.payload.get("on", ""),
    )


def standing(job: Job, at_seq: int | None = None, keys: Sequence[str] | None = None) -> list[StandingRow]:
    """What every slot shows now, or showed after entry `at_seq`; by key, then subject. Empty slots are left out."""
    rows = Entry.objects.filter(job_id=job.pk).exclude(now="")
    if at_seq is not None:
        rows = rows.filter(seq__lte=at_seq)
    if keys is not None:
        rows = rows.filter(key__in=keys)
    latest = rows.values("key", "subject").annotate(last=Max("seq")).order_by().values("last")
    found = Entry.objects.filter(job_id=job.pk, seq__in=latest).exclude(now="empty")
    return sorted((standing_row(e) for e in found.iterator()), key=lambda r: (r.key, r.subject))


def standing_row(entry: Entry) -> StandingRow:
    """What a slot shows after this entry, which must be one that changed it."""
    fact = entry.now == "fact"
    body = entry.data if fact else {}
    strength = body.get("strength", body.get("conf", 0))
    return StandingRow(
        entry.key,
        entry.subject,
        entry.now,
        body.get("value"),
        strength / 1000,
        entry.seq,
        entry.cycle,
        body.get("speaker", entry.agent),
        body.get("speaker_item", "") if "speaker" in body else entry.item,
    )


def entries_after(job_id: int, seq: int, limit: int) -> list[Entry]:
    """Up to `limit` entries after `seq`, in order."""
    return list(Entry.objects.filter(job_id=job_id, seq__gt=seq).order_by("seq")[:limit])


def run_calls(entry: Entry) -> list[dict[str, Any]]:
    """The calls of tools that a run entry tells of, each with `attempts`: requests sent, from the record of calls."""
    calls: list[dict[str, Any]] = entry.data.get("calls", []) if entry.kind == "run" else []
    if not calls:
        return []
    # Where a cycle was begun twice with other questions, the newer one was merged.
    calls_of_run = ToolCall.objects.filter(job_id=entry.job_id, cycle=entry.cycle, agent=entry.agent)
    rows = calls_of_run.order_by("id")
    sent = {
        (item, number, cls): attempts
        for item, number, cls, attempts in rows.values_list("item", "number", "cls", "attempts")
    }
    numbers: Counter[str] = Counter()
    for call in calls:
        item = call.get("item", "")
        numbers[item] += 1
        call["attempts"] = sent.get((item, numbers[item], call.get("cls", "")), 0)
    return calls


def entries_of_slots(job_id: int, key: str, subjects: Iterable[str], until: int | None = None) -> list[Entry]:
    """Every entry about these slots of one key, up to entry `until`, in order."""
    wanted = list(subjects)
    if not wanted:
        return []
    # SQLite knows nothing of a job's size and would rather look through all of its entries.
    index = "INDEXED BY entry_by_slot" if connection.vendor == "sqlite" else ""
    marks = ", ".join(["%s"] * len(wanted))
    last = "" if until is None else "AND seq <= %s"
    rows = Entry.objects.raw(
        f"SELECT * FROM runtime_entry {index} WHERE job_id = %s AND key = %s AND subject IN ({marks}) {last}",
        [job_id, key, *wanted, *([] if until is None else [until])],
    )
    return sorted(rows, key=lambda entry: entry.seq)


def slot_history(job: Job, key: str, subject: str) -> list[Entry]:
    """Every entry about one slot, in order."""
    return list(Entry.objects.filter(job_id=job.pk, key=key, subject=subject).order_by("seq"))


def answer_keys(pack: PackSpec) -> list[str]:
    """The keys an answer publishes: those the pack names, or all that agents write."""
    return list(pack.answer or dict.fromkeys(k for a in pack.agents for k in a.writes))


def answer_facts(job: Job, answer: Answer) -> list[dict[str, Any]]:
    """An answer's facts: key, subject, value, confidence (0..1, discounted), agent, provisional; where it was
    discounted or is incomplete also `from` and `incomplete`."""
    marks = {(m["key"], m["subject"]): m for m in answer.marks}
    facts = []
    for row in standing(job, answer.seq, answer_keys(pack_of(job))):
        if row.status != "fact":
            continue
        facts.append(_answer_fact(row, marks))
    return facts


def _answer_fact(row: StandingRow, marks: Mapping[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    mark = marks.get((row.key, row.subject), {})
    fact = {
        "key": row.key,
        "subject": row.subject,
        "value": row.value,
        "confidence": mark.get("conf", round(row.confidence * 1000)) / 1000,
        "agent": row.agent,
        "provisional": bool(mark.get("provisional")),
    }
    if mark:
        fact |= {"from": mark["from"] / 1000, "incomplete": mark.get("incomplete", "")}
    return fact


def first_answer_facts(job: Job, answer: Answer, keys: Sequence[str], most: int) -> list[dict[str, Any]]:
    """The first `most` of an answer's facts, by these keys in order, then by subject: as `answer_facts` has them,
    without reading all. An answer never changes, so what was found is kept."""
    name = answer.pk, answer.created_at, tuple(keys), most
    if (kept := _first_facts.get(name)) is not None:
        return kept
    heads = standing_heads.read(job.pk, keys, find_place(job.pk, _end_of(job, answer)))
    facts = (nsmallest(most, (h for h in heads[key] if h.status == "fact"), key=_by_subject) for key in keys)
    wanted = [head.seq for of_key in facts for head in of_key][:most]
    rows = {entry.seq: standing_row(entry) for entry in Entry.objects.filter(job_id=job.pk, seq__in=wanted)}
    marks = {(m["key"], m["subject"]): m for m in answer.marks}
    found = [_answer_fact(rows[seq], marks) for seq in wanted]
    _first_facts[name] = found
    while len(_first_facts) > ANSWERS_KEPT:
        _first_facts.pop(next(iter(_first_facts)), None)
    return found


def _end_of(job: Job, answer: Answer) -> int | None:
    """The last entry of the answer's cycle: an answer is published when all of it is merged."""
    cycles = Cycle.objects.filter(job_id=job.pk, number=answer.cycle)
    return cycles.values_list("last_seq", flat=True).first()


def latest_answer(job: Job) -> Answer | None:
    """The newest anytime answer."""
    return Answer.objects.filter(job_id=job.pk).order_by("-version").first()
