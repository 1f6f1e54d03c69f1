"""What an admin may change of a pack: its rules and limits. Each change is checked, written and audited.

Running jobs froze their pack and notice nothing (D6.4). Agents are in `runtime.actions.agents`, tools in
`runtime.actions.tools`.
"""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any

from django.db import transaction

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
from runtime.actions.pack_specs import pack_fields, pack_spec_from_rows, rule_fields, rule_spec_from_row
from runtime.actions.permissions import require
from runtime.actions.refusals import Refused
from runtime.actions.rule_checks import check_rule
from runtime.agents import find_pack
from runtime.engine import RuleSpec
from runtime.engine.spec import Budget
from runtime.models import GovernanceRule, Pack

RULE_SETTINGS = ("name", "kind", "keys", "priority", "params", "expression", "message", "enabled")
PACK_SETTINGS = ("enabled", "title", "description", "budget")

BUDGET_CEILINGS: dict[str, int] = {
    "cycles": 100_000,
    "lifetime_cycles": 1_000_000,
    "facts": 1_000_000,
    "seconds": 86_400,
    "calls": 1_000_000,
    "tokens": 1_000_000_000,
    "recovery_seconds": 30 * 86_400,
}


@transaction.atomic
def change_pack(user: Person, pack_id: int, changes: Changes, reason: str = "") -> Pack:
    """Set some of `PACK_SETTINGS` of a pack; `budget` is an object with all its limits. Raises Refused."""
    pack = lock_row(Pack, pack_id, "pack")
    check_pack_change(user, pack, changes)
    code = find_pack(pack.name)
    of_code = None if code is None else {**pack_fields(code.spec()), "enabled": True}
    before = write_changes(pack, changes, PACK_SETTINGS, of_code)
    record_changes(user, "change_pack", f"pack:{pack.name}", reason, pack, before)
    return pack


def check_pack_change(user: Person, pack: Pack, changes: Changes) -> None:
    """Raises Refused, with the field at fault, unless `change_pack` would take the values."""
    require(user, "configure")
    refuse_unknown(changes, PACK_SETTINGS)
    budget = changes.get("budget", pack.budget)
    for limit in fields(Budget):
        value, ceiling = budget.get(limit.name, limit.default), BUDGET_CEILINGS[limit.name]
        whole = type(value) is int or (limit.name in ("seconds", "recovery_seconds") and type(value) is float)
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
    pack = lock_row(Pack, pack_id, "pack")
    spec = check_new_rule(user, pack, settings)
    rule = GovernanceRule(pack=pack, origin="admin", position=pack.rules.count(), **_columns(spec))
    rule.save()
    record_act(user, "add_rule", f"rule:{pack.name}/{rule.name}", reason, settings=_columns(spec))
    return rule


def check_new_rule(user: Person, pack: Pack, settings: Changes) -> RuleSpec:
    """The rule that `add_rule` would add. Raises Refused, with the field at fault."""
    require(user, "configure")
    refuse_unknown(settings, RULE_SETTINGS)
    rule = RuleSpec(**{"name": "", "kind": "", **settings, "keys": tuple(settings.get("keys", ()))})
    _check_rule_in(pack, rule, None)
    return rule


@transaction.atomic
def change_rule(user: Person, rule_id: int, changes: Changes, reason: str = "") -> GovernanceRule:
    """Set some of `RULE_SETTINGS` of a rule. Raises Refused."""
    rule = lock_row(GovernanceRule, rule_id, "rule")
    check_rule_change(user, rule, changes)
    of_code = fields_in_code(rule.pack, rule_fields).get(rule.name) if rule.origin == "code" else None
    before = write_changes(rule, changes, RULE_SETTINGS, of_code)
    record_changes(user, "change_rule", f"rule:{rule.pack.name}/{rule.name}", reason, rule, before)
    return rule


def check_rule_change(user: Person, rule: GovernanceRule, changes: Changes) -> None:
    """Raises Refused, with the field at fault, unless `change_rule` would take the values."""
    require(user, "configure")
    refuse_unknown(changes, RULE_SETTINGS)
    if rule.origin == "code" and changes.get("name", rule.name) != rule.name:
        raise Refused("A rule from code keeps its name; add a rule of your own instead.", field="name")
    changed = replace(rule_spec_from_row(rule), **{**changes, "keys": tuple(changes.get("keys", rule.keys))})
    _check_rule_in(rule.pack, changed, rule)


@transaction.atomic
def delete_rule(user: Person, rule_id: int, reason: str = "") -> None:
    """Delete a rule that an admin added. Raises Refused for a rule from code, which a sync would bring
    back."""
    require(user, "configure")
    rule = lock_row(GovernanceRule, rule_id, "rule")
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
    check_still_runs(spec, replace(spec, rules=(*others, rule)), None)


def _columns(rule: RuleSpec) -> dict[str, Any]:
    return {**asdict(rule), "keys": list(rule.keys), "params": dict(rule.params)}
