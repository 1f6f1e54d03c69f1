"""What the queue says of its workers and its scheduler, as of the last second, for all pages of this process.

Many pages look at the same time, and some are rendered twice a second. While Redis is out nobody waits for it again.
"""

from __future__ import annotations

import threading
import time

from runtime.queue_state import QueueState, queue_state

GOOD_FOR = 1.0  # seconds
OUT_FOR = 5.0  # seconds that Redis is left alone after it did not answer


class _Memory:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: QueueState | None = None
        self._good_until = 0.0

    def read(self) -> QueueState:
        """The state, at most a second old; five while Redis is out."""
        with self._lock:  # of those who come at the same time, one asks and the others read the answer
            if self._known is None or time.monotonic() >= self._good_until:
                self._known = queue_state()
                self._good_until = time.monotonic() + (GOOD_FOR if self._known.reachable else OUT_FOR)
            return self._known

    def forget(self) -> None:
        """Asks anew the next time."""
        with self._lock:
            self._known = None


_memory = _Memory()
watch_queue = _memory.read
forget_queue = _memory.forget
