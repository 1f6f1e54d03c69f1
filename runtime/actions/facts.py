"""People add facts and withdraw their own (D3.7)."""

from __future__ import annotations

from typing import Any

from runtime.actions.audit import Person
from runtime.actions.deciding import check_fits_key, find_key
from runtime.actions.inbox import add_row, check_slot, check_value, find_job
from runtime.actions.permissions import require
from runtime.actions.refusals import Refused
from runtime.engine import BoundsError
from runtime.engine.values import thousandths
from runtime.models import Decision


def add_fact(
    user: Person,
    job_id: int,
    key: str,
    subject: str,
    value: Any,
    confidence: float = 1.0,
    reason: str = "",
    receipt: str = "",
) -> Decision:
    """Lets a person speak about a slot, as one voice among the others; confidence 0..1. Raises Refused."""
    job = find_job(job_id)
    require(user, "add_fact", job)
    check_slot(key, subject)
    check_value("value", value)
    check_fits_key(job, key, value)
    try:
        thousandths(confidence)
    except BoundsError as error:
        raise Refused(f"The {error}.", field="confidence") from None
    payload = {"value": value, "confidence": confidence}
    return add_row(user, job, "add_fact", receipt, reason, key=key, subject=subject, payload=payload)


def withdraw_fact(
    user: Person, job_id: int, key: str, subject: str, reason: str = "", receipt: str = ""
) -> Decision:
    """Takes back what this person said about a slot. Raises Refused."""
    job = find_job(job_id)
    require(user, "add_fact", job)
    check_slot(key, subject)
    find_key(job, key)
    return add_row(user, job, "withdraw_fact", receipt, reason, key=key, subject=subject)
