"""One breaker and one limit over several real processes."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from typing import Any

import pytest
from django.conf import settings
from redis import Redis

from runtime.tools.gate import Busy, RedisGate
from runtime.tools.spec import ToolSpec
from tests.tools.cast import tool_at
from tests.tools.servers import Request, hangs, says, serving

PROCESSES = 3


async def start(tool: ToolSpec, calls: int) -> Process:
    given = json.dumps(dataclasses.asdict(tool))
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.tools.hammer",
        settings.CONVERGE_REDIS_URL,
        str(calls),
        given,
        stdout=PIPE,
    )


async def result(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    lines = (await asyncio.wait_for(process.stdout.read(), 60)).decode().splitlines()
    assert await process.wait() == 0
    return dict(json.loads(lines[-1]))


@pytest.mark.parametrize(
    ("reply", "threshold", "concurrency"), [(says({}, 503), 5, 8), (says({}, 503), 6, 2), (hangs, 5, 4)]
)
async def test_calls_at_a_dead_tool_stop_within_the_threshold_over_all_processes(
    gate: RedisGate, reply: Any, threshold: int, concurrency: int
) -> None:
    async with serving(reply) as server:
        tool = tool_at(
            server.url,
            attempts=3,
            # A server that reads later than this would count one request less.
            timeout=3.0 if reply is hangs else 30.0,
            failure_threshold=threshold,
            concurrency=concurrency,
            open_seconds=600.0,
        )
        results = await asyncio.gather(
            *[result(process) for process in [await start(tool, 15) for _ in range(PROCESSES)]]
        )
        assert threshold <= len(server.requests) <= max(threshold, concurrency)
        if reply is not hangs:  # that one does not notice when its caller leaves
            assert server.most_under_way <= concurrency
        assert sum(each["sent"] for each in results) == len(server.requests)
    ended = sum((Counter(each["ended"]) for each in results), Counter())
    assert sum(ended.values()) == 15 * PROCESSES
    assert ended["circuit_open"] >= 15 * PROCESSES - len(server.requests)
    assert gate.state("search").status == "open"
    assert gate.state("search").in_flight == 0


async def test_probes_are_bounded_over_all_processes_and_a_success_lets_all_go_on(
    gate: RedisGate,
) -> None:
    go_on = asyncio.Event()
    both = asyncio.Event()

    async def slow(request: Request, writer: asyncio.StreamWriter) -> None:
        if server.under_way == 2:
            both.set()
        await go_on.wait()
        await says({})(request, writer)

    async with serving(slow) as server:
        tool = tool_at(server.url, probes=2, failure_threshold=1, open_seconds=0.0, timeout=30.0)
        gate.leave(gate.enter(tool), "failed")
        processes = [await start(tool, 5) for _ in range(PROCESSES)]
        await asyncio.wait_for(both.wait(), 30)
        for process in processes:  # each has asked for a place beside the two probes, and got none
            assert process.stdout is not None
            assert await asyncio.wait_for(process.stdout.readline(), 30) == b"busy\n"
        assert len(server.requests) == 2
        go_on.set()
        results = await asyncio.gather(*(result(process) for process in processes))
    assert [each["ended"] for each in results] == [{"ok": 5}] * PROCESSES
    assert sum(each["sent"] for each in results) == len(server.requests) == 15
    assert gate.state("search").status == "closed"


async def test_killed_process_gives_its_place_back_in_time(gate: RedisGate, redis: Redis) -> None:
    async with serving(hangs) as server:
        tool = tool_at(server.url, concurrency=1, timeout=60.0)
        process = await start(tool, 1)
        await asyncio.wait_for(server.came.wait(), 30)
        assert gate.state("search").in_flight == 1
        process.kill()
        await process.wait()
        with pytest.raises(Busy):
            gate.enter(tool)
        slots = "converge:tool:{search}:slots"
        ((ticket, free_at),) = redis.zrange(slots, 0, -1, withscores=True)
        assert 0 < free_at - float(redis.time()[0]) <= 66
        redis.zadd(slots, {ticket: float(redis.time()[0])})  # as if that time had passed
        gate.leave(gate.enter(tool), "ok")
