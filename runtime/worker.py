"""The runtime: claims a job, drives its engine cycle by cycle, parks it, and goes on from where it was (D7).

What RQ hands over is an id and nothing else; everything else is asked of the database.
"""

from __future__ import annotations

import gc
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import Error, connections, transaction
from django.utils import timezone

from runtime import store
from runtime.agents import all_packs, functions_for, run_all
from runtime.agents.run_times import RunTimes
from runtime.engine import Core, Effect, InboxRow, Run, Seed, Stop
from runtime.engine.replay import ReplayError
from runtime.events import publish_job_event
from runtime.failpoints import failpoint
from runtime.lease import (
    Fenced,
    claim_job,
    epochs_handed_over,
    hand_over,
    hand_over_unfinished,
    kept_lease,
    renew_lease,
)
from runtime.models import Cycle, Job, JobStatus
from runtime.queue import enqueue_job, stop_requested
from runtime.recording import Tenure, append_cycle, refuse_rest
from runtime.scarcity import is_scarcity
from runtime.stopping import holding
from runtime.storage_trouble import DATABASE_AWAY, probe_storage, trouble_in
from runtime.tool_calls import JobTools, uses_tools
from runtime.tools.record import Unrecorded

log = logging.getLogger(__name__)

Rows = list[Seed | InboxRow]

# A job that takes its worker down with it must not take down one after another for ever.
MAX_FRUITLESS_CLAIMS = 5
RECORD_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds; together about as long as a lease
CLAIM_PAUSE = 2.0  # seconds


def settle_process() -> None:
    """Suits the garbage collector to jobs: what is loaded now stays for good, and a job makes many objects that live as
    long as it does. At the default of 700 the collector took a third of the time of wide cycles.

    A job that is over is one large circle (slots, candidates, voices), which only the oldest generation's turn frees:
    with 100 for the last number, jobs of 200,000 facts took 250 MB, then 640 after eight of them; with 2, 370."""
    all_packs()  # or the first job would load them
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 2)


