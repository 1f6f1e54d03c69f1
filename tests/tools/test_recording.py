"""Nothing is sent that was not recorded first, nothing is sent again that is on record (D5.5)."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from runtime.engine import Failure
from runtime.tools import ToolFailed
from runtime.tools.gate import MemoryGate, Ticket
from runtime.tools.record import CallName, MemoryRecorder, Recorded, ask_digest, idempotency_key
from tests.tools.cast import run_of, session_of, tool_at
from tests.tools.servers import Request, hangs, says, serving
from tests.waiting import eventually


async def ask(run: Any, body: Any = None) -> Any:
    return await run.post("search", {"q": 1} if body is None else body)


class Witness(MemoryRecorder):
    """Remembers what happened, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []

    def find(self, name: CallName) -> Recorded | None:
        self.log.append("find")
        return super().find(name)

    def attempt(self, name: CallName, tool: str, number_of_attempt: int) -> None:
        self.log.append(f"attempt {number_of_attempt}")
        super().attempt(name, tool, number_of_attempt)

    def finish(self, name: CallName, tool: str, recorded: Recorded) -> Recorded:
        self.log.append("finish")
        return super().finish(name, tool, recorded)


async def test_every_request_is_recorded_before_it_is_sent() -> None:
    witness = Witness()

    def telling(reply: Any) -> Any:
        async def tell(request: Request, writer: asyncio.StreamWriter) -> None:
            witness.log.append("at the server")
            await reply(request, writer)

        return tell

    async with serving(telling(says({}, 503)), telling(says({}))) as server:
        await ask(run_of(tool_at(server.url, attempts=2), recorder=witness))
    assert witness.log == ["find", "attempt 1", "at the server", "attempt 2", "at the server", "finish"]


async def test_recorded_answer_is_used_again_without_a_request() -> None:
    recorder = MemoryRecorder()
    async with serving(says({"hits": [1.0, 2]})) as server:
        tool = tool_at(server.url)
        first, again = (run_of(tool, recorder=recorder) for _ in range(2))
        assert await ask(first) == await ask(again) == {"hits": [1, 2]}
        assert first.notes == again.notes
        assert len(server.requests) == 1


async def test_recorded_failure_is_used_again_without_a_request() -> None:
    recorder = MemoryRecorder()
    async with serving(says({}, 503), says({})) as server:
        tool = tool_at(server.url)
        runs = [run_of(tool, recorder=recorder) for _ in range(2)]
        failures = []
        for run in runs:
            with pytest.raises(ToolFailed) as caught:
                await ask(run)
            failures.append(caught.value.as_failure())
    assert failures[0] == failures[1]
    assert (runs[0].notes, len(server.requests)) == (runs[1].notes, 1)


async def test_recorded_answer_needs_no_working_tool() -> None:
    recorder = MemoryRecorder()
    async with serving(says({"hits": 1})) as server:
        tool = tool_at(server.url)
        await ask(run_of(tool, recorder=recorder))
    gone = tool_at(server.url, secret_env="NOT_SET_ANYWHERE", allow=())
    assert await ask(run_of(gone, recorder=recorder)) == {"hits": 1}


@pytest.mark.parametrize(
    "other", [{"cycle": 2}, {"agent": "other"}, {"item": "podcasts"}, {"body": {"q": 2}}, {"path": "/v2"}]
)
async def test_another_question_is_asked(other: dict[str, Any]) -> None:
    recorder = MemoryRecorder()
    async with serving(says({})) as server:
        tool = tool_at(server.url)
        await ask(run_of(tool, recorder=recorder))
        run = run_of(tool, recorder=recorder, item=other.get("item"), cycle=other.get("cycle", 1))
        run._agent = other.get("agent", "searcher")
        await run.post("search", other.get("body", {"q": 1}), path=other.get("path", ""))
        keys = [request.headers["idempotency-key"] for request in server.requests]
    assert len(set(keys)) == 2


async def test_calls_of_a_run_are_numbered_as_begun() -> None:
    recorder = MemoryRecorder()
    async with serving(says({})) as server:
        run = run_of(tool_at(server.url), recorder=recorder)
        await asyncio.gather(*(ask(run, {"q": q}) for q in range(3)))
    numbers = {name.number: name.digest for name in recorder.finished}
    assert numbers == {q + 1: ask_digest("search", {"path": "", "body": {"q": q}}) for q in range(3)}
    assert len(run.notes) == 3


async def test_runtime_that_died_after_the_call_leaves_its_request_counted() -> None:
    """It was recorded as begun: its successor asks again, under the same key, and the count tells of both."""
    recorder = MemoryRecorder()
    async with serving(hangs, says({"hits": 1})) as server:
        tool = tool_at(server.url)

        class Killed(BaseException):
            pass

        class Dying(MemoryRecorder):
            attempt = recorder.attempt  # type: ignore[assignment]

            def finish(self, name: CallName, tool: str, recorded: Recorded) -> Recorded:
                raise Killed

        task = asyncio.ensure_future(ask(run_of(tool, recorder=Dying())))
        await server.came.wait()
        task.cancel()
        await asyncio.wait([task])
        assert isinstance(task.exception(), Killed)
        run = run_of(tool, recorder=recorder)
        assert await ask(run) == {"hits": 1}
        keys = {request.headers["idempotency-key"] for request in server.requests}
    assert (len(server.requests), len(keys), run.notes[0].attempts) == (2, 1, 2)


async def test_cancelled_call_is_recorded_as_a_timeout() -> None:
    recorder = MemoryRecorder()
    async with serving(hangs) as server:
        run = run_of(tool_at(server.url), recorder=recorder)
        task = asyncio.ensure_future(ask(run))
        await server.came.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    recorded = next(iter(recorder.finished.values()))
    assert recorded.failure == Failure("timeout", "search did not answer in time.", True, "search")
    assert [(call.attempts, call.cls) for call in run.notes] == [(1, "timeout")]


