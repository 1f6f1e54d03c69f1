"""What people were asked at a moment: a question's row tells of the present, its entries of every state it had."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from converge_site.fragments.moment import Moment
from runtime.engine.policies import asked_by
from runtime.models import Conflict, Entry, Job
from runtime.questions import POLICY

_ENTRY_KINDS = {"conflict": "conflict", "approval": "hold"}
_ASKING = ("opened", "changed", "asked")

Question = tuple[str, str, str]  # conflict or hold, key, subject


def asked_then(job: Job, moment: Moment, rows: Sequence[Conflict]) -> list[Conflict]:
    """The questions of `rows`, which were open at the moment, as they were asked then. To read, not to save.

    Deadlines and who had put one off are the clock's and the inbox's: they are left blank.
    """
    said = _last_said(job, moment, rows)
    rules = {rule["name"]: rule for rule in job.frozen_spec()["rules"]}
    return [_row_then(job, row, said.get((row.kind, row.key, row.subject), {}), rules) for row in rows]


def _last_said(job: Job, moment: Moment, rows: Sequence[Conflict]) -> dict[Question, dict[str, Any]]:
    """The body of the entry that asked each question last."""
    if not rows:
        return {}
    first = min(row.opened_cycle for row in rows)
    entries = Entry.objects.filter(
        job=job,
        kind__in=_ENTRY_KINDS,
        cycle__gte=first,
        seq__lte=moment.seq,
        key__in={row.key for row in rows},
        subject__in={row.subject for row in rows},
    )
    return _asking(entries.order_by("seq"))


def _asking(entries: Iterable[Entry]) -> dict[Question, dict[str, Any]]:
    found: dict[Question, dict[str, Any]] = {}
    for entry in entries:
        body = entry.data
        if body.get("action") in _ASKING:
            found[_ENTRY_KINDS[entry.kind], entry.key, entry.subject] = body
    return found


def _row_then(job: Job, row: Conflict, body: dict[str, Any], rules: dict[str, Any]) -> Conflict:
    then = copy.copy(row)
    then.job = job
    trace = list(body.get("trace", []))
    then.rule = (body.get("rule", "") if row.kind == "hold" else asked_by(trace)) or ""
    params = rules.get(then.rule, {}).get("params", {})
    then.policy = {name: params[name] for name in POLICY if name in params}
    then.version, then.awaiting = body.get("version", ""), body.get("awaiting", "")
    then.sides, then.trace, then.need = list(body.get("sides", [])), trace, body.get("need", 1)
    then.status, then.outcome = "open", ""
    then.closed_cycle = then.closed_at = None
    then.asked_at = then.deadline_at = then.remind_at = then.expired_at = None
    then.deferred_until, then.deferred_by, then.deferred_reason = None, "", ""
    return then
