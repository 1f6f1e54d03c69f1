"""Many viewers in one process, over sockets of their own: `python -m tests.bench.live_viewers PORT JOB COUNT COOKIE`.

Each does with frames what static/live.js does: it keeps its cursor, acknowledges, and notices what it lacks. "ready" on
stdout says that all are up to date; when stdin ends, one JSON object tells what they saw.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

HOST = "127.0.0.1"
ACK_EVERY, ACK_BYTES = 4, 65_536


class Socket:
    """The client's side of a web socket, as much of it as is needed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int, path: str, cookie: str) -> Socket:
        """Raises ConnectionError if the server refuses."""
        reader, writer = await asyncio.open_connection(HOST, port, limit=1 << 20)
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            *(f"GET {path} HTTP/1.1", f"Host: {HOST}:{port}", "Upgrade: websocket", "Connection: Upgrade"),
            *(f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"Origin: http://{HOST}:{port}"),
            f"Cookie: {cookie}",
        )
        writer.write("\r\n".join([*head, "", ""]).encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in answer.split(b"\r\n")[0]:
            raise ConnectionError(answer.split(b"\r\n")[0].decode())
        return cls(reader, writer)

    def send(self, message: dict[str, Any]) -> None:
        """Sends a text frame of less than 126 bytes; a mask of zeros masks nothing, and is allowed."""
        body = json.dumps(message).encode()
        self._writer.write(bytes([0x81, 0x80 | len(body), 0, 0, 0, 0]) + body)

    async def receive(self) -> bytes:
        """The next text. Raises ConnectionError when the server ends the connection."""
        while True:
            first, second = await self._reader.readexactly(2)
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8))
            body = await self._reader.readexactly(size)
            match first & 0x0F:
                case 1:
                    return body
                case 8:
                    raise ConnectionError(f"closed with {int.from_bytes(body[:2])}")
                case 9:
                    self._writer.write(bytes([0x8A, 0x80 | size, 0, 0, 0, 0]) + body)

    def close(self) -> None:
        """Without a farewell."""
        self._writer.transport.abort()


@dataclass
class Viewer:
    """One viewer of a job, and when it had each entry: (entry, seconds since the epoch)."""

    last: int = -1
    ended: int = 0  # times that the server gave it up as too slow, and it came back
    frames: int = 0
    bytes: int = 0
    gaps: int = 0
    resets: int = 0
    arrivals: list[tuple[int, float]] = field(default_factory=list)
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self, socket: Socket) -> None:
        """Until the connection ends. Raises ConnectionError."""
        socket.send({"after": max(0, self.last)})
        before, frames, size = self.frames, self.frames, self.bytes
        while True:
            self.take(await socket.receive())
            if self.frames - frames >= ACK_EVERY or self.bytes - size >= ACK_BYTES:
                socket.send({"ack": self.frames - before})
                frames, size = self.frames, self.bytes

    async def stay(self, socket: Socket, reopen: Callable[[], Awaitable[Socket]]) -> None:
        """Watches, and comes back from its cursor whenever the connection ends."""
        while True:
            try:
                await self.watch(socket)
            except (ConnectionError, asyncio.IncompleteReadError):
                self.ended += 1
                await asyncio.sleep(0.4)
                socket = await reopen()

    def take(self, text: bytes) -> None:
        """A frame. What it holds begins with its range."""
        if text.startswith(b'{"ping"'):
            return
        self.frames += 1
        self.bytes += len(text)
        if not text.startswith(b'{"after"'):
            return
        after, to = (int(part.rpartition(b":")[2]) for part in text[:80].split(b",")[:2])
        if text.endswith(b'"reset":true}'):
            self.resets += 1
        elif self.last >= 0 and after > self.last:
            self.gaps += 1
        if to > self.last:
            self.last = to
            self.arrivals.append((to, time.time()))
        self.caught_up.set()


async def main(port: int, job: int, count: int, cookie: str) -> None:
    """Opens them, waits for the end of stdin, and tells."""

    async def reopen() -> Socket:
        return await Socket.open(port, f"/ws/jobs/{job}/", cookie)

    viewers = [Viewer() for _ in range(count)]
    tasks = [asyncio.create_task(viewer.stay(await reopen(), reopen)) for viewer in viewers]
    for viewer in viewers:
        await viewer.caught_up.wait()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    told = {
        "ended": sum(viewer.ended for viewer in viewers),
        "gaps": sum(viewer.gaps for viewer in viewers),
        "resets": sum(viewer.resets for viewer in viewers),
        "frames": sum(viewer.frames for viewer in viewers),
        "bytes": sum(viewer.bytes for viewer in viewers),
        "last": [viewer.last for viewer in viewers],
        "arrivals": [viewer.arrivals for viewer in viewers],
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
