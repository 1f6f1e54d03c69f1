"""The sockets of the pages. A viewer says where it is, is brought up to date, and from then on only listens.

From the viewer: `{"after": seq}` or `{"page": name, "query": ...}` once, then `{"ack": frames}` now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Hashable
from typing import Any

import orjson
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from converge_site.live.frames import PING
from converge_site.live.hub import Hub, get_hub
from converge_site.live.outbox import Outbox
from converge_site.live.pages import PAGE_NAMES, read_page_query
from converge_site.live.permission import is_still_allowed
from converge_site.readable import UnreadableQuery

PING_SECONDS = 10.0
RECHECK_SECONDS = 30.0
MOST_RECEIVED = 4096  # bytes of one message from a viewer

SIGNED_OUT = 4401
TOO_SLOW = 4408
MAKES_NO_SENSE = 4400
BROKEN = 1011

logger = logging.getLogger(__name__)


class LiveConsumer(AsyncWebsocketConsumer):
    """What both sockets share: permission, the outbox, pings, acknowledgements."""

    async def connect(self) -> None:
        """Accepts whoever may look."""
        self.outbox = Outbox()
        self.close_code = TOO_SLOW  # why the outbox ends, if it does
        self.topics: list[Hashable] = []
        self.hub: Hub | None = None
        self.writer: asyncio.Task[None] | None = None
        if not await self._allowed():
            await self.close(SIGNED_OUT)
            return
        await self.accept()
        self.hub = get_hub()
        self.writer = asyncio.create_task(self._write())

    async def disconnect(self, code: int) -> None:
        """Leaves nothing behind."""
        for topic in self.topics:
            if self.hub:
                self.hub.tailer.leave(self, topic)
        self.topics = []
        if self.writer:
            self.writer.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """The hello, or an acknowledgement; anything else ends the connection."""
        message = _parse(text_data)
        if message is None:
            await self.close(MAKES_NO_SENSE)
        elif "ack" in message:
            if isinstance(message["ack"], int):
                self.outbox.acknowledge(message["ack"])
        elif not self.topics:
            await self._greet(message)

    async def _greet(self, hello: dict[str, Any]) -> None:
        try:
            wanted = self.topics_of(hello)
        except UnreadableQuery:
            await self.close(MAKES_NO_SENSE)
            return
        for topic, after in wanted:
            self._watch(topic, after)

    def topics_of(self, hello: dict[str, Any]) -> list[tuple[Hashable, int]]:
        """What a hello asks to watch, and from which entry on. Raises UnreadableQuery."""
        raise NotImplementedError

    def deliver(self, texts: list[str]) -> None:
        """Takes frames from the tailer, in the event loop's thread."""
        for text in texts:
            if not self.outbox.put(text):
                return

    def end(self) -> None:
        """What it watches cannot be read: the connection ends, and the viewer comes back from its cursor."""
        self.close_code = BROKEN
        self.outbox.close()

    def _watch(self, topic: Hashable, after: int) -> None:
        assert self.hub is not None
        self.topics.append(topic)
        self.hub.tailer.watch(self, topic, after)

    async def _write(self) -> None:
        """Sends what the outbox holds, pings while it is empty, and asks again whether this person may look."""
        checked = time.monotonic()
        try:
            while True:
                text = await self._next_text()
                if text is None:
                    await self.close(self.close_code)
                    return
                if time.monotonic() - checked > RECHECK_SECONDS:
                    checked = time.monotonic()
                    if not await self._allowed():
                        await self.close(SIGNED_OUT)
                        return
                await self.send(text_data=text)
        except Exception as error:
            # Whatever it was, the viewer must notice: it comes back from its cursor.
            logger.info("a live connection ended: %s", error)
            with contextlib.suppress(Exception):
                await self.close(BROKEN)

    async def _next_text(self) -> str | None:
        try:
            return await asyncio.wait_for(self.outbox.get(), PING_SECONDS)
        except TimeoutError:
            return PING

    async def _allowed(self) -> bool:
        session = self.scope.get("session")
        key = getattr(session, "session_key", None)
        return bool(key) and await database_sync_to_async(is_still_allowed)(key)


class JobConsumer(LiveConsumer):
    """`ws/jobs/<id>/`: one job, from the viewer's last entry on."""

    def topics_of(self, hello: dict[str, Any]) -> list[tuple[Hashable, int]]:
        """The job of the address from entry `after` on, and the inbox's badge."""
        after = hello.get("after")
        after = after if isinstance(after, int) and not isinstance(after, bool) and after >= 0 else 0
        return [
            (("job", int(self.scope["url_route"]["kwargs"]["job_id"])), after),
            (("page", "badge", ""), 0),
        ]


class PageConsumer(LiveConsumer):
    """`ws/jobs/`: a page without a cursor, and the inbox's badge on every page."""

    def topics_of(self, hello: dict[str, Any]) -> list[tuple[Hashable, int]]:
        """The page named, with its query, and the badge."""
        page, query = hello.get("page"), hello.get("query", "")
        wanted: list[tuple[Hashable, int]] = [(("page", "badge", ""), 0)]
        if page in PAGE_NAMES and page != "badge" and isinstance(query, str):
            read_page_query(query)  # a query nobody can read is turned away before anybody watches it
            wanted.append((("page", page, query), 0))
        return wanted


def _parse(text: str | None) -> dict[str, Any] | None:
    """A viewer's message; None if it is none of ours."""
    if text is None or len(text) > MOST_RECEIVED:
        return None
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return message if isinstance(message, dict) else None
