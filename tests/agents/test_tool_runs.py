"""Runs that call tools: in lanes, each in its own time, with their calls in the record however they end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from runtime.agents import Pack, propose, run_all
from runtime.agents.functions import Function
from runtime.engine import Failure
from runtime.engine.inputs import Call
from runtime.tools import ToolFailed, call_tool
from runtime.tools.gate import Busy, MemoryGate, Ticket
from runtime.tools.record import MemoryRecorder
from runtime.tools.session import CURRENT, ToolSession
from runtime.tools.spec import ToolSpec
from tests.agents.fakes import run_of
from tests.agents.outside import NEAR, calls_of, facts, failures, rehearse, seed


@pytest.fixture
def threaded() -> Iterator[HTTPServer]:
    """A server that answers several requests at a time."""
    with HTTPServer(threaded=True) as server:
        yield server


def pets(url: str, **settings: Any) -> Pack:
    """A pack with tools at `url` and no agents."""
    pack = Pack("pets")
    pack.key("pet", seed=True)
    pack.key("verdict")
    for name in ("oracle", "augur"):
        pack.tool(name, url=url, **{**NEAR, **settings})
    return pack


def herd(count: int) -> list[dict[str, Any]]:
    return [seed("pet", f"p{n}", n) for n in range(count)]


class Session:
    """A session that notes who is let in, and whose runs have made `notes`."""

    def __init__(self, concurrency: int, log: list[str], notes: tuple[Call, ...] = ()) -> None:
        self.tools = {"oracle": ToolSpec("oracle", concurrency=concurrency)}
        self.is_stopped = False
        self.log = log
        self.notes = notes

    async def watch_stop(self) -> None: ...

    def for_run(self, agent: str, item: str | None, seconds: float) -> Any:
        self.log.append(f"in {item}")
        return SimpleNamespace(notes=self.notes)


def run_in_lanes(call: Any, items: str, session: Any, timeout: float = 5.0) -> list[Any]:
    runs = [run_of("agent", "each", item, timeout, shown=item) for item in items]
    return run_all(runs, {"agent": Function(call, True, "oracle")}, session=session)


def test_no_more_runs_are_under_way_than_the_tool_takes_calls() -> None:
    log: list[str] = []

    async def ask(item: str, view: Any) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        log.append(f"out {item}")

    run_in_lanes(ask, "abc", Session(1, log))
    assert log == ["in a", "out a", "in b", "out b", "in c", "out c"]
    log.clear()
    run_in_lanes(ask, "abcd", Session(2, log))
    assert log[:4] == ["in a", "in b", "out a", "out b"]
    under_way = [sum(1 if line.startswith("in") else -1 for line in log[:at]) for at in range(len(log) + 1)]
    assert max(under_way) == 2


def test_a_thousand_items_share_the_lanes_of_their_tool(threaded: HTTPServer) -> None:
    meet, lock, under_way = threading.Barrier(3), threading.Lock(), [0, 0]

    def answer(request: Request) -> Response:
        with lock:
            under_way[0] += 1
            under_way[1] = max(under_way)
        with contextlib.suppress(threading.BrokenBarrierError):
            meet.wait(timeout=5)
        with lock:
            under_way[0] -= 1
        return Response('{"proposals": []}', content_type="application/json")

    threaded.expect_request("/").respond_with_handler(answer)
    pack = pets(threaded.url_for("/"), concurrency=3)
    pack.http("judge", tool="oracle", over="pet", writes=["verdict"])
    job = rehearse(pack, herd(30))
    assert not failures(job)
    assert len(calls_of(job)) == 30
    assert under_way[1] == 3


def test_a_run_that_clings_in_its_lane_is_left_behind_and_the_next_has_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.agents.together.GRACE", 0.05)
    log: list[str] = []

    async def clings(item: str, view: Any) -> Any:
        while item == "a":
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            if log.count("in b"):
                break
        return propose("pet", item, 1)

    first, second = run_in_lanes(clings, "ab", Session(1, log, (Call("oracle", 1),)), timeout=0.05)
    assert first.failure is not None and first.failure.cls == "timeout"
    assert second.failure is None
    assert list(first.calls) == [Call("oracle", 1)]


def test_a_run_sees_its_own_calls_only() -> None:
    seen: list[Any] = []

    async def looks(item: str, view: Any) -> None:
        before = CURRENT.get()
        await asyncio.sleep(0)
        seen.append(before is CURRENT.get())
        seen.append(id(before))

    run_in_lanes(looks, "abc", Session(3, []))
    assert seen.count(True) == 3
    assert len({one for one in seen if one is not True}) == 3


def test_a_pack_s_own_agent_may_call_tools(threaded: HTTPServer) -> None:
    threaded.expect_request("/v1/ask", json={"of": "p0"}).respond_with_json({"verdict": "yes"})
    pack = pets(threaded.url_for("/v1"))

    @pack.each("pet", writes=["verdict"])
    async def ask(pet: Any, view: Any) -> Any:
        said = await call_tool("oracle", {"of": pet.subject}, "/ask")
        return propose("verdict", pet.subject, said["verdict"])

    job = rehearse(pack, herd(1))
    assert facts(job, "verdict") == {"p0": "yes"}
    assert calls_of(job) == [{"item": "p0", "tool": "oracle"}]


def test_what_a_tool_fails_with_is_the_failure_of_a_pack_s_own_agent(threaded: HTTPServer) -> None:
    threaded.expect_request("/").respond_with_data("", status=404)
    pack = pets(threaded.url_for("/"))

    @pack.agent(reads=["pet"], writes=["verdict"])
    async def ask(view: Any) -> None:
        await call_tool("oracle", {})

    job = rehearse(pack, herd(1))
    (failure,) = failures(job)
    assert (failure.cls, failure.transient, failure.tool) == ("refused", False, "oracle")
    assert calls_of(job) == [{"tool": "oracle", "cls": "refused"}]


def test_of_several_calls_that_failed_at_once_the_same_one_is_told() -> None:
    told = set()
    for order in (("oracle", "augur"), ("augur", "oracle")):

        async def fails(item: str, view: Any, order: tuple[str, str] = order) -> None:
            inner = [ToolFailed("timeout", f"{name} did not answer in time.", tool=name) for name in order]
            raise ExceptionGroup("both", [ExceptionGroup("one", inner[:1]), inner[1]])

        (effect,) = run_in_lanes(fails, "a", Session(1, []))
        told.add(effect.failure)
    assert [failure.tool for failure in told] == ["augur"]


def test_a_tool_that_does_not_answer_ends_the_run_in_time_and_is_named(threaded: HTTPServer) -> None:
    over = threading.Event()

    def hang(request: Request) -> Response:
        over.wait(10)
        return Response("{}")

    threaded.expect_request("/").respond_with_handler(hang)
    pack = pets(threaded.url_for("/"))
    pack.http("judge", tool="oracle", over="pet", writes=["verdict"], timeout=0.4)
    try:
        job = rehearse(pack, herd(1))
    finally:
        over.set()
    (failure,) = failures(job)
    assert (failure.cls, failure.transient, failure.tool) == ("timeout", True, "oracle")
    assert calls_of(job) == [{"item": "p0", "tool": "oracle", "cls": "timeout"}]


def test_an_agent_without_tools_has_no_calls() -> None:
    async def works(item: str, view: Any) -> None: ...

    def plain(item: str, view: Any) -> None: ...

    for function in (Function(works, True), Function(plain)):
        (effect,) = run_all([run_of("agent", "each", "a")], {"agent": function})
        assert effect.calls == ()


class Full(MemoryGate):
    """Has no place until it was asked often enough."""

    def __init__(self, asked: int) -> None:
        self.left = asked

    def enter(self, tool: ToolSpec) -> Ticket:
        self.left -= 1
        if self.left >= 0:
            raise Busy
        return super().enter(tool)


@pytest.mark.parametrize("lane", ["oracle", ""])
def test_the_wait_for_a_place_is_not_counted_against_a_run(threaded: HTTPServer, lane: str) -> None:
    """Waiting and calling together may take longer than the agent's time."""

    def answer(request: Request) -> Response:
        threading.Event().wait(1.3)
        return Response("{}", content_type="application/json")

    threaded.expect_request("/").respond_with_handler(answer)
    tool = ToolSpec("oracle", url=threaded.url_for("/"), allow=("127.0.0.1",), timeout=5.0, concurrency=1)
    began = time.monotonic()

    class Slow(Full):
        def enter(self, tool: ToolSpec) -> Ticket:
            self.left = 1 if time.monotonic() - began < 1.3 else 0
            return super().enter(tool)

    async def ask(item: str, view: Any) -> Any:
        return propose("pet", item, await call_tool("oracle", {"of": item}))

    session = ToolSession("7", 1, {"oracle": tool}, Slow(0), MemoryRecorder(), 100, 100)
    runs = [run_of("agent", "each", "a", 2.4, shown="a")]
    (effect,) = run_all(runs, {"agent": Function(ask, True, lane)}, session=session)
    assert effect.failure is None
    assert [(call.attempts, call.cls) for call in effect.calls] == [(1, "")]


