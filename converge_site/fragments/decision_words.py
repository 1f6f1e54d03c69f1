"""What a person sent, in words."""

from __future__ import annotations

from converge_site.fragments.values import brief_value
from runtime.models import Decision

_ACTS = {
    "undo": "undo the decision",
    "approve": "approve",
    "refuse": "refuse",
    "withdraw_fact": "withdraw the fact",
    "cancel": "cancel the job",
    "retry": "try again",
    "retry_due": "try again, it is time",
    "give_up": "stop waiting, it is time",
}


def words_of_decision(decision: Decision) -> str:
    """One line, plain text: "keep saturated", "reject all", "approve"."""
    payload = decision.payload if isinstance(decision.payload, dict) else {}
    if decision.act == "decide":
        return "reject all" if payload.get("none") else f"keep {brief_value(payload.get('value'), 120)}"
    if decision.act == "add_fact":
        return f"add {brief_value(payload.get('value'), 120)}"
    return _ACTS.get(decision.act, decision.act)
