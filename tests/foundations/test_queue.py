"""The queue carries ids, and a worker does one thing with them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

import runtime.worker
from runtime import queue
from runtime.queue_state import QueueState, queue_state

ran: list[Any] = []


@pytest.fixture(autouse=True)
def redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """An empty queue, and a `run_job` that only notes what it was given."""
    ran.clear()
    monkeypatch.setattr(runtime.worker, "run_job", ran.append)
    with Redis.from_url(settings.CONVERGE_REDIS_URL) as client:
        client.flushall()
        yield client
        client.flushall()


def push(redis: Redis, payload: Any, **fields: str) -> str:
    """Puts a message in the queue as somebody who can write to Redis would."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    redis.hset("rq:job:forged-1", mapping={"data": data, "origin": "converge", "status": "queued", **fields})
    redis.rpush("rq:queue:converge", "forged-1")
    return "forged-1"


def failed_messages(redis: Redis) -> int:
    return int(redis.zcard("rq:failed:converge"))


@pytest.mark.django_db
def test_worker_runs_each_enqueued_id_once() -> None:
    assert queue.enqueue_job(17)
    assert queue.enqueue_job("18")
    assert queue.read_queued_ids() == {"17", "18"}
    assert queue.work(burst=True)
    assert ran == [17, "18"]
    assert queue.read_queued_ids() == frozenset()
    assert not queue.work(burst=True)


@pytest.mark.django_db
def test_wake_up_sent_while_the_job_runs_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_and_wake(job_id: Any) -> None:
        ran.append(job_id)
        if len(ran) == 1:
            queue.enqueue_job(job_id)

    monkeypatch.setattr(runtime.worker, "run_job", run_and_wake)
    queue.enqueue_job(17)
    queue.work(burst=True)
    assert ran == [17, 17]


@pytest.mark.django_db
def test_finished_messages_leave_nothing_in_redis(redis: Redis) -> None:
    for number in range(5):
        queue.enqueue_job(number)
    queue.work(burst=True)
    assert list(redis.keys("rq:job:*")) == []


def test_payload_is_json_and_holds_the_id_only(redis: Redis) -> None:
    queue.enqueue_job(17)
    message = Job.fetch(
        redis.lindex("rq:queue:converge", 0).decode(), connection=redis, serializer=JSONSerializer
    )
    assert json.loads(message.data) == ["runtime.worker.run_job", None, [17], {}]
    assert message.timeout == -1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "payload",
    [
        ["os.system", None, ["touch /tmp/forged"], {}],
        ["runtime.worker.run_job", None, [17, 18], {}],
        ["runtime.worker.run_job", None, [17], {"epoch": 1}],
        ["runtime.worker.run_job", None, ["../17"], {}],
        ["runtime.worker.run_job", None, [{"id": 17}], {}],
        ["runtime.backtesting.run_slice", None, ["17-x"], {}],
        [["runtime.worker.run_job"], None, [17], {}],
        b"\x80\x04\x95 pickle, not JSON",
    ],
    ids=["another callable", "two ids", "keywords", "no id", "an object", "no backtest", "no name", "pickle"],
)
def test_forged_message_is_refused_and_the_worker_goes_on(redis: Redis, payload: Any) -> None:
    push(redis, payload)
    queue.enqueue_job(17)
    assert queue.work(burst=True)
    assert ran == [17]
    assert failed_messages(redis) == 1


@pytest.mark.django_db
def test_callbacks_of_a_forged_message_are_not_called(redis: Redis) -> None:
    push(
        redis,
        ["runtime.worker.run_job", None, [17], {}],
        success_callback_name="tests.foundations.test_queue.ran.clear",
        webhooks=json.dumps([{"url": "http://127.0.0.1:1/", "events": ["finished"]}]),
    )
    queue.work(burst=True)
    assert ran == [17]


@pytest.mark.django_db
def test_job_that_raises_leaves_the_worker_running(monkeypatch: pytest.MonkeyPatch, redis: Redis) -> None:
    def fail_first(job_id: Any) -> None:
        ran.append(job_id)
        if job_id == 1:
            raise SystemExit(3)

    monkeypatch.setattr(runtime.worker, "run_job", fail_first)
    queue.enqueue_job(1)
    queue.enqueue_job(2)
    queue.work(burst=True)
    assert ran == [1, 2]
    assert failed_messages(redis) == 1


@pytest.mark.django_db
def test_state_names_the_worker_and_what_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[QueueState] = []
    monkeypatch.setattr(runtime.worker, "run_job", lambda job_id: seen.append(queue_state()))
    queue.enqueue_job(17)
    queue.enqueue_job(18)
    queue.work(burst=True)
    assert seen[0].reachable
    assert seen[0].queued == 1
    (worker,) = seen[0].workers
    assert (worker.job_id, worker.state, worker.jobs_done) == ("17", "busy", 0)
    assert queue_state() == QueueState(reachable=True, queued=0, workers=())


def test_worker_that_was_killed_leaves_the_state(redis: Redis) -> None:
    redis.sadd("rq:workers:converge", "rq:worker:gone")
    assert queue_state().workers == ()


def test_redis_out_is_no_exception(settings: Any, tmp_path: Any) -> None:
    settings.CONVERGE_REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    assert queue.enqueue_job(17) is False
    assert queue.read_queued_ids() is None
    assert queue_state() == QueueState(reachable=False, queued=0, workers=())
