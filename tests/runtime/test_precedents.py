"""What people decided alike so many times in a row is proposed as a rule; what was undone or differs is not."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runtime.actions import Refused, decide_conflict, undo_decision
from runtime.actions.bulk import decide_alike
from runtime.actions.learning import learn_rule, read_learned, rules_about
from runtime.actions.rules import activate_rule, retire_rule
from runtime.models import Conflict, Decision, GovernanceRule, Job, RuleState, RuleVersion
from runtime.precedents import Precedent, find_precedents
from tests.runtime.fixtures import Use
from tests.runtime.stage import person, receipt, run, submit, tell

pytestmark = pytest.mark.django_db

SOON = dt.timedelta(days=30)


@pytest.fixture
def job(use_packs: Use, settings: Any) -> Job:
    """Seven questions of one shape: lenient says yes, strict says no."""
    settings.CONVERGE_PRECEDENTS_AFTER = 3
    use_packs("panel")
    seeds = [{"key": "case", "subject": f"case {n}", "value": {"doubtful": True}} for n in range(7)]
    return run(submit("panel", seeds))


def decide(job: Job, value: Any, by: str = "otto") -> Decision:
    """Decides the next open question."""
    conflict = Conflict.objects.filter(job=job, status="open", kind="conflict").order_by("id")[0]
    choice = {"none": True} if value is None else {"value": value}
    row = decide_conflict(person(by, "operator"), conflict.pk, conflict.version, choice, "", receipt())
    run(job)
    row.refresh_from_db()
    assert row.status == "applied"
    return row


def undo(row: Decision) -> None:
    undo_decision(person("ada", "operator"), row.job_id, row.key, row.subject, "", receipt())
    run(Job.objects.get(pk=row.job_id))


def the_one() -> Precedent:
    (found,) = find_precedents()
    return found


def learn(row: Decision, name: str = "strict wins", **more: Any) -> GovernanceRule:
    assert row.conflict_id is not None
    expires_at = timezone.now() + SOON
    by = person("otto", "operator")
    return learn_rule(by, row.conflict_id, name=name, expires_at=expires_at, reason="always so", **more)


def test_so_many_decisions_alike_in_a_row_are_a_precedent(job: Job) -> None:
    rows = [decide(job, "no", by) for by in ("otto", "ada")]
    assert find_precedents() == []
    rows.append(decide(job, "no", "otto"))
    found = the_one()
    assert (found.times, found.people, found.kept) == (3, ("otto", "ada"), ("strict",))
    assert found.decisions == tuple(row.pk for row in reversed(rows))
    assert found.conflict.pk == rows[-1].conflict_id
    rows.append(decide(job, "no", "ida"))
    assert (the_one().times, the_one().people) == (4, ("ida", "otto", "ada"))


def test_a_different_decision_breaks_the_streak(job: Job) -> None:
    for value in ("no", "no", "no", "yes"):
        decide(job, value)
    assert find_precedents() == []
    for _ in range(3):
        decide(job, "yes")
    assert (the_one().times, the_one().kept) == (4, ("lenient",))


@pytest.mark.parametrize("value", [None, "maybe"])
def test_so_does_one_that_kept_no_side(job: Job, value: Any) -> None:
    for each in ("no", "no", "no", value, "no", "no"):
        decide(job, each)
    assert find_precedents() == []


def test_what_was_undone_does_not_count(job: Job) -> None:
    rows = [decide(job, "no") for _ in range(3)]
    assert the_one().times == 3
    undo(rows[1])
    assert find_precedents() == []
    decide(job, "no")  # the one that was undone is open again, and the oldest
    assert the_one().times == 3


def test_an_undone_different_decision_breaks_no_streak(job: Job) -> None:
    decide(job, "no")
    decide(job, "no")
    wrong = decide(job, "yes")
    undo(wrong)
    decide(job, "no")
    assert the_one().times == 3


def test_what_was_decided_anew_past_the_question_does_not_count(job: Job) -> None:
    row, *_ = [decide(job, "no") for _ in range(3)]
    tell(job, "decide", "ada", key=row.key, subject=row.subject, payload={"value": "yes"})
    run(job)
    assert find_precedents() == []


def test_one_form_is_one_time_however_many_questions_it_decides(job: Job) -> None:
    first, *others = Conflict.objects.filter(job=job, status="open", kind="conflict").order_by("id")[:4]
    likes = [(other.pk, other.version) for other in others]
    decide_alike(person("otto", "operator"), first.pk, first.version, {"value": "no"}, likes, "", receipt())
    run(job)
    assert Decision.objects.filter(status="applied").count() == 4
    assert find_precedents() == []
    decide(job, "no", "ada")
    assert find_precedents() == []
    last = decide(job, "no", "ada")
    found = the_one()
    assert (found.times, found.questions, found.people) == (3, 6, ("ada", "otto"))
    assert found.decisions == tuple(Decision.objects.order_by("-id").values_list("pk", flat=True))
    undo(last)
    assert find_precedents() == []


def test_a_form_that_kept_different_sides_breaks_a_streak(job: Job) -> None:
    rows = [decide(job, "no") for _ in range(5)]
    Decision.objects.filter(pk__in=[row.pk for row in rows[3:]]).update(batch="one form")
    assert (the_one().times, the_one().questions) == (4, 5)
    Decision.objects.filter(pk=rows[3].pk).update(kept=["lenient"])
    assert find_precedents() == []


def test_what_is_sent_or_refused_does_not_count(job: Job) -> None:
    rows = [decide(job, "no") for _ in range(3)]
    for status in ("pending", "refused", "stale"):
        Decision.objects.filter(pk=rows[0].pk).update(status=status)
        assert find_precedents() == []


def test_the_clock_sets_no_precedent(job: Job) -> None:
    rows = [decide(job, "no") for _ in range(3)]
    Decision.objects.filter(pk=rows[2].pk).update(act="expire", by=None, by_name="@clock")
    assert find_precedents() == []


def test_zero_proposes_never_and_one_at_once(job: Job, settings: Any) -> None:
    settings.CONVERGE_PRECEDENTS_AFTER = 0
    for _ in range(4):
        decide(job, "no")
    assert find_precedents() == []
    settings.CONVERGE_PRECEDENTS_AFTER = 1
    assert the_one().times == 4


def test_it_may_be_asked_of_one_pack_or_shape(job: Job) -> None:
    for _ in range(3):
        decide(job, "no")
    assert find_precedents(job.pack_id) == find_precedents(shape=the_one().shape) == [the_one()]
    assert find_precedents(job.pack_id + 1) == find_precedents(shape="another") == []


def test_a_draft_or_an_active_rule_of_the_shape_ends_it_until_that_expires(job: Job) -> None:
    row = [decide(job, "no") for _ in range(3)][-1]
    rule = learn(row)
    assert rule.shape == the_shape(row)
    assert find_precedents() == []
    rule.state = RuleState.ACTIVE
    rule.save()
    assert find_precedents() == []
    rule.expires_at = timezone.now() - dt.timedelta(seconds=1)
    rule.save()
    assert the_one().times == 3


def test_a_rule_of_one_subject_keeps_nothing_from_being_proposed(job: Job) -> None:
    rows = [decide(job, "no") for _ in range(3)]
    rule = learn(rows[0], only_subject=True)
    assert the_one().times == 3
    first, second = (row.conflict for row in rows[:2])
    assert first is not None and second is not None
    assert rules_about(first) == [rule], "its own question tells of it"
    assert rules_about(second) == []
    activate_rule(person("ada", "admin"), rule.pk, "tried", version=rule.version)
    assert the_one().times == 3


def test_a_draft_that_nobody_works_on_any_more_keeps_nothing_from_being_proposed(job: Job) -> None:
    rows = [decide(job, "no") for _ in range(3)]
    rule = learn(rows[0])
    GovernanceRule.objects.update(expires_at=timezone.now() + dt.timedelta(days=300))
    assert find_precedents() == []
    RuleVersion.objects.filter(rule=rule).update(at=timezone.now() - dt.timedelta(days=29))
    assert find_precedents() == []
    RuleVersion.objects.filter(rule=rule).update(at=timezone.now() - dt.timedelta(days=31))
    assert the_one().times == 3
    GovernanceRule.objects.update(state=RuleState.ACTIVE)
    assert find_precedents() == [], "an active one is about it however old"


def test_what_led_to_a_rule_that_was_retired_is_not_proposed_again(job: Job) -> None:
    row = [decide(job, "no") for _ in range(3)][-1]
    ada, rule = person("ada", "admin"), learn(row)
    activate_rule(ada, rule.pk, "tried", version=rule.version)
    rule.refresh_from_db()
    retire_rule(ada, rule.pk, "wrong after all", version=rule.version)
    decide(job, "no")
    assert find_precedents() == []
    decide(job, "no")
    decide(job, "no")
    assert the_one().times == 3


def test_what_no_rule_can_say_is_not_proposed(job: Job) -> None:
    for _ in range(3):
        decide(job, "no")
    Decision.objects.update(kept=["@person"])
    Conflict.objects.update(
        sides=[{"value": "no", "speakers": ["@person"]}, {"value": "yes", "speakers": ["lenient"]}]
    )
    assert find_precedents() == []


def test_it_costs_the_same_few_queries_whatever_was_decided(job: Job) -> None:
    for _ in range(6):
        decide(job, "no")
    with CaptureQueriesContext(connection) as queries:
        assert the_one().times == 6
    assert len(queries) <= 6, [query["sql"][:100] for query in queries]


def the_shape(row: Decision) -> str:
    assert row.conflict is not None
    return row.conflict.shape


# ---- a decision as a rule


def test_the_draft_says_who_wins_where_and_until_when(job: Job) -> None:
    row = decide(job, "no")
    learned = read_learned(row.conflict_id or 0)
    assert learned.settings["params"] == {"agents": ["strict"]}
    assert learned.settings["keys"] == ["verdict"]
    assert learned.after == ("people decide",)
    rule = learn(row)
    assert (rule.state, rule.kind, rule.learned_from_id) == ("draft", "dominance", row.conflict_id)
    asked = GovernanceRule.objects.get(name="people decide")
    assert (rule.priority, rule.before) == (asked.priority, asked)
    assert rule.expires_at is not None
    assert rule.expires_at < timezone.now() + SOON
    assert [(test.by_name, test.jobs_total) for test in rule.backtests.all()] == [("otto", 1)]


def test_once_active_it_settles_the_next_job_and_no_other_kind_of_question(job: Job) -> None:
    rule = learn(decide(job, "no"))
    seeds = [{"key": "case", "subject": "next", "value": {"doubtful": True}}]
    assert run(submit("panel", seeds)).conflicts_open == 1
    activate_rule(person("ada", "admin"), rule.pk, "looks right", version=rule.version)
    after = run(submit("panel", seeds))
    assert after.conflicts_open == 0
    tell(after, "add_fact", "ida", key="verdict", subject="next", payload={"value": "maybe"})
    assert run(after).conflicts_open == 1


def test_of_one_subject_it_settles_that_alone(job: Job) -> None:
    row = decide(job, "no")
    rule = learn(row, only_subject=True)
    activate_rule(person("ada", "admin"), rule.pk, "looks right", version=rule.version)
    seeds = [{"key": "case", "subject": name, "value": {"doubtful": True}} for name in (row.subject, "other")]
    after = run(submit("panel", seeds))
    assert [c.subject for c in Conflict.objects.filter(job=after, kind="conflict")] == ["other"]


def test_the_same_form_again_is_the_same_draft(job: Job) -> None:
    row = decide(job, "no")
    assert learn(row).pk == learn(row).pk
    with pytest.raises(Refused, match="already; give this one another name"):
        learn(decide(job, "no"))


def test_no_rule_is_made_of_a_decision_that_was_undone_or_made_anew(job: Job) -> None:
    undone, anew, kept = (decide(job, "no") for _ in range(3))
    undo(undone)
    tell(job, "decide", "ida", key=anew.key, subject=anew.subject, payload={"value": "yes"})
    for row, said in ((undone, "undone by ada"), (anew, "decided anew by ida")):
        with pytest.raises(Refused, match=said):
            learn(row)
    assert not GovernanceRule.objects.filter(state="draft").exists()
    tell(job, "undo", "ida", key=kept.key, subject=kept.subject, version="0000")
    run(job)
    assert learn(kept).state == "draft", "an undo that was stale undid nothing"


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "otto rejected all. No side was kept"), ("maybe", "otto gave another value. No side was kept")],
)
def test_what_no_rule_can_say_is_refused_in_words(job: Job, value: Any, said: str) -> None:
    with pytest.raises(Refused, match=said):
        learn(decide(job, value))


def test_an_undecided_question_and_an_approval_are_no_precedent(job: Job) -> None:
    conflict = Conflict.objects.filter(status="open")[0]
    with pytest.raises(Refused, match="Nobody has decided this"):
        read_learned(conflict.pk)
    Conflict.objects.filter(pk=conflict.pk).update(kind="hold")
    with pytest.raises(Refused, match="An approval is of one value"):
        read_learned(conflict.pk)


def test_it_ends_within_a_year_and_says_why(job: Job) -> None:
    row = decide(job, "no")
    late = timezone.now() + dt.timedelta(days=367)
    for expires_at, reason, field in ((late, "so", "expires_at"), (timezone.now() + SOON, " ", "reason")):
        with pytest.raises(Refused) as refused:
            learn_rule(
                person("otto", "operator"),
                row.conflict_id or 0,
                name="strict wins",
                expires_at=expires_at,
                reason=reason,
            )
        assert refused.value.field == field
    with pytest.raises(Refused) as refused:
        learn_rule(
            person("vera", "viewer"),
            row.conflict_id or 0,
            name="strict wins",
            expires_at=timezone.now() + SOON,
            reason="so",
        )
    assert refused.value.code == "forbidden"
    assert not GovernanceRule.objects.filter(state="draft").exists()
