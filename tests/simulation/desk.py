"""What must hold of people once all is at rest: what they asked for, what they were told, and what they tried."""

from __future__ import annotations

from collections import Counter

import orjson

from runtime.models import AuditRecord, Decision, Entry, Job
from tests.chaos.desk import of_backtests, of_questions
from tests.simulation.people import Wish
from tests.simulation.violation import Violation
from tests.simulation.world import World


def check_forms(world: World) -> None:
    """4, 5: whatever was confirmed is in the journal, once; the same form always gets the same rows."""
    told: Counter[int] = Counter()
    for body in Entry.objects.filter(kind="inbox").values_list("body", flat=True):
        told[orjson.loads(body)["row"]] += 1
    rows = {row.receipt: row for row in Decision.objects.all()}
    jobs = dict(Job.objects.values_list("submit_key", "pk"))
    audited = Counter(
        detail.get("receipt")
        for detail in AuditRecord.objects.exclude(act="submit").values_list("detail", flat=True)
    )
    for wish in world.people.wishes:
        if wish.what.startswith("submit"):
            _check_answers(wish, wish.answers)
            if jobs.get(wish.receipt) not in wish.acks:
                raise Violation(
                    4, f"{wish.receipt} was confirmed as {wish.acks}, and is {jobs.get(wish.receipt)}"
                )
        elif wish.is_for_a_job:
            _check_answers(wish, wish.answers)
            row = rows.get(wish.receipt)
            if wish.acks and (row is None or row.pk not in wish.acks):
                raise Violation(4, f"{wish.receipt} ({wish.what}) was confirmed, and is gone")
            for answers in wish.others.values():
                _check_answers(wish, answers)
    by_pk = {row.pk: row for row in rows.values()}
    for row in rows.values():
        _check_row(row, told[row.pk])
        if row.by_id is not None and audited[row.receipt] != 1:
            raise Violation(5, f"row {row.pk} ({row.act}) has {audited[row.receipt]} audit records")
    _check_others(world.people.wishes, by_pk)
    _check_number(world.people.wishes, list(rows.values()), len(jobs))


def _check_answers(wish: Wish, answers: list[int | str]) -> None:
    acks = {answer for answer in answers if isinstance(answer, int)}
    if len(acks) > 1:
        raise Violation(5, f"{wish.receipt} ({wish.what}) was confirmed as the rows {sorted(acks)}")
    if acks and isinstance(answers[-1], str):
        raise Violation(5, f"{wish.receipt} ({wish.what}) was confirmed, and then refused: {answers}")


def _check_others(wishes: list[Wish], rows: dict[int, Decision]) -> None:
    """Of a form that answers several questions: each that was confirmed is there, under the form's receipt."""
    for wish in wishes:
        for conflict, answers in wish.others.items():
            for pk in answers:
                if isinstance(pk, int) and (pk not in rows or rows[pk].batch != wish.receipt):
                    raise Violation(
                        4,
                        f"{wish.receipt} ({wish.what}): the answer to {conflict} was confirmed, and is gone",
                    )


def _check_number(wishes: list[Wish], rows: list[Decision], jobs: int) -> None:
    """Nobody made anything but these forms."""
    singly = [row for row in rows if row.by_id is not None and row.batch in ("", row.receipt)]
    forms = {wish.receipt for wish in wishes}
    submitted = sum(wish.what.startswith("submit") for wish in wishes)
    strange = [row.pk for row in rows if row.batch and row.batch not in forms]
    if len(singly) > len(wishes) - submitted or jobs > submitted or strange:
        raise Violation(
            5, f"{len(singly)} rows ({strange} of no form) and {jobs} jobs of {len(wishes)} forms"
        )


def _check_row(row: Decision, told: int) -> None:
    if row.status == "pending":
        raise Violation(4, f"row {row.pk} ({row.act}) was never applied")
    if told > 1:
        raise Violation(5, f"row {row.pk} ({row.act}) is in the journal {told} times")
    if told == 0 and (row.status != "refused" or row.applied_cycle is not None):
        raise Violation(4, f"row {row.pk} ({row.act}) is {row.status}, and not in the journal")


def check_desk() -> None:
    """What the fault matrix asks of questions, deadlines, notices and backtests."""
    jobs = list(Job.objects.values_list("pk", flat=True))
    for found in (*of_questions(jobs), *of_backtests()):
        number, _, what = found.partition(": ")
        raise Violation(int(number), what)
