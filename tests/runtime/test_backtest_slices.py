"""A backtest at work: slices through the real queue, and whatever can happen to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models.expressions import RawSQL
from redis import Redis

from runtime import backtesting, queue
from runtime.actions import Refused, decide_conflict
from runtime.actions.backtests import cancel_backtest, jobs_to_try, start_backtest
from runtime.agents import Pack, propose
from runtime.engine import Fact, Proposal, View
from runtime.lease import clock_sql
from runtime.models import (
    AuditRecord,
    Backtest,
    BacktestFlip,
    Conflict,
    Entry,
    GovernanceRule,
    Job,
    RuleState,
)
from runtime.queue import enqueue_backtest, enqueue_job, read_queued_backtests, read_queued_ids
from runtime.reconciler import reconcile_once
from tests.runtime.copied_jobs import copy_job
from tests.runtime.fixtures import Use
from tests.runtime.stage import person, receipt, run, submit

pytestmark = pytest.mark.django_db(transaction=True)

# `market`: sources name prices and disagree; a quote is made of what stands.
market = Pack("market", tiers=["Quoted"], answer=["quote"])
market.key("price", schema={"type": "number"}, seed=True)
market.key("note", seed=True)
market.key("quote", schema={"type": "number"})
market.confidence("far ahead", keys=["price"], margin=0.4)


@market.each("price", writes=["quote"])
def quote(price: Fact, view: View) -> Proposal:
    """A tenth on top."""
    return propose("quote", price.subject, price.value * 1.1)


Said = dict[str, tuple[float, float]]  # by source: value and confidence
PLAIN: Said = {"register": (10, 0.9), "web": (10, 0.5)}
DISPUTED: Said = {"register": (10, 0.6), "web": (12, 0.7)}
OVERRULED: Said = {"register": (10, 0.5), "web": (12, 0.95)}
ELSEWHERE: Said = {"blog": (10, 0.5), "web": (12, 0.6)}


@pytest.fixture(autouse=True)
def packs(use_packs: Use, empty_queue: Redis) -> None:
    use_packs(f"{__name__}:market")


def prices(said: Said, subject: str = "tea") -> list[dict[str, Any]]:
    return [
        {
            "key": "price",
            "subject": subject,
            "value": value,
            "confidence": conf,
            "evidence": {"source": source},
        }
        for source, (value, conf) in said.items()
    ]


def job_of(said: Said, subject: str = "tea") -> Job:
    return run(submit("market", prices(said, subject)))


def decided(choice: float) -> Job:
    job = job_of(DISPUTED)
    conflict = Conflict.objects.get(job=job)
    decide_conflict(
        person("ivy", "operator"), conflict.pk, conflict.version, {"value": choice}, "", receipt()
    )
    return run(job)


def draft(kind: str = "dominance", **settings: Any) -> GovernanceRule:
    said = {"keys": ["price"], "priority": 10, "params": {"sources": ["register"]}, **settings}
    pack = GovernanceRule.objects.get(name="far ahead").pack
    return GovernanceRule.objects.create(
        pack=pack, name="register first", kind=kind, state=RuleState.DRAFT, origin="admin", position=9, **said
    )


def start(rule: GovernanceRule | None = None, **more: Any) -> Backtest:
    return start_backtest(person("otto", "operator"), (rule or draft()).pk, receipt=receipt(), **more)


def finish(backtest: Backtest) -> Backtest:
    queue.work(burst=True)
    backtest.refresh_from_db()
    return backtest


def found(backtest: Backtest) -> list[tuple[int, str, str]]:
    return sorted(BacktestFlip.objects.filter(backtest=backtest).values_list("job_id", "kind", "turn"))


def let_time_pass(backtest: Backtest, seconds: float = 20) -> None:
    at = RawSQL(f"{clock_sql()} - %s", (seconds,))
    Backtest.objects.filter(pk=backtest.pk).update(touched_at=at)


def test_five_hundred_jobs_are_gone_through_and_exactly_what_was_planted_is_named() -> None:
    for said in (PLAIN, ELSEWHERE, {"web": (12, 0.9)}, {"register": (9, 0.2)}):
        copy_job(job_of(said), 119)
    planted: dict[int, tuple[str, str]] = {}
    for number in range(4):
        planted[job_of(DISPUTED, f"tea {number}").pk] = ("merge", "settled")
        planted[job_of(OVERRULED, f"tea {number}").pk] = ("merge", "another")
    source = job_of(DISPUTED)
    planted |= dict.fromkeys([source.pk, *copy_job(source, 8)], ("merge", "settled"))
    for choice, turn in ((10, "same"), (12, "otherwise"), (13, "otherwise")):
        planted[decided(choice).pk] = ("decision", turn)
    backtest = finish(start())
    assert (backtest.status, backtest.jobs_done, backtest.jobs_total) == ("done", 500, 500)
    assert found(backtest) == sorted((pk, *kind) for pk, kind in planted.items())
    assert backtest.counts == Counter(f"{kind}.{turn}" for kind, turn in planted.values())
    assert (backtest.flips, backtest.jobs_flipped, backtest.skipped) == (20, 20, 0)
    assert backtest.lasting == 19, "all but the one that people decided the same"
    assert backtest.finished_at is not None and backtest.seconds > 0


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch, empty_queue: Redis) -> list[Job]:
    """Three jobs, each of which would be different; a slice takes one of them."""
    monkeypatch.setattr(backtesting, "SLICE_SECONDS", 0.0)
    jobs = [job_of(DISPUTED), job_of(OVERRULED), decided(10)]
    empty_queue.flushall()
    return jobs


WHOLE = [("merge", "settled"), ("merge", "another"), ("decision", "same")]


def assert_whole(backtest: Backtest, jobs: list[Job]) -> None:
    """Everything was found, and once."""
    assert (backtest.status, backtest.jobs_done, backtest.flips) == ("done", 3, 3)
    assert found(backtest) == sorted((job.pk, *kind) for job, kind in zip(jobs, WHOLE, strict=True))


def test_each_slice_is_a_message_of_its_own_and_says_how_far_it_is(three: list[Job]) -> None:
    backtest = start()
    seen = []
    for _ in three:
        seen.append(backtesting.run_slice(backtest.pk))
        backtest.refresh_from_db()
        seen.append((backtest.jobs_done, backtest.cursor))
    assert seen == ["queued", (1, three[2].pk), "queued", (2, three[1].pk), "done", (3, three[0].pk)]
    assert_whole(backtest, three)


def test_flips_name_what_stood_and_the_question_that_was_asked(three: list[Job]) -> None:
    backtest = finish(start())
    settled, other, same = (BacktestFlip.objects.get(backtest=backtest, job=job) for job in three)
    assert settled.conflict == Conflict.objects.get(job=three[0])
    assert (other.conflict, other.before["value"], other.after["value"]) == (None, 12, 10)
    assert same.conflict == Conflict.objects.get(job=three[2])
    assert (same.before["by"], same.before["value"], same.after["value"]) == ("ivy", 10, 10)
    assert {flip.cycle for flip in (settled, other, same)} == {1}


def test_doubled_messages_find_nothing_twice(three: list[Job]) -> None:
    backtest = start()
    for _ in range(4):
        enqueue_backtest(backtest.pk)
    assert_whole(finish(backtest), three)
    enqueue_backtest(backtest.pk)
    assert_whole(finish(backtest), three)


def test_doubled_messages_do_not_multiply(three: list[Job], empty_queue: Redis) -> None:
    backtest = start()
    enqueue_backtest(backtest.pk)
    backtesting.run_slice(backtest.pk)
    assert empty_queue.llen("rq:queue:converge") == 2


def test_a_lost_message_is_sent_again_when_it_was_silent_for_a_while(
    three: list[Job], empty_queue: Redis
) -> None:
    backtest = start()
    empty_queue.flushall()
    reconcile_once()
    assert read_queued_backtests() == frozenset()
    let_time_pass(backtest)
    reconcile_once()
    reconcile_once()
    assert empty_queue.llen("rq:queue:converge") == 1
    assert_whole(finish(backtest), three)


def test_a_worker_killed_in_a_slice_loses_that_slice_alone(
    three: list[Job], empty_queue: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    backtest = start()
    backtesting.run_slice(backtest.pk)
    empty_queue.flushall()
    with monkeypatch.context() as patched:
        patched.setattr(backtesting, "_write", raise_exit)
        with pytest.raises(SystemExit):
            backtesting.run_slice(backtest.pk)
    assert backtesting.run_slice(backtest.pk) == "", "somebody seems to be at it"
    reconcile_once()
    assert read_queued_backtests() == frozenset()
    let_time_pass(backtest)
    reconcile_once()
    assert_whole(finish(backtest), three)


def raise_exit(*args: object) -> None:
    raise SystemExit(9)


def test_a_worker_that_comes_back_after_it_was_given_up_writes_nothing(
    three: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    backtest = start()
    work = backtesting.work

    def pause(taken: Backtest, until: float) -> backtesting.Slice:
        monkeypatch.setattr(backtesting, "work", work)
        done = work(taken, until)
        let_time_pass(taken)
        assert backtesting.run_slice(taken.pk) == "queued"  # somebody else goes on meanwhile
        return done

    monkeypatch.setattr(backtesting, "work", pause)
    assert backtesting.run_slice(backtest.pk) == ""
    backtest.refresh_from_db()
    assert (backtest.jobs_done, BacktestFlip.objects.count()) == (1, 1)
    assert_whole(finish(backtest), three)


def test_of_two_at_the_same_slice_the_one_that_was_given_up_writes_nothing(three: list[Job]) -> None:
    backtest = start()
    slow = backtesting._claim(backtest.pk)
    assert slow is not None and backtesting._claim(backtest.pk) is None
    let_time_pass(backtest)
    quick = backtesting._claim(backtest.pk)
    assert quick is not None
    found = backtesting.work(slow, 0.0)
    assert backtesting._write(slow, found, "queued", 0.0) == ""
    assert BacktestFlip.objects.count() == 0
    assert backtesting._write(quick, found, "queued", 0.0) == "queued"
    assert_whole(finish(backtest), three)


def test_what_takes_its_worker_down_again_and_again_is_ended(
    three: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    backtest = start()
    monkeypatch.setattr(backtesting, "work", raise_exit)
    for _ in range(backtesting.MOST_TRIES):
        with pytest.raises(SystemExit):
            backtesting.run_slice(backtest.pk)
        let_time_pass(backtest)
    assert backtesting.run_slice(backtest.pk) == "failed"
    backtest.refresh_from_db()
    assert "5 workers died of it after it had begun" in backtest.message
    assert backtesting.run_slice(backtest.pk) == ""
    let_time_pass(backtest)
    assert backtesting.repair_backtests() == 0


def test_a_job_that_comes_later_does_not_wait_for_the_end(three: list[Job]) -> None:
    backtest = start()
    job = submit("market", prices(PLAIN))
    finish(backtest)
    job.refresh_from_db()
    assert backtest.finished_at and job.settled_at and job.settled_at < backtest.finished_at
    assert backtest.jobs_total == 3


def test_messages_about_backtests_are_not_taken_for_jobs(three: list[Job]) -> None:
    backtest = start()
    enqueue_job(three[0].pk)
    assert read_queued_ids() == {str(three[0].pk)}
    assert read_queued_backtests() == {backtest.pk}
    # A job with the number of a backtest is due, and only the backtest's message is in the queue.
    twin = Job.objects.get(pk=three[0].pk)
    twin.pk, twin.status, twin.submit_key = backtest.pk, "queued", None
    twin.save(force_insert=True)
    assert reconcile_once() == 1
    assert str(backtest.pk) in (read_queued_ids() or ())


def test_it_is_seen_what_a_worker_is_at(three: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[queue.QueueState] = []
    monkeypatch.setattr(backtesting, "run_slice", lambda at: seen.append(queue.queue_state()))
    backtest = start()
    queue.work(burst=True)
    (worker,) = seen[0].workers
    assert (worker.job_id, worker.backtest_id) == (None, backtest.pk)


# Jobs that cannot be compared


def test_jobs_that_cannot_be_compared_are_counted_with_the_reason(three: list[Job]) -> None:
    rule = draft(params={"agents": ["quote"]})
    Entry.objects.filter(job=three[0], seq=1).update(body='{"kind":"nothing"}')
    Job.objects.filter(pk=three[1].pk).update(entries=60_000)
    backtest = start(rule)
    Job.objects.filter(pk=three[2].pk).update(pack=GovernanceRule.objects.get(name="far ahead").pack)
    done = finish(backtest)
    assert (done.status, done.jobs_done, done.skipped) == ("done", 3, 2)
    assert done.reasons == {
        "its record cannot be merged again": 1,
        "it has more than 50,000 entries": 1,
    }


def test_jobs_whose_pack_lacks_the_key_or_the_agent_are_skipped(three: list[Job]) -> None:
    GovernanceRule.objects.filter(name="far ahead").first()
    pack = three[0].pack
    pack.keys = [*pack.keys, {"name": "weight"}]
    pack.save()
    for settings, why in (
        (
            {"keys": ["weight"]},
            "rule `register first` is about the key `weight`, which the pack does not declare",
        ),
        ({"params": {"agents": ["newcomer"]}}, "its pack had no agent `newcomer`"),
    ):
        GovernanceRule.objects.filter(name="register first").delete()
        done = finish(start(draft(**settings)))
        assert (done.status, done.skipped, done.reasons, done.flips) == ("done", 3, {why: 3}, 0)


def test_jobs_about_whose_keys_nothing_was_said_are_not_merged_again(
    three: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = run(submit("market", [{"key": "note", "subject": "tea", "value": "nice"}]))
    merged: list[int] = []
    monkeypatch.setattr(backtesting, "compare", noting(merged, backtesting.compare))
    done = finish(start())
    assert (done.jobs_done, done.skipped, len(merged)) == (4, 0, 3)
    assert quiet.entries and done.flips == 3


def noting(merged: list[int], compare: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        merged.append(1)
        return compare(*args)

    return call


def test_a_constraint_is_tried_on_what_never_showed() -> None:
    """What loses shows nothing, and would be refused all the same."""
    job = job_of(OVERRULED)
    done = finish(start(draft("constraint", params={}, expression="value > 11")))
    assert found(done) == [(job.pk, "refusal", "refused")]


def test_a_discount_is_done_at_once_and_changes_nothing(
    three: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    merged: list[int] = []
    monkeypatch.setattr(backtesting, "compare", noting(merged, backtesting.compare))
    done = finish(start(draft("discount", params={"incomplete": 0.5})))
    assert (done.status, done.jobs_done, done.flips, merged) == ("done", 3, 0, [])


def test_only_so_many_flips_are_kept_and_all_are_counted(
    three: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtesting, "MOST_KEPT", 2)
    done = finish(start())
    assert (done.flips, BacktestFlip.objects.filter(backtest=done).count()) == (3, 2)
    assert Counter(done.counts).total() == 3


# Starting and breaking off


def test_an_active_rule_is_tried_by_taking_it_away(three: list[Job]) -> None:
    done = finish(start(GovernanceRule.objects.get(name="far ahead")))
    assert found(done) == [(three[1].pk, "merge", "asked")]


def test_a_draft_stands_in_for_what_it_replaces_and_a_retired_rule_comes_back(three: list[Job]) -> None:
    old = GovernanceRule.objects.get(name="far ahead")
    rule = draft("confidence", params={"margin": 0.5}, priority=100, replaces=old)
    assert found(finish(start(rule))) == [(three[1].pk, "merge", "asked")]
    rule.state = RuleState.RETIRED
    rule.save()
    assert found(finish(start(rule))) == []  # beside the one that it had replaced


def test_only_newest_settled_jobs_with_a_record_are_tried(three: list[Job]) -> None:
    submit("market", prices(PLAIN))
    pack = three[0].pack
    assert jobs_to_try(pack, 500) == [job.pk for job in reversed(three)]
    assert start(most_jobs=2).jobs == [three[2].pk, three[1].pk]


def test_the_change_is_frozen_when_it_begins(three: list[Job]) -> None:
    rule = draft()
    backtest = start(rule)
    GovernanceRule.objects.filter(pk=rule.pk).update(params={"sources": ["nobody"]}, state="active")
    assert_whole(finish(backtest), three)


def test_one_under_way_of_the_same_version_is_given_instead_of_another(three: list[Job]) -> None:
    rule, otto, ada = draft(), person("otto", "operator"), person("ada", "admin")
    first = start_backtest(otto, rule.pk, receipt="a")
    assert start_backtest(otto, rule.pk, receipt="b") == first
    assert start_backtest(ada, rule.pk) == first
    GovernanceRule.objects.filter(pk=rule.pk).update(version=2)
    second = start_backtest(otto, rule.pk, receipt="c")
    assert second != first and second.rule_version == 2
    queue.work(burst=True)
    assert start_backtest(otto, rule.pk, receipt="c") == second, "a repeated POST"
    assert start_backtest(otto, rule.pk, receipt="d") != second
    assert AuditRecord.objects.filter(act="backtest").count() == 3


def test_what_cannot_begin_is_refused_in_words(three: list[Job]) -> None:
    rule, otto = draft(), person("otto", "operator")
    for user, at, more, code, words in (
        (
            person("vera", "viewer"),
            rule.pk,
            {},
            "forbidden",
            "Trying a rule on past jobs needs the role operator",
        ),
        (otto, 987_654, {}, "gone", "This rule is not there any more"),
        (otto, rule.pk, {"most_jobs": 0}, "invalid", "Choose from 1 to 5,000 jobs"),
        (otto, rule.pk, {"receipt": "x" * 101}, "invalid", "The form has no receipt"),
    ):
        with pytest.raises(Refused, match=words) as refused:
            start_backtest(user, at, **more)  # type: ignore[arg-type]
        assert refused.value.code == code
    Job.objects.all().update(status="running")
    with pytest.raises(Refused, match="No job of the pack market has been run yet"):
        start_backtest(otto, rule.pk)
    assert not Backtest.objects.exists() and not AuditRecord.objects.filter(act="backtest").exists()


def test_a_receipt_of_another_rules_form_is_refused(three: list[Job]) -> None:
    otto = person("otto", "operator")
    start_backtest(otto, draft().pk, receipt="mine")
    with pytest.raises(Refused) as refused:
        start_backtest(otto, GovernanceRule.objects.get(name="far ahead").pk, receipt="mine")
    assert refused.value.code == "stale"


def test_what_is_broken_off_stays_as_far_as_it_came(three: list[Job]) -> None:
    backtest = start()
    backtesting.run_slice(backtest.pk)
    with pytest.raises(Refused, match="needs the role operator"):
        cancel_backtest(person("vera", "viewer"), backtest.pk)
    cancelled = cancel_backtest(person("ivy", "operator"), backtest.pk)
    assert cancel_backtest(person("ivy", "operator"), backtest.pk) == cancelled, "a double click"
    done = finish(backtest)
    assert (done.status, done.jobs_done, done.flips) == ("cancelled", 1, 1)
    assert done.message == "ivy broke it off." and done.finished_at is not None
    assert AuditRecord.objects.filter(act="cancel_backtest").count() == 1


def test_a_slice_under_way_writes_nothing_after_the_cancel(
    three: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    backtest = start()
    work = backtesting.work

    def cancel_meanwhile(taken: Backtest, until: float) -> backtesting.Slice:
        cancel_backtest(person("ivy", "operator"), taken.pk)
        return work(taken, until)

    monkeypatch.setattr(backtesting, "work", cancel_meanwhile)
    assert backtesting.run_slice(backtest.pk) == ""
    done = finish(backtest)
    assert (done.status, done.jobs_done, done.flips, BacktestFlip.objects.count()) == ("cancelled", 0, 0, 0)


def test_what_has_ended_cannot_be_broken_off(three: list[Job]) -> None:
    backtest = finish(start())
    with pytest.raises(Refused, match=r"has ended already \(done\)") as refused:
        cancel_backtest(person("otto", "operator"), backtest.pk)
    assert refused.value.code == "gone"


def test_a_backtest_whose_rule_is_deleted_ends_without_a_sound(three: list[Job]) -> None:
    rule = draft()
    backtest = start(rule)
    rule.delete()
    assert queue.work(burst=True)
    assert backtesting.run_slice(backtest.pk) == "" and connection.vendor
