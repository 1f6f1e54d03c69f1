"""Runtimes: who works on what, the queue and the scheduler; and why nothing moves where nothing does."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from redis import Redis

import runtime.worker
from converge_site.fragments.queue_watch import forget_queue, watch_queue
from converge_site.fragments.runtimes import LONGEST, read_runtimes
from converge_site.live.pages import render_page
from runtime import queue, queue_state
from runtime.lease import claim_job, database_clock
from runtime.models import Decision, Job
from runtime.worker import worker_name
from tests.web.test_jobs_list import make_jobs


@pytest.fixture(autouse=True)
def redis() -> Iterator[Redis]:
    """An empty Redis, and nothing known of it from before."""
    with Redis.from_url(site_settings.CONVERGE_REDIS_URL) as client:
        client.flushall()
        forget_queue()
        yield client
        client.flushall()
        forget_queue()


@pytest.fixture
def no_redis(settings: Any, tmp_path: Any) -> None:
    """Nobody answers where Redis should be."""
    settings.CONVERGE_REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    forget_queue()


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def page(client: Client) -> str:
    forget_queue()
    answer = client.get("/runtimes/")
    assert answer.status_code == 200
    return text_of(answer.content.decode())


def old(**fields: object) -> None:
    Job.objects.update(updated_at=timezone.now() - dt.timedelta(minutes=2), **fields)


def test_a_worker_is_shown_with_the_job_it_runs(
    vera: Client, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = make_jobs(people["otto"], 1, cycle=4)
    seen: list[str] = []

    def run(job_id: int) -> None:
        assert claim_job(job_id, worker_name())
        seen.append(page(vera))

    monkeypatch.setattr(runtime.worker, "run_job", run)
    monkeypatch.setattr(queue, "close_old_connections", lambda: None)  # the test is one transaction
    queue.enqueue_job(job.pk)
    queue.work(burst=True)
    (html,) = seen
    assert "1 heard of, 1 at work" in html
    assert re.search(
        rf"{re.escape(worker_name())} At work job 0 #{job.pk} · cycle 4 20\d\d-\S+ \S+ UTC 20", html
    )
    assert "1 listens" in html
    assert "No worker listens" not in html


def test_an_idle_worker_listens(vera: Client, people: dict[str, User], redis: Redis) -> None:
    key = "rq:worker:w1"
    redis.sadd("rq:workers:converge", key)
    fields = {"hostname": "alpha", "pid": "7", "state": "idle", "successful_job_count": "12"}
    redis.hset(key, mapping=fields | {"last_heartbeat": "2026-01-02T03:04:05.000006Z"})
    html = page(vera)
    assert "alpha:7 Listens nothing – 2026-01-02 03:04 UTC 12" in html


@pytest.mark.parametrize("heard", ["", "soon", "9" * 400])
def test_what_nobody_can_read_in_redis_breaks_no_page(vera: Client, redis: Redis, heard: str) -> None:
    redis.sadd("rq:workers:converge", "rq:worker:w1")
    redis.hset("rq:worker:w1", mapping={"hostname": "alpha", "pid": "7", "last_heartbeat": heard})
    redis.set(queue_state.SCHEDULER_KEY, '{"at": "never"}' if heard else "[]")
    assert "alpha:7 Listens nothing – none" in page(vera)


def test_no_worker_is_the_cause_when_nothing_moves(otto: Client, people: dict[str, User]) -> None:
    call_command("reconcile", once=True)
    make_jobs(people["otto"], 2)
    assert "Nothing moves" not in page(otto)  # they came a moment ago
    old()
    html = page(otto)
    assert "Nothing moves: 2 jobs have waited for a while" in html
    assert "No worker listens on queue converge." in html
    listed = otto.get("/").content.decode()
    assert "No worker listens on queue converge." in listed
    assert 'href="/runtimes/"' in listed
    assert "No worker listens on queue converge." in render_page("jobs", "")


def test_a_job_whose_runtime_died_does_not_count_as_one_at_work(
    otto: Client, people: dict[str, User]
) -> None:
    make_jobs(people["otto"], 1, status="running", worker="beta:9", lease_until=database_clock() - 100)
    html = page(otto)
    assert "Nothing moves: 1 job has waited" in html
    assert "beta:9 Gone job 0" in html
    assert "lease is over" in html
    Job.objects.update(lease_until=database_clock() + 10)
    html = page(otto)
    assert "Nothing moves" not in html
    assert "beta:9 Not heard job 0" in html


def test_a_decision_that_nobody_reads_counts_as_a_job_that_waits(people: dict[str, User]) -> None:
    (job,) = make_jobs(people["otto"], 1, status="waiting")
    Decision.objects.create(job=job, act="retry", by_name="otto", receipt="r-1")
    assert read_runtimes().standstill is None
    Decision.objects.update(created_at=timezone.now() - dt.timedelta(minutes=2))
    standstill = read_runtimes().standstill
    assert standstill is not None
    assert str(standstill.stuck) == "1"


def test_redis_out_is_said_plainly(otto: Client, people: dict[str, User], no_redis: None) -> None:
    make_jobs(
        people["otto"], 1, status="running", worker="beta:9", cycle=3, lease_until=database_clock() + 10
    )
    html = page(otto)
    assert "Redis does not answer, so nothing that is due reaches a worker." in html
    assert "Messages in it not known" in html
    assert "beta:9 Not heard job 0 #" in html  # the database knows who holds what
    assert "No worker listens" not in html  # which nobody can know
    assert otto.get("/").status_code == 200


def test_while_redis_is_out_nobody_waits_for_it_twice(
    monkeypatch: pytest.MonkeyPatch, no_redis: None
) -> None:
    asked: list[int] = []
    ask = queue_state.queue_state
    monkeypatch.setattr("converge_site.fragments.queue_watch.queue_state", lambda: asked.append(1) or ask())
    assert [watch_queue().reachable for _ in range(5)] == [False] * 5
    assert len(asked) == 1


def test_the_schedulers_last_round_is_told(vera: Client, redis: Redis) -> None:
    assert "No scheduler was heard of." in page(vera)
    call_command("reconcile", once=True)
    html = page(vera)
    assert "on time" in html
    assert "No scheduler" not in html
    said = redis.get(queue_state.SCHEDULER_KEY).decode()
    redis.set(queue_state.SCHEDULER_KEY, re.sub(r'"at": [\d.]+', '"at": 1767322800', said))
    html = page(vera)
    assert "silent" in html
    assert "2026-01-02 03:00 UTC" in html


def test_a_round_without_redis_is_no_trouble(no_redis: None) -> None:
    assert queue_state.note_round(0) is False


def test_who_has_waited_longest_comes_first(vera: Client, people: dict[str, User]) -> None:
    make_jobs(people["otto"], LONGEST + 5)
    view = read_runtimes()
    assert [job.title for job in view.longest] == [f"job {number}" for number in range(LONGEST)]
    assert str(view.queued) == str(LONGEST + 5)


def test_the_page_asks_little_whatever_there_is(vera: Client, people: dict[str, User]) -> None:
    vera.get("/runtimes/")
    make_jobs(people["otto"], 60)
    make_jobs(people["otto"], 30, status="running", worker="beta:9", lease_until=database_clock() + 10)
    with CaptureQueriesContext(connection) as captured:
        assert vera.get("/runtimes/").status_code == 200
    assert len(captured) <= 25


def test_what_is_pushed_is_what_the_page_shows(vera: Client, people: dict[str, User]) -> None:
    make_jobs(people["otto"], 2, status="running", worker="beta:9", lease_until=database_clock() + 10)
    assert render_page("runtimes", "").strip() in vera.get("/runtimes/").content.decode()
    assert render_page("tools", "q=none").strip() in vera.get("/tools/?q=none").content.decode()
