"""What people are told of: written with the cycle it came about in, once, for those who are asked."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runtime import notices
from runtime.actions import add_fact, answer_hold, decide_conflict
from runtime.audience import count_unseen, kinds_for, notices_for, open_questions, still_so
from runtime.models import Conflict, Job, Notice, NoticeSetting
from runtime.notices import note_deadline, note_expired, prune_notices
from tests.runtime.fixtures import Use
from tests.runtime.packs import ECHO_SEEDS, PANEL_SEEDS
from tests.runtime.stage import person, question, receipt, run, submit, tell

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def packs(use_packs: Use) -> None:
    use_packs("panel", "echo")


HOLD = ("question", 1, "Waits for approval: plan / all")


def told(job: Job) -> list[tuple[str, int, str]]:
    return [(n.kind, n.count, n.text) for n in Notice.objects.filter(job=job).order_by("id")]


def doubtful(count: int) -> list[dict[str, Any]]:
    return [{"key": "case", "subject": f"case {n}", "value": {"doubtful": True}} for n in range(count)]


def decided(job: Job) -> Job:
    row = question(job)
    decide_conflict(person("otto", "operator"), row.pk, row.version, {"value": "yes"}, "", receipt())
    return run(job)


def converged() -> Job:
    """A job of Otto's that two others have approved."""
    job = decided(run(submit("panel", PANEL_SEEDS)))
    for name in ("olga", "omar"):
        row = question(job, "hold")
        answer_hold(person(name, "operator"), row.pk, row.version, True, "", receipt())
        job = run(job)
    assert job.status == "converged"
    return job


def test_questions_of_one_cycle_are_one_notice() -> None:
    job = run(submit("panel", doubtful(5)))
    named = "verdict / case 0, verdict / case 1, verdict / case 2 and 2 more"
    assert told(job) == [("question", 5, f"Contested: {named}"), HOLD]
    notice = Notice.objects.earliest("id")
    assert notice.conflict is None
    asked = Conflict.objects.filter(kind="conflict").values_list("pk", flat=True)
    assert sorted(notice.about) == sorted(asked)


def test_one_question_is_linked_and_told_once() -> None:
    job = run(submit("panel", PANEL_SEEDS))
    assert told(job) == [("question", 1, "Contested: verdict / doubtful"), HOLD]
    assert Notice.objects.earliest("id").conflict == question(job)
    tell(job, "add_fact", "otto", key="verdict", subject="doubtful", payload={"value": "maybe"})
    run(job)
    assert len(question(job).sides) == 3
    assert len(told(job)) == 2, "the card on the page changes; nobody is called a second time"


def test_an_approval_is_told_to_those_who_may_give_it() -> None:
    job = decided(run(submit("panel", PANEL_SEEDS)))
    hold = Notice.objects.latest("id")
    assert (hold.kind, hold.text) == ("question", "Waits for approval: plan / all")
    assert (hold.groups, hold.spares_submitter) == ("\noperator\n", True)
    assert hold in notices_for(person("olga", "operator"))
    assert hold not in notices_for(job.submitter)


def test_a_lost_tier_is_told_with_its_cause_and_an_unreached_one_is_not() -> None:
    job = converged()
    assert not Notice.objects.filter(kind="tier_lost").exists()
    add_fact(person("otto", "operator"), job.pk, "case", "new", {"doubtful": True}, 1.0, "", receipt())
    job = run(job)
    lost = Notice.objects.get(kind="tier_lost")
    assert (job.tier, lost.tier) == (0, 1)
    assert lost.text == "Tiers 1 “Judged” and 2 “Planned” of 2 are lost: verdict / new is contested"
    assert still_so(lost, ())
    # What is lost already is not lost again.
    tell(job, "add_fact", "otto", key="case", subject="newer", payload={"value": {"doubtful": True}})
    job = run(job)
    assert Notice.objects.filter(kind="tier_lost").count() == 1
    # Once it is reached again it is of no interest, and the next loss is news.
    while Conflict.objects.filter(job=job, status="open", kind="conflict").exists():
        row = Conflict.objects.filter(job=job, status="open", kind="conflict").order_by("id")[0]
        decide_conflict(person("otto", "operator"), row.pk, row.version, {"value": "no"}, "", receipt())
        job = run(job)
    assert job.tier == 1 or job.tier == 2
    lost.refresh_from_db()
    assert not still_so(lost, ())
    tell(job, "add_fact", "otto", key="case", subject="newest", payload={"value": {"doubtful": True}})
    run(job)
    assert Notice.objects.filter(kind="tier_lost").count() == 2


def test_a_tier_is_lost_although_one_above_it_was_judged_last() -> None:
    job = decided(run(submit("panel", PANEL_SEEDS)))
    row = question(job, "hold")
    answer_hold(person("olga", "operator"), row.pk, row.version, False, "", receipt())
    job = run(job)
    assert (job.tier, told(job)[-1][0]) == (1, "question")
    tell(job, "add_fact", "otto", key="case", subject="new", payload={"value": {"doubtful": True}})
    run(job)
    lost = Notice.objects.get(kind="tier_lost")
    assert lost.text == "Tier 1 “Judged” of 2 is lost: verdict / new is contested"


def test_work_on_a_higher_tier_loses_none() -> None:
    job = converged()
    before = Notice.objects.count()
    tell(job, "add_fact", "otto", key="case", subject="plain", payload={"value": {}})
    job = run(job)
    kinds = list(Notice.objects.order_by("id").values_list("kind", flat=True)[before:])
    assert kinds.count("tier_lost") == 1, "tier 2 waits for a new approval"
    assert Notice.objects.latest("id").tier == 2