@pytest.mark.parametrize("lane", ["oracle", ""])
def test_a_run_that_never_gets_a_place_says_so_and_ends_all_the_same(lane: str) -> None:
    tool = ToolSpec("oracle", url="http://127.0.0.1:9/", allow=("127.0.0.1",))

    async def ask(item: str, view: Any) -> Any:
        return await call_tool("oracle", {"of": item})

    session = ToolSession("7", 1, {"oracle": tool}, Full(10**9), MemoryRecorder(), 100, 100)
    runs = [run_of("agent", "each", "a", 0.5, shown="a")]
    began = time.monotonic()
    (effect,) = run_all(runs, {"agent": Function(ask, True, lane)}, session=session)
    assert time.monotonic() - began < 20
    assert effect.failure == Failure("rate_limited", "oracle has no free place.", True, "oracle")
    assert [(call.attempts, call.cls) for call in effect.calls] == [(0, "rate_limited")]


def test_a_run_that_got_its_place_has_its_own_time_and_no_more(threaded: HTTPServer) -> None:
    threaded.expect_request("/").respond_with_json({})
    tool = ToolSpec("oracle", url=threaded.url_for("/"), allow=("127.0.0.1",), timeout=5.0)
    over: list[float] = []

    async def ask(item: str, view: Any) -> Any:
        await call_tool("oracle", {"of": item})
        over.append(time.monotonic())
        await asyncio.Event().wait()

    session = ToolSession("7", 1, {"oracle": tool}, Full(5), MemoryRecorder(), 100, 100)
    runs = [run_of("agent", "each", "a", 2.0, shown="a")]
    (effect,) = run_all(runs, {"agent": Function(ask, True, "oracle")}, session=session)
    assert effect.failure == Failure("timeout", "It took longer than 2 s.", True)
    assert time.monotonic() - over[0] < 3.0
