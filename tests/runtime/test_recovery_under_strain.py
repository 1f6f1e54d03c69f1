"""Recovering where things go wrong beside the tool: many jobs, long outages, slow disks, runtimes that come back."""

from __future__ import annotations

import signal
import sqlite3
import threading
from typing import Any

import pytest
from django.db import connection, connections
from redis import Redis

from runtime import recovery
from runtime.actions import cancel_job
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.agents import find_pack
from runtime.engine import Stop
from runtime.lease import due_jobs
from runtime.models import Agent, Decision, Job, Pack, Tool, ToolCall
from runtime.reconciler import reconcile_once
from runtime.recovery import give_up_due, plan_parking, wake_due
from runtime.tool_calls import DbRecorder, Superseded
from runtime.tools.flaky import FlakyTools
from runtime.tools.gate import BreakerState, shared_gate
from runtime.tools.record import CallName
from runtime.verifying import verify_job
from tests.runtime.fixtures import Use
from tests.runtime.packs import ASKER_SEEDS
from tests.runtime.stage import person, receipt, run, submit, tell
from tests.runtime.test_recovery import let_time_pass, now, stuck, tools
from tests.runtime.workers import Workers
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["tools"]


def status(job: Job) -> str:
    job.refresh_from_db()
    return job.status


def test_runtime_that_was_taken_over_sends_nothing_more(use_packs: Use, workers: Workers) -> None:
    use_packs("asker")
    Agent.objects.filter(name="explain").update(enabled=False)
    with FlakyTools() as tools:
        Tool.objects.filter(name="oracle").update(
            url=f"{tools.url}/search",
            attempts=4,
            backoff=3.0,
            backoff_max=10.0,
            jitter=0,
            failure_threshold=1000,
        )
        tools.mode("search", "down")
        workers.start(2)
        job = submit("asker", ASKER_SEEDS)
        assert eventually(lambda: tools.requests("search") == 2)
        first = workers.pid_of(job)
        workers.signal(first, signal.SIGSTOP)
        tools.mode("search", "ok")

        def is_done() -> bool:
            reconcile_once()
            return status(job) == "converged"

        assert eventually(is_done, 30), workers.said
        sent = tools.requests("search")
        workers.signal(first, signal.SIGCONT)
        assert eventually(lambda: "is superseded" in workers.said, 20), workers.said
        assert tools.requests("search") == sent == 4
    verify_job(job)


