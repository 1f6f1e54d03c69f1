"""Nothing runnable idles: what the database says is due is enqueued again (D7.3)."""

from __future__ import annotations

import logging

from runtime.backtesting import repair_backtests
from runtime.deadlines import expire_due, remind_due
from runtime.digests import send_digests_due
from runtime.failpoints import failpoint
from runtime.heads import sign_settled
from runtime.lease import due_jobs
from runtime.notices import prune_notices
from runtime.queue import enqueue_job, read_queued_ids
from runtime.recovery import give_up_due, wake_due

log = logging.getLogger(__name__)


def reconcile_once() -> int:
    """Enqueues jobs that are due, that nobody holds and that are not in the queue. Returns how many.

    Recovering jobs whose time has come get a row in their inbox first, and so do questions whose deadline is over. If
    Redis is out nothing is enqueued; the next round finds the same jobs. A job that was enqueued twice is claimed once.
    """
    for round_of_the_clock in (
        *(give_up_due, wake_due, remind_due, expire_due),
        *(send_digests_due, prune_notices, repair_backtests, sign_settled),
    ):
        try:
            round_of_the_clock()
        except Exception:
            # Whatever it was: a job that waits for nothing but its message must not wait for a mended mail server.
            log.exception("the clock's round failed; jobs that are due are enqueued all the same")
    queued = read_queued_ids()
    if queued is None:
        return 0
    due = [job_id for job_id in due_jobs() if str(job_id) not in queued]
    if due:
        failpoint("reconcile.before_enqueue")
    return sum(enqueue_job(job_id) for job_id in due)
