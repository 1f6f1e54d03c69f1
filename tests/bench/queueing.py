"""Jobs through the queue: submitted, taken by a worker, converged."""

from __future__ import annotations

import statistics
from typing import Any

from tests.bench.house import make_submitter, open_house, running_worker, wait_until
from tests.bench.measure import explained, in_turns
from tests.bench.packs import AGENTS
from tests.bench.result import Line, measured
from tests.bench.shapes import VALUE, seconds_of

# As given in the design; Prefect is not installed, for it would bring a server of its own.
PREFECT_SECONDS = 1.24
SHARE_OF_PREFECT = 0.1
SHARE_OF_NO_OP = 0.5
SEEDS = [{"key": "k0", "subject": "x", "value": VALUE}]


def job_rows(quick: bool) -> list[Line]:
    """One job of 20 agents in a chain, from `submit_job` to its status, through RQ and a worker process."""
    with open_house() as home:
        user = make_submitter()

        def once() -> float:
            return seconds_of(lambda: _await_job(_submit(user, "bench-chain")))

        with running_worker(home):
            runs = in_turns(5 if quick else 25, once)[0]
        title = f"{AGENTS}-agent job, submit → RQ → converged"
        line = measured(
            title, "s", runs, peer=f"Prefect, flow of {AGENTS} tasks", beside=PREFECT_SECONDS, given=True
        )
        line.work = lambda: _work_off(user, "bench-chain", 10)
        line.ratio = line.figure / PREFECT_SECONDS
        line.goal, line.met = "≤ 1/10", line.ratio <= SHARE_OF_PREFECT
        return explained([line])


def small_job_rows(quick: bool) -> list[Line]:
    """Jobs of one agent that a worker does in a second, beside RQ jobs that do nothing."""
    from django.db import connections

    with open_house():
        user = make_submitter()
        # As in a worker process, which keeps its connection (runtime/queue.py).
        connections["default"].settings_dict.update(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
        jobs = 50 if quick else 200
        found = in_turns(
            3 if quick else 7,
            lambda: jobs / _work_off(user, "bench-small", jobs),
            lambda: jobs / _work_off_nothing(jobs),
        )
        line = measured(
            "small jobs, one worker", "jobs a second", found[0], peer="RQ no-op jobs, SimpleWorker"
        )
        line.work = lambda: _work_off(user, "bench-small", jobs)
        line.beside = statistics.median(found[1])
        line.ratio = line.figure / line.beside
        line.goal, line.met = f"≥ {SHARE_OF_NO_OP:.0%}", line.ratio >= SHARE_OF_NO_OP
        return explained([line])


def _submit(user: Any, pack: str) -> Any:
    from runtime.actions import submit_job

    return submit_job(user, pack, SEEDS)


def _await_job(job: Any) -> None:
    from runtime.models import Job

    wait_until(lambda: Job.objects.values_list("status", flat=True).get(pk=job.pk) == "converged", seconds=60)


def _work_off(user: Any, pack: str, jobs: int) -> float:
    """Submits jobs, then does them in this process with the worker's own class; gives the seconds of the doing."""
    from runtime import queue
    from runtime.models import Job

    made = [_submit(user, pack).pk for _ in range(jobs)]
    seconds = seconds_of(lambda: queue.work(burst=True))
    assert Job.objects.filter(pk__in=made, status="converged").count() == jobs
    return seconds


_done: list[int] = []


def do_nothing(job_id: int) -> None:
    """What the jobs beside ours do: no more than to be counted."""
    _done.append(job_id)


def _work_off_nothing(jobs: int) -> float:
    """The same number of RQ jobs that do nothing, on the class that our worker is made from, with our options."""
    from django.conf import settings
    from redis import Redis
    from rq import Queue, SimpleWorker
    from rq.serializers import JSONSerializer

    _done.clear()
    with Redis.from_url(settings.CONVERGE_REDIS_URL) as client:
        queue = Queue("no-op", connection=client, serializer=JSONSerializer)
        for number in range(jobs):
            queue.enqueue_call(f"{__name__}.{do_nothing.__name__}", args=(number,), timeout=600, result_ttl=0)
        worker = SimpleWorker(
            [queue],
            connection=client,
            serializer=JSONSerializer,
            default_result_ttl=0,
            log_job_description=False,
        )
        seconds = seconds_of(lambda: worker.work(burst=True))
    assert _done == list(range(jobs))
    return seconds
