"""Rows in a job's inbox: how people act on a job that a runtime owns (D7.2). Shared by the actions of people."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import IntegrityError, transaction

from runtime.actions.audit import Person, name_of, record_act
from runtime.actions.permissions import groups_of
from runtime.actions.refusals import Refused
from runtime.engine import BoundsError
from runtime.engine.values import canonical, check_name
from runtime.models import Conflict, Decision, Job
from runtime.queue import enqueue_job

MAX_REASON = 2_000


def find_job(job_id: int) -> Job:
    """The job, which can still be acted on. Raises Refused(code="gone") otherwise."""
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        raise Refused(f"There is no job {job_id}.", code="gone")
    if job.is_ended:
        raise Refused(
            f"Job {job_id} has ended ({job.status_words.lower()}); nothing more can be asked of it.",
            code="gone",
        )
    return job


def known_receipt(receipt: str) -> Decision | None:
    """The row an earlier POST of the same form made."""
    if not receipt or len(receipt) > 100:
        raise Refused("The form has no receipt; load the page again.", field="receipt")
    return Decision.objects.filter(receipt=receipt).first()


def check_value(field: str, value: Any) -> None:
    """Refuses what is no JSON within bounds."""
    try:
        canonical(value)
    except BoundsError as error:
        raise Refused(f"The {field} {error}.", field=field) from None


def check_slot(key: str, subject: str) -> None:
    """Refuses names that can be no slot's."""
    for field, name in (("key", key), ("subject", subject)):
        try:
            check_name(f"The {field}", name)
        except BoundsError as error:
            raise Refused(f"{error}.", field=field) from None


def add_row(user: Person, job: Job, act: str, receipt: str, reason: str = "", **row: Any) -> Decision:
    """Inserts an inbox row with its audit record, and tells the queue on commit."""
    if len(reason) > MAX_REASON:
        raise Refused(
            f"The reason has {len(reason):,} characters; the limit is {MAX_REASON:,}.", field="reason"
        )
    payload = {**row.pop("payload", {}), "groups": groups_of(user)}
    conflict: Conflict | None = row.get("conflict")
    try:
        with transaction.atomic():
            decision = Decision.objects.create(
                job=job,
                act=act,
                payload=payload,
                reason=reason.strip(),
                by_id=user.pk,
                by_name=name_of(user),
                receipt=receipt,
                **row,
            )
            slot = f"{decision.key} / {decision.subject}" if decision.key else ""
            detail = {k: v for k, v in payload.items() if k != "groups"}
            record_act(
                user,
                act,
                f"job:{job.pk} {slot}".strip(),
                reason,
                receipt=receipt,
                conflict=conflict.pk if conflict else None,
                **detail,
            )
            transaction.on_commit(partial(enqueue_job, job.pk))
    except IntegrityError:
        return Decision.objects.get(receipt=receipt)  # the same form, sent twice at the same moment
    return decision
