"""Redis is transport: whatever it loses, the database still says what is due (D7.3)."""

from typing import Any

import pytest
from django.db.models import F
from redis import Redis

from runtime import queue
from runtime.lease import claim_job
from runtime.models import Cycle, Job
from runtime.queue import enqueue_job, read_queued_ids
from runtime.reconciler import reconcile_once
from tests.runtime.fixtures import Use
from tests.runtime.packs import ECHO_SEEDS, PANEL_SEEDS, WALK_SEEDS
from tests.runtime.stage import submit, tell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def packs(use_packs: Use, empty_queue: Redis) -> None:
    use_packs("walk", "echo", "panel")


def status(job: Job) -> str:
    job.refresh_from_db()
    return job.status


def test_submitted_job_is_enqueued_after_its_commit() -> None:
    job = submit("echo", ECHO_SEEDS)
    assert read_queued_ids() == frozenset([str(job.pk)])
    assert queue.work(burst=True)
    assert status(job) == "converged"


def test_job_whose_message_was_lost_is_enqueued_again(empty_queue: Redis) -> None:
    job = submit("echo", ECHO_SEEDS)
    empty_queue.flushall()
    assert not queue.work(burst=True)
    assert status(job) == "queued"
    assert reconcile_once() == 1
    assert queue.work(burst=True)
    assert status(job) == "converged"


def test_decision_whose_message_was_lost_is_applied(empty_queue: Redis) -> None:
    job = submit("panel", PANEL_SEEDS)
    queue.work(burst=True)
    assert status(job) == "waiting"
    assert reconcile_once() == 0, "a job that waits for people is not due"
    row = tell(job, "decide", "otto", key="verdict", subject="doubtful", payload={"value": "yes"})
    empty_queue.flushall()
    assert reconcile_once() == 1
    queue.work(burst=True)
    row.refresh_from_db()
    assert row.status == "applied"


def test_job_of_a_dead_worker_is_due_after_its_lease(empty_queue: Redis) -> None:
    job = submit("walk", WALK_SEEDS)
    empty_queue.flushall()
    assert claim_job(job.pk, "first") == 1
    assert reconcile_once() == 0
    Job.objects.filter(pk=job.pk).update(lease_until=1.0)
    assert reconcile_once() == 1


@pytest.mark.parametrize("jump", [-300.0, 300.0])
def test_job_of_a_dead_worker_is_due_whatever_the_clock_was_set_to(empty_queue: Redis, jump: float) -> None:
    job = submit("walk", WALK_SEEDS)
    empty_queue.flushall()
    assert claim_job(job.pk, "first") == 1
    # A clock that is set back leaves leases that end so much later, and the other way round.
    Job.objects.filter(pk=job.pk).update(lease_until=F("lease_until") - jump)
    assert reconcile_once() == 1
    assert claim_job(job.pk, "second") == 2


def test_job_that_waits_in_the_queue_is_not_enqueued_again() -> None:
    submit("echo", ECHO_SEEDS)
    assert reconcile_once() == 0


def test_doubled_and_late_messages_are_harmless() -> None:
    job = submit("walk", WALK_SEEDS)
    for _ in range(3):
        enqueue_job(job.pk)
    queue.work(burst=True)
    assert status(job) == "converged"
    done = job.epoch, job.digest, Cycle.objects.filter(job=job).count()
    enqueue_job(job.pk)
    queue.work(burst=True)
    job.refresh_from_db()
    assert (job.epoch, job.digest, Cycle.objects.filter(job=job).count()) == done
    assert done[0] == 1


def test_message_about_a_job_that_is_gone_is_harmless() -> None:
    enqueue_job(987_654)
    assert queue.work(burst=True)


def test_submitting_while_redis_is_out_loses_nothing(settings: Any, tmp_path: Any) -> None:
    url = settings.CONVERGE_REDIS_URL
    settings.CONVERGE_REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    job = submit("echo", ECHO_SEEDS)
    assert reconcile_once() == 0
    settings.CONVERGE_REDIS_URL = url
    assert reconcile_once() == 1
    queue.work(burst=True)
    assert status(job) == "converged"
