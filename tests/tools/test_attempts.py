"""Retries, Retry-After, deadlines and the places of a call, counted at a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest

from runtime.tools import ToolFailed
from runtime.tools.gate import Busy, MemoryGate, RedisGate, Ticket, circuit_open, paused
from runtime.tools.http import read_retry_after
from runtime.tools.record import MemoryRecorder
from runtime.tools.run_clock import CLOCK, RunClock
from runtime.tools.spec import ToolSpec
from tests.tools.cast import run_of, session_of, tool_at
from tests.tools.servers import hangs, resets, says, serving
from tests.waiting import eventually


async def ask(run: Any, body: Any = None) -> Any:
    return await run.post("search", body or {"q": 1})


async def failing(run: Any) -> ToolFailed:
    with pytest.raises(ToolFailed) as caught:
        await ask(run)
    return caught.value


async def test_transient_failures_are_tried_again_under_one_key() -> None:
    async with serving(says({}, 503), resets, says({"hits": 1})) as server:
        run = run_of(tool_at(server.url, attempts=3))
        assert await ask(run) == {"hits": 1}
    assert len(server.requests) == 3
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 1
    assert [(call.tool, call.attempts, call.cls) for call in run.notes] == [("search", 3, "")]


async def test_attempts_end_with_the_last_failure() -> None:
    async with serving(says({}, 503), says({}, 500), says({}, 502)) as server:
        failed = await failing(run_of(tool_at(server.url, attempts=3)))
    assert (failed.cls, failed.status, len(server.requests)) == ("server_error", 502, 3)


@pytest.mark.parametrize("reply", [says({}, 404), says(b"nonsense")])
async def test_permanent_failures_are_not_tried_again(reply: Any) -> None:
    async with serving(reply) as server:
        failed = await failing(run_of(tool_at(server.url, attempts=3)))
    assert not failed.transient
    assert len(server.requests) == 1


async def test_retry_after_is_waited_out_where_it_is_short() -> None:
    async with serving(says({}, 429, Retry_After="1"), says({"hits": 1})) as server:
        began = time.monotonic()
        assert await ask(run_of(tool_at(server.url, attempts=2, backoff_max=5.0))) == {"hits": 1}
    assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize(
    ("settings", "seconds"), [({"backoff_max": 10.0}, 300.0), ({"backoff_max": 1000.0}, 20.0)]
)
async def test_long_retry_after_ends_the_call(settings: dict[str, float], seconds: float) -> None:
    """Longer than the tool's longest wait, or than the run has time."""
    async with serving(says({}, 429, Retry_After="60")) as server:
        async with asyncio.timeout(10):
            failed = await failing(run_of(tool_at(server.url, attempts=5, **settings), seconds=seconds))
    assert (failed.cls, failed.transient, failed.retry_after) == ("rate_limited", True, None)
    assert len(server.requests) == 1


async def test_retry_after_holds_back_all_callers(gate: RedisGate) -> None:
    async with serving(says({}, 429, Retry_After="60")) as server:
        tool = tool_at(server.url, attempts=1)
        await failing(run_of(tool, gate=gate))
        other = run_of(tool, gate=gate, job=8)
        failed = await failing(other)
    assert (failed.cls, failed.message) == ("rate_limited", "search asked to be left alone for a while.")
    assert len(server.requests) == 1
    assert [(call.attempts, call.cls) for call in other.notes] == [(0, "rate_limited")]
    until = gate.state("search").paused_until
    assert until is not None
    assert 50 < until - time.time() <= 60


def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    def read(text: str) -> float | None:
        return read_retry_after(httpx2.Headers({"Retry-After": text}))

    assert read("120") == 120.0
    assert 50 < (read(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)) or 0) <= 60
    assert read(format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)) == 0.0
    assert [read(text) for text in ("", "soon", "-5", "nan", "1e9")] == [None] * 5
    assert read("9" * 400) == 999_999_999.0


async def test_waits_double_and_stay_below_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("runtime.tools.attempts.asyncio.sleep", sleep)
    async with serving(says({}, 503)) as server:
        tool = tool_at(server.url, attempts=6, backoff=0.5, backoff_max=3.0, jitter=0.0)
        await failing(run_of(tool))
        assert waits == [0.5, 1.0, 2.0, 3.0, 3.0]
        waits.clear()
        await failing(run_of(tool_at(server.url, attempts=30, backoff=1.0, backoff_max=1.0, jitter=0.5)))
    assert all(0.5 <= wait <= 1.0 for wait in waits)
    assert len({round(wait, 3) for wait in waits}) > 5


async def test_run_ends_its_call_before_its_own_deadline() -> None:
    async with serving(hangs) as server:
        run = run_of(tool_at(server.url, timeout=60.0, attempts=3), seconds=1.2)
        async with asyncio.timeout(1.2):
            failed = await failing(run)
    assert (failed.cls, len(server.requests)) == ("timeout", 1)


