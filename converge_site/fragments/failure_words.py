"""The nine classes of failure (D5.2) as people read them."""

from __future__ import annotations

from converge_site.fragments.words import Look

FAILURE_LOOKS = {
    "timeout": Look("clock", "red", "timeout", "No answer came within the time allowed."),
    "unreachable": Look("failed", "red", "unreachable", "No connection could be made, or it broke."),
    "rate_limited": Look("gauge", "red", "rate limited", "It asked its callers to slow down."),
    "server_error": Look("alert", "red", "server error", "It failed by itself (HTTP 5xx)."),
    "refused": Look("ban", "red", "refused", "It does not accept the request; trying again changes nothing."),
    "bad_output": Look("failed", "red", "bad output", "What it answered cannot be read or does not fit."),
    "circuit_open": Look("hold", "red", "circuit open", "It was left alone: its breaker is open."),
    "agent_error": Look("failed", "red", "agent error", "The agent itself failed."),
    "over_budget": Look("gauge", "red", "over budget", "The job had used up its calls or its tokens."),
}

# What a tool did when it was last asked, after its name: "search timed out".
_DEEDS = {
    "timeout": "timed out",
    "unreachable": "could not be reached",
    "rate_limited": "asked to slow down",
    "server_error": "failed with a server error",
    "refused": "refused the request",
    "bad_output": "answered what cannot be used",
    "circuit_open": "was down",
    "agent_error": "was not used: the agent failed",
    "over_budget": "was not asked: the budget is used up",
}


def look_of_failure(cls: str) -> Look:
    """How a class of failure is shown."""
    return FAILURE_LOOKS.get(cls, Look("failed", "red", cls.replace("_", " ") or "failure"))


def deed_of_failure(cls: str) -> str:
    """What the tool did, as the rest of a sentence that begins with its name."""
    return _DEEDS.get(cls, "failed")
