"""Whether a person may answer each of many questions, found out once for all that are asked under the same policy."""

from __future__ import annotations

from collections.abc import Hashable

from django.contrib.auth.models import User

from converge_site.fragments.conflicts import Card
from runtime.actions.permissions import Verdict, may

Known = dict[Hashable, Verdict]


def may_answer(user: User, card: Card, known: Known) -> Verdict:
    """What `runtime.actions.permissions.may` says; `known` is what it said before, of one person and one page."""
    conflict = card.conflict
    if conflict.kind == "hold":
        return may(user, "approve", conflict=conflict)
    if conflict.awaiting or not card.is_open:
        return may(user, "decide", conflict=conflict)
    policy = conflict.policy
    of_job = conflict.job_id if policy.get("exclude_submitter") else None
    name = ("decide", conflict.rule, tuple(policy.get("groups") or ()), of_job)
    if name not in known:
        known[name] = may(user, "decide", conflict=conflict)
    return known[name]
