"""Who may answer a question, how, and until when: the policy of the rule that asks, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.models import Conflict

_THEN = {
    "stay": "it stays open",
    "reject": "nothing stands",
    "strongest": "the strongest side stands",
}
_THEN_HELD = {
    "stay": "it stays open",
    "reject": "the value is refused",
    "strongest": "the value stands",
}


@dataclass(frozen=True, slots=True)
class Policy:
    """`who` is a sentence without its end; `deadline_at` seconds since 1970 by the database's clock; `then` what
    happens at the deadline, "" without one; `has_passed` that it has."""

    who: str
    needs_reason: bool
    deadline_at: float | None
    then: str
    has_passed: bool
    rule: str


def read_policy(conflict: Conflict) -> Policy:
    """The policy as the question's row tells it."""
    params = conflict.policy if isinstance(conflict.policy, dict) else {}
    hold = conflict.kind == "hold"
    outcomes = _THEN_HELD if hold else _THEN
    return Policy(
        who=_who(conflict, params.get("groups") or [], bool(params.get("exclude_submitter"))),
        needs_reason=bool(params.get("reason")),
        deadline_at=conflict.deadline_at,
        then=outcomes.get(str(params.get("outcome", "stay")), "it stays open")
        if conflict.deadline_at
        else "",
        has_passed=conflict.expired_at is not None,
        rule=conflict.rule,
    )


def _who(conflict: Conflict, groups: Sequence[str], without_submitter: bool) -> str:
    named = " or ".join(str(group) for group in groups)
    several = conflict.kind == "hold" and conflict.need > 1
    act = ("approve" if several else "approves") if conflict.kind == "hold" else "decides"
    if several:
        who = f"{conflict.need} people of {named}" if named else f"{conflict.need} operators"
    else:
        who = f"Somebody of {named}" if named else "Any operator"
    return f"{who} {act}{_but_not(conflict) if without_submitter else ''}"


def _but_not(conflict: Conflict) -> str:
    submitter = conflict.job.submitter
    return f", never the submitter{f' ({submitter.get_username()})' if submitter is not None else ''}"
