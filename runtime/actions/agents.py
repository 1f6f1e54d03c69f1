"""What an admin may do with agents: add some that need no code, change and delete. Each act is checked and audited.

Agents of the kinds http, llm, mcp and cel are data, so they can be made here whole. One that comes from a pack's code
is switched, moved and limited, and its configuration changed where it calls a tool. Running jobs froze their pack and
notice nothing (D6.4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from django.db import transaction

from runtime.actions.agent_checks import (
    check_config,
    check_limits,
    check_settings,
    check_tool,
)
from runtime.actions.audit import Person, record_act
from runtime.actions.changing import (
    Changes,
    check_still_runs,
    fields_in_code,
    lock_row,
    record_changes,
    refuse_unknown,
    write_changes,
)
from runtime.actions.pack_specs import agent_fields, agent_spec_from_row, pack_spec_from_rows
from runtime.actions.permissions import require
from runtime.actions.refusals import Refused
from runtime.actions.tool_checks import check_no_key
from runtime.agents import CONFIGURED_KINDS, TOOL_KINDS, find_function
from runtime.agents.tool_declarations import TIMEOUT
from runtime.engine.spec import AgentSpec
from runtime.models import Agent, GovernanceRule, Pack, RuleState, Tool

AGENT_SETTINGS = ("enabled", "tier", "required", "wait", "timeout")
TOOL_AGENT_SETTINGS = (*AGENT_SETTINGS, "config")
OWN_SETTINGS = (
    *("title", "description", "shape", "over", "group_by", "reads", "writes", "append"),
    *TOOL_AGENT_SETTINGS,
)
NEW_SETTINGS = ("name", "kind", *OWN_SETTINGS)

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,99}\Z")


def settings_of(agent: Agent) -> tuple[str, ...]:
    """What can be set of an agent: everything but name and kind of an admin's own, less of one from code."""
    if agent.origin == "admin":
        return OWN_SETTINGS
    return TOOL_AGENT_SETTINGS if agent.kind in TOOL_KINDS else AGENT_SETTINGS


@transaction.atomic
def add_agent(user: Person, pack_id: int, settings: Changes, reason: str = "") -> Agent:
    """Add an agent with some of `NEW_SETTINGS` (name, kind, writes and config at least) to a pack. Raises Refused."""
    pack = lock_row(Pack, pack_id, "pack")
    _lock_tool(settings.get("config"))
    spec = check_new_agent(user, pack, settings)
    last = pack.agents.order_by("-position").values_list("position", flat=True).first()
    enabled = bool(settings.get("enabled", True))
    position = 0 if last is None else last + 1
    columns = _columns(spec)
    agent = Agent.objects.create(pack=pack, origin="admin", position=position, enabled=enabled, **columns)
    said = {**columns, "enabled": enabled}
    record_act(user, "add_agent", f"agent:{pack.name}/{agent.name}", reason, settings=said)
    return agent


def check_new_agent(user: Person, pack: Pack, settings: Changes) -> AgentSpec:
    """The agent that `add_agent` would add. Raises Refused, with the field at fault."""
    require(user, "configure")
    refuse_unknown(settings, NEW_SETTINGS)
    given = {name: value for name, value in settings.items() if name != "enabled"}
    if given.get("kind") in TOOL_KINDS:
        given.setdefault("timeout", TIMEOUT)  # the tool's attempts and waits take longer than code does
    spec = _with(AgentSpec(name="", kind=""), given)
    check_no_key("name", spec.name)
    if not _NAME.match(spec.name):
        raise Refused(
            "Give the agent a name of lower-case letters, digits, - and _, a letter first, at most 100 characters.",
            field="name",
        )
    if pack.agents.filter(name=spec.name).exists():
        raise Refused(f"The pack has an agent {spec.name!r} already; choose another name.", field="name")
    if spec.kind not in CONFIGURED_KINDS:
        raise Refused(
            f"There is no kind {spec.kind!r} to be made here; kinds are {', '.join(CONFIGURED_KINDS)}.",
            field="kind",
        )
    now = pack_spec_from_rows(pack)
    check_settings(spec, now)
    if settings.get("enabled", True):
        check_tool(spec)
        check_still_runs(now, replace(now, agents=(*now.agents, spec)), None)
    return spec


