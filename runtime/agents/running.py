"""Executing the runs of one cycle: every run gives exactly one effect, whatever its agent does (D5.3).

Plain functions are called inline, one after another; async ones run together. Which finished first has no
meaning: the engine sorts the effects before it merges them (D2.3).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from runtime.agents.calling import Outcome, call_agent, gather
from runtime.agents.failing import describe_error, timed_out
from runtime.agents.functions import Function
from runtime.agents.run_times import RunTimes
from runtime.agents.together import Call, run_together
from runtime.agents.watch import Expired, Watch
from runtime.engine import Effect, Failure, Run
from runtime.engine.inputs import Call as ToolCall

if TYPE_CHECKING:
    from runtime.tools.session import ToolSession

PATIENCE = 3  # voices of one agent that may time out in a cycle before its others are not called any more


def run_all(
    runs: Sequence[Run],
    functions: Mapping[str, Function],
    clock: Callable[[], float] = time.monotonic,
    session: ToolSession | None = None,
    times: RunTimes | None = None,
) -> list[Effect]:
    """Execute `runs` and return one effect for each, in the same order.

    `functions` maps agent names to their code (`functions_for`); `clock` gives seconds and never goes back.
    `session` is what async agents call tools through in this cycle; without one, none can be called.
    Every call may take its agent's `timeout` seconds; a plain function is only interrupted in the main
    thread of a process. KeyboardInterrupt is the one exception that passes. `times` notes when each agent ran.
    """
    plain: list[int] = []
    waiting: list[int] = []
    for at, run in enumerate(runs):
        function = functions.get(run.agent.name)
        (waiting if function is not None and function.is_async else plain).append(at)
    effects: dict[int, Effect] = dict(_run_inline([(at, runs[at]) for at in plain], functions, clock, times))
    if waiting:
        found = [(runs[at], functions[runs[at].agent.name]) for at in waiting]
        calls = [Call(run, function.call, function.tool) for run, function in found]
        for at, ended in zip(waiting, run_together(calls, clock, session, times), strict=True):
            effects[at] = _effect(runs[at], ended.outcome, ended.calls)
    return [effects[at] for at in range(len(runs))]


def _run_inline(
    runs: list[tuple[int, Run]],
    functions: Mapping[str, Function],
    clock: Callable[[], float],
    times: RunTimes | None = None,
) -> list[tuple[int, Effect]]:
    """Call plain functions one after another under one watch."""
    done: list[tuple[int, Effect]] = []
    strikes: dict[str, int] = {}
    present = ""
    with Watch(clock, [run.agent.timeout for _, run in runs]) as watch:
        for at, run in runs:
            name = run.agent.name
            if times is not None and name != present:
                times.turn(present := name)
            function = functions.get(name)
            if function is None:
                outcome: Outcome = Failure(
                    "agent_error", f"No code for the agent {name!r} is installed here.", False
                )
            elif strikes.get(name, 0) >= PATIENCE:
                outcome = timed_out(run.agent.timeout, called=False)
            else:
                try:
                    outcome = _call_inline(run, function, watch)
                except Expired:
                    watch.end()
                    strikes[name] = strikes.get(name, 0) + 1
                    outcome = timed_out(run.agent.timeout)
            done.append((at, _effect(run, outcome)))
    if times is not None and present:
        times.turn("")
    return done


def _call_inline(run: Run, function: Function, watch: Watch) -> Outcome:
    try:
        watch.begin(run.agent.timeout)
        outcome = gather(run, call_agent(run, function.call))
        watch.end()
        return outcome
    except (KeyboardInterrupt, Expired):
        raise
    except BaseException as error:  # an agent may raise anything, SystemExit too; it fails alone (D5.3)
        watch.end()
        return describe_error(run, error)


def _effect(run: Run, outcome: Outcome, calls: Sequence[ToolCall] = ()) -> Effect:
    if isinstance(outcome, Failure):
        return Effect(run.agent.name, run.item, (), outcome, calls)
    return Effect(run.agent.name, run.item, outcome, None, calls)
