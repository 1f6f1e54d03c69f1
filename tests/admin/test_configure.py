"""What an admin changes is checked, written, audited, kept by a sync, and no matter to running jobs."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from runtime.actions import Refused
from runtime.actions.agents import change_agent
from runtime.actions.configure import change_pack
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.actions.submitting import submit_job
from runtime.actions.sync_packs import sync_packs
from runtime.agents import find_pack
from runtime.engine import PackSpec
from runtime.models import AuditRecord, Pack
from tests.admin.cast import agent, follow, retire, rule


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


def test_a_change_of_nothing_is_no_act(ada: User, growth: Pack) -> None:
    before = AuditRecord.objects.count()
    change_agent(ada, agent("momentum").pk, {"tier": 1})
    assert AuditRecord.objects.count() == before
    assert not agent("momentum").changed_fields


def test_only_an_admin_configures(otto: User, growth: Pack) -> None:
    acts: list[Any] = [
        lambda: change_agent(otto, agent("momentum").pk, {"tier": 2}),
        lambda: change_pack(otto, growth.pk, {"title": "Mine"}),
    ]
    for act in acts:
        with pytest.raises(Refused) as refusal:
            act()
        assert refusal.value.code == "forbidden"


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
    retire(ada, rule("small stakes are weighed"))
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


def test_a_changed_margin_is_obeyed_by_the_next_job_and_not_by_a_running_one(ada: User, growth: Pack) -> None:
    pack = find_pack("growth")
    assert pack is not None
    running = submit_job(ada, "growth", pack.sample_seeds())
    follow(ada, rule("clear margin"), {"params": {"margin": 0.1}})
    after = submit_job(ada, "growth", pack.sample_seeds())
    running.refresh_from_db()
    margins = [
        next(
            r.params["margin"]
            for r in PackSpec.from_json(job.frozen_spec()).rules
            if r.name.startswith("clear margin")
        )
        for job in (running, after)
    ]
    assert margins == [0.4, 0.1]


def test_what_is_gone_is_said(ada: User, growth: Pack) -> None:
    with pytest.raises(Refused) as refusal:
        change_agent(ada, 10**9, {"tier": 1})
    assert refusal.value.code == "gone"


def test_a_pack_that_cannot_run_may_be_mended_step_by_step(ada: User, growth: Pack) -> None:
    Pack.objects.filter(pk=growth.pk).update(tiers=growth.tiers[:2])
    change_agent(ada, agent("split").pk, {"tier": 2})
    assert agent("split").tier == 2
