"""Jobs that stopped short only because of tools: when they are tried again, and when no longer (D5.4).

A job that recovers holds no worker. Its row says when it is due; the scheduler then puts a row in its inbox, so that
the clock never leaks into the engine (D2.1). All times are the database's.
"""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import connection, transaction

from runtime.engine import PackSpec, Stop
from runtime.engine.spec import CLOCK
from runtime.engine.tiers import may_recover
from runtime.lease import clock_sql, database_clock
from runtime.models import Decision, Job, Tool
from runtime.queue import enqueue_job
from runtime.tools.gate import BreakerState, shared_gate

log = logging.getLogger(__name__)

SHORTEST_PAUSE = 1.0  # seconds
FIRST_PAUSE = 5.0  # before the first retry; doubled each time
LONGEST_PAUSE = 300.0
JITTER = 0.2
MOST_AT_ONCE = 200
WAITS_ON_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Parking:
    """What a recovering job's row is told. Times are seconds since 1970; `awaited` says since when each optional agent
    is waited for, `shut` which tools had an open breaker when this was planned."""

    retry_at: float
    give_up_at: float
    since: float
    waits_on: str
    awaited: dict[str, float] = field(default_factory=dict)
    shut: frozenset[str] = frozenset()


def plan_parking(
    pack: PackSpec, stop: Stop, retries: int, since: float | None, awaited: Mapping[str, float]
) -> Parking:
    """When a job that stops as `recovering` goes on: as soon as one of the tools it waits for may answer.

    `since` and `awaited` are what it was told when it parked before.
    """
    now = database_clock()
    since = now if since is None else since
    causes = [dict(cause) for cause in stop.causes if may_recover(dict(cause))]
    tools = sorted({str(cause["tool"]) for cause in causes if cause.get("tool")})
    states = shared_gate().states(tools) if tools else {}
    backoff = min(FIRST_PAUSE * 2 ** min(retries, 10), LONGEST_PAUSE)
    pauses = [_pause_of(tool, states[tool], causes, backoff) for tool in tools]
    if any(not cause.get("tool") for cause in causes) or not pauses:
        pauses.append(backoff)
    waited = {str(c["agent"]): awaited.get(str(c["agent"]), now) for c in causes if c["what"] == "awaited"}
    limits = [waited[str(c["agent"])] + float(c["wait"]) for c in causes if c["what"] == "awaited"]
    return Parking(
        retry_at=now + min(pauses) * (1 + JITTER * random.random()),
        give_up_at=min([*limits, since + pack.budget.recovery_seconds]),
        since=since,
        waits_on=_joined(tools),
        awaited=waited,
        shut=frozenset(tool for tool, state in states.items() if state.status != "closed"),
    )


def _pause_of(tool: str, state: BreakerState, causes: list[dict[str, Any]], backoff: float) -> float:
    """Seconds until a call of the tool has a chance. Redis' clock may differ from ours, so its times are bounded."""
    if state.status == "open" and state.next_probe is not None:
        return min(max(state.next_probe - time.time(), SHORTEST_PAUSE), LONGEST_PAUSE)
    if state.status == "closed" and all(c["cls"] == "circuit_open" for c in causes if c.get("tool") == tool):
        return SHORTEST_PAUSE  # it has closed since
    if state.paused_until is not None:
        return min(max(state.paused_until - time.time(), backoff), LONGEST_PAUSE)
    return backoff


def _joined(tools: list[str]) -> str:
    """The names between spaces, as many as the column holds: one that is left out wakes nobody before the backoff."""
    text = " "
    for tool in tools:
        if len(text) + len(tool) + 1 <= WAITS_ON_LENGTH:
            text += f"{tool} "
    return "" if text == " " else text


