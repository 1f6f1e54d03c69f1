"""What one viewer has been sent and has not acknowledged.

Daphne takes whatever it is given and keeps it: without this, one viewer that reads nothing costs the server hundreds of
megabytes. A viewer past the cap is disconnected, and comes back from its cursor when it can read again.
"""

from __future__ import annotations

import asyncio
from collections import deque

MOST_BYTES = 768 * 1024


class Outbox:
    """Frames for one socket, in order, and the sizes of those under way."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._sizes: deque[int] = deque()
        self._most = most
        self.unacknowledged = 0
        self._acknowledged = 0

    def put(self, text: str) -> bool:
        """Takes a frame. Returns False, and keeps nothing, if the viewer is too far behind."""
        size = len(text)
        # One frame is always let through: a first catch-up may be larger than the cap.
        if self._sizes and self.unacknowledged + size > self._most:
            self.close()
            return False
        self._sizes.append(size)
        self.unacknowledged += size
        self._queue.put_nowait(text)
        return True

    async def get(self) -> str | None:
        """The next frame; None when closed."""
        return await self._queue.get()

    def acknowledge(self, frames: int) -> None:
        """The viewer has painted `frames` frames since it connected. What makes no sense changes nothing."""
        while self._acknowledged < frames and self._sizes:
            self._acknowledged += 1
            self.unacknowledged -= self._sizes.popleft()

    def close(self) -> None:
        """Drops what waits and ends the reader."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)
