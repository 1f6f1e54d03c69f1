"""A job's whole record in one file, or as its database keeps it: what `verify` and `replay` need, and no more (D6.3).

A bundle is one JSON object, written an entry a line so that two of them can be compared line by line:

    {"format": "converge-bundle/1",
     "job":    {"id", "title", "pack", "submitter", "status", "reason", "tier", "cycle", "entries", "digest", ...},
     "pack":   the frozen pack,
     "seeds":  [{"key", "subject", "value", ...}, ...],
     "cycles": [{"number", "first_seq", "last_seq", "digest", "epoch", ..., "entries": [entry, ...]}, ...]}

Entries are the very objects over whose canonical JSON the digests run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from runtime.engine import BoundsError, PackSpec
from runtime.engine.values import load_json
from runtime.models import Cycle, Entry, Job

FORMAT = "converge-bundle/1"
MAX_BUNDLE_BYTES = 1024 * 1024 * 1024
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


class BundleError(ValueError):
    """A file is no bundle, or not one that this version reads. The message is for people."""


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

    `cycles()` goes through the cycles in order, anew each time.
    """

    name: str
    job: dict[str, Any]
    pack: PackSpec
    seeds: list[dict[str, Any]]
    cycles: Callable[[], Iterator[RecordCycle]]


def record_of_job(job: Job) -> Record:
    """The record as the database keeps it, up to the cycle that `job` was read at."""
    pack, seeds = PackSpec.from_json(job.frozen_spec()), orjson.loads(job.seeds)
    return Record(f"job {job.pk}", _summary(job), pack, seeds, lambda: _job_cycles(job))


def _summary(job: Job) -> dict[str, Any]:
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


def _job_cycles(job: Job) -> Iterator[RecordCycle]:
    for row, lines in _job_rows(job):
        yield RecordCycle(
            row["number"], row["first_seq"], row["last_seq"], row["digest"], row["epoch"], lines
        )


def _job_rows(job: Job) -> Iterator[tuple[dict[str, Any], list[Line]]]:
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


def write_bundle(job: Job) -> Iterator[str]:
    """The bundle of a job as pieces of text, a cycle each. A job that is still running is written as it stands."""
    head = {
        "format": FORMAT,
        "job": _summary(job),
        "pack": job.frozen_spec(),
        "seeds": orjson.loads(job.seeds),
    }
    yield "{" + ",\n".join(f'"{name}":{_text(part)}' for name, part in head.items()) + ',\n"cycles":['
    for at, (row, lines) in enumerate(_job_rows(job)):
        own = _text({**row, "started_at": row["started_at"].isoformat()})
        entries = ",\n".join(line.body.decode() for line in lines)
        yield f'{"," if at else ""}\n{own[:-1]},"entries":[\n{entries}\n]}}'
    yield "\n]}\n"


def _text(value: Any) -> str:
    return orjson.dumps(value, option=_SORTED).decode()


def read_bundle(text: bytes, name: str) -> Record:
    """The record in a bundle; `name` is what to call it. Raises BundleError for anything that is none.

    Entries are numbered as the file lists them; whether that fits what the cycles say is for `verify` to tell.
    """
    try:
        data = load_json(text, MAX_BUNDLE_BYTES)
    except BoundsError as error:
        raise BundleError(f"{name} {error}") from None
    if not isinstance(data, dict) or not str(data.get("format", "")).startswith("converge-bundle/"):
        raise BundleError(f'{name} is no bundle: it does not begin with "format": "{FORMAT}"')
    if data["format"] != FORMAT:
        raise BundleError(f"{name} is a {data['format']}; this version reads {FORMAT}")
    try:
        cycles = list(_file_cycles(data["cycles"]))
        pack = PackSpec.from_json(data["pack"])
        if not isinstance(data["seeds"], list) or not isinstance(data["job"], dict):
            raise TypeError("its seeds are no list, or its job is no object")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{name} lacks a part of a bundle, or one is of the wrong kind: {error}") from None
    return Record(name, data["job"], pack, data["seeds"], lambda: iter(cycles))


def _file_cycles(rows: list[dict[str, Any]]) -> Iterator[RecordCycle]:
    seq = 0
    for row in rows:
        numbers = [row[field] for field in ("number", "first_seq", "last_seq", "epoch")]
        if not all(type(number) is int for number in numbers) or not isinstance(row["digest"], str):
            raise TypeError(f"cycle {row['number']} has numbers that are none")
        lines = [
            Line(at, orjson.dumps(entry, option=_SORTED)) for at, entry in enumerate(row["entries"], seq + 1)
        ]
        seq += len(lines)
        yield RecordCycle(
            row["number"], row["first_seq"], row["last_seq"], row["digest"], row["epoch"], lines
        )
