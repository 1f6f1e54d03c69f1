"""When the time of a run begins: with its first place at a tool, if it has to wait for one.

That a tool is busy is not the run's fault, nor the tool's. So the wait for the first place is not counted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextvars import ContextVar

CLOCK: ContextVar[RunClock | None] = ContextVar("converge_run_clock", default=None)


class RunClock:
    """Puts the end of a run off while it waits for its first place, by `most` seconds and never more.

    `move` is told by how many seconds in all: by `most` when a wait begins, by what it really took once it is over. It
    is over when the run got a place, or was told that there is none. Used on one event loop.
    """

    def __init__(self, most: float, move: Callable[[float], None]) -> None:
        self.put_off = 0.0
        self._most, self._move = most, move
        self._since: float | None = None
        self._has_begun = False

    @property
    def until(self) -> float:
        """When, on the monotonic clock, to give up waiting for the first place; infinity if the run's end decides."""
        return math.inf if self._has_begun or self._since is None else self._since + self._most

    def wait(self) -> None:
        """There is no place at the moment."""
        if not self._has_begun and self._since is None:
            self._since = time.monotonic()
            self._put_off(self._most)

    def begin(self) -> None:
        """From now on time counts."""
        if not self._has_begun:
            self._has_begun = True
            if self._since is not None:
                self._put_off(min(self._most, time.monotonic() - self._since))

    def _put_off(self, seconds: float) -> None:
        self.put_off = seconds
        self._move(seconds)


class CountsAll(RunClock):
    """Where nobody can put a run's end off."""

    def __init__(self) -> None:
        super().__init__(0.0, lambda seconds: None)

    def wait(self) -> None: ...
