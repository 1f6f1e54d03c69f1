"""The sockets of the pages. A viewer says where it is, is brought up to date, and from then on only listens.

From the viewer: `{"after": seq}` or `{"page": name, "query": ...}` once; then `{"ack": frames}` now and then, and
`{"ping": 1}` when it doubts its line, which is answered.

These are plain ASGI applications. Channels' own consumers subscribe each socket to Redis, so that none opens while
Redis is away, and pass each message from a viewer through the thread that renders the pages.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

import orjson
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from converge_site.live.door import let_in, let_out, may_enter
from converge_site.live.frames import LATE_PING, PING
from converge_site.live.hub import Hub, get_hub
from converge_site.live.outbox import Outbox
from converge_site.live.pages import PAGE_NAMES, read_page_query
from converge_site.readable import UnreadableQuery

PING_SECONDS = 10.0
MOST_RECEIVED = 4096  # characters of one message from a viewer

SIGNED_OUT = 4401
TOO_SLOW = 4408
MAKES_NO_SENSE = 4400
BROKEN = 1011

logger = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Wish = tuple[Hashable, int]  # a topic, and the entry after which it is wanted


class LiveConsumer:
    """One socket. Its tailer calls `deliver` and `end`, the door `turn_out`: all in the socket's event loop."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self.loop = asyncio.get_running_loop()
        self.session_key: str = scope.get("cookies", {}).get(settings.SESSION_COOKIE_NAME, "")
        self._send = send
        self._outbox = Outbox()
        self._close_code = TOO_SLOW  # why the outbox ends, if it does
        self._topics: list[Hashable] = []
        self._greeted = False
        self._hub: Hub | None = None

    @classmethod
    def as_asgi(cls) -> App:
        """The application that makes one of these for each connection."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await cls(scope, send).run(receive)

        return app

    async def run(self, receive: Receive) -> None:
        """From the handshake to the end."""
        await receive()
        if (refusal := await self._ask_in()) is not None:
            await self._send({"type": "websocket.close", "code": refusal})
            return
        await self._send({"type": "websocket.accept"})
        self._hub = get_hub()
        let_in(self)
        writer = asyncio.create_task(self._write(), name="live-writer")
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                self._take(message.get("text"))
        finally:
            self._leave()
            # A task can miss that it is cancelled; one that outlived its socket would keep all of it for ever.
            self._outbox.close()
            writer.cancel()

    async def _ask_in(self) -> int | None:
        """The code with which the handshake is refused, if it is."""
        try:
            allowed = bool(self.session_key) and await may_enter(self.session_key)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("a live connection was refused, for nobody could say who it is: %s", error)
            return BROKEN
        return None if allowed else SIGNED_OUT

    def deliver(self, texts: list[str], replaces: Hashable = None) -> None:
        """Takes frames to send."""
        for text in texts:
            if not self._outbox.put(text, replaces):
                self._leave()
                return

    def end(self) -> None:
        """What it watches cannot be read: the connection ends, and the viewer comes back from its cursor."""
        self._end(BROKEN)

    def turn_out(self) -> None:
        """Its person may not look any more."""
        self._end(SIGNED_OUT)

    def wishes(self, hello: dict[str, Any]) -> list[Wish]:
        """What a hello asks to watch. Raises UnreadableQuery."""
        raise NotImplementedError

    def _take(self, text: str | None) -> None:
        """The hello, an acknowledgement or a ping; anything else ends the connection."""
        message = _parse(text)
        if message is None:
            self._end(MAKES_NO_SENSE)
        elif "ack" in message:
            if isinstance(message["ack"], int):
                self._outbox.acknowledge(message["ack"])
        elif "ping" in message:
            self._outbox.poke()
        elif not self._greeted and not self._outbox.is_closed:
            self._greeted = True
            self._greet(message)

    def _greet(self, hello: dict[str, Any]) -> None:
        assert self._hub is not None
        try:
            wanted = self.wishes(hello)
        except UnreadableQuery:
            self._end(MAKES_NO_SENSE)
            return
        for topic, after in wanted:
            self._topics.append(topic)
            self._hub.tailer.watch(self, topic, after)

    def _end(self, code: int) -> None:
        if not self._outbox.is_closed:
            self._close_code = code
            self._outbox.close()
        self._leave()

    def _leave(self) -> None:
        """Leaves nothing behind."""
        if self._hub is not None:
            for topic in self._topics:
                self._hub.tailer.leave(self, topic)
        self._topics = []
        let_out(self)

    async def _write(self) -> None:
        """Sends what the outbox lets out, and pings while there is nothing."""
        try:
            while True:
                try:
                    text = await self._outbox.get(PING_SECONDS)
                except TimeoutError:
                    text = self._ping()
                if text is None:
                    break
                await self._send({"type": "websocket.send", "text": text})
        except Exception as error:
            # Whatever it was, the viewer must notice: it comes back from its cursor.
            logger.info("a live connection ended: %s", error)
            self._close_code = BROKEN
            self._outbox.close()
        with contextlib.suppress(Exception):
            await self._send({"type": "websocket.close", "code": self._close_code})

    def _ping(self) -> str:
        return PING if self._hub is None or self._hub.tailer.is_well else LATE_PING


class JobConsumer(LiveConsumer):
    """`ws/jobs/<id>/`: one job, from the viewer's last entry on."""

    def wishes(self, hello: dict[str, Any]) -> list[Wish]:
        """The job of the address from entry `after` on, and the inbox's badge."""
        after = hello.get("after")
        after = after if isinstance(after, int) and not isinstance(after, bool) and after >= 0 else 0
        return [
            (("job", int(self.scope["url_route"]["kwargs"]["job_id"])), after),
            (("page", "badge", ""), 0),
        ]


class PageConsumer(LiveConsumer):
    """`ws/jobs/`: a page without a cursor, and the inbox's badge on every page."""

    def wishes(self, hello: dict[str, Any]) -> list[Wish]:
        """The page named, with its query, and the badge."""
        page, query = hello.get("page"), hello.get("query", "")
        wanted: list[Wish] = [(("page", "badge", ""), 0)]
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
