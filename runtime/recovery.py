"""Jobs that stopped short only because of tools: when they are tried again, and when no longer (D5.4).

A job that recovers holds no worker. Its row says when it is due; the scheduler then puts a row in its inbox, so that
the clock never leaks into the engine (D2.1). All times are the database's.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from runtime.engine import PackSpec, Stop
from runtime.engine.tiers import may_recover
from runtime.lease import clock_sql
from runtime.models import Decision, Job, Tool
from runtime.queue import enqueue_job
from runtime.tools.gate import BreakerState, shared_gate

CLOCK = "@clock"
SHORTEST_PAUSE = 1.0
FIRST_PAUSE = 5.0  # seconds before the first retry; doubled each time
LONGEST_PAUSE = 300.0
JITTER = 0.2
MOST_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Parking:
    """What a recovering job's row is told: seconds until it is tried again; seconds from the start of its recovering
    until something is given up; the tools it waits for."""

    retry_in: float
    give_up_after: float
    waits_on: str


def plan_parking(pack: PackSpec, stop: Stop, retries: int) -> Parking:
    """When a job that stops as `recovering` goes on: when its breakers let a probe through, else by backoff."""
    tools = sorted({str(c["tool"]) for c in stop.causes if may_recover(dict(c)) and c.get("tool")})
    pause = min(FIRST_PAUSE * 2 ** min(retries, 10), LONGEST_PAUSE)
    states = shared_gate().states(tools) if tools else {}
    for state in states.values():
        pause = _until_probe(state, pause)
    waits = [float(c["wait"]) for c in stop.causes if c["what"] == "awaited"]
    limit = min([*waits, pack.budget.recovery_seconds])
    spread = pause * (1 + JITTER * random.random())
    return Parking(spread, limit, f" {' '.join(tools)} " if tools else "")


def _until_probe(state: BreakerState, pause: float) -> float:
    """Seconds until a call has a chance. Redis' clock may differ from ours, so no wait is taken at its word."""
    if state.status == "open" and state.next_probe is not None:
        return min(max(state.next_probe - time.time(), SHORTEST_PAUSE), LONGEST_PAUSE)
    if state.paused_until is not None:
        return min(max(state.paused_until - time.time(), pause), LONGEST_PAUSE)
    return pause


def wake_waiting(tool: str) -> None:
    """A tool answers again: the jobs that wait for it are due now."""
    clock = clock_sql()
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE runtime_job SET retry_at = {clock} "
            f"WHERE status = 'recovering' AND waits_on LIKE %s ESCAPE '!' AND retry_at > {clock}",
            [f"% {tool.replace('_', '!_')} %"],
        )


def wake_due() -> int:
    """Puts a row into the inbox of each recovering job that is due, and tells the queue. Returns how many.

    Of the jobs that wait for a tool whose breaker is open, as many go on as may probe it; the others stay due until
    it closes, or a hundred jobs would be taken up to be told that it is open.
    """
    due = _due("retry_at")
    allowed = _Allowance({name for _, waits, _ in due for name in waits.split()})
    return sum(_wake(job_id) for job_id, waits, _ in due if allowed.take(waits.split()))


class _Allowance:
    """How many jobs may be tried for each tool in this round."""

    def __init__(self, names: Iterable[str]) -> None:
        wanted = sorted(names)
        states: Mapping[str, BreakerState] = shared_gate().states(wanted) if wanted else {}
        probes = dict(Tool.objects.filter(name__in=wanted).values_list("name", "probes"))
        self.left: dict[str, int] = {}
        for name, state in states.items():
            if state.status == "open":
                self.left[name] = 0  # a probe that is due is told as half open
            elif state.status == "half_open":
                self.left[name] = max(0, probes.get(name, 1) - state.in_flight)

    def take(self, tools: list[str]) -> bool:
        """Whether a job that waits for these may be tried; one tool that lets it through is enough."""
        open_ones = [name for name in tools if name in self.left]
        if len(open_ones) < len(tools) or not tools:
            return True
        for name in open_ones:
            if self.left[name] > 0:
                self.left[name] -= 1
                return True
        return False


def _due(column: str) -> list[tuple[int, str, int]]:
    """(id, waits_on, retries) of recovering jobs whose time has come, those tried least first."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, waits_on, retries FROM runtime_job WHERE status = 'recovering' AND {column} <= {clock_sql()} "
            "ORDER BY retries, id LIMIT %s",
            [MOST_AT_ONCE],
        )
        return [(int(pk), str(waits), int(retries)) for pk, waits, retries in cursor.fetchall()]


def _wake(job_id: int) -> int:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE runtime_job SET retry_at = NULL, retries = retries + 1 "
                f"WHERE id = %s AND status = 'recovering' AND retry_at <= {clock_sql()} RETURNING epoch",
                [job_id],
            )
            row = cursor.fetchone()
        if row is None:
            return 0  # another scheduler was quicker, or somebody asked meanwhile
        _add_row(job_id, "retry_due", f"clock-{job_id}-{row[0]}-retry")
    return 1


def give_up_due() -> int:
    """Stops waiting where the pack's limit is over. Returns how many jobs were told."""
    return sum(_give_up(job_id) for job_id, _, _ in _due("give_up_at"))


def _give_up(job_id: int) -> int:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE runtime_job SET give_up_at = NULL WHERE id = %s AND status = 'recovering' "
                f"AND give_up_at <= {clock_sql()} RETURNING epoch, {clock_sql()} - recovering_since",
                [job_id],
            )
            row = cursor.fetchone()
        if row is None:
            return 0
        job = Job.objects.get(pk=job_id)
        limit = float(job.frozen_spec()["budget"].get("recovery_seconds", 86_400.0))
        receipt = f"clock-{job_id}-{row[0]}-give-up"
        if float(row[1]) >= limit:
            _add_row(job_id, "give_up", receipt, reason=f"given up after {spoken(limit)} of trying")
            return 1
        overdue = [c for c in job.causes if c["what"] == "awaited" and float(c["wait"]) <= float(row[1])]
        for cause in overdue:
            reason = f"not waited for any longer than {spoken(float(cause['wait']))}"
            _add_row(job_id, "give_up", f"{receipt}-{cause['agent']}", reason, {"on": cause["agent"]})
        if not overdue:
            Job.objects.filter(pk=job_id).update(give_up_at=F("recovering_since") + limit)
    return 1


def _add_row(
    job_id: int, act: str, receipt: str, reason: str = "", payload: dict[str, Any] | None = None
) -> None:
    Decision.objects.create(
        job_id=job_id, act=act, by=None, by_name=CLOCK, receipt=receipt, reason=reason, payload=payload or {}
    )
    transaction.on_commit(partial(enqueue_job, job_id))


def spoken(seconds: float) -> str:
    """A span of time for people: "90 seconds", "24 hours"."""
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size and seconds % size == 0:
            return f"{seconds / size:g} {name}"
    return f"{seconds:g} seconds"
