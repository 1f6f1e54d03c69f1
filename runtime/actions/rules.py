"""The life of a rule: drafted, activated, retired; each change is checked, written, kept as a version and audited.

Only active rules are frozen by jobs, and running jobs froze theirs (D6.4). What is active or retired is not edited any
more: it is followed by a draft that takes its place.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import asdict, replace
from typing import Any

from django.db import transaction
from django.utils import timezone

from runtime.actions.audit import Person, record_act
from runtime.actions.changing import (
    Changes,
    check_still_runs,
    fields_in_code,
    lock_row,
    refuse_unknown,
    write_changes,
)
from runtime.actions.pack_specs import pack_spec_from_rows, rule_fields, rule_spec_from_row
from runtime.actions.permissions import require
from runtime.actions.refusals import Refused
from runtime.actions.rule_checks import check_rule
from runtime.actions.rule_guards import (
    MOST_REASON,
    check_current,
    check_expiry,
    check_is_draft,
    check_own,
    check_reason,
    check_rule_in,
    is_done,
    is_own,
    lock_rule,
    said_state,
)
from runtime.actions.rule_places import new_position, places_by_name
from runtime.actions.rule_versions import plain, was_ever_active, write_version
from runtime.actions.texts import check_text
from runtime.engine import PackSpec, RuleSpec
from runtime.models import Conflict, GovernanceRule, Pack, RuleState

RULE_SETTINGS = ("name", "kind", "keys", "priority", "params", "expression", "message")
DRAFT_SETTINGS = (*RULE_SETTINGS, "expires_at")
MOST_NAME = 100

_NUMBERED = re.compile(r"^(.*\S)\s+(\d{1,4})$", re.DOTALL)


@transaction.atomic
def draft_rule(
    user: Person,
    pack_id: int,
    settings: Changes,
    reason: str = "",
    *,
    replaces: GovernanceRule | None = None,
    expires_at: dt.datetime | None = None,
    learned_from: Conflict | None = None,
    shape: str = "",
    before: GovernanceRule | None = None,
) -> GovernanceRule:
    """Add a draft with some of `RULE_SETTINGS` (name and kind at least) to a pack; no job freezes it.

    `replaces` retires when the draft is activated, and the draft is asked in its place; one that has a place `before` a
    rule is asked directly before that. Raises Refused, with the field at fault.
    """
    pack = lock_row(Pack, pack_id, "pack")
    check_text("reason", reason, MOST_REASON)
    spec = check_new_draft(user, pack, {**settings, "expires_at": expires_at})
    if replaces is not None and replaces.pack_id != pack.pk:
        raise Refused("A draft takes the place of a rule of its own pack.", field="replaces")
    draft = GovernanceRule.objects.create(
        pack=pack,
        state=RuleState.DRAFT,
        origin="admin",
        position=new_position(pack, replaces),
        replaces=replaces,
        before=before,
        expires_at=expires_at,
        learned_from=learned_from,
        shape=shape,
        **_columns(spec),
    )
    said = write_version(draft, user, reason, is_new=True).said
    record_act(user, "draft_rule", target_of(draft), reason, settings=said)
    return draft


def check_new_draft(user: Person, pack: Pack, settings: Changes) -> RuleSpec:
    """The rule that `draft_rule` would draft. Raises Refused, with the field at fault."""
    require(user, "propose_rule")
    refuse_unknown(settings, DRAFT_SETTINGS)
    said = {name: value for name, value in settings.items() if name != "expires_at"}
    rule = RuleSpec(**{"name": "", "kind": "", **said, "keys": tuple(said.get("keys", ()))})
    check_expiry(settings.get("expires_at"))
    check_rule_in(pack, rule, None)
    return rule


@transaction.atomic
def draft_from(user: Person, rule_id: int, reason: str = "") -> GovernanceRule:
    """A draft that says what a rule says; if that is active, it is to take its place.

    Asked twice by the same person, it is the same draft as long as nobody has changed it. Raises Refused.
    """
    require(user, "propose_rule")
    rule = lock_rule(rule_id)
    known = _untouched_draft(user, rule)
    if known is not None:
        return known
    said = {name: getattr(rule, name) for name in RULE_SETTINGS}
    return draft_rule(
        user,
        rule.pack_id,
        {**said, "name": _free_name(rule)},
        reason,
        replaces=rule if rule.is_active else None,
        before=rule.before,
    )


@transaction.atomic
def change_draft(
    user: Person, rule_id: int, changes: Changes, reason: str = "", *, version: int | None = None
) -> GovernanceRule:
    """Set some of `DRAFT_SETTINGS` of a draft. `version` is the one that was seen. Raises Refused."""
    rule = lock_rule(rule_id)
    check_draft_change(user, rule, changes, version)
    check_text("reason", reason, MOST_REASON)
    of_code = fields_in_code(rule.pack, rule_fields).get(rule.name) if rule.origin == "code" else None
    before = write_changes(rule, changes, DRAFT_SETTINGS, of_code)
    if before:
        write_version(rule, user, reason, was=before)
        told = {name: {"from": plain(was), "to": plain(getattr(rule, name))} for name, was in before.items()}
        record_act(user, "change_draft", target_of(rule), reason, changes=told, version=rule.version)
    return rule


def check_draft_change(
    user: Person, rule: GovernanceRule, changes: Changes, version: int | None = None
) -> None:
    """Raises Refused, with the field at fault, unless `change_draft` would take the values."""
    require(user, "propose_rule")
    refuse_unknown(changes, DRAFT_SETTINGS)
    check_current(rule, version)
    check_is_draft(rule)
    check_own(user, rule)
    if rule.origin == "code" and changes.get("name", rule.name) != rule.name:
        raise Refused("A rule from code keeps its name; make a draft of it instead.", field="name")
    if "expires_at" in changes:
        check_expiry(changes["expires_at"])
    said = {name: value for name, value in changes.items() if name != "expires_at"}
    spec = replace(rule_spec_from_row(rule), **{**said, "keys": tuple(said.get("keys", rule.keys))})
    check_rule_in(rule.pack, spec, rule)


@transaction.atomic
def delete_draft(user: Person, rule_id: int, reason: str = "", *, version: int | None = None) -> None:
    """Delete a draft that no job can ever have frozen. Raises Refused."""
    require(user, "propose_rule")
    rule = lock_rule(rule_id)
    check_text("reason", reason, MOST_REASON)
    check_current(rule, version)
    if rule.state != RuleState.DRAFT or was_ever_active(rule):
        raise Refused(
            f"“{rule.name}” is {said_state(rule)}, and jobs may have been decided by it: it is retired, not deleted."
        )
    if rule.origin == "code":
        raise Refused("This draft comes with the pack's code and would come back; leave it as it is.")
    check_own(user, rule)
    record_act(user, "delete_draft", target_of(rule), reason, settings=_columns(rule_spec_from_row(rule)))
    rule.delete()


@transaction.atomic
def activate_rule(
    user: Person, rule_id: int, reason: str, *, version: int, retires: int | None = None
) -> GovernanceRule:
    """From now on jobs freeze this draft, and not the rule any more whose place it takes.

    `version` and `retires` (the id of that rule, None if there is none that is active) are what the person saw; code
    "stale" if that is no longer so. The same call again does nothing more. Raises Refused.
    """
    require(user, "configure")
    rule = lock_rule(rule_id)
    if is_done(rule, user, version, RuleState.ACTIVE, reason):
        return rule
    reason = check_reason(reason)
    check_current(rule, version)
    check_is_draft(rule)
    if rule.expires_at is not None and rule.expires_at <= timezone.now():
        raise Refused("It has expired already; give it a later moment, or none.", field="expires_at")
    old = replaced_by(rule)
    if (old.pk if old is not None else None) != retires:
        raise Refused("What this draft takes the place of has changed meanwhile; look again.", code="stale")
    check_activation(rule)
    if old is not None:
        _set_state(old, user, RuleState.RETIRED, f"“{rule.name}” takes its place: {reason}"[:MOST_REASON])
        record_act(user, "retire_rule", target_of(old), reason, replaced_by=rule.name)
    _set_state(rule, user, RuleState.ACTIVE, reason)
    record_act(
        user,
        "activate_rule",
        target_of(rule),
        reason,
        settings=_columns(rule_spec_from_row(rule)),
        version=rule.version,
        retires=old.name if old is not None else "",
    )
    return rule


@transaction.atomic
def retire_rule(user: Person, rule_id: int, reason: str, *, version: int) -> GovernanceRule:
    """From now on no job freezes this rule. The same call again does nothing more. Raises Refused."""
    require(user, "configure")
    rule = lock_rule(rule_id)
    if is_done(rule, user, version, RuleState.RETIRED, reason):
        return rule
    reason = check_reason(reason)
    check_current(rule, version)
    if rule.state == RuleState.DRAFT:
        raise Refused("A draft is in force nowhere, so there is nothing to retire; delete it instead.")
    if rule.state == RuleState.RETIRED:
        raise Refused("It is retired already.")
    now = pack_spec_from_rows(rule.pack)
    check_still_runs(now, replace(now, rules=tuple(r for r in now.rules if r.name != rule.name)), None)
    _set_state(rule, user, RuleState.RETIRED, reason)
    record_act(user, "retire_rule", target_of(rule), reason, version=rule.version)
    return rule


def check_activation(rule: GovernanceRule) -> None:
    """Raises Refused if the rule cannot be, or if its pack could not run with it."""
    now = pack_spec_from_rows(rule.pack)
    spec = replace(rule_spec_from_row(rule), enabled=True)
    check_rule(spec, now)
    check_still_runs(now, with_draft(rule, now), None)


def with_draft(rule: GovernanceRule, pack: PackSpec) -> PackSpec:
    """The pack as jobs would freeze it if `rule` were active, without the rule whose place it takes.

    Rules keep the order in which rows are frozen: by priority, then place. What takes a rule's place is asked where
    that was.
    """
    old = replaced_by(rule)
    gone = {rule.name, *([old.name] if old is not None else ())}
    kept = [other for other in pack.rules if other.name not in gone]
    spec = replace(rule_spec_from_row(rule), enabled=True)
    places = places_by_name(rule.pack)
    rules = sorted([*kept, spec], key=lambda r: (r.priority, places[r.name]))
    return replace(pack, rules=tuple(rules))


def replaced_by(rule: GovernanceRule) -> GovernanceRule | None:
    """The rule that would retire if `rule` were activated: the one it replaces, while that is active."""
    old = rule.replaces
    return old if old is not None and old.is_active else None


def target_of(rule: GovernanceRule) -> str:
    """How audit records name a rule."""
    return f"rule:{rule.pack.name}/{rule.name}"


def _set_state(rule: GovernanceRule, user: Person, state: RuleState, reason: str) -> None:
    of_code = fields_in_code(rule.pack, rule_fields).get(rule.name) if rule.origin == "code" else None
    before = write_changes(rule, {"state": str(state)}, ("state",), of_code)
    write_version(rule, user, reason, was=before)


def _untouched_draft(user: Person, rule: GovernanceRule) -> GovernanceRule | None:
    for draft in rule.drafts.filter(state=RuleState.DRAFT, version=1):
        same = all(getattr(draft, name) == getattr(rule, name) for name in RULE_SETTINGS if name != "name")
        if same and is_own(user, draft):
            return draft
    return None


def _free_name(rule: GovernanceRule) -> str:
    """`clear margin` becomes `clear margin 2`, the next free number."""
    match = _NUMBERED.match(rule.name)
    stem, number = (match[1], int(match[2])) if match else (rule.name, 1)
    taken = set(rule.pack.rules.values_list("name", flat=True))
    while True:
        number += 1
        name = f"{stem[: MOST_NAME - len(str(number)) - 1]} {number}"
        if name not in taken:
            return name


def _columns(rule: RuleSpec) -> dict[str, Any]:
    said = {**asdict(rule), "keys": list(rule.keys), "params": dict(rule.params)}
    del said["enabled"]
    return said
