"""Signed heads: how far each job was, said under our key and outside the reach of whoever can only write the database.

When a job has settled, the scheduler signs its head: job, cycle, entries, digest, input (pack and seeds),
engine_version, status, at. Heads are numbered 1, 2, 3 … for the whole installation, and each names the SHA-256 of the
line before it; so one line, kept anywhere, vouches for every head up to it. The newest one is kept beside the database,
in CONVERGE_HOME/newest-head; `manage.py heads` prints it for whoever wants to keep it elsewhere.

So, without the key: a record rewritten or cut back no longer fits its head; a head changed or taken out no longer fits
its signature or the chain; heads cut off at the end no longer reach the newest one that somebody kept. What is changed
before it is signed (the scheduler looks every two seconds) is not seen by this, and neither is what is done by whoever
has the key.

Signing is no part of a cycle's transaction: a cycle would wait for every other job's head, and no decision should be
lost because a key cannot be read.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from runtime.engine import GENESIS
from runtime.models import Cycle, Head, Job
from runtime.models.job import ACTIVE
from runtime.record import Record, RecordBroken, input_digest
from runtime.signing import BadSignature, KeyTrouble, Signed, key_id, own_key, read_signed, trusted_keys

PURPOSE: Final = "converge-head/1"
REMOVED: Final = "removed"  # the status of a head that says: this job was taken out of the database, by us
NEWEST_FILE: Final = "newest-head"
AT_ONCE = 200  # heads a transaction: some 50 ms in which SQLite has no other writer
MARGIN = dt.timedelta(minutes=1)  # workers' clocks, and transactions that commit late
FULL_LOOK_SECONDS = 600.0  # what a clock that is minutes off hides is found by then

log = logging.getLogger(__name__)


class HeadsBroken(RecordBroken):
    """The log of heads does not hold: it was changed or cut back, whatever the jobs are like."""


class Signer:
    """Signs what has settled, round by round: lately, and in a full look now and then everything."""

    def __init__(self) -> None:
        self._since = timezone.now()
        self._full_look_at = time.monotonic()
        self._after: int | None = None  # the job up to which a full look has come
        self._trouble = ""

    def sign_settled(self) -> int:
        """One round; gives the number of heads signed. A key or a log that is not as it should be is logged once."""
        try:
            signed = self._sign_round()
        except (KeyTrouble, RecordBroken, OSError, ValueError) as error:
            # Whatever is wrong with heads, the scheduler has other things to do.
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.error("no head is signed: %s.", error)
            return 0
        self._trouble = ""
        return signed

    def _sign_round(self) -> int:
        if self._after is None and time.monotonic() >= self._full_look_at:
            self._after, self._since = 0, timezone.now() - MARGIN
        if self._after is not None:
            return self._look_further()
        began = timezone.now()
        jobs = list(_unsigned().filter(settled_at__gte=self._since).order_by("settled_at", "pk")[:AT_ONCE])
        signed = append_heads(jobs)
        if len(jobs) < AT_ONCE:
            self._since = began - MARGIN
        return signed

    def _look_further(self) -> int:
        jobs = _portion(self._after or 0)
        signed = append_heads(jobs)
        self._after = jobs[-1].pk if len(jobs) == AT_ONCE else None
        if self._after is None:
            self._full_look_at = time.monotonic() + FULL_LOOK_SECONDS
        return signed


_signer = Signer()


def sign_settled() -> int:
    """The scheduler's round of signing."""
    return _signer.sign_settled()


def sign_all_settled() -> int:
    """Signs everything that has settled and is not signed yet; gives how many. Raises KeyTrouble, HeadsBroken."""
    count = after = 0
    while jobs := _portion(after):
        count += append_heads(jobs)
        after = jobs[-1].pk
    return count


def _portion(after: int) -> list[Job]:
    return list(_unsigned().filter(pk__gt=after).order_by("pk")[:AT_ONCE])


def _unsigned() -> QuerySet[Job]:
    """Jobs that have stopped at a cycle no head speaks of, with what they were begun with."""
    heads = Head.objects.filter(job_id=OuterRef("pk"), cycle__gte=OuterRef("cycle"))
    jobs = Job.objects.exclude(status__in=ACTIVE).filter(~Exists(heads), cycle__gt=0)
    return jobs.select_related("input")


def append_heads(jobs: Sequence[Job], status: str = "") -> int:
    """Signs the heads of `jobs` as they were read; gives how many. One that no longer fits an earlier head is left out.

    `status` stands in for the job's own. Raises KeyTrouble; RecordBroken where the log itself does not hold.
    """
    if not jobs:
        return 0
    key, trusted = own_key(), trusted_keys()
    heads: list[Head] = []
    try:
        with transaction.atomic():
            last = _newest_holding(trusted)
            for job in jobs:
                if not _may_be_signed(job, trusted):
                    continue
                number, previous = (last.number + 1, _link(last.line)) if last else (1, GENESIS)
                line = key.sign(PURPOSE, _head_of(job, number, previous, status or job.status)).decode()
                last = Head(number=number, job_id=job.pk, cycle=job.cycle, line=line)
                heads.append(last)
            Head.objects.bulk_create(heads)
    except IntegrityError:
        return 0  # another scheduler signed meanwhile; what it left is signed in the next round
    if heads:
        # The caller may be in a transaction of its own: what is kept beside the database must be in it.
        transaction.on_commit(partial(_keep_newest, heads[-1]))
    return len(heads)


