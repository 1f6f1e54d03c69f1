"""The one gateway through which agents reach tools: budget, record and deadline of every call.

Django is never called on the event loop: the recorder works in a thread of its own, the gate in a few others. Both
serve the whole process, so that the recorder's database connection is opened once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, TypeVar

from runtime.engine.inputs import Call
from runtime.tools.answers import Answer, Check, Send, Usage
from runtime.tools.attempts import Attempts
from runtime.tools.failures import ToolFailed, from_failure, timed_out
from runtime.tools.gate import Gate
from runtime.tools.record import (
    CallName,
    Recorded,
    Recorder,
    Unrecorded,
    ask_digest,
    idempotency_key,
)
from runtime.tools.spec import ToolSpec

T = TypeVar("T")
log = logging.getLogger(__name__)

CURRENT: ContextVar[RunCalls | None] = ContextVar("converge_run_calls", default=None)
STOP_ASKED_EVERY = 1.0  # seconds
MARGIN = 0.3  # seconds by which a run's calls end before its agent's own deadline does
_records = ThreadPoolExecutor(1, "tool-records")


class ToolSession:
    """Tools for the runs of one cycle.

    `calls_left`, counted in requests, and `tokens_left` are what the job's budget still allows. `on_closed` is called
    with a tool's name, in the recorder's thread, when a call of this session closed its breaker. `trouble` is set once
    a call could not be recorded: what its run came to says nothing then, and the cycle must not be committed.

    `should_stop` is asked now and then, in the recorder's thread, while `watch_stop` runs: whether the cycle should end
    soon. Once it says so `is_stopped` is set, and no further call is begun.
    """

    def __init__(
        self,
        job_id: int | str,
        cycle: int,
        tools: Mapping[str, ToolSpec],
        gate: Gate,
        recorder: Recorder,
        calls_left: int,
        tokens_left: int,
        on_closed: Callable[[str], None] = lambda name: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.job_id, self.cycle, self.tools = job_id, cycle, dict(tools)
        self.gate, self.recorder, self.on_closed = gate, recorder, on_closed
        self.calls_left, self.tokens_left = calls_left, tokens_left
        self.should_stop = should_stop
        self.is_stopped = False
        self.trouble: Unrecorded | None = None

    async def watch_stop(self, every: float = STOP_ASKED_EVERY) -> None:
        """Asks until the cycle should end. A cycle with many items may take longer than anybody wants it to."""
        while not self.is_stopped:
            await asyncio.sleep(every)
            self.is_stopped = await asyncio.get_running_loop().run_in_executor(_records, self._asks_to_stop)

    def _asks_to_stop(self) -> bool:
        try:
            return self.should_stop()
        except Exception:
            log.exception("whether the cycle should end could not be asked")
            return False

    def for_run(self, agent: str, item: str | None, seconds: float) -> RunCalls:
        """The calls of one run, which is cut off `seconds` from now; they end a little earlier."""
        return RunCalls(self, agent, item or "", time.monotonic() + seconds - min(MARGIN, seconds / 4))


class RunCalls:
    """The calls of one run of one agent, numbered from 1 in the order in which they are begun."""

    def __init__(self, session: ToolSession, agent: str, item: str, deadline: float) -> None:
        self._session, self._agent, self._item, self._deadline = session, agent, item, deadline
        self._notes: list[Call] = []
        self._open: dict[int, CallName] = {}  # begun, and nobody has noted their end yet

    @property
    def job_id(self) -> int | str:
        """The job whose run this is."""
        return self._session.job_id

    @property
    def cycle(self) -> int:
        """The cycle of the job that is under way."""
        return self._session.cycle

    @property
    def notes(self) -> list[Call]:
        """The calls made so far, by number, for the run's Effect. Not to be asked while one is under way.

        A run may be cut off between a call's end and its note: then the record knows, once its thread has caught up.
        """
        for number, name in [*self._open.items()]:
            del self._open[number]
            tool = self._notes[number - 1].tool
            try:
                self._note(tool, name, _records.submit(self._settle, name, tool).result())
            except Exception:
                log.exception("how a call of %s ended could not be read", tool)
                self._session.trouble = Unrecorded(tool)
        return list(self._notes)

    def _settle(self, name: CallName, tool: str) -> Recorded:
        """In the recorder's thread: how a call ended that nobody waited for."""
        recorder = self._session.recorder
        cut_off = Recorded(failure=timed_out(tool).as_failure())
        return recorder.find(name) or recorder.finish(name, tool, cut_off)

    async def call(
        self,
        tool_name: str,
        send: Send,
        request: Mapping[str, Any],
        usage: Usage | None = None,
        check: Check | None = None,
    ) -> Any:
        """The tool's answer to `request`, as `send` fetches it or as it was recorded.

        `send` makes one request; it may be called several times, or not at all. `request` is all that is asked, as
        JSON: a recorded answer is used again for the same request only. Returns JSON; raises ToolFailed.
        """
        number = len(self._notes) + 1
        self._notes.append(
            Call(tool_name, 0, "timeout")
        )  # its place; what stands there if it is cut off at once
        try:
            tool = self._allowed(tool_name)
        except ToolFailed as failed:
            self._notes[number - 1] = Call(tool_name, 0, failed.cls)
            raise
        name = CallName(self._session.cycle, self._agent, self._item, number, ask_digest(tool_name, request))
        self._open[number] = name
        try:
            stands = await self._ask(tool, name, send, usage, check)
        except Unrecorded as error:
            self._session.trouble = error
            self._open.pop(number, None)
            raise
        if stands.failure is not None:
            raise from_failure(stands.failure, stands.http_status)
        return stands.value

    def _note(self, tool: str, name: CallName, stands: Recorded) -> Recorded:
        """Keeps for the run's Effect, and takes off the budget, what a call came to."""
        cls = stands.failure.cls if stands.failure else ""
        self._notes[name.number - 1] = Call(
            tool, stands.attempts, cls, stands.tokens_in, stands.tokens_out, stands.cost
        )
        self._open.pop(name.number, None)
        self._session.calls_left -= stands.attempts - 1
        self._session.tokens_left -= stands.tokens_in + stands.tokens_out
        return stands

    async def post(
        self,
        tool_name: str,
        body: Any,
        path: str = "",
        usage: Usage | None = None,
        check: Check | None = None,
    ) -> Any:
        """POSTs `body` as JSON to the tool's address plus `path`. Returns JSON; raises ToolFailed."""
        from runtime.tools.http import post_json  # here: jobs without tools need no HTTP client

        async def send(tool: ToolSpec, key: str) -> Answer:
            return await post_json(tool, path, body, key)

        return await self.call(tool_name, send, {"path": path, "body": body}, usage, check)

    async def call_mcp(
        self, tool_name: str, name: str, arguments: Mapping[str, Any], check: Check | None = None
    ) -> Any:
        """Calls the tool `name` of an MCP server. Returns {"structured": JSON or None, "content": [text, ...]}."""
        from runtime.tools.mcp_client import call_mcp_tool  # here: the SDK takes most of a second to load

        async def send(tool: ToolSpec, key: str) -> Answer:
            return await call_mcp_tool(tool, name, arguments, key)

        return await self.call(tool_name, send, {"call": name, "arguments": dict(arguments)}, None, check)

    def _allowed(self, tool_name: str) -> ToolSpec:
        """The tool, and one request less in the budget. Recorded ones count too: a run that is repeated after a crash
        comes to the same end."""
        session = self._session
        tool = session.tools.get(tool_name)
        if tool is None:
            raise ToolFailed("refused", f"There is no tool named {tool_name}.", tool=tool_name)
        if not tool.enabled:
            raise ToolFailed("refused", f"{tool_name} is switched off by an admin.", tool=tool_name)
        if session.is_stopped:
            raise ToolFailed("timeout", f"{tool_name} was not asked: the cycle had to end.", tool=tool_name)
        if session.calls_left <= 0:
            raise ToolFailed("over_budget", "The job's budget of tool calls is used up.", tool=tool_name)
        if session.tokens_left <= 0:
            raise ToolFailed("over_budget", "The job's budget of tokens is used up.", tool=tool_name)
        session.calls_left -= 1
        return tool

    async def _ask(
        self, tool: ToolSpec, name: CallName, send: Send, usage: Usage | None, check: Check | None
    ) -> Recorded:
        """What stands on record for the call, after making it if there was nothing."""
        session, recorder = self._session, self._session.recorder
        found = await _recording(tool, recorder.find, name)
        if found is not None:
            return self._note(tool.name, name, found)

        async def note_attempt(number: int) -> None:
            await _recording(tool, recorder.attempt, name, tool.name, number)

        attempts = Attempts(tool, session.gate, self._deadline, note_attempt, usage, check)
        try:
            ended = await attempts.run(send, idempotency_key(session.job_id, name))
        except Unrecorded:
            raise
        except BaseException:  # cancelled: the agent's time is up, or the loop's
            cut = attempts.ended(None, timed_out(tool.name))
            self._note(tool.name, name, await _finish(recorder, name, tool, cut))
            raise
        try:
            return self._note(tool.name, name, await _finish(recorder, name, tool, ended))
        finally:
            if await attempts.settle():
                await _tell(session.on_closed, tool.name)


