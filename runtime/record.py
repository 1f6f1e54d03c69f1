"""A job's record, wherever it lies: its cycles and entries in order, and whether they chain (D6.1, D6.2).

A record comes from the database here, or from a file (runtime/bundle.py). Nothing of it is believed until checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from runtime.engine import GENESIS, PackSpec
from runtime.engine.log import chain
from runtime.models import Cycle, Entry, Job
from runtime.signing import Signed

ENTRIES_AT_ONCE = 20_000

_SORTED = orjson.OPT_SORT_KEYS
_CYCLE_FIELDS = (
    "number",
    "first_seq",
    "last_seq",
    "digest",
    "tier",
    "runs",
    "changes",
    "epoch",
    "worker",
    "started_at",
    "duration_ms",
)


class RecordBroken(Exception):
    """The record does not hold; the message says where, without a full stop."""


class Line(NamedTuple):
    """One entry as it was written down: its number, and its canonical JSON."""

    seq: int
    body: bytes


class RecordCycle(NamedTuple):
    """One recorded cycle, with what it says of itself; nothing of it is checked yet."""

    number: int
    first_seq: int
    last_seq: int
    digest: str
    epoch: int
    lines: list[Line]


@dataclass(frozen=True)
class Record:
    """A job's record. `name` is what to call it in a sentence; `job` is its summary, as in a bundle.

    `cycles()` goes through the cycles in order, anew each time. `begun` is the digest of pack and seeds as they were
    written down. `seal` is the signature under a bundle, and fits it.
    """

    name: str
    job: dict[str, Any]
    pack: PackSpec
    seeds: list[dict[str, Any]]
    cycles: Callable[[], Iterator[RecordCycle]]
    begun: str
    seal: Signed | None = None


def record_of_job(job: Job) -> Record:
    """The record as the database keeps it, up to the cycle that `job` was read at."""
    pack, seeds = job.frozen_spec(), orjson.loads(job.seeds)
    begun = input_digest(pack, seeds)
    return Record(
        f"job {job.pk}", summary_of(job), PackSpec.from_json(pack), seeds, lambda: job_cycles(job), begun
    )


def summary_of(job: Job) -> dict[str, Any]:
    """What a bundle says of its job beside the journal."""
    return {
        "id": job.pk,
        "title": job.title,
        "pack": job.pack.name,
        "submitter": job.submitter.get_username() if job.submitter else "",
        "status": job.status,
        "reason": job.reason,
        "tier": job.tier,
        "top_tier": job.top_tier,
        "cycle": job.cycle,
        "entries": job.entries,
        "digest": job.digest,
        "facts": job.facts,
        "conflicts_open": job.conflicts_open,
        "holds_open": job.holds_open,
        "answer_version": job.answer_version,
        "calls": job.calls,
        "tokens": job.tokens,
        "cost": job.cost,
        "engine_version": job.engine_version,
        "created_at": job.created_at.isoformat(),
        "settled_at": job.settled_at.isoformat() if job.settled_at else None,
    }


def input_digest(pack: Any, seeds: Any) -> str:
    """SHA-256 of what a job was begun with, pack and seeds as JSON."""
    return hashlib.sha256(orjson.dumps([pack, seeds], option=_SORTED)).hexdigest()


def job_cycles(job: Job) -> Iterator[RecordCycle]:
    """The cycles of a job's rows."""
    for row, lines in job_rows(job):
        yield cycle_of(row, lines)


def cycle_of(row: dict[str, Any], lines: list[Line]) -> RecordCycle:
    """A cycle from its row, or from the object of a bundle."""
    return RecordCycle(row["number"], row["first_seq"], row["last_seq"], row["digest"], row["epoch"], lines)


def job_rows(job: Job) -> Iterator[tuple[dict[str, Any], list[Line]]]:
    """Cycle rows, each with its lines. A line goes with the cycle its row names, whatever its number."""
    lines = _job_lines(job)
    waiting = next(lines, None)
    rows = (
        Cycle.objects.filter(job_id=job.pk, number__lte=job.cycle).order_by("number").values(*_CYCLE_FIELDS)
    )
    for row in list(rows):
        own: list[Line] = []
        while waiting is not None and waiting[0] <= row["number"]:
            own.append(waiting[1])
            waiting = next(lines, None)
        yield row, own


def _job_lines(job: Job) -> Iterator[tuple[int, Line]]:
    rows = Entry.objects.filter(job_id=job.pk, cycle__lte=job.cycle).order_by("seq")
    seq = 0
    while portion := list(rows.filter(seq__gt=seq).values_list("cycle", "seq", "body")[:ENTRIES_AT_ONCE]):
        for cycle, seq, body in portion:
            yield cycle, Line(seq, body.encode())


class Chain:
    """Takes cycles in order; `add` raises RecordBroken unless each follows from the one before."""

    def __init__(self) -> None:
        self.cycle = 0
        self.entries = 0
        self.epoch = 0
        self.digest = ""

    def add(self, cycle: RecordCycle) -> None:
        """The next cycle: numbers, epoch and digest must fit."""
        number, seq = self.cycle + 1, self.entries + 1
        if cycle.number != number:
            raise RecordBroken(f"cycle {number} is missing: cycle {cycle.number} comes in its place")
        if cycle.first_seq != seq:
            raise RecordBroken(f"cycle {number} says it begins with entry {cycle.first_seq}; {seq} is next")
        for at, line in enumerate(cycle.lines, seq):
            if line.seq != at:
                raise RecordBroken(
                    f"cycle {number}: entry {at} is missing, entry {line.seq} comes in its place"
                )
        last = self.entries + len(cycle.lines)
        if cycle.last_seq != last:
            raise RecordBroken(f"cycle {number} says it ends with entry {cycle.last_seq}; its last is {last}")
        if cycle.epoch < self.epoch:
            raise RecordBroken(
                f"cycle {number} was written under epoch {cycle.epoch}, after one of epoch {self.epoch}"
            )
        found = chain(self.digest or GENESIS, [line.body for line in cycle.lines])
        if found != cycle.digest:
            raise RecordBroken(
                f"cycle {number}: its entries give the digest {found}, recorded is {cycle.digest}"
            )
        self.cycle, self.entries, self.epoch, self.digest = number, last, cycle.epoch, found


def chained(cycles: Iterable[RecordCycle]) -> Iterator[RecordCycle]:
    """The cycles, each once it was found to follow from the one before. Raises RecordBroken."""
    so_far = Chain()
    for cycle in cycles:
        so_far.add(cycle)
        yield cycle
