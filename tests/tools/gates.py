"""A tool and its gate, in short words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.conf import settings
from redis import Redis

from runtime.tools import ToolFailed
from runtime.tools.gate import Busy, RedisGate
from runtime.tools.spec import ToolSpec
from tests.waiting import eventually


def tool(**settings: float) -> ToolSpec:
    # Times so long that none passes within a test, unless the test says otherwise.
    quiet = {"failure_threshold": 3, "window": 600.0, "open_seconds": 600.0, "open_max": 6000.0}
    return ToolSpec("search", **{**quiet, "concurrency": 10, "timeout": 600.0, **settings})  # type: ignore[arg-type]


def refusal(gate: RedisGate, spec: ToolSpec) -> ToolFailed:
    with pytest.raises(ToolFailed) as caught:
        gate.enter(spec)
    return caught.value


def fail(gate: RedisGate, spec: ToolSpec, times: int = 1) -> None:
    for _ in range(times):
        assert gate.leave(gate.enter(spec), "failed") is False


def until(holds: Callable[[], bool]) -> None:
    assert eventually(holds, seconds=10)


def is_let_in(gate: RedisGate, spec: ToolSpec) -> bool:
    try:
        gate.leave(gate.enter(spec), "neutral")
    except (Busy, ToolFailed):
        return False
    return True


def now() -> float:
    seconds, micros = Redis.from_url(settings.CONVERGE_REDIS_URL).time()
    return float(seconds) + float(micros) / 1e6


def let_the_pause_pass() -> None:
    Redis.from_url(settings.CONVERGE_REDIS_URL).hset("converge:tool:{search}", "next_probe", "0")
