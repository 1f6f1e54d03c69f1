"""When the agents of one cycle ran, by a clock: data beside the journal, which never enters it or its digest (D6.2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from runtime.engine import Effect

# Agent; when its first run began and its last one ended, in ms since the cycle began, None for one that was never
# called; how many runs; requests to tools that they sent.
RunTime = tuple[str, float | None, float | None, int, int]


class RunTimes:
    """The clock readings of one cycle: two an agent, for runs that are called one after the other.

    `clock` gives seconds; `zero` is its reading when the cycle began.
    """

    __slots__ = ("_clock", "_ended", "_present", "_started", "_zero")

    def __init__(self, clock: Callable[[], float] = time.perf_counter, zero: float | None = None) -> None:
        self._clock = clock
        self._zero = clock() if zero is None else zero
        self._started: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._present = ""

    def turn(self, agent: str) -> None:
        """The runs of this agent are called from now on, those of another no more; "" if nobody's are."""
        now = self._clock()
        if self._present:
            self._ended[self._present] = now
        if agent:
            self._started.setdefault(agent, now)
        self._present = agent

    def begin(self, agent: str) -> None:
        """One run of this agent begins, maybe beside others."""
        now = self._clock()
        self._started.setdefault(agent, now)
        self._ended[agent] = now

    def end(self, agent: str) -> None:
        """One run of this agent ended."""
        self._ended[agent] = self._clock()

    def told(self, effects: Sequence[Effect]) -> list[RunTime]:
        """What became of it, by agent in the order of the effects."""
        runs: dict[str, int] = {}
        requests: dict[str, int] = {}
        for agent, _, _, _, calls in effects:
            runs[agent] = runs.get(agent, 0) + 1
            if calls:
                requests[agent] = requests.get(agent, 0) + sum(call.attempts for call in calls)
        started, ended, zero = self._started, self._ended, self._zero
        told: list[RunTime] = []
        for agent, ran in runs.items():
            if agent in started:
                began, over = round((started[agent] - zero) * 1e3, 3), round((ended[agent] - zero) * 1e3, 3)
                told.append((agent, began, over, ran, requests.get(agent, 0)))
            else:
                told.append((agent, None, None, ran, requests.get(agent, 0)))
        return told
