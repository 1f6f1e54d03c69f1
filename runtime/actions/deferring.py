"""Putting a question off: it leaves the list of what waits, for a while or until its sides change.

Nothing of it reaches the journal, and its deadline stays what it was: the job waits all the same. It comes back by
itself: when the time is over, by the database's clock, or when people are asked something new (`runtime.questions`).
"""

from __future__ import annotations

import math
from typing import Literal

from django.db import transaction
from django.db.models import FloatField, Q
from django.db.models.expressions import RawSQL

from runtime.actions.audit import Person, name_of, record_act
from runtime.actions.deciding import find_conflict
from runtime.actions.permissions import require
from runtime.actions.refusals import Refused
from runtime.actions.texts import check_text
from runtime.lease import clock_sql, database_clock
from runtime.models import AuditRecord, Conflict, Decision, Job

UNTIL_IT_CHANGES = 32_503_680_000.0  # the year 3000: no clock brings it back
SHORTEST, LONGEST = 60.0, 366 * 86_400.0  # seconds
MOST_REASON = 500


def defer_conflict(
    user: Person,
    conflict_id: int,
    version: str,
    seconds: float | Literal["until it changes"],
    reason: str = "",
    receipt: str = "",
) -> Conflict:
    """Puts an open question off for `seconds`, or until its sides change. The same form sent again does nothing more.

    Raises Refused: forbidden; stale (it was answered or has changed: `version` is no longer current); invalid; gone.
    """
    if seconds != "until it changes" and not (math.isfinite(seconds) and SHORTEST <= seconds <= LONGEST):
        raise Refused("Put it off for a minute at least and a year at most.", field="seconds")
    conflict = find_conflict(conflict_id)
    require(user, "defer", conflict.job, conflict)
    _check_texts(reason, receipt)
    with transaction.atomic():
        conflict = _lock(conflict)
        if _is_known(user, "defer", conflict, receipt):
            return conflict
        _check_open(conflict, version)
        now = database_clock()
        until = UNTIL_IT_CHANGES if seconds == "until it changes" else now + seconds
        # Nobody's time to answer passes unseen: it is back when people are to be reminded, or at the deadline.
        ends = [moment for moment in (conflict.remind_at, conflict.deadline_at) if moment and moment > now]
        conflict.deferred_until = min([until, *ends])
        conflict.deferred_by, conflict.deferred_reason = name_of(user), reason.strip()
        _save(conflict)
        _record(user, "defer", conflict, reason, receipt, seconds=seconds)
    return conflict


def resume_conflict(
    user: Person, conflict_id: int, version: str, reason: str = "", receipt: str = ""
) -> Conflict:
    """Brings a question back before its time. Raises Refused as `defer_conflict` does."""
    conflict = find_conflict(conflict_id)
    require(user, "defer", conflict.job, conflict)
    _check_texts(reason, receipt)
    with transaction.atomic():
        conflict = _lock(conflict)
        if _is_known(user, "resume", conflict, receipt):
            return conflict
        _check_open(conflict, version)
        if conflict.deferred_until is None or conflict.deferred_until <= database_clock():
            raise Refused("It is back already.", code="stale")
        conflict.deferred_until, conflict.deferred_by, conflict.deferred_reason = None, "", ""
        _save(conflict)
        _record(user, "resume", conflict, reason, receipt)
    return conflict


def put_off() -> Q:
    """The condition under which a question's row is put off now."""
    return Q(deferred_until__gt=RawSQL(clock_sql(), [], output_field=FloatField()))


def _lock(conflict: Conflict) -> Conflict:
    """The row as it stays until the transaction ends: its runtime, and whoever answers it, lock the job first too."""
    job = Job.objects.select_for_update().get(pk=conflict.job_id)
    fresh = Conflict.objects.get(pk=conflict.pk)
    fresh.job = job
    return fresh


def _check_open(conflict: Conflict, version: str) -> None:
    if conflict.job.is_ended:
        raise Refused(f"Job {conflict.job_id} has ended; nothing waits there any more.", code="gone")
    if conflict.status != "open":
        raise Refused(f"This is closed since cycle {conflict.closed_cycle}.", code="stale")
    answered = Decision.objects.filter(conflict=conflict, status="pending", act__in=("decide", "refuse"))
    if (row := answered.order_by("id").first()) is not None:
        raise Refused(f"{row.by_name} has decided this already.", code="stale")
    if version != conflict.version:
        raise Refused(
            "The candidates changed while you were looking; here they are as they stand now.", code="stale"
        )


def _check_texts(reason: str, receipt: str) -> None:
    check_text("reason", reason, MOST_REASON)
    if not receipt or len(receipt) > 100 or not receipt.isprintable():
        raise Refused("The form has no receipt; load the page again.", field="receipt")


def _is_known(user: Person, act: str, conflict: Conflict, receipt: str) -> bool:
    """Whether the last such act on this question came from the same form: a double click."""
    last = AuditRecord.objects.filter(act=act, target=_target(conflict), who_id=user.pk).first()
    return last is not None and last.detail.get("receipt") == receipt


def _save(conflict: Conflict) -> None:
    conflict.save(update_fields=["deferred_until", "deferred_by", "deferred_reason"])


def _record(user: Person, act: str, conflict: Conflict, reason: str, receipt: str, **detail: object) -> None:
    about = {"receipt": receipt, "conflict": conflict.pk, "version": conflict.version, **detail}
    record_act(user, act, _target(conflict), reason.strip(), **about)


def _target(conflict: Conflict) -> str:
    return f"job:{conflict.job_id} {conflict.key} / {conflict.subject}"[:300]
