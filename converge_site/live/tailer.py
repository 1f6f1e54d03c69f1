"""One thread a web process that follows what its viewers watch (D8.2).

It looks at a job at once when a hint says that its journal has grown, and at everything about once a second while
somebody watches; hints may be lost. It reads each job once, renders each fragment once, and hands the same text to all
viewers, whatever event loop they belong to. It has a connection to the database of its own: the pages' thread would
make every socket wait for every other.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.db import InterfaceError, OperationalError, connection

from converge_site.live.topics import JobTopic, PageTopic, Topic
from converge_site.live.unchanged import read_version
from runtime.failpoints import failpoint

POLL_SECONDS = 1.0
BATCH_SECONDS = 0.06  # between two rounds: at most about 17 frames a second
PAGES_SECONDS = 0.05  # of a round, for pages without a cursor: no job waits longer for a list than this
UNSEEN_SECONDS = 5.0  # what is not in the database (the queue, breakers) is looked at as often
LATE_SECONDS = 5.0  # without a good round: what viewers see may be old
TRIES = 5  # rounds in a row that the database may refuse one topic

logger = logging.getLogger(__name__)


class Viewer(Protocol):
    """A socket, as the tailer sees it. Its methods are called in the thread of its loop."""

    loop: asyncio.AbstractEventLoop

    def deliver(self, texts: list[str], replaces: Hashable = None) -> None:
        """Takes frames to send, in order; what they replace, see Outbox."""
        ...

    def end(self) -> None:
        """Is told that what it watches cannot be read."""
        ...


@dataclass(eq=False)
class Watched:
    """A topic and who watches it."""

    name: Hashable
    topic: Topic
    viewers: set[Viewer] = field(default_factory=set)
    # Who is still to be caught up, and from which entry on. Outlives a round that fails.
    newcomers: list[tuple[Viewer, int]] = field(default_factory=list)
    hinted: bool = False
    failed: int = 0  # rounds in a row
    looked_at: float = float("-inf")

    @property
    def is_page(self) -> bool:
        return isinstance(self.topic, PageTopic)


class Tailer:
    """Follows topics. Everything but `watch`, `leave`, `hint` and the properties belongs to its thread."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[tuple[str, Hashable, Viewer | None, int]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self.watched: dict[Hashable, Watched] = {}
        self._version: object = None  # of the database, when all was looked at
        self._all_at = float("-inf")
        self._well_at = time.monotonic()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread."""
        assert self._thread is None or not self._thread.is_alive()
        self._well_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="live-tailer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; returns when its connection is closed."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def revive(self) -> bool:
        """Starts the thread again if it died; returns whether it had.

        Nobody knows what it had read and not sent, so its viewers are told to come back from their cursors.
        """
        if self.is_alive or self._stopped.is_set():
            return False
        logger.error("the thread of the live view died; it is started again")
        watched, self.watched = self.watched, {}
        self._call({viewer for one in watched.values() for viewer in one.viewers}, _end)
        self.start()
        return True

    @property
    def is_alive(self) -> bool:
        """Whether it still follows anything."""
        return self._thread is not None and self._thread.is_alive() and not self._stopped.is_set()

    @property
    def is_well(self) -> bool:
        """Whether what viewers see is new."""
        return self.is_alive and time.monotonic() - self._well_at < LATE_SECONDS

    def watch(self, viewer: Viewer, topic: Hashable, after: int = 0) -> None:
        """Adds a viewer to ("job", id) or ("page", name, query); it is first brought up to date from `after`."""
        self._asked.put(("watch", topic, viewer, after))
        self._wake.set()

    def leave(self, viewer: Viewer, topic: Hashable) -> None:
        """Takes a viewer away."""
        self._asked.put(("leave", topic, viewer, 0))
        self._wake.set()

    def hint(self, job_id: int | None = None) -> None:
        """Something of a job may have been committed; None: of any."""
        self._asked.put(("hint", job_id and ("job", job_id), None, 0))
        self._wake.set()

    def _run(self) -> None:
        wait = POLL_SECONDS
        while not self._stopped.is_set():
            self._wake.wait(wait)
            self._wake.clear()
            started = time.monotonic()
            try:
                wait = self._round()
                self._well_at = time.monotonic()
            except Exception:
                # The database may be away for a while. Nothing is lost: topics go on from their cursors.
                logger.exception("the live view could not read; it tries again")
                wait = POLL_SECONDS
                self._hang_up()
            self._stopped.wait(max(0.0, BATCH_SECONDS - (time.monotonic() - started)))
        connection.close()

    def _round(self) -> float:
        """Looks at what may have changed. Returns how long to wait for the next hint, in seconds.

        A topic that fails stops no other. Raises only if the database is away, which stops them all.
        """
        self._take_asked()
        self._look_for_changes()
        began, put_off = time.monotonic(), False
        # Jobs first, and of the pages the one that has waited longest.
        for watched in sorted(self.watched.values(), key=lambda one: (one.is_page, one.looked_at)):
            if not (watched.hinted or watched.newcomers or watched.topic.waiting):
                continue
            if watched.is_page and time.monotonic() - began > PAGES_SECONDS:
                put_off = True
                continue
            self._try(watched)
        # What failed is no reason to hurry: it would be asked for seventeen times a second.
        held = any(one.topic.waiting and not one.failed for one in self.watched.values())
        return BATCH_SECONDS if held or put_off else POLL_SECONDS

    def _look_for_changes(self) -> None:
        """Once in POLL_SECONDS, marks everything if anybody has written to the database since; hints may be lost."""
        now = time.monotonic()
        if not self.watched or now - self._all_at < POLL_SECONDS * 0.9:
            return
        self._all_at = now
        version = read_version()
        changed = version is None or version != self._version
        for one in self.watched.values():
            one.hinted |= changed or bool(one.failed) or now - one.looked_at > UNSEEN_SECONDS
        self._version = version

    def _try(self, watched: Watched) -> None:
        try:
            self._serve(watched)
        except (OperationalError, InterfaceError) as error:
            self._bear(watched, error)
        except Exception:
            self._give_up(watched)
        else:
            watched.failed = 0

    def _serve(self, watched: Watched) -> None:
        """Sends what is new to all, and to each newcomer what it lacks."""
        news = watched.newcomers
        settled = watched.viewers - {viewer for viewer, _ in news}
        failpoint("tail.before_read")
        texts = watched.topic.changes(at_once=bool(news))
        failpoint("tail.before_send")
        self._send(watched, settled, texts)
        while watched.topic.owes:
            self._send(watched, settled, watched.topic.more())
        while news:
            viewer, after = news[0]
            self._send(watched, {viewer}, watched.topic.catch_up(after))
            news.pop(0)
        watched.hinted, watched.looked_at = False, time.monotonic()

    def _bear(self, watched: Watched, error: Exception) -> None:
        """The database refused: it may be away, or busy, or this topic asks what it cannot answer."""
        self._hang_up()
        if not _database_answers():
            raise error
        watched.failed += 1
        watched.hinted, watched.looked_at = True, time.monotonic()
        if watched.failed >= TRIES:
            self._give_up(watched)
        else:
            logger.warning(
                "the live view could not read %s (%s); it tries again", _brief(watched.name), error
            )

    def _hang_up(self) -> None:
        """Closes the connection. What another says of the database's version cannot be compared."""
        self._version = None
        connection.close()

    def _give_up(self, watched: Watched) -> None:
        """Ends the connections of those who watch a topic that fails; called where its exception is handled."""
        logger.exception("the live view cannot show %s; its viewers are told", _brief(watched.name))
        del self.watched[watched.name]
        self._call(watched.viewers, _end)

    def _take_asked(self) -> None:
        """Carries out what was asked since the last round."""
        while not self._asked.empty():
            act, name, viewer, after = self._asked.get()
            if viewer is None:
                self._mark(name)
            elif act == "watch":
                watched = self.watched.get(name)
                if watched is None:
                    watched = self.watched[name] = Watched(name, _make_topic(name))
                watched.viewers.add(viewer)
                watched.newcomers.append((viewer, after))
            elif (watched := self.watched.get(name)) is not None:
                watched.viewers.discard(viewer)
                watched.newcomers = [(v, a) for v, a in watched.newcomers if v is not viewer]
                if not watched.viewers:
                    del self.watched[name]

    def _mark(self, name: Hashable) -> None:
        """A hint: of one job, and of all pages, which may show it."""
        for one in self.watched.values():
            one.hinted |= name is None or one.name == name or one.is_page

    def _send(self, watched: Watched, viewers: set[Viewer], texts: list[str]) -> None:
        if texts:
            self._call(viewers, _deliver, texts, watched.name if watched.is_page else None)

    def _call(self, viewers: Iterable[Viewer], act: Any, *arguments: Any) -> None:
        """Lets viewers be told in the threads of their loops."""
        of_loop: defaultdict[asyncio.AbstractEventLoop, list[Viewer]] = defaultdict(list)
        for viewer in viewers:
            of_loop[viewer.loop].append(viewer)
        for loop, some in of_loop.items():
            try:
                loop.call_soon_threadsafe(act, some, *arguments)
            except RuntimeError:  # the loop is closed, and its sockets with it
                for watched in list(self.watched.values()):
                    for viewer in some:
                        if viewer in watched.viewers:
                            self.leave(viewer, watched.name)


def _make_topic(name: Hashable) -> Topic:
    match name:
        case ("job", int(job_id)):
            return JobTopic(job_id)
        case ("page", str(page), str(query)):
            return PageTopic(page, query)
    raise ValueError(f"no such topic: {name!r}")


def _deliver(viewers: list[Viewer], texts: list[str], replaces: Hashable) -> None:
    for viewer in viewers:
        viewer.deliver(texts, replaces)


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
