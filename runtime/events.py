"""Hints to the pages that a job's journal has grown: the only import of Channels in this package.

D8.1: one small event per job and cycle goes out after its commit: ids and a seq range. The journal is the
truth; a hint that is late, doubled or lost costs a page at most its next look at the database.

Whoever commits never waits for Redis. Hints go to a thread of their own; those of one job that arrive while
another is on its way are joined to one range, so a fast job sends a few dozen a second and no more.
"""

import asyncio
import atexit
import logging
import threading
from dataclasses import dataclass
from typing import Any

from channels.layers import get_channel_layer

from runtime.failpoints import failpoint

JobId = int | str

# The group that hears of every job, and the handler's name: Channels calls `job_event` on each consumer.
ALL_JOBS_GROUP = "jobs"
EVENT_TYPE = "job.event"

# Between two rounds, hints of the same job are joined.
ROUND_SECONDS = 0.02
# A Redis that hangs holds up the next hint, never a commit.
SEND_TIMEOUT_SECONDS = 1.0
FLUSH_AT_EXIT_SECONDS = 0.5

logger = logging.getLogger(__name__)


@dataclass
class EventCounts:
    """What became of the hints of this process: for the Runtimes page and for tests."""

    published: int = 0
    failed: int = 0


counts = EventCounts()


def job_group(job_id: JobId) -> str:
    """Returns the group of the consumers that watch one job."""
    return f"job.{job_id}"


def publish_job_event(job_id: JobId, first_seq: int, last_seq: int) -> None:
    """Hints that the entries `first_seq` to `last_seq` of a job are committed. Returns at once; never raises.

    Consumers in `job_group(job_id)` and in ALL_JOBS_GROUP get
    `{"type": EVENT_TYPE, "job": str, "first": int, "last": int}`. Call it after the commit.
    """
    _publisher.add(str(job_id), first_seq, last_seq)


class _Publisher:
    """A thread with an event loop of its own, started by the first hint."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[str, tuple[int, int]] = {}
        self._idle = threading.Event()
        self._idle.set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None

    def add(self, job_id: str, first_seq: int, last_seq: int) -> None:
        with self._lock:
            known = self._pending.get(job_id)
            if known:
                first_seq, last_seq = min(known[0], first_seq), max(known[1], last_seq)
            self._pending[job_id] = (first_seq, last_seq)
            self._idle.clear()
            if len(self._pending) > 1 or known:
                return  # the thread was woken for those already
            if self._loop is None:
                self._start()
            assert self._loop is not None
            assert self._wake is not None
            self._loop.call_soon_threadsafe(self._wake.set)

    def flush(self, timeout: float) -> bool:
        """Waits until nothing is left to send, at most `timeout` seconds. Returns whether that was reached."""
        return self._idle.wait(timeout)

    def _start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._wake = asyncio.Event()
        threading.Thread(target=self._run, args=(self._loop,), name="job-events", daemon=True).start()
        # A command that runs a job and ends still tells the pages.
        atexit.register(self.flush, FLUSH_AT_EXIT_SECONDS)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(self._send_rounds())

    async def _send_rounds(self) -> None:
        assert self._wake is not None
        while True:
            await self._wake.wait()
            with self._lock:
                self._wake.clear()
                batch, self._pending = self._pending, {}
            for job_id, (first, last) in batch.items():
                await self._send(job_id, first, last)
            with self._lock:
                if not self._pending:
                    self._idle.set()
            await asyncio.sleep(ROUND_SECONDS)

    async def _send(self, job_id: str, first: int, last: int) -> None:
        message: dict[str, Any] = {"type": EVENT_TYPE, "job": job_id, "first": first, "last": last}
        try:
            failpoint("event.before_send")
            layer = get_channel_layer()
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                await layer.group_send(job_group(job_id), message)
                await layer.group_send(ALL_JOBS_GROUP, message)
        except Exception as error:  # whatever it is, a hint must not harm the job
            counts.failed += 1
            logger.debug("hint of job %s not sent: %s", job_id, error)
        else:
            counts.published += 1


_publisher = _Publisher()
