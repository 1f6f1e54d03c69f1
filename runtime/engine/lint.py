"""What a pack must be before anything runs under it. Each message names the thing and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runtime.engine.policies import fault_of_policy
from runtime.engine.spec import RULE_KINDS, SHAPES, AgentSpec, PackSpec, RuleSpec
from runtime.engine.values import BoundsError, check_name

MAX_KEY = 100


class PackError(ValueError):
    """A pack that cannot be run."""


def check_pack(pack: PackSpec) -> None:
    """Raises PackError for the first thing that is wrong."""
    known = {k.name for k in pack.keys}
    _refuse_twice("key", (k.name for k in pack.keys))
    _refuse_twice("agent", (a.name for a in pack.agents))
    _refuse_twice("rule", (r.name for r in pack.rules))
    if not pack.tiers:
        raise PackError(f"pack `{pack.name}` has no tier; it needs at least one")
    for name in known:
        _check_named("key", name)
    for agent in pack.agents:
        _check_agent(agent, known, len(pack.tiers))
    aggregates = {a.name: a for a in pack.agents if a.shape == "aggregate"}
    for rule in pack.rules:
        _check_rule(rule, known, aggregates, len(pack.tiers))
    for name in pack.answer:
        if name not in known:
            raise PackError(f"pack `{pack.name}` answers with the key `{name}`, which it does not declare")


def _refuse_twice(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise PackError(f"{what} `{name}` is declared twice; give one of them another name")
        seen.add(name)


def _check_named(what: str, name: str) -> None:
    try:
        check_name(f"{what} name", name, MAX_KEY)
    except BoundsError as error:
        raise PackError(str(error)) from None


def _check_agent(agent: AgentSpec, known: set[str], tiers: int) -> None:
    _check_named("agent", agent.name)
    if agent.name.startswith("@"):
        raise PackError(f"agent `{agent.name}`: names that start with @ are kept for seeds and people")
    if agent.shape not in SHAPES:
        raise PackError(
            f"agent `{agent.name}` has the shape `{agent.shape}`; it must be one of {', '.join(SHAPES)}"
        )
    for key in (*agent.reads, *agent.writes, *((agent.over,) if agent.over else ())):
        if key not in known:
            raise PackError(f"agent `{agent.name}` names the key `{key}`, which the pack does not declare")
    if agent.shape != "whole" and not agent.over:
        raise PackError(f"agent `{agent.name}` is `{agent.shape}` and needs `over`, the key it goes through")
    if agent.shape == "grouped" and not agent.group_by:
        raise PackError(
            f"agent `{agent.name}` is `grouped` and needs `group_by`, a field of the items' values"
        )
    if agent.shape == "aggregate" and agent.writes not in ((), (agent.over,)):
        raise PackError(f"agent `{agent.name}` rules on `{agent.over}` and can write no other key")
    if not 1 <= agent.tier <= tiers:
        raise PackError(f"agent `{agent.name}` is in tier {agent.tier}; the pack has tiers 1 to {tiers}")


def _check_rule(rule: RuleSpec, known: set[str], aggregates: dict[str, AgentSpec], tiers: int) -> None:
    where = f"rule `{rule.name}`"
    if rule.kind not in RULE_KINDS:
        raise PackError(f"{where} is of kind `{rule.kind}`; it must be one of {', '.join(RULE_KINDS)}")
    if rule.kind not in ("invariant", "discount") and not rule.keys:
        raise PackError(f"{where} names no key; say which keys it is about, `prefix.*` covers several")
    for key in rule.keys:
        if key not in known and not (key.endswith(".*") and any(k.startswith(key[:-1]) for k in known)):
            raise PackError(f"{where} is about the key `{key}`, which the pack does not declare")
    if rule.kind in ("constraint", "invariant") and not rule.expression:
        raise PackError(f"{where} is a {rule.kind} and needs an expression: what must hold")
    if rule.enabled:
        _check_params(where, rule.kind, rule.params, tiers)
    if rule.kind == "aggregation":
        agent = aggregates.get(rule.params.get("agent", ""))
        if agent is None or [k for k in sorted(known) if rule.covers(k)] != [agent.over]:
            raise PackError(
                f"{where} needs `agent`: the name of an aggregation agent, and just the key it rules on in `keys`"
            )


def _check_params(where: str, kind: str, params: Any, tiers: int) -> None:
    def number(name: str, low: float, high: float, default: float) -> None:
        value = params.get(name, default)
        if type(value) not in (int, float) or not low <= value <= high:
            raise PackError(f"{where}: `{name}` is {value!r}; it must be a number from {low:g} to {high:g}")

    if kind == "confidence":
        number("margin", 0, 1, -1)
    elif kind == "newer" and not isinstance(params.get("field"), str):
        raise PackError(
            f"{where}: `field` must name the evidence field that holds the time, such as observed_at"
        )
    elif kind == "dominance" and not any(params.get(n) for n in ("agents", "sources", "evidence")):
        raise PackError(f"{where} needs `agents`, `sources` or `evidence`: who dominates")
    elif kind in ("approval", "operator"):
        number("count", 1, 20, 1)
        fault = fault_of_policy(params)
        if fault:
            raise PackError(f"{where}: {fault}")
    elif kind == "invariant":
        number("tier", 1, tiers, 1)
    elif kind == "discount":
        number("incomplete", 0, 1, 1)
        number("provisional", 0, 1, 1)
