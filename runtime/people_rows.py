"""Whether the rows of questions to people, and of what they said, are what the journal tells (D6.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from runtime.engine import InboxRow
from runtime.engine.policies import asked_by
from runtime.engine.values import BoundsError, canonical, thousandths
from runtime.fold import Fold
from runtime.models import Conflict, Decision, Job
from runtime.models.job import ENDED
from runtime.record import RecordBroken
from runtime.store import inbox_row

_QUESTION_OF = {"contested": "conflict", "held": "hold"}
_WITH_ITS_VALUE = ("decide", "add_fact")
_UNTOLD = ("pending", "refused")  # what a row may be of which the journal does not tell


def compare_questions(job: Job, fold: Fold) -> None:
    """Open questions and closed ones. Raises RecordBroken."""
    rows = {(r.kind, r.key, r.subject): r for r in Conflict.objects.filter(job_id=job.pk, status="open")}
    for name in sorted(rows.keys() ^ fold.open.keys()):
        where = (
            "in the database, not in the journal" if name in rows else "in the journal, not in the database"
        )
        raise RecordBroken(f"the {name[0]} on {name[1]} / {name[2]} is open {where}")
    for name, body in fold.open.items():
        _compare_asked(rows[name], body)
    shown = {(k, *slot) for slot, now in fold.slots.items() if (k := _QUESTION_OF.get(now))}
    for name in sorted(shown ^ fold.open.keys()):
        raise RecordBroken(f"{name[1]} / {name[2]} shows one thing, and its {name[0]} says another")
    _compare_closed(job, fold)


def _compare_asked(row: Conflict, body: Mapping[str, Any]) -> None:
    named = f"the {row.kind} on {row.key} / {row.subject}"
    sides = [{part: side[part] for part in side if part != "speakers"} for side in row.sides]
    if (row.version, sides) != (body["version"], body.get("sides", [])):
        raise RecordBroken(f"{named} shows other sides than the journal")
    asked = body.get("rule", "") if row.kind == "hold" else asked_by(body.get("trace"))
    if (row.rule, row.need, row.trace) != (asked, body.get("need", 1), body.get("trace", [])):
        raise RecordBroken(f"{named} is asked under another rule than told")


def _compare_closed(job: Job, fold: Fold) -> None:
    # At most one question on a slot ends in a cycle.
    told: dict[tuple[str | int | None, ...], dict[str, Any]] = {
        (*end.question, end.opened, end.cycle, end.outcome): end.body for end in fold.closed
    }
    for row in Conflict.objects.filter(job_id=job.pk).exclude(status="open").iterator():
        end = (row.kind, row.key, row.subject, row.opened_cycle, row.closed_cycle, row.outcome)
        body = told.pop(end, None)
        if body is None:
            raise RecordBroken(
                f"the {row.kind} on {row.key} / {row.subject} is closed otherwise than the journal tells"
            )
        _compare_asked(row, body)
    for kind, key, subject, *_ in told:
        raise RecordBroken(f"the {kind} on {key} / {subject} that the journal closes is not in the database")


def compare_inbox(job: Job, fold: Fold) -> None:
    """What was asked of the job, by whom, and what became of it. Raises RecordBroken."""
    rows = {row.pk: row for row in Decision.objects.filter(job_id=job.pk)}
    seen = {number for number, row in rows.items() if row.applied_cycle is not None}
    for number in sorted(seen ^ fold.told.keys()):
        raise RecordBroken(f"row {number} of the inbox is told of in one place and not in the other")
    for number, (body, cycle) in fold.told.items():
        row, result, message = rows[number], body["result"], body["message"]
        if (row.status, row.message, row.applied_cycle) != (result, message[:500], cycle):
            raise RecordBroken(f"row {number} of the inbox says {row.status}, the journal {result}")
        if odd := _otherwise(inbox_row(row), body):
            raise RecordBroken(f"row {number} of the inbox has another {odd} than the journal")
    for number in sorted(rows.keys() - seen):
        _compare_untold(job, rows[number])


def _compare_untold(job: Job, row: Decision) -> None:
    if row.status not in _UNTOLD or (row.status == "refused" and job.status not in ENDED):
        raise RecordBroken(
            f"row {row.pk} of the inbox says {row.status}, and the journal does not tell of it"
        )


def _otherwise(row: InboxRow, body: Mapping[str, Any]) -> str:
    """The first part of an inbox row that is not as its entry tells it, "" if all are."""
    said = {"act": row.act, "by": row.by, "reason": row.reason, "version": row.version}
    for name, value in said.items():
        if body.get(name, "") != value:
            return name
    if list(row.groups) != body.get("groups", []):
        return "groups"
    for name, value in (("key", row.key), ("subject", row.subject)):
        # A name that cannot be printed is left out of the journal.
        if body.get(name, "") != (value if value.isprintable() else ""):
            return name
    if body.get("on", row.on) != row.on:
        return "on"
    return "" if _is_its_value(row, body) else "value"


def _is_its_value(row: InboxRow, body: Mapping[str, Any]) -> bool:
    """Whether the value is the one told. A row that was refused before anybody looked at its value tells of none."""
    if "none" not in body and "choice" not in body:
        return body["result"] != "applied" or row.act not in _WITH_ITS_VALUE
    if row.none or "none" in body:
        return row.none and bool(body.get("none"))
    try:
        own = (canonical(row.value), thousandths(row.confidence))
    except BoundsError:
        return False
    return own == (orjson.dumps(body.get("choice"), option=orjson.OPT_SORT_KEYS), body.get("sure"))
