"""A job outlives its worker: another goes on from the last committed cycle, to the same journal (D7.1, D7.4)."""

import signal

import pytest

from runtime import store
from runtime.bundle import record_of_job
from runtime.models import Cycle, Job
from runtime.rehearsal import Rehearsal
from runtime.verifying import replay_record, verify_job
from tests.runtime.fixtures import Use
from tests.runtime.packs import GATE_AT, STEPS, WALK_SEEDS
from tests.runtime.stage import submit
from tests.runtime.workers import Workers
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def job(use_packs: Use, workers: Workers) -> Job:
    """A job in the middle of its seventh cycle, held by one of two workers."""
    use_packs("walk")
    workers.start(2)
    job = submit("walk", WALK_SEEDS)
    workers.wait_at_gate()
    job.refresh_from_db()
    assert (job.status, job.cycle) == ("running", GATE_AT - 1)
    return job


def undisturbed(job: Job) -> str:
    """The digest of the same job run by an engine that nobody disturbs."""
    alone = Rehearsal(store.pack_of(job), WALK_SEEDS)
    alone.run()
    return alone.core.digest


def converged(job: Job) -> bool:
    job.refresh_from_db()
    return job.status == "converged"


def check_whole(job: Job, first_pid: int) -> None:
    """Both wrote their part, none of it twice, and it is the journal of an undisturbed run."""
    rows = list(Cycle.objects.filter(job=job).order_by("number").values_list("epoch", "worker"))
    assert [epoch for epoch, _ in rows] == [1] * (GATE_AT - 1) + [2] * (STEPS - GATE_AT + 1)
    assert len({worker for _, worker in rows}) == 2
    assert rows[0][1].endswith(f":{first_pid}")
    assert job.digest == undisturbed(job)
    verify_job(job)
    assert replay_record(record_of_job(job)).digest == job.digest


def test_killed_worker_s_job_is_taken_over_and_ends_as_if_nothing_had_happened(
    job: Job, workers: Workers
) -> None:
    first = workers.pid_of(job)
    workers.signal(first, signal.SIGKILL)
    workers.wait_at_gate()
    assert workers.pid_of(job) != first
    workers.open_gate()
    assert eventually(lambda: converged(job)), workers.said
    check_whole(job, first)


def test_paused_worker_that_comes_back_commits_nothing(job: Job, workers: Workers) -> None:
    first = workers.pid_of(job)
    workers.signal(first, signal.SIGSTOP)
    workers.wait_at_gate()
    workers.open_gate()
    assert eventually(lambda: converged(job)), workers.said
    check_whole(job, first)

    workers.signal(first, signal.SIGCONT)
    assert eventually(lambda: "another runtime goes on with it" in workers.said), workers.said
    before = job.epoch, job.digest, job.entries
    job.refresh_from_db()
    assert (job.epoch, job.digest, job.entries) == before
    check_whole(job, first)


def test_worker_asked_to_stop_hands_its_job_over_between_two_cycles(job: Job, workers: Workers) -> None:
    first = workers.pid_of(job)
    workers.signal(first, signal.SIGTERM)
    process = next(process for process in workers.processes if process.pid == first)
    assert process.poll() is None, "the cycle under way is finished first"
    workers.open_gate()
    assert process.wait(20) == 0
    assert eventually(lambda: converged(job)), workers.said
    rows = Cycle.objects.filter(job=job)
    assert {row.worker for row in rows.filter(number__gt=GATE_AT)} != {
        row.worker for row in rows.filter(epoch=1)
    }
    assert rows.filter(epoch=1).count() == GATE_AT
    assert job.digest == undisturbed(job)
