"""Whether a record holds: the chain recomputed, the journal merged anew, what is kept beside it compared (D6.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import orjson

from runtime.bundle import Record, RecordBroken, RecordCycle, record_of_job
from runtime.engine import Core, PackError
from runtime.engine.log import KINDS, OUTCOMES
from runtime.engine.replay import RecordedCycle, ReplayError, replay
from runtime.engine.values import BoundsError, canonical, thousandths
from runtime.fold import CallPlace, CycleFold, Fold
from runtime.head_log import compare_with_heads
from runtime.models import Answer, Cycle, Decision, Entry, Job, JobStatus, ToolCall
from runtime.outcome import compare_outcome
from runtime.people_rows import compare_inbox, compare_questions
from runtime.record import chained
from runtime.signing import trusted_keys

__all__ = ["RecordBroken", "replay_record", "verify_job", "verify_record", "watched"]

Watch = Callable[[], None]  # called again and again while a record is read; what it raises ends the reading

_COLUMNS = ("kind", "agent", "item", "key", "subject", "now")
MOST_READINGS = 20


def verify_record(record: Record) -> Fold:
    """Checks numbering, epochs, the chain, and that the summary equals the fold of the entries. Gives the fold.

    Raises RecordBroken naming the first place that does not hold.
    """
    fold, digest = Fold(), ""
    for cycle in chained(record.cycles()):
        digest = cycle.digest
        for line in cycle.lines:
            try:
                body = orjson.loads(line.body)
                if body["kind"] not in KINDS:
                    raise ValueError
                fold.add(cycle.number, line.seq, body)
            except (KeyError, TypeError, ValueError):
                raise RecordBroken(f"entry {line.seq} is no journal entry") from None
    if fold.cycle:
        fold.end()
    _compare_summary(record.job, fold, digest)
    compare_outcome(record.job, fold.stop, fold.tier, len(record.pack.tiers))
    return fold


def _compare_summary(job: dict[str, Any], fold: Fold, digest: str) -> None:
    found = {
        "cycle": fold.cycle,
        "entries": fold.entries,
        "digest": digest,
        "facts": fold.count("fact"),
        "conflicts_open": fold.count("contested"),
        "holds_open": fold.count("held"),
        "answer_version": len(fold.answers),
    }
    for name, value in found.items():
        if job.get(name) != value:
            raise RecordBroken(f"the summary says {name} {job.get(name)!r}; the journal gives {value!r}")
    last = fold.cycles.get(fold.cycle, CycleFold(0, 0, 0, True))
    if not _is_tier(job.get("tier"), last):
        raise RecordBroken(f"the summary says tier {job.get('tier')!r}; the journal gives {last.tier}")


def _is_tier(tier: Any, cycle: CycleFold) -> bool:
    return tier == cycle.tier or (not cycle.is_judged and type(tier) is int and 0 <= tier < cycle.tier)


def replay_record(record: Record) -> Core:
    """Merges the recorded effects and decisions again, without any outside call; gives the engine they lead to.

    Raises RecordBroken where the chain does not hold, the same record merges to something else, or the seeds are not
    those it began with.
    """
    try:
        _compare_seeds(record)
        version = int(record.job.get("engine_version", 1))
        core = replay(record.pack, (_as_recorded(cycle) for cycle in chained(record.cycles())), version)
    except (ReplayError, PackError) as error:
        raise RecordBroken(str(error)) from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        # Entries that chain, and yet are none that an engine writes.
        raise RecordBroken(f"the entries cannot be merged again: {type(error).__name__}: {error}") from error
    if record.job.get("cycle") and core.digest != record.job.get("digest"):
        raise RecordBroken(
            f"merging again ends in the digest {core.digest}, recorded is {record.job.get('digest')}"
        )
    return core


def _as_recorded(cycle: RecordCycle) -> RecordedCycle:
    return RecordedCycle(cycle.number, cycle.first_seq, cycle.digest, [line.body for line in cycle.lines])


def _compare_seeds(record: Record) -> None:
    first = next(record.cycles(), None)
    if first is None:
        return
    bodies = [orjson.loads(line.body) for line in first.lines]
    said = {b["item"]: b for b in bodies if b.get("agent") == "@seed" and b["kind"] in OUTCOMES}
    if len(said) != len(record.seeds):
        raise RecordBroken(f"{len(record.seeds)} seeds were submitted, {len(said)} are in the journal")
    for number, seed in enumerate(record.seeds, 1):
        if not _is_said(seed, said.get(str(number), {})):
            raise RecordBroken(f"seed {number} is not what the journal says was submitted")


def _is_said(seed: dict[str, Any], body: dict[str, Any]) -> bool:
    try:
        return (
            (seed["key"], seed["subject"]) == (body.get("key"), body.get("subject"))
            and canonical(seed["value"]) == canonical(body.get("value"))
            and thousandths(seed.get("confidence", 1.0)) == body.get("conf")
            and canonical(seed.get("evidence") or {}) == canonical(body.get("evidence") or {})
        )
    except (BoundsError, KeyError):
        return False


def watched(record: Record, watch: Watch) -> Record:
    """The same record, which calls `watch` at each cycle it is read through."""

    def cycles() -> Iterator[RecordCycle]:
        for cycle in record.cycles():
            watch()
            yield cycle

    return replace(record, cycles=cycles)


def verify_job(job: Job, trusted: frozenset[str] | None = None, watch: Watch | None = None) -> Fold:
    """Checks a job's record, its signed heads, and that all the database keeps beside the journal equals its fold.

    `trusted` are the keys whose heads count: those of this installation, if left out. Raises RecordBroken naming the
    first place that does not hold, and KeyTrouble. A job that went on meanwhile is read again.
    """
    keys = trusted_keys() if trusted is None else trusted
    for _ in range(MOST_READINGS):
        try:
            return _verify_as_read(job, keys, watch or (lambda: None))
        except RecordBroken:
            at = _moment_of(job)
            job.refresh_from_db()
            if _moment_of(job) == at:
                raise
    raise RecordBroken(f"the job is running, and was further each of {MOST_READINGS} times it was read")


def _moment_of(job: Job) -> tuple[int, str, int]:
    """What differs once anything that is verified may have changed."""
    return job.cycle, job.status, job.epoch


def _verify_as_read(job: Job, trusted: frozenset[str], watch: Watch) -> Fold:
    fold = verify_record(watched(record_of_job(job), watch))
    compare_with_heads(job, trusted)
    _compare_rows(job, fold)
    _compare_columns(job, watch)
    _compare_answers(job, fold)
    compare_questions(job, fold)
    compare_inbox(job, fold)
    _compare_state(job, fold)
    _compare_calls(job, fold)
    return fold


def _compare_rows(job: Job, fold: Fold) -> None:
    for model, column, last in ((Cycle, "number", job.cycle), (Entry, "seq", job.entries)):
        beyond = model._default_manager.filter(job_id=job.pk, **{f"{column}__gt": last}).exists()
        if beyond:
            raise RecordBroken(
                f"{model.__name__} {last} is the last one the job knows of, and there is one after it"
            )

    rows = Cycle.objects.filter(job_id=job.pk, number__lte=job.cycle).order_by("number")
    for cycle in rows.iterator():
        found = fold.cycles[cycle.number]
        if (cycle.runs, cycle.changes) != (found.runs, found.changes) or not _is_tier(cycle.tier, found):
            raise RecordBroken(
                f"cycle {cycle.number} says {cycle.runs} runs, {cycle.changes} changes and tier {cycle.tier}; its "
                f"entries give {found.runs}, {found.changes} and {found.tier}"
            )
        if cycle.epoch > job.epoch:
            raise RecordBroken(
                f"cycle {cycle.number} was written under epoch {cycle.epoch}; the job is at {job.epoch}"
            )
        if cycle.number == job.cycle and cycle.tier != job.tier:
            raise RecordBroken(f"the summary says tier {job.tier}; its last cycle says {cycle.tier}")


def _compare_state(job: Job, fold: Fold) -> None:
    """What only the database says of how the job stands: its causes, and why it is at work or failed after a stop."""
    causes = list(fold.stop["causes"]) if fold.stop else []
    if job.status == JobStatus.FAILED and fold.stop_reason != "failed":
        causes = [{"what": "failed", "text": job.reason}]
    if job.causes != causes:
        raise RecordBroken("the summary gives other causes than the journal")
    if fold.stop is None or job.status == fold.stop_reason:
        return
    # Only what people or the clock said since takes a stopped job up; one that then cannot be run refuses it.
    answer = "refused" if job.status == JobStatus.FAILED else "pending"
    if not Decision.objects.filter(job_id=job.pk, status=answer, applied_cycle=None).exists():
        raise RecordBroken(f"the summary says {job.status}; the journal ends in {fold.stop_reason}")


def _compare_columns(job: Job, watch: Watch) -> None:
    """The columns that repeat parts of an entry's body for the sake of queries."""
    rows = Entry.objects.filter(job_id=job.pk, seq__lte=job.entries).order_by("seq")
    for seq, body, *columns in rows.values_list("seq", "body", *_COLUMNS).iterator():
        if seq % 1000 == 0:
            watch()
        data = orjson.loads(body)
        for name, column in zip(_COLUMNS, columns, strict=True):
            if column != (data.get(name) or ""):
                raise RecordBroken(
                    f"entry {seq}: its column {name} says {column!r}, its body {data.get(name)!r}"
                )


