"""Waiting for a job to stop, and noticing that nobody runs it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.live import Live

from runtime.management.progress import Progress, draw
from runtime.models import Job, JobStatus
from runtime.queue_state import queue_state

LOOK_SECONDS = 0.1
ASK_QUEUE_SECONDS = 1.0
# How long nobody may listen before it is said: longer than a worker that is being started again takes.
PATIENCE_SECONDS = 10.0

# One that recovers goes on by itself, so whoever waits for it is not done.
_RUNNING = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.RECOVERING)

Say = Callable[[str], object]


class NobodyListens(Exception):
    """No worker took the job. It is kept, and runs as soon as one does."""


class TookTooLong(Exception):
    """The time given is over, and the job still runs."""


def tell_who_is_missing() -> str:
    """Why a job would not run now, in a sentence, or "" if a worker listens."""
    state = queue_state()
    if not state.reachable:
        return "Redis does not answer, so no worker can be told of the job. `make run` starts everything it needs."
    if not state.workers:
        return (
            "No worker listens. `make run` starts everything it needs; `manage.py worker` starts one worker."
        )
    return ""


def warn_if_nobody_listens(say: Say) -> None:
    """Says so if a job that was just submitted will have to wait for a worker."""
    missing = tell_who_is_missing()
    if missing:
        say(f"{missing} The job is kept, and runs as soon as one does.")


def watch_job(job: Job, say: Say, terminal: TextIO | None, timeout: float | None = None) -> None:
    """Shows a job's progress until it stops: live on `terminal`, or without one by a line whenever it changed.

    `timeout` is in seconds. Raises NobodyListens or TookTooLong.
    """
    progress = Progress(job, [tier["name"] for tier in job.frozen_spec()["tiers"]])
    if terminal is None:
        _wait(progress, _Lines(progress, say), timeout)
        return
    with Live(console=Console(file=terminal), auto_refresh=False) as live:
        _wait(progress, lambda: live.update(draw(progress), refresh=True), timeout)


class _Lines:
    """Says how the job stands, once for each change of it."""

    def __init__(self, progress: Progress, say: Say) -> None:
        self.progress = progress
        self.say = say
        self.said = ""

    def __call__(self) -> None:
        line = self.progress.line
        if line != self.said:
            self.said = line
            self.say(line)


def _wait(progress: Progress, show: Callable[[], object], timeout: float | None) -> None:
    began = time.monotonic()
    patience = _Patience(progress.job)
    while True:
        progress.look()
        show()
        if progress.job.status not in _RUNNING:
            return
        patience.check()
        if timeout is not None and time.monotonic() - began > timeout:
            raise TookTooLong(
                f"Job {progress.job.pk} has not stopped after {timeout:g} s; it goes on without you."
            )
        time.sleep(LOOK_SECONDS)


class _Patience:
    """Notices that for some time nobody listened and nothing moved."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.asked = self.heard = time.monotonic()
        self.cycle = -1

    def check(self) -> None:
        """Raises NobodyListens once PATIENCE_SECONDS went by without a worker."""
        now = time.monotonic()
        if self.job.cycle != self.cycle:
            self.cycle, self.heard = self.job.cycle, now
        if now - self.asked < ASK_QUEUE_SECONDS:
            return
        self.asked = now
        missing = tell_who_is_missing()
        if not missing:
            self.heard = now
        elif now - self.heard > PATIENCE_SECONDS:
            raise NobodyListens(f"{missing} Job {self.job.pk} is kept, and runs as soon as one does.")
