"""One writer per job: claims, leases and the fence (D7.1).

All times are the database's, so hosts whose clocks differ agree on whose lease is over. A claim raises the epoch;
whoever held an older one can commit nothing more, however long it was paused.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import Error, connection, connections, transaction

from runtime.engine import ENGINE_VERSION
from runtime.failpoints import failpoint
from runtime.models import AuditRecord, Job

LEASE_SECONDS: float = settings.CONVERGE_LEASE_SECONDS
# Three times a lease: that leaves two tries when the database is slow.
RENEW_SECONDS = LEASE_SECONDS / 3
HAND_OVER = "hand_over"  # the act in the audit
SLEW_SECONDS = 1.0  # that a clock which is only adjusted may go back

log = logging.getLogger(__name__)

_CLOCKS = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "extract(epoch from clock_timestamp())",
}


class Fenced(Exception):
    """Another runtime has claimed the job since: this one must stop at once."""


def clock_sql() -> str:
    """An SQL expression for the database's time in seconds since 1970."""
    return _CLOCKS[connection.vendor]


def database_clock() -> float:
    """The database's time now, in seconds since 1970."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {clock_sql()}")
        return float(cursor.fetchone()[0])


def over_sql() -> str:
    """An SQL condition: nobody holds the job.

    A lease that ends later than one that begins now was written before the clock was set back. Taken at its word it
    would keep a dead worker's job for as long as the clock jumped; a live one has it renewed within seconds. So the
    length of a lease must be the same on all hosts.
    """
    clock = clock_sql()
    return f"(lease_until IS NULL OR lease_until < {clock} OR lease_until > {clock} + {LEASE_SECONDS + SLEW_SECONDS})"


def claim_job(job_id: int, worker: str) -> int | None:
    """Claims a job that is due and that nobody holds. Returns the new epoch, None if there is nothing to do.

    Due: queued, or running with a lease that is over (its worker died), or stopped with rows in its inbox. One that a
    newer engine began is left to runtimes that know that engine: while hosts are upgraded, some are older than others.
    """
    clock = clock_sql()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE runtime_job SET epoch = epoch + 1, lease_until = {clock} + %s, worker = %s, status = 'running',
                started_at = COALESCE(started_at, CURRENT_TIMESTAMP)
            WHERE id = %s AND {over_sql()} AND engine_version <= %s
              AND status NOT IN ('cancelled', 'failed')
              AND (status IN ('queued', 'running') OR EXISTS (
                SELECT 1 FROM runtime_decision d WHERE d.job_id = runtime_job.id AND d.status = 'pending'))
            RETURNING epoch
            """,
            [LEASE_SECONDS, worker, job_id, ENGINE_VERSION],
        )
        row = cursor.fetchone()
    return int(row[0]) if row else None


def renew_lease(job_id: int, epoch: int) -> bool:
    """Extends the lease. Returns False if the job was claimed by somebody else, or has stopped.

    One that stopped a moment ago has no lease and must not get one: whoever brings a decision could not claim it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE runtime_job SET lease_until = {clock_sql()} + %s "
            "WHERE id = %s AND epoch = %s AND status = 'running'",
            [LEASE_SECONDS, job_id, epoch],
        )
        return bool(cursor.rowcount == 1)


def due_jobs(limit: int = 1000) -> list[int]:
    """Ids of jobs that somebody should be working on and nobody is, oldest first (D7.3).

    Those of a newer engine are not among them: here nobody can claim them, and a thousand would hide all others.
    """
    # Two questions, each of which an index answers: asked as one, every job there is would be looked at.
    free = f"{over_sql()} AND engine_version <= %s"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id FROM runtime_job WHERE status IN ('queued', 'running') AND {free}
            UNION
            SELECT id FROM runtime_job
            WHERE id IN (SELECT job_id FROM runtime_decision WHERE status = 'pending')
              AND status NOT IN ('cancelled', 'failed') AND {free}
            ORDER BY 1 LIMIT %s
            """,
            [ENGINE_VERSION, ENGINE_VERSION, limit],
        )
        return [int(row[0]) for row in cursor.fetchall()]


def hand_over(job_id: int, epoch: int) -> None:
    """Gives a running job up between two cycles, for another runtime to go on with: this worker was asked to stop."""
    Job.objects.filter(pk=job_id, epoch=epoch, status="running").update(status="queued", lease_until=None)


def hand_over_unfinished(job_id: int, epoch: int) -> bool:
    """Gives a running job up in the middle of a cycle; False if this runtime has it no more.

    Under the next epoch: the runtime may be about to commit that cycle, and whoever takes the job up must not wait for
    the lease that a commit brings. It is put on record, for neither epoch is a sign of a job that kills its runtimes.
    """
    with transaction.atomic():
        mine = Job.objects.filter(pk=job_id, epoch=epoch, status="running")
        if not mine.update(status="queued", lease_until=None, epoch=epoch + 1):
            return False
        AuditRecord.objects.create(
            who_name="system", act=HAND_OVER, target=f"job:{job_id}", detail={"epoch": epoch}
        )
    return True


def epochs_handed_over(job_id: int, after: int) -> int:
    """How many epochs above `after` are those of runtimes that gave the job up, alive and well."""
    records = AuditRecord.objects.filter(act=HAND_OVER, target=f"job:{job_id}").values_list(
        "detail", flat=True
    )
    return 2 * len([detail for detail in records if detail["epoch"] > after])


@contextmanager
def kept_lease(job_id: int, epoch: int) -> Iterator[threading.Event]:
    """Renews the lease from a thread of its own while agents run; the event is set if the job is lost."""
    ended, lost = threading.Event(), threading.Event()

    def renew() -> None:
        try:
            while not ended.wait(RENEW_SECONDS):
                try:
                    failpoint("lease.before_renew")
                    kept = renew_lease(job_id, epoch)
                except Error as error:
                    # Busy or out. The lease may run out meanwhile; then another claims, and the fence stops this one.
                    log.warning("job %s: the lease could not be renewed: %s", job_id, error)
                    connections.close_all()
                    continue
                if not kept:
                    lost.set()
                    return
        finally:
            connections.close_all()

    thread = threading.Thread(target=renew, name=f"lease-{job_id}", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        ended.set()
        thread.join()


def current_epoch(job_id: int) -> int:
    """The epoch of whoever claimed the job last."""
    return Job.objects.values_list("epoch", flat=True).get(pk=job_id)