def worker_name() -> str:
    """Who runs a cycle, as the journal's rows tell it: host and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def run_job(job_id: int) -> str:
    """Runs a job until it stops, if it is due and nobody else has it. Returns its status, "" for nothing to do.

    After parking it looks at the inbox once more: a row that came while it held the lease must not wait.
    """
    status = ""
    while True:
        try:
            epoch = claim_job(int(job_id), worker_name())
        except DATABASE_AWAY as error:
            if (trouble := trouble_in(error)) is None:
                raise
            # No job can be taken up. The scheduler enqueues this one again, so this worker need not be fast.
            log.error("job %s is not taken up. %s", job_id, trouble.text)
            _wait(CLAIM_PAUSE)
            return status
        if epoch is None:
            return status
        failpoint("worker.after_claim")
        try:
            with holding(int(job_id), epoch):
                status = _run_recorded(int(job_id), epoch)
            if stop_requested():
                return status
        except Fenced as fenced:
            log.warning("%s; another runtime goes on with it", fenced)
            return ""


def _run_recorded(job_id: int, epoch: int) -> str:
    """Runs a claimed job; while the database does not take what it did, it is taken up again under the same claim.

    That is the database's trouble and not the job's: it must not count as a runtime that died of it. A database that
    is away may be away for this worker alone, so another gets its turn after a while; a disk that is full is full for
    all, and is waited for. A machine short of files, threads or memory is like a database that is away.
    """
    patience = _Patience()
    while True:
        try:
            return _run_claimed(job_id, epoch, patience)
        except Exception as error:
            is_short = is_scarcity(error)
            if not (is_short or isinstance(error, (Unrecorded, *DATABASE_AWAY))):
                raise
            trouble = trouble_in(error) or (None if is_short else probe_storage())
            pause = next(patience.pauses, RECORD_PAUSES[-1] if trouble else None)
            if pause is None:
                raise
            log.warning(
                "job %s: %s It is taken up again in %g s.", job_id, trouble.text if trouble else error, pause
            )
        must_leave = not _wait(pause)
        connections.close_all()
        if must_leave:
            return _leave_unfinished(job_id, epoch)
        if not _is_still_ours(job_id, epoch):
            raise Fenced(f"job {job_id}: epoch {epoch} is superseded")


class _Patience:
    """How long the database is waited for, from pause to pause; anew once it has taken a cycle, for a long job may
    meet troubles that have nothing to do with each other."""

    def __init__(self) -> None:
        self.pauses = iter(RECORD_PAUSES)
        self._cycle = 0

    def begin_after(self, cycle: int) -> None:
        """The job is taken up after this cycle."""
        if cycle > self._cycle:
            self._cycle, self.pauses = cycle, iter(RECORD_PAUSES)


def _is_still_ours(job_id: int, epoch: int) -> bool:
    """Renews the lease. Where not even that can be written nobody else can claim the job, and the fence is there."""
    try:
        return renew_lease(job_id, epoch)
    except Error as error:
        log.warning("job %s: the lease could not be renewed: %s", job_id, error)
        connections.close_all()
        return True


def _wait(seconds: float) -> bool:
    """Waits for a database that is unwell, of which nobody tells when it is better; False if the worker is to stop.

    In short sleeps: the handler of a signal sets a plain flag (see `runtime.queue`), which wakes nobody.
    """
    until = time.monotonic() + seconds
    while not stop_requested() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.25))
    return not stop_requested()


def _run_claimed(job_id: int, epoch: int, patience: _Patience) -> str:
    job = Job.objects.select_related("input").get(pk=job_id)
    patience.begin_after(job.cycle)
    if _is_fruitless(job, epoch):
        text = f"Its runtime died {MAX_FRUITLESS_CLAIMS} times in cycle {job.cycle + 1} without finishing it."
        return _fail(job_id, epoch, text)
    tenure = Tenure(
        job_id,
        epoch,
        worker_name(),
        activity=list(job.activity),
        ran_seconds=job.ran_seconds,
        calls=job.calls,
        tokens=job.tokens,
        cost=job.cost,
        retries=job.retries,
        retry_at=job.retry_at,
        recovering_since=job.recovering_since,
        awaited=dict(job.awaited),
    )
    with kept_lease(job_id, epoch) as lost:
        try:
            core = store.load_core(job)
            return drive(job, core, tenure, functions_for(core.pack), lost.is_set)
        except (Fenced, Error, Unrecorded):
            raise  # another runtime has it, or will when the lease is over and the database answers
        except ReplayError as error:
            # A record that does not merge again: nothing may be added to it.
            log.exception("job %s cannot be taken up", job_id)
            return _fail(job_id, epoch, f"The journal does not hold: {error}")
        except Exception as error:
            if is_scarcity(error):
                raise
            log.exception("job %s cannot be run", job_id)
            return _fail(job_id, epoch, f"The runtime cannot go on: {type(error).__name__}: {error}")


def _is_fruitless(job: Job, epoch: int) -> bool:
    """Whether too many runtimes died of the cycle that is next. Those that were asked to stop did not."""
    last = _last_epoch(job)
    claims = epoch - last
    return claims > MAX_FRUITLESS_CLAIMS and claims - epochs_handed_over(job.pk, last) > MAX_FRUITLESS_CLAIMS


def _last_epoch(job: Job) -> int:
    """The epoch that committed the job's last cycle, 0 if none was."""
    if not job.cycle:
        return 0
    last = Cycle.objects.filter(job=job).order_by("-number").values_list("epoch", flat=True).first()
    return last or 0


def drive(
    job: Job,
    core: Core,
    tenure: Tenure,
    functions: Mapping[str, Any],
    lost: Callable[[], bool] = lambda: False,
) -> str:
    """Runs cycles until the job stops; returns the reason. Raises Fenced if the job was claimed by another."""
    rows: Rows = list(store.seeds_of(job)) if core.cycle == 0 else []
    has_mail = store.has_mail(job.pk)
    tools: JobTools | None = None
    if uses_tools(core.pack, functions):
        tools = JobTools(job, core.pack, tenure.epoch, tenure.worker)
    while True:
        if lost():
            raise Fenced(f"job {job.pk}: the lease was lost")
        began, clock = timezone.now(), time.perf_counter()
        inbox = store.pending_rows(job.pk) if has_mail else []
        if inbox:
            tenure.ran_seconds = 0.0
            tenure.asked_again = any(row.act == "retry" for row in inbox)
        runs = core.begin([*rows, *inbox])
        rows = []
        times = RunTimes(time.perf_counter, clock)
        if tools is None or not runs:
            effects = run_all(runs, functions, times=times)
        else:
            try:
                effects = _run_with_tools(runs, functions, core.cycle, tools, tenure, lost, times)
            except Abandoned:
                return _leave_unfinished(job.pk, tenure.epoch)
        commit = core.finish(effects, _out_of_time(core, tenure))
        seconds = time.perf_counter() - clock
        tenure.ran_seconds += seconds
        has_mail = append_cycle(tenure, core, commit, began, seconds, times.told(effects))
        failpoint("cycle.after_commit")
        publish_job_event(job.pk, commit.first_seq, core.last_seq)
        if commit.stop is not None:
            failpoint("worker.parked")
            return commit.stop.reason
        if stop_requested():
            return _leave(job.pk, tenure.epoch)


