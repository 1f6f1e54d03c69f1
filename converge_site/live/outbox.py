"""What one viewer is still to be sent, and what it was sent and has not acknowledged.

Daphne takes whatever it is given and keeps a copy until the line takes it: one viewer that reads nothing would cost the
server hundreds of megabytes. So daphne is given no more than a window. What waits here is text that all viewers share,
and costs a reference; a viewer for whom too much waits is disconnected, and comes back from its cursor.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable

MOST_BYTES = 768 * 1024  # waiting and under way
WINDOW_BYTES = 256 * 1024  # under way: given to daphne, and not acknowledged


class Outbox:
    """Frames for one socket, in order. Belongs to one event loop."""

    def __init__(self, most: int = MOST_BYTES, window: int = WINDOW_BYTES) -> None:
        self._most, self._window = most, window
        self._waiting: deque[tuple[str, int, Hashable]] = deque()  # text, bytes, what it replaces
        self._under_way: deque[int] = deque()  # bytes of each frame
        self._acknowledged = 0  # frames
        self._news = asyncio.Event()
        self._poked = False
        self.waiting = 0  # bytes
        self.under_way = 0  # bytes
        self.is_closed = False

    def put(self, text: str, replaces: Hashable = None) -> bool:
        """Takes a frame. Returns False, and keeps nothing any more, if the viewer is too far behind.

        A frame that `replaces` something takes the place of one that still waits with the same word: of a page that is
        sent whole, only the newest is worth sending.
        """
        if self.is_closed:
            return False
        if replaces is not None:
            self._take_out(replaces)
        size = len(text) if text.isascii() else len(text.encode())
        # One frame is always let through: a first catch-up may be larger than the cap.
        if (self._waiting or self._under_way) and self.waiting + self.under_way + size > self._most:
            self.close()
            return False
        self._waiting.append((text, size, replaces))
        self.waiting += size
        self._news.set()
        return True

    async def get(self, seconds: float) -> str | None:
        """The next frame that may be sent; None when closed. Raises TimeoutError if none came in time or poked."""
        while not self.is_closed:
            if self._waiting and self._has_room():
                text, size, _ = self._waiting.popleft()
                self._under_way.append(size)
                self.waiting -= size
                self.under_way += size
                return text
            if self._poked:
                self._poked = False
                raise TimeoutError
            self._news.clear()
            async with asyncio.timeout(seconds):
                await self._news.wait()
        return None

    def acknowledge(self, frames: int) -> None:
        """The viewer has taken `frames` frames since it connected. What makes no sense changes nothing."""
        while self._acknowledged < frames and self._under_way:
            self._acknowledged += 1
            self.under_way -= self._under_way.popleft()
        self._news.set()

    def poke(self) -> None:
        """Ends the reader's waiting."""
        self._poked = True
        self._news.set()

    def close(self) -> None:
        """Drops what waits and ends the reader."""
        self.is_closed = True
        self._waiting.clear()
        self.waiting = 0
        self._news.set()

    def _has_room(self) -> bool:
        return not self._under_way or self.under_way + self._waiting[0][1] <= self._window

    def _take_out(self, word: Hashable) -> None:
        for place, (_, size, replaces) in enumerate(self._waiting):
            if replaces == word:
                del self._waiting[place]
                self.waiting -= size
                return
