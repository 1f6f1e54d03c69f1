"""How a job stands, as its summary says it: status, tier and reason follow from the last entries of its journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from runtime.engine.tiers import MAX_NAMED
from runtime.models.job import JobStatus
from runtime.record import RecordBroken

MAX_REASON: Final = 500
_BEFORE_A_STOP: Final = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.FAILED)


def stop_sentence(reason: str, causes: Sequence[Mapping[str, Any]], tier: int, top_tier: int) -> str:
    """Why a job stopped, for people: the first cause and how many more there are.

    The sentence is part of the summary, which is verified: of other words, old records would not hold.
    """
    if reason == "converged":
        return f"Every agent has had its say; tier {tier} of {top_tier} is reached."
    if not causes:
        return "Cancelled." if reason == "cancelled" else ""
    first = str(causes[0].get("text", ""))
    # A long list of one kind ends in a cause that counts them all.
    more = sum(int(c["count"]) - MAX_NAMED if "count" in c else 1 for c in causes[1:])
    text = first[:1].upper() + first[1:]
    return f"{text}{f'; and {more:,} more' if more else ''}."[:MAX_REASON]


class Ending:
    """Takes the entries of a journal in order, as they are written down; then tells how it ends."""

    def __init__(self) -> None:
        self.tier = 0
        self._last = b"{}"

    def add(self, body: bytes) -> None:
        """The next entry."""
        self._last = body
        if b'"kind":"answer"' in body and (answer := orjson.loads(body))["kind"] == "answer":
            self.tier = answer["tier"]

    @property
    def stop(self) -> dict[str, Any] | None:
        """The last entry, if it is a stop."""
        last: dict[str, Any] = orjson.loads(self._last)
        return last if last.get("kind") == "stop" else None


def compare_outcome(job: Mapping[str, Any], last: Mapping[str, Any] | None, tier: int, top_tier: int) -> None:
    """Holds a summary (`runtime.record.summary_of`) against the entry the journal ends in, None where it is no stop.

    `tier` is that of the newest answer. A job that was stopped may be taken up again by what people said since; one
    that no runtime can run is failed, whatever its journal ends in. Raises RecordBroken.
    """
    found: dict[str, Any] = {"top_tier": top_tier}
    if job.get("status") not in _BEFORE_A_STOP:
        found["status"] = last["reason"] if last else ""
    if job.get("status") != JobStatus.FAILED or (last and last["reason"] == "failed"):
        found["reason"] = stop_sentence(last["reason"], last["causes"], tier, top_tier) if last else ""
    for name, value in found.items():
        if job.get(name) != value:
            raise RecordBroken(f"the summary says {name} {job.get(name)!r}; the journal gives {value!r}")
