"""Runtimes: the workers and what each runs, the queue, the scheduler, and the jobs that have waited the longest."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.utils import timezone

from converge_site.fragments.job_search import Tally, count_up_to
from converge_site.fragments.queue_watch import watch_queue
from converge_site.fragments.standstill import SILENT_AFTER, Cause, Standstill, find_causes, find_standstill
from converge_site.fragments.words import Look
from runtime.lease import database_clock
from runtime.models import Backtest, Job, JobStatus
from runtime.queue import QUEUE_NAME
from runtime.queue_state import QueueState, SchedulerState, WorkerState

LONGEST = 20  # of the jobs that wait
MOST_WORKERS = 200
MOST_HELD = 500

WORKS = Look("running", "blue", "At work")
IDLE = Look("done", "green", "Listens", "Idle: it takes the next job that is due.")
UNHEARD = Look("question", "grey", "Not heard", "Redis has no heartbeat of it; it holds the lease of a job.")
LAPSED = Look("failed", "red", "Gone", "Its lease is over: another worker takes the job up.")


@dataclass(frozen=True, slots=True)
class Runs:
    """A job that somebody holds the lease of. `since` is when it was taken up, None where only the database knows."""

    job: Job
    since: dt.datetime | None
    lease_until: float | None
    is_over: bool


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker: heard of through Redis, or known only by the leases it holds."""

    name: str
    look: Look
    runs: list[Runs] = field(default_factory=list)
    backtest: Backtest | None = None
    since: dt.datetime | None = None
    heard_at: dt.datetime | None = None
    jobs_done: int | None = None

    @property
    def slug(self) -> str:
        """Its name as the id of a row."""
        return "".join(char if char.isalnum() else "-" for char in self.name)


@dataclass(frozen=True, slots=True)
class RuntimesView:
    """Everything the page shows. `depth` is None while Redis is out."""

    is_blind: bool
    workers: list[Worker]
    more_workers: int
    depth: int | None
    listening: int
    busy: int
    queued: Tally
    running: Tally
    recovering: Tally
    scheduler: SchedulerState | None
    is_silent: bool
    longest: list[Job]
    causes: list[Cause]
    standstill: Standstill | None
    queue: str = QUEUE_NAME

    @property
    def other_causes(self) -> list[Cause]:
        """Those that the standstill does not tell of already."""
        return self.causes[1:] if self.standstill else self.causes

    @property
    def is_unheard(self) -> bool:
        """Whether no worker listens, as far as can be known."""
        return not self.is_blind and not self.listening


def read_runtimes() -> RuntimesView:
    """The page as it is now; within about a second if Redis is out."""
    state = watch_queue()
    workers = _read_workers(state)
    queued = Job.objects.filter(status=JobStatus.QUEUED)
    return RuntimesView(
        is_blind=not state.reachable,
        workers=workers[:MOST_WORKERS],
        more_workers=max(0, len(workers) - MOST_WORKERS),
        depth=state.queued if state.reachable else None,
        listening=len(state.workers),
        busy=sum(worker.look is WORKS for worker in workers),
        queued=count_up_to(queued),
        running=count_up_to(Job.objects.filter(status=JobStatus.RUNNING)),
        recovering=count_up_to(Job.objects.filter(status=JobStatus.RECOVERING)),
        scheduler=state.scheduler,
        is_silent=_is_silent(state),
        # By number, which is the order in which they came: by the time of the last change all would be sorted.
        longest=list(queued.select_related("pack", "submitter").order_by("pk")[:LONGEST]),
        causes=find_causes(state),
        standstill=find_standstill(),
    )


def _is_silent(state: QueueState) -> bool:
    return state.scheduler is None or timezone.now() - state.scheduler.at > SILENT_AFTER


def _read_workers(state: QueueState) -> list[Worker]:
    """Those who are heard of, and those who are not and hold the lease of a job; by name."""
    began = {int(w.job_id): w.since for w in state.workers if w.job_id is not None and w.job_id.isdecimal()}
    held = _read_held(began)
    backtests = _read_backtests(state.workers)
    workers = {}
    for said in state.workers:
        name = f"{said.host}:{said.pid}"
        workers[name] = _heard(name, said, held.pop(name, []), backtests)
    for name, runs in held.items():
        is_gone = all(one.is_over for one in runs)
        workers[name] = Worker(name or "nobody", LAPSED if is_gone else UNHEARD, runs)
    return [workers[name] for name in sorted(workers)]


def _read_held(began: dict[int, dt.datetime | None]) -> dict[str, list[Runs]]:
    """The jobs that run, by the worker that claimed each."""
    clock = database_clock()
    jobs = Job.objects.filter(status=JobStatus.RUNNING).select_related("pack", "submitter").order_by("pk")
    held: dict[str, list[Runs]] = defaultdict(list)
    for job in jobs[:MOST_HELD]:
        is_over = job.lease_until is None or job.lease_until < clock
        held[job.worker].append(Runs(job, began.get(job.pk), job.lease_until, is_over))
    return held


def _read_backtests(workers: Iterable[WorkerState]) -> dict[int, Backtest]:
    ids = [worker.backtest_id for worker in workers if worker.backtest_id is not None]
    return Backtest.objects.select_related("rule__pack").in_bulk(ids) if ids else {}


def _heard(name: str, said: WorkerState, runs: list[Runs], backtests: dict[int, Backtest]) -> Worker:
    backtest = backtests.get(said.backtest_id) if said.backtest_id is not None else None
    is_busy = bool(runs or backtest or said.state == "busy")
    return Worker(
        name,
        WORKS if is_busy else IDLE,
        runs,
        backtest,
        since=said.since,
        heard_at=said.heard_at,
        jobs_done=said.jobs_done,
    )
