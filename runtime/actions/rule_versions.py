"""Every version a rule had: what it said, in which state, who made it so and why. Rows are only added."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from runtime.actions.audit import Person, name_of
from runtime.models import GovernanceRule, RuleState, RuleVersion

SAID = ("name", "kind", "keys", "priority", "params", "expression", "message", "expires_at")
BY_CODE = "code"
BEGINNING = "as it was when versions began"


def write_version(
    rule: GovernanceRule,
    user: Person | None,
    reason: str,
    *,
    was: Mapping[str, Any] | None = None,
    is_new: bool = False,
) -> RuleVersion:
    """Gives the rule its next number, and keeps what it says now. Call it after the change, in its transaction.

    `was` are the values before by name: of a rule that has no versions yet, what it said before is kept first. Without
    a user it is the code that speaks, or for what an admin made, the system.
    """
    if not is_new:
        if not rule.versions.exists():
            _keep(rule, None, BEGINNING, was or {})
        rule.version += 1
        rule.save(update_fields=["version"])
    return _keep(rule, user, reason, {})


def begin_versions(rule: GovernanceRule) -> RuleVersion:
    """Keeps what a rule says now that is older than its versions."""
    return _keep(rule, None, BEGINNING, {})


def last_version(rule: GovernanceRule) -> RuleVersion | None:
    """The newest version that is kept."""
    return rule.versions.order_by("-number").first()


def first_author(rule: GovernanceRule) -> int | None:
    """The id of who drafted the rule; None for the code."""
    return rule.versions.order_by("number").values_list("by_id", flat=True).first()


def was_ever_active(rule: GovernanceRule) -> bool:
    """Whether a job may have frozen it."""
    return rule.versions.filter(state=RuleState.ACTIVE).exists()


def plain(value: Any) -> Any:
    """A setting as JSON keeps it: a moment in ISO 8601."""
    return value.isoformat(timespec="seconds") if isinstance(value, dt.datetime) else value


def _keep(rule: GovernanceRule, user: Person | None, reason: str, was: Mapping[str, Any]) -> RuleVersion:
    said = {name: plain(was.get(name, getattr(rule, name))) for name in SAID}
    return RuleVersion.objects.create(
        rule=rule,
        number=rule.version,
        said=said,
        state=was.get("state", rule.state),
        by_id=getattr(user, "pk", None),
        by_name=BY_CODE if user is None and rule.origin == "code" else name_of(user),
        reason=reason,
    )