def _compare_answers(job: Job, fold: Fold) -> None:
    fields = ("version", "tier", "cycle", "seq", "facts", "gaps", "marks")
    rows = list(Answer.objects.filter(job_id=job.pk).order_by("version").values(*fields))
    if rows != [{name: answer[name] for name in fields} for answer in fold.answers]:
        raise RecordBroken("the published answers are not those of the journal")


def _compare_calls(job: Job, fold: Fold) -> None:
    """Each call that the journal tells of was recorded before it was merged, and ended as the record says (D5.5).

    A call refused before it was one (no such tool, a spent budget) has no record.
    """
    rows: dict[CallPlace, list[ToolCall]] = {}
    for row in ToolCall.objects.filter(job_id=job.pk, cycle__lte=job.cycle).exclude(status="started"):
        rows.setdefault((row.cycle, row.agent, row.item, row.number), []).append(row)
    sent = 0
    for place, ended in fold.calls.items():
        found = next((r for r in rows.get(place, ()) if (r.tool, r.cls) == ended), None)
        if found is not None:
            sent += found.attempts
        elif ended[1] not in ("refused", "over_budget"):
            cycle, agent, item, _ = place
            on = f" on {item}" if item else ""
            raise RecordBroken(
                f"cycle {cycle}: `{agent}`{on} called {ended[0]}, and no record of calls has it"
            )
    if sent != job.calls:
        raise RecordBroken(f"the summary says {job.calls} requests to tools; the record of calls has {sent}")
