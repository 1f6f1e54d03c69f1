"""A worker that is asked to stop is gone in time, and leaves no job that must wait for its lease to be over.

The cycle under way is finished if it can be within the grace: `runtime.queue.stop_requested` is asked between cycles,
and while tools are called. A longer one is left as if it had never begun: the job goes back to the queue under a new
epoch, so that nothing of that cycle can be committed any more, and the process ends.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error

from runtime.lease import hand_over_unfinished
from runtime.queue import enqueue_job

log = logging.getLogger(__name__)

_STOPS = {signal.SIGINT, signal.SIGTERM}
_held: tuple[int, int] | None = None  # job and epoch; of the process, which runs one job at a time


@contextmanager
def holding(job_id: int, epoch: int) -> Iterator[None]:
    """Within it this process has the job, and whoever ends the process must give it up."""
    global _held
    _held = (job_id, epoch)
    try:
        yield
    finally:
        _held = None


def end_in_time(grace: float) -> None:
    """From now on the process ends at most `grace` seconds after SIGTERM or SIGINT. For the main thread.

    Signals are seen through a file descriptor, at once: Python's own handlers wait for the main thread, which may be
    deep in somebody's agent.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_wait_and_end, args=(reader, grace), name="end-in-time", daemon=True).start()


def _wait_and_end(reader: int, grace: float) -> None:
    while not _STOPS.intersection(os.read(reader, 64)):
        pass
    threading.Event().wait(grace)
    os._exit(give_up_held(grace))


def give_up_held(grace: float) -> int:
    """Hands over what this process holds; gives its exit status: 1 if the job must wait for its lease."""
    if _held is None:
        return 0
    job_id, epoch = _held
    try:
        if hand_over_unfinished(job_id, epoch):
            enqueue_job(job_id)
            log.warning(
                "job %s: its cycle was not done %g s after this worker was asked to stop; another begins it anew",
                job_id,
                grace,
            )
    except Error as error:
        log.error("job %s could not be handed over (%s); it goes on when its lease is over", job_id, error)
        return 1
    return 0
