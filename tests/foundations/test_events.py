"""Hints reach the groups, are joined when they come fast, and harm nobody when Redis is out."""

import asyncio
import time
from typing import Any

import pytest
from channels.layers import get_channel_layer

from runtime import events


async def listen(*groups: str) -> tuple[Any, str]:
    layer = get_channel_layer()
    channel = await layer.new_channel()
    for group in groups:
        await layer.group_add(group, channel)
    return layer, channel


async def test_hint_reaches_the_jobs_group_and_the_general_one() -> None:
    layer, of_job = await listen(events.job_group(17))
    _, of_all = await listen(events.ALL_JOBS_GROUP)
    events.publish_job_event(17, 4, 9)
    expected = {"type": "job.event", "job": "17", "first": 4, "last": 9}
    async with asyncio.timeout(5):
        assert await layer.receive(of_job) == expected
        assert await layer.receive(of_all) == expected


async def test_hints_of_a_fast_job_are_joined_without_a_gap() -> None:
    layer, channel = await listen(events.job_group(18))
    for seq in range(1, 1001):
        events.publish_job_event(18, seq, seq)
    last, received = 0, 0
    async with asyncio.timeout(5):
        while last < 1000:
            event = await layer.receive(channel)
            assert event["first"] == last + 1
            last, received = event["last"], received + 1
    assert received < 200


def test_redis_that_is_out_costs_the_committer_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class OutOfReach:
        async def group_send(self, group: str, message: dict[str, Any]) -> None:
            await asyncio.sleep(60)

    monkeypatch.setattr(events, "SEND_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(events, "get_channel_layer", OutOfReach)
    failed = events.counts.failed
    began = time.perf_counter()
    for seq in range(1, 1001):
        events.publish_job_event(19, seq, seq)
    assert time.perf_counter() - began < 1
    assert events._publisher.flush(5)
    assert events.counts.failed > failed
