"""What the queue, its workers and the scheduler say of themselves, for pages and commands. Redis alone is asked: what
the database says of jobs and leases is told elsewhere."""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from runtime.queue import QUEUE_NAME, backtest_of, name_of, outage, redis_client, text_of

SCHEDULER_KEY = "converge:scheduler"
SCHEDULER_TTL_SECONDS = 86_400


@dataclass(frozen=True)
class WorkerState:
    """A worker process that was heard of in the last seconds."""

    name: str
    host: str
    pid: int
    state: str  # RQ's word: "idle" or "busy"
    job_id: str | None  # what it runs
    jobs_done: int
    backtest_id: int | None = None  # whose slice it is at
    since: dt.datetime | None = None  # when it took that up
    heard_at: dt.datetime | None = None


@dataclass(frozen=True)
class SchedulerState:
    """The last round of the scheduler, by its own clock, and how many jobs that put in the queue."""

    at: dt.datetime
    host: str
    pid: int
    enqueued: int


@dataclass(frozen=True)
class QueueState:
    """What the pages show of the queue. `reachable` is False, and the rest empty, when Redis is out."""

    reachable: bool
    queued: int
    workers: tuple[WorkerState, ...]
    scheduler: SchedulerState | None = None  # None: nothing was heard of one for a day


def queue_state() -> QueueState:
    """Returns the queue's length, the workers that listen and the scheduler, for the pages; within about a second."""
    client = redis_client(settings.CONVERGE_REDIS_URL)
    try:
        keys = sorted(text_of(key) for key in client.smembers(f"rq:workers:{QUEUE_NAME}"))
        with client.pipeline(transaction=False) as pipeline:
            pipeline.llen(f"rq:queue:{QUEUE_NAME}")
            pipeline.get(SCHEDULER_KEY)
            for key in keys:
                pipeline.hgetall(key)
                pipeline.smembers(f"{key}:executions")
            queued, scheduler, *rows = pipeline.execute()
        found = [
            (k, row, running) for k, row, running in zip(keys, rows[::2], rows[1::2], strict=True) if row
        ]
        began = _read_began(client, [execution for *_, running in found for execution in running])
    except RedisError:
        return QueueState(reachable=False, queued=0, workers=())
    workers = tuple(_worker_state(key, row, running, began) for key, row, running in found)
    return QueueState(reachable=True, queued=queued, workers=workers, scheduler=_scheduler_state(scheduler))


def note_round(enqueued: int) -> bool:
    """Says that the scheduler has done a round; False, after at most a second, if Redis is out."""
    said = {"at": time.time(), "host": socket.gethostname(), "pid": os.getpid(), "enqueued": enqueued}
    try:
        redis_client(settings.CONVERGE_REDIS_URL).set(
            SCHEDULER_KEY, json.dumps(said), ex=SCHEDULER_TTL_SECONDS
        )
    except RedisError as error:
        outage.note(error)
        return False
    return True


def _read_began(client: Redis, executions: list[Any]) -> dict[str, dt.datetime]:
    """When what is under way was taken up, by the name RQ gives it."""
    names = [text_of(execution) for execution in executions]
    if not names:
        return {}
    with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.hget(f"rq:execution:{name}", "created_at")
        began = pipeline.execute()
    moments = {name: _moment(at) for name, at in zip(names, began, strict=True) if at}
    return {name: at for name, at in moments.items() if at is not None}


def _moment(said: bytes | str | float) -> dt.datetime | None:
    """Seconds since 1970, or a date and a time, as RQ writes them; None for anything else."""
    text = text_of(said) if isinstance(said, bytes | str) else str(said)
    try:
        return (
            dt.datetime.fromisoformat(text) if "T" in text else dt.datetime.fromtimestamp(float(text), dt.UTC)
        )
    except (ValueError, OverflowError):
        return None


def _scheduler_state(said: bytes | str | None) -> SchedulerState | None:
    if said is None:
        return None
    try:
        fields = json.loads(said)
        at = _moment(fields["at"])
        if at is None:
            return None
        return SchedulerState(at, str(fields["host"]), int(fields["pid"]), int(fields["enqueued"]))
    except (ValueError, KeyError, TypeError):
        return None  # of another version, or not the scheduler's


def _worker_state(
    key: str, row: dict[Any, Any], running: set[Any], began: dict[str, dt.datetime]
) -> WorkerState:
    fields = {text_of(name): text_of(value) for name, value in row.items()}
    execution = min((text_of(member) for member in running), default="")
    name = name_of(execution.partition(":")[0]) if execution else None
    backtest = None if name is None else backtest_of(name)
    return WorkerState(
        name=key.removeprefix("rq:worker:"),
        host=fields.get("hostname", ""),
        pid=int(fields.get("pid") or 0),
        state=fields.get("state", ""),
        job_id=name if backtest is None else None,
        jobs_done=int(fields.get("successful_job_count") or 0),
        backtest_id=backtest,
        since=began.get(execution),
        heard_at=_moment(fields.get("last_heartbeat", "")),
    )