def sign_removal(job: Job) -> None:
    """Says under our key that a job leaves the database: for whoever deletes it, in the same transaction."""
    append_heads([job], status=REMOVED)


def _head_of(job: Job, number: int, previous: str, status: str) -> dict[str, Any]:
    return {
        "number": number,
        "previous": previous,
        "job": job.pk,
        "cycle": job.cycle,
        "entries": job.entries,
        "digest": job.digest,
        "input": input_digest(job.frozen_spec(), orjson.loads(job.seeds)),
        "engine_version": job.engine_version,
        "status": status,
        "at": timezone.now().isoformat(timespec="seconds"),
    }


def _link(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()


def _may_be_signed(job: Job, trusted: frozenset[str]) -> bool:
    """Nobody vouches for a record that does not fit what was vouched for before."""
    try:
        compare_with_heads(job, trusted)
        last = Cycle.objects.filter(job_id=job.pk, number=job.cycle).values_list("digest", flat=True).first()
        if job.cycle and last != job.digest:
            raise RecordBroken(f"its summary and its cycle {job.cycle} have different digests")
    except RecordBroken as error:
        log.error("job %s gets no head: %s. `manage.py verify %s` says more.", job.pk, error, job.pk)
        return False
    return True


# -- checking ------------------------------------------------------------------------------------------------------


def heads_of(job_id: int, trusted: frozenset[str]) -> list[Signed]:
    """The heads of a job in order, their signatures checked. Raises RecordBroken."""
    rows = Head.objects.filter(job_id=job_id).order_by("number")
    return [_read_row(row, trusted) for row in rows]


def _read_row(row: Head, trusted: frozenset[str]) -> Signed:
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
        found = Cycle.objects.filter(job_id=job.pk, number__in=numbers).values_list(
            "number", "digest", "last_seq"
        )
        ends = {number: (digest, last) for number, digest, last in found}
        begun = input_digest(job.frozen_spec(), orjson.loads(job.seeds))
        for head in heads:
            compare_head(head.said, job.cycle, ends, begun)
    return heads[-1] if heads else None


def compare_record(record: Record, heads: Iterable[Signed]) -> int:
    """Compares a record with those of `heads` that are of its job; gives how many were. Raises RecordBroken."""
    own = [head.said for head in heads if head.said["job"] == record.job.get("id")]
    if own:
        ends = {cycle.number: (cycle.digest, cycle.last_seq) for cycle in record.cycles()}
        for said in own:
            compare_head(said, len(ends), ends, record.begun)
    return len(own)


def compare_head(
    said: Mapping[str, Any], cycles: int, ends: Mapping[int, tuple[str, int]], begun: str
) -> None:
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


def check_newest(trusted: frozenset[str]) -> Signed | None:
    """Compares the log's end with the head kept in CONVERGE_HOME, and its length with its last number; gives the newest
    head. Raises HeadsBroken."""
    newest = _newest_holding(trusted)
    count = Head.objects.count()
    if newest is not None and count != newest.number:
        raise HeadsBroken(f"the newest head has the number {newest.number}, and there are {count}")
    return _read_row(newest, trusted) if newest else None


def _newest_holding(trusted: frozenset[str]) -> Head | None:
    """The last row of the log, once the head that was kept here was found in it."""
    newest = Head.objects.order_by("-number").first()
    path = Path(settings.CONVERGE_HOME) / NEWEST_FILE
    if path.exists():
        _compare_kept([_read_kept(path.read_bytes().strip(), trusted, str(path))], str(path))
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
        number, previous = row.number, _link(row.line)
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
    return signed


def compare_kept(kept: Iterable[Signed], name: str) -> None:
    """Whether the log holds the very heads that somebody kept. Raises HeadsBroken."""
    _compare_kept(kept, name)


def _compare_kept(kept: Iterable[Signed], name: str) -> None:
    for signed in kept:
        number = signed.said["number"]
        line = Head.objects.filter(number=number).values_list("line", flat=True).first()
        if line is None:
            raise HeadsBroken(f"the log of heads was cut back: {name} holds head {number}, which it lacks")
        if line.encode() != signed.line:
            raise HeadsBroken(f"the log of heads was rewritten: {name} holds another head {number}")


# -- the newest head, kept beside the database -----------------------------------------------------------------------


def _keep_newest(head: Head) -> None:
    """Replaces the kept head by a newer one. A disc that is full costs the copy and not the log."""
    path = Path(settings.CONVERGE_HOME) / NEWEST_FILE
    try:
        if path.exists() and orjson.loads(path.read_bytes())["said"]["number"] >= head.number:
            return
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{NEWEST_FILE}.", delete=False) as draft:
            draft.write(head.line.encode() + b"\n")
            draft.flush()
            os.fsync(draft.fileno())
        os.replace(draft.name, path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.error("the newest head could not be kept as %s: %s", path, error)
