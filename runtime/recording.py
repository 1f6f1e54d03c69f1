"""Writing a cycle down: entries, chain, projections and the job's summary, in one transaction or not at all (D6.1).

The fence comes first in the transaction: a runtime whose epoch was superseded writes nothing (D7.1).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson
from django.db import connection, transaction
from django.utils import timezone

from runtime.agents.run_times import RunTime
from runtime.engine import Commit, Core, Stop
from runtime.failpoints import failpoint
from runtime.lease import LEASE_SECONDS, Fenced, clock_sql, database_clock
from runtime.models import Answer, Conflict, Decision
from runtime.models.job import ENDED
from runtime.notices import write_notices
from runtime.outcome import stop_sentence
from runtime.questions import ASKED_FIELDS, ask_people
from runtime.recovery import Parking, look_again, plan_parking

ACTIVITY_LENGTH = 30
MAX_REASON = 500
# A runtime that is stopped between the statements of a batch keeps its job's row locked, and is not "idle in
# transaction" to PostgreSQL. From 17 on a whole transaction can be bounded: to less than a takeover may take on several
# hosts (60 s), and to many times what the widest cycle takes.
TRANSACTION_SECONDS = 40.0
PG_WITH_TRANSACTION_TIMEOUT = 170_000

_HAS_MAIL = """
    EXISTS (SELECT 1 FROM runtime_decision d WHERE d.job_id = runtime_job.id AND d.status = 'pending')
"""
_INSERT_ENTRY = """
    INSERT INTO runtime_entry (job_id, seq, cycle, kind, agent, item, key, subject, now, body)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_INSERT_CYCLE = """
    INSERT INTO runtime_cycle
        (job_id, number, first_seq, last_seq, runs, changes, tier, digest, epoch, worker, started_at, duration_ms,
        timings)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


@dataclass
class Tenure:
    """One runtime's hold on a job, and the parts of the summary that it carries from cycle to cycle."""

    job_id: int
    epoch: int
    worker: str
    activity: list[int] = field(default_factory=list)
    ran_seconds: float = 0.0
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    retries: int = 0
    retry_at: float | None = None
    recovering_since: float | None = None
    awaited: dict[str, float] = field(default_factory=dict)
    asked_again: bool = False  # in this cycle a person asked for another try: recovering begins anew
    blocks: dict[str, int] = field(default_factory=dict)


def append_cycle(
    tenure: Tenure,
    core: Core,
    commit: Commit,
    started: dt.datetime,
    seconds: float,
    times: Sequence[RunTime] = (),
) -> bool:
    """Appends one cycle to the journal; returns whether rows wait in the job's inbox.

    `started`, `seconds` and `times` are clock data beside the journal. Raises Fenced if the job was claimed by another
    runtime.
    """
    now = timezone.now()
    last = commit.first_seq + len(commit.entries) - 1
    parking = _plan_parking(tenure, core, commit)
    tenure.activity = [*tenure.activity, commit.changes][-ACTIVITY_LENGTH:]
    with transaction.atomic():
        has_mail = _update_job(tenure, core, commit, last, now, parking)
        with connection.cursor() as cursor:
            cursor.executemany(
                _INSERT_ENTRY,
                [
                    (
                        tenure.job_id,
                        seq,
                        commit.number,
                        e.kind,
                        e.agent,
                        e.item,
                        e.key,
                        e.subject,
                        e.now,
                        e.body.decode(),
                    )
                    for seq, e in enumerate(commit.entries, commit.first_seq)
                ],
            )
            # After the entries: PostgreSQL ends a transaction that stands still (see settings), but not one whose last
            # words were a batch; that takes as long as a transaction may at most.
            cursor.execute(
                _INSERT_CYCLE,
                [
                    tenure.job_id,
                    commit.number,
                    commit.first_seq,
                    last,
                    commit.runs,
                    commit.changes,
                    commit.tier,
                    commit.digest,
                    tenure.epoch,
                    tenure.worker,
                    started,
                    seconds * 1000,
                    orjson.dumps(_with_seqs(commit, times)).decode(),
                ],
            )
        failpoint("cycle.in_transaction")
        _project(tenure, core, commit, last, now)
        failpoint("cycle.before_commit")
    if parking is not None:
        look_again(parking)
    if tenure.asked_again:
        tenure.asked_again, tenure.retries = False, 0
        tenure.retry_at, tenure.recovering_since, tenure.awaited = None, None, {}
    return has_mail


