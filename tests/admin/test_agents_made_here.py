"""Agents that need no code are made, changed and deleted by an admin, and what cannot run is refused at its field."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User

from runtime.actions import Refused
from runtime.actions.agents import add_agent, change_agent, delete_agent
from runtime.actions.pack_specs import agent_spec_from_row, pack_spec_from_rows
from runtime.actions.submitting import submit_job
from runtime.actions.sync_packs import sync_packs
from runtime.actions.tools import add_tool
from runtime.agents import functions_for
from runtime.engine import PackError, PackSpec
from runtime.engine.compiled import compile_pack
from runtime.models import Agent, AuditRecord, Pack, Tool
from tests.admin.cast import LOOKUP, add_rule, agent, lookup, person

LARGE: dict[str, Any] = {
    "name": "large",
    "kind": "cel",
    "shape": "each",
    "over": "channel",
    "writes": ["outlook"],
    "tier": 2,
    "config": {"when": "true", "subject": "subject", "value": "'grow'", "confidence": "0.5"},
}


def last_record() -> AuditRecord:
    record = AuditRecord.objects.first()
    assert record is not None
    return record


def test_an_agent_of_every_kind_is_added_and_can_run(ada: User, search: Tool, growth: Pack) -> None:
    for kind in ("llm", "mcp"):
        model = "small" if kind == "llm" else ""
        add_tool(ada, {"name": kind, "kind": kind, "url": "https://x.example", "model": model})
    prompt = {"tool": "llm", "prompt": "Look at {{ item.subject }}."}
    mapping = {"tool": "mcp", "call": "find", "subject": "subject", "value": "result"}
    for settings in (
        LOOKUP,
        {**LOOKUP, "name": "scribe", "kind": "llm", "config": prompt},
        {**LOOKUP, "name": "asker", "kind": "mcp", "config": mapping},
        LARGE,
    ):
        add_agent(ada, growth.pk, settings)
    spec = pack_spec_from_rows(growth)
    compile_pack(spec)
    mine = ["lookup", "scribe", "asker", "large"]
    assert [found.name for found in spec.agents][-4:] == mine
    assert set(mine) <= set(functions_for(spec))


def test_an_added_agent_is_audited_and_frozen_by_the_next_job_only(
    ada: User, otto: User, search: Tool, growth: Pack
) -> None:
    seeds = [{"key": "company", "subject": "A", "value": company()}]
    before = submit_job(otto, "growth", seeds)
    mine = add_agent(ada, growth.pk, {**LOOKUP, "wait": 60.0, "required": False}, reason="more evidence")
    record = last_record()
    assert (record.act, record.target, record.reason) == ("add_agent", "agent:growth/lookup", "more evidence")
    assert record.detail["settings"]["config"] == LOOKUP["config"]
    after = submit_job(otto, "growth", seeds)
    frozen = [{a.name: a for a in PackSpec.from_json(job.frozen_spec()).agents} for job in (before, after)]
    assert "lookup" not in frozen[0]
    assert frozen[1]["lookup"] == agent_spec_from_row(mine)
    assert (frozen[1]["lookup"].wait, frozen[1]["lookup"].timeout) == (60.0, 120.0)


def test_an_agent_may_be_added_disabled_before_its_tool(ada: User, growth: Pack) -> None:
    mine = lookup(ada, growth, enabled=False)
    assert "lookup" not in {found.name for found in pack_spec_from_rows(growth).agents}
    with pytest.raises(Refused, match="no tool 'finder'") as refusal:
        change_agent(ada, mine.pk, {"enabled": True})
    assert refusal.value.field == "config"
    add_tool(ada, {"name": "finder", "url": "https://api.example.org"})
    change_agent(ada, mine.pk, {"enabled": True})
    assert "lookup" in {found.name for found in pack_spec_from_rows(growth).agents}


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "name", "lower-case letters"),
    ({"name": "@person"}, "name", "lower-case letters"),
    ({"name": "a" * 101}, "name", "at most 100"),
    ({"name": "momentum"}, "name", "already"),
    ({"name": "sk-proj-4f9a8b7c6d5e4f3a2b1c"}, "name", "looks like a secret"),
    ({"kind": "python"}, "kind", "no kind 'python' to be made here"),
    ({"kind": ""}, "kind", "kinds are"),
    ({"title": "x" * 201}, "title", "limit is 200"),
    ({"description": "x" * 2_001}, "description", "limit is 2,000"),
    ({"description": "The key is sk-proj-4f9a8b7c6d5e4f3a2b1c."}, "description", "looks like a secret"),
    ({"tier": 4}, "tier", "tiers 1 to 3"),
    ({"tier": True}, "tier", "tiers 1 to 3"),
    ({"timeout": 0}, "timeout", "3,600"),
    ({"timeout": float("nan")}, "timeout", "3,600"),
    ({"wait": -1}, "wait", "2,592,000"),
    ({"wait": 10**8}, "wait", "2,592,000"),
    ({"shape": "ring"}, "shape", "shapes are whole"),
    ({"reads": ["news"]}, "reads", "no key 'news'; it has company"),
    ({"writes": ["news"]}, "writes", "no key 'news'"),
    ({"writes": []}, "writes", "at least one key"),
    ({"over": "news"}, "over", "no key 'news'"),
    ({"over": ""}, "over", "goes through"),
    ({"shape": "whole"}, "over", "goes over no key"),
    ({"reads": ["channel"]}, "reads", "one at a time"),
    ({"shape": "grouped"}, "group_by", "tells the groups apart"),
    ({"group_by": "kind"}, "group_by", "Only a grouped agent"),
    ({"shape": "grouped", "group_by": "x" * 101}, "group_by", "limit is 100"),
    ({"shape": "aggregate", "over": "outlook", "writes": ["stance"]}, "writes", "writes just that key"),
    ({"config": {}}, "config", "tool"),
    ({"config": {"tool": 7}}, "config", "tool"),
    (
        {"config": {"tool": "ghost"}},
        "config",
        "no tool 'ghost'; .* http are: finder, search",
    ),
    (
        {"config": {"tool": "scribe"}},
        "config",
        "scribe is of kind llm; .* http are: finder, search",
    ),
    ({"config": {"tool": "finder", "color": 1}}, "config", "'color'"),
    ({"config": {"tool": "finder", "path": "//evil"}}, "config", "path"),
    ({"config": {"tool": "finder", "path": "/a?api_key=hunter2"}}, "config", "What was typed was not kept"),
    ({"config": {"tool": "finder", "path": "/sk-proj-4f9a8b7c6d5e4f3a2b1c"}}, "config", "not kept"),
    ({"config": {"tool": "finder", "path": "x" * 70_000}}, "config", "bytes"),
    ({"config": [1]}, "config", "JSON object"),
    ({"kind": "llm", "config": {"tool": "scribe"}}, "config", "prompt"),
    ({"kind": "llm", "config": {"tool": "scribe", "prompt": "{% if %}"}}, "config", "prompt"),
    ({"kind": "cel", "shape": "whole", "over": ""}, "shape", "its shape is each"),
    ({"kind": "cel", "writes": ["outlook", "stance"]}, "writes", "writes one key"),
    ({"kind": "cel", "config": {"when": "true"}}, "config", "does not say"),
    ({"kind": "cel", "config": {**LARGE["config"], "when": "value >"}}, "config", "no CEL"),
    (
        {"kind": "cel", "config": {**LARGE["config"], "when": "fact('stance', subject) == 1"}},
        "config",
        "`reads`",
    ),
    ({"color": "red"}, "color", "cannot be set here"),
]


@pytest.mark.parametrize(("given", "field", "words"), REFUSED)
def test_what_cannot_be_is_refused_at_its_field(
    ada: User, search: Tool, growth: Pack, given: dict[str, Any], field: str, words: str
) -> None:
    add_tool(ada, {"name": "scribe", "kind": "llm", "url": "https://x.example", "model": "small"})
    before = AuditRecord.objects.count()
    with pytest.raises(Refused) as refusal:
        lookup(ada, growth, **given)
    assert refusal.value.field == field, refusal.value.message
    assert re.search(words, refusal.value.message), refusal.value.message
    assert "hunter2" not in refusal.value.message
    assert AuditRecord.objects.count() == before
    assert not Agent.objects.filter(origin="admin").exists()


def test_an_agent_with_which_the_pack_could_not_run_is_refused(
    ada: User, search: Tool, growth: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(spec: PackSpec) -> None:
        if any(found.name == "lookup" for found in spec.agents):
            raise PackError("it says so")

    monkeypatch.setattr("runtime.actions.changing.compile_pack", refuse)
    with pytest.raises(Refused, match="With this change the pack could not run: it says so"):
        lookup(ada, growth)
    assert not Agent.objects.filter(origin="admin").exists()


def test_everything_but_name_and_kind_of_an_own_agent_is_changed(
    ada: User, search: Tool, growth: Pack
) -> None:
    mine = lookup(ada, growth)
    changes = {"reads": ["company"], "tier": 3, "required": True, "config": {"tool": "finder", "path": "/b"}}
    change_agent(ada, mine.pk, changes, reason="moved")
    mine.refresh_from_db()
    assert (mine.reads, mine.tier, mine.required, mine.config["path"]) == (["company"], 3, True, "/b")
    assert mine.changed_fields == []
    assert last_record().detail["changes"]["config"]["from"] == LOOKUP["config"]
    for name in ("name", "kind", "pack", "origin"):
        with pytest.raises(Refused, match="cannot be set here"):
            change_agent(ada, mine.pk, {name: "llm"})


def test_a_change_is_checked_as_a_whole(ada: User, search: Tool, growth: Pack) -> None:
    mine = lookup(ada, growth)
    for changes, field in (
        ({"shape": "grouped"}, "group_by"),
        ({"config": {}}, "config"),
        ({"writes": []}, "writes"),
    ):
        with pytest.raises(Refused) as refusal:
            change_agent(ada, mine.pk, changes)
        assert refusal.value.field == field


def test_of_an_agent_from_code_its_wait_may_be_set(ada: User, growth: Pack) -> None:
    change_agent(ada, agent("momentum").pk, {"wait": 90.0})
    assert (agent("momentum").wait, agent("momentum").changed_fields) == (90.0, ["wait"])
    assert sync_packs().left_alone
    with pytest.raises(Refused, match="cannot be set here"):
        change_agent(ada, agent("momentum").pk, {"config": {}})


def test_of_a_tool_agent_from_code_its_config_may_be_set(ada: User, search: Tool, growth: Pack) -> None:
    row = lookup(ada, growth)
    Agent.objects.filter(pk=row.pk).update(origin="code")
    change_agent(ada, row.pk, {"config": {"tool": "finder", "path": "/c"}})
    row.refresh_from_db()
    assert (row.config["path"], row.changed_fields) == ("/c", ["config"])
    for changes in ({"config": {"tool": "ghost"}}, {"config": {"tool": "finder", "path": 1}}):
        with pytest.raises(Refused) as refusal:
            change_agent(ada, row.pk, changes)
        assert refusal.value.field == "config"
    with pytest.raises(Refused, match="cannot be set here"):
        change_agent(ada, row.pk, {"reads": []})


def test_an_agent_is_deleted(ada: User, search: Tool, growth: Pack) -> None:
    mine = lookup(ada, growth)
    delete_agent(ada, mine.pk, reason="not needed")
    assert not Agent.objects.filter(name="lookup").exists()
    record = last_record()
    assert (record.act, record.target, record.reason) == ("delete_agent", "agent:growth/lookup", "not needed")
    assert record.detail["settings"]["kind"] == "http"


def test_an_agent_of_the_code_is_disabled_not_deleted(ada: User, growth: Pack) -> None:
    with pytest.raises(Refused, match="disable it instead"):
        delete_agent(ada, agent("momentum").pk)
    assert agent("momentum")


def test_an_agent_that_a_rule_names_is_kept(ada: User, search: Tool, growth: Pack) -> None:
    mine = lookup(ada, growth)
    add_rule(
        ada,
        growth,
        {"name": "trust", "kind": "dominance", "keys": ["outlook"], "params": {"agents": ["lookup"]}},
    )
    with pytest.raises(Refused, match="“trust” names this agent"):
        delete_agent(ada, mine.pk)
    judge = {"name": "judge", "shape": "aggregate", "over": "stance", "reads": [], "writes": ["stance"]}
    row = lookup(ada, growth, **judge)
    rule = {"name": "judged", "kind": "aggregation", "keys": ["stance"], "params": {"agent": "judge"}}
    add_rule(ada, growth, rule)
    with pytest.raises(Refused, match="“judged” names this agent"):
        delete_agent(ada, row.pk)
    with pytest.raises(Refused, match="could not run") as refusal:
        change_agent(ada, row.pk, {"enabled": False})
    assert refusal.value.field == "enabled"


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_an_admin_makes_agents(ada: User, search: Tool, growth: Pack, role: str) -> None:
    mine = lookup(ada, growth)
    somebody = person("vera", role)
    acts: list[Any] = [
        lambda: add_agent(somebody, growth.pk, {**LOOKUP, "name": "other"}),
        lambda: change_agent(somebody, mine.pk, {"tier": 3}),
        lambda: delete_agent(somebody, mine.pk),
    ]
    for act in acts:
        with pytest.raises(Refused) as refusal:
            act()
        assert refusal.value.code == "forbidden"
    assert list(Agent.objects.filter(origin="admin").values_list("name", "tier")) == [("lookup", 2)]


def test_a_pack_that_is_gone_is_said(ada: User, db: Any) -> None:
    with pytest.raises(Refused) as refusal:
        add_agent(ada, 10**9, LOOKUP)
    assert refusal.value.code == "gone"


def company() -> dict[str, Any]:
    return {"goal": "profit", "budget": 1000, "risk": "balanced", "horizon": 6}
