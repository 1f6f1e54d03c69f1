"""Several workers, many jobs, one killed in the middle: every journal is that of a job that nobody disturbed."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from runtime import store
from runtime.models import Cycle, Job
from runtime.reconciler import reconcile_once
from runtime.rehearsal import Rehearsal
from runtime.verifying import verify_job
from tests.runtime.fixtures import Use
from tests.runtime.packs import CHOIR_SEEDS, ECHO_SEEDS, GATE_AT, choir, echo
from tests.runtime.stage import submit
from tests.runtime.workers import Workers
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = 3
JOBS = 60
# Walks of several lengths, all of which pass the gate; voices whose order is drawn anew each time; short jobs between.
WALKS = [[{"key": "step", "subject": str(at), "value": at}] for at in range(1, GATE_AT + 1)]
KINDS: list[tuple[str, list[dict[str, Any]], Any]] = [
    *(("walk", seeds, None) for seeds in WALKS),
    ("choir", CHOIR_SEEDS, choir.functions),
    ("echo", ECHO_SEEDS, echo.functions),
]


def undisturbed(job: Job, seeds: list[dict[str, Any]], functions: Any) -> str:
    """The digest of the same job run by an engine alone: no database, no queue, nobody who dies."""
    alone = (
        Rehearsal(store.pack_of(job), seeds, functions) if functions else Rehearsal(store.pack_of(job), seeds)
    )
    alone.run()
    return alone.core.digest


def test_sixty_jobs_on_three_workers_one_of_which_is_killed(use_packs: Use, workers: Workers) -> None:
    use_packs("walk", "choir", "echo")
    jobs = [submit(*KINDS[number % len(KINDS)][:2]) for number in range(JOBS)]
    expected = [undisturbed(jobs[at], *KINDS[at][1:]) for at in range(len(KINDS))]

    workers.start(WORKERS)
    held = Job.objects.filter(status="running", cycle__gt=0, worker__gt="")
    assert eventually(lambda: reconcile_once() >= 0 and held.count() == WORKERS, 60), workers.said
    victim = held.order_by("id")[0]
    lost = workers.pid_of(victim)
    workers.signal(lost, signal.SIGKILL)
    workers.open_gate()

    def all_ended() -> bool:
        reconcile_once()
        return Job.objects.filter(status="converged").count() == JOBS

    assert eventually(all_ended, 120), workers.said
    for number, job in enumerate(jobs):
        job.refresh_from_db()
        assert job.digest == expected[number % len(KINDS)], job
        verify_job(job)
    rows = Cycle.objects.filter(job__in=jobs)
    assert len({worker for (worker,) in rows.values_list("worker")}) == WORKERS
    taken_over = rows.filter(job=victim, epoch__gt=1)
    assert taken_over.exists()
    assert not taken_over.filter(worker__endswith=f":{lost}").exists()
