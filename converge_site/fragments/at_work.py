"""Who has work left while a job runs: worked out from what each agent ran on last and what has changed since.

The engine alone knows for sure, and it is at work elsewhere. What is told here errs to one side: an agent that is named
has something new to look at, and may find that it is what it saw before (D2.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Max

from converge_site.fragments.moment import Moment
from runtime.models import Cycle, Entry, Job

LOOKED_BACK = 60  # cycles


@dataclass(frozen=True, slots=True)
class LastRun:
    """An agent's latest run entry; what came after entry `view`, it was not shown."""

    seq: int
    view: int


@dataclass(frozen=True, slots=True)
class AtWork:
    """`eligible`: agents with news to look at, in pack order; `failed`: (agent, what went wrong) of required ones."""

    eligible: list[str]
    failed: list[tuple[str, str]]


def read_at_work(job: Job, moment: Moment | None = None) -> AtWork:
    """Who has work left, after the job's latest cycle or at a moment."""
    until = job.cycle if moment is None else moment.cycle
    rows = Cycle.objects.filter(job=job, number__lte=until).order_by("-number")
    cycles = list(rows.values_list("first_seq", "timings")[:LOOKED_BACK])
    if not any(timings for _, timings in cycles):
        return AtWork([], [])  # recorded before run times were
    start = cycles[-1][0]
    last = _last_runs(cycles)
    agents = [agent for agent in job.frozen_spec()["agents"] if agent.get("shape") != "aggregate"]
    changed = _last_changes(job, start, job.entries if moment is None else moment.seq)
    eligible = [agent["name"] for agent in agents if _has_news(agent, last, changed, start)]
    return AtWork(eligible, _failures(job, agents, last))


def _last_runs(cycles: list[tuple[int, Any]]) -> dict[str, LastRun]:
    """By agent; `cycles` come newest first."""
    found: dict[str, LastRun] = {}
    for _, timings in cycles:
        runs = {str(row[0]): int(row[-1]) for row in timings if row[-1]}
        # Seeds and the inbox are applied before the view is frozen; the first run entry comes after it (D2.2).
        frozen = min(runs.values(), default=0)
        for name, seq in runs.items():
            found.setdefault(name, LastRun(seq, frozen))
    return found


def _last_changes(job: Job, start: int, end: int) -> dict[str, int]:
    """By key, the last entry from `start` to `end` that changed what a slot shows."""
    changes = Entry.objects.filter(job=job, seq__gte=start, seq__lte=end).exclude(now="")
    return dict(changes.values_list("key").annotate(last=Max("seq")).order_by())


def _has_news(agent: dict[str, Any], last: dict[str, LastRun], changed: dict[str, int], start: int) -> bool:
    ran = last.get(agent["name"])
    seen = ran.view if ran else start - 1
    read = {*(agent.get("reads") or ()), *([agent["over"]] if agent.get("over") else ())}
    return any(changed.get(key, 0) > seen for key in read)


def _failures(job: Job, agents: list[dict[str, Any]], last: dict[str, LastRun]) -> list[tuple[str, str]]:
    """What the latest runs of required agents failed at."""
    required = {
        last[agent["name"]].seq for agent in agents if agent.get("required") and agent["name"] in last
    }
    entries = Entry.objects.filter(job=job, seq__in=required, kind="run").order_by("seq")
    return [
        (entry.agent, str(failed[0].get("message") or failed[0].get("cls") or ""))
        for entry in entries
        if (failed := entry.data.get("failed"))
    ]
