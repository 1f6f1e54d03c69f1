"""What people are told of beside the pages they look at, written in the transaction in which it came about.

Who is told is asked when they look: see `runtime.audience`.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

import orjson
from django.db import connection
from django.utils import timezone

from runtime.engine import Commit, PackSpec
from runtime.models import Conflict, Entry, Notice
from runtime.models.job import ENDED

KEPT = dt.timedelta(days=30)
PRUNE_EVERY = 3600.0  # seconds
PRUNED_AT_ONCE = 1_000
MAX_TEXT = 500
MAX_NAMED = 3
MAX_SUBJECT = 80

_INSERT = """
    INSERT INTO runtime_notice
        (kind, job_id, conflict_id, count, text, "groups", spares_submitter, about, tier, at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_CLOSING_KINDS = ("tier", "answer", "stop")  # what a cycle ends with


def write_notices(job_id: int, pack: PackSpec, commit: Commit, asked: Sequence[Conflict]) -> None:
    """Tells of the questions of which people are `asked` from this cycle on, and of the tiers that it lost.

    Called in the cycle's transaction. Costs no query where there is nothing to tell.
    """
    if commit.stop is not None and commit.stop.reason in ENDED:
        return
    found = [*_of_questions(job_id, asked), *_of_lost_tiers(job_id, pack, commit)]
    if found:
        _insert(found)


def note_deadline(conflict: Conflict, text: str) -> Notice:
    """Tells those who are asked that the time to answer is short. `text`: how long it is, in words."""
    return _note("deadline", conflict, text)


def note_expired(conflict: Conflict, text: str) -> Notice:
    """Tells those who were asked that the time to answer is over. `text`: what came of it, in words."""
    return _note("expired", conflict, text)


def prune_notices() -> int:
    """Deletes notices older than a month, once an hour and a thousand at a time. Returns how many."""
    global _pruned_at
    if _pruned_at is not None and time.monotonic() - _pruned_at < PRUNE_EVERY:
        return 0
    old = Notice.objects.filter(at__lt=timezone.now() - KEPT).order_by("at").values_list("pk", flat=True)
    ids = list(old[:PRUNED_AT_ONCE])
    if ids:
        Notice.objects.filter(pk__in=ids).delete()
    if len(ids) < PRUNED_AT_ONCE:
        _pruned_at = time.monotonic()  # else the next round goes on
    return len(ids)


_pruned_at: float | None = None


def _note(kind: str, conflict: Conflict, text: str) -> Notice:
    return Notice.objects.create(
        kind=kind,
        job_id=conflict.job_id,
        conflict=conflict,
        text=text[:MAX_TEXT],
        about=[conflict.pk],
        **_audience(conflict.policy),
    )


def _insert(notices: Iterable[Notice]) -> None:
    """In SQL, as all that a cycle writes: the models would take a tenth of the time of a small job."""
    at = connection.ops.adapt_datetimefield_value(timezone.now())
    rows = [
        (
            n.kind,
            n.job_id,
            n.conflict_id,
            n.count,
            n.text,
            n.groups,
            n.spares_submitter,
            orjson.dumps(n.about).decode(),
            n.tier,
            at,
        )
        for n in notices
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_INSERT, rows)


def _audience(policy: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that say whom a policy asks."""
    groups = sorted(set(policy.get("groups") or ()))
    return {
        "groups": f"\n{chr(10).join(groups)}\n" if groups else "",
        "spares_submitter": bool(policy.get("exclude_submitter")),
    }


def _of_questions(job_id: int, asked: Iterable[Conflict]) -> list[Notice]:
    """One notice for all questions that the same people are asked."""
    alike: dict[tuple[Any, ...], list[Conflict]] = {}
    for row in asked:
        alike.setdefault(tuple(_audience(row.policy).values()), []).append(row)
    return [
        Notice(
            kind="question",
            job_id=job_id,
            conflict=rows[0] if len(rows) == 1 else None,
            count=len(rows),
            text=_name_questions(rows)[:MAX_TEXT],
            about=[row.pk for row in rows],
            **_audience(rows[0].policy),
        )
        for rows in alike.values()
    ]


def name_question(row: Conflict) -> str:
    """A question in a line: what for, and about which slot."""
    return f"{'Waits for approval' if row.kind == 'hold' else 'Contested'}: {_slot(row)}"


def _name_questions(rows: Sequence[Conflict]) -> str:
    if len(rows) == 1:
        return name_question(rows[0])
    holds = sum(row.kind == "hold" for row in rows)
    what = "Wait for approval" if holds == len(rows) else "Wait for people" if holds else "Contested"
    more = f" and {len(rows) - MAX_NAMED:,} more" if len(rows) > MAX_NAMED else ""
    return f"{what}: {', '.join(_slot(row) for row in rows[:MAX_NAMED])}{more}"


def _slot(row: Conflict) -> str:
    subject = row.subject if len(row.subject) <= MAX_SUBJECT else f"{row.subject[: MAX_SUBJECT - 1]}…"
    return f"{row.key} / {subject}"


def _of_lost_tiers(job_id: int, pack: PackSpec, commit: Commit) -> list[Notice]:
    """The tiers that this cycle takes away: the lowest that is no longer reached, and those above it."""
    last = takewhile(lambda entry: entry.kind in _CLOSING_KINDS, reversed(commit.entries))
    closing = [orjson.loads(entry.body) for entry in last if entry.kind != "stop"]
    unreached = [body for body in closing if body["kind"] == "tier" and not body["reached"]]
    is_first_answer = any(body["kind"] == "answer" and body["version"] == 1 for body in closing)
    if not unreached or is_first_answer:
        return []
    lowest = min(unreached, key=lambda body: int(body["tier"]))
    tier = int(lowest["tier"])
    claimed = _claimed_before(job_id, commit)
    before = _reached_before(job_id, commit, claimed) if tier <= claimed else 0
    if tier > before:
        return []
    text = f"{_name_tiers(pack, range(tier, before + 1))}: {_say_why(lowest['gaps'])}"
    return [Notice(kind="tier_lost", job_id=job_id, text=text[:MAX_TEXT], tier=tier)]


def _claimed_before(job_id: int, commit: Commit) -> int:
    """The highest tier that an answer has claimed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT MAX(tier) FROM runtime_answer WHERE job_id = %s AND cycle < %s", [job_id, commit.number]
        )
        return int(cursor.fetchone()[0] or 0)


def _reached_before(job_id: int, commit: Commit, claimed: int) -> int:
    """The tier that the job had reached as it was last judged; no higher than `claimed`.

    Not what the job's row said: that claims no tier at which somebody is at work (D4.6).
    """
    known: dict[int, bool] = {}
    entries = Entry.objects.filter(job_id=job_id, seq__lt=commit.first_seq, kind="tier").order_by("-seq")
    for body in map(orjson.loads, entries.values_list("body", flat=True).iterator(chunk_size=20)):
        if body["tier"] <= claimed:
            known.setdefault(body["tier"], body["reached"])
        if len(known) == claimed:
            break
    return next((t - 1 for t in range(1, claimed + 1) if not known.get(t)), claimed)


def _name_tiers(pack: PackSpec, lost: Sequence[int]) -> str:
    named = [f"{tier} “{pack.tiers[tier - 1].name}”" for tier in lost]
    if len(named) == 1:
        return f"Tier {named[0]} of {len(pack.tiers)} is lost"
    return f"Tiers {', '.join(named[:-1])} and {named[-1]} of {len(pack.tiers)} are lost"


def _say_why(gaps: Sequence[Mapping[str, Any]]) -> str:
    first = str(gaps[0]["text"]) if gaps else "what it asks for is no longer met"
    return f"{first} (and {len(gaps) - 1:,} more)" if len(gaps) > 1 else first
