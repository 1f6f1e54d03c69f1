"""What must hold after any faults: the eleven invariants, asked of the database, the pages' answers and the viewers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.chaos.desk import of_backtests, of_questions
from tests.chaos.house import House
from tests.chaos.people import Book
from tests.chaos.viewers import Viewer
from tests.chaos.watch import Watch

IDLE_LIMIT = 20.0  # seconds, embedded
FINAL = ("converged", "cancelled")


def find_violations(book: Book, watch: Watch, viewers: Iterable[Viewer] = ()) -> list[str]:
    """Everything that does not hold, each with the number of its invariant."""
    from runtime.models import Job

    jobs = list(Job.objects.filter(pk__in=book.jobs).order_by("id"))
    found = [
        f"4: job {number} was acknowledged and is not there"
        for number in book.jobs
        if number not in {j.pk for j in jobs}
    ]
    for job in jobs:
        about = f"(job {job.pk}, {book.jobs[job.pk]})"
        found += [f"{what} {about}" for what in (*_of_job(job, watch), *_of_calls(job, watch.house))]
    found += list(_of_posts(book))
    found += [*of_questions(list(book.jobs)), *of_backtests(book.backtests)]
    for viewer in viewers:
        found += [f"8: {fault}" for fault in viewer.faults]
    if watch.broken:
        found.append(f"0: nobody looked at the jobs any more: {watch.broken}")
    if watch.longest_after > IDLE_LIMIT:
        found.append(f"9: a runnable job idled {watch.longest_after:.1f} s after all was healed")
    return found


def _of_job(job: Any, watch: Watch) -> Iterable[str]:
    from runtime.bundle import record_of_job
    from runtime.models import Conflict
    from runtime.verifying import RecordBroken, replay_record, verify_job

    try:
        verify_job(job)  # 1, 2, 3 (epochs never decrease), 11
    except RecordBroken as error:
        yield f"1/2/3/11: {error}"
        return
    yield from _of_epochs(job, watch)
    if job.status not in FINAL:
        yield f"9: it did not end, but is {job.status}: {job.reason}"
    if job.status != "running" and job.lease_until is not None:
        yield f"10: it is {job.status} and is held by {job.worker}"
    try:
        core = replay_record(record_of_job(job))
    except RecordBroken as error:
        yield f"6: {error}"
        return
    if core.digest != job.digest:
        yield f"6: replay gives {core.digest}, the record says {job.digest}"
    if job.status == "converged":
        from runtime.engine.eligible import lowest_tier

        if lowest_tier(core.ledger):
            yield "7: it says converged, and an agent has something to do"
        if Conflict.objects.filter(job=job, status="open").exists() or job.tier != job.top_tier:
            yield "7: it says converged, and a question is open or a tier is not reached"
    yield from _of_undisturbed(job, core)


def _of_epochs(job: Any, watch: Watch) -> Iterable[str]:
    """Nothing is appended under an epoch after a higher one was seen, and one runtime wrote under each."""
    from runtime.models import Cycle

    cycles = list(Cycle.objects.filter(job=job).order_by("number").values_list("number", "epoch", "worker"))
    by_epoch: dict[int, set[str]] = {}
    for number, epoch, worker in cycles:
        by_epoch.setdefault(epoch, set()).add(worker)
        for seen, committed in watch.claims.get(job.pk, {}).items():
            if number > committed and epoch < seen:
                yield f"3: cycle {number} was appended under epoch {epoch} after {seen} was claimed"
    for epoch, workers in by_epoch.items():
        if len(workers) > 1:
            yield f"3: {len(workers)} runtimes wrote under epoch {epoch}: {sorted(workers)}"


def _of_undisturbed(job: Any, core: Any) -> Iterable[str]:
    """The same seeds, and the same rows at the same cycles, in an engine that nobody disturbs: the same digest (D7.4).

    A call of a tool that had to be sent again is told in the journal, so there the facts are compared.
    """
    from runtime import store
    from runtime.agents import functions_for, run_all
    from runtime.engine import Core
    from runtime.models import Decision, Tool, ToolCall
    from runtime.tool_calls import tool_spec_from_row
    from runtime.tools.gate import MemoryGate
    from runtime.tools.record import MemoryRecorder
    from runtime.tools.session import ToolSession

    rows: dict[int, list[Any]] = {1: list(store.seeds_of(job))}
    applied = Decision.objects.filter(job=job, applied_cycle__isnull=False).order_by("id")
    by_id = {row.id: row for row in _inbox_rows(applied)}
    for decision in applied:
        rows.setdefault(decision.applied_cycle, []).append(by_id[decision.pk])
    fresh = Core(store.pack_of(job), job.engine_version)
    functions = functions_for(fresh.pack)
    tools = {row.name: tool_spec_from_row(row) for row in Tool.objects.all()}
    recorder, gate = MemoryRecorder(), MemoryGate()
    while fresh.cycle < job.cycle:
        runs = fresh.begin(rows.pop(fresh.cycle + 1, []))
        session = ToolSession("fresh", fresh.cycle, tools, gate, recorder, 10_000, 1_000_000)
        fresh.finish(
            run_all(runs, functions, session=session)
            if fresh.pack.name == "quiz"
            else run_all(runs, functions)
        )
    sent_again = ToolCall.objects.filter(job=job, attempts__gt=1).exists()
    if not sent_again and fresh.digest != job.digest:
        yield f"6: an undisturbed run gives {fresh.digest}, this one {job.digest}"
    if _facts(fresh) != _facts(core):
        yield "7: an undisturbed run finds other facts"


def _of_calls(job: Any, house: House) -> Iterable[str]:
    """No request went out that is not on record, and none for what had been answered and written down (D5.5)."""
    from runtime.models import ToolCall
    from runtime.tools.record import CallName, idempotency_key

    for row in ToolCall.objects.filter(job=job):
        name = CallName(row.cycle, row.agent, row.item, row.number, row.digest)
        sent = house.tools.requests("search", idempotency_key(job.pk, name))
        if sent > row.attempts:
            yield f"5: {row.agent} on {row.item} sent {sent} requests, and {row.attempts} are on record"
        if row.status == "started" and row.cycle <= job.cycle:
            yield f"5: {row.agent} on {row.item} was merged in cycle {row.cycle}, and its call has no end on record"


def _inbox_rows(decisions: Any) -> list[Any]:
    from runtime.engine import InboxRow

    return [
        InboxRow(
            id=row.pk,
            act=row.act,
            by=row.by_name,
            key=row.key,
            subject=row.subject,
            value=row.payload.get("value"),
            none=bool(row.payload.get("none")),
            confidence=row.payload.get("confidence", 1.0),
            version=row.version,
            reason=row.reason,
            groups=tuple(row.payload.get("groups", ())),
            on=row.payload.get("on", ""),
        )
        for row in decisions
    ]


def _facts(core: Any) -> list[Any]:
    return [(f.key, f.subject, json.dumps(f.value, sort_keys=True), f.confidence) for f in core.facts()]


def _of_posts(book: Book) -> Iterable[str]:
    """What people were told happened, happened once; what they were told did not, did not."""
    from runtime.models import Decision, Entry, Job

    told: Counter[int] = Counter()
    for body in Entry.objects.filter(job_id__in=book.jobs, kind="inbox").values_list("body", flat=True):
        told[json.loads(body)["row"]] += 1
    for number, times in told.items():
        if times > 1:
            yield f"5: row {number} of an inbox was applied {times} times"
    for post in book.posts:
        if post.status == -1:
            yield f"5: {post.act} of {post.by} (receipt {post.receipt}) {post.said}"
        elif post.act == "submit":
            made = Job.objects.filter(submit_key=post.receipt).count()
            if made != 1 and post.is_acknowledged:
                yield f"4: a submission that was acknowledged made {made} jobs"
        else:
            rows = list(Decision.objects.filter(receipt=post.receipt))
            if post.is_acknowledged and len(rows) != 1:
                yield f"4: {post.act} of {post.by} was acknowledged and is there {len(rows)} times"
            elif post.is_refused and rows and rows[0].status == "applied" and not post.unanswered:
                yield f"5: {post.act} of {post.by} was refused ({post.status}) and applied"
            elif post.is_acknowledged and not _is_settled(rows[0], told):
                now = f"{rows[0].status} ({rows[0].message})"
                yield f"4: {post.act} of {post.by} was acknowledged, and its row is {now}"
            elif not post.is_acknowledged and not post.is_refused:
                yield f"4: {post.act} of {post.by} was never answered: {post.said}"


def _is_settled(row: Any, told: Counter[int]) -> bool:
    """Whether a row was applied, and the journal tells of it once; or the job had ended, and the row says so."""
    if told[row.pk] == 1:
        return row.status != "pending"
    return row.status == "refused" and row.job.is_ended


_ELSEWHERE = """
import django
django.setup()
from runtime.bundle import record_of_job
from runtime.models import Job
from runtime.verifying import replay_record
for job in Job.objects.order_by("id"):
    found = replay_record(record_of_job(job)).digest
    if found != job.digest:
        print(f"job {job.pk}: another process replays it to {found}, recorded is {job.digest}")
"""


def replay_elsewhere(seed: int) -> list[str]:
    """Replays every job in a process of its own under another hash seed; gives what it complains of (invariant 6)."""
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE],
        env=os.environ | {"PYTHONHASHSEED": str(seed)},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = (done.stdout + (done.stderr if done.returncode else "")).splitlines()
    return [f"6: {line}" for line in said if line]
