"""A job that lacks only what tools would say parks, goes on when they answer, and gives up in the end (D5.4)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from redis import Redis

from runtime import worker
from runtime.actions import add_fact, retry_job
from runtime.bundle import record_of_job
from runtime.lease import clock_sql, due_jobs
from runtime.models import Agent, Answer, Decision, Entry, Job, Pack, Tool
from runtime.recovery import give_up_due, spoken, wake_due, wake_waiting
from runtime.store import answer_facts, run_calls
from runtime.tools.flaky import FlakyTools
from runtime.tools.gate import shared_gate
from runtime.tools.record import Unrecorded
from runtime.verifying import replay_record, verify_job
from runtime.worker import run_job
from tests.runtime.fixtures import Use
from tests.runtime.packs import ASKER_SEEDS
from tests.runtime.stage import person, receipt, run, submit
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tools(use_packs: Use, empty_queue: Redis) -> Iterator[FlakyTools]:
    """The pack `asker` with its tool `oracle` at a simulator; `glossary`, which is optional, is at none."""
    use_packs("asker")
    with FlakyTools(slow=20) as simulator:
        Tool.objects.filter(name="oracle").update(url=f"{simulator.url}/search")
        Agent.objects.filter(name="explain").update(enabled=False)
        yield simulator


def let_time_pass(job: Job, seconds: float) -> None:
    """Moves everything the clock has in store for a job so much nearer."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE runtime_job SET retry_at = retry_at - %s, give_up_at = give_up_at - %s, "
            "recovering_since = recovering_since - %s WHERE id = %s",
            [seconds, seconds, seconds, job.pk],
        )
    job.refresh_from_db()
    job.awaited = {agent: since - seconds for agent, since in job.awaited.items()}
    job.save(update_fields=["awaited"])


def now() -> float:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {clock_sql()}")
        return float(cursor.fetchone()[0])


def stuck(tools: FlakyTools) -> Job:
    """A job whose tool is down."""
    tools.mode("search", "down")
    return run(submit("asker", ASKER_SEEDS))


def test_job_parks_with_what_it_has_and_holds_no_worker(tools: FlakyTools) -> None:
    job = stuck(tools)
    assert (job.status, job.tier) == ("recovering", 1)
    assert (job.lease_until, job.waits_on) == (None, " oracle ")
    assert job.retry_at is not None
    assert 0 < job.retry_at - now() < 30
    assert due_jobs() == []
    assert [c["what"] for c in job.causes] == ["failed", "failed"]
    assert job.causes[0]["tool"] == "oracle"
    verify_job(job)


def test_job_goes_on_by_itself_once_the_tool_answers(tools: FlakyTools) -> None:
    job = stuck(tools)
    tools.mode("search", "ok")
    assert wake_due() == 0, "not before its time"
    let_time_pass(job, 60)
    assert wake_due() == 1
    assert wake_due() == 0, "once"
    run(job)
    assert (job.status, job.tier) == ("converged", 2)
    assert (job.retry_at, job.give_up_at, job.recovering_since, job.retries, job.waits_on) == (
        None,
        None,
        None,
        0,
        "",
    )
    answers = list(Answer.objects.filter(job=job).order_by("version"))
    assert [a.tier for a in answers][-2:] == [1, 2]
    assert [g["what"] for g in answers[-2].gaps] == ["failed", "failed"]
    assert answers[-1].gaps == []
    verify_job(job)


def test_calls_at_the_server_are_the_calls_in_the_journal(tools: FlakyTools) -> None:
    job = stuck(tools)
    tools.mode("search", "ok")
    let_time_pass(job, 60)
    wake_due()
    run(job)
    assert tools.requests("search") == job.calls == 4
    told = [call for entry in Entry.objects.filter(job=job, kind="run") for call in run_calls(entry)]
    assert [call["attempts"] for call in told] == [1, 1, 1, 1]
    assert [call.get("cls", "") for call in told] == ["server_error", "server_error", "", ""]


def test_replay_asks_nobody(tools: FlakyTools) -> None:
    job = stuck(tools)
    before = tools.requests("search")
    tools.stop()
    assert replay_record(record_of_job(job)).digest == job.digest
    assert before == 2


def test_waits_grow_with_each_try_that_failed(tools: FlakyTools) -> None:
    Tool.objects.filter(name="oracle").update(failure_threshold=1000)
    job = stuck(tools)
    waits = []
    for _ in range(3):
        assert job.retry_at is not None
        waits.append(job.retry_at - now())
        let_time_pass(job, 1_000)
        assert wake_due() == 1
        run(job)
    assert job.retries == 3
    assert waits[0] < waits[1] < waits[2]


def test_job_is_tried_when_the_breaker_lets_a_probe_through(tools: FlakyTools) -> None:
    Tool.objects.filter(name="oracle").update(failure_threshold=2, open_seconds=100.0)
    job = stuck(tools)
    assert shared_gate().state("oracle").status == "open"
    assert job.retry_at is not None
    assert 90 < job.retry_at - now() < 130


def test_an_open_breaker_takes_up_no_job_in_vain(tools: FlakyTools) -> None:
    Tool.objects.filter(name="oracle").update(failure_threshold=2, open_seconds=100.0)
    first = stuck(tools)
    second = run(submit("asker", ASKER_SEEDS))
    assert second.causes[0]["cls"] == "circuit_open"
    assert tools.requests("search") == 2
    for job in (first, second):
        let_time_pass(job, 1_000)
    assert wake_due() == 0


