"""A runtime that stood still past its lease and comes back ends no call that another has taken over (D5.5, D7.1)."""

from __future__ import annotations

import pytest

from runtime.engine import Failure
from runtime.lease import claim_job
from runtime.models import Job, ToolCall
from runtime.tool_calls import DbRecorder, Superseded
from runtime.tools.failures import timed_out
from runtime.tools.record import CallName, Recorded
from tests.runtime.fixtures import Use
from tests.runtime.packs import ECHO_SEEDS
from tests.runtime.stage import submit

pytestmark = pytest.mark.django_db

CALL = CallName(1, "agent", "", 1, "d" * 64)
TIMED_OUT = Recorded(failure=timed_out("search").as_failure(), attempts=1)
REFUSED = Recorded(failure=Failure("circuit_open", "search is out.", True, "search"))
ANSWER = Recorded(value={"ok": 1}, attempts=1, cost=1.0)


@pytest.fixture
def job(use_packs: Use) -> Job:
    use_packs("echo")
    return submit("echo", ECHO_SEEDS)


def claim(job: Job, worker: str) -> DbRecorder:
    """Whoever had the job has stood still for longer than its lease."""
    Job.objects.filter(pk=job.pk).update(lease_until=1.0)
    epoch = claim_job(job.pk, worker)
    assert epoch is not None
    return DbRecorder(job.pk, epoch, worker)


def test_its_time_that_is_over_is_not_that_of_the_call_sent_again(job: Job) -> None:
    late = claim(job, "late")
    late.attempt(CALL, "search", 1)
    rightful = claim(job, "rightful")
    assert rightful.find(CALL) is None
    rightful.attempt(CALL, "search", 1)
    with pytest.raises(Superseded):
        late.finish(CALL, "search", TIMED_OUT)
    stands = rightful.finish(CALL, "search", ANSWER)
    assert (stands.value, stands.failure, stands.cost) == ({"ok": 1}, None, 1.0)
    row = ToolCall.objects.get(job=job)
    assert (row.status, row.cls, row.attempts) == ("done", "", 2)


def test_its_refusal_by_a_breaker_is_no_record_of_a_call_not_begun_yet(job: Job) -> None:
    late, rightful = claim(job, "late"), claim(job, "rightful")
    with pytest.raises(Superseded):
        late.finish(CALL, "search", REFUSED)
    assert not ToolCall.objects.filter(job=job).exists()
    rightful.attempt(CALL, "search", 1)
    assert rightful.finish(CALL, "search", ANSWER).value == {"ok": 1}


def test_an_answer_it_brings_was_paid_for_and_is_taken(job: Job) -> None:
    late = claim(job, "late")
    late.attempt(CALL, "search", 1)
    rightful = claim(job, "rightful")
    assert late.finish(CALL, "search", ANSWER).value == {"ok": 1}
    found = rightful.find(CALL)
    assert found is not None
    assert (found.value, found.attempts) == ({"ok": 1}, 1)
    with pytest.raises(Superseded):
        rightful.attempt(CALL, "search", 1)


def test_who_holds_the_job_has_its_failures_recorded(job: Job) -> None:
    rightful = claim(job, "rightful")
    assert rightful.finish(CALL, "search", REFUSED).failure == REFUSED.failure
    sent = CALL._replace(number=2)
    rightful.attempt(sent, "search", 1)
    assert rightful.finish(sent, "search", TIMED_OUT).failure == TIMED_OUT.failure
    statuses = ToolCall.objects.filter(job=job).order_by("number").values_list("status", "cls", "attempts")
    assert list(statuses) == [("failed", "circuit_open", 0), ("failed", "timeout", 1)]