def test_a_finished_call_is_not_begun_again(tools: FlakyTools) -> None:
    job = run(submit("asker", ASKER_SEEDS))
    row = ToolCall.objects.filter(job=job).latest("id")
    name = CallName(row.cycle, row.agent, row.item, row.number, row.digest)
    with pytest.raises(Superseded):
        DbRecorder(job.pk, job.epoch).attempt(name, "oracle", 1)
    with pytest.raises(Superseded):
        DbRecorder(job.pk, job.epoch - 1).attempt(name._replace(number=2), "oracle", 1)
    assert ToolCall.objects.filter(job=job).count() == 2
    row.refresh_from_db()
    assert row.attempts == 1


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite has one lock for all writers")
def test_call_cut_off_while_it_is_recorded_is_told_as_it_was_recorded(
    tools: FlakyTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process holds the database's write lock at the very end of a run."""
    Agent.objects.filter(name="ask").update(timeout=1.5)
    real, database = DbRecorder.finish, str(connection.settings_dict["NAME"])
    locked: list[sqlite3.Connection] = []

    def finish(self: DbRecorder, *given: Any) -> Any:
        if not locked:
            other = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
            other.execute("BEGIN IMMEDIATE")
            locked.append(other)
            threading.Timer(2.5, lambda: other.execute("ROLLBACK")).start()
        return real(self, *given)

    monkeypatch.setattr(DbRecorder, "finish", finish)
    job = run(submit("asker", ASKER_SEEDS[:1]))
    row = ToolCall.objects.get(job=job)
    assert (row.status, row.attempts, job.calls) == ("done", 1, 1)
    assert job.status == "recovering", "the run was cut off all the same"
    verify_job(job)
    locked[0].close()


def test_jobs_behind_an_open_breaker_keep_no_other_job_waiting(tools: FlakyTools) -> None:
    Tool.objects.filter(name="oracle").update(failure_threshold=2, open_seconds=1000.0, open_max=1000.0)
    row = stuck(tools)
    waiting = {"pack": row.pack, "status": "recovering", "retry_at": 1.0}
    Job.objects.bulk_create(Job(**waiting, waits_on=" oracle ", retries=1) for _ in range(205))
    other = Job.objects.create(**waiting, waits_on=" glossary ", retries=2)
    assert wake_due() == 1
    assert Decision.objects.get(act="retry_due").job == other


def test_a_day_of_refusals_uses_up_no_budget(tools: FlakyTools) -> None:
    pack = Pack.objects.get(name="asker")
    Pack.objects.filter(pk=pack.pk).update(budget={**pack.budget, "calls": 10, "lifetime_cycles": 12})
    Tool.objects.filter(name="oracle").update(failure_threshold=1000)
    tools.mode("search", "down")
    job = run(submit("asker", ASKER_SEEDS))
    for _ in range(20):
        let_time_pass(job, 400)
        assert wake_due() == 1
        assert run(job).status == "recovering", job.reason
    assert job.calls == tools.requests("search") == 42
    tools.mode("search", "ok")
    let_time_pass(job, 400)
    wake_due()
    assert run(job).status == "converged"


def test_an_agent_is_waited_for_from_its_own_failure_on(tools: FlakyTools) -> None:
    Agent.objects.filter(name="explain").update(enabled=True, wait=600.0)
    Tool.objects.filter(name="oracle").update(failure_threshold=1000)
    with FlakyTools() as glossary:
        Tool.objects.filter(name="glossary").update(url=f"{glossary.url}/search")
        job = stuck(tools)
        assert job.awaited == {}
        let_time_pass(job, 7200)
        glossary.mode("search", "down")
        tell(job, "add_fact", "otto", key="question", subject="new", payload={"value": "is it new?"})
        run(job)
    assert list(job.awaited) == ["explain"]
    assert give_up_due() == 0
    assert job.give_up_at is not None
    assert 590 < job.give_up_at - now() <= 600
    let_time_pass(job, 601)
    assert give_up_due() == 1
    assert Decision.objects.get(act="give_up").payload == {"on": "explain"}


def test_one_job_s_trouble_does_not_stop_the_clock_for_others(
    tools: FlakyTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = stuck(tools), stuck(tools)
    real = recovery._add_row

    def add_row(job_id: int, *given: Any) -> None:
        if job_id == first.pk:
            raise ValueError("this one cannot be told")
        real(job_id, *given)

    monkeypatch.setattr(recovery, "_add_row", add_row)
    Tool.objects.filter(name="oracle").update(failure_threshold=1000)
    shared_gate().reset("oracle")
    for job in (first, second):
        let_time_pass(job, 400)
    reconcile_once()
    assert second.pk in due_jobs()
    first.refresh_from_db()
    assert first.retry_at is not None, "its time is not over because it could not be told"


def test_names_of_any_length_can_be_waited_for_and_given_up(tools: FlakyTools) -> None:
    name = f"explain-{'x' * 90}"
    Agent.objects.filter(name="explain").update(enabled=True, wait=1.0, name=name)
    job = run(submit("asker", ASKER_SEEDS))
    assert job.status == "recovering"
    let_time_pass(job, 2)
    assert give_up_due() == 1
    assert run(job).status == "converged"


class Skies:
    """A gate whose breakers are as told."""

    def __init__(self, **states: BreakerState) -> None:
        self.known = states

    def states(self, names: list[str]) -> dict[str, BreakerState]:
        return {name: self.known[name] for name in names}


@pytest.mark.parametrize(("first", "second"), [(290, 3), (3, 290), (None, 290), (290, None)])
def test_the_first_tool_that_may_answer_sets_the_pace(
    tools: FlakyTools, monkeypatch: pytest.MonkeyPatch, first: int | None, second: int | None
) -> None:
    moment = now()

    def sky(seconds: int | None) -> BreakerState:
        return BreakerState() if seconds is None else BreakerState("open", moment, moment + seconds)

    monkeypatch.setattr(recovery, "shared_gate", lambda: Skies(a=sky(first), b=sky(second)))
    gap = {"what": "failed", "cls": "timeout", "transient": True}
    stop = Stop("recovering", [{**gap, "tool": "a"}, {**gap, "tool": "b"}])
    spec = pack_spec_from_rows(Pack.objects.get(name="asker"))
    parking = plan_parking(spec, stop, 0, None, {})
    assert parking.retry_at - moment < 10


def test_a_breaker_that_closed_while_the_job_was_parked_wakes_it(
    tools: FlakyTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    Tool.objects.filter(name="oracle").update(failure_threshold=2, open_seconds=100.0)
    real = recovery.plan_parking

    def plan_and_close(*given: Any) -> Any:
        parking = real(*given)
        shared_gate().reset("oracle")
        return parking

    monkeypatch.setattr("runtime.recording.plan_parking", plan_and_close)
    job = stuck(tools)
    assert job.retry_at is not None
    assert job.retry_at <= now()


def test_who_asks_for_another_try_is_not_given_up_in_the_same_breath(tools: FlakyTools) -> None:
    job = stuck(tools)
    let_time_pass(job, 90_000)
    tell(job, "retry", "otto")
    assert give_up_due() == 0
    run(job)
    assert (job.status, job.retries) == ("recovering", 0)
    assert job.give_up_at is not None
    assert job.give_up_at - now() > 86_000


def test_a_cancel_is_heard_in_a_long_cycle(tools: FlakyTools) -> None:
    """Whose calls come one after another, each a while."""
    Tool.objects.filter(name="oracle").update(concurrency=1, timeout=0.7, failure_threshold=1000)
    tools.mode("search", "slow")
    seeds = [{"key": "question", "subject": f"q{n}", "value": "x"} for n in range(30)]
    job = submit("asker", seeds)

    def cancel() -> None:
        eventually(lambda: tools.requests("search") >= 1)
        cancel_job(person("otto", "operator"), job.pk, "", receipt())
        connections.close_all()

    caller = threading.Thread(target=cancel)
    caller.start()
    run(job)
    caller.join()
    assert job.status == "cancelled"
    assert tools.requests("search") < 10
    assert job.tier == 1, "the cycle that was broken off is not in the journal"
    verify_job(job)


def test_a_long_cycle_ends_when_its_time_is_over(tools: FlakyTools) -> None:
    pack = Pack.objects.get(name="asker")
    Pack.objects.filter(pk=pack.pk).update(budget={**pack.budget, "seconds": 1.0})
    Tool.objects.filter(name="oracle").update(concurrency=1, timeout=0.7, failure_threshold=1000)
    tools.mode("search", "slow")
    job = run(submit("asker", [{"key": "question", "subject": f"q{n}", "value": "x"} for n in range(30)]))
    assert tools.requests("search") < 10
    assert job.status in ("recovering", "exhausted")
    verify_job(job)


def test_growth_heals_after_an_outage_longer_than_its_lifetime(use_packs: Use, empty_queue: Redis) -> None:
    use_packs("growth")
    growth = find_pack("growth")
    assert growth is not None
    with FlakyTools() as tools:
        for row in Tool.objects.all():
            row.url, row.allow = row.url.replace("{flaky_tools}", tools.url), ["127.0.0.1"]
            row.failure_threshold, row.attempts = 1000, 1
            row.save()
        pack = Pack.objects.get(name="growth")
        Pack.objects.filter(pk=pack.pk).update(budget={**pack.budget, "lifetime_cycles": 30})
        tools.mode("search", "down")
        job = run(submit("growth", growth.sample_seeds("corner-shop")))
        for tried in range(30):
            let_time_pass(job, 400)
            if tried == 29:
                tools.mode("search", "ok")
            assert wake_due() == 1
            run(job)
    assert (job.status, job.tier) == ("converged", 3), job.reason
