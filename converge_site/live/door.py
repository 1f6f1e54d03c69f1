"""Who may look: asked when a socket opens, and again and again while it is open.

The question goes to the database in a thread of its own: it must wait neither for a slow page nor for the tailer.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol
from weakref import WeakKeyDictionary, WeakSet

from django.db import close_old_connections

from converge_site.live.permission import is_still_allowed

RECHECK_SECONDS = 10.0

logger = logging.getLogger(__name__)


class Visitor(Protocol):
    """A socket, as the door sees it."""

    session_key: str

    def turn_out(self) -> None:
        """Is told that its person may not look any more."""
        ...


async def may_enter(session_key: str) -> bool:
    """Whether the person of a session may look now. Raises a database error if nobody can say."""
    return await asyncio.get_running_loop().run_in_executor(_thread, _ask, session_key)


def let_in(visitor: Visitor) -> None:
    """From now on the visitor's session is looked at every RECHECK_SECONDS, until it leaves."""
    loop = asyncio.get_running_loop()
    door = _doors.get(loop)
    if door is None:
        door = _doors[loop] = _Door()
    door.visitors.add(visitor)
    if door.task is None or door.task.done():
        door.task = loop.create_task(door.look_again(), name="live-door")


def let_out(visitor: Visitor) -> None:
    """The visitor has left."""
    door = _doors.get(asyncio.get_running_loop())
    if door is not None:
        door.visitors.discard(visitor)


class _Door:
    """Those who are inside, of one event loop."""

    def __init__(self) -> None:
        self.visitors: WeakSet[Visitor] = WeakSet()
        self.task: asyncio.Task[None] | None = None

    async def look_again(self) -> None:
        """Asks once for each session, however many sockets it has. Ends when nobody is inside."""
        while self.visitors:
            await asyncio.sleep(RECHECK_SECONDS)
            of_session: defaultdict[str, list[Visitor]] = defaultdict(list)
            for visitor in self.visitors:
                of_session[visitor.session_key].append(visitor)
            for key, visitors in of_session.items():
                try:
                    allowed = await may_enter(key)
                except Exception as error:
                    # The database is away, and so are its news: nobody is sent off for that.
                    logger.warning("cannot ask whether viewers may still look (%s)", error)
                    break
                if not allowed:
                    for visitor in visitors:
                        visitor.turn_out()


_thread = ThreadPoolExecutor(1, thread_name_prefix="live-door")
_doors: WeakKeyDictionary[asyncio.AbstractEventLoop, _Door] = WeakKeyDictionary()


def _ask(session_key: str) -> bool:
    close_old_connections()
    try:
        return is_still_allowed(session_key)
    finally:
        close_old_connections()
