"""A backtest at work: slices through the real queue, and whatever can happen to them."""

from __future__ import annotations

from collections import Counter

import pytest
from redis import Redis

from runtime import backtesting, queue
from runtime.models import (
    Backtest,
    BacktestFlip,
    Conflict,
    Job,
)
from runtime.queue import enqueue_backtest, enqueue_job, read_queued_backtests, read_queued_ids
from runtime.reconciler import reconcile_once
from tests.runtime.copied_jobs import copy_job
from tests.runtime.market import (
    DISPUTED,
    ELSEWHERE,
    OVERRULED,
    PLAIN,
    assert_whole,
    decided,
    finish,
    found,
    job_of,
    let_time_pass,
    prices,
    start,
)
from tests.runtime.stage import submit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("use_market")]


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


def test_each_slice_is_a_message_of_its_own_and_says_how_far_it_is(three_jobs: list[Job]) -> None:
    backtest = start()
    seen = []
    for _ in three_jobs:
        seen.append(backtesting.run_slice(backtest.pk))
        backtest.refresh_from_db()
        seen.append((backtest.jobs_done, backtest.cursor))
    assert seen == [
        "queued",
        (1, three_jobs[2].pk),
        "queued",
        (2, three_jobs[1].pk),
        "done",
        (3, three_jobs[0].pk),
    ]
    assert_whole(backtest, three_jobs)


def test_flips_name_what_stood_and_the_question_that_was_asked(three_jobs: list[Job]) -> None:
    backtest = finish(start())
    settled, other, same = (BacktestFlip.objects.get(backtest=backtest, job=job) for job in three_jobs)
    assert settled.conflict == Conflict.objects.get(job=three_jobs[0])
    assert (other.conflict, other.before["value"], other.after["value"]) == (None, 12, 10)
    assert same.conflict == Conflict.objects.get(job=three_jobs[2])
    assert (same.before["by"], same.before["value"], same.after["value"]) == ("ivy", 10, 10)
    assert {flip.cycle for flip in (settled, other, same)} == {1}


def test_doubled_messages_find_nothing_twice(three_jobs: list[Job]) -> None:
    backtest = start()
    for _ in range(4):
        enqueue_backtest(backtest.pk)
    assert_whole(finish(backtest), three_jobs)
    enqueue_backtest(backtest.pk)
    assert_whole(finish(backtest), three_jobs)


def test_doubled_messages_do_not_multiply(three_jobs: list[Job], empty_queue: Redis) -> None:
    backtest = start()
    enqueue_backtest(backtest.pk)
    backtesting.run_slice(backtest.pk)
    assert empty_queue.llen("rq:queue:converge") == 2


def test_a_lost_message_is_sent_again_when_it_was_silent_for_a_while(
    three_jobs: list[Job], empty_queue: Redis
) -> None:
    backtest = start()
    empty_queue.flushall()
    reconcile_once()
    assert read_queued_backtests() == frozenset()
    let_time_pass(backtest)
    reconcile_once()
    reconcile_once()
    assert empty_queue.llen("rq:queue:converge") == 1
    assert_whole(finish(backtest), three_jobs)


def test_a_worker_killed_in_a_slice_loses_that_slice_alone(
    three_jobs: list[Job], empty_queue: Redis, monkeypatch: pytest.MonkeyPatch
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
    assert_whole(finish(backtest), three_jobs)


def raise_exit(*args: object) -> None:
    raise SystemExit(9)


def test_a_worker_that_comes_back_after_it_was_given_up_writes_nothing(
    three_jobs: list[Job], monkeypatch: pytest.MonkeyPatch
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
    assert_whole(finish(backtest), three_jobs)


def test_of_two_at_the_same_slice_the_one_that_was_given_up_writes_nothing(three_jobs: list[Job]) -> None:
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
    assert_whole(finish(backtest), three_jobs)


def test_what_takes_its_worker_down_again_and_again_is_ended(
    three_jobs: list[Job], monkeypatch: pytest.MonkeyPatch
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


def test_a_job_that_comes_later_does_not_wait_for_the_end(three_jobs: list[Job]) -> None:
    backtest = start()
    job = submit("market", prices(PLAIN))
    finish(backtest)
    job.refresh_from_db()
    assert backtest.finished_at and job.settled_at and job.settled_at < backtest.finished_at
    assert backtest.jobs_total == 3


def test_messages_about_backtests_are_not_taken_for_jobs(three_jobs: list[Job]) -> None:
    backtest = start()
    enqueue_job(three_jobs[0].pk)
    assert read_queued_ids() == {str(three_jobs[0].pk)}
    assert read_queued_backtests() == {backtest.pk}
    # A job with the number of a backtest is due, and only the backtest's message is in the queue.
    twin = Job.objects.get(pk=three_jobs[0].pk)
    twin.pk, twin.status, twin.submit_key = backtest.pk, "queued", None
    twin.save(force_insert=True)
    assert reconcile_once() == 1
    assert str(backtest.pk) in (read_queued_ids() or ())


def test_it_is_seen_what_a_worker_is_at(three_jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[queue.QueueState] = []
    monkeypatch.setattr(backtesting, "run_slice", lambda at: seen.append(queue.queue_state()))
    backtest = start()
    queue.work(burst=True)
    (worker,) = seen[0].workers
    assert (worker.job_id, worker.backtest_id) == (None, backtest.pk)
