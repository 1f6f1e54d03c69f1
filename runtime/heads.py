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
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from runtime.engine import GENESIS
from runtime.head_log import (
    NEWEST_FILE,
    PURPOSE,
    REMOVED,
    compare_heads,
    link,
    newest_holding,
    read_row,
)
from runtime.models import Cycle, Head, Job
from runtime.models.job import ACTIVE
from runtime.record import RecordBroken, input_digest
from runtime.signing import KeyTrouble, own_key, trusted_keys

AT_ONCE = 200  # heads a transaction: some 50 ms in which SQLite has no other writer
MARGIN = dt.timedelta(minutes=1)  # workers' clocks, and transactions that commit late
FULL_LOOK_SECONDS = 600.0  # what a clock that is minutes off hides is found by then

log = logging.getLogger(__name__)


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
            last = newest_holding(trusted)
            if last is not None:
                read_row(last, trusted)  # what is appended vouches for all that is before it
            for job in _fitting(jobs, trusted):
                number, previous = (last.number + 1, link(last.line)) if last else (1, GENESIS)
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


def _fitting(jobs: Sequence[Job], trusted: frozenset[str]) -> Iterator[Job]:
    """Those that fit what was vouched for before; of each other it is logged why not. Two queries for all of them."""
    earlier: dict[int, list[Head]] = {job.pk: [] for job in jobs}
    for row in Head.objects.filter(job_id__in=earlier).order_by("number"):
        earlier[row.job_id].append(row)
    wanted = {job.cycle for job in jobs} | {row.cycle for rows in earlier.values() for row in rows}
    ends: dict[int, dict[int, tuple[str, int]]] = {job.pk: {} for job in jobs}
    cycles = Cycle.objects.filter(job_id__in=earlier, number__in=wanted)
    for job_id, number, digest, last in cycles.values_list("job_id", "number", "digest", "last_seq"):
        ends[job_id][number] = (digest, last)
    for job in jobs:
        try:
            compare_heads(job, [read_row(row, trusted) for row in earlier[job.pk]], ends[job.pk])
            if ends[job.pk].get(job.cycle) != (job.digest, job.entries):
                raise RecordBroken(f"its summary and its cycle {job.cycle} differ")
        except RecordBroken as error:
            log.error("job %s gets no head: %s. `manage.py verify %s` says more.", job.pk, error, job.pk)
        else:
            yield job


def sign_removal(job: Job) -> None:
    """Says under our key that a job leaves the database: for whoever deletes it, in the same transaction.

    Raises RecordBroken if that cannot be said of it now, KeyTrouble. Then it must not be deleted.
    """
    if append_heads([job], status=REMOVED) != 1:
        raise RecordBroken(
            f"job {job.pk} does not fit its signed heads, or the log was being written by another"
        )


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