async def test_call_cut_off_by_the_run_is_not_held_against_the_tool(gate: RedisGate) -> None:
    async with serving(hangs) as server:
        tool = tool_at(server.url, timeout=60.0, failure_threshold=1)
        await failing(run_of(tool, seconds=0.2, gate=gate))
        assert gate.state("search").status == "closed"
        tool = tool_at(server.url, timeout=0.1, failure_threshold=1)
        await failing(run_of(tool, gate=gate))
        assert gate.state("search").status == "open"


async def test_breaker_that_opens_during_a_call_ends_it_with_the_last_real_failure(gate: RedisGate) -> None:
    async with serving(says({}, 503)) as server:
        tool = tool_at(server.url, attempts=10, failure_threshold=3)
        run = run_of(tool, gate=gate)
        failed = await failing(run)
        assert (failed.cls, failed.status, len(server.requests)) == ("server_error", 503, 3)
        assert run.notes[0].attempts == 3
        failed = await failing(run_of(tool, gate=gate, job=8))
    assert (failed.cls, len(server.requests)) == ("circuit_open", 3)


async def test_refused_probe_closes_the_breaker_and_says_so(gate: RedisGate) -> None:
    """A tool that answers is up, even if it does not like the question."""
    closed: list[str] = []
    async with serving(says({}, 503), says({}, 404)) as server:
        tool = tool_at(server.url, failure_threshold=1, open_seconds=0.0)
        await failing(run_of(tool, gate=gate))
        assert gate.state("search").status == "half_open"
        await failing(run_of(tool, gate=gate, job=8, on_closed=closed.append))
    assert (closed, gate.state("search").status) == (["search"], "closed")


async def test_concurrency_is_kept_by_waiting(gate: RedisGate) -> None:
    async with serving(slow := _Slow()) as server:
        tool = tool_at(server.url, concurrency=2)
        runs = [run_of(tool, gate=gate, job=job) for job in range(6)]
        calls = [asyncio.ensure_future(ask(run)) for run in runs]
        for _ in range(2):
            await asyncio.wait_for(slow.waiting.acquire(), 20)
        for _ in range(4):
            slow.go_on.release()
            await asyncio.wait_for(slow.waiting.acquire(), 20)
        for _ in range(2):
            slow.go_on.release()
        assert await asyncio.gather(*calls) == [{}] * 6
    assert (server.most_under_way, len(server.requests)) == (2, 6)


class _Slow:
    """Answers one request for each that is let go on."""

    def __init__(self) -> None:
        self.waiting, self.go_on = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def __call__(self, request: Any, writer: asyncio.StreamWriter) -> None:
        self.waiting.release()
        await self.go_on.acquire()
        await says({})(request, writer)


class _Scripted(MemoryGate):
    """Refuses as told, None for once not, then lets through."""

    def __init__(self, *refusals: Exception | None) -> None:
        self.refusals: Iterator[Exception | None] = iter(refusals)
        self.left: list[tuple[str, float]] = []

    def enter(self, tool: ToolSpec) -> Ticket:
        refusal = next(self.refusals, None)
        if refusal is not None:
            raise refusal
        return super().enter(tool)

    def leave(self, ticket: Ticket, verdict: Any, pause: float = 0.0) -> bool:
        self.left.append((verdict, pause))
        return False


class _Held(_Scripted):
    """Has no place until `is_free`."""

    is_free = False

    def enter(self, tool: ToolSpec) -> Ticket:
        if not self.is_free:
            raise Busy
        return super().enter(tool)


async def test_busy_and_short_pauses_are_waited_out() -> None:
    gate = _Scripted(Busy(), Busy(), paused("search", 0.05), Busy())
    async with serving(says({"hits": 1})) as server:
        assert await ask(run_of(tool_at(server.url), gate=gate)) == {"hits": 1}
    assert gate.left == [("ok", 0.0)]


async def test_call_that_was_shut_out_is_over() -> None:
    """Even if the breaker would let it through again a moment later: the job parks, and frees its worker."""
    gate = _Scripted(None, circuit_open("search", by_hand=False))
    async with serving(says({}, 503), says({})) as server:
        failed = await failing(run_of(tool_at(server.url, attempts=5), gate=gate))
    assert (failed.cls, len(server.requests)) == ("server_error", 1)


async def test_place_that_never_comes_is_told_as_such_and_not_as_a_dead_tool() -> None:
    gate = _Scripted(*[Busy() for _ in range(1000)])
    async with serving(says({})) as server:
        run = run_of(tool_at(server.url), gate=gate, seconds=0.2)
        failed = await failing(run)
    assert (failed.cls, failed.transient, len(server.requests)) == ("rate_limited", True, 0)
    assert failed.message == "search has no free place."
    assert [(call.attempts, call.cls) for call in run.notes] == [(0, "rate_limited")]
    assert gate.left == []


def clock(most: float, moves: list[float]) -> None:
    """The run of this test can be put off."""
    CLOCK.set(RunClock(most, moves.append))


