"""What people decide alike again and again: a reason to make it a rule. A person does that; nothing here writes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import NamedTuple

from django.conf import settings
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from runtime.learned_rules import CannotLearn, rule_from_decision
from runtime.models import Conflict, Decision, GovernanceRule, RuleState, RuleVersion

MOST = 50  # forms counted of a shape: a streak may be longer, and is then said to be at least this
NEWEST = 5_000  # rows of inboxes looked at in all: what was decided long before is no precedent
ABANDONED = dt.timedelta(days=30)  # a draft that nobody changed for so long keeps nothing from being proposed
OVERTURNS = Q(act="undo") | Q(act="decide", conflict=None)  # a decision made before it on the same slot


@dataclass(frozen=True, slots=True)
class Precedent:
    """A shape that was decided `times` times in a row in favour of `kept`, by `people`; newest decision first.

    One form is one time, however many questions it decided: `questions` counts those. `conflict` is the question that
    was decided last; `is_more` says that the streak is longer than was counted.
    """

    shape: str
    kept: tuple[str, ...]
    times: int
    questions: int
    people: tuple[str, ...]
    decisions: tuple[int, ...]
    last_at: dt.datetime
    conflict: Conflict
    is_more: bool = False


class _Row(NamedTuple):
    shape: str
    id: int
    kept: tuple[str, ...]
    by: str
    at: dt.datetime
    conflict: int
    batch: str


def precedents_after() -> int:
    """How many times alike in a row make a precedent; 0 for never."""
    return int(getattr(settings, "CONVERGE_PRECEDENTS_AFTER", 5))


def find_precedents(pack_id: int | None = None, shape: str = "") -> list[Precedent]:
    """The shapes that people decided alike the last so many times, and that no draft or active rule is about; those
    decided most often first. Of one pack, or one shape, if named.

    What was undone or decided anew does not count, nor what the clock decided, nor what came before a rule of the
    shape was retired. Where no rule could say it, none is proposed.
    """
    least = precedents_after()
    if least < 1:
        return []
    since = max(0, (Decision.objects.aggregate(last=Max("id"))["last"] or 0) - NEWEST)
    decided = _decisions(since)
    if pack_id is not None:
        decided = decided.filter(conflict__job__pack_id=pack_id)
    if shape:
        decided = decided.filter(conflict__shape=shape)
    streaks = _streaks(decided, least)
    newest = Conflict.objects.select_related("job", "job__pack").in_bulk([s[0].conflict for s in streaks])
    along = _decided_along(decided, streaks)
    found = [_precedent(streak, along, newest[streak[0].conflict], max(least, MOST)) for streak in streaks]
    return sorted((p for p in found if _can_be_said(p)), key=lambda p: (-p.times, -p.decisions[0]))


def _decisions(since: int) -> QuerySet[Decision]:
    """The decisions of people that still count, on questions that no rule is about."""
    rows = Decision.objects.filter(act="decide", status="applied", conflict__kind="conflict", id__gt=since)
    rows = rows.exclude(conflict__shape="").exclude(conflict__shape__in=_ruled().values("shape"))
    overturned = _overturned(since)
    return rows.exclude(pk__in=overturned) if overturned else rows


def _ruled() -> QuerySet[GovernanceRule]:
    """The rules about a whole shape: active ones, and drafts that somebody still works on."""
    now = timezone.now()
    worked_on = RuleVersion.objects.filter(rule=OuterRef("pk"), at__gt=now - ABANDONED)
    lives = Q(state=RuleState.ACTIVE) | Q(Exists(worked_on), state=RuleState.DRAFT)
    in_force = Q(expires_at=None) | Q(expires_at__gt=now)
    return GovernanceRule.objects.filter(in_force, lives).exclude(shape="")


def overturned_by(decision: Decision) -> Decision | None:
    """What took a decision back, or decided its slot anew past the question, or will once it is applied."""
    on_slot = Decision.objects.filter(
        OVERTURNS, job=decision.job_id, key=decision.key, subject=decision.subject
    )
    after = on_slot.filter(id__gt=decision.pk).exclude(status__in=("refused", "stale"))
    return after.order_by("id").first()


def _overturned(since: int) -> list[int]:
    """Decisions that a person took back, or decided anew past the question, afterwards."""
    undone = Decision.objects.filter(OVERTURNS, status="applied", id__gt=since)
    last = {
        (row["job_id"], row["key"], row["subject"]): row["last"]
        for row in undone.values("job_id", "key", "subject").annotate(last=Max("id")).order_by()
    }
    if not last:
        return []
    on_slots = Decision.objects.filter(
        act="decide",
        id__gt=since,
        job__in={job for job, _, _ in last},
        subject__in={subject for _, _, subject in last},
    )
    rows = on_slots.values_list("id", "job_id", "key", "subject")
    return [pk for pk, job, key, subject in rows if pk < last.get((job, key, subject), 0)]


def _streaks(decided: QuerySet[Decision], least: int) -> list[list[_Row]]:
    """For each shape whose last decisions were for one and the same side, those in a row, newest first; of those made
    with one form, one."""
    decided = _one_a_form(decided)
    likely = [
        shape
        for shape, rows in groupby(_last_of_each_shape(decided, least), lambda row: row.shape)
        if len(kept := [row.kept for row in rows]) == least and kept[0] and kept.count(kept[0]) == least
    ]
    if not likely:
        return []
    ended = _ended(likely)
    rows = _last_of_each_shape(decided.filter(conflict__shape__in=likely), max(least, MOST))
    found = []
    for shape, of_shape in groupby(rows, lambda row: row.shape):
        since = ended.get(shape)
        streak = [row for row in _alike(list(of_shape)) if since is None or row.at > since]
        if len(streak) >= least:
            found.append(streak)
    return found


def _one_a_form(decided: QuerySet[Decision]) -> QuerySet[Decision]:
    """Of the decisions that a form made at once, the last one for each side that it kept."""
    at_once = decided.exclude(batch="").values("conflict__shape", "batch", "kept").order_by()
    last = at_once.annotate(last=Max("id")).values("last")
    return decided.filter(Q(batch="") | Q(pk__in=last))


def _decided_along(decided: QuerySet[Decision], streaks: list[list[_Row]]) -> list[_Row]:
    """All that was decided by the forms of some streaks, newest first."""
    forms = {row.batch for streak in streaks for row in streak if row.batch}
    return _read(decided.filter(batch__in=forms).order_by("-id")) if forms else []


def _read(decided: QuerySet[Decision]) -> list[_Row]:
    rows = decided.values_list("conflict__shape", "id", "kept", "by_name", "created_at", "conflict", "batch")
    return [
        _Row(shape, pk, tuple(sorted(kept)), by, at, of, batch) for shape, pk, kept, by, at, of, batch in rows
    ]


def _last_of_each_shape(decided: QuerySet[Decision], most: int) -> list[_Row]:
    """By shape, then newest first."""
    place = Window(RowNumber(), partition_by=F("conflict__shape"), order_by=F("id").desc())
    return _read(decided.annotate(place=place).filter(place__lte=most).order_by("conflict__shape", "-id"))


def _alike(rows: list[_Row]) -> list[_Row]:
    """The newest ones that kept the same side."""
    return list(takewhile(lambda row: row.kept == rows[0].kept, rows))


def _ended(shapes: Iterable[str]) -> dict[str, dt.datetime]:
    """When a rule about the shape was retired last: what was decided before has had its rule."""
    retired = RuleVersion.objects.filter(rule__shape__in=list(shapes), state=RuleState.RETIRED)
    rows = retired.values("rule__shape").annotate(last=Max("at")).order_by()
    return dict(rows.values_list("rule__shape", "last"))


def _precedent(streak: list[_Row], along: list[_Row], conflict: Conflict, most: int) -> Precedent:
    """`along` are the decisions of all forms that decided several at once."""
    first, forms = streak[0], {row.batch for row in streak if row.batch}
    rest = {r.id for r in along if r.batch in forms and (r.shape, r.kept) == (first.shape, first.kept)}
    decisions = sorted(rest | {row.id for row in streak}, reverse=True)
    return Precedent(
        shape=first.shape,
        kept=first.kept,
        times=len(streak),
        questions=len(decisions),
        people=tuple(dict.fromkeys(row.by for row in streak)),
        decisions=tuple(decisions),
        last_at=first.at,
        conflict=conflict,
        is_more=len(streak) == most,
    )


def _can_be_said(precedent: Precedent) -> bool:
    conflict = precedent.conflict
    sides = [side.get("speakers", ()) for side in conflict.sides]
    try:
        rule_from_decision(conflict.key, conflict.subject, sides, precedent.kept)
    except CannotLearn:
        return False
    return True
