"""A hundred jobs on tools of which each fails three requests in ten, in every way a tool can fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum

from runtime import store
from runtime.agents import find_pack
from runtime.bundle import record_of_job
from runtime.engine import Core
from runtime.engine.eligible import lowest_tier
from runtime.models import Entry, Job, JobStatus, Tool, ToolCall
from runtime.reconciler import reconcile_once
from runtime.rehearsal import Rehearsal
from runtime.tools.flaky import FAILING, FlakyTools
from runtime.tools.gate import MemoryGate
from runtime.tools.record import MemoryRecorder
from runtime.tools.session import ToolSession
from runtime.verifying import replay_record, verify_job
from tests.runtime.fixtures import Use
from tests.runtime.stage import submit
from tests.runtime.workers import Workers
from tests.waiting import eventually

pytestmark = [pytest.mark.early, pytest.mark.django_db(transaction=True)]

JOBS = 100
CLASSES = {"timeout", "unreachable", "rate_limited", "server_error", "refused", "bad_output"}


@pytest.fixture
def weather(use_packs: Use) -> Iterator[FlakyTools]:
    """The tools of `growth` at a simulator of their own, where three requests in ten fail. The breaker is out of the
    way: it would keep most of the weather from the jobs."""
    use_packs("growth")
    with FlakyTools(slow=30, retry_after=0) as tools:
        for row in Tool.objects.all():
            row.url = row.url.replace("{flaky_tools}", tools.url)
            row.allow, row.timeout = ["127.0.0.1"], 1.0
            # One attempt, or a call would hardly ever end in the rarer classes; the writer's calls are tried again.
            row.attempts = 1 if row.name == "search" else 2
            row.backoff, row.backoff_max, row.failure_threshold, row.concurrency = 0.01, 0.05, 1000, 16
            row.save()
            tools.mode(row.name, "random:0.3:soak")
        yield tools


def shop(number: int) -> list[dict[str, Any]]:
    """Four of the corner shop's channels, called otherwise in each job, so that other requests fail."""
    pack = find_pack("growth")
    assert pack is not None
    seeds = pack.sample_seeds("corner-shop")
    company = [seed for seed in seeds if seed["key"] == "company"]
    channels = [seed for seed in seeds if seed["key"] == "channel"][:4]
    return company + [{**seed, "subject": f"{seed['subject']} {number}"} for seed in channels]


def hurry() -> None:
    """Lets the time pass that recovering jobs wait for."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE runtime_job SET retry_at = 0 WHERE status = 'recovering' AND retry_at > 0")


def all_ended() -> bool:
    hurry()
    reconcile_once()
    busy = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.RECOVERING)
    return not Job.objects.filter(status__in=busy).exists()


def fresh_pass(seeds: list[dict[str, Any]], tools: FlakyTools) -> Core:
    """The same job with tools that answer every time."""
    pack = find_pack("growth")
    assert pack is not None
    specs = {
        name: replace(t.spec, url=t.spec.url.replace("{flaky_tools}", tools.url), allow=("127.0.0.1",))
        for name, t in pack.tools.items()
    }

    def session(cycle: int) -> ToolSession:
        return ToolSession("fresh", cycle, specs, MemoryGate(), MemoryRecorder(), 1_000, 1_000_000)

    rehearsal = Rehearsal(pack.spec(), seeds, session_for=session)
    assert rehearsal.run().reason == "converged"
    return rehearsal.core


def check_tier(job: Job, core: Core, fresh: Core) -> None:
    """Every fact of the tiers that the job claims is what a fresh full pass finds. Only what rests on an optional agent
    that failed may differ."""
    assert lowest_tier(core.ledger) == 0, "nobody has anything to do"
    assert job.tier == core.tier
    answer = store.latest_answer(job)
    assert answer is not None
    needed = {k for a in core.pack.agents if a.required for k in a.writes}
    incomplete = {m["key"] for m in answer.marks if m.get("incomplete", "") not in ("", *needed)}
    keys = [k for k, plan in core.plan.keys.items() if plan.tier <= job.tier and k not in incomplete]
    found = {(f.key, f.subject): (f.value, f.confidence) for f in core.facts() if f.key in keys}
    wanted = {(f.key, f.subject): (f.value, f.confidence) for f in fresh.facts() if f.key in keys}
    assert found == wanted, job.pk


def test_a_hundred_jobs_end_rightly_in_bad_weather(weather: FlakyTools, workers: Workers) -> None:
    workers.start(2)
    seeds = {submit("growth", shop(n)).pk: shop(n) for n in range(JOBS)}
    assert eventually(all_ended, 240), workers.said
    assert all(process.poll() is None for process in workers.processes), workers.said

    jobs = list(Job.objects.order_by("id"))
    ended = Counter(job.status for job in jobs)
    assert set(ended) <= {"converged", "partial"}, ended
    assert ended["converged"] > 0 < ended["partial"], "both kinds of end are met"
    met = set(ToolCall.objects.exclude(cls="").values_list("cls", flat=True))
    assert met >= CLASSES
    answered = {mode for tool in weather.state()["tools"].values() for mode in tool["answered"]}
    assert answered >= set(FAILING)

    sent = weather.requests("search") + weather.requests("writer")
    told = [call for entry in Entry.objects.filter(kind="run") for call in store.run_calls(entry)]
    assert sent == sum(call["attempts"] for call in told) == Job.objects.aggregate(n=Sum("calls"))["n"]
    assert len(told) == ToolCall.objects.count()

    with FlakyTools() as fine:
        passes = {job.pk: fresh_pass(seeds[job.pk], fine) for job in jobs}
    for job in jobs:
        verify_job(job)
        core = replay_record(record_of_job(job))
        assert core.digest == job.digest
        check_tier(job, core, passes[job.pk])
        assert (job.status == "converged") == (job.tier == job.top_tier)
    assert sent == weather.requests("search") + weather.requests("writer"), "replay asks nobody"
