"""One runtime has a job at a time, under an epoch that only rises (D7.1)."""

import threading

import pytest
from django.db import connections

from converge_site.fragments.why import read_why
from runtime import lease
from runtime.engine import ENGINE_VERSION
from runtime.lease import claim_job, current_epoch
from runtime.models import Job
from tests.runtime.fixtures import Use
from tests.runtime.packs import ECHO_SEEDS, PANEL_SEEDS
from tests.runtime.stage import receipt, run, submit, tell

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(use_packs: Use) -> Job:
    use_packs("echo")
    return submit("echo", ECHO_SEEDS)


def end_lease(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(lease_until=1.0)


def test_queued_job_is_claimed_once(job: Job) -> None:
    assert claim_job(job.pk, "first") == 1
    assert claim_job(job.pk, "second") is None
    job.refresh_from_db()
    assert (job.status, job.worker, job.epoch) == ("running", "first", 1)


def test_lease_that_is_over_lets_another_claim_under_a_higher_epoch(job: Job) -> None:
    claim_job(job.pk, "first")
    end_lease(job)
    assert claim_job(job.pk, "second") == 2
    assert current_epoch(job.pk) == 2


def test_job_that_a_newer_engine_began_is_left_to_newer_runtimes(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    Job.objects.filter(pk=job.pk).update(engine_version=ENGINE_VERSION + 1)
    assert claim_job(job.pk, "old") is None
    job.refresh_from_db()
    assert (job.status, job.epoch) == ("queued", 0)
    said = read_why(job).lead
    assert f"version {ENGINE_VERSION + 1} of the engine" in said and "nothing of it is lost" in said
    monkeypatch.setattr(lease, "ENGINE_VERSION", ENGINE_VERSION + 1)
    assert claim_job(job.pk, "upgraded") == 1


def test_converged_job_is_nobody_s(job: Job) -> None:
    assert run(job).status == "converged"
    assert claim_job(job.pk, "late") is None


def test_waiting_job_is_claimed_only_when_something_is_in_its_inbox(use_packs: Use) -> None:
    use_packs("panel")
    job = run(submit("panel", PANEL_SEEDS))
    assert job.status == "waiting"
    assert claim_job(job.pk, "idle") is None
    tell(job, "retry", "otto")
    assert claim_job(job.pk, "woken") == 2


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_ended_job_is_never_claimed_again(job: Job, status: str) -> None:
    tell(job, "retry", "otto")
    Job.objects.filter(pk=job.pk).update(status=status)
    assert claim_job(job.pk, "late") is None


def test_unknown_job_is_nothing_to_do() -> None:
    assert claim_job(987_654, "anybody") is None
    assert receipt() != receipt()


@pytest.mark.django_db(transaction=True)
def test_of_many_who_claim_at_once_one_gets_it(job: Job, empty_queue: object) -> None:
    together, epochs = threading.Barrier(6), []

    def claim(name: str) -> None:
        try:
            together.wait()
            epochs.append(claim_job(job.pk, name))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=claim, args=(f"worker-{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(epochs, key=str) == [1, None, None, None, None, None]
