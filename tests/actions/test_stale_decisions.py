"""A decision is a compare-and-set on what the person saw (D9.2): nobody overrides anybody unawares."""

import threading

import pytest
from django.db import connections

from runtime.actions import Refused, answer_hold, decide_conflict, undo_decision
from runtime.models import Conflict, Decision, Entry, Job
from tests.runtime.fixtures import Use
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.stage import person, question, receipt, run, submit, tell

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(use_packs: Use) -> Job:
    use_packs("panel")
    return run(submit("panel", PANEL_SEEDS))


def decide(by: str, conflict: Conflict, value: str = "yes") -> Decision:
    found = conflict.pk, conflict.version, {"value": value}
    return decide_conflict(person(by, "operator"), *found, "", receipt())


def stale(by: str, conflict: Conflict) -> str:
    with pytest.raises(Refused) as refused:
        decide(by, conflict)
    assert refused.value.code == "stale"
    return refused.value.message


def test_second_decision_is_refused_before_the_first_is_applied(job: Job) -> None:
    conflict = question(job)
    decide("otto", conflict)
    assert stale("ida", conflict) == "otto has decided this already."
    assert Decision.objects.count() == 1


def test_second_decision_is_refused_after_the_first_is_applied(job: Job) -> None:
    conflict = question(job)
    decide("otto", conflict)
    run(job)
    assert stale("ida", conflict) == "otto has decided this already."


def test_decision_on_a_conflict_that_closed_by_itself_is_refused(job: Job) -> None:
    conflict = question(job)
    tell(job, "decide", "otto", key="verdict", subject="doubtful", payload={"value": "no"})
    run(job)
    conflict.refresh_from_db()
    assert conflict.status == "closed"
    assert stale("ida", conflict) == f"This is closed (decided) since cycle {conflict.closed_cycle}."


def test_decision_on_sides_that_have_changed_is_refused(job: Job) -> None:
    seen = question(job)
    tell(
        job,
        "add_fact",
        "ida",
        key="verdict",
        subject="doubtful",
        payload={"value": "maybe", "confidence": 0.3},
    )
    run(job)
    assert "The candidates changed while you were looking" in stale("otto", seen)
    decide("otto", question(job))
    assert run(job).conflicts_open == 0


def test_decision_that_was_overtaken_in_the_inbox_is_stale_when_it_is_applied(job: Job) -> None:
    seen = question(job)
    tell(
        job,
        "add_fact",
        "ida",
        key="verdict",
        subject="doubtful",
        payload={"value": "maybe", "confidence": 0.3},
    )
    row = decide("otto", seen)  # the fact waits in the inbox before it
    run(job)
    row.refresh_from_db()
    assert (row.status, row.applied_cycle) == ("stale", job.cycle)
    assert row.message == "the candidates changed since this was decided; nothing was done"
    assert question(job).version != seen.version


def test_conflict_can_be_decided_anew_once_the_decision_is_undone(job: Job) -> None:
    decide("otto", question(job))
    undo_decision(person("otto", "operator"), job.pk, "verdict", "doubtful", "", receipt())
    run(job)  # both at once: the conflict never closed
    decide("ida", question(job), "no")
    run(job)
    assert Entry.objects.filter(job=job, kind="inbox", body__contains='"result":"applied"').count() == 3
    undo_decision(person("ida", "operator"), job.pk, "verdict", "doubtful", "", receipt())
    run(job)
    decide("otto", question(job))
    assert run(job).conflicts_open == 0


def test_hold_is_no_conflict_and_a_conflict_no_hold(job: Job) -> None:
    conflict = question(job)
    with pytest.raises(Refused, match="This is a conflict to decide, not a value to approve"):
        answer_hold(person("ida", "operator"), conflict.pk, conflict.version, True, "", receipt())
    decide("otto", conflict)
    run(job)
    hold = question(job, "hold")
    with pytest.raises(Refused, match="This waits for an approval, not for a choice between sides"):
        decide_conflict(person("ida", "operator"), hold.pk, hold.version, {"value": 1}, "", receipt())


def test_conflict_that_is_not_there_is_gone() -> None:
    with pytest.raises(Refused) as refused:
        decide_conflict(person("otto", "operator"), 987_654, "", {"none": True}, "", receipt())
    assert refused.value.code == "gone"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_at_the_same_moment_one_is_refused(job: Job, empty_queue: object) -> None:
    conflict = question(job)
    people = [person(f"operator-{n}", "operator") for n in range(4)]
    together, said = threading.Barrier(len(people)), []

    def act(number: int) -> None:
        try:
            together.wait()
            found = conflict.pk, conflict.version, {"value": "yes" if number % 2 else "no"}
            said.append(decide_conflict(people[number], *found, "", f"at-once-{number}").status)
        except Refused as refused:
            said.append(refused.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=act, args=(n,)) for n in range(len(people))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["pending", "stale", "stale", "stale"]


def test_a_value_nested_too_deep_to_be_read_is_refused_at_its_field(job: Job) -> None:
    conflict = question(job)
    deep: list[object] = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(Refused) as refused:
        decide_conflict(
            person("otto", "operator"), conflict.pk, conflict.version, {"value": deep}, "", receipt()
        )
    assert refused.value.field == "value"
    assert Decision.objects.count() == 0