def _with_seqs(commit: Commit, times: Sequence[RunTime]) -> list[Any]:
    """The times, each with the number of the entry that tells of the runs: a page finds it without a search."""
    if not times:
        return []
    told: dict[str, int] = {}
    for seq, entry in enumerate(commit.entries, commit.first_seq):
        if entry.kind == "run":
            told[entry.agent] = seq
    return [(*time, told.get(time[0])) for time in times]


def _plan_parking(tenure: Tenure, core: Core, commit: Commit) -> Parking | None:
    """Asks Redis how the breakers are, so it comes before the transaction."""
    if commit.stop is None or commit.stop.reason != "recovering":
        return None
    if tenure.asked_again:
        return plan_parking(core.pack, commit.stop, 0, None, {})
    return plan_parking(core.pack, commit.stop, tenure.retries, tenure.recovering_since, tenure.awaited)


def _update_job(
    tenure: Tenure, core: Core, commit: Commit, last: int, now: dt.datetime, parking: Parking | None
) -> bool:
    stop = commit.stop
    values: dict[str, Any] = {
        "cycle": commit.number,
        "entries": last,
        "tier": commit.tier,
        "digest": commit.digest,
        "facts": core.ledger.standing,
        "conflicts_open": core.ledger.contested,
        "holds_open": core.ledger.held,
        "answer_version": core.closing.version,
        "activity": orjson.dumps(tenure.activity).decode(),
        "ran_seconds": tenure.ran_seconds,
        "updated_at": now,
        "causes": orjson.dumps(stop.causes if stop else []).decode(),
        "reason": stop_sentence(stop.reason, stop.causes, commit.tier, core.plan.top_tier) if stop else "",
    }
    if tenure.calls:
        values |= {"calls": tenure.calls, "tokens": tenure.tokens, "cost": tenure.cost}
    if stop is not None:
        values |= {"status": stop.reason, "settled_at": now}
    values |= _recovering_fields(tenure, parking, stop)
    sets = ", ".join(f"{name} = %s" for name in values)
    lease = "lease_until = NULL" if stop is not None else f"lease_until = {clock_sql()} + {LEASE_SECONDS}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE runtime_job SET {sets}, {lease} WHERE id = %s AND epoch = %s RETURNING {_HAS_MAIL}{_bound()}",
            [*values.values(), tenure.job_id, tenure.epoch],
        )
        row = cursor.fetchone()
    if row is None:
        raise Fenced(f"job {tenure.job_id}: epoch {tenure.epoch} is superseded")
    return bool(row[0])


def _bound() -> str:
    """For this transaction alone: migrations may take long. Within a statement that is sent anyway."""
    server: Any = connection
    if server.vendor != "postgresql" or server.pg_version < PG_WITH_TRANSACTION_TIMEOUT:
        return ""
    return f", set_config('transaction_timeout', '{TRANSACTION_SECONDS:g}s', true)"


def _recovering_fields(tenure: Tenure, parking: Parking | None, stop: Stop | None) -> dict[str, Any]:
    """What the row says of recovering. A person who asks for another try begins it anew, whatever comes of the try.

    A retry that was planned stays planned when something else woke the job.
    """
    fields: dict[str, Any] = {}
    if tenure.asked_again:
        fields = {"retry_at": None, "give_up_at": None, "recovering_since": None, "retries": 0}
    if parking is not None:
        planned = None if tenure.asked_again else tenure.retry_at
        return fields | {
            "retry_at": parking.retry_at if planned is None else planned,
            "give_up_at": parking.give_up_at,
            "recovering_since": parking.since,
            "waits_on": parking.waits_on,
            "awaited": orjson.dumps(parking.awaited).decode(),
        }
    if stop is not None:
        return {
            "retry_at": None,
            "give_up_at": None,
            "recovering_since": None,
            "retries": 0,
            "waits_on": "",
            "awaited": "{}",
        }
    return fields


