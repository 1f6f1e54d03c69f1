"""Cancelling a job, and trying failed agents again."""

from __future__ import annotations

from runtime.actions.audit import Person
from runtime.actions.inbox import add_row, find_job
from runtime.actions.permissions import require
from runtime.actions.refusals import Refused
from runtime.models import STATUS_WORDS, Decision, Job
from runtime.models.job import ACTIVE


def cancel_job(
    user: Person, job_id: int, reason: str = "", receipt: str = "", *, seen: str = "", batch: str = ""
) -> Decision:
    """Ends a job at its next cycle; what it found so far stays. Raises Refused.

    With `seen`, the status in which somebody saw it, only if it is still so; `batch` is the receipt of a form that asks
    this of several jobs.
    """
    job = find_job(job_id)
    require(user, "cancel", job)
    return add_row(user, job, "cancel", receipt, reason, lambda: _check_still(job_id, seen), batch=batch)


def retry_job(user: Person, job_id: int, receipt: str = "", *, seen: str = "", batch: str = "") -> Decision:
    """Lets every failed agent try again. Raises Refused; `seen` and `batch` as for `cancel_job`."""
    job = find_job(job_id)
    require(user, "retry", job)
    return add_row(user, job, "retry", receipt, check=lambda: _check_still(job_id, seen), batch=batch)


def _check_still(job_id: int, seen: str) -> None:
    """Refuses what was asked of a job that is somewhere else by now; queued or running makes no difference."""
    if not seen:
        return
    status = Job.objects.values_list("status", flat=True).get(pk=job_id)
    if status != seen and not (status in ACTIVE and seen in ACTIVE):
        was, now = STATUS_WORDS.get(seen, seen).lower(), STATUS_WORDS[status].lower()
        raise Refused(f"It has changed meanwhile: it was {was}, and now it is {now}.", code="stale")
