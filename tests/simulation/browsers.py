"""Viewers: the site's own consumer at one end of a wire, at the other what static/live.js does with what arrives."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import Any

import orjson

from converge_site.live.consumers import JobConsumer
from runtime.models import Job
from tests.simulation.injection import render_keys, render_panels
from tests.simulation.stand_ins import Loop
from tests.simulation.violation import Violation

ROW = re.compile(r"<row (\d+)>")
PANEL = re.compile(r"<panel ([^=]+)=([^>]*)>")
ACK_EVERY = 3


class Welcome(JobConsumer):
    """The consumer, and nobody to turn away."""

    async def _ask_in(self) -> int | None:
        return None


class Socket:
    """A consumer in its event loop, with a wire instead of a server."""

    def __init__(self, job_id: int, loop: Loop) -> None:
        self.scope = {"url_route": {"kwargs": {"job_id": job_id}}}
        self.loop = loop
        self.wire: deque[str] = deque()
        self.is_closed = False
        self._said: asyncio.Queue[dict[str, Any]] | None = None

    def hear(self, message: dict[str, Any] | None) -> None:
        """What the browser sends; None for its end of the line."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._take, message)

    def _take(self, message: dict[str, Any] | None) -> None:
        if self._said is None:
            self._said = asyncio.Queue()
            self._said.put_nowait({"type": "websocket.connect"})
            self.loop.create_task(self._serve(self._said))
        if message is None:
            self._said.put_nowait({"type": "websocket.disconnect", "code": 1001})
        else:
            self._said.put_nowait({"type": "websocket.receive", "text": orjson.dumps(message).decode()})

    async def _serve(self, said: asyncio.Queue[dict[str, Any]]) -> None:
        await Welcome(self.scope, self._send).run(said.get)

    async def _send(self, event: dict[str, Any]) -> None:
        if event["type"] == "websocket.send":
            self.wire.append(event["text"])
        elif event["type"] == "websocket.close":
            self.is_closed = True


class Browser:
    """A page of one job. `rows` are the entries it shows, `panels` what else it shows, by name."""

    def __init__(self, job_id: int, head: int, panels: dict[str, str]) -> None:
        self.job_id = job_id
        self.last = head
        self.first = 1
        self.rows = list(range(1, head + 1))
        self.panels = panels
        self.socket: Socket | None = None
        self.received = 0

    def connect(self, loop: Loop) -> None:
        """Says which entry it has last, and is told what came after."""
        self.received = 0
        self.socket = Socket(self.job_id, loop)
        self.socket.hear({"after": self.last})

    def cut(self, quietly: bool = False) -> None:
        """The line is gone; `quietly` means that the server does not notice."""
        if self.socket is not None and not quietly:
            self.socket.hear(None)
        self.socket = None

    def read(self) -> None:
        """Takes one frame off the wire."""
        socket = self.socket
        if socket is None:
            return
        if socket.wire:
            self._take(orjson.loads(socket.wire.popleft()))
        elif socket.is_closed:
            self.socket = None

    def _take(self, frame: dict[str, Any]) -> None:
        if "ping" in frame:
            return
        self.received += 1
        if self.received % ACK_EVERY == 0 and self.socket is not None:
            self.socket.hear({"ack": self.received})
        if "to" not in frame:
            self._apply(frame["html"])
            return
        if frame.get("reset"):
            self.rows, self.last = [], frame["after"]
            self.first = self.last + 1
        if frame["after"] > self.last:
            self.cut()
            return
        if frame["to"] < self.last:
            return
        self._apply(frame["html"])
        self.last = frame["to"]
        if len(self.rows) != self.last - self.first + 1:
            at = self.rows[-1] if self.rows else self.first - 1
            raise Violation(8, f"a page shows entries up to {at} and takes itself to be at {self.last}")

    def _apply(self, html: str) -> None:
        for found in ROW.findall(html):
            seq = int(found)
            if seq <= self.last:
                continue
            at = self.rows[-1] if self.rows else self.first - 1
            if seq != at + 1:
                raise Violation(8, f"a page shows entry {seq} after {at}")
            self.rows.append(seq)
        self.panels.update(PANEL.findall(html))


def panels_of(job: Job) -> dict[str, str]:
    """What a job's page shows beside the journal when it is loaded."""
    html = [*render_panels(job).values(), *render_keys(job).values()]
    return dict(found for text in html for found in PANEL.findall(text))
