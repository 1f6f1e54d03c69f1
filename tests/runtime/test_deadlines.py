"""Deadlines: people are reminded, then the rule's outcome comes, once, and to that very question (D9.2)."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from runtime.actions import (
    Refused,
    add_fact,
    answer_hold,
    cancel_job,
    decide_conflict,
    decide_slot,
    undo_decision,
)
from runtime.actions.deferring import defer_conflict
from runtime.deadlines import expire_due, remind_due
from runtime.lease import database_clock
from runtime.models import Conflict, Decision, Job, Notice
from runtime.reconciler import reconcile_once
from runtime.verifying import verify_job
from tests.runtime.fixtures import Use
from tests.runtime.packs import PANEL_SEEDS, TIMED_SEEDS
from tests.runtime.stage import person, question, receipt, run, submit, tell

pytestmark = pytest.mark.django_db

PICKS = [{"key": "pick", "subject": "x", "value": n, "confidence": n / 10} for n in (1, 2)]
SPENDS = [{"key": "spend", "subject": "x", "value": 7}]


def begin(use_packs: Use, seeds: list[dict[str, Any]] = TIMED_SEEDS) -> Job:
    use_packs("timed")
    return run(submit("timed", seeds))


def let_pass(conflict: Conflict, column: str = "deadline_at") -> None:
    """The moment is over, as the database sees it."""
    Conflict.objects.filter(pk=conflict.pk).update(**{column: database_clock() - 1})


def rows_of(conflict: Conflict) -> list[Decision]:
    return list(Decision.objects.filter(conflict=conflict, act="expire"))


def lawyer() -> User:
    user = person("lena", "operator")
    user.groups.add(Group.objects.get_or_create(name="legal")[0])
    return user


def test_question_says_until_when_it_can_be_answered_and_under_which_policy(use_packs: Use) -> None:
    asked = question(begin(use_packs))
    assert (asked.rule, asked.policy) == (
        "price in time",
        {"deadline": 3600, "outcome": "strongest", "remind": 600},
    )
    assert asked.asked_at and asked.deadline_at == asked.asked_at + 3600
    assert asked.remind_at == asked.deadline_at - 600
    assert not remind_due() and not expire_due(), "it is early"


def test_people_are_reminded_once(use_packs: Use) -> None:
    asked = question(begin(use_packs))
    let_pass(asked, "remind_at")
    assert (remind_due(), remind_due()) == (1, 0)
    assert Notice.objects.get(kind="deadline").conflict == asked


def test_strongest_side_stands_after_the_deadline(use_packs: Use) -> None:
    job = begin(use_packs)
    asked = question(job)
    let_pass(asked)
    reconcile_once()
    assert run(job).status == "converged"
    asked.refresh_from_db()
    (row,) = rows_of(asked)
    assert (row.status, row.by_name, row.by) == ("applied", "@clock", None)
    assert (asked.status, asked.outcome) == ("closed", "decided")
    told = Notice.objects.get(kind="expired").text
    assert told.startswith(
        "Nobody answered in time: by the rule “price in time”, the strongest side is to stand."
    )
    verify_job(job)


def test_several_schedulers_and_rounds_expire_it_once(use_packs: Use) -> None:
    asked = question(begin(use_packs))
    let_pass(asked)
    assert (expire_due(), expire_due()) == (1, 0)
    assert len(rows_of(asked)) == 1


def test_an_open_question_stays_open_where_the_rule_says_so(use_packs: Use) -> None:
    job = begin(use_packs, PICKS)
    asked = question(job)
    let_pass(asked)
    assert (expire_due(), expire_due()) == (1, 0)
    assert not rows_of(asked)
    assert run(job).status == "waiting"
    decide_conflict(lawyer(), asked.pk, asked.version, {"value": 1}, "late, but decided", receipt())
    assert run(job).status == "converged"


def test_held_value_is_refused_after_the_deadline(use_packs: Use) -> None:
    job = begin(use_packs, SPENDS)
    asked = question(job, "hold")
    let_pass(asked)
    expire_due()
    assert run(job).status == "partial"
    asked.refresh_from_db()
    assert (asked.status, asked.outcome) == ("closed", "refused")
    verify_job(job)


def test_an_answer_that_waits_came_in_time(use_packs: Use) -> None:
    job = begin(use_packs)
    asked = question(job)
    decide_conflict(person("otto", "operator"), asked.pk, asked.version, {"value": 4}, "", receipt())
    let_pass(asked)
    assert expire_due() == 0
    assert run(job).status == "converged"
    assert Decision.objects.get(conflict=asked).act == "decide"


def test_who_answers_after_the_deadline_is_told_so(use_packs: Use) -> None:
    asked = question(begin(use_packs))
    let_pass(asked)
    expire_due()
    with pytest.raises(Refused) as refused:
        decide_conflict(person("otto", "operator"), asked.pk, asked.version, {"value": 4}, "", receipt())
    assert (refused.value.code, "deadline has passed" in refused.value.message) == ("stale", True)


def test_deadline_begins_anew_with_other_sides(use_packs: Use) -> None:
    """Trap: a leftover timer that hit what was asked after it."""
    job = begin(use_packs)
    asked = question(job)
    add_fact(person("otto", "operator"), job.pk, "price", "bread", 9, 1.0, "", receipt())
    let_pass(asked)
    expire_due()  # the clock's row comes after the fact that makes it another question
    assert run(job).status == "waiting"
    assert Decision.objects.get(act="expire").status == "stale"
    asked.refresh_from_db()
    assert (asked.status, asked.expired_at, len(asked.sides)) == ("open", None, 3)
    assert asked.deadline_at is not None and asked.deadline_at > database_clock() + 3000


def test_an_ended_job_is_left_alone(use_packs: Use) -> None:
    job = begin(use_packs)
    asked = question(job)
    let_pass(asked)
    cancel_job(person("otto", "operator"), job.pk, "", receipt())
    assert run(job).status == "cancelled"
    assert expire_due() == 0


def test_what_a_deadline_decided_a_person_undoes_and_is_asked_again(use_packs: Use) -> None:
    job = begin(use_packs)
    let_pass(question(job))
    expire_due()
    assert run(job).status == "converged"
    undo_decision(person("otto", "operator"), job.pk, "price", "bread", "", receipt())
    assert run(job).status == "waiting"
    again = question(job)
    assert again.deadline_at is not None and again.deadline_at > database_clock()


def test_only_the_rule_s_groups_decide(use_packs: Use) -> None:
    asked = question(begin(use_packs, PICKS))
    with pytest.raises(Refused) as refused:
        decide_conflict(
            person("otto", "operator"), asked.pk, asked.version, {"value": 1}, "because", receipt()
        )
    assert (refused.value.code, refused.value.message) == (
        "forbidden",
        "The rule “pick in time” asks for somebody of legal.",
    )


@pytest.mark.parametrize("act", ["decide", "undo"])
def test_slot_cannot_be_decided_round_the_rule(use_packs: Use, act: str) -> None:
    """Trap: the same decision had by another door, before anybody was asked."""
    job = begin(use_packs, PICKS[:1])
    otto = person("otto", "operator")
    slot = (otto, job.pk, "pick", "x")
    with pytest.raises(Refused) as refused:
        decide_slot(*slot, "", {"value": 2}, "why", receipt()) if act == "decide" else undo_decision(
            *slot, "why"
        )
    assert refused.value.code == "forbidden"


def test_reason_is_required_where_the_rule_says_so(use_packs: Use) -> None:
    asked = question(begin(use_packs, PICKS))
    with pytest.raises(Refused) as refused:
        decide_conflict(lawyer(), asked.pk, asked.version, {"value": 1}, "  ", receipt())
    assert (refused.value.field, refused.value.message) == (
        "reason",
        "The rule “pick in time” asks for a reason; say why.",
    )


def test_submitter_does_not_answer_a_hold_by_waiting(use_packs: Use) -> None:
    asked = question(begin(use_packs, SPENDS), "hold")
    with pytest.raises(Refused) as refused:
        answer_hold(person("otto", "operator"), asked.pk, asked.version, True, "", receipt())
    assert refused.value.code == "forbidden"


def test_a_tie_stays_open_and_is_told_so(use_packs: Use) -> None:
    tied = [{**seed, "confidence": 0.7} for seed in TIMED_SEEDS]
    asked = question(begin(use_packs, tied))
    let_pass(asked)
    assert (expire_due(), expire_due()) == (1, 0)
    assert not rows_of(asked)
    assert "it stays open" in Notice.objects.get(kind="expired").text


def test_an_answer_from_the_slot_s_page_came_in_time_too(use_packs: Use) -> None:
    job = begin(use_packs)
    asked = question(job)
    decide_slot(
        person("otto", "operator"), job.pk, "price", "bread", asked.version, {"value": 4}, "", receipt()
    )
    let_pass(asked)
    assert expire_due() == 0
    row = Decision.objects.get(conflict=asked)
    assert (row.act, row.kept) == ("decide", ["@seed"])
    with pytest.raises(Refused) as refused:
        decide_conflict(person("ida", "operator"), asked.pk, asked.version, {"value": 3}, "", receipt())
    assert refused.value.code == "stale"


def test_who_may_not_sign_does_not_put_the_value_aside(use_packs: Use) -> None:
    """Trap: the approval avoided by deciding that nothing stands."""
    job = begin(use_packs, SPENDS)
    otto = person("otto", "operator")
    with pytest.raises(Refused) as refused:
        decide_slot(otto, job.pk, "spend", "x", "", {"none": True}, "why not", receipt())
    assert refused.value.code == "forbidden"
    decide_slot(person("ida", "operator"), job.pk, "spend", "x", "", {"none": True}, "why not", receipt())
    assert run(job).holds_open == 0


def test_a_refusal_is_undone_by_somebody_who_may_answer(use_packs: Use) -> None:
    job = begin(use_packs, SPENDS)
    let_pass(question(job, "hold"))
    expire_due()
    assert run(job).status == "partial"
    with pytest.raises(Refused) as refused:
        undo_decision(person("otto", "operator"), job.pk, "spend", "x", "mine", receipt())
    assert refused.value.code == "forbidden"
    ida = person("ida", "operator")
    undo_decision(ida, job.pk, "spend", "x", "we were away", receipt())
    assert run(job).status == "waiting"
    again = question(job, "hold")
    answer_hold(ida, again.pk, again.version, True, "", receipt())
    assert run(job).status == "converged"


def test_form_sent_twice_gives_its_row_again_once_it_was_applied(use_packs: Use) -> None:
    job = begin(use_packs, PICKS)
    asked = question(job)
    form = (asked.pk, asked.version, {"value": 1}, "because", receipt())
    row = decide_conflict(lawyer(), *form)
    run(job)
    assert decide_conflict(lawyer(), *form) == row
    with pytest.raises(Refused) as refused:
        decide_conflict(lawyer(), asked.pk, asked.version, {"value": 2}, "no", receipt())
    assert refused.value.code == "stale"


def test_renamed_account_is_one_person(use_packs: Use) -> None:
    use_packs("panel")
    job = run(submit("panel", PANEL_SEEDS[:1]))
    asked, ida = question(job, "hold"), person("ida", "operator")
    answer_hold(ida, asked.pk, asked.version, True, "", receipt())
    run(job)
    ida.username = "ida-two"
    ida.save()
    tell(job, "undo", "otto", key="plan", subject="all")
    Decision.objects.filter(act="approve").update(
        version="of another time"
    )  # as if it had been asked anew since
    answer_hold(ida, asked.pk, asked.version, True, "", receipt())
    assert run(job).status == "waiting", "one person signed twice"
    somebody = person("ida", "operator")  # who has the name now
    answer_hold(somebody, asked.pk, asked.version, True, "", receipt())
    assert Decision.objects.filter(by=somebody).latest("id").by_name == f"ida (account {somebody.pk})"
    assert run(job).status == "converged"


def test_what_waits_for_others_is_put_off_by_nobody_else(use_packs: Use) -> None:
    """Trap: the question hidden from those who may answer, until the clock answers it."""
    asked = question(begin(use_packs, SPENDS), "hold")
    with pytest.raises(Refused) as refused:
        defer_conflict(person("otto", "operator"), asked.pk, asked.version, "until it changes", "", receipt())
    assert refused.value.code == "forbidden"
    put_off = defer_conflict(
        person("ida", "operator"), asked.pk, asked.version, "until it changes", "", receipt()
    )
    assert put_off.deferred_until == asked.deadline_at


def test_what_was_put_off_is_back_with_its_reminder(use_packs: Use) -> None:
    asked = question(begin(use_packs))
    put_off = defer_conflict(person("ida", "operator"), asked.pk, asked.version, 86_400, "", receipt())
    assert put_off.deferred_until == asked.remind_at
    let_pass(asked, "remind_at")
    remind_due()
    asked.refresh_from_db()
    assert asked.deferred_until is None