def _project(tenure: Tenure, core: Core, commit: Commit, last: int, now: dt.datetime) -> None:
    questions: dict[tuple[str, str, str], dict[str, Any]] = {}
    for at, entry in enumerate(commit.entries):
        if entry.kind in ("conflict", "approval"):
            body = orjson.loads(entry.body)
            kind = "conflict" if entry.kind == "conflict" else "hold"
            questions[kind, entry.key, entry.subject] = body
        elif entry.kind == "answer":
            _project_answer(tenure, commit, orjson.loads(entry.body), commit.first_seq + at, now)
    asked = _project_questions(tenure, core, commit, questions, now) if questions else []
    for receipt in commit.receipts:
        Decision.objects.filter(pk=receipt.id, job_id=tenure.job_id).update(
            status=receipt.result, message=receipt.message[:MAX_REASON], applied_cycle=commit.number
        )
    if commit.stop is not None and commit.stop.reason in ENDED:
        refuse_rest(tenure.job_id)
    write_notices(tenure.job_id, core.pack, commit, asked)


def refuse_rest(job_id: int) -> None:
    """Tells whoever wrote to the inbox of a job that has just ended that nothing will come of it.

    The caller's transaction has updated the job's row, so rows that come later find it ended.
    """
    message = "The job had ended before this was applied."
    Decision.objects.filter(job_id=job_id, status="pending").update(status="refused", message=message)


def _project_answer(tenure: Tenure, commit: Commit, body: dict[str, Any], seq: int, now: dt.datetime) -> None:
    Answer.objects.create(
        job_id=tenure.job_id,
        version=body["version"],
        tier=body["tier"],
        cycle=commit.number,
        seq=seq,
        facts=body["facts"],
        gaps=body["gaps"],
        marks=body["marks"],
        created_at=now,
    )


def _project_questions(
    tenure: Tenure,
    core: Core,
    commit: Commit,
    questions: dict[tuple[str, str, str], dict[str, Any]],
    now: dt.datetime,
) -> list[Conflict]:
    """Brings the open questions up to what the last entry of this cycle about each says. Gives those that people are
    asked from now on."""
    known: dict[tuple[str, str, str], Conflict] = {}
    for row in Conflict.objects.filter(job_id=tenure.job_id, status="open").iterator():
        known[row.kind, row.key, row.subject] = row
    new: list[Conflict] = []
    changed: list[Conflict] = []
    asked: list[Conflict] = []
    clock = cache(database_clock)  # one reading a cycle
    for name, body in questions.items():
        found = known.get(name)
        if body["action"] in ("opened", "changed", "asked"):
            row = found or Conflict(
                job_id=tenure.job_id,
                kind=name[0],
                key=name[1],
                subject=name[2],
                opened_cycle=commit.number,
                opened_at=now,
                blocks=_count_blocked(tenure, core, name[1]),
            )
            was_asked = row.pk is not None and not row.awaiting
            ask_people(row, core, body, clock)
            if not was_asked and not row.awaiting:
                asked.append(row)
            (new if row.pk is None else changed).append(row)
        elif found is not None and not body.get("open"):
            found.status, found.closed_cycle, found.closed_at = "closed", commit.number, now
            found.outcome = body.get("how") or body["action"]
            changed.append(found)
    Conflict.objects.bulk_create(new)
    for row in changed:  # a statement each takes a tenth of the time of one for all
        row.save(update_fields=[*ASKED_FIELDS, "status", "closed_cycle", "closed_at", "outcome"])
    return asked


def _count_blocked(tenure: Tenure, core: Core, key: str) -> int:
    """How many agents lie downstream of a key: what waits while it is contested."""
    if key not in tenure.blocks:
        reached, todo = {key}, [key]
        agents: set[str] = set()
        while todo:
            at = todo.pop()
            for agent, reads in zip(core.plan.agents, core.plan.reads, strict=True):
                if agent.name not in agents and agent.shape != "aggregate" and at in (*reads, agent.over):
                    agents.add(agent.name)
                    todo += [k for k in agent.writes if k not in reached]
                    reached.update(agent.writes)
        tenure.blocks[key] = len(agents)
    return tenure.blocks[key]
