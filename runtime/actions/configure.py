"""What an admin may change of a pack: agents, rules, limits. Each change is checked, written and audited.

Running jobs froze their pack and notice nothing (D6.4). What was changed is named in the row's
`changed_fields`, so that a sync leaves it alone; setting a field back to what the code says gives it back to
the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any, TypeVar

from django.db import transaction

from runtime.actions.audit import Person, record_act
from runtime.actions.pack_specs import (
    agent_fields,
    agent_spec_from_row,
    pack_fields,
    pack_spec_from_rows,
    rule_fields,
    rule_spec_from_row,
)
from runtime.actions.permissions import require
from runtime.actions.refusals import Refused
from runtime.actions.rule_checks import check_rule
from runtime.agents import find_function, find_pack
from runtime.engine import PackError, PackSpec, RuleSpec
from runtime.engine.compiled import compile_pack
from runtime.engine.spec import Budget
from runtime.models import Agent, GovernanceRule, Pack

Changes = Mapping[str, Any]
Row = TypeVar("Row", Agent, GovernanceRule, Pack)

AGENT_SETTINGS = ("enabled", "tier", "required", "timeout")
RULE_SETTINGS = ("name", "kind", "keys", "priority", "params", "expression", "message", "enabled")
PACK_SETTINGS = ("enabled", "title", "description", "budget")

LONGEST_TIMEOUT = 3_600.0
BUDGET_CEILINGS: dict[str, int] = {
    "cycles": 100_000,
    "lifetime_cycles": 1_000_000,
    "facts": 1_000_000,
    "seconds": 86_400,
    "calls": 1_000_000,
    "tokens": 1_000_000_000,
}


@transaction.atomic
def change_agent(user: Person, agent_id: int, changes: Changes, reason: str = "") -> Agent:
    """Set some of `AGENT_SETTINGS` of an agent. Raises Refused."""
    agent = _locked(Agent, agent_id, "agent")
    check_agent_change(user, agent, changes)
    of_code = _code(agent.pack, agent_fields).get(agent.name)
    before = _write(agent, changes, AGENT_SETTINGS, None if of_code is None else {**of_code, "enabled": True})
    _record(user, "change_agent", f"agent:{agent.pack.name}/{agent.name}", reason, agent, before)
    return agent


def check_agent_change(user: Person, agent: Agent, changes: Changes) -> None:
    """Raises Refused, with the field at fault, unless `change_agent` would take the values."""
    require(user, "configure")
    _only(changes, AGENT_SETTINGS)
    tier, tiers = changes.get("tier", agent.tier), len(agent.pack.tiers)
    if type(tier) is not int or not 1 <= tier <= tiers:
        raise Refused(f"The tier is {tier!r}; the pack has the tiers 1 to {tiers}.", field="tier")
    timeout = changes.get("timeout", agent.timeout)
    if type(timeout) not in (int, float) or not 0 < timeout <= LONGEST_TIMEOUT:
        raise Refused(
            f"The timeout is {timeout!r}; give more than 0 and at most {LONGEST_TIMEOUT:,.0f} seconds.",
            field="timeout",
        )
    enabled = changes.get("enabled", agent.enabled)
    is_gone = agent.kind == "python" and find_function(agent.pack.name, agent.name) is None
    if enabled and not agent.enabled and is_gone:
        raise Refused(
            "The code of this agent is not installed any more, so it cannot be enabled. Install the release of "
            "the pack that has it, then run `manage.py sync_packs`.",
            field="enabled",
        )
    now = pack_spec_from_rows(agent.pack)
    others = tuple(other for other in now.agents if other.name != agent.name)
    changed = replace(agent_spec_from_row(agent), tier=tier, timeout=float(timeout))
    _check_still_runs(now, replace(now, agents=(*others, changed) if enabled else others), "enabled")


@transaction.atomic
def change_pack(user: Person, pack_id: int, changes: Changes, reason: str = "") -> Pack:
    """Set some of `PACK_SETTINGS` of a pack; `budget` is an object with all its limits. Raises Refused."""
    pack = _locked(Pack, pack_id, "pack")
    check_pack_change(user, pack, changes)
    code = find_pack(pack.name)
    of_code = None if code is None else {**pack_fields(code.spec()), "enabled": True}
    before = _write(pack, changes, PACK_SETTINGS, of_code)
    _record(user, "change_pack", f"pack:{pack.name}", reason, pack, before)
    return pack


def check_pack_change(user: Person, pack: Pack, changes: Changes) -> None:
    """Raises Refused, with the field at fault, unless `change_pack` would take the values."""
    require(user, "configure")
    _only(changes, PACK_SETTINGS)
    budget = changes.get("budget", pack.budget)
    for limit in fields(Budget):
        value, ceiling = budget.get(limit.name), BUDGET_CEILINGS[limit.name]
        whole = type(value) is int or (limit.name == "seconds" and type(value) is float)
        if not whole or not 1 <= value <= ceiling:
            raise Refused(f"The limit is {value!r}; give a number from 1 to {ceiling:,}.", field=limit.name)
    unknown = sorted(set(budget) - set(BUDGET_CEILINGS))
    if unknown:
        raise Refused(
            f"There is no limit {unknown[0]!r}; limits are {', '.join(BUDGET_CEILINGS)}.", field="budget"
        )
    if changes.get("enabled") and not pack.enabled and find_pack(pack.name) is None:
        raise Refused(
            "The code of this pack is not installed any more, so it cannot be enabled. Install it, then run "
            "`manage.py sync_packs`.",
            field="enabled",
        )
    if not str(changes.get("title", pack.title)).strip():
        raise Refused("Give the pack a title.", field="title")


@transaction.atomic
def add_rule(user: Person, pack_id: int, settings: Changes, reason: str = "") -> GovernanceRule:
    """Add a rule with some of `RULE_SETTINGS` (name and kind at least) to a pack. Raises Refused."""
    pack = _locked(Pack, pack_id, "pack")
    spec = check_new_rule(user, pack, settings)
    rule = GovernanceRule(pack=pack, origin="admin", position=pack.rules.count(), **_columns(spec))
    rule.save()
    record_act(user, "add_rule", f"rule:{pack.name}/{rule.name}", reason, settings=_columns(spec))
    return rule


def check_new_rule(user: Person, pack: Pack, settings: Changes) -> RuleSpec:
    """The rule that `add_rule` would add. Raises Refused, with the field at fault."""
    require(user, "configure")
    _only(settings, RULE_SETTINGS)
    rule = RuleSpec(**{"name": "", "kind": "", **settings, "keys": tuple(settings.get("keys", ()))})
    _check_rule_in(pack, rule, None)
    return rule


@transaction.atomic
def change_rule(user: Person, rule_id: int, changes: Changes, reason: str = "") -> GovernanceRule:
    """Set some of `RULE_SETTINGS` of a rule. Raises Refused."""
    rule = _locked(GovernanceRule, rule_id, "rule")
    check_rule_change(user, rule, changes)
    of_code = _code(rule.pack, rule_fields).get(rule.name) if rule.origin == "code" else None
    before = _write(rule, changes, RULE_SETTINGS, of_code)
    _record(user, "change_rule", f"rule:{rule.pack.name}/{rule.name}", reason, rule, before)
    return rule


def check_rule_change(user: Person, rule: GovernanceRule, changes: Changes) -> None:
    """Raises Refused, with the field at fault, unless `change_rule` would take the values."""
    require(user, "configure")
    _only(changes, RULE_SETTINGS)
    if rule.origin == "code" and changes.get("name", rule.name) != rule.name:
        raise Refused("A rule from code keeps its name; add a rule of your own instead.", field="name")
    changed = replace(rule_spec_from_row(rule), **{**changes, "keys": tuple(changes.get("keys", rule.keys))})
    _check_rule_in(rule.pack, changed, rule)


@transaction.atomic
def delete_rule(user: Person, rule_id: int, reason: str = "") -> None:
    """Delete a rule that an admin added. Raises Refused for a rule from code, which a sync would bring
    back."""
    require(user, "configure")
    rule = _locked(GovernanceRule, rule_id, "rule")
    if rule.origin == "code":
        raise Refused("This rule comes with the pack's code and would come back; disable it instead.")
    record_act(
        user,
        "delete_rule",
        f"rule:{rule.pack.name}/{rule.name}",
        reason,
        settings=_columns(rule_spec_from_row(rule)),
    )
    rule.delete()


def _check_rule_in(pack: Pack, rule: RuleSpec, row: GovernanceRule | None) -> None:
    """Refuse a rule that cannot be, or with which the pack could not run."""
    spec = pack_spec_from_rows(pack)
    others = [other for other in spec.rules if row is None or other.name != row.name]
    named_so = pack.rules.filter(name=rule.name).first()
    if named_so is not None and named_so != row:
        raise Refused(f"The pack has a rule {rule.name!r} already; give this one another name.", field="name")
    check_rule(rule, spec)
    _check_still_runs(spec, replace(spec, rules=(*others, rule)), None)


def _check_still_runs(now: PackSpec, then: PackSpec, field: str | None) -> None:
    """Refuse a change that breaks a pack. One that cannot run already may be mended step by step."""
    why = _fault_of(then)
    if why and not _fault_of(now):
        raise Refused(f"With this change the pack could not run: {why}.", field=field)


def _fault_of(spec: PackSpec) -> str:
    try:
        compile_pack(spec)
    except PackError as error:
        return str(error)
    return ""


def _write(row: Any, changes: Changes, settings: tuple[str, ...], of_code: Changes | None) -> dict[str, Any]:
    """Set and save what differs; returns the values before by name. `of_code` is what the code says, if
    it does."""
    before = {
        name: getattr(row, name)
        for name in settings
        if name in changes and getattr(row, name) != changes[name]
    }
    for name in before:
        value = changes[name]
        setattr(row, name, list(value) if isinstance(value, tuple) else value)
    marked = {*row.changed_fields, *before}
    if of_code is not None:
        marked -= {name for name in before if of_code.get(name) == getattr(row, name)}
    row.changed_fields = sorted(marked)
    row.save(update_fields=[*before, "changed_fields"])
    return before


def _record(user: Person, act: str, target: str, reason: str, row: Any, before: dict[str, Any]) -> None:
    """One audit record with each value before and after; none if nothing changed."""
    if before:
        changes = {name: {"from": value, "to": getattr(row, name)} for name, value in before.items()}
        record_act(user, act, target, reason, changes=changes)


def _locked(model: type[Row], row_id: int, what: str) -> Row:
    row = model._default_manager.select_for_update().filter(pk=row_id).first()
    if row is None:
        raise Refused(f"This {what} is not there any more; reload the page.", code="gone")
    return row


def _only(changes: Changes, settings: tuple[str, ...]) -> None:
    for name in changes:
        if name not in settings:
            raise Refused(f"{name!r} cannot be set here; what can: {', '.join(settings)}.", field=name)


def _code(pack: Pack, fields_of: Any) -> dict[str, dict[str, Any]]:
    found = find_pack(pack.name)
    result: dict[str, dict[str, Any]] = {} if found is None else fields_of(found.spec())
    return result


def _columns(rule: RuleSpec) -> dict[str, Any]:
    return {**asdict(rule), "keys": list(rule.keys), "params": dict(rule.params)}
