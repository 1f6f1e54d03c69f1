"""Redis, as the runtime meets it: the queue of ids, the hints to the pages. It may lose or double anything."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from redis.exceptions import ConnectionError as NoRedis

from runtime import queue
from tests.simulation.turns import Turns


class SimulatedRedis:
    """Stands for both the client and RQ's queue on it: what `runtime.queue` calls of them."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.waiting: list[str] = []  # message ids, `<job>-<n>` or `backtest_<id>-<n>`
        self.is_out = False

    def enqueue_call(self, *, job_id: str, **rest: Any) -> None:
        """As `rq.Queue.enqueue_call`."""
        self._reach("enqueue")
        self.waiting.append(job_id)

    def lrange(self, name: str, first: int, last: int) -> list[str]:
        """As `redis.Redis.lrange`."""
        self._reach("read the queue")
        return list(self.waiting)

    def take(self) -> tuple[str, int] | None:
        """A worker takes the first message: "job" or "backtest", and the id."""
        self._reach("dequeue")
        if not self.waiting:
            return None
        name = queue.name_of(self.waiting.pop(0))
        backtest = queue.backtest_of(name)
        return ("job", int(name)) if backtest is None else ("backtest", backtest)

    def _reach(self, place: str) -> None:
        self._turns.pause(place)
        if self.is_out:
            raise NoRedis("Redis is out (simulated)")


class SimulatedLayer:
    """The channel layer: hints go to whichever web process listens, if they go anywhere."""

    def __init__(self, redis: SimulatedRedis, turns: Turns) -> None:
        self._redis, self._turns = redis, turns
        self.ears: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Queue[Mapping[str, Any]]]] = {}
        self.loses_hints = False
        self._names = 0

    async def new_channel(self) -> str:
        self._names += 1
        name = f"ear-{self._names}"
        self.ears = {name: (asyncio.get_running_loop(), asyncio.Queue())}  # there is one web process
        return name

    async def group_add(self, group: str, channel: str) -> None:
        if self._redis.is_out:
            raise NoRedis("Redis is out (simulated)")

    async def flush(self) -> None:
        """What was known of channels is forgotten."""
        self.ears.clear()

    async def receive(self, channel: str) -> Mapping[str, Any]:
        return await self.ears[channel][1].get()

    def publish(self, job_id: int | str, first_seq: int, last_seq: int) -> None:
        """As `runtime.events.publish_job_event`."""
        self._turns.pause("publish")
        if self.loses_hints or self._redis.is_out:
            return
        for loop, ear in self.ears.values():
            if not loop.is_closed():
                loop.call_soon_threadsafe(ear.put_nowait, {"job": str(job_id)})
