"""What leaves as a file: an answer, the context and the journal, as rows and as JSON, now or as they were."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from converge_site.fragments.context import incomplete_words
from converge_site.fragments.journal_filter import Filter
from converge_site.fragments.moment import Moment
from runtime.models import Answer, Cycle, Entry, Job
from runtime.store import StandingRow, standing

ENTRIES_AT_ONCE = 2000

ANSWER_HEAD = ("key", "subject", "value", "confidence", "agent", "provisional", "undiscounted", "incomplete")
CONTEXT_HEAD = ("key", "subject", "status", "value", "confidence", "agent", "item", "provisional", "incomplete",
                "cycle", "entry")  # fmt: skip
JOURNAL_HEAD = ("entry", "cycle", "committed", "kind", "agent", "item", "key", "subject", "shows", "value",
                "confidence", "reason", "body")  # fmt: skip


def answer_rows(facts: Iterable[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """The facts of `store.answer_facts`, a row each."""
    for fact in facts:
        yield (
            fact["key"],
            fact["subject"],
            fact["value"],
            fact["confidence"],
            fact["agent"],
            fact["provisional"],
            fact.get("from"),
            incomplete_words(fact),
        )


@dataclass(frozen=True, slots=True)
class Marked:
    """A slot that shows something, with the marks it has in the newest answer of that moment."""

    row: StandingRow
    provisional: bool
    incomplete: str


def read_standing(job: Job, moment: Moment | None = None, key: str = "") -> Iterator[Marked]:
    """What stands, by key in the order of the pack; the slots of one key at a time are held in memory."""
    answers = Answer.objects.filter(job=job, seq__lte=_last(job, moment)).order_by("-version")
    newest = answers.only("marks").first()
    marks = {(mark["key"], mark["subject"]): mark for mark in newest.marks} if newest else {}
    names = [spec["name"] for spec in job.frozen_spec()["keys"]]
    for name in names if not key else [key]:
        for row in standing(job, _last(job, moment), [name]):
            mark = marks.get((row.key, row.subject), {})
            yield Marked(row, bool(mark.get("provisional")), incomplete_words(mark))


def context_rows(found: Iterable[Marked]) -> Iterator[tuple[Any, ...]]:
    """What stands, a row a slot. A slot that is contested or held has no value."""
    for slot in found:
        row = slot.row
        is_fact = row.status == "fact"
        value, confidence = (row.value, row.confidence) if is_fact else (None, None)
        yield (row.key, row.subject, row.status, value, confidence, row.agent, row.item, slot.provisional,
               slot.incomplete, row.cycle, row.seq)  # fmt: skip


def context_objects(found: Iterable[Marked]) -> Iterator[bytes]:
    """What stands, a JSON object a slot."""
    for row in context_rows(found):
        yield orjson.dumps(dict(zip(CONTEXT_HEAD, row, strict=True)))


def read_entries(
    job: Job, chosen: Filter, moment: Moment | None = None
) -> Iterator[tuple[Entry, dt.datetime | None]]:
    """The entries that match, oldest first, each with the moment its cycle was committed; read in stretches, so that a
    slow reader keeps no question to the database open. What is committed meanwhile is left out."""
    last, seq = _last(job, moment), 0
    while True:
        found = chosen.apply(Entry.objects.filter(job=job, seq__gt=seq, seq__lte=last)).order_by("seq")
        entries = list(found[:ENTRIES_AT_ONCE])
        if not entries:
            return
        cycles = Cycle.objects.filter(job=job, number__range=(entries[0].cycle, entries[-1].cycle))
        ended = {
            number: began + dt.timedelta(milliseconds=took)
            for number, began, took in cycles.values_list("number", "started_at", "duration_ms")
        }
        for entry in entries:
            yield entry, ended.get(entry.cycle)
        seq = entries[-1].seq


def journal_rows(entries: Iterable[tuple[Entry, dt.datetime | None]]) -> Iterator[tuple[Any, ...]]:
    """Entries, a row each; the last cell is the whole entry as it was written down."""
    for entry, at in entries:
        body = entry.data
        confidence = body.get("conf")
        yield (
            entry.seq,
            entry.cycle,
            at.isoformat(timespec="milliseconds") if at else None,
            entry.kind,
            entry.agent,
            entry.item,
            entry.key,
            entry.subject,
            entry.now,
            body.get("value"),
            None if confidence is None else confidence / 1000,
            str(body.get("reason") or ""),
            entry.body,
        )


def journal_objects(entries: Iterable[tuple[Entry, dt.datetime | None]]) -> Iterator[bytes]:
    """Entries as `manage.py journal` prints them: seq, cycle, and then the entry as it was written down."""
    for entry, _ in entries:
        yield f'{{"seq":{entry.seq},"cycle":{entry.cycle},{entry.body[1:]}'.encode()


def join_objects(head: dict[str, Any], name: str, objects: Iterable[bytes]) -> Iterator[str]:
    """One JSON object: `head`, and under `name` the list of `objects`, a line each."""
    yield f"{orjson.dumps(head).decode()[:-1]},{orjson.dumps(name).decode()}:["
    between = "\n"
    for piece in objects:
        yield f"{between}{piece.decode()}"
        between = ",\n"
    yield "\n]}\n"


def _last(job: Job, moment: Moment | None) -> int:
    return moment.seq if moment else job.entries