def test_one_job_probes_and_its_success_wakes_the_others(tools: FlakyTools) -> None:
    Tool.objects.filter(name="oracle").update(failure_threshold=2, open_seconds=0.01)
    jobs = [stuck(tools), *(run(submit("asker", ASKER_SEEDS)) for _ in range(2))]
    tools.mode("search", "ok")
    for job in jobs:
        let_time_pass(job, 10)
    assert eventually(lambda: shared_gate().state("oracle").status == "half_open")
    assert wake_due() == 1, "as many as may probe"
    Job.objects.filter(status="recovering", retry_at__isnull=False).update(retry_at=now() + 1_000)
    probing = Decision.objects.get(act="retry_due").job
    assert run(probing).status == "converged"
    assert shared_gate().state("oracle").status == "closed"
    assert wake_due() == 2
    for job in jobs:
        assert run(job).status == "converged"


def test_waking_for_one_tool_leaves_jobs_alone_that_wait_for_another(tools: FlakyTools) -> None:
    job = stuck(tools)
    wake_waiting("orac")
    wake_waiting("glossary")
    wake_waiting("ora_le")
    assert wake_due() == 0
    wake_waiting("oracle")
    assert wake_due() == 1
    assert job.pk in due_jobs()


def test_a_job_is_given_up_at_the_packs_limit_with_its_reasons(tools: FlakyTools) -> None:
    job = stuck(tools)
    let_time_pass(job, 86_000)
    assert give_up_due() == 0
    let_time_pass(job, 500)
    assert give_up_due() == 1
    assert give_up_due() == 0
    run(job)
    assert (job.status, job.tier, job.retry_at) == ("partial", 1, None)
    assert "given up after 24 hours of trying" in job.reason
    verify_job(job)


def test_somebody_who_asks_again_begins_the_recovering_anew(tools: FlakyTools) -> None:
    job = stuck(tools)
    let_time_pass(job, 100_000)
    give_up_due()
    run(job)
    retry_job(person("otto", "operator"), job.pk, receipt())
    run(job)
    assert (job.status, job.retries) == ("recovering", 0)
    assert job.give_up_at is not None
    assert job.give_up_at - now() > 86_000


def test_a_person_s_fact_does_not_put_off_the_next_try(tools: FlakyTools) -> None:
    job = stuck(tools)
    planned, limit = job.retry_at, job.give_up_at
    add_fact(person("otto", "operator"), job.pk, "length", "new", 3, 1.0, "", receipt())
    run(job)
    assert (job.status, job.retry_at, job.give_up_at) == ("recovering", planned, limit)


def test_an_optional_tool_that_is_out_marks_its_key_incomplete_and_no_more(tools: FlakyTools) -> None:
    Agent.objects.filter(name="explain").update(enabled=True)
    add_fact_later = submit("asker", ASKER_SEEDS)
    add_fact(person("otto", "operator"), add_fact_later.pk, "gloss", "big", "large", 0.8, "", receipt())
    job = run(add_fact_later)
    assert (job.status, job.tier) == ("converged", 2)
    answer = Answer.objects.filter(job=job).latest("version")
    gloss = next(f for f in answer_facts(job, answer) if f["key"] == "gloss")
    assert (gloss["confidence"], gloss["from"], gloss["incomplete"]) == (0.4, 0.8, "gloss")


def test_an_optional_tool_is_waited_for_where_the_pack_says_so(tools: FlakyTools) -> None:
    Agent.objects.filter(name="explain").update(enabled=True, wait=60.0)
    job = run(submit("asker", ASKER_SEEDS))
    assert (job.status, job.tier, job.waits_on) == ("recovering", 1, " glossary ")
    let_time_pass(job, 61)
    assert give_up_due() == 1
    run(job)
    assert (job.status, job.tier) == ("converged", 2)


def test_a_failure_that_will_not_pass_is_not_waited_for(tools: FlakyTools) -> None:
    tools.mode("search", "refused")
    job = run(submit("asker", ASKER_SEEDS))
    assert (job.status, job.tier, job.retry_at) == ("partial", 1, None)


def test_a_spent_budget_of_calls_ends_the_job_with_what_it_has(tools: FlakyTools) -> None:
    pack = Pack.objects.get(name="asker")
    Pack.objects.filter(pk=pack.pk).update(budget={**pack.budget, "calls": 1})
    job = run(submit("asker", ASKER_SEEDS))
    assert (job.status, job.tier) == ("exhausted", 1)
    assert "budget of tool calls is used up" in job.reason
    assert tools.requests("search") == 1
    verify_job(job)
    assert replay_record(record_of_job(job)).digest == job.digest


def test_a_tool_mended_while_a_job_recovers_helps_that_job(tools: FlakyTools) -> None:
    Tool.objects.filter(name="oracle").update(url="http://127.0.0.1:9/nowhere")
    job = run(submit("asker", ASKER_SEEDS))
    assert job.causes[0]["cls"] == "unreachable"
    Tool.objects.filter(name="oracle").update(url=f"{tools.url}/search")
    let_time_pass(job, 60)
    wake_due()
    assert run(job).status == "converged"


def test_a_call_that_cannot_be_written_down_is_not_made(
    tools: FlakyTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    from runtime.tool_calls import DbRecorder

    def fail(*given: object) -> None:
        raise OperationalError("database is locked")

    job = submit("asker", ASKER_SEEDS)
    with monkeypatch.context() as patch:
        patch.setattr(DbRecorder, "attempt", fail)
        patch.setattr(worker, "RECORD_PAUSES", ())
        with pytest.raises(Unrecorded):
            run_job(job.pk)
    assert tools.requests("search") == 0
    Job.objects.filter(pk=job.pk).update(lease_until=0)
    assert run(job).status == "converged", "the cycle that broke off left nothing behind"


def test_spans_are_said_as_people_say_them() -> None:
    assert [spoken(s) for s in (45, 90, 120, 86_400, 172_800)] == [
        "45 seconds",
        "90 seconds",
        "2 minutes",
        "24 hours",
        "2 days",
    ]
