"""The tailer of this process, and the ear for hints from the workers.

Both belong to an event loop: a server has one, each test may have its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from weakref import WeakKeyDictionary

from channels.layers import get_channel_layer

from converge_site.live.tailer import Tailer
from runtime.events import ALL_JOBS_GROUP

RETRY_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Hub:
    """A tailer with its ear."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.tailer = Tailer(loop)
        self.tailer.start()
        self._ear = loop.create_task(self._listen(), name="live-hints")

    async def close(self) -> None:
        """Ends both."""
        self._ear.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ear
        await asyncio.to_thread(self.tailer.stop)

    async def _listen(self) -> None:
        """Wakes the tailer on every hint. Without Redis there are none, and it polls: later, and nothing lost."""
        while True:
            try:
                layer = get_channel_layer()
                channel = await layer.new_channel()
                await layer.group_add(ALL_JOBS_GROUP, channel)
                while True:
                    await layer.receive(channel)
                    self.tailer.hint()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                logger.warning("no hints from the workers (%s); polling", error)
                await asyncio.sleep(RETRY_SECONDS)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def get_hub() -> Hub:
    """The hub of the running event loop; started by its first viewer."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None or not hub.tailer.is_alive:
        hub = _hubs[loop] = Hub(loop)
    return hub


async def close_hub() -> None:
    """Ends the hub of the running event loop, if there is one."""
    hub = _hubs.pop(asyncio.get_running_loop(), None)
    if hub is not None:
        await hub.close()
