"""A job's record verified for somebody who waits for it: in a few seconds, or as far as that went.

It is the same verification as `manage.py verify` and `replay`. It runs where it is called, so it is bounded: a web
process has others to serve.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import ObjectDoesNotExist

from runtime.engine import ENGINE_VERSION
from runtime.head_log import check_newest, has_left, heads_of
from runtime.models import Job
from runtime.record import RecordBroken, record_of_job
from runtime.signing import KeyTrouble, Signed, trusted_keys
from runtime.verifying import replay_record, verify_job, watched

SECONDS: Final = 4.0  # for a verification, replay included
AT_ONCE: Final = 2  # verifications under way in one process
# Time is looked at between cycles, and merging a wide one again takes a while: 20,000 entries about half a second.
MOST_MERGED: Final = 50_000

_places = threading.BoundedSemaphore(AT_ONCE)


@dataclass(slots=True)
class Verdict:
    """What was found. `end` is one of holds, broken, left, unfinished, busy and trouble; `text` says what is wrong.

    `step` is how far it came: nothing, verified (chain, heads, all that is kept beside the journal), or replayed.
    """

    end: str = "holds"
    text: str = ""
    step: str = ""
    cycles: int = 0
    entries: int = 0
    digest: str = ""
    head: Signed | None = None
    seconds: float = 0.0


class _OutOfTime(Exception):
    """The time for one verification is over."""


def examine(job: Job, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> Verdict:
    """Verifies and replays a job's record within so many seconds. Raises nothing but what the database raises."""
    verdict = Verdict()
    if not _places.acquire(blocking=False):
        verdict.end = "busy"
        return verdict
    began = clock()

    def watch() -> None:
        if clock() - began > seconds:
            raise _OutOfTime

    try:
        _examine(job, verdict, watch)
    except _OutOfTime:
        verdict.end = "unfinished"
    except (RecordBroken, ObjectDoesNotExist) as error:
        verdict.end, verdict.text = _judge(job, error)
    except KeyTrouble as error:
        verdict.end, verdict.text = "trouble", str(error)
    finally:
        _places.release()
    verdict.seconds = clock() - began
    return verdict


def _judge(job: Job, error: Exception) -> tuple[str, str]:
    """How it ended, and in which words: a job that retention takes out meanwhile only looks broken."""
    try:
        if has_left(job.pk, trusted_keys()):
            return "left", "retention keeps this job as a bundle, and its rows are deleted"
    except KeyTrouble as trouble:
        return "trouble", str(trouble)
    gone = isinstance(error, ObjectDoesNotExist)
    return "broken", "a part of it is not in the database" if gone else str(error)


def _examine(job: Job, verdict: Verdict, watch: Callable[[], None]) -> None:
    trusted = trusted_keys()
    fold = verify_job(job, trusted, watch)
    check_newest(trusted)
    verdict.step = "verified"
    verdict.cycles, verdict.entries, verdict.digest = fold.cycle, fold.entries, job.digest
    verdict.head = next(reversed(heads_of(job.pk, trusted)), None)
    # What a newer engine merged, this one cannot merge again.
    if job.engine_version > ENGINE_VERSION or job.entries > MOST_MERGED:
        return
    replay_record(watched(record_of_job(job), watch))
    verdict.step = "replayed"
