"""What an admin changes is checked, written, audited, kept by a sync, and no matter to running jobs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User

from runtime.actions import Refused
from runtime.actions.agents import change_agent
from runtime.actions.configure import add_rule, change_pack, change_rule, delete_rule
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.actions.submitting import submit_job
from runtime.actions.sync_packs import sync_packs
from runtime.agents import find_pack
from runtime.engine import PackSpec
from runtime.models import AuditRecord, GovernanceRule, Pack
from tests.admin.cast import agent, rule


def last_record() -> AuditRecord:
    record = AuditRecord.objects.first()
    assert record is not None
    return record


def test_a_change_is_written_audited_and_kept_by_a_sync(ada: User, growth: Pack) -> None:
    change_agent(ada, agent("momentum").pk, {"required": False, "timeout": 5.0}, reason="too strict")
    record = last_record()
    assert (record.who, record.act, record.target) == (ada, "change_agent", "agent:growth/momentum")
    assert record.reason == "too strict"
    assert record.detail["changes"]["timeout"] == {"from": 30.0, "to": 5.0}
    assert sync_packs().left_alone
    assert agent("momentum").timeout == 5.0


def test_setting_a_field_back_gives_it_back_to_the_code(ada: User, growth: Pack) -> None:
    change_agent(ada, agent("momentum").pk, {"tier": 2})
    assert agent("momentum").changed_fields == ["tier"]
    change_agent(ada, agent("momentum").pk, {"tier": 1})
    assert agent("momentum").changed_fields == []
    change_rule(ada, rule("clear margin").pk, {"enabled": False})
    assert rule("clear margin").changed_fields == ["enabled"]
    change_rule(ada, rule("clear margin").pk, {"enabled": True})
    assert rule("clear margin").changed_fields == []


def test_a_change_of_nothing_is_no_act(ada: User, growth: Pack) -> None:
    before = AuditRecord.objects.count()
    change_agent(ada, agent("momentum").pk, {"tier": 1})
    assert AuditRecord.objects.count() == before
    assert not agent("momentum").changed_fields


def test_only_an_admin_configures(otto: User, growth: Pack) -> None:
    acts: list[Any] = [
        lambda: change_agent(otto, agent("momentum").pk, {"tier": 2}),
        lambda: change_rule(otto, rule("clear margin").pk, {"priority": 1}),
        lambda: add_rule(otto, growth.pk, {"name": "mine", "kind": "operator", "keys": ["outlook"]}),
        lambda: delete_rule(otto, rule("clear margin").pk),
        lambda: change_pack(otto, growth.pk, {"title": "Mine"}),
    ]
    for act in acts:
        with pytest.raises(Refused) as refusal:
            act()
        assert refusal.value.code == "forbidden"
    assert not GovernanceRule.objects.filter(name="mine").exists()


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"tier": 4}, "tier", "tiers 1 to 3"),
        ({"tier": 0}, "tier", "tiers 1 to 3"),
        ({"timeout": 0.0}, "timeout", "at most 3,600 seconds"),
        ({"timeout": 9_999.0}, "timeout", "at most 3,600 seconds"),
        ({"reads": ["plan"]}, "reads", "cannot be set here"),
    ],
)
def test_an_agents_limits_are_told(
    ada: User, growth: Pack, changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(Refused, match=words) as refusal:
        change_agent(ada, agent("momentum").pk, changes)
    assert refusal.value.field == field
    assert not agent("momentum").changed_fields


def test_an_agent_that_a_rule_needs_is_not_disabled(ada: User, growth: Pack) -> None:
    with pytest.raises(Refused, match="small stakes are weighed"):
        change_agent(ada, agent("weigh").pk, {"enabled": False})
    assert agent("weigh").enabled
    change_rule(ada, rule("small stakes are weighed").pk, {"enabled": False})
    change_agent(ada, agent("weigh").pk, {"enabled": False})
    assert "weigh" not in {found.name for found in pack_spec_from_rows(growth).agents}


def test_an_agent_without_code_is_not_enabled(ada: User, growth: Pack) -> None:
    gone = agent("momentum")
    gone.name, gone.enabled = "gone", False
    gone.save()
    with pytest.raises(Refused, match="not installed any more"):
        change_agent(ada, gone.pk, {"enabled": True})


def test_budgets_are_bounded(ada: User, growth: Pack) -> None:
    change_pack(ada, growth.pk, {"budget": {**growth.budget, "cycles": 7}})
    assert pack_spec_from_rows(Pack.objects.get(pk=growth.pk)).budget.cycles == 7
    for limit, value in (("cycles", 0), ("facts", 10**9), ("seconds", "long"), ("tokens", True)):
        with pytest.raises(Refused, match="give a number from 1 to") as refusal:
            change_pack(ada, growth.pk, {"budget": {**growth.budget, limit: value}})
        assert refusal.value.field == limit


RULES: list[tuple[dict[str, Any], str, str]] = [
    ({"kind": "vote"}, "kind", "kinds are constraint"),
    ({"name": ""}, "name", "1 to 100 characters"),
    ({"name": "clear margin"}, "name", "already"),
    ({"keys": []}, "keys", "at least one key"),
    ({"keys": ["outlooks"]}, "keys", "'outlooks'; it has company"),
    ({"keys": ["outlook.*"]}, "keys", "covers several"),
    ({"priority": 10**6}, "priority", "10,000"),
    ({"params": {"margin": 4}}, "params", "margin is 4; give a number from 0 to 1"),
    ({"params": {"margin": True}}, "params", "margin is True"),
    ({"params": {}}, "params", "margin is missing: by how much"),
    ({"params": {"margins": 0.1}}, "params", "no parameter 'margins'; it has margin"),
    ({"params": [1]}, "params", "JSON object"),
    ({"kind": "newer", "params": {"field": 3}}, "params", "name of an evidence field"),
    ({"kind": "dominance", "params": {}}, "params", "Name who dominates"),
    ({"kind": "dominance", "params": {"agents": ["nobody"]}}, "params", "'nobody'; the pack has the agents"),
    ({"kind": "dominance", "params": {"sources": "crm"}}, "params", "a list of names"),
    ({"kind": "aggregation", "params": {"agent": "momentum"}}, "params", "aggregation agents are: weigh"),
    (
        {"kind": "aggregation", "keys": ["plan"], "params": {"agent": "weigh"}},
        "keys",
        "weigh rules on 'outlook'",
    ),
    ({"kind": "approval", "params": {"count": 0}}, "params", "whole number from 1 to 20"),
    ({"kind": "approval", "params": {"groups": []}}, "params", "name a group"),
    ({"kind": "approval", "params": {"exclude_submitter": "yes"}}, "params", "true or false"),
    ({"kind": "invariant", "params": {"tier": 9}, "expression": "true"}, "params", "tiers 1 to 3"),
    ({"kind": "discount", "params": {"incomplete": 2}}, "params", "0 to 1"),
    ({"kind": "constraint", "params": {}}, "expression", "Say in CEL"),
    ({"expression": "sides.size() <"}, "expression", "This is no CEL: line 1, column 1"),
    (
        {"expression": "side.size() < 3"},
        "expression",
        "unknown name `side`.*at character 1, before `side.size",
    ),
    (
        {"kind": "invariant", "params": {}, "expression": 'facts("plans").size() > 0'},
        "expression",
        "looks up 'plans'",
    ),
    (
        {"expression": 'fact("plan", subject) == 1'},
        "expression",
        "Only a constraint or an invariant can look",
    ),
    ({"kind": "discount", "params": {}, "expression": "true"}, "expression", "takes no expression"),
    ({"expression": "x" * 3000}, "expression", "2,048"),
    ({"message": "x" * 501}, "message", "limit is 500"),
]


@pytest.mark.parametrize(("given", "field", "words"), RULES)
def test_a_rule_that_cannot_be_names_field_limit_and_way_out(
    ada: User, growth: Pack, given: dict[str, Any], field: str, words: str
) -> None:
    fine = {"name": "mine", "kind": "confidence", "keys": ["outlook"], "params": {"margin": 0.2}}
    before = GovernanceRule.objects.count()
    with pytest.raises(Refused) as refusal:
        add_rule(ada, growth.pk, {**fine, **given})
    assert refusal.value.field == field
    assert re.search(words, refusal.value.message), refusal.value.message
    assert GovernanceRule.objects.count() == before


def test_a_rule_is_added_changed_and_deleted(ada: User, growth: Pack) -> None:
    mine = add_rule(
        ada, growth.pk, {"name": "mine", "kind": "confidence", "keys": ["outlook"], "params": {"margin": 1}}
    )
    assert (mine.origin, mine.enabled) == ("admin", True)
    change_rule(ada, mine.pk, {"name": "ours", "kind": "operator", "params": {}, "priority": 5})
    assert [found.name for found in pack_spec_from_rows(growth).rules if found.priority == 5] == ["ours"]
    delete_rule(ada, mine.pk, reason="not needed")
    assert not GovernanceRule.objects.filter(name="ours").exists()
    acts = [record.act for record in AuditRecord.objects.all()[:3]]
    assert acts == ["delete_rule", "change_rule", "add_rule"]
    assert last_record().detail["settings"]["kind"] == "operator"


def test_a_rule_of_the_code_is_disabled_not_deleted_and_keeps_its_name(ada: User, growth: Pack) -> None:
    with pytest.raises(Refused, match="disable it instead"):
        delete_rule(ada, rule("clear margin").pk)
    with pytest.raises(Refused, match="keeps its name"):
        change_rule(ada, rule("clear margin").pk, {"name": "other"})


def test_a_changed_margin_is_obeyed_by_the_next_job_and_not_by_a_running_one(ada: User, growth: Pack) -> None:
    pack = find_pack("growth")
    assert pack is not None
    running = submit_job(ada, "growth", pack.sample_seeds())
    change_rule(ada, rule("clear margin").pk, {"params": {"margin": 0.1}})
    after = submit_job(ada, "growth", pack.sample_seeds())
    running.refresh_from_db()
    margins = [
        next(
            r.params["margin"]
            for r in PackSpec.from_json(job.frozen_spec()).rules
            if r.name == "clear margin"
        )
        for job in (running, after)
    ]
    assert margins == [0.4, 0.1]


def test_what_is_gone_is_said(ada: User, growth: Pack) -> None:
    with pytest.raises(Refused) as refusal:
        change_rule(ada, 10**9, {"priority": 1})
    assert refusal.value.code == "gone"


def test_a_pack_that_cannot_run_may_be_mended_step_by_step(ada: User, growth: Pack) -> None:
    Pack.objects.filter(pk=growth.pk).update(tiers=growth.tiers[:2])
    change_agent(ada, agent("split").pk, {"tier": 2})
    assert agent("split").tier == 2
