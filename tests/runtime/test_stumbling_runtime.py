"""A runtime that stumbles takes no outcome from a job, and no job with it that is not to blame."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from runtime import agents, worker
from runtime.actions import cancel_job
from runtime.failpoints import arm, read_failpoints
from runtime.lease import claim_job
from runtime.models import Decision, Job
from runtime.recording import append_cycle
from runtime.verifying import verify_job
from runtime.worker import run_job
from tests.runtime.fixtures import Use
from tests.runtime.packs import PANEL_SEEDS, WALK_SEEDS
from tests.runtime.stage import person, receipt, run, submit, tell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def packs(use_packs: Use, empty_queue: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_packs("walk", "panel")
    monkeypatch.setattr(worker, "RECORD_PAUSES", (0.01,))
    yield
    arm({})


def test_outcome_that_is_committed_stands_whatever_comes_after_it() -> None:
    arm(read_failpoints("worker.parked=raise@1"))
    job = submit("panel", PANEL_SEEDS)
    assert run_job(job.pk) == "waiting"
    arm({})
    job.refresh_from_db()
    assert job.status == "waiting"
    verify_job(job)
    row = tell(job, "decide", "otto", key="verdict", subject="doubtful", payload={"value": "yes"})
    run(job)
    row.refresh_from_db()
    assert row.status == "applied"


def test_rows_that_came_while_it_parked_are_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = append_cycle
    told: list[Decision] = []

    def append(*given: Any) -> bool:
        has_mail = real(*given)
        commit = given[2]
        if commit.stop is not None and not told:
            told.append(
                tell(job, "decide", "otto", key="verdict", subject="doubtful", payload={"value": "yes"})
            )
            raise ValueError("something after the commit")
        return has_mail

    monkeypatch.setattr(worker, "append_cycle", append)
    job = submit("panel", PANEL_SEEDS)
    run(job)
    told[0].refresh_from_db()
    assert (told[0].status, job.status) == ("applied", "waiting")
    verify_job(job)


def test_job_that_was_cancelled_stays_cancelled() -> None:
    job = submit("walk", WALK_SEEDS)
    cancel_job(person("otto", "operator"), job.pk, "", receipt())
    arm(read_failpoints("worker.parked=raise@1"))
    assert run_job(job.pk) == "cancelled"
    job.refresh_from_db()
    assert (job.status, Decision.objects.get(job=job).status) == ("cancelled", "applied")


def test_superseded_runtime_fails_no_job() -> None:
    job = submit("walk", WALK_SEEDS)
    assert claim_job(job.pk, "late") == 1
    Job.objects.filter(pk=job.pk).update(lease_until=1.0)
    assert claim_job(job.pk, "rightful") == 2
    assert worker._fail(job.pk, 1, "it cannot go on") == "running"


SHORTAGES: list[Callable[[], Exception]] = [
    lambda: OSError(errno.EMFILE, "Too many open files"),
    MemoryError,
    lambda: RuntimeError("can't start new thread"),
]


@pytest.mark.parametrize("shortage", SHORTAGES)
def test_shortage_of_the_machine_costs_a_job_neither_claim_nor_life(
    shortage: Callable[[], Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = agents.run_all
    met: list[Exception] = []

    def run_all(*given: Any, **more: Any) -> Any:
        if len(met) < 1:
            met.append(shortage())
            raise met[0]
        return real(*given, **more)

    monkeypatch.setattr(worker, "run_all", run_all)
    job = run(submit("walk", WALK_SEEDS))
    assert (job.status, job.epoch, len(met)) == ("converged", 1, 1)
    verify_job(job)


def test_worker_that_stays_short_leaves_the_job_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_all(*given: Any, **more: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    job = submit("walk", WALK_SEEDS)
    with monkeypatch.context() as short:
        short.setattr(worker, "run_all", run_all)
        with pytest.raises(OSError, match="Too many open files"):
            run_job(job.pk)
    job.refresh_from_db()
    assert job.status == "running", "it is due when the lease is over"
    Job.objects.filter(pk=job.pk).update(lease_until=1.0)
    assert run(job).status == "converged"


def test_error_of_any_other_kind_ends_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_all(*given: Any, **more: Any) -> Any:
        raise FileNotFoundError(errno.ENOENT, "No such file")

    monkeypatch.setattr(worker, "run_all", run_all)
    job = run(submit("walk", WALK_SEEDS))
    assert (job.status, job.reason[:26]) == ("failed", "The runtime cannot go on: ")