def _leave(job_id: int, epoch: int) -> str:
    """Gives the job up, for another runtime to go on with."""
    hand_over(job_id, epoch)
    enqueue_job(job_id)
    return str(JobStatus.QUEUED)


def _leave_unfinished(job_id: int, epoch: int) -> str:
    """Gives the job up in the middle of a cycle. Where that cannot be written it goes on when the lease is over."""
    try:
        if hand_over_unfinished(job_id, epoch):
            enqueue_job(job_id)
    except Error as error:
        log.warning("job %s could not be handed over: %s", job_id, error)
    return str(JobStatus.QUEUED)


class Abandoned(Exception):
    """The cycle under way was broken off, and nothing of it is committed. What its calls brought is on record."""


def _must_leave(job_id: int, lost: Callable[[], bool]) -> bool:
    """Whether the cycle is to be broken off: somebody else has the job, or wants it to end, or this worker to stop."""
    return lost() or stop_requested() or store.is_cancel_asked(job_id)


def _run_with_tools(
    runs: Sequence[Run],
    functions: Mapping[str, Any],
    cycle: int,
    tools: JobTools,
    tenure: Tenure,
    lost: Callable[[], bool],
    times: RunTimes,
) -> list[Effect]:
    """Runs agents that may call tools. Raises Abandoned, or Unrecorded if a call could not be written down.

    A cycle of many calls may take long, so it is asked meanwhile whether it should end. Out of time it is committed as
    far as it came; otherwise it is left as if it had never begun, for whoever takes the job up next: what was answered
    is on record, so nothing is asked twice.
    """
    over = time.perf_counter() + tools.pack.budget.seconds - tenure.ran_seconds
    session = tools.session(cycle, lambda: time.perf_counter() > over or _must_leave(tenure.job_id, lost))
    effects = run_all(runs, functions, session=session, times=times)
    if session.trouble is not None:
        raise session.trouble
    if session.is_stopped and _must_leave(tenure.job_id, lost):
        raise Abandoned(f"job {tenure.job_id}: cycle {cycle} is left")
    tools.count(effects)
    tenure.calls, tenure.tokens, tenure.cost = tools.calls, tools.tokens, tools.cost
    return effects


def _out_of_time(core: Core, tenure: Tenure) -> Stop | None:
    """Wall time is checked between cycles, outside the engine, which knows no clock (D2.7)."""
    limit = core.pack.budget.seconds
    if tenure.ran_seconds <= limit:
        return None
    text = f"the budget of {limit:g} seconds is used up"
    return Stop(
        "exhausted", [{"what": "budget", "text": text, "budget": "seconds", "limit": limit, "outside": True}]
    )


def _fail(job_id: int, epoch: int, message: str) -> str:
    """Ends a job that cannot be run at all; gives its status then. Its journal stays as it is.

    One that stopped before its runtime stumbled has its outcome, and keeps it.
    """
    with transaction.atomic():
        ended = Job.objects.filter(pk=job_id, epoch=epoch, status=JobStatus.RUNNING).update(
            status=JobStatus.FAILED,
            reason=message[:500],
            causes=[{"what": "failed", "text": message[:500]}],
            lease_until=None,
            retry_at=None,
            give_up_at=None,
            waits_on="",
            settled_at=timezone.now(),
            updated_at=timezone.now(),
        )
        if ended:
            refuse_rest(job_id)
    if not ended:
        return Job.objects.filter(pk=job_id).values_list("status", flat=True).first() or ""
    publish_job_event(job_id, 0, 0)
    return str(JobStatus.FAILED)