def look_again(parking: Parking) -> None:
    """After a parking is committed: a breaker that closed in between has woken nobody who was not parked yet."""
    if parking.shut:
        for tool, state in shared_gate().states(sorted(parking.shut)).items():
            if state.status == "closed":
                wake_waiting(tool)


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
    """Puts a row into the inbox of recovering jobs that are due, and tells the queue. Returns how many.

    Of the jobs that wait for a tool whose breaker is open, as many go on as may probe it; the others stay due until
    it closes, or a hundred jobs would be taken up to be told that it is open. They keep nobody else waiting.

    Each job is tried once a round: one that cannot be told, because nothing can be written, stays due.
    """
    allowed: _Allowance | None = None
    passed_over: set[str] = set()
    in_vain: set[int] = set()
    woken = 0
    while woken + len(in_vain) < MOST_AT_ONCE:
        due = _due("retry_at", passed_over, in_vain)
        if not due:
            break
        allowed = allowed or _Allowance()
        for job_id, waits in due:
            if waits in passed_over or not allowed.take(waits.split()):
                passed_over.add(waits)
            elif _safely(_wake, job_id):
                woken += 1
            else:
                in_vain.add(job_id)
        if len(due) < MOST_AT_ONCE:
            break
    return woken


class _Allowance:
    """How many jobs may be tried for each tool in this round; no entry for a tool whose breaker is closed."""

    def __init__(self) -> None:
        probes = dict(Tool.objects.values_list("name", "probes"))
        self.left: dict[str, int] = {}
        for name, state in shared_gate().states(sorted(probes)).items() if probes else ():
            if state.status == "open":
                self.left[name] = 0  # a probe that is due is told as half open
            elif state.status == "half_open":
                self.left[name] = max(0, probes[name] - state.in_flight)

    def take(self, tools: list[str]) -> bool:
        """Whether a job that waits for these may be tried; one tool that lets it through is enough."""
        if any(name not in self.left for name in tools) or not tools:
            return True
        for name in tools:
            if self.left[name] > 0:
                self.left[name] -= 1
                return True
        return False


def _due(column: str, passed_over: Iterable[str] = (), in_vain: Iterable[int] = ()) -> list[tuple[int, str]]:
    """(id, waits_on) of recovering jobs whose time has come, those tried least first.

    Left out are those that wait for the tools `passed_over`, and the jobs `in_vain`.
    """
    without: list[Any] = [*sorted(passed_over)]
    unless = f"AND waits_on NOT IN ({', '.join(['%s'] * len(without))})" if without else ""
    if jobs := sorted(in_vain):
        unless += f" AND id NOT IN ({', '.join(['%s'] * len(jobs))})"
        without += jobs
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, waits_on FROM runtime_job WHERE status = 'recovering' AND {column} <= {clock_sql()} {unless} "
            "ORDER BY retries, id LIMIT %s",
            [*without, MOST_AT_ONCE],
        )
        return [(int(pk), str(waits)) for pk, waits in cursor.fetchall()]


def _safely(act: Callable[[int], int], job_id: int) -> int:
    """One job's trouble is not that of all others."""
    try:
        return act(job_id)
    except Exception:
        log.exception("job %s could not be told what the clock says", job_id)
        return 0


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
    return sum(_safely(_give_up, job_id) for job_id, _ in _due("give_up_at"))


def _give_up(job_id: int) -> int:
    with transaction.atomic():
        # Whoever asks for another try locks the row too: one of the two comes first.
        job = Job.objects.select_for_update().get(pk=job_id)
        now = database_clock()
        since = job.recovering_since
        if job.status != "recovering" or since is None or job.give_up_at is None or job.give_up_at > now:
            return 0
        if Decision.objects.filter(job=job, status="pending", act="retry").exists():
            return 0  # recovering is about to begin anew
        limit = float(job.frozen_spec()["budget"].get("recovery_seconds", 86_400.0))
        receipt = f"clock-{job_id}-{job.epoch}-give-up"
        job.give_up_at = None
        if since + limit <= now:
            _add_row(job_id, "give_up", receipt, reason=f"given up after {spoken(limit)} of trying")
        else:
            overdue = [c for c in job.causes if c["what"] == "awaited" and _is_overdue(job, c, now)]
            for cause in overdue:
                reason = f"not waited for any longer than {spoken(float(cause['wait']))}"
                _add_row(
                    job_id, "give_up", f"{receipt}-{_short(cause['agent'])}", reason, {"on": cause["agent"]}
                )
            if not overdue:
                job.give_up_at = since + limit
        job.save(update_fields=["give_up_at"])
    return 1


def _is_overdue(job: Job, cause: Mapping[str, Any], now: float) -> bool:
    since = job.awaited.get(cause["agent"])
    return since is not None and float(since) + float(cause["wait"]) <= now


def _short(name: str) -> str:
    """A receipt is short, an agent's name may be long."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


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
