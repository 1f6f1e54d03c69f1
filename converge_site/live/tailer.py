"""One thread a web process that follows what its viewers watch (D8.2).

It looks at the database about once a second while somebody watches, and at once when a hint says that a journal has
grown; hints may be lost. It reads each job once, renders each fragment once, and hands the same text to all viewers.
It has a connection to the database of its own: the pages' thread would make every socket wait for every other.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Hashable
from typing import Protocol

from django.db import connection

from converge_site.live.topics import JobTopic, PageTopic, Topic

POLL_SECONDS = 1.0
BATCH_SECONDS = 0.06  # between two rounds: at most about 17 frames a second

logger = logging.getLogger(__name__)


class Viewer(Protocol):
    """A socket, as the tailer sees it. `deliver` is called in the event loop's thread."""

    def deliver(self, texts: list[str]) -> None:
        """Takes frames to send, in order."""
        ...


class Tailer:
    """Follows topics for the viewers of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked: queue.SimpleQueue[tuple[str, Hashable, Viewer, int]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._topics: dict[Hashable, Topic] = {}
        self._viewers: dict[Hashable, set[Viewer]] = {}
        self._thread = threading.Thread(target=self._run, name="live-tailer", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; returns when its connection is closed."""
        self._stopped.set()
        self._wake.set()
        self._thread.join(timeout=10)

    @property
    def is_alive(self) -> bool:
        """Whether it still follows anything."""
        return self._thread.is_alive() and not self._stopped.is_set()

    def watch(self, viewer: Viewer, topic: Hashable, after: int = 0) -> None:
        """Adds a viewer to ("job", id) or ("page", name, query); it is first brought up to date from `after`."""
        self._asked.put(("watch", topic, viewer, after))
        self._wake.set()

    def leave(self, viewer: Viewer, topic: Hashable) -> None:
        """Takes a viewer away."""
        self._asked.put(("leave", topic, viewer, 0))
        self._wake.set()

    def hint(self) -> None:
        """Something may have been committed."""
        self._wake.set()

    def _run(self) -> None:
        wait = POLL_SECONDS
        while not self._stopped.is_set():
            self._wake.wait(wait)
            self._wake.clear()
            started = time.monotonic()
            try:
                wait = self._round()
            except Exception:
                # The database may be away for a while. Nothing is lost: topics go on from their cursors.
                logger.exception("the live view could not read; it tries again")
                wait = POLL_SECONDS
                connection.close()
            self._stopped.wait(max(0.0, BATCH_SECONDS - (time.monotonic() - started)))
        connection.close()

    def _round(self) -> float:
        """Looks at every topic once. Returns how long to wait for the next hint, in seconds."""
        newcomers = self._take_asked()
        for name, topic in list(self._topics.items()):
            news = newcomers.pop(name, [])
            settled = self._viewers[name] - {viewer for viewer, _ in news}
            self._send(settled, topic.changes(at_once=bool(news)))
            for viewer, after in news:
                self._send({viewer}, topic.catch_up(after))
        return BATCH_SECONDS if any(topic.waiting for topic in self._topics.values()) else POLL_SECONDS

    def _take_asked(self) -> dict[Hashable, list[tuple[Viewer, int]]]:
        """Carries out what was asked; returns who is new on which topic."""
        newcomers: dict[Hashable, list[tuple[Viewer, int]]] = {}
        while not self._asked.empty():
            act, name, viewer, after = self._asked.get()
            if act == "watch":
                if name not in self._topics:
                    self._topics[name] = _make_topic(name)
                    self._viewers[name] = set()
                self._viewers[name].add(viewer)
                newcomers.setdefault(name, []).append((viewer, after))
            elif name in self._viewers:
                self._viewers[name].discard(viewer)
                newcomers[name] = [(v, a) for v, a in newcomers.get(name, []) if v is not viewer]
                if not self._viewers[name]:
                    del self._viewers[name], self._topics[name]
        return newcomers

    def _send(self, viewers: set[Viewer], texts: list[str]) -> None:
        if viewers and texts:
            self._loop.call_soon_threadsafe(_deliver, list(viewers), texts)


def _make_topic(name: Hashable) -> Topic:
    match name:
        case ("job", int(job_id)):
            return JobTopic(job_id)
        case ("page", str(page), str(query)):
            return PageTopic(page, query)
    raise ValueError(f"no such topic: {name!r}")


def _deliver(viewers: list[Viewer], texts: list[str]) -> None:
    for viewer in viewers:
        viewer.deliver(texts)
