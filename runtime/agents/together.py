"""Async agents of one cycle, all at once, each under its own deadline.

Agents that are known to call one tool go through that tool's lanes: no more of them are under way than the tool takes
calls at a time, and an agent's time begins when its turn comes. A thousand items so wait for each other and not on
their deadlines. Those of other jobs may have the tool's places: the wait for a run's first one is not counted either,
up to as long as the agent may take.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from inspect import isasyncgen
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.agents.calling import Outcome, call_agent, drain, gather
from runtime.agents.failing import describe_error, not_called, timed_out
from runtime.agents.run_times import RunTimes
from runtime.agents.watch import Expired, Watch
from runtime.engine import Run
from runtime.engine.inputs import Call as ToolCall
from runtime.tools.run_clock import CLOCK, RunClock

if TYPE_CHECKING:
    from runtime.tools.session import RunCalls, ToolSession

log = logging.getLogger(__name__)

GRACE = 0.5  # seconds an agent gets to clean up after it was cancelled, before it is left behind
SLACK = 0.1  # seconds past its deadline after which an agent that blocks the loop is interrupted


class Call(NamedTuple):
    """A run to make: its agent's code, and the one tool it calls, "" if that is not known beforehand."""

    run: Run
    call: Callable[..., Any]
    tool: str = ""


class Ended(NamedTuple):
    """How a run ended, and the calls of tools that it made."""

    outcome: Outcome
    calls: Sequence[ToolCall] = ()


def run_together(
    calls: Sequence[Call],
    clock: Callable[[], float],
    session: ToolSession | None = None,
    times: RunTimes | None = None,
) -> list[Ended]:
    """Run all `calls` concurrently on an event loop of their own; the ends come in the order of `calls`.

    A call that neither ends nor lets itself be cancelled is left behind as timed out, and one that blocks
    the loop beyond its time is interrupted (in the main thread).
    """
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(_log_left_behind)
    watch = LoopWatch(clock, [call.run.agent.timeout for call in calls], loop)
    together = _Together(calls, watch, session, times)
    try:
        with watch:
            _drive(loop, together.run())
            ended = together.ended()
            _drive(loop, _clear(loop))
    finally:
        loop.close()
    return ended


