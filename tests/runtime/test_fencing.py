"""A runtime that lost its job commits nothing, however long it was away (D7.1)."""

import threading

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from runtime import lease, store
from runtime.agents import functions_for, run_all
from runtime.engine import Commit, Core
from runtime.lease import Fenced, claim_job, hand_over, kept_lease, renew_lease
from runtime.models import Cycle, Entry, Job
from runtime.recording import Tenure, append_cycle
from runtime.worker import drive
from tests.runtime.fixtures import Use
from tests.runtime.packs import ECHO_SEEDS, WALK_SEEDS
from tests.runtime.stage import submit
from tests.waiting import eventually

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(use_packs: Use) -> Job:
    use_packs("walk", "echo")
    return submit("walk", WALK_SEEDS)


def claim(job: Job, name: str) -> Tenure:
    """Claims the job, whoever had it."""
    for _ in range(50):  # whoever has it may renew the lease in between
        Job.objects.filter(pk=job.pk).update(lease_until=1.0)
        epoch = claim_job(job.pk, name)
        if epoch is not None:
            return Tenure(job.pk, epoch, name)
    raise AssertionError("the lease is not let go")


def one_cycle(job: Job, core: Core) -> Commit:
    rows = store.seeds_of(job) if core.cycle == 0 else []
    runs = core.begin(rows)
    return core.finish(run_all(runs, functions_for(core.pack)))


def commit(tenure: Tenure, core: Core, done: Commit) -> None:
    append_cycle(tenure, core, done, timezone.now(), 0.0)


def recorded(job: Job) -> tuple[int, int, int, str]:
    """All that a commit could have changed."""
    job.refresh_from_db()
    cycles = Cycle.objects.filter(job=job).count()
    entries = Entry.objects.filter(job=job).count()
    return cycles, entries, job.entries, job.digest


def test_superseded_runtime_writes_nothing_at_all(job: Job) -> None:
    first = claim(job, "first")
    core = store.load_core(job)
    commit(first, core, one_cycle(job, core))
    before = recorded(job)
    overdue = one_cycle(job, core)  # computed before it was paused

    claim(job, "second")
    with pytest.raises(Fenced):
        commit(first, core, overdue)
    assert recorded(job) == before
    assert job.worker == "second"


def test_superseded_runtime_stays_out_after_the_other_has_committed(job: Job) -> None:
    first = claim(job, "first")
    mine = store.load_core(job)
    overdue = one_cycle(job, mine)
    second = claim(job, "second")
    theirs = store.load_core(job)
    commit(second, theirs, one_cycle(job, theirs))
    before = recorded(job)
    with pytest.raises(Fenced):
        commit(first, mine, overdue)
    assert recorded(job) == before


def test_renewal_by_a_superseded_runtime_is_refused(job: Job) -> None:
    first, second = claim(job, "first"), claim(job, "second")
    assert renew_lease(job.pk, second.epoch)
    assert not renew_lease(job.pk, first.epoch)


def test_late_renewal_gives_no_lease_to_a_job_that_stopped(job: Job) -> None:
    tenure = claim(job, "first")
    drive(job, store.load_core(job), tenure, functions_for(store.pack_of(job)))
    assert not renew_lease(job.pk, tenure.epoch)
    job.refresh_from_db()
    assert (job.status, job.lease_until) == ("converged", None)


def test_drive_stops_before_the_next_cycle_once_the_lease_is_lost(job: Job) -> None:
    tenure = claim(job, "first")
    looks = iter([False, False, True])
    with pytest.raises(Fenced):
        drive(job, store.load_core(job), tenure, functions_for(store.pack_of(job)), lambda: next(looks))
    assert recorded(job)[0] == 2


def test_handed_over_job_is_due_at_once(job: Job) -> None:
    tenure = claim(job, "first")
    hand_over(job.pk, tenure.epoch)
    assert lease.due_jobs() == [job.pk]
    assert claim_job(job.pk, "second") == tenure.epoch + 1


def test_superseded_runtime_cannot_hand_over(job: Job) -> None:
    first = claim(job, "first")
    claim(job, "second")
    hand_over(job.pk, first.epoch)
    assert lease.due_jobs() == []


def test_the_database_takes_no_entry_and_no_cycle_twice(job: Job) -> None:
    tenure = claim(job, "first")
    core = store.load_core(job)
    commit(tenure, core, one_cycle(job, core))
    entry, cycle = Entry.objects.get(job=job, seq=1), Cycle.objects.get(job=job, number=1)
    entry.pk = cycle.pk = None
    for row in (entry, cycle):
        with pytest.raises(IntegrityError), transaction.atomic():
            row.save(force_insert=True)


@pytest.mark.django_db(transaction=True)
def test_lease_is_renewed_while_an_agent_runs(
    use_packs: Use, empty_queue: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.02)
    use_packs("echo")
    job = submit("echo", ECHO_SEEDS)
    tenure = claim(job, "first")

    def until() -> float:
        return Job.objects.values_list("lease_until", flat=True).get(pk=job.pk) or 0.0

    before = until()
    with kept_lease(job.pk, tenure.epoch) as lost:
        assert eventually(lambda: until() > before)
        assert not lost.is_set()
        claim(job, "second")
        assert eventually(lost.is_set)
    assert not [t for t in threading.enumerate() if t.name.startswith("lease-")]
