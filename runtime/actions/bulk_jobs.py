"""Cancelling or retrying many jobs: each through the path of a single one.

Each is checked, locked and recorded by itself: that some are refused undoes none of the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import transaction

from runtime.actions.audit import Person
from runtime.actions.bulk import TOGETHER, receipt_of, rows_of_form
from runtime.actions.permissions import require
from runtime.actions.refusals import Refused
from runtime.actions.running import cancel_job, retry_job
from runtime.models import Decision, Job, JobStatus

MOST_JOBS = 1_000
LONGEST = 20.0  # seconds that a form is worked on: a queue that hangs costs a second a job

# In which states an act makes sense. Others can be asked one by one, where a person sees what it is about.
FITTING: Final[Mapping[str, tuple[str, ...]]] = {
    "cancel": (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.WAITING, JobStatus.RECOVERING),
    "retry": (JobStatus.RECOVERING, JobStatus.PARTIAL, JobStatus.EXHAUSTED),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of one job: the row in its inbox, or why there is none."""

    job_id: int
    decision: Decision | None = None
    refused: Refused | None = None


def act_on_jobs(
    user: Person,
    act: str,
    seen: Sequence[tuple[int, str]],
    reason: str = "",
    receipt: str = "",
    clock: Callable[[], float] = time.monotonic,
) -> list[Asked]:
    """Does `act` ("cancel" or "retry") to each of `seen`, (id, status in which it was seen).

    What became of each, those that are not there first, then in the order of their ids. The same form sent again
    gives the same rows.

    Raises Refused, with nothing done, if this person may not, or no job or too many are named.
    """
    if act not in FITTING:
        raise Refused(f"{act!r} is nothing that is done to many jobs at once.", field="act")
    require(user, act)
    statuses = dict(seen)
    if not statuses:
        raise Refused("No job is named; tick some first.", field="jobs")
    if len(statuses) > MOST_JOBS:
        raise Refused(f"{len(statuses):,} jobs are too many at once; at most {MOST_JOBS:,}.", field="jobs")
    known = {row.receipt: row for row in rows_of_form(receipt).filter(by_id=user.pk)}
    there = set(Job.objects.filter(pk__in=statuses).values_list("pk", flat=True))
    until, asked = clock() + LONGEST, [Asked(pk, refused=_gone()) for pk in sorted(set(statuses) - there)]
    # In the order of their ids: two people who ask the same of the same jobs must not wait for each other.
    ids = sorted(there)
    for at in range(0, len(ids), TOGETHER):
        with transaction.atomic():  # each of them has a savepoint of its own
            for pk in ids[at : at + TOGETHER]:
                row = known.get(receipt_of(receipt, pk))
                asked.append(
                    Asked(pk, row)
                    if row is not None
                    else _ask(user, act, pk, statuses[pk], reason, receipt, clock() > until)
                )
    return asked


def _gone() -> Refused:
    return Refused("There is no such job any more.", code="gone")


def _ask(user: Person, act: str, pk: int, seen: str, reason: str, batch: str, is_late: bool) -> Asked:
    receipt = receipt_of(batch, pk)
    try:
        if is_late:
            raise Refused("It was not reached in time; ask again.", code="stale")
        if seen not in FITTING[act]:
            raise Refused(f"There is nothing to {act} in a job that is {seen}.")
        if act == "cancel":
            return Asked(pk, cancel_job(user, pk, reason, receipt, seen=seen, batch=batch))
        return Asked(pk, retry_job(user, pk, receipt, seen=seen, batch=batch))
    except Refused as refused:
        # Told of many at once: what is so for several is said once.
        said = refused.message.replace(f"Job {pk} ", "It ", 1)
        return Asked(pk, refused=Refused(said, refused.field, refused.code))
