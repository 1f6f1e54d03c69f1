"""A failing agent takes neither job nor runtime down: its failure is in the journal, and the others go on (D5.3)."""

import math
from typing import Any

import pytest

from runtime import store
from runtime.agents import propose
from runtime.bundle import record_of_job
from runtime.models import Entry, Job
from runtime.verifying import replay_record, verify_job
from tests.actions import faulty
from tests.actions.faulty import GIVEN, Fault
from tests.runtime.fixtures import Use
from tests.runtime.stage import person, run, submit, tell

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def packs(use_packs: Use) -> Any:
    use_packs("tests.actions.faulty:faulty")
    yield
    Fault.act = staticmethod(lambda view: None)


def run_with(act: Any) -> Job:
    """A job whose first agent does `act`; whatever comes of it, the record holds."""
    Fault.act = staticmethod(act)
    job = run(submit("faulty", GIVEN))
    verify_job(job)
    assert replay_record(record_of_job(job)).digest == job.digest
    assert [row.value for row in store.standing(job, keys=["count"])] == [2], "the other agent did its work"
    return job


def failure(job: Job) -> tuple[str, str]:
    """The class and message of the failure that the journal tells."""
    body = Entry.objects.filter(job=job, kind="run", agent="misbehave").latest("seq").data
    (failed,) = body["failed"]
    return failed["cls"], failed["message"]


# The interruption of a call may land in some other object's finalizer, which Python reports and goes on; it is then
# repeated.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("act", "cls", "said"),
    [
        (faulty.raise_error, "agent_error", "ValueError: no idea about 1 things"),
        (faulty.exit_process, "agent_error", "SystemExit: 3"),
        (faulty.divide_by_zero, "agent_error", "ZeroDivisionError: integer division or modulo by zero"),
        (lambda view: 1 / 0, "agent_error", "ZeroDivisionError: division by zero"),
        (lambda view: view["nowhere"], "agent_error", "nowhere"),
        (lambda view: "nonsense", "bad_output", "It returned the str 'nonsense'; expected propose()"),
        (lambda view: 42, "bad_output", "It returned the int 42; expected propose()"),
        (lambda view: {"made": 1}, "bad_output", "It returned a value of type dict; expected propose()"),
        (lambda view: object(), "bad_output", "It returned a value of type object; expected propose()"),
        (faulty.loop_for_ever, "timeout", "It took longer than 0.2 s."),
        (faulty.propose_for_ever, "timeout", "It took longer than 0.2 s."),
        (faulty.sleep_for_ever, "bad_output", "It returned a value of type coroutine; expected propose()"),
    ],
)
def test_failure_is_told_and_caps_the_tier(act: Any, cls: str, said: str) -> None:
    job = run_with(act)
    found = failure(job)
    assert found[0] == cls
    assert said in found[1]
    assert (job.tier, job.status) == (0, "recovering" if cls == "timeout" else "partial")
    assert "`misbehave` failed: " in job.reason
    assert "Traceback" not in job.reason
    assert not store.standing(job, keys=["made"]), "what it had proposed before it failed is not merged"


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (faulty.write_elsewhere, "secret"),
        (faulty.write_unknown_key, "nowhere"),
        (lambda view: propose("made", "x", "seven"), "integer"),
        (lambda view: propose("made", "", 7), "non-empty"),
        (lambda view: propose("made", "x\x00", 7), "cannot be printed"),
        (lambda view: propose("made", "x", math.nan), "NaN"),
        (lambda view: propose("made", "x", 10**30), "64 bits"),
        (lambda view: propose("made", "x", object()), "not JSON"),
        (lambda view: propose("made", "x", "\ud800"), "surrogate"),
        (lambda view: propose("made", "x", "\x00"), "NUL"),
        (lambda view: propose("made", "x", 7, 1.5), "confidence"),
        (lambda view: propose("made", "x", 7, math.nan), "confidence"),
        (lambda view: propose("made", "x", 7, evidence={"a": math.inf}), "infinity"),
        (lambda view: propose("made", "x", 7, because=[("given", "never")]), "never"),
        (lambda view: [propose("made", "x", 7), propose("made", "x", 8)], "twice"),
        (lambda view: [propose("made", "x", 7), "nonsense"], "is no proposal"),
    ],
)
def test_proposal_that_it_may_not_make_is_rejected_with_the_reason(act: Any, said: str) -> None:
    job = run_with(act)
    rejected = [entry.data for entry in Entry.objects.filter(job=job, kind="rejected")]
    assert rejected
    assert any(said in body["reason"] for body in rejected), [body["reason"] for body in rejected]
    assert (job.status, job.tier) == ("partial", 0)
    assert "was refused" in job.reason
    assert not store.standing(job, keys=["secret"])


def test_what_else_it_proposed_is_merged() -> None:
    job = run_with(faulty.write_elsewhere)
    assert [(row.subject, row.value) for row in store.standing(job, keys=["made"])] == [("x", 1)]


def test_failed_agent_is_tried_again_when_a_person_asks_and_the_job_goes_on() -> None:
    job = run_with(faulty.raise_error)
    Fault.act = staticmethod(lambda view: propose("made", "x", 7))
    row = tell(job, "retry", person("otto", "operator").username)
    assert run(job).status == "converged"
    row.refresh_from_db()
    assert (row.status, row.message) == ("applied", "1 failed run is tried again")
    verify_job(job)
    assert replay_record(record_of_job(job)).digest == job.digest


def test_job_that_never_ends_runs_out_of_its_budget(use_packs: Use) -> None:
    use_packs("tests.actions.faulty:endless")
    job = run(submit("endless", [{"key": "tick", "subject": "1", "value": 1}]))
    assert (job.status, job.cycle) == ("exhausted", 9)
    assert "the budget of 9 cycles is used up" in job.reason.lower()
    assert store.latest_answer(job) is not None, "the partial answer is attached"
    verify_job(job)
    tell(job, "retry", "otto")
    assert run(job).cycle == 18, "outside input starts the count again"


def test_agents_that_swing_are_found_out(use_packs: Use) -> None:
    use_packs("tests.actions.faulty:swing")
    job = run(submit("swing", [{"key": "push", "subject": "x", "value": 1}]))
    assert job.status == "oscillating"
    (cause,) = job.causes
    assert {slot["key"] for slot in cause["slots"]} == {"left", "right"}
    assert cause["agents"] == ["to-the-left", "to-the-right"]
    tell(job, "decide", "otto", key="left", subject="x", payload={"value": 1})
    assert run(job).status == "converged"
    verify_job(job)


def test_agent_whose_code_is_gone_fails_and_says_so(use_packs: Use) -> None:
    job = submit("faulty", GIVEN)
    use_packs("tests.actions.faulty:endless")  # the package now offers another pack in its place
    run(job)
    assert "No code for the agent 'misbehave' is installed here." in failure(job)[1]
    assert job.status == "partial"
