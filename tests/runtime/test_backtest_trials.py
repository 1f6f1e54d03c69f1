"""What a backtest tries and what it passes over, who may begin one, and how one is broken off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from runtime import backtesting, queue
from runtime.actions import Refused
from runtime.actions.backtests import cancel_backtest, jobs_to_try, start_backtest
from runtime.models import (
    AuditRecord,
    Backtest,
    BacktestFlip,
    Entry,
    GovernanceRule,
    Job,
    RuleState,
)
from tests.runtime.market import OVERRULED, PLAIN, assert_whole, draft, finish, found, job_of, prices, start
from tests.runtime.stage import person, run, submit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("use_market")]


def test_jobs_that_cannot_be_compared_are_counted_with_the_reason(three_jobs: list[Job]) -> None:
    rule = draft(params={"agents": ["quote"]})
    Entry.objects.filter(job=three_jobs[0], seq=1).update(body='{"kind":"nothing"}')
    Job.objects.filter(pk=three_jobs[1].pk).update(entries=60_000)
    backtest = start(rule)
    Job.objects.filter(pk=three_jobs[2].pk).update(pack=GovernanceRule.objects.get(name="far ahead").pack)
    done = finish(backtest)
    assert (done.status, done.jobs_done, done.skipped) == ("done", 3, 2)
    assert done.reasons == {
        "its record cannot be merged again": 1,
        "it has more than 50,000 entries": 1,
    }


def test_jobs_whose_pack_lacks_the_key_or_the_agent_are_skipped(three_jobs: list[Job]) -> None:
    GovernanceRule.objects.filter(name="far ahead").first()
    pack = three_jobs[0].pack
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
    three_jobs: list[Job], monkeypatch: pytest.MonkeyPatch
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
    three_jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    merged: list[int] = []
    monkeypatch.setattr(backtesting, "compare", noting(merged, backtesting.compare))
    done = finish(start(draft("discount", params={"incomplete": 0.5})))
    assert (done.status, done.jobs_done, done.flips, merged) == ("done", 3, 0, [])


def test_only_so_many_flips_are_kept_and_all_are_counted(
    three_jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtesting, "MOST_KEPT", 2)
    done = finish(start())
    assert (done.flips, BacktestFlip.objects.filter(backtest=done).count()) == (3, 2)
    assert Counter(done.counts).total() == 3


def test_an_active_rule_is_tried_by_taking_it_away(three_jobs: list[Job]) -> None:
    done = finish(start(GovernanceRule.objects.get(name="far ahead")))
    assert found(done) == [(three_jobs[1].pk, "merge", "asked")]


def test_a_draft_stands_in_for_what_it_replaces_and_a_retired_rule_comes_back(three_jobs: list[Job]) -> None:
    old = GovernanceRule.objects.get(name="far ahead")
    rule = draft("confidence", params={"margin": 0.5}, priority=100, replaces=old)
    assert found(finish(start(rule))) == [(three_jobs[1].pk, "merge", "asked")]
    rule.state = RuleState.RETIRED
    rule.save()
    assert found(finish(start(rule))) == []  # beside the one that it had replaced


def test_only_newest_settled_jobs_with_a_record_are_tried(three_jobs: list[Job]) -> None:
    submit("market", prices(PLAIN))
    pack = three_jobs[0].pack
    assert jobs_to_try(pack, 500) == [job.pk for job in reversed(three_jobs)]
    assert start(most_jobs=2).jobs == [three_jobs[2].pk, three_jobs[1].pk]


def test_the_change_is_frozen_when_it_begins(three_jobs: list[Job]) -> None:
    rule = draft()
    backtest = start(rule)
    GovernanceRule.objects.filter(pk=rule.pk).update(params={"sources": ["nobody"]}, state="active")
    assert_whole(finish(backtest), three_jobs)


def test_one_under_way_of_the_same_version_is_given_instead_of_another(three_jobs: list[Job]) -> None:
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


def test_what_cannot_begin_is_refused_in_words(three_jobs: list[Job]) -> None:
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


def test_a_receipt_of_another_rules_form_is_refused(three_jobs: list[Job]) -> None:
    otto = person("otto", "operator")
    start_backtest(otto, draft().pk, receipt="mine")
    with pytest.raises(Refused) as refused:
        start_backtest(otto, GovernanceRule.objects.get(name="far ahead").pk, receipt="mine")
    assert refused.value.code == "stale"


def test_what_is_broken_off_stays_as_far_as_it_came(three_jobs: list[Job]) -> None:
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
    three_jobs: list[Job], monkeypatch: pytest.MonkeyPatch
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


def test_what_has_ended_cannot_be_broken_off(three_jobs: list[Job]) -> None:
    backtest = finish(start())
    with pytest.raises(Refused, match=r"has ended already \(done\)") as refused:
        cancel_backtest(person("otto", "operator"), backtest.pk)
    assert refused.value.code == "gone"


def test_a_backtest_whose_rule_is_deleted_ends_without_a_sound(three_jobs: list[Job]) -> None:
    rule = draft()
    backtest = start(rule)
    rule.delete()
    assert queue.work(burst=True)
    assert backtesting.run_slice(backtest.pk) == "" and connection.vendor
