"""Cancelling a job, and trying failed agents again."""

from __future__ import annotations

from runtime.actions.audit import Person
from runtime.actions.inbox import add_row, find_job
from runtime.actions.permissions import require
from runtime.models import Decision


def cancel_job(user: Person, job_id: int, reason: str = "", receipt: str = "") -> Decision:
    """Ends a job at its next cycle; what it found so far stays. Raises Refused."""
    job = find_job(job_id)
    require(user, "cancel", job)
    return add_row(user, job, "cancel", receipt, reason)


def retry_job(user: Person, job_id: int, receipt: str = "") -> Decision:
    """Lets every failed agent try again. Raises Refused."""
    job = find_job(job_id)
    require(user, "retry", job)
    return add_row(user, job, "retry", receipt)