async def test_answer_that_came_is_recorded_even_if_nobody_waits_any_more() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    class Slow(MemoryRecorder):
        def finish(self, name: CallName, tool: str, recorded: Recorded) -> Recorded:
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)
            return super().finish(name, tool, recorded)

    recorder = Slow()
    async with serving(says({"hits": 1})) as server:
        task = asyncio.ensure_future(ask(run_of(tool_at(server.url), recorder=recorder)))
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        go_on.set()
        assert await asyncio.to_thread(eventually, lambda: bool(recorder.finished))
    assert [recorded.value for recorded in recorder.finished.values()] == [{"hits": 1}]


async def test_answer_is_recorded_even_if_the_record_is_busy_when_its_caller_leaves() -> None:
    blocked, go_on = threading.Event(), threading.Event()

    class Slow(MemoryRecorder):
        def find(self, name: CallName) -> Recorded | None:
            if name.agent == "slow":
                blocked.set()
                assert go_on.wait(10)
            return super().find(name)

    recorder = Slow()

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        slow = run_of(tool, recorder=recorder)
        slow._agent = "slow"
        tasks.append(asyncio.ensure_future(ask(slow)))
        assert await asyncio.to_thread(blocked.wait, 10)
        await says({"hits": 1})(request, writer)

    loop = asyncio.get_running_loop()

    class Telling(MemoryGate):
        def leave(self, ticket: Ticket, verdict: Any, pause: float = 0.0) -> bool:
            if verdict == "ok":  # of the first: by now its end waits to be recorded
                loop.call_soon_threadsafe(tasks[0].cancel)
            return False

    tasks: list[asyncio.Future[Any]] = []
    async with serving(answer, says({})) as server:
        tool = tool_at(server.url)
        tasks.append(asyncio.ensure_future(ask(run_of(tool, recorder=recorder, gate=Telling()))))
        await asyncio.wait(tasks[:1])
        assert tasks[0].cancelled()
        go_on.set()
        await tasks[1]
        assert await asyncio.to_thread(eventually, lambda: len(recorder.finished) == 2)
    assert {"hits": 1} in [recorded.value for recorded in recorder.finished.values()]


@pytest.mark.parametrize("act", ["find", "attempt"])
async def test_what_cannot_be_recorded_is_not_sent(act: str) -> None:
    recorder = MemoryRecorder()

    def broken(*args: Any) -> Any:
        raise RuntimeError("the database is out: postgres://user:word@host")

    setattr(recorder, act, broken)
    async with serving(says({})) as server:
        session = session_of(tool_at(server.url, attempts=3), recorder=recorder)
        with pytest.raises(ToolFailed) as caught:
            await ask(session.for_run("searcher", None, 30))
    assert (caught.value.cls, caught.value.transient) == ("agent_error", True)
    assert session.trouble is caught.value
    assert caught.value.message == "A call of search could not be recorded."
    assert not server.requests
    assert not recorder.finished


async def test_answer_that_cannot_be_recorded_is_not_used() -> None:
    recorder = MemoryRecorder()

    def broken(*args: Any) -> Any:
        raise RuntimeError("the database is out")

    recorder.finish = broken  # type: ignore[method-assign]
    async with serving(says({"hits": 1})) as server:
        with pytest.raises(ToolFailed, match="could not be recorded"):
            await ask(run_of(tool_at(server.url), recorder=recorder))


async def test_first_end_on_record_stands() -> None:
    """A runtime that was thought dead comes second: it gets what the other one wrote."""
    recorder = MemoryRecorder()

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        name = next(iter(recorder.sent))
        recorder.finish(name, "search", Recorded({"hits": "theirs"}))
        await says({"hits": "ours"})(request, writer)

    async with serving(answer) as server:
        assert await ask(run_of(tool_at(server.url), recorder=recorder)) == {"hits": "theirs"}


async def test_missing_secret_is_known_before_anything_is_recorded_as_sent() -> None:
    recorder = MemoryRecorder()
    async with serving(says({})) as server:
        run = run_of(tool_at(server.url, secret_env="NOT_SET_ANYWHERE"), recorder=recorder)
        with pytest.raises(ToolFailed) as caught:
            await ask(run)
    assert caught.value.message == "search is not called: NOT_SET_ANYWHERE is not set where the worker runs."
    assert (caught.value.cls, caught.value.transient) == ("refused", False)
    assert (run.notes[0].attempts, recorder.sent, server.requests) == (0, {}, [])


def test_idempotency_key_is_fit_for_a_header_and_differs_with_every_part() -> None:
    name = CallName(3, "web_search", "podcasts", 1, "ab" * 32)
    assert idempotency_key(17, name) == "17-3-web_search-podcasts-1-abababababab"
    others = [
        name._replace(cycle=4),
        name._replace(agent="Suche für alles"),
        name._replace(item=""),
        name._replace(item="whole"),
        name._replace(item="a-b"),
        name._replace(item="a\r\nX-Evil: 1"),
        name._replace(number=2),
        name._replace(digest="cd" * 32),
    ]
    keys = {idempotency_key(17, each) for each in (name, *others)} | {idempotency_key(18, name)}
    assert len(keys) == len(others) + 2
    assert all(key.isascii() and key.isprintable() and " " not in key for key in keys)


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert ask_digest("search", {"a": 1, "b": {"c": 1, "d": 2}}) == ask_digest(
        "search", {"b": {"d": 2, "c": 1}, "a": 1}
    )
    assert ask_digest("search", {"a": 1}) != ask_digest("other", {"a": 1})
