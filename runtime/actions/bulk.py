"""Deciding once: the same decision on other open questions of the same shape, each through the path of a single one.

Each is checked, locked and recorded by itself: that some are refused, because they changed or are not this person's to
answer, undoes none of the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet

from runtime.actions.audit import Person
from runtime.actions.deciding import Choice, answer_hold, decide_conflict, side_kept
from runtime.actions.refusals import Refused
from runtime.failpoints import failpoint
from runtime.models import Conflict, Decision
from runtime.models.job import ENDED
from runtime.shapes import side_like

MOST_AT_ONCE = 200
# Questions of one job that are committed together: for so long, and no longer, its runtime has to wait.
TOGETHER = 20


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one question of a bulk decision: the row in its job's inbox, or why there is none."""

    conflict_id: int
    decision: Decision | None = None
    refused: Refused | None = None


def decide_alike(
    user: Person,
    conflict_id: int,
    version: str,
    choice: Choice,
    others: Sequence[tuple[int, str]],
    reason: str = "",
    receipt: str = "",
) -> list[Answered]:
    """Decides a question, then each of `others`, (id, version), alike; what became of each, the first one first.

    `choice` is as for `decide_conflict`, or {"approve": bool} for a hold. The same form sent again gives the same rows.
    Raises Refused, with nothing done, if the first question refuses the decision or too many others are named.
    """
    named = dict(others)
    named.pop(conflict_id, None)
    if len(named) > MOST_AT_ONCE:
        raise Refused(
            f"{len(named):,} others are too many at once; tick at most {MOST_AT_ONCE}.", field="like"
        )
    first = _answer(user, conflict_id, version, choice, reason, receipt, receipt if named else "")
    said = [Answered(conflict_id, first)]
    if not named:
        return said
    model = Conflict.objects.get(pk=conflict_id)
    found = Conflict.objects.in_bulk(list(named))
    receipts = {pk: receipt_of(receipt, pk) for pk in named}
    known = {row.receipt: row for row in rows_of_form(receipt).filter(by_id=user.pk)}
    for together in _by_job(named, found):
        failpoint("bulk.between")
        with transaction.atomic():  # each of them has a savepoint of its own
            for pk in together:
                row = known.get(receipts[pk])
                if row is not None:
                    said.append(Answered(pk, row))
                    continue
                try:
                    other = found.get(pk)
                    row = _answer_like(user, model, choice, other, named[pk], reason, receipts[pk], receipt)
                    said.append(Answered(pk, row))
                except Refused as refused:
                    said.append(Answered(pk, refused=refused))
    return said


def rows_of_form(receipt: str) -> QuerySet[Decision]:
    """All that a form that decided several at once put in inboxes."""
    # Said twice, as SQLite takes the index for this alone; a form without a receipt has decided nothing.
    return Decision.objects.filter(batch=receipt, batch__gt="").order_by("id")


def _by_job(named: Iterable[int], found: Mapping[int, Conflict]) -> Iterator[tuple[int, ...]]:
    """The questions, those of one job after each other, a few at a time."""
    by_job: dict[int, list[int]] = {}
    for pk in named:
        by_job.setdefault(found[pk].job_id if pk in found else 0, []).append(pk)
    for of_job in by_job.values():
        yield from (tuple(of_job[at : at + TOGETHER]) for at in range(0, len(of_job), TOGETHER))


def find_alike(conflict: Conflict) -> QuerySet[Conflict]:
    """The other open questions of the same shape that wait for people, in any job, most blocking first."""
    if not conflict.shape:
        return Conflict.objects.none()
    alike = Conflict.objects.filter(shape=conflict.shape, kind=conflict.kind, status="open", awaiting="")
    waiting = alike.exclude(pk=conflict.pk).exclude(job__status__in=ENDED)
    return waiting.select_related("job", "job__pack").order_by("-blocks", "opened_at", "id")


def same_choice(conflict: Conflict, choice: Choice, other: Conflict) -> Choice:
    """What a choice made on `conflict` means on `other`: the side of the same speakers, or else of the same value.

    Raises Refused if it means nothing there.
    """
    place = None if conflict.kind == "hold" else side_kept(conflict, choice)
    if place is None:
        return choice
    kept = conflict.sides[place].get("speakers", ())
    there = side_like(kept, [side.get("speakers", ()) for side in other.sides])
    if there is None:
        there = side_kept(other, choice)
    if there is None:
        raise Refused("None of its sides is like the one that is kept.", code="invalid")
    return {"value": other.sides[there]["value"]}


def receipt_of(receipt: str, conflict_id: int) -> str:
    """The receipt of one question of a form: the same whenever the form is sent."""
    return f"{hashlib.sha256(receipt.encode()).hexdigest()[:40]}.{conflict_id}"


def _answer_like(
    user: Person,
    model: Conflict,
    choice: Choice,
    other: Conflict | None,
    version: str,
    reason: str,
    receipt: str,
    batch: str,
) -> Decision:
    if other is None:
        raise Refused("There is no such question any more.", code="gone")
    if other.kind != model.kind or not model.shape or other.shape != model.shape:
        raise Refused("It is not like the one that was decided, or not any more.", code="stale")
    return _answer(user, other.pk, version, same_choice(model, choice, other), reason, receipt, batch)


def _answer(
    user: Person, conflict_id: int, version: str, choice: Choice, reason: str, receipt: str, batch: str
) -> Decision:
    if "approve" in choice:
        return answer_hold(user, conflict_id, version, bool(choice["approve"]), reason, receipt, batch=batch)
    return decide_conflict(user, conflict_id, version, choice, reason, receipt, batch=batch)
