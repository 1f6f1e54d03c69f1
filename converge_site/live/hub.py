"""The tailer of this process, and the ear for hints from the workers.

Both are threads, and there is one of each however many event loops have viewers: started by the first viewer, and
started again if they die.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import Any

from channels.layers import get_channel_layer

from converge_site.live.tailer import Tailer
from runtime.events import ALL_JOBS_GROUP

RETRY_SECONDS = 2.0
MIND_SECONDS = 1.0

logger = logging.getLogger(__name__)


class Hub:
    """A tailer with its ear."""

    def __init__(self) -> None:
        self.tailer = Tailer()
        self.tailer.start()
        self._loop = asyncio.new_event_loop()
        self._ear = threading.Thread(target=self._run, name="live-ear", daemon=True)
        self._ear.start()

    @property
    def is_alive(self) -> bool:
        """Whether it listens; a tailer that died is then started again."""
        return self._ear.is_alive()

    def close(self) -> None:
        """Ends both; returns when their connections are closed."""
        if self._ear.is_alive():
            self._loop.call_soon_threadsafe(self._end_ear)
            self._ear.join(timeout=10)
        self.tailer.stop()

    def _end_ear(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._live())
        finally:
            self._loop.close()

    async def _live(self) -> None:
        await asyncio.gather(self._listen(), self._mind())

    async def _mind(self) -> None:
        """Sees to it that the tailer lives."""
        while True:
            await asyncio.sleep(MIND_SECONDS)
            self.tailer.revive()

    async def _listen(self) -> None:
        """Wakes the tailer on every hint. Without Redis there are none, and it polls: later, and nothing lost."""
        while True:
            layer: Any = None
            try:
                layer = get_channel_layer()
                channel = await layer.new_channel()
                await layer.group_add(ALL_JOBS_GROUP, channel)
                self.tailer.hint()  # those that went out meanwhile are lost
                while True:
                    self._pass_on(await layer.receive(channel))
            except Exception as error:
                logger.warning("no hints from the workers (%s); polling", error)
            finally:
                # What it knows of a channel that was given up would fill up for ever: begin anew.
                if layer is not None:
                    with contextlib.suppress(Exception):
                        await layer.flush()
            await asyncio.sleep(RETRY_SECONDS)

    def _pass_on(self, message: dict[str, Any]) -> None:
        job = str(message.get("job", ""))
        self.tailer.hint(int(job) if job.isdecimal() else None)


_hub: Hub | None = None
_lock = threading.Lock()


def get_hub() -> Hub:
    """The hub of this process; started by its first viewer."""
    global _hub
    with _lock:
        if _hub is None or not _hub.is_alive:
            if _hub is not None:
                _hub.close()
            _hub = Hub()
        return _hub


def close_hub() -> None:
    """Ends the hub of this process, if there is one. Blocks until it has."""
    global _hub
    with _lock:
        hub, _hub = _hub, None
    if hub is not None:
        hub.close()