def test_what_an_agent_is_about_to_rule_on_asks_nobody(use_packs: Use) -> None:
    use_packs("tests.runtime.notice_packs:umpires")
    seeds = [{"key": "ball", "subject": name, "value": name} for name in ("clear", "odd")]
    job = run(submit("umpires", seeds))
    assert Conflict.objects.filter(job=job).count() == 2
    assert told(job) == [("question", 1, "Contested: call / odd")], (
        "the umpire ruled on one, and abstained on the other"
    )


def test_people_of_other_groups_are_not_told(use_packs: Use) -> None:
    use_packs("tests.runtime.notice_packs:purse")
    job = run(submit("purse", [{"key": "wish", "subject": "boat", "value": 5}]))
    (notice,) = Notice.objects.all()
    assert notice.groups == "\nFinance\n"
    fay, olga, small, vera = (
        person(n, r)
        for n, r in (("fay", "operator"), ("olga", "operator"), ("sam", "operator"), ("vera", "viewer"))
    )
    for user, group in ((fay, "Finance"), (small, "finance"), (vera, "Finance")):
        user.groups.add(Group.objects.get_or_create(name=group)[0])
    assert [user.username for user in (fay, olga, small, vera) if notice in notices_for(user)] == ["fay"]
    User.objects.update(date_joined=timezone.now() - dt.timedelta(days=1))
    for user in (fay, olga):
        user.refresh_from_db()
    assert (count_unseen(fay, 100), count_unseen(olga, 100)) == (1, 0)
    row = question(job, "hold")
    for note in (note_deadline, note_expired):
        assert note(row, "x" * 600).groups == "\nFinance\n"
    assert [n.kind for n in notices_for(fay)] == ["expired", "deadline", "question"]
    assert not notices_for(olga).exists()


def test_each_role_is_told_what_is_for_it() -> None:
    job = converged()
    add_fact(person("otto", "operator"), job.pk, "case", "new", {"doubtful": True}, 1.0, "", receipt())
    run(job)
    assert {n.kind for n in notices_for(person("vera", "viewer"))} == {"tier_lost"}
    assert {n.kind for n in notices_for(person("ada", "admin"))} == {"question", "tier_lost"}
    assert not notices_for(person("nemo", "")).exists()
    gone = person("gus", "operator")
    gone.is_active = False
    gone.save()
    assert not notices_for(gone).exists() and kinds_for(gone) == ()


def test_what_came_before_an_account_or_was_seen_is_no_news() -> None:
    run(submit("panel", PANEL_SEEDS))
    late = person("late", "operator")
    assert notices_for(late).count() == 2
    assert count_unseen(late, 100) == 0
    olga = person("olga", "operator")
    olga.date_joined = timezone.now() - dt.timedelta(days=1)
    olga.save()
    assert (count_unseen(olga, 100), count_unseen(olga, 1)) == (2, 1)
    NoticeSetting.objects.create(user=olga, seen=Notice.objects.earliest("id").pk)
    assert count_unseen(olga, 100) == 1


def test_a_question_that_is_answered_or_put_off_waits_no_more() -> None:
    job = run(submit("panel", PANEL_SEEDS))
    notice = Notice.objects.earliest("id")
    assert set(open_questions([notice])) == {question(job).pk}
    Conflict.objects.update(deferred_until=4e9)
    assert open_questions([notice]) == {}
    Conflict.objects.update(deferred_until=1.0)
    assert still_so(notice, open_questions([notice]))
    decided(job)
    assert not still_so(notice, open_questions([notice]))


def test_more_questions_than_a_query_may_name_are_found() -> None:
    """A notice of a cycle that opened a great many, as digests read hundreds of."""
    job = run(submit("panel", PANEL_SEEDS))
    asked = question(job).pk
    many = Notice(kind="question", job=job, about=[asked, *range(1_000_000, 1_300_000)])
    assert set(open_questions([many])) == {asked}


def test_a_job_that_is_cancelled_with_its_questions_tells_nothing() -> None:
    job = submit("panel", PANEL_SEEDS)
    tell(job, "cancel", "otto")
    assert run(job).status == "cancelled"
    assert told(job) == []


def test_a_cycle_without_news_costs_no_query() -> None:
    def count(seeds: list[dict[str, Any]]) -> int:
        job = submit("echo", seeds)
        with CaptureQueriesContext(connection) as queries:
            run(job)
        assert not [q["sql"] for q in queries if "runtime_notice" in q["sql"]]
        return len(queries)

    count([dict(seed) for seed in ECHO_SEEDS])


def test_old_notices_are_deleted_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_pruned_at", None)
    monkeypatch.setattr(notices, "PRUNED_AT_ONCE", 2)
    job = run(submit("panel", PANEL_SEEDS))
    old = [Notice.objects.create(kind="expired", job=job, text="old") for _ in range(3)]
    Notice.objects.filter(pk__in=[n.pk for n in old]).update(at=timezone.now() - dt.timedelta(days=31))
    assert [prune_notices() for _ in range(3)] == [2, 1, 0]
    assert told(job) == [("question", 1, "Contested: verdict / doubtful"), HOLD]
    with CaptureQueriesContext(connection) as queries:
        prune_notices()
    assert len(queries) == 0, "once an hour"
