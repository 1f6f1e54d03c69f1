"""Every job of the database and the log of signed heads, one after another, with progress."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import OutputWrapper

from runtime.head_log import LEAVING, REMOVED, check_log, compare_kept, has_left
from runtime.models import Head, Job
from runtime.record import RecordBroken
from runtime.signing import Signed
from runtime.verifying import verify_job

JOBS_AT_ONCE = 200
PROGRESS_SECONDS = 5.0


@dataclass
class Found:
    """What `verify --all` found: counts, and each fault as a sentence."""

    jobs: int = 0
    entries: int = 0
    heads: int = 0
    removed: int = 0
    unsigned: int = 0
    faults: list[str] = field(default_factory=list)


def verify_all(
    trusted: frozenset[str], kept: Sequence[Signed], kept_name: str, progress: OutputWrapper
) -> Found:
    """Verifies the log of heads, the heads that somebody kept, and every job; goes on after a fault."""
    found = Found()
    last: dict[int, str] = {}
    try:
        found.heads, last = check_log(trusted)
        compare_kept(kept, kept_name)
    except RecordBroken as error:
        found.faults.append(f"The log of heads: {error}.")
    total, next_word = Job.objects.count(), time.monotonic() + PROGRESS_SECONDS
    for job in _jobs():
        last_status = last.pop(job.pk, None)
        if last_status == REMOVED and job.reason == LEAVING:
            found.removed += 1  # what is left of it goes with the next run of retention
            continue
        try:
            found.entries += verify_job(job, trusted).entries
        except (RecordBroken, ObjectDoesNotExist) as error:
            if has_left(job.pk, trusted):  # since it was read, or it never began
                found.removed += bool(job.cycle)
                continue
            gone = isinstance(error, ObjectDoesNotExist)
            found.faults.append(f"Job {job.pk}: {'a part of it is not in the database' if gone else error}.")
        found.jobs += 1
        if job.cycle and (last_status is None or not _is_signed(job)):
            found.unsigned += 1
        if time.monotonic() >= next_word:
            next_word = time.monotonic() + PROGRESS_SECONDS
            progress.write(f"{found.jobs:,} of {total:,} jobs, {len(found.faults)} faults")
    for job_id, status in last.items():
        if status == REMOVED:
            found.removed += 1
        elif Job.objects.filter(pk=job_id).exists():
            continue
        elif has_left(job_id, trusted):  # since the log was read
            found.removed += 1
        else:
            found.faults.append(f"Job {job_id}: it was signed, and is not in the database any more.")
    return found


def _jobs() -> Iterator[Job]:
    """All jobs by number, read in portions: one long query would hold a snapshot of the database."""
    after = 0
    jobs = Job.objects.select_related("pack", "submitter", "input").order_by("pk")
    while portion := list(jobs.filter(pk__gt=after)[:JOBS_AT_ONCE]):
        yield from portion
        after = portion[-1].pk


def _is_signed(job: Job) -> bool:
    return Head.objects.filter(job_id=job.pk, cycle__gte=job.cycle).exists()
