"""What can go wrong outside the code: each fault is named, lasts a while, and is healed at its end."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError

from runtime.queue import QUEUE_NAME, enqueue_job
from tests.chaos.databases import clock_steps, write_lock
from tests.chaos.house import House
from tests.chaos.members import Member

LIST = f"rq:queue:{QUEUE_NAME}"
FIVE_MINUTES = 300.0


@dataclass(frozen=True)
class Fault:
    """`act` does it and returns when it is healed. `seconds` is how long it lasts, `on` which databases it is for."""

    name: str
    act: Callable[[House, random.Random, float], None]
    seconds: float = 0.0
    on: tuple[str, ...] = ("sqlite", "postgresql")


FAULTS: dict[str, Fault] = {}
_still = threading.Event()


def _pause(seconds: float) -> None:
    _still.wait(seconds)


def _fault(
    name: str, seconds: float = 0.0, on: tuple[str, ...] = ("sqlite", "postgresql")
) -> Callable[..., None]:
    def take(act: Callable[[House, random.Random, float], None]) -> None:
        FAULTS[name] = Fault(name, act, seconds, on)

    return take


# Processes


def _some_worker(house: House, draws: random.Random) -> Member:
    return draws.choice(house.targets)


@_fault("worker killed")
def _kill_worker(house: House, draws: random.Random, seconds: float) -> None:
    _some_worker(house, draws).signal(signal.SIGKILL)


@_fault("all workers killed")
def _kill_workers(house: House, draws: random.Random, seconds: float) -> None:
    for member in house.targets:
        member.signal(signal.SIGKILL)


@_fault("scheduler killed")
def _kill_scheduler(house: House, draws: random.Random, seconds: float) -> None:
    house.scheduler.signal(signal.SIGKILL)


@_fault("web killed")
def _kill_web(house: House, draws: random.Random, seconds: float) -> None:
    house.web.signal(signal.SIGKILL)


@_fault("worker paused past its lease", 5.0)
def _pause_worker(house: House, draws: random.Random, seconds: float) -> None:
    process = _some_worker(house, draws).process
    if process is not None:
        process.signal(signal.SIGSTOP)
        _pause(seconds)
        process.signal(signal.SIGCONT)


@_fault("all workers paused past their leases", 5.0)
def _pause_workers(house: House, draws: random.Random, seconds: float) -> None:
    found = [member.process for member in house.targets if member.process is not None]
    for process in found:
        process.signal(signal.SIGSTOP)
    _pause(seconds)
    for process in found:
        process.signal(signal.SIGCONT)


@_fault("web paused", 3.0)
def _pause_web(house: House, draws: random.Random, seconds: float) -> None:
    process = house.web.process
    if process is not None:
        process.signal(signal.SIGSTOP)
        _pause(seconds)
        process.signal(signal.SIGCONT)


@_fault("deploy: all told to end")
def _deploy(house: House, draws: random.Random, seconds: float) -> None:
    """Workers, scheduler and web are asked to end, in the order of `up`, and started again by whoever keeps them."""
    for members in ([house.scheduler], house.workers, [house.web]):
        for member in members:
            member.signal(signal.SIGTERM)
        _pause(0.3)


@_fault("worker with a clock five minutes ahead", 4.0)
def _clock_ahead(house: House, draws: random.Random, seconds: float) -> None:
    member = _some_worker(house, draws)
    house.keeper.restart(member, CHAOS_CLOCK_OFFSET=str(FIVE_MINUTES))


@_fault("worker with a clock five minutes behind", 4.0)
def _clock_behind(house: House, draws: random.Random, seconds: float) -> None:
    member = _some_worker(house, draws)
    house.keeper.restart(member, CHAOS_CLOCK_OFFSET=str(-FIVE_MINUTES))


# Redis


@_fault("Redis killed", 2.0)
def _kill_redis(house: House, draws: random.Random, seconds: float) -> None:
    house.redis.held_down = True
    house.redis.signal(signal.SIGKILL)
    _pause(seconds)
    house.redis.held_down = False


@_fault("Redis flushed")
def _flush_redis(house: House, draws: random.Random, seconds: float) -> None:
    with _redis(house) as client:
        client.flushall()


@_fault("Redis frozen", 6.0)
def _freeze_redis(house: House, draws: random.Random, seconds: float) -> None:
    process = house.redis.process
    if process is not None:
        process.signal(signal.SIGSTOP)
        _pause(seconds)
        process.signal(signal.SIGCONT)


@_fault("Redis slow", 4.0)
def _slow_redis(house: House, draws: random.Random, seconds: float) -> None:
    """It runs a fifth of the time."""
    process = house.redis.process
    for _ in range(int(seconds / 0.5)):
        if process is not None:
            process.signal(signal.SIGSTOP)
            _pause(0.4)
            process.signal(signal.SIGCONT)
            _pause(0.1)


@_fault("messages doubled tenfold")
def _double(house: House, draws: random.Random, seconds: float) -> None:
    from runtime.models import Job

    for number in Job.objects.order_by("-id").values_list("id", flat=True)[:10]:
        for _ in range(10):
            enqueue_job(number)


@_fault("messages late", 2.0)
def _delay(house: House, draws: random.Random, seconds: float) -> None:
    with _redis(house) as client:
        kept = [client.rpop(LIST) for _ in range(client.llen(LIST))]
        _pause(seconds)
        for message in filter(None, kept):
            client.lpush(LIST, message)


@_fault("messages reordered")
def _reorder(house: House, draws: random.Random, seconds: float) -> None:
    with _redis(house) as client:
        kept = [message for _ in range(client.llen(LIST)) if (message := client.rpop(LIST))]
        draws.shuffle(kept)
        for message in kept:
            client.lpush(LIST, message)


@_fault("messages dropped")
def _drop(house: House, draws: random.Random, seconds: float) -> None:
    with _redis(house) as client:
        client.delete(LIST)


@contextmanager
def _redis(house: House) -> Iterator[Redis]:
    with (
        suppress(RedisError),
        Redis.from_url(house.redis_url, socket_timeout=2, socket_connect_timeout=2, retry=None) as client,
    ):
        yield client


# The database


@_fault("database locked", 10.0)
def _lock(house: House, draws: random.Random, seconds: float) -> None:
    with write_lock():
        _pause(seconds)


@_fault("disk full", 5.0)
def _fill(house: House, draws: random.Random, seconds: float) -> None:
    with house.disk.full(house.pids()):
        _pause(seconds)


@_fault("PostgreSQL restarted", on=("postgresql",))
def _restart_postgres(house: House, draws: random.Random, seconds: float) -> None:
    assert house.postgres is not None
    house.postgres.restart()


@_fault("connections to PostgreSQL cut", on=("postgresql",))
def _cut(house: House, draws: random.Random, seconds: float) -> None:
    house.line.cut_all()


@_fault("connection lost before COMMIT", 2.0, on=("postgresql",))
def _cut_before(house: House, draws: random.Random, seconds: float) -> None:
    house.line.cut_commits("before", 3)
    _pause(seconds)


@_fault("connection lost after COMMIT", 2.0, on=("postgresql",))
def _cut_after(house: House, draws: random.Random, seconds: float) -> None:
    house.line.cut_commits("after", 3)
    _pause(seconds)


@_fault("the database's clock jumps ahead five minutes")
def _jump_ahead(house: House, draws: random.Random, seconds: float) -> None:
    clock_steps(FIVE_MINUTES)


@_fault("the database's clock jumps back five minutes")
def _jump_back(house: House, draws: random.Random, seconds: float) -> None:
    clock_steps(-FIVE_MINUTES)
