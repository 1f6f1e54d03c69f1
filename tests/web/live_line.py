"""The line between a browser and a server, for tests of what becomes of a page when it goes wrong.

It carries bytes both ways. Of sockets it knows where the server's frames end, so that it can end one with any code; it
can cut a line, and let it go dead without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

CHUNK = 65_536


class Line:
    """A port of its own that leads to the server's."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="line", daemon=True)
        self._sockets: list[_Carried] = []
        self.opened = 0  # sockets so far
        self.is_down = False  # while it is, nobody gets through

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._call(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def close(self, code: int) -> None:
        """Ends the sockets as a server does that gives this code."""
        self._each(lambda carried: carried.close(code))

    def cut(self) -> None:
        """Ends the sockets without a word of farewell."""
        self._each(lambda carried: carried.cut())

    def freeze(self) -> None:
        """From now on nothing comes through the open sockets, and nobody is told."""
        self._each(lambda carried: carried.freeze())

    def _each(self, act: Callable[[_Carried], None]) -> None:
        async def all_of_them() -> None:
            for carried in list(self._sockets):
                act(carried)

        self._call(all_of_them())

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._carry, "127.0.0.1", 0)

    async def _end(self) -> None:
        self._server.close()
        for carried in list(self._sockets):
            carried.cut()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if rest:
            await asyncio.wait(rest, timeout=2)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carried = None
        head = await reader.read(CHUNK)
        try:
            if self.is_down:
                raise OSError
            there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.close()
            return
        try:
            back.write(head)
            if b"upgrade: websocket" in head.lower():
                carried = _Carried(there, writer, back)
                self._sockets.append(carried)
                self.opened += 1
                answers = asyncio.create_task(carried.to_browser())
            else:
                answers = asyncio.create_task(_pump(there, writer))
            asked = asyncio.create_task(_pump(reader, back))
            await asyncio.wait([answers, asked], return_when=asyncio.FIRST_COMPLETED)
            if carried is not None and carried.frozen:
                await carried.ended.wait()  # a dead line does not end by itself
        finally:
            if carried is not None:
                self._sockets.remove(carried)
            back.close()
            writer.close()


class _Carried:
    """One socket: frame by frame towards the browser."""

    def __init__(
        self, there: asyncio.StreamReader, browser: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        self._there, self._browser, self.back = there, browser, back
        self._is_open = False
        self.frozen = False
        self.ended = asyncio.Event()

    async def to_browser(self) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            self._browser.write(await self._there.readuntil(b"\r\n\r\n"))
            self._is_open = True
            while True:
                frame = await self._frame()
                if not self.frozen:
                    self._browser.write(frame)
                    await self._browser.drain()

    async def _frame(self) -> bytes:
        head = await self._there.readexactly(2)
        size = head[1] & 0x7F
        if size >= 126:
            more = await self._there.readexactly(2 if size == 126 else 8)
            head, size = head + more, int.from_bytes(more)
        return head + await self._there.readexactly(size)

    def close(self, code: int) -> None:
        if self._is_open and not self.frozen:
            self._browser.write(bytes([0x88, 2]) + struct.pack(">H", code))
            self.frozen = True  # nothing comes after a farewell
            asyncio.get_running_loop().call_later(0.2, self.cut)

    def cut(self) -> None:
        self.frozen = False
        self.ended.set()
        self._browser.transport.abort()
        self.back.transport.abort()

    def freeze(self) -> None:
        self.frozen = True


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
