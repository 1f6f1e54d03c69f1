"""What stands before each step in the life of a rule: who may take it, on which version, and if the rule can be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils import timezone

from runtime.actions.audit import Person, name_of
from runtime.actions.cel_faults import check_scopes
from runtime.actions.changing import check_still_runs, lock_row
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.actions.permissions import may
from runtime.actions.refusals import Refused
from runtime.actions.rule_checks import check_rule
from runtime.actions.rule_versions import first_author, last_version
from runtime.actions.texts import check_text
from runtime.engine import BoundsError, RuleSpec
from runtime.engine.values import canonical
from runtime.models import GovernanceRule, Pack, RuleState

MOST_REASON = 500
MOST_PARAMS_BYTES = 16 * 1024


def may_change(user: Person, rule: GovernanceRule) -> bool:
    """Whether `user` may change or delete this draft: who drafted it may, and an admin."""
    return bool(may(user, "propose_rule")) and (bool(may(user, "configure")) or is_own(user, rule))


def lock_rule(rule_id: int) -> GovernanceRule:
    """The rule, with its pack locked before it, as everybody does who looks at a pack as a whole."""
    pack_id = GovernanceRule.objects.filter(pk=rule_id).values_list("pack_id", flat=True).first()
    pack = lock_row(Pack, pack_id, "rule") if pack_id is not None else None
    rule = lock_row(GovernanceRule, rule_id, "rule")
    if pack is not None:
        rule.pack = pack
    return rule


def is_done(rule: GovernanceRule, user: Person, version: int, state: RuleState, reason: str) -> bool:
    """Whether this very person has done this very thing just before: the same form, sent twice."""
    if rule.state != state or rule.version != version + 1:
        return False
    last = last_version(rule)
    return last is not None and (last.by_name, last.reason) == (name_of(user), reason.strip())


def check_reason(reason: str) -> str:
    """The reason, without the blanks around it. Raises Refused if there is none."""
    check_text("reason", reason, MOST_REASON)
    if not reason.strip():
        raise Refused("Say why, for those who are decided by it.", field="reason")
    return reason.strip()


def check_current(rule: GovernanceRule, version: int | None) -> None:
    """Raises Refused(code="stale") unless the rule is at the version that was seen; None does not ask."""
    if version is None or rule.version == version:
        return
    last = last_version(rule)
    who = f"{last.by_name} has changed it" if last is not None else "It was changed"
    raise Refused(f"{who} meanwhile; here it is as it stands now.", code="stale")


def check_is_draft(rule: GovernanceRule) -> None:
    """Raises Refused for what is, or was, in force."""
    if rule.state != RuleState.DRAFT:
        raise Refused(
            f"“{rule.name}” is {said_state(rule)} and stays as it is, for jobs were decided by it: make a draft of "
            "it, change that, and activate it."
        )


def said_state(rule: GovernanceRule) -> str:
    """Its state in words."""
    return str(RuleState(rule.state).label).lower()


def check_own(user: Person, rule: GovernanceRule) -> None:
    """Raises Refused unless `may_change`."""
    if not may_change(user, rule):
        raise Refused(
            "Somebody else drafted this; ask them or an admin, or make a draft of your own of it.",
            code="forbidden",
        )


def is_own(user: Person, rule: GovernanceRule) -> bool:
    """Whether `user` drafted it."""
    author = first_author(rule)
    return author is not None and author == getattr(user, "pk", None)


def check_expiry(expires_at: Any) -> None:
    """Raises Refused for what is no moment, or one that has passed."""
    if expires_at is None:
        return
    if not isinstance(expires_at, dt.datetime) or timezone.is_naive(expires_at):
        raise Refused("Give the moment with its day and time.", field="expires_at")
    if expires_at <= timezone.now():
        raise Refused("This moment has passed; give a later one, or none.", field="expires_at")


def check_rule_in(pack: Pack, rule: RuleSpec, row: GovernanceRule | None) -> None:
    """Refuse a rule that cannot be, or cannot be kept."""
    for name in ("name", "expression", "message"):
        value = getattr(rule, name)
        if isinstance(value, str):
            check_text(name, value, 10_000)
    if isinstance(rule.params, Mapping):
        try:
            canonical(dict(rule.params), MOST_PARAMS_BYTES)
        except BoundsError as error:
            raise Refused(f"What is given as parameters {error}.", field="params") from None
    named_so = pack.rules.filter(name=rule.name).first()
    if named_so is not None and named_so != row:
        raise Refused(f"The pack has a rule {rule.name!r} already; give this one another name.", field="name")
    now = pack_spec_from_rows(pack)
    check_rule(rule, now)
    check_scopes(rule.kind, rule.expression)
    others = [other for other in now.rules if other.name != rule.name]
    check_still_runs(now, replace(now, rules=(*others, replace(rule, enabled=True))), None)
