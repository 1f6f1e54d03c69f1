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

from django.db import InterfaceError, OperationalError, connection

from converge_site.live.topics import JobTopic, PageTopic, Topic
from runtime.failpoints import failpoint

POLL_SECONDS = 1.0
BATCH_SECONDS = 0.06  # between two rounds: at most about 17 frames a second
TRIES = 5  # rounds in a row that the database may refuse one topic

logger = logging.getLogger(__name__)


class Viewer(Protocol):
    """A socket, as the tailer sees it. `deliver` is called in the event loop's thread."""

    def deliver(self, texts: list[str]) -> None:
        """Takes frames to send, in order."""
        ...

    def end(self) -> None:
        """Is told that what it watches cannot be read."""
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
        # Who is still to be caught up, and from which entry on. Outlives a round that fails.
        self._newcomers: dict[Hashable, list[tuple[Viewer, int]]] = {}
        self._failed: dict[Hashable, int] = {}  # rounds in a row
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
        """Looks at every topic once. Returns how long to wait for the next hint, in seconds.

        A topic that fails stops no other. Raises only if the database is away, which stops them all.
        """
        self._take_asked()
        for name, topic in list(self._topics.items()):
            try:
                self._serve(name, topic)
            except (OperationalError, InterfaceError) as error:
                self._bear(name, error)
            except Exception:
                self._give_up(name)
            else:
                self._failed.pop(name, None)
        # What failed is no reason to hurry: it would be asked for seventeen times a second.
        waiting = any(topic.waiting for name, topic in self._topics.items() if name not in self._failed)
        return BATCH_SECONDS if waiting else POLL_SECONDS

    def _serve(self, name: Hashable, topic: Topic) -> None:
        """Sends what is new to all, and to each newcomer what it lacks."""
        news = self._newcomers.get(name, [])
        settled = self._viewers[name] - {viewer for viewer, _ in news}
        failpoint("tail.before_read")
        texts = topic.changes(at_once=bool(news))
        failpoint("tail.before_send")
        self._send(settled, texts)
        while news:
            viewer, after = news[0]
            self._send({viewer}, topic.catch_up(after))
            news.pop(0)
        self._newcomers.pop(name, None)

    def _bear(self, name: Hashable, error: Exception) -> None:
        """The database refused: it may be away, or busy, or this topic asks what it cannot answer."""
        connection.close()
        if not _database_answers():
            raise error
        self._failed[name] = self._failed.get(name, 0) + 1
        if self._failed[name] >= TRIES:
            self._give_up(name)
        else:
            logger.warning("the live view could not read %s (%s); it tries again", _brief(name), error)

    def _give_up(self, name: Hashable) -> None:
        """Ends the connections of those who watch a topic that fails; called where its exception is handled."""
        logger.exception("the live view cannot show %s; its viewers are told", _brief(name))
        viewers = list(self._viewers[name])
        self._drop(name)
        self._loop.call_soon_threadsafe(_end, viewers)

    def _drop(self, name: Hashable) -> None:
        del self._topics[name], self._viewers[name]
        self._newcomers.pop(name, None)
        self._failed.pop(name, None)

    def _take_asked(self) -> None:
        """Carries out what was asked since the last round."""
        while not self._asked.empty():
            act, name, viewer, after = self._asked.get()
            if act == "watch":
                if name not in self._topics:
                    self._topics[name] = _make_topic(name)
                    self._viewers[name] = set()
                self._viewers[name].add(viewer)
                self._newcomers.setdefault(name, []).append((viewer, after))
            elif name in self._viewers:
                self._viewers[name].discard(viewer)
                if name in self._newcomers:
                    self._newcomers[name] = [(v, a) for v, a in self._newcomers[name] if v is not viewer]
                if not self._viewers[name]:
                    self._drop(name)

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


def _end(viewers: list[Viewer]) -> None:
    for viewer in viewers:
        viewer.end()


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (OperationalError, InterfaceError):
        connection.close()
        return False
    return True


def _brief(name: Hashable) -> str:
    """A topic's name for the log: a query comes from a viewer."""
    return repr(name)[:200]
