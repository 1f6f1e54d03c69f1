"""A job's row as it was at a moment: its summary, told again from cycles and journal.

The row is a projection of the journal (D3.1), so every state it had can be had again. What the journal does not hold
(leases, planned retries, who is at work) is the present's alone, and is left blank.
"""

from __future__ import annotations

import copy

from django.db.models import Count, F, Max, Q, QuerySet, Sum

from converge_site.fragments.moment import Moment
from runtime.models import Answer, Conflict, Cycle, Decision, Entry, Job, ToolCall
from runtime.outcome import stop_sentence
from runtime.recording import ACTIVITY_LENGTH, MAX_REASON
from runtime.standing import Place, standing_heads


def job_then(job: Job, moment: Moment | None) -> Job:
    """The job as it was; `job` itself for the present. What is given is for reading and must not be saved."""
    if moment is None:
        return job
    then = copy.copy(job)
    cycle = Cycle.objects.get(job=job, number=moment.cycle)
    then.cycle, then.entries, then.tier = moment.cycle, moment.seq, cycle.tier
    then.worker, then.digest, then.updated_at = cycle.worker, cycle.digest, moment.at
    _tell_stop(then, moment)
    _count_slots(then, moment)
    _count_use(then, moment)
    newest = Answer.objects.filter(job=job, seq__lte=moment.seq).aggregate(version=Max("version"))
    then.answer_version = newest["version"] or 0
    latest = Cycle.objects.filter(job=job, number__lte=moment.cycle).order_by("-number")
    then.activity = list(latest.values_list("changes", flat=True)[:ACTIVITY_LENGTH])[::-1]
    then.retry_at = then.give_up_at = then.recovering_since = then.lease_until = None
    then.retries, then.awaited, then.waits_on = 0, {}, ""
    return then


def _tell_stop(then: Job, moment: Moment) -> None:
    """Status, reason and causes: a stop is the last entry of its cycle; without one a runtime was at work."""
    last = Entry.objects.filter(job=then, seq=moment.seq, kind="stop").first()
    if last is None:
        then.status, then.reason, then.causes, then.settled_at = "running", "", [], None
        return
    body = last.data
    then.status, then.causes, then.settled_at = body["reason"], body["causes"], moment.at
    then.reason = stop_sentence(body["reason"], body["causes"], then.tier, then.top_tier)[:MAX_REASON]


def _count_slots(then: Job, moment: Moment) -> None:
    keys = [key["name"] for key in then.frozen_spec()["keys"]]
    place = Place(moment.cycle, moment.seq, then.digest)
    heads = standing_heads.read(then.pk, keys, place)
    then.facts = sum(head.status == "fact" for of_key in heads.values() for head in of_key)
    kinds = questions_then(then, moment).values_list("kind").annotate(count=Count("pk")).order_by()
    open_then = dict(kinds)
    then.conflicts_open, then.holds_open = open_then.get("conflict", 0), open_then.get("hold", 0)


def _count_use(then: Job, moment: Moment) -> None:
    """What it had used of its budget. Wall time counts from the last outside input on (D2.7)."""
    asked = ToolCall.objects.filter(job=then, cycle__lte=moment.cycle).aggregate(
        calls=Sum("attempts"), tokens=Sum(F("tokens_in") + F("tokens_out")), cost=Sum("cost")
    )
    then.calls, then.tokens, then.cost = asked["calls"] or 0, asked["tokens"] or 0, asked["cost"] or 0.0
    mail = Decision.objects.filter(job=then, applied_cycle__lte=moment.cycle).aggregate(
        at=Max("applied_cycle")
    )
    since = Cycle.objects.filter(job=then, number__gte=mail["at"] or 1, number__lte=moment.cycle)
    then.ran_seconds = (since.aggregate(ms=Sum("duration_ms"))["ms"] or 0.0) / 1000


def questions_then(job: Job, moment: Moment) -> QuerySet[Conflict]:
    """The questions to people that were open at the moment. Their rows tell of the present: see fragments/asked.py."""
    still_open = Q(closed_cycle__isnull=True) | Q(closed_cycle__gt=moment.cycle)
    return Conflict.objects.filter(still_open, job=job, opened_cycle__lte=moment.cycle)
