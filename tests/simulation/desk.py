"""What must hold of people once all is at rest: what they asked, were asked and were told, and what they tried."""

from __future__ import annotations

from collections import Counter

import orjson

from runtime.models import AuditRecord, Backtest, BacktestFlip, Conflict, Decision, Entry, Job, Notice
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
    _check_decided_once(list(rows.values()))
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


def _check_decided_once(rows: list[Decision]) -> None:
    """By one person, or by the clock."""
    ruled = [row for row in rows if row.act in ("decide", "expire") and row.status == "applied"]
    decided = Counter((row.conflict_id, row.version) for row in ruled)
    for (conflict, version), times in decided.items():
        undone = any(row.act == "undo" for row in rows)
        if times > 1 and not undone:
            raise Violation(5, f"conflict {conflict} at {version} is decided {times} times")


def check_notices() -> None:
    """4, 5: people are told of each question once; and of each deadline that passed, together with what came of it."""
    asked: Counter[int] = Counter()
    passed: Counter[int] = Counter()
    for kind, about in Notice.objects.values_list("kind", "about"):
        if kind == "question":
            asked.update(about)
        elif kind == "expired":
            passed.update(about)
    ruled = Counter(Decision.objects.filter(act="expire").values_list("conflict_id", flat=True))
    for question in Conflict.objects.select_related("job"):
        is_of_last_cycle = question.job.is_ended and question.opened_cycle == question.job.cycle
        if asked[question.pk] != (not is_of_last_cycle):
            raise Violation(4, f"people were told {asked[question.pk]} times of question {question.pk}")
        # Of the panel's rules, each says what shall happen.
        if passed[question.pk] != ruled[question.pk] or (question.expired_at and not ruled[question.pk]):
            raise Violation(
                4,
                f"of the deadline of question {question.pk} people were told {passed[question.pk]} times, and its job "
                f"{ruled[question.pk]} times",
            )


def check_backtests() -> None:
    """5, 11: each job is gone through once, and the figures are those of what was found."""
    for backtest in Backtest.objects.all():
        found = list(
            BacktestFlip.objects.filter(backtest=backtest).values_list("job_id", "kind", "key", "subject")
        )
        figures = (backtest.flips, backtest.jobs_flipped, sum(backtest.counts.values()))
        if figures != (len(found), len({job for job, *_ in found}), len(found)):
            raise Violation(11, f"backtest {backtest.pk} says {figures} of what it found: {found}")
        if len(set(found)) != len(found):
            raise Violation(5, f"backtest {backtest.pk} found something twice: {found}")
        gone_through = sum(at >= backtest.cursor for at in backtest.jobs) if backtest.cursor else 0
        if backtest.jobs_done != gone_through or backtest.jobs_done > backtest.jobs_total:
            raise Violation(
                5,
                f"backtest {backtest.pk} has done {backtest.jobs_done} jobs, and gone through {gone_through}",
            )
        if backtest.status not in ("done", "cancelled") or (
            backtest.status == "done" and backtest.jobs_done != backtest.jobs_total
        ):
            raise Violation(9, f"backtest {backtest.pk} is {backtest.status}: {backtest.message}")
