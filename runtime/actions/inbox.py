"""Rows in a job's inbox: how people act on a job that a runtime owns (D7.2). Shared by the actions of people."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction

from runtime.actions.audit import Person, name_of, record_act
from runtime.actions.permissions import groups_of
from runtime.actions.refusals import Refused
from runtime.actions.texts import check_text
from runtime.engine import BoundsError
from runtime.engine.values import canonical, check_name
from runtime.failpoints import failpoint
from runtime.models import Conflict, Decision, Job
from runtime.queue import enqueue_job

MAX_REASON = 2_000
MAX_RECEIPT = 100


def find_job(job_id: int) -> Job:
    """The job. Raises Refused(code="gone") if there is none; whether it has ended is looked at when a row is added."""
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        raise Refused(f"There is no job {job_id}.", code="gone")
    return job


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


def add_row(
    user: Person,
    job: Job,
    act: str,
    receipt: str,
    reason: str = "",
    check: Callable[[], None] = lambda: None,
    **row: Any,
) -> Decision:
    """Inserts an inbox row with its audit record, and tells the queue on commit.

    A known `receipt` gives the row it made the first time. Otherwise `check` may raise Refused: it is called while
    the job is locked, so that of two people who act at the same moment the second one finds what the first one did.
    """
    if not receipt or len(receipt) > MAX_RECEIPT or not receipt.isprintable():
        raise Refused("The form has no receipt; load the page again.", field="receipt")
    check_text("reason", reason, MAX_REASON)
    try:
        with transaction.atomic():
            # Before anything is read: what is read must still be so when the row is there.
            locked = Job.objects.select_for_update().get(pk=job.pk)
            if known := _known_row(user, locked, act, receipt):
                return known
            _refuse_if_ended(locked)
            check()
            return _insert(user, locked, act, receipt, reason, row)
    except IntegrityError:
        raise _used_elsewhere() from None  # another job's row took the receipt at the same moment


def _known_row(user: Person, job: Job, act: str, receipt: str) -> Decision | None:
    """The row an earlier POST of the same form made."""
    known = Decision.objects.filter(receipt=receipt).first()
    if known is not None and (known.job_id, known.by_id, known.act) != (job.pk, user.pk, act):
        raise _used_elsewhere()
    return known


def _used_elsewhere() -> Refused:
    message = "This form was sent before, for something else; load the page again."
    return Refused(message, field="receipt", code="stale")


def _refuse_if_ended(job: Job) -> None:
    if job.is_ended:
        ended = job.status_words.lower()
        raise Refused(f"Job {job.pk} has ended ({ended}); nothing more can be asked of it.", code="gone")


def name_in_job(user: Person, job: Job) -> str:
    """The name a person acts under in a job: that of their first act in it, or under which they submitted it.

    The engine knows people by name. An account that is renamed must not count as two, nor two accounts as one.
    """
    first = (
        Decision.objects.filter(job=job, by_id=user.pk).order_by("id").values_list("by_name", flat=True)[:1]
    )
    if known := next(iter(first), None):
        return known
    submitter = str(job.frozen_spec().get("submitter") or "")
    if submitter and job.submitter_id == user.pk:
        return submitter
    name = name_of(user)
    taken = name == submitter or Decision.objects.filter(job=job, by_name=name).exists()
    return f"{name} (account {user.pk})" if taken else name


def _insert(user: Person, job: Job, act: str, receipt: str, reason: str, row: dict[str, Any]) -> Decision:
    said = row.pop("payload", {})
    conflict: Conflict | None = row.get("conflict")
    decision = Decision.objects.create(
        job=job,
        act=act,
        payload={**said, "groups": groups_of(user)},
        reason=reason.strip(),
        by_id=user.pk,
        by_name=name_in_job(user, job),
        receipt=receipt,
        **row,
    )
    slot = f"{decision.key} / {decision.subject}" if decision.key else ""
    target = f"job:{job.pk} {slot}".strip()
    about = {"receipt": receipt, "conflict": conflict.pk if conflict else None, **said}
    record_act(user, act, target, reason, **about)
    transaction.on_commit(partial(failpoint, "decision.after_commit"))
    transaction.on_commit(partial(enqueue_job, job.pk))
    failpoint("decision.before_commit")
    return decision
