"""A worker that is asked to stop in a long cycle is gone in time, and its job waits for no lease (D7.4)."""

from __future__ import annotations

import signal
import time

import pytest

from runtime import store
from runtime.lease import claim_job, hand_over_unfinished
from runtime.models import AuditRecord, Cycle, Job
from runtime.rehearsal import Rehearsal
from runtime.verifying import verify_job
from runtime.worker import MAX_FRUITLESS_CLAIMS
from tests.runtime.fixtures import Use
from tests.runtime.packs import GATE_AT, STEPS, WALK_SEEDS
from tests.runtime.stage import run, submit
from tests.runtime.workers import Workers
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def test_long_cycle_is_handed_over_and_waits_for_no_lease(use_packs: Use, workers: Workers) -> None:
    use_packs("walk")
    workers.start(2, DJANGO_SETTINGS_MODULE="converge_site.settings", CONVERGE_GRACE_SECONDS="1")
    job = submit("walk", WALK_SEEDS)
    workers.wait_at_gate()
    first = workers.pid_of(job)
    process = next(process for process in workers.processes if process.pid == first)
    asked = time.monotonic()
    workers.signal(first, signal.SIGTERM)
    # Nobody opens the gate: the cycle would take a minute more, and the lease runs for 15 s.
    assert process.wait(10) == 0
    workers.wait_at_gate(seconds=10)
    assert time.monotonic() - asked < 10, "it had to wait for a lease"
    assert workers.pid_of(job) != first
    workers.open_gate()

    def is_converged() -> bool:
        job.refresh_from_db()
        return job.status == "converged"

    assert eventually(is_converged), workers.said
    rows = Cycle.objects.filter(job=job).order_by("number").values_list("epoch", flat=True)
    assert list(rows) == [1] * (GATE_AT - 1) + [3] * (STEPS - GATE_AT + 1)
    assert AuditRecord.objects.get(act="hand_over").target == f"job:{job.pk}"
    alone = Rehearsal(store.pack_of(job), WALK_SEEDS)
    alone.run()
    assert job.digest == alone.core.digest
    verify_job(job)


def test_job_is_not_blamed_for_workers_that_were_asked_to_stop(use_packs: Use) -> None:
    use_packs("walk")
    job = submit("walk", WALK_SEEDS)
    for _ in range(MAX_FRUITLESS_CLAIMS + 1):
        epoch = claim_job(job.pk, "deployed away")
        assert epoch is not None
        assert hand_over_unfinished(job.pk, epoch)
        assert not hand_over_unfinished(job.pk, epoch), "it has nothing left to hand over"
    assert run(job).status == "converged"
    verify_job(job)


def test_job_that_kills_its_workers_ends_all_the_same(use_packs: Use) -> None:
    use_packs("walk")
    job = submit("walk", WALK_SEEDS)
    for number in range(MAX_FRUITLESS_CLAIMS + 1):
        epoch = claim_job(job.pk, "killed")
        assert epoch is not None
        if number == 0:
            hand_over_unfinished(job.pk, epoch)
        Job.objects.filter(pk=job.pk).update(lease_until=None)
    assert run(job).status == "failed"
