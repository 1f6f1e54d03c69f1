"""A deadline for code that never gives up control, by one interval timer of the process.

The timer is armed once for a whole batch of calls: the handler looks how long the present call has been
running and either interrupts it or arms the timer again. A call so costs one clock reading, not two system
calls.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any

AGAIN = 0.2  # seconds until an interruption is repeated, for code that swallowed it


class Expired(BaseException):
    """Raised inside agent code whose time is up. Not an Exception, so that agents do not catch it by
    accident."""


class Watch:
    """Interrupts the call between `begin` and `end` once it exceeds its seconds.

    A context manager. Outside the main thread, where Python delivers no signals, it does nothing. The
    handler and the timer that were set before (an RQ worker sets its own) are put back on leaving, the timer
    less the time that passed.
    """

    def __init__(self, clock: Callable[[], float], timeouts: Sequence[float]) -> None:
        self.clock = clock
        self.step = min(timeouts, default=0.0)
        self.seconds = 0.0
        self.started: float | None = None
        self.armed = bool(timeouts) and threading.current_thread() is threading.main_thread()

    def begin(self, seconds: float) -> None:
        """A call that may take `seconds` starts now."""
        self.seconds = seconds
        self.started = self.clock()

    def end(self) -> None:
        """The call is over."""
        self.started = None

    def left(self, now: float) -> float:
        """Seconds the present call may still take; 0 or less if its time is up. Between calls, some."""
        return self.step if self.started is None else self.seconds - (now - self.started)

    def __enter__(self) -> Watch:
        if self.armed:
            self.entered = self.clock()
            self.handler: Any = signal.signal(signal.SIGALRM, self._on_alarm)
            self.timer = signal.setitimer(signal.ITIMER_REAL, self.step, AGAIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if not self.armed:
            return
        self.armed = False  # an alarm that is already on its way must not arm the timer again
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, self.handler)
        delay, interval = self.timer
        if delay:
            signal.setitimer(signal.ITIMER_REAL, max(delay - (self.clock() - self.entered), 0.001), interval)

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        if not self.armed:
            return
        left = self.left(self.clock())
        if left > 0:
            signal.setitimer(signal.ITIMER_REAL, min(left, self.step), AGAIN)
        else:
            raise Expired
