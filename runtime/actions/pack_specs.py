"""Packs and tools between code, rows and specs: the one place where rows become a frozen spec (D6.4), and code
becomes rows."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from runtime import models
from runtime.actions.rule_places import in_order
from runtime.engine.spec import AgentSpec, Budget, KeySpec, PackSpec, RuleSpec, TierSpec
from runtime.engine.values import canonical
from runtime.tools.spec import ToolSpec

PACK_FIELDS = ("title", "description", "version", "keys", "tiers", "budget", "answer")
AGENT_FIELDS = (
    "position",
    "shape",
    "kind",
    "tier",
    "required",
    "append",
    "timeout",
    "wait",
    "reads",
    "writes",
    "over",
    "group_by",
    "title",
    "description",
    "config",
)
RULE_FIELDS = ("position", "kind", "keys", "priority", "params", "expression", "message")
TOOL_FIELDS = tuple(field.name for field in fields(ToolSpec) if field.name != "name")

Fields = dict[str, Any]


def pack_spec_from_rows(pack: models.Pack, submitter: str = "") -> PackSpec:
    """The spec a job of `pack` freezes now: its enabled agents and active rules that have not expired, in their
    order.

    Makes two queries, a third where rules took the place of others. Whether the parts fit together is not looked
    at here; `compile_pack` and `Core` refuse what cannot run.
    """
    agents = pack.agents.filter(enabled=True).order_by("position", "id")
    rules = in_order(active_rules(pack))
    return PackSpec(
        name=pack.name,
        version=pack.version,
        title=pack.title,
        description=pack.description,
        keys=tuple(KeySpec(**key) for key in pack.keys),
        agents=tuple(agent_spec_from_row(agent) for agent in agents),
        rules=tuple(rule_spec_from_row(rule) for rule in rules),
        tiers=tuple(TierSpec(**tier) for tier in pack.tiers),
        budget=Budget(**pack.budget),
        answer=tuple(pack.answer),
        submitter=submitter,
    )


def active_rules(pack: models.Pack, at: dt.datetime | None = None) -> QuerySet[models.GovernanceRule]:
    """The rules that a job submitted now (or `at`) freezes."""
    now = timezone.now() if at is None else at
    return pack.rules.filter(Q(expires_at=None) | Q(expires_at__gt=now), state=models.RuleState.ACTIVE)


def agent_spec_from_row(agent: models.Agent) -> AgentSpec:
    """One agent as the engine sees it."""
    columns: Fields = {name: getattr(agent, name) for name in AGENT_FIELDS if name != "position"}
    return AgentSpec(
        **{**columns, "name": agent.name, "reads": tuple(agent.reads), "writes": tuple(agent.writes)}
    )


def rule_spec_from_row(rule: models.GovernanceRule) -> RuleSpec:
    """One rule as the engine sees it."""
    columns: Fields = {name: getattr(rule, name) for name in RULE_FIELDS if name != "position"}
    return RuleSpec(**{**columns, "name": rule.name, "keys": tuple(rule.keys), "enabled": rule.is_active})


def tool_spec_from_row(tool: models.Tool) -> ToolSpec:
    """A tool as whoever calls it sees it, with the settings of now: tools are not frozen with a job."""
    columns: Fields = {name: getattr(tool, name) for name in TOOL_FIELDS}
    return ToolSpec(**{**columns, "name": tool.name, "allow": tuple(tool.allow)})


def pack_fields(spec: PackSpec) -> Fields:
    """The columns of a pack's row as its code says them."""
    return {
        "title": spec.title,
        "description": spec.description,
        "version": spec.version,
        "keys": [_plain(asdict(key)) for key in spec.keys],
        "tiers": [asdict(tier) for tier in spec.tiers],
        "budget": asdict(spec.budget),
        "answer": list(spec.answer),
    }


def agent_fields(spec: PackSpec) -> dict[str, Fields]:
    """The columns of each agent's row as the code says them, by name."""
    return {agent.name: _columns(asdict(agent), AGENT_FIELDS, at) for at, agent in enumerate(spec.agents)}


def rule_fields(spec: PackSpec) -> dict[str, Fields]:
    """The columns of each rule's row as the code says them, by name. What the code ships switched off is a draft."""
    states = models.RuleState
    return {
        rule.name: {
            **_columns(asdict(rule), RULE_FIELDS, at),
            "state": str(states.ACTIVE if rule.enabled else states.DRAFT),
        }
        for at, rule in enumerate(spec.rules)
    }


def tool_fields(spec: ToolSpec) -> Fields:
    """The columns of a tool's row as the code says them, but for its name, title and description."""
    return {name: _plain(getattr(spec, name)) for name in TOOL_FIELDS}


def spec_digest(spec: PackSpec) -> str:
    """SHA-256 of the spec's canonical JSON, as hex: tells whether the code of a pack says what it said
    before."""
    return hashlib.sha256(canonical(spec.to_json(), 8 * 1024 * 1024)).hexdigest()


def _columns(said: Fields, names: Iterable[str], position: int) -> Fields:
    return {name: _plain({**said, "position": position}[name]) for name in names}


def _plain(value: Any) -> Any:
    """`value` as a JSON column gives it back: lists for tuples, so that equal things compare equal."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