@transaction.atomic
def change_agent(user: Person, agent_id: int, changes: Changes, reason: str = "") -> Agent:
    """Set some of `settings_of(agent)`. Raises Refused."""
    agent = lock_row(Agent, agent_id, "agent")
    _lock_tool(changes.get("config", agent.config))
    check_agent_change(user, agent, changes)
    of_code = fields_in_code(agent.pack, agent_fields).get(agent.name) if agent.origin == "code" else None
    before = write_changes(
        agent, changes, settings_of(agent), None if of_code is None else {**of_code, "enabled": True}
    )
    record_changes(user, "change_agent", f"agent:{agent.pack.name}/{agent.name}", reason, agent, before)
    return agent


def check_agent_change(user: Person, agent: Agent, changes: Changes) -> None:
    """Raises Refused, with the field at fault, unless `change_agent` would take the values."""
    require(user, "configure")
    refuse_unknown(changes, settings_of(agent))
    now = pack_spec_from_rows(agent.pack)
    before = agent_spec_from_row(agent)
    changed = _with(before, {name: value for name, value in changes.items() if name != "enabled"})
    if agent.origin == "admin":
        check_settings(changed, now)
    else:
        check_limits(changed, now)
        if changed.config != before.config:
            check_config(changed, now)
    enabled = changes.get("enabled", agent.enabled)
    if enabled and not agent.enabled:
        _check_code_is_there(agent)
    if enabled and (not agent.enabled or changed.config != before.config):
        check_tool(changed)
    others = tuple(changed if other.name == agent.name else other for other in now.agents)
    if not enabled:
        others = tuple(other for other in now.agents if other.name != agent.name)
    elif not agent.enabled:
        others = (*now.agents, changed)
    check_still_runs(now, replace(now, agents=others), "enabled" if enabled != agent.enabled else None)


@transaction.atomic
def delete_agent(user: Person, agent_id: int, reason: str = "") -> None:
    """Delete an agent that an admin added. Raises Refused for one from code, which a sync would bring back, and for
    one that a rule names."""
    require(user, "configure")
    agent = lock_row(Agent, agent_id, "agent")
    if agent.origin == "code":
        raise Refused("This agent comes with the pack's code and would come back; disable it instead.")
    _check_no_rule_names(agent)
    target = f"agent:{agent.pack.name}/{agent.name}"
    record_act(user, "delete_agent", target, reason, settings=_columns(agent_spec_from_row(agent)))
    agent.delete()


def _with(spec: AgentSpec, settings: Mapping[str, Any]) -> AgentSpec:
    lists = {name: tuple(settings[name]) for name in ("reads", "writes") if name in settings}
    return replace(spec, **{**settings, **lists})


def _check_code_is_there(agent: Agent) -> None:
    if agent.kind == "python" and find_function(agent.pack.name, agent.name) is None:
        raise Refused(
            "The code of this agent is not installed any more, so it cannot be enabled. Install the release of "
            "the pack that has it, then run `manage.py sync_packs`.",
            field="enabled",
        )


def _check_no_rule_names(agent: Agent) -> None:
    rules = GovernanceRule.objects.filter(pack=agent.pack, kind__in=("dominance", "aggregation"))
    for rule in rules.exclude(state=RuleState.RETIRED):  # which no job freezes and nobody can change any more
        if agent.name in (rule.params.get("agent"), *rule.params.get("agents", ())):
            raise Refused(f"The rule “{rule.name}” names this agent; retire or change the rule first.")


def _lock_tool(config: Any) -> None:
    """Nobody deletes the tool that an agent is about to name."""
    name = config.get("tool") if isinstance(config, Mapping) else None
    if isinstance(name, str):
        list(Tool.objects.select_for_update().filter(name=name))


def _columns(spec: AgentSpec) -> dict[str, Any]:
    return {
        **asdict(spec),
        "reads": list(spec.reads),
        "writes": list(spec.writes),
        "config": dict(spec.config),
    }
