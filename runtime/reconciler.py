"""Nothing runnable idles: what the database says is due is enqueued again (D7.3)."""

from __future__ import annotations

from runtime.lease import due_jobs
from runtime.queue import enqueue_job, read_queued_ids
from runtime.recovery import give_up_due, wake_due


def reconcile_once() -> int:
    """Enqueues jobs that are due, that nobody holds and that are not in the queue. Returns how many.

    Recovering jobs whose time has come get a row in their inbox first. If Redis is out nothing is enqueued; the next
    round finds the same jobs. A job that was enqueued twice is claimed once.
    """
    give_up_due()
    wake_due()
    queued = read_queued_ids()
    if queued is None:
        return 0
    return sum(enqueue_job(job_id) for job_id in due_jobs() if str(job_id) not in queued)
