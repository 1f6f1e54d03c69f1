"""A database that stumbles costs a job neither its claim nor its life: that is not the job's trouble."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import OperationalError
from redis import Redis

from runtime import store, worker
from runtime.failpoints import arm, read_failpoints
from runtime.models import Job
from runtime.rehearsal import Rehearsal
from runtime.verifying import verify_job
from tests.runtime.fixtures import Use
from tests.runtime.packs import WALK_SEEDS
from tests.runtime.stage import run, submit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def job(use_packs: Use, empty_queue: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    """A walk of fourteen cycles, in a process that tries once more, at once."""
    use_packs("walk")
    monkeypatch.setattr(worker, "RECORD_PAUSES", (0.01,))
    yield submit("walk", WALK_SEEDS)
    arm({})


def check_undisturbed(job: Job) -> None:
    alone = Rehearsal(store.pack_of(job), WALK_SEEDS)
    alone.run()
    assert (job.status, job.digest) == ("converged", alone.core.digest)
    verify_job(job)


@pytest.mark.parametrize("place", ["cycle.in_transaction", "cycle.before_commit", "cycle.after_commit"])
def test_job_goes_on_under_the_same_claim(job: Job, place: str) -> None:
    arm(read_failpoints(f"{place}=raise:OperationalError@5"))
    check_undisturbed(run(job))
    assert job.epoch == 1


def test_troubles_of_a_long_job_do_not_add_up(job: Job) -> None:
    arm(read_failpoints("cycle.after_commit=raise:OperationalError"))
    check_undisturbed(run(job))
    assert job.epoch == 1, "each trouble came after a cycle that was taken"


def test_last_cycle_that_was_committed_after_all_is_not_run_again(job: Job) -> None:
    arm(read_failpoints("worker.parked=raise:InterfaceError"))
    check_undisturbed(run(job))
    assert job.epoch == 1


def test_claim_is_given_up_in_the_end(job: Job) -> None:
    arm(read_failpoints("cycle.before_commit=raise:OperationalError"))
    with pytest.raises(OperationalError):
        run(job)
    arm({})
    Job.objects.filter(pk=job.pk).update(lease_until=1.0)
    check_undisturbed(run(job))
