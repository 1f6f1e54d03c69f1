"""What people decide and add is held to the same bounds and schemas as what agents say (D3.7)."""

import math
from typing import Any

import pytest

from runtime.actions import (
    Refused,
    add_fact,
    cancel_job,
    decide_conflict,
    decide_slot,
    undo_decision,
    withdraw_fact,
)
from runtime.models import Decision, Job
from tests.runtime.fixtures import Use
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.stage import person, question, receipt, run, submit

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(use_packs: Use) -> Job:
    use_packs("panel")
    return run(submit("panel", PANEL_SEEDS))


def act_out(job: Job, act: str, **given: Any) -> Decision:
    """Adds a fact, decides the job's conflict, or decides any slot of it."""
    otto = person("otto", "operator")
    slot = given.pop("key", "verdict"), given.pop("subject", "doubtful")
    if act == "add":
        confidence = given.get("confidence", 1.0)
        return add_fact(otto, job.pk, *slot, given.get("value", "yes"), confidence, "", receipt())
    if act == "slot":
        return decide_slot(otto, job.pk, *slot, "", given.get("choice", {"none": True}), "", receipt())
    seen = question(job)
    return decide_conflict(otto, seen.pk, seen.version, given["choice"], given.get("reason", ""), receipt())


def refusal(job: Job, act: str, **given: Any) -> Refused:
    """Why an act was refused; no row is left."""
    with pytest.raises(Refused) as refused:
        act_out(job, act, **given)
    assert not Decision.objects.exists()
    return refused.value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("perhaps", 'The value does not fit verdict: "perhaps" is not one of '),
        (3, "The value does not fit verdict: 3 is not "),
        (None, "The value does not fit verdict: null is not "),
        (math.nan, "The value holds NaN or an infinity, which JSON does not have."),
        (math.inf, "The value holds NaN or an infinity, which JSON does not have."),
        ("\ud800", "The value holds a lone surrogate, which is no Unicode text."),
        ("a\x00", "The value holds a NUL character, which PostgreSQL cannot keep."),
        (10**30 + 1, "The value holds an integer beyond 64 bits; write it as a string."),
        ("x" * 70_000, "bytes of JSON; the limit is 65,536."),
        ([[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]], "The value is nested more than 24 deep."),
        ({1: 2}, "The value has the object key 1, which is not a string."),
        (object(), "is not JSON"),
    ],
)
def test_value_out_of_bounds_is_refused_wherever_a_person_gives_one(job: Job, value: Any, said: str) -> None:
    for act, given in (
        ("add", {"value": value}),
        ("decide", {"choice": {"value": value}}),
        ("slot", {"choice": {"value": value}}),
    ):
        refused = refusal(job, act, **given)
        assert said in refused.message
        assert (refused.code, refused.field) == ("invalid", "value")


def test_long_value_is_not_quoted_whole(job: Job) -> None:
    assert len(refusal(job, "add", value="x" * 60_000).message) < 500


@pytest.mark.parametrize("confidence", [-0.1, 1.1, math.nan, math.inf, "high", None, True])
def test_confidence_outside_0_to_1_is_refused(job: Job, confidence: Any) -> None:
    refused = refusal(job, "add", confidence=confidence)
    assert refused.field == "confidence"
    assert refused.message.startswith("The confidence is ")


@pytest.mark.parametrize("act", ["add", "slot"])
def test_unknown_key_is_refused_with_those_that_are_known(job: Job, act: str) -> None:
    refused = refusal(job, act, key="verdikt", choice={"value": "yes"})
    assert refused.message == "The key 'verdikt' is unknown; this job has case, verdict, plan."


def test_unknown_key_is_refused_where_nothing_is_chosen_too(job: Job) -> None:
    assert "The key 'verdikt' is unknown" in refusal(job, "slot", key="verdikt").message
    for act in (undo_decision, withdraw_fact):
        with pytest.raises(Refused, match="The key 'verdikt' is unknown"):
            act(person("otto", "operator"), job.pk, "verdikt", "x", "", receipt())


@pytest.mark.parametrize("act", ["add", "slot"])
@pytest.mark.parametrize("name", ["", "x" * 501, "a\nb", "a\x00", "\ud800", None, 3])
def test_subject_that_can_be_none_is_refused(job: Job, act: str, name: Any) -> None:
    assert refusal(job, act, subject=name).field == "subject"


@pytest.mark.parametrize("choice", [{}, {"none": False}, {"side": 1}])
def test_decision_that_chooses_nothing_is_refused(job: Job, choice: dict[str, Any]) -> None:
    assert "Choose one of the candidates" in refusal(job, "decide", choice=choice).message


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("x" * 2_001, "The reason has 2,001 characters; the limit is 2,000."),
        ("a\x00", "The reason holds a NUL character; remove it."),
        ("\ud800", "The reason holds a lone surrogate, which is no Unicode text."),
    ],
)
def test_reason_out_of_bounds_is_refused(job: Job, reason: str, said: str) -> None:
    assert refusal(job, "decide", choice={"value": "yes"}, reason=reason).message == said


def test_job_that_is_not_there_is_gone() -> None:
    otto = person("otto", "operator")
    for act in (
        lambda: add_fact(otto, 987_654, "verdict", "x", "yes", 1.0, "", receipt()),
        lambda: withdraw_fact(otto, 987_654, "verdict", "x", "", receipt()),
        lambda: undo_decision(otto, 987_654, "verdict", "x", "", receipt()),
        lambda: cancel_job(otto, 987_654, "", receipt()),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert (refused.value.code, refused.value.message) == ("gone", "There is no job 987654.")


def test_undoing_what_nobody_decided_and_withdrawing_what_nobody_said_is_told(job: Job) -> None:
    otto = person("otto", "operator")
    undone = undo_decision(otto, job.pk, "verdict", "clear", "", receipt())
    taken = withdraw_fact(otto, job.pk, "verdict", "clear", "", receipt())
    before = job.digest
    run(job)
    undone.refresh_from_db()
    taken.refresh_from_db()
    assert (undone.status, taken.status) == ("refused", "refused")
    assert undone.message == "nobody decided this slot; there is nothing to undo"
    assert taken.message == "people can withdraw only what they said themselves"
    assert job.digest != before, "that it was asked is in the journal"


def test_nobody_withdraws_what_another_said(job: Job) -> None:
    add_fact(person("ida", "operator"), job.pk, "verdict", "new", "maybe", 1.0, "", receipt())
    run(job)
    row = withdraw_fact(person("otto", "operator"), job.pk, "verdict", "new", "", receipt())
    run(job)
    row.refresh_from_db()
    assert row.status == "refused"