async def _finish(recorder: Recorder, name: CallName, tool: ToolSpec, ended: Recorded) -> Recorded:
    """Notes how a call ended, even if nobody is left to wait for it: it may have been paid for."""
    future = _records.submit(recorder.finish, name, tool.name, ended)
    try:
        return await asyncio.shield(asyncio.wrap_future(future))
    except Exception:
        log.exception("a call of %s could not be recorded", tool.name)
    raise Unrecorded(tool.name)


async def _recording(tool: ToolSpec, act: Callable[..., T], *args: Any) -> T:
    """One act of the recorder, in its thread. What cannot be recorded is neither sent nor used."""
    try:
        return await asyncio.get_running_loop().run_in_executor(_records, act, *args)
    except Exception:
        log.exception("a call of %s could not be recorded", tool.name)
    raise Unrecorded(tool.name)


async def _tell(on_closed: Callable[[str], None], tool_name: str) -> None:
    try:
        await asyncio.get_running_loop().run_in_executor(_records, on_closed, tool_name)
    except Exception:
        log.exception("nobody could be told that %s is back", tool_name)


def current() -> RunCalls:
    """The calls of the run under way. Raises ToolFailed("agent_error") where there are none."""
    calls = CURRENT.get()
    if calls is None:
        raise ToolFailed("agent_error", "No tools can be called here.")
    return calls
