"""Nothing moves: jobs that are due and that nobody takes, and why."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from converge_site.fragments.job_search import Tally, count_up_to
from converge_site.fragments.queue_watch import watch_queue
from runtime.lease import database_clock
from runtime.models import Decision, Job, JobStatus
from runtime.queue import QUEUE_NAME
from runtime.queue_state import QueueState

STUCK_AFTER = dt.timedelta(seconds=30)
SILENT_AFTER = dt.timedelta(seconds=30)  # a scheduler whose database fails pauses for ten
MOST_STUCK = 1_000


@dataclass(frozen=True, slots=True)
class Standstill:
    """`stuck` jobs are due for a while, and none is at work. `cause` is a sentence, `remedy` what to do about it."""

    stuck: Tally
    cause: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why nothing can move, or would not move for long: a sentence, and what to do about it."""

    text: str
    remedy: str = ""


def find_standstill() -> Standstill | None:
    """Whether jobs are due that nobody takes; None as long as any job is at work, or nothing has waited for long.

    A job whose runtime died counts as due, and so does one that somebody has decided something about.
    """
    clock, cutoff = database_clock(), timezone.now() - STUCK_AFTER
    running = Job.objects.filter(status=JobStatus.RUNNING)
    if running.filter(lease_until__gt=clock).exists():
        return None
    queued = Job.objects.filter(status=JobStatus.QUEUED, updated_at__lt=cutoff)
    orphaned = running.filter(Q(lease_until=None) | Q(lease_until__lt=clock - STUCK_AFTER.total_seconds()))
    unread = Decision.objects.filter(status="pending", created_at__lt=cutoff).exclude(
        job__status__in=(JobStatus.QUEUED, JobStatus.RUNNING)
    )
    asked = unread.order_by().values("job_id").distinct()[: MOST_STUCK + 1].count()
    counts = [count_up_to(queued, MOST_STUCK), count_up_to(orphaned, MOST_STUCK), Tally(asked)]
    number = sum(count.number for count in counts)
    if not number:
        return None
    stuck = Tally(min(number, MOST_STUCK), number > MOST_STUCK or any(count.is_more for count in counts))
    causes = find_causes(watch_queue())
    cause = causes[0] if causes else Cause("Workers listen, and none has taken them yet.")
    return Standstill(stuck, cause.text, cause.remedy)


def find_causes(state: QueueState) -> list[Cause]:
    """What is out or missing without which jobs do not move, the gravest first."""
    if not state.reachable:
        return [
            Cause(
                "Redis does not answer, so nothing that is due reaches a worker.",
                "Nothing is lost: jobs are in the database, and go on by themselves when Redis is back.",
            )
        ]
    causes = []
    if not state.workers:
        causes.append(
            Cause(
                f"No worker listens on queue {QUEUE_NAME}.",
                "manage.py up starts web, workers and scheduler together; manage.py worker starts one more worker.",
            )
        )
    if state.scheduler is None:
        causes.append(
            Cause("No scheduler was heard of.", "manage.py reconcile runs one, and so does manage.py up.")
        )
    elif timezone.now() - state.scheduler.at > SILENT_AFTER:
        causes.append(
            Cause(
                f"The scheduler on {state.scheduler.host} is silent: what is due by the clock, or got lost on the way "
                "to a worker, waits.",
                "manage.py reconcile runs one, and so does manage.py up.",
            )
        )
    return causes
