"""Async agents of one cycle run together, each under its own deadline."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from runtime.agents import propose, run_all
from runtime.engine import Failure, Proposal
from tests.agents.failures import failure_of
from tests.agents.fakes import functions, run_of


async def returns_list(view: Any) -> list[Proposal]:
    await asyncio.sleep(0)
    return [propose("pet", "rex", "dog")]


async def yields(view: Any) -> AsyncIterator[Proposal]:
    yield propose("pet", "rex", "dog")


async def says_nothing(view: Any) -> None: ...


def test_async_agents_may_return_or_yield() -> None:
    calls = functions(returns_list, yields, says_nothing)
    effects = run_all([run_of(name) for name in calls], calls)
    assert [len(effect.proposals) for effect in effects] == [1, 1, 0]
    assert [effect.agent for effect in effects] == list(calls)


def test_async_agents_really_run_together() -> None:
    meeting: dict[str, asyncio.Event] = {}

    async def meets(item: Any, view: Any) -> Proposal:
        mine, other = meeting.setdefault(item, asyncio.Event()), "b" if item == "a" else "a"
        mine.set()
        await meeting.setdefault(other, asyncio.Event()).wait()
        return propose("pet", item, "met")

    runs = [run_of("meets", shape="each", item=name, timeout=2.0, shown=name) for name in ("a", "b")]
    effects = run_all(runs, functions(meets, shape="each"))
    assert [effect.failure for effect in effects] == [None, None]


def test_effects_keep_the_order_of_the_runs_whoever_finished_first() -> None:
    order: list[str] = []

    async def waits(item: Any, view: Any) -> Proposal:
        for _ in range(int(item)):
            await asyncio.sleep(0)
        order.append(item)
        return propose("pet", item, "done")

    def plain(item: Any, view: Any) -> Proposal:
        return propose("pet", item, "plain")

    names = ["9", "1", "5"]
    runs = [run_of("waits", shape="each", item=name, shown=name) for name in names]
    runs.append(run_of("plain", shape="each", item="0", shown="0"))
    effects = run_all(runs, functions(waits, plain, shape="each"))
    assert order == ["1", "5", "9"]
    assert [effect.item for effect in effects] == [*names, "0"]


def test_async_failures_are_told_like_plain_ones() -> None:
    async def raises(view: Any) -> None:
        raise ValueError("no such pet")

    async def exits(view: Any) -> None:
        raise SystemExit(3)

    async def cancels(view: Any) -> None:
        raise asyncio.CancelledError

    async def times_out_itself(view: Any) -> None:
        raise TimeoutError("my own")

    async def babbles(view: Any) -> Any:
        return "dog"

    assert failure_of(raises) == Failure("agent_error", "ValueError: no such pet")
    assert failure_of(exits).message == "SystemExit: 3"
    assert failure_of(cancels).cls == "agent_error"
    assert failure_of(times_out_itself) == Failure("agent_error", "TimeoutError: my own")
    assert failure_of(babbles).cls == "bad_output"


def test_an_async_agent_that_waits_for_ever_times_out() -> None:
    async def waits(view: Any) -> None:
        await asyncio.Event().wait()

    assert failure_of(waits, timeout=0.02) == Failure("timeout", "It took longer than 0.02 s.", True)


def test_an_async_agent_that_swallows_its_cancellation_is_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.agents.together.GRACE", 0.05)

    async def clings(view: Any) -> None:
        for _ in range(1000):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.02)

    assert failure_of(clings, timeout=0.02).cls == "timeout"


def test_an_async_agent_that_blocks_the_loop_is_interrupted_and_others_finish() -> None:
    async def blocks(view: Any) -> None:
        while True:
            pass

    async def works(view: Any) -> Proposal:
        return propose("pet", "rex", "dog")

    calls = functions(blocks, works)
    blocked, fine = run_all([run_of("blocks", timeout=0.05), run_of("works")], calls)
    assert blocked.failure is not None
    assert blocked.failure.cls == "timeout"
    assert fine.failure is None


def test_what_an_async_agent_started_and_left_cannot_hurt_the_runtime() -> None:
    async def explodes() -> None:
        raise SystemExit

    async def lingers() -> None:
        await asyncio.Event().wait()

    async def leaves(view: Any) -> Proposal:
        left = [asyncio.ensure_future(explodes()), asyncio.ensure_future(lingers())]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return propose("pet", str(len(left)), "dog")

    (effect,) = run_all([run_of("leaves")], functions(leaves))
    assert effect.failure is None
    assert len(effect.proposals) == 1
