"""A learned rule is asked directly before the rule that asked people: what was decided before that rule stays so."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from runtime.actions import decide_conflict
from runtime.actions.learning import learn_rule, read_learned
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.actions.rules import activate_rule, change_draft, draft_from, draft_rule, with_draft
from runtime.actions.sync_packs import sync_packs
from runtime.models import Conflict, GovernanceRule, Job, Pack
from runtime.store import load_core
from tests.runtime.fixtures import Use
from tests.runtime.stage import person, question, receipt, run, submit

pytestmark = pytest.mark.django_db


@pytest.fixture
def pack(use_packs: Use) -> Pack:
    """Of rules with one priority, a clear margin is asked about first, then people."""
    use_packs("timed")
    found = Pack.objects.get(name="timed")
    clear = add(found, name="clear margin", kind="confidence", keys=["price"], params={"margin": 0.4})
    GovernanceRule.objects.filter(pack=found, origin="code").update(position=1)
    GovernanceRule.objects.filter(pk=clear.pk).update(position=0, origin="code")
    return found


def add(pack: Pack, **settings: Any) -> GovernanceRule:
    ada = person("ada", "admin")
    draft = draft_rule(ada, pack.pk, settings, "so")
    return activate_rule(ada, draft.pk, "so", version=1)


def job_of(sure: float, unsure: float) -> Job:
    seeds = [
        {"key": "price", "subject": "bread", "value": value, "confidence": conf, "evidence": {"source": who}}
        for value, conf, who in ((3, sure, "crm"), (4, unsure, "web"))
    ]
    return run(submit("timed", seeds))


def decided() -> Conflict:
    """A question that otto decided for what the web says."""
    job = job_of(0.55, 0.5)
    asked = question(job)
    decide_conflict(person("otto", "operator"), asked.pk, asked.version, {"value": 4}, "", receipt())
    run(job)
    return asked


def learn(asked: Conflict, name: str = "web wins", **more: Any) -> GovernanceRule:
    ends = timezone.now() + dt.timedelta(days=5)
    otto = person("otto", "operator")
    return learn_rule(otto, asked.pk, name=name, expires_at=ends, reason="always", **more)


def in_force(pack: Pack) -> list[str]:
    return [rule.name for rule in pack_spec_from_rows(pack).rules if "price" in rule.keys]


def standing(job: Job) -> int | None:
    slot = load_core(job).ledger.slot("price", "bread")
    return None if slot.raw is None else int(slot.raw)


def test_what_a_rule_asked_earlier_settles_stays_as_it_was(pack: Pack) -> None:
    asked = decided()
    assert standing(job_of(0.99, 0.1)) == 3
    learned = read_learned(asked.pk)
    assert (learned.before, learned.after) == (("clear margin",), ("price in time",))
    rule = learn(asked)
    assert [r.name for r in with_draft(rule, pack_spec_from_rows(pack)).rules][:3] == [
        "clear margin",
        "web wins",
        "price in time",
    ]
    activate_rule(person("ada", "admin"), rule.pk, "looks right", version=rule.version)
    assert in_force(pack) == ["clear margin", "web wins", "price in time"]
    assert standing(job_of(0.99, 0.1)) == 3, "a clear margin was never a question to people"
    assert standing(job_of(0.55, 0.5)) == 4


def test_it_keeps_its_place_when_the_code_is_released_again(pack: Pack) -> None:
    rule = learn(decided())
    activate_rule(person("ada", "admin"), rule.pk, "looks right", version=rule.version)
    GovernanceRule.objects.filter(name="clear margin").update(origin="admin", position=0)
    sync_packs()
    assert in_force(pack) == ["web wins", "price in time", "clear margin"]


def test_a_rule_that_took_the_place_of_the_one_that_asked_is_stood_before(pack: Pack) -> None:
    asked, ada = decided(), person("ada", "admin")
    old = GovernanceRule.objects.get(name="price in time")
    new = draft_from(ada, old.pk)
    activate_rule(ada, new.pk, "the same", version=new.version, retires=old.pk)
    rule = learn(asked)
    assert rule.before == new
    assert learn(asked, "once more").pk != rule.pk
    for name in ("web wins", "once more"):
        row = GovernanceRule.objects.get(name=name)
        activate_rule(ada, row.pk, "looks right", version=row.version)
    assert in_force(pack) == ["clear margin", "web wins", "once more", "price in time 2"]
    again = draft_from(ada, rule.pk)
    activate_rule(ada, again.pk, "the same", version=again.version, retires=rule.pk)
    assert in_force(pack) == ["clear margin", "web wins 2", "once more", "price in time 2"]


def test_with_a_priority_of_its_own_it_stands_where_that_says(pack: Pack) -> None:
    asked, ada = decided(), person("ada", "admin")
    other = learn(asked, "last of all", priority=101)
    assert other.before is None
    rule = learn(asked)
    change_draft(ada, rule.pk, {"priority": 7}, "first of all", version=rule.version)
    for name in ("web wins", "last of all"):
        row = GovernanceRule.objects.get(name=name)
        activate_rule(ada, row.pk, "looks right", version=row.version)
    assert in_force(pack) == ["web wins", "clear margin", "price in time", "last of all"]


def test_where_every_rule_was_asked_and_none_did_it_is_asked_last(pack: Pack) -> None:
    GovernanceRule.objects.filter(name="price in time").update(state="retired")
    asked = decided()
    assert asked.rule == ""
    learned = read_learned(asked.pk)
    assert (learned.before, learned.after, learned.place) == (("clear margin",), (), None)
    assert learned.settings["priority"] == 101
