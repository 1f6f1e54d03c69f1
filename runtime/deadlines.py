"""Questions that people did not answer in time: reminders, and what the rule says shall happen then (D9.2).

The clock never leaks into the engine: at a deadline the scheduler puts a row in the job's inbox, like a person would,
and the engine looks whether the very question is still open. All times are the database's.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from functools import partial

from django.db import connection, transaction

from runtime.engine.spec import CLOCK
from runtime.failpoints import failpoint
from runtime.lease import clock_sql, database_clock
from runtime.models import Conflict, Decision, Job
from runtime.models.job import ENDED
from runtime.notices import name_question, note_deadline, note_expired
from runtime.queue import enqueue_job
from runtime.recovery import spoken

log = logging.getLogger(__name__)

MOST_AT_ONCE = 200
ANSWERS = ("decide", "refuse", "approve")


def remind_due() -> int:
    """Reminds people of deadlines that come near. Returns how many questions it reminded of."""
    return _each_due("remind_at", _remind)


def expire_due() -> int:
    """Does what the rules say where a deadline has passed. Returns how many questions that were."""
    return _each_due("deadline_at", _expire)


def _each_due(column: str, act: Callable[[Conflict, float], bool]) -> int:
    with (
        connection.cursor() as cursor
    ):  # in SQL: it is asked every two seconds, and mostly answered with nothing
        cursor.execute(
            f"""
            SELECT c.id, c.job_id FROM runtime_conflict c JOIN runtime_job j ON j.id = c.job_id
            WHERE c.status = 'open' AND c.expired_at IS NULL AND c.{column} <= {clock_sql()}
              AND j.status NOT IN ({", ".join(["%s"] * len(ENDED))})
            ORDER BY c.{column} LIMIT %s
            """,
            [*ENDED, MOST_AT_ONCE],
        )
        due = cursor.fetchall()
    return sum(_safely(act, conflict_id, job_id) for conflict_id, job_id in due)


def _safely(act: Callable[[Conflict, float], bool], conflict_id: int, job_id: int) -> bool:
    """One question's trouble is not that of all others."""
    try:
        with transaction.atomic():
            # Whoever answers locks the job's row too, and so does its runtime: one of them comes first.
            job = Job.objects.select_for_update().get(pk=job_id)
            conflict = Conflict.objects.select_related("job").get(pk=conflict_id)
            is_open = conflict.status == "open" and not conflict.awaiting and not job.is_ended
            return is_open and conflict.expired_at is None and act(conflict, database_clock())
    except Exception:
        log.exception("question %s could not be told what the clock says", conflict_id)
        return False


def _remind(conflict: Conflict, now: float) -> bool:
    if conflict.remind_at is None or conflict.remind_at > now or conflict.deadline_at is None:
        return False
    if conflict.deadline_at > now:
        left = spoken(max(60.0, 60.0 * round((conflict.deadline_at - now) / 60)))
        note_deadline(conflict, f"{left} left to answer. {name_question(conflict)}")
    conflict.remind_at, conflict.deferred_until = None, None  # who is reminded finds it where it was
    conflict.save(update_fields=["remind_at", "deferred_until"])
    return True


def _expire(conflict: Conflict, now: float) -> bool:
    if conflict.deadline_at is None or conflict.deadline_at > now or _is_answered(conflict):
        return False
    outcome = _outcome(conflict)
    conflict.expired_at, conflict.remind_at = now, None
    conflict.save(update_fields=["expired_at", "remind_at"])
    named = name_question(conflict)
    if outcome == "stay":
        note_expired(conflict, f"The deadline has passed, and it stays open. {named}")
        return True
    then = "nothing is to stand" if outcome == "reject" else "the strongest side is to stand"
    note_expired(conflict, f"Nobody answered in time: by the rule “{conflict.rule}”, {then}. {named}"[:500])
    seconds = spoken(float(conflict.policy["deadline"]))
    Decision.objects.create(
        job_id=conflict.job_id,
        conflict=conflict,
        act="expire",
        key=conflict.key,
        subject=conflict.subject,
        version=conflict.version,
        payload={"on": conflict.rule},
        reason=f"nobody answered within {seconds}",
        by=None,
        by_name=CLOCK,
        receipt=_receipt(conflict),
    )
    transaction.on_commit(partial(failpoint, "deadline.after_commit"))
    transaction.on_commit(partial(enqueue_job, conflict.job_id))
    failpoint("deadline.before_commit")
    return True


def _outcome(conflict: Conflict) -> str:
    """What the rule says shall happen; of sides that are equally strong none is the strongest, and it stays open."""
    outcome = str(conflict.policy.get("outcome", "stay"))
    strengths = sorted((int(side["conf"]) for side in conflict.sides), reverse=True)
    tied = conflict.kind == "conflict" and len(strengths) > 1 and strengths[0] == strengths[1]
    return "stay" if outcome == "strongest" and tied else outcome


def _is_answered(conflict: Conflict) -> bool:
    """Whether somebody's answer waits to be applied: it came in time."""
    on_slot = Decision.objects.filter(job_id=conflict.job_id, key=conflict.key, subject=conflict.subject)
    return on_slot.filter(status="pending", act__in=ANSWERS).exists()


def _receipt(conflict: Conflict) -> str:
    """Of this very question: asked again under another rule or between other sides, it has another deadline."""
    question = f"{conflict.version} {conflict.rule} {conflict.asked_at!r}"
    return f"clock-{conflict.pk}-expire-{hashlib.sha256(question.encode()).hexdigest()[:16]}"