class LoopWatch(Watch):
    """Interrupts the task whose step blocks the loop past that task's deadline."""

    def __init__(
        self, clock: Callable[[], float], timeouts: Sequence[float], loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(clock, timeouts)
        self.loop = loop
        self.due: dict[asyncio.Task[Any] | None, float] = {}
        self.late: dict[asyncio.Task[Any] | None, float] = {}
        self.last = 0.0

    def expect(self, seconds: float) -> None:
        """The present task may take `seconds` from now; one that it starts shares the last deadline there is."""
        self.due[asyncio.current_task()] = due = self.clock() + seconds
        self.last = max(self.last, due + GRACE)

    def put_off(self, task: asyncio.Task[Any] | None, seconds: float) -> None:
        """The task may take that much longer than was expected at first."""
        self.late[task] = seconds
        self.last = max(self.last, self.due[task] + seconds + GRACE)

    def left(self, now: float) -> float:
        """Seconds the present step may still take."""
        task = asyncio.current_task(self.loop)
        if task is None:
            return self.step
        return self.due.get(task, self.last) + self.late.get(task, 0.0) + SLACK - now


class _Together:
    """The runs of one cycle under way. Used on one loop."""

    def __init__(
        self,
        calls: Sequence[Call],
        watch: LoopWatch,
        session: ToolSession | None,
        times: RunTimes | None = None,
    ) -> None:
        self.times = times
        self.calls = calls
        self.watch = watch
        self.session = session
        self.outcomes: list[Outcome | None] = [None] * len(calls)
        self.tools: list[RunCalls | None] = [None] * len(calls)
        self.late = [0.0] * len(calls)  # seconds by which a run's end is put off

    async def run(self) -> None:
        """Come back when every run has ended or is left behind."""
        watching = None if self.session is None else asyncio.ensure_future(self.session.watch_stop())
        loose = [at for at, call in enumerate(self.calls) if not call.tool]
        tasks = {at: asyncio.ensure_future(self._guard(at)) for at in loose}
        lanes = [asyncio.ensure_future(lane) for lane in self._lanes()]
        await self._wait_for(tasks)
        if lanes:
            await asyncio.wait(lanes)
        if watching is not None:
            watching.cancel()

    def ended(self) -> list[Ended]:
        """What became of every run, in their order."""
        return [
            Ended(
                timed_out(call.run.agent.timeout) if outcome is None else outcome,
                () if tools is None else tools.notes,
            )
            for call, outcome, tools in zip(self.calls, self.outcomes, self.tools, strict=True)
        ]

    def _lanes(self) -> Iterator[Any]:
        """One coroutine for each run that may be under way at a time; those of a tool share its runs, in order."""
        queues: dict[str, list[int]] = {}
        for at, call in enumerate(self.calls):
            if call.tool:
                queues.setdefault(call.tool, []).append(at)
        for tool, queue in queues.items():
            waiting = iter(queue)
            for _ in range(min(self._width(tool), len(queue))):
                yield self._lane(waiting)

    def _width(self, tool: str) -> int:
        spec = None if self.session is None else self.session.tools.get(tool)
        return 1 if spec is None else max(1, spec.concurrency)

    async def _lane(self, waiting: Iterator[int]) -> None:
        for at in waiting:
            if self.session is not None and self.session.is_stopped:
                self.outcomes[at] = not_called()
                continue
            await self._wait_for({at: asyncio.ensure_future(self._guard(at))})

    async def _wait_for(self, tasks: dict[int, asyncio.Task[None]]) -> None:
        """Come back when these runs, which begin now, have ended, or are over their time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while under_way := [at for at, task in tasks.items() if not task.done()]:
            longest = max(self.calls[at].run.agent.timeout + self.late[at] for at in under_way)
            left = began + longest + GRACE - loop.time()
            if left <= 0:
                break
            await asyncio.wait([tasks[at] for at in under_way], timeout=left)

    async def _guard(self, at: int) -> None:
        """Wait for one agent, for as long as it may take; whatever it raises is its failure."""
        run, call, _ = self.calls[at]
        seconds = run.agent.timeout
        self.watch.expect(seconds)
        deadline = asyncio.timeout(seconds)
        if self.session is not None:
            self.tools[at] = _open_tools(self.session, run)
            CLOCK.set(RunClock(seconds, self._mover(at, deadline)))
        if self.times is not None:
            self.times.begin(run.agent.name)
        self.outcomes[at] = await _call(run, call, seconds, deadline)
        if self.times is not None:
            self.times.end(run.agent.name)

    def _mover(self, at: int, deadline: asyncio.Timeout) -> Callable[[float], None]:
        """What puts the end of the present task's run off."""
        task, ends = asyncio.current_task(), deadline.when()
        assert ends is not None

        def move(seconds: float) -> None:
            self.late[at] = seconds
            self.watch.put_off(task, seconds)
            with suppress(RuntimeError):  # it is over already
                deadline.reschedule(ends + seconds)

        return move


def _open_tools(session: ToolSession, run: Run) -> RunCalls:
    from runtime.tools.session import CURRENT

    calls = session.for_run(run.agent.name, run.item, run.agent.timeout)
    CURRENT.set(calls)
    return calls


async def _call(run: Run, call: Callable[..., Any], seconds: float, deadline: asyncio.Timeout) -> Outcome:
    try:
        async with deadline:
            said = call_agent(run, call)
            said = await (drain(said) if isasyncgen(said) else said)
        return timed_out(seconds) if deadline.expired() else gather(run, said)
    except KeyboardInterrupt:
        raise
    except Expired:
        return timed_out(seconds)
    except BaseException as error:  # SystemExit and CancelledError too: an agent fails alone (D5.3)
        return timed_out(seconds) if deadline.expired() else describe_error(run, error)


def _drive(loop: asyncio.AbstractEventLoop, work: Any) -> None:
    """Run the loop until `work` is done, through what tasks that agents started may throw out of it."""
    future = loop.create_task(_finish(work))
    while not future.done():
        try:
            loop.run_until_complete(future)
        except (SystemExit, Expired) as error:
            log.warning("a task that an agent started raised %s", type(error).__name__)


async def _finish(work: Any) -> None:
    await work


async def _clear(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what agents left running and give it a moment; what stays is dropped with the loop."""
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=GRACE)
    try:
        await asyncio.wait_for(loop.shutdown_asyncgens(), GRACE)
    except TimeoutError:
        log.warning("an agent's generator did not let itself be closed")


def _log_left_behind(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.info("an agent left something behind: %s", context.get("message"))
