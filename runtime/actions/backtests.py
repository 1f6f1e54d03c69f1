"""Trying a rule on past jobs, and breaking that off."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from django.db import IntegrityError, transaction
from django.db.models.expressions import RawSQL
from django.utils import timezone

from runtime.actions.audit import Person, name_of, record_act
from runtime.actions.changing import lock_row
from runtime.actions.pack_specs import rule_spec_from_row
from runtime.actions.permissions import require
from runtime.actions.refusals import Refused
from runtime.actions.rule_places import names_replaced, places_by_name
from runtime.backtest import RuleChange
from runtime.lease import clock_sql
from runtime.models import Backtest, GovernanceRule, Job, Pack, RuleState
from runtime.models.job import ACTIVE
from runtime.queue import enqueue_backtest

JOBS = 500
MOST_JOBS = 5_000
MOST_RECEIPT = 100
UNDER_WAY = ("queued", "running")


def start_backtest(user: Person, rule_id: int, most_jobs: int = JOBS, receipt: str = "") -> Backtest:
    """Tries a rule on the newest settled jobs of its pack: a draft or retired rule as if they had had it too, an active
    one as if they had not.

    Gives the one that is under way if there is one of this very version, or that an earlier POST of the same form
    began. Raises Refused: forbidden; gone; invalid.
    """
    require(user, "backtest")
    if not 1 <= most_jobs <= MOST_JOBS:
        raise Refused(f"Choose from 1 to {MOST_JOBS:,} jobs; {most_jobs:,} are asked for.", field="jobs")
    if len(receipt) > MOST_RECEIPT or not receipt.isprintable():
        raise Refused("The form has no receipt; load the page again.", field="receipt")
    try:
        with transaction.atomic():
            rule = lock_row(GovernanceRule, rule_id, "rule")
            return _known(user, rule, receipt) or _start(user, rule, most_jobs, receipt)
    except IntegrityError:
        raise _used_elsewhere() from None  # a form about another rule took the receipt at the same moment


def cancel_backtest(user: Person, backtest_id: int) -> Backtest:
    """Breaks a backtest off; what it found so far stays. Raises Refused: forbidden; gone, where it has ended."""
    require(user, "backtest")
    with transaction.atomic():
        backtest = lock_row(Backtest, backtest_id, "backtest")
        if backtest.status == "cancelled":
            return backtest
        if not backtest.is_under_way:
            raise Refused(f"This backtest has ended already ({backtest.status}).", code="gone")
        backtest.status, backtest.finished_at = "cancelled", timezone.now()
        backtest.message = f"{name_of(user)} broke it off."
        backtest.save(update_fields=["status", "finished_at", "message"])
        record_act(user, "cancel_backtest", f"backtest:{backtest.pk}", jobs_done=backtest.jobs_done)
    return backtest


def change_of(rule: GovernanceRule) -> RuleChange:
    """What would be different about the rules: an active rule is taken away; any other comes in, in place of the one
    that it replaces, of what that had replaced in its turn, and of whatever had its own name."""
    if rule.is_active:
        return RuleChange(None, (rule.name,))
    spec = replace(rule_spec_from_row(rule), enabled=True)
    replaced = names_replaced(rule) if rule.state == RuleState.DRAFT else ()
    places = places_by_name(rule.pack)
    behind = sorted((at, name) for name, at in places.items() if at > places[rule.name])
    return RuleChange(spec, (rule.name, *replaced), tuple(name for _, name in behind))


def jobs_to_try(pack: Pack, most: int) -> list[int]:
    """The newest settled jobs of a pack that have a record, newest first."""
    settled = Job.objects.filter(pack=pack, cycle__gt=0).exclude(status__in=ACTIVE)
    return list(settled.order_by("-id").values_list("pk", flat=True)[:most])


def _known(user: Person, rule: GovernanceRule, receipt: str) -> Backtest | None:
    known = Backtest.objects.filter(receipt=receipt).first() if receipt else None
    if known is not None and (known.rule_id, known.by_id) != (rule.pk, user.pk):
        raise _used_elsewhere()
    under_way = rule.backtests.filter(status__in=UNDER_WAY, rule_version=rule.version)
    return known or under_way.first()


def _used_elsewhere() -> Refused:
    message = "This form was sent before, for something else; load the page again."
    return Refused(message, field="receipt", code="stale")


def _start(user: Person, rule: GovernanceRule, most_jobs: int, receipt: str) -> Backtest:
    jobs = jobs_to_try(rule.pack, most_jobs)
    if not jobs:
        raise Refused(
            f"No job of the pack {rule.pack.name} has been run yet, so there is nothing to try it on."
        )
    backtest = Backtest.objects.create(
        rule=rule,
        rule_version=rule.version,
        change=change_of(rule).to_json(),
        jobs=jobs,
        jobs_total=len(jobs),
        receipt=receipt or None,
        by_id=user.pk,
        by_name=name_of(user),
    )
    Backtest.objects.filter(pk=backtest.pk).update(touched_at=RawSQL(clock_sql(), ()))
    target = f"rule:{rule.pack.name}/{rule.name}"
    record_act(user, "backtest", target, backtest=backtest.pk, version=rule.version, jobs=len(jobs))
    transaction.on_commit(partial(enqueue_backtest, backtest.pk))
    return backtest
