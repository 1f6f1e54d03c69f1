"""Async agents of one cycle, all at once, each under its own deadline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from inspect import isasyncgen
from typing import Any

from runtime.agents.calling import Outcome, call_agent, drain, gather
from runtime.agents.failing import describe_error, timed_out
from runtime.agents.watch import Expired, Watch
from runtime.engine import Run

log = logging.getLogger(__name__)

GRACE = 0.5  # seconds an agent gets to clean up after it was cancelled, before it is left behind
SLACK = 0.1  # seconds past its deadline after which an agent that blocks the loop is interrupted

Call = tuple[Run, Callable[..., Any]]


def run_together(calls: Sequence[Call], clock: Callable[[], float]) -> list[Outcome]:
    """Run all `calls` concurrently on an event loop of their own; outcomes come in the order of `calls`.

    A call that neither ends nor lets itself be cancelled is left behind as timed out, and one that blocks
    the loop beyond its time is interrupted (in the main thread).
    """
    timeouts = [run.agent.timeout for run, _ in calls]
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(_log_left_behind)
    watch = LoopWatch(clock, timeouts, loop)
    tasks = [loop.create_task(_guard(run, call, watch)) for run, call in calls]
    try:
        with watch:
            _drive(loop, asyncio.wait(tasks, timeout=max(timeouts) + GRACE))
            outcomes = [
                task.result() if task.done() else timed_out(run.agent.timeout)
                for task, (run, _) in zip(tasks, calls, strict=True)
            ]
            _drive(loop, _clear(loop))
    finally:
        loop.close()
    return outcomes


class LoopWatch(Watch):
    """Interrupts the task whose step blocks the loop past that task's deadline."""

    def __init__(
        self, clock: Callable[[], float], timeouts: Sequence[float], loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(clock, timeouts)
        self.loop = loop
        self.due: dict[asyncio.Task[Any] | None, float] = {}
        self.last = clock() + max(timeouts) + GRACE

    def left(self, now: float) -> float:
        """Seconds the present step may still take; a task that an agent started shares the last deadline."""
        task = asyncio.current_task(self.loop)
        return self.step if task is None else self.due.get(task, self.last) + SLACK - now


async def _guard(run: Run, call: Callable[..., Any], watch: LoopWatch) -> Outcome:
    """Wait for one agent, for as long as it may take; whatever it raises is its failure."""
    seconds = run.agent.timeout
    watch.due[asyncio.current_task()] = watch.clock() + seconds
    deadline = asyncio.timeout(seconds)
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
