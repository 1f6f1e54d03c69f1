"""An approval counts for one value, one person, and never for the submitter's own plan (D9.2, D3.7)."""

import pytest
from django.contrib.auth.models import User

from runtime.actions import Refused, answer_hold
from runtime.models import Conflict, Decision, Job
from tests.runtime.fixtures import Use
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.stage import person, question, receipt, run, submit, tell

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(use_packs: Use) -> Job:
    """A job of Otto's whose plan waits for two others."""
    use_packs("panel")
    return run(submit("panel", PANEL_SEEDS[:1]))


def answer(user: User, hold: Conflict, approve: bool = True) -> Decision:
    return answer_hold(user, hold.pk, hold.version, approve, "", receipt())


def operator(name: str) -> User:
    return person(name, "operator")


def test_two_others_approve_and_the_value_stands(job: Job) -> None:
    hold = question(job, "hold")
    assert (hold.kind, hold.need, hold.rule) == ("hold", 2, "two others sign")
    answer(operator("ida"), hold)
    assert run(job).status == "waiting"
    answer(operator("ada"), hold)
    assert run(job).status == "converged"


def test_submitter_cannot_approve_what_is_his(job: Job) -> None:
    with pytest.raises(Refused) as refused:
        answer(operator("otto"), question(job, "hold"))
    assert refused.value.code == "forbidden"
    assert refused.value.message == "The rule “two others sign” asks for somebody other than the submitter."


def test_submitter_is_the_same_person_under_another_name(job: Job) -> None:
    otto = operator("otto")
    otto.username = "ottilie"
    otto.save()
    with pytest.raises(Refused) as refused:
        answer(otto, question(job, "hold"))
    assert refused.value.code == "forbidden"


def test_submitter_s_approval_does_not_count_however_it_got_into_the_inbox(job: Job) -> None:
    row = tell(job, "approve", "otto", key="plan", subject="all")
    run(job)
    row.refresh_from_db()
    assert row.status == "refused"
    assert job.holds_open == 1


def test_submitter_s_decision_for_the_value_does_not_count_as_approval(job: Job) -> None:
    tell(job, "decide", "otto", key="plan", subject="all", payload={"value": 1})
    tell(job, "approve", "ida", key="plan", subject="all")
    assert run(job).holds_open == 1


def test_person_outside_the_rule_s_groups_cannot_approve(job: Job) -> None:
    stranger = person("stella", "viewer")
    with pytest.raises(Refused) as refused:
        answer(stranger, question(job, "hold"))
    assert refused.value.code == "forbidden"


def test_one_person_cannot_approve_twice(job: Job) -> None:
    hold = question(job, "hold")
    answer(operator("ida"), hold)
    with pytest.raises(Refused, match="You have approved this already"):
        answer(operator("ida"), hold)
    run(job)
    with pytest.raises(Refused, match="You have approved this already"):
        answer(operator("ida"), hold)
    assert run(job).holds_open == 1


def test_approval_of_another_value_is_stale(job: Job) -> None:
    seen = question(job, "hold")
    tell(job, "add_fact", "ada", key="case", subject="new", payload={"value": {}, "confidence": 1.0})
    run(job)
    with pytest.raises(Refused) as refused:
        answer(operator("ida"), seen)
    assert refused.value.code == "stale"


def test_refused_value_is_a_gap_and_not_a_wait(job: Job) -> None:
    hold = question(job, "hold")
    answer(operator("ida"), hold, approve=False)
    run(job)
    assert (job.status, job.holds_open) == ("partial", 0)
    assert "was refused approval" in job.reason
    with pytest.raises(Refused) as refused:
        answer(operator("ada"), hold)
    assert refused.value.code == "stale"
