"""What a person sent, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    "expire": "do what the rule says at the deadline",
}


def words_of_decision(decision: Decision) -> str:
    """One line, plain text: "keep saturated", "reject all", "approve"."""
    payload = decision.payload if isinstance(decision.payload, dict) else {}
    if decision.act == "decide":
        return words_of_choice(payload)
    if decision.act == "add_fact":
        return f"add {brief_value(payload.get('value'), 120)}"
    return _ACTS.get(decision.act, decision.act)


def words_of_choice(choice: Mapping[str, Any]) -> str:
    """The same of a choice that is not sent yet: {"value": v}, {"none": True} or {"approve": bool}."""
    if "approve" in choice:
        return "approve" if choice["approve"] else "refuse"
    return "reject all" if choice.get("none") else f"keep {brief_value(choice.get('value'), 120)}"
