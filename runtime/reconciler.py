"""Nothing runnable idles: what the database says is due is enqueued again (D7.3)."""

from __future__ import annotations

from runtime.lease import due_jobs
from runtime.queue import enqueue_job, read_queued_ids


def reconcile_once() -> int:
    """Enqueues jobs that are due, that nobody holds and that are not in the queue. Returns how many.

    If Redis is out nothing is done; the next round finds the same jobs. A job that was enqueued twice is claimed once.
    """
    queued = read_queued_ids()
    if queued is None:
        return 0
    return sum(enqueue_job(job_id) for job_id in due_jobs() if str(job_id) not in queued)
