"""What must hold of the desk once all is at rest: questions, deadlines, notices, forms about several, backtests.

Asked of the database alone, by the fault matrix and by the simulation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence


def of_questions(jobs: Sequence[int]) -> Iterable[str]:
    """4, 5: people are told of each question once, and once of each deadline that passed, together with what came of
    it; each question is answered once, by people or by the clock."""
    from runtime.models import Conflict, Decision, Notice

    asked: Counter[int] = Counter()
    passed: Counter[int] = Counter()
    for kind, about in Notice.objects.filter(job_id__in=jobs).values_list("kind", "about"):
        if kind in ("question", "expired"):
            (asked if kind == "question" else passed).update(about)
    expired = Decision.objects.filter(job_id__in=jobs, act="expire")
    ruled = Counter(expired.values_list("conflict_id", flat=True))
    for row in Conflict.objects.filter(job_id__in=jobs).select_related("job"):
        # Nobody is told of what came up in the cycle with which the job ended.
        told = not (row.job.is_ended and row.opened_cycle == row.job.cycle)
        if asked[row.pk] != told:
            yield f"4: people were told {asked[row.pk]} times of question {row.pk}"
        stays = row.policy.get("outcome", "stay") == "stay"
        if (passed[row.pk] != ruled[row.pk] and not stays) or (row.expired_at and not passed[row.pk]):
            yield (
                f"4: of the deadline of question {row.pk} people were told {passed[row.pk]} times, "
                f"and its job {ruled[row.pk]} times"
            )
    yield from _of_answers(jobs)


def _of_answers(jobs: Sequence[int]) -> Iterable[str]:
    from runtime.models import Decision

    rows = Decision.objects.filter(job_id__in=jobs)
    undone = set(rows.filter(act="undo").values_list("job_id", flat=True))
    applied = rows.filter(act__in=("decide", "expire"), status="applied").exclude(conflict=None)
    times = Counter(applied.values_list("job_id", "conflict_id", "version"))
    for (job, conflict, _), number in times.items():
        if number > 1 and job not in undone:
            yield f"5: question {conflict} was decided {number} times between the same sides"


def of_backtests(backtests: Iterable[int] | None = None) -> Iterable[str]:
    """5, 9, 11: each comes to its end, goes through each job once, and its figures are those of what was found."""
    from runtime.models import Backtest, BacktestFlip

    wanted = Backtest.objects.all()
    for row in wanted if backtests is None else wanted.filter(pk__in=list(backtests)):
        flips = BacktestFlip.objects.filter(backtest=row)
        found = list(flips.values_list("job_id", "kind", "key", "subject"))
        figures = (row.flips, row.jobs_flipped, sum(row.counts.values()))
        if figures != (len(found), len({job for job, *_ in found}), len(found)):
            yield f"11: backtest {row.pk} says {figures} of what it found: {found}"
        if len(set(found)) != len(found):
            yield f"5: backtest {row.pk} found something twice: {found}"
        gone = sum(at >= row.cursor for at in row.jobs) if row.cursor else 0
        if row.jobs_done != gone or (row.status == "done" and gone != row.jobs_total):
            yield f"5: backtest {row.pk} has done {row.jobs_done} of {row.jobs_total} jobs, and gone through {gone}"
        if row.status not in ("done", "cancelled"):
            yield f"9: backtest {row.pk} did not end, but is {row.status}: {row.message}"
