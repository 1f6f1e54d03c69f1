"""Whoever changes what the database keeps beside the journal is found out, whatever it is that they change (D6.3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db.models import F

from runtime.bundle import write_bundle
from runtime.models import Answer, Conflict, Cycle, Decision, Job
from runtime.record import RecordBroken
from runtime.verifying import verify_job
from runtime.worker import _fail
from tests.runtime.fixtures import Use
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.stage import run, submit, tell

pytestmark = pytest.mark.django_db

DOUBTFUL = {"key": "verdict", "subject": "doubtful"}
PLAN = {"key": "plan", "subject": "all"}


@pytest.fixture
def job(use_packs: Use) -> Job:
    """One that waits for an approval; its conflict was decided, after a decision that was stale."""
    use_packs("panel")
    job = run(submit("panel", PANEL_SEEDS))
    tell(job, "decide", "ida", **DOUBTFUL, payload={"value": "no"}, version="0" * 64)
    tell(job, "decide", "otto", **DOUBTFUL, payload={"value": "yes"}, reason="so I think")
    return run(job)


def of_job(**fields: object) -> Callable[[Job], object]:
    return lambda job: Job.objects.filter(pk=job.pk).update(**fields)


def of_decision(**fields: object) -> Callable[[Job], object]:
    return lambda job: Decision.objects.filter(job=job, by_name="otto").update(**fields)


def of_closed(**fields: object) -> Callable[[Job], object]:
    return lambda job: Conflict.objects.filter(job=job, status="closed").update(**fields)


def of_cycle(**fields: object) -> Callable[[Job], object]:
    return lambda job: Cycle.objects.filter(job=job, number=2).update(**fields)


def invent_decision(job: Job) -> None:
    Decision.objects.create(
        job=job, act="decide", **DOUBTFUL, by_name="mallory", receipt="forged", status="applied"
    )


def invent_refusal(job: Job) -> None:
    Decision.objects.create(
        job=job, act="undo", **DOUBTFUL, by_name="ida", receipt="forged", status="refused"
    )


def invent_decision_of_the_future(job: Job) -> None:
    Decision.objects.create(
        job=job, act="decide", by_name="mallory", receipt="forged", status="applied", applied_cycle=99
    )


def invent_closed_conflict(job: Job) -> None:
    Conflict.objects.create(
        job=job,
        kind="conflict",
        key="verdict",
        subject="clear",
        version="v",
        status="closed",
        opened_cycle=1,
        opened_at=job.created_at,
        closed_cycle=1,
        closed_at=job.created_at,
        outcome="decided by mallory",
    )


def invent_answer(job: Job) -> None:
    Answer.objects.create(job=job, version=99, tier=1, cycle=99, seq=1, created_at=job.created_at)


FORGERIES: dict[str, Callable[[Job], object]] = {
    "who decided": of_decision(by_name="mallory"),
    "act": of_decision(act="undo"),
    "reason of a decision": of_decision(reason="other"),
    "key": of_decision(key="plan"),
    "subject": of_decision(subject="clear"),
    "version": of_decision(version="1" * 64),
    "value": of_decision(payload={"value": "no", "groups": ["operator"]}),
    "nothing chosen": of_decision(payload={"none": True, "groups": ["operator"]}),
    "groups": of_decision(payload={"value": "yes", "groups": ["admin"]}),
    "decision no cycle applied": invent_decision,
    "refusal of a job that has not ended": invent_refusal,
    "decision of a cycle to come": invent_decision_of_the_future,
    "answer of a cycle to come": invent_answer,
    "invented closed conflict": invent_closed_conflict,
    "outcome": of_closed(outcome="agreed"),
    "cycle that closed": of_closed(closed_cycle=1),
    "cycle that opened": of_closed(opened_cycle=2),
    "sides of a closed conflict": of_closed(sides=[]),
    "closed conflict gone": lambda job: Conflict.objects.filter(job=job, status="closed").delete(),
    "tier of a cycle": of_cycle(tier=3),
    "runs of a cycle": of_cycle(runs=F("runs") + 1),
    "changes of a cycle": of_cycle(changes=F("changes") + 1),
    "epochs": lambda job: Cycle.objects.filter(job=job).update(epoch=77),
    "top tier": of_job(top_tier=9),
    "reason": of_job(reason="Every agent has had its say; tier 3 of 3 is reached."),
    "causes": of_job(causes=[]),
    "failed": of_job(status="failed"),
    "failed, in its words": of_job(
        status="failed", reason="It broke.", causes=[{"what": "failed", "text": "It broke."}]
    ),
    "queued": of_job(status="queued"),
    "running": of_job(status="running"),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_forgery_is_found(job: Job, forge: Callable[[Job], object]) -> None:
    assert verify_job(job).entries == job.entries
    assert forge(job) != 0
    job.refresh_from_db()
    with pytest.raises(RecordBroken):
        verify_job(job)


@pytest.mark.parametrize("name", ["top tier", "reason"])
def test_forged_summary_is_not_signed(job: Job, name: str) -> None:
    assert '"signed"' in "".join(write_bundle(job))
    FORGERIES[name](job)
    job.refresh_from_db()
    with pytest.raises(RecordBroken, match="the summary says "):
        list(write_bundle(job))


def test_job_taken_up_again_and_not_yet_further_holds(job: Job) -> None:
    tell(job, "approve", "ada", **PLAN)
    for status in ("waiting", "running", "queued"):
        of_job(status=status)(job)
        job.refresh_from_db()
        verify_job(job)


def test_job_that_cannot_be_taken_up_again_holds(job: Job) -> None:
    row = tell(job, "approve", "ada", **PLAN)
    of_job(status="running")(job)
    assert _fail(job.pk, job.epoch, "The runtime cannot go on.") == "failed"
    row.refresh_from_db()
    job.refresh_from_db()
    assert (row.status, row.applied_cycle) == ("refused", None)
    verify_job(job)
    assert '"signed"' in "".join(write_bundle(job))


def test_job_that_failed_before_its_first_cycle_holds(use_packs: Use) -> None:
    use_packs("panel")
    job = submit("panel", PANEL_SEEDS)
    of_job(status="running")(job)
    _fail(job.pk, 0, "No code.")
    job.refresh_from_db()
    verify_job(job)


def test_cancelled_jobs_hold(job: Job) -> None:
    fresh = submit("panel", PANEL_SEEDS)
    for one in (job, fresh):
        tell(one, "cancel", "otto", reason="enough")
        tell(one, "retry", "ida")
        assert run(one).status == "cancelled"
        verify_job(one)


def test_question_that_closes_and_opens_again_holds(job: Job) -> None:
    for act, more in (("undo", {}), ("decide", {"payload": {"none": True}}), ("undo", {})):
        tell(job, act, "otto", **DOUBTFUL, **more)
        verify_job(run(job))
    assert Conflict.objects.filter(job=job, kind="conflict").count() == 3
