"""A moment of a job's past: how it stood when a cycle was committed. `?cycle=N` names it, on every address of a job.

A cycle is the smallest step there is (D6.1): nobody ever saw a job in the middle of one.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.http import Http404

from converge_site.whole_numbers import read_whole
from runtime.models import Cycle, Job


@dataclass(frozen=True)
class Moment:
    """Right after cycle `cycle` was committed: `seq` is its last entry, `at` when it ended.

    `head_cycle` is the newest cycle there is, at the time of asking. Readers show nothing that came after `seq`.
    """

    cycle: int
    seq: int
    head_cycle: int
    at: dt.datetime

    @property
    def query(self) -> str:
        """The moment in an address."""
        return f"cycle={self.cycle}"


class NoSuchMoment(Http404):
    """There is no such cycle; the message says so, for people."""


def read_moment(job: Job, text: str | None) -> Moment | None:
    """The moment that `text` names, a cycle's number; None for the present ("" or None).

    The newest cycle is a moment too: its address shows the same for ever. Raises NoSuchMoment
    if there is no such cycle.
    """
    if not text:
        return None
    number = read_whole(text)
    found = None if number is None else Cycle.objects.filter(job=job, number=number).first()
    if found is None or found.number > job.cycle:
        until = f"It is at cycle {job.cycle}." if job.cycle else "Its first cycle has not ended."
        raise NoSuchMoment(f"Job {job.pk} has no cycle “{text[:20]}”. {until}")
    ended = found.started_at + dt.timedelta(milliseconds=found.duration_ms)
    return Moment(found.number, found.last_seq, job.cycle, ended)
