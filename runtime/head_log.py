"""The log of signed heads read and checked, and records held against it (runtime/heads.py says what heads are for)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
from django.conf import settings
from django.db.models import Count, Max

from runtime.engine import GENESIS
from runtime.models import Cycle, Head, Job
from runtime.record import Record, RecordBroken, input_digest
from runtime.signing import BadSignature, Signed, key_id, read_signed

PURPOSE: Final = "converge-head/1"
REMOVED: Final = "removed"  # the status of a head that says: this job was taken out of the database, by us
NEWEST_FILE: Final = "newest-head"
# The reason of a job whose rows are being deleted: what is left of it is no record any more.
LEAVING: Final = "Kept as a bundle by retention; its rows are being deleted."

_NUMBERS = ("number", "job", "cycle", "entries")
_TEXTS = {"digest", "input", "at", "status"}

Ends = Mapping[int, tuple[str, int]]  # by cycle: its digest, its last entry


class HeadsBroken(RecordBroken):
    """The log of heads does not hold: it was changed or cut back, whatever the jobs are like."""


def link(line: str) -> str:
    """What the next head calls this one."""
    return hashlib.sha256(line.encode()).hexdigest()


def heads_of(job_id: int, trusted: frozenset[str]) -> list[Signed]:
    """The heads of a job in order, their signatures checked. Raises RecordBroken."""
    rows = Head.objects.filter(job_id=job_id).order_by("number")
    return [read_row(row, trusted) for row in rows]


def read_row(row: Head, trusted: frozenset[str]) -> Signed:
    """What a row of the log says. Raises HeadsBroken unless it is signed by one of `trusted`, and lies in its place."""
    try:
        signed = read_signed(PURPOSE, row.line.encode())
    except BadSignature as error:
        raise HeadsBroken(f"head {row.number}: {error}") from None
    if signed.key not in trusted:
        raise HeadsBroken(f"head {row.number} is signed by key {key_id(signed.key)}, which is none of ours")
    said = signed.said
    if (said["number"], said["job"], said["cycle"]) != (row.number, row.job_id, row.cycle):
        raise HeadsBroken(f"head {row.number} lies where another belongs")
    return signed


def compare_with_heads(job: Job, trusted: frozenset[str]) -> Signed | None:
    """Compares a job, as it was read, with its signed heads; gives the newest. Raises RecordBroken.

    Looks at the digests its cycles say they have: that they do, the chain shows.
    """
    heads = heads_of(job.pk, trusted)
    if heads:
        numbers = [head.said["cycle"] for head in heads]
        found = Cycle.objects.filter(job_id=job.pk, number__in=numbers)
        ends = {n: (digest, last) for n, digest, last in found.values_list("number", "digest", "last_seq")}
        compare_heads(job, heads, ends)
    return heads[-1] if heads else None


def compare_heads(job: Job, heads: Sequence[Signed], ends: Ends) -> None:
    """Compares a job, as it was read, with heads of its. Raises RecordBroken."""
    if heads:
        begun = input_digest(job.frozen_spec(), orjson.loads(job.seeds))
        for head in heads:
            compare_head(head.said, job.cycle, ends, begun)


def compare_record(record: Record, heads: Iterable[Signed]) -> int:
    """Compares a record with those of `heads` that are of its job; gives how many were. Raises RecordBroken."""
    own = [head.said for head in heads if head.said["job"] == record.job.get("id")]
    if own:
        ends = {cycle.number: (cycle.digest, cycle.last_seq) for cycle in record.cycles()}
        for said in own:
            compare_head(said, len(ends), ends, record.begun)
    return len(own)


def compare_head(said: Mapping[str, Any], cycles: int, ends: Ends, begun: str) -> None:
    """Compares one head with a record of so many cycles, which end with (digest, entry). Raises RecordBroken."""
    name = f"head {said['number']}, signed {said['at']}"
    if said["cycle"] > cycles:
        raise RecordBroken(
            f"the record was cut back: {name}, is of cycle {said['cycle']}; the last one now is {cycles}"
        )
    if ends.get(said["cycle"]) != (said["digest"], said["entries"]):
        raise RecordBroken(f"the record was rewritten: {name}, says another digest for cycle {said['cycle']}")
    if begun != said["input"]:
        raise RecordBroken(f"pack or seeds were rewritten: {name}, says another digest for them")


def has_left(job_id: int, trusted: frozenset[str]) -> bool:
    """Whether retention took a job out, or is about to: its last head says so under one of `trusted`.

    For whoever found it incomplete or gone: that is no fault. Of one that never began, nothing was signed.
    """
    row = Job.objects.filter(pk=job_id).values("reason", "cycle").first()
    if row is not None and row["reason"] != LEAVING:
        return False
    try:
        heads = heads_of(job_id, trusted)
    except RecordBroken:
        return False
    if heads:
        return bool(heads[-1].said["status"] == REMOVED)
    return row is None or row["cycle"] == 0


def check_newest(trusted: frozenset[str]) -> Signed | None:
    """Compares the log's end with the head kept in CONVERGE_HOME, and its length with its last number; gives the newest
    head. Raises HeadsBroken."""
    newest = newest_holding(trusted)
    # In one query: between two of them the scheduler signs.
    found = Head.objects.aggregate(last=Max("number"), count=Count("number"))
    if (found["last"] or 0) != found["count"]:
        raise HeadsBroken(f"the newest head has the number {found['last']}, and there are {found['count']}")
    return read_row(newest, trusted) if newest else None


def newest_holding(trusted: frozenset[str]) -> Head | None:
    """The last row of the log, once the head that was kept here was found in it."""
    newest = Head.objects.order_by("-number").first()
    path = Path(settings.CONVERGE_HOME) / NEWEST_FILE
    if path.exists():
        compare_kept([_read_kept(path.read_bytes().strip(), trusted, str(path))], str(path))
    return newest


def check_log(trusted: frozenset[str]) -> tuple[int, dict[int, str]]:
    """Walks the whole log. Gives its length, and by job the status that its last head tells. Raises HeadsBroken.

    The newest signature is checked; each line names the digest of the one before, so it vouches for all of them.
    """
    check_newest(trusted)
    number, previous = 0, GENESIS
    last: dict[int, str] = {}
    for row in Head.objects.order_by("number").iterator(chunk_size=5000):
        said = _said_in(row)
        if (row.number, said.get("number"), said.get("previous")) != (number + 1, number + 1, previous):
            raise HeadsBroken(f"head {row.number} does not follow from head {number}")
        if (said.get("job"), said.get("cycle")) != (row.job_id, row.cycle):
            raise HeadsBroken(f"head {row.number} lies where another belongs")
        number, previous = row.number, link(row.line)
        last[row.job_id] = str(said.get("status"))
    return number, last


def _said_in(row: Head) -> dict[str, Any]:
    try:
        said: dict[str, Any] = orjson.loads(row.line)["said"]
    except (ValueError, KeyError, TypeError):
        raise HeadsBroken(f"head {row.number} cannot be read") from None
    return said


def read_kept_heads(path: Path, trusted: frozenset[str]) -> list[Signed]:
    """The heads in a file that somebody kept, a line each. Raises HeadsBroken, OSError."""
    lines = [line for line in path.read_bytes().splitlines() if line.strip()]
    if not lines:
        raise HeadsBroken(f"{path} holds no head")
    return [_read_kept(line, trusted, str(path)) for line in lines]


def _read_kept(line: bytes, trusted: frozenset[str], name: str) -> Signed:
    try:
        signed = read_signed(PURPOSE, line)
    except BadSignature as error:
        raise HeadsBroken(f"{name} holds a line that is no head: {error}") from None
    if signed.key not in trusted:
        raise HeadsBroken(
            f"{name} holds a head signed by key {key_id(signed.key)}, which is not trusted here"
        )
    said = signed.said  # a stranger's key signs anything
    if not all(type(said.get(part)) is int for part in _NUMBERS) or not said.keys() >= _TEXTS:
        raise HeadsBroken(f"{name} holds a line that is no head: it lacks a part")
    return signed


def compare_kept(kept: Iterable[Signed], name: str) -> None:
    """Whether the log holds the very heads that somebody kept. Raises HeadsBroken."""
    for signed in kept:
        number = signed.said["number"]
        line = Head.objects.filter(number=number).values_list("line", flat=True).first()
        if line is None:
            raise HeadsBroken(f"the log of heads was cut back: {name} holds head {number}, which it lacks")
        if line.encode() != signed.line:
            raise HeadsBroken(f"the log of heads was rewritten: {name} holds another head {number}")
