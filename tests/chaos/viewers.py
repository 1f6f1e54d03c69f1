"""Browsers that watch a job: what static/live.js does with frames, over a socket of its own."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from tests.chaos.house import HOST, House

ROW = re.compile(r'data-seq="(\d+)"')
SILENT = 25.0  # seconds without a frame; the server pings every 10


@dataclass
class Viewer:
    """One browser on one job. `manner` is "quick", "slow" (reads a frame now and then) or "half-open" (from time to
    time its line goes dead without a word)."""

    house: House
    job: int
    manner: str = "quick"
    rendered: list[int] = field(default_factory=list)
    last: int = 0
    connections: int = 0
    gaps: int = 0  # frames it lacked the start of, for which it came back from its cursor
    faults: list[str] = field(default_factory=list)
    heard: float = field(default_factory=time.monotonic)  # when a frame came last

    def __str__(self) -> str:
        silent = time.monotonic() - self.heard
        return f"a viewer of job {self.job} ({self.kind}, {self.connections} connections, silent for {silent:.1f} s)"

    def start(self) -> Viewer:
        """Opens the page."""
        self.kind = self.manner  # which healing changes
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"viewer-{self.job}", daemon=True)
        self._thread.start()
        return self

    def end(self) -> None:
        """Closes the page."""
        self._ended.set()
        self._thread.join(10)

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                with _Socket(self.house, f"/ws/jobs/{self.job}/") as line:
                    self.connections += 1
                    line.send({"after": self.last})
                    self._follow(line)
            except (OSError, ValueError, struct.error):
                pass
            self._ended.wait(0.3)

    def _follow(self, line: _Socket) -> None:
        received, heard = 0, time.monotonic()
        while not self._ended.is_set():
            text = line.receive(0.5)
            if text == "":
                if time.monotonic() - heard > SILENT:
                    return
                continue
            heard = self.heard = time.monotonic()
            frame = json.loads(text)
            if "ping" in frame:
                continue
            received += 1
            if self.manner == "slow":
                self._ended.wait(0.4)
            line.send({"ack": received})
            if not self._take(frame):
                return
            if self.manner == "half-open" and received % 3 == 0:
                self._ended.wait(1.5)  # nobody reads and nobody closes
                return

    def _take(self, frame: dict[str, object]) -> bool:
        """Puts a frame in the page, as live.js does; False if it must come back from its cursor."""
        if "to" not in frame:
            return True
        after, to = int(str(frame["after"])), int(str(frame["to"]))
        if frame.get("reset"):
            self.rendered.clear()
            self.last = after
        if after > self.last:
            self.gaps += 1
            return False
        if to < self.last:
            return True
        rows = [seq for seq in map(int, ROW.findall(str(frame["html"]))) if seq > self.last]
        if rows and rows != list(range(self.last + 1, rows[-1] + 1)):
            self.faults.append(f"viewer of job {self.job}: after {self.last} came {rows[:5]}")
        if rows and rows[-1] != to:
            self.faults.append(f"viewer of job {self.job}: a frame to {to} ends with row {rows[-1]}")
        if not rows and to > self.last:
            self.faults.append(f"viewer of job {self.job}: from {self.last} to {to} without a row")
        self.rendered += rows
        self.last = to
        return True


class _Socket:
    """The client's side of a web socket, as much of it as is needed."""

    def __init__(self, house: House, path: str) -> None:
        from django.conf import settings

        self._line = socket.create_connection((HOST, house.port), timeout=5)
        self._buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        cookie = f"{settings.SESSION_COOKIE_NAME}={house.sessions['otto']}"
        head = (
            f"GET {path} HTTP/1.1",
            f"Host: {HOST}:{house.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            f"Origin: {house.url}",
            f"Cookie: {cookie}",
        )
        self._line.sendall("\r\n".join([*head, "", ""]).encode())
        while b"\r\n\r\n" not in self._buffer:
            self._read_more()
        answer, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        if b" 101 " not in answer.split(b"\r\n")[0]:
            raise ConnectionError(answer.split(b"\r\n")[0].decode())

    def __enter__(self) -> _Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    def send(self, message: dict[str, int]) -> None:
        """Sends a text frame, masked as clients must."""
        self._send(1, json.dumps(message).encode())

    def receive(self, seconds: float) -> str:
        """The next text; "" if none came in time. Raises ConnectionError when the line ends."""
        self._line.settimeout(seconds)
        text = b""
        while True:
            try:
                final, kind, body = self._frame()
            except TimeoutError:
                return ""
            if kind == 8:
                raise ConnectionError("closed")
            if kind == 9:
                self._send(10, body)
            elif kind in (0, 1):
                text += body
                if final:
                    return text.decode()

    def _frame(self) -> tuple[bool, int, bytes]:
        """One whole frame; what came of an unfinished one stays for the next try."""
        need = 2
        while True:
            if len(self._buffer) >= need:
                first, second = self._buffer[0], self._buffer[1] & 0x7F
                start, size = 2, second
                if second >= 126:
                    width = 2 if second == 126 else 8
                    start += width
                    size = int.from_bytes(self._buffer[2:start]) if len(self._buffer) >= start else 1 << 40
                if len(self._buffer) >= start + size:
                    body, self._buffer = self._buffer[start : start + size], self._buffer[start + size :]
                    return bool(first & 0x80), first & 0x0F, body
                need = len(self._buffer) + 1
            self._read_more()

    def _read_more(self) -> None:
        data = self._line.recv(65_536)
        if not data:
            raise ConnectionError("the line ended")
        self._buffer += data

    def _send(self, kind: int, body: bytes) -> None:
        mask = os.urandom(4)
        size = (
            bytes([0x80 | len(body)])
            if len(body) < 126
            else bytes([0x80 | 126]) + struct.pack(">H", len(body))
        )
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(body))
        self._line.sendall(bytes([0x80 | kind]) + size + mask + masked)