async def test_time_of_a_run_begins_with_its_first_place() -> None:
    moves: list[float] = []
    clock(60.0, moves)
    gate = _Held()
    async with serving(says({"hits": 1})) as server:
        run = run_of(tool_at(server.url), gate=gate, seconds=0.8)
        call = asyncio.ensure_future(ask(run))
        await asyncio.wait([call], timeout=1.2)  # longer than the run has
        assert not call.done()
        assert moves == [60.0]
        gate.is_free = True
        assert await call == {"hits": 1}
    assert len(moves) == 2
    assert 1.0 < moves[1] < 30.0
    assert gate.left == [("ok", 0.0)]


async def test_wait_for_the_first_place_has_an_end_and_later_ones_are_counted() -> None:
    moves: list[float] = []
    clock(0.3, moves)
    gate = _Held()
    async with serving(says({"hits": 1})) as server:
        run = run_of(tool_at(server.url), gate=gate, seconds=60.0)
        async with asyncio.timeout(20):
            failed = await failing(run)
            assert failed.message == "search has no free place."
            assert moves == [0.3, 0.3]
            gate.is_free = True
            assert await ask(run) == {"hits": 1}
        assert moves == [0.3, 0.3]
    clock(60.0, moves)
    gate.is_free = True
    async with serving(says({"hits": 1})) as server:
        run = run_of(tool_at(server.url), gate=gate, seconds=0.8)
        await ask(run)
        gate.is_free = False
        async with asyncio.timeout(20):
            assert (await failing(run)).cls == "rate_limited"
    assert moves == [0.3, 0.3]


@pytest.mark.parametrize(
    ("reply", "verdict", "pause"),
    [
        (says({}), "ok", 0.0),
        (says({}, 404), "ok", 0.0),
        (says(b"nonsense"), "ok", 0.0),
        (says({}, 429), "neutral", 0.0),
        (says({}, 429, Retry_After="7"), "neutral", 7.0),
        (says({}, 503, Retry_After="7"), "failed", 7.0),
        (says({}, 500), "failed", 0.0),
        (resets, "failed", 0.0),
    ],
)
async def test_verdict_follows_the_class(reply: Any, verdict: str, pause: float) -> None:
    gate = _Scripted()
    async with serving(reply) as server:
        with suppress(ToolFailed):
            await ask(run_of(tool_at(server.url), gate=gate))
    assert gate.left == [(verdict, pause)]


async def test_cancelled_while_waiting_for_a_place_gives_it_back(gate: RedisGate) -> None:
    async with serving(says({})) as server:
        tool = tool_at(server.url, timeout=600.0)
        entered, go_on = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        class _Late(RedisGate):
            def enter(self, tool: ToolSpec) -> Ticket:
                ticket = super().enter(tool)
                loop.call_soon_threadsafe(entered.set)
                asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)
                return ticket

        late = _Late(_url())
        task = asyncio.ensure_future(ask(run_of(tool, gate=late)))
        await entered.wait()
        assert gate.state("search").in_flight == 1
        task.cancel()
        await asyncio.wait([task])
        go_on.set()
        assert await asyncio.to_thread(eventually, lambda: not gate.state("search").in_flight)
    assert not server.requests


def _url() -> str:
    from django.conf import settings

    return str(settings.CONVERGE_REDIS_URL)


async def test_budget_counts_requests_and_tokens_over_the_runs_of_a_cycle() -> None:
    async with serving(says({}, 503), says({"used": 40})) as server:
        tool = tool_at(server.url, attempts=2, price_in=2.0, price_out=10.0)
        session = session_of(tool, calls=10, tokens=60)
        usage = lambda value: (value["used"], 10)  # noqa: E731
        runs = [session.for_run("searcher", item, 30) for item in ("a", "b", "c")]
        await runs[0].post("search", {}, usage=usage)
        assert (session.calls_left, session.tokens_left) == (8, 10)
        await runs[1].post("search", {}, usage=usage)
        with pytest.raises(ToolFailed) as caught:
            await runs[2].post("search", {}, usage=usage)
    assert caught.value.cls == "over_budget"
    assert runs[0].notes[0]._asdict() == {
        "tool": "search",
        "attempts": 2,
        "cls": "",
        "tokens_in": 40,
        "tokens_out": 10,
        "cost": 0.00018,
    }


async def test_tokens_of_an_unfit_answer_are_paid_for() -> None:
    def check(value: Any) -> None:
        raise ToolFailed("bad_output", "It does not fit.")

    recorder = MemoryRecorder()
    async with serving(says({"used": 40})) as server:
        run = run_of(tool_at(server.url), recorder=recorder)
        with pytest.raises(ToolFailed):
            await run.post("search", {}, usage=lambda value: (value["used"], 2), check=check)
    assert (run.notes[0].tokens_in, run.notes[0].tokens_out, run.notes[0].cls) == (40, 2, "bad_output")
    assert [recorded.http_status for recorded in recorder.finished.values()] == [200]
