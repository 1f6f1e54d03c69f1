"""What it comes to: which series is in trouble, since when, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runtime.agents import propose
from runtime.engine import Fact, Proposal, View
from runtime.packs.incident.keys import SEVERITIES, pack


@pack.agent(
    reads=["review", "candidate", "extent", "verdict", "cause", "severity"],
    writes=["status"],
    tier=3,
    required=True,
)
def sum_up(view: View) -> Iterator[Proposal]:
    """Sums up each series; says nothing of one while it is open whether something there is an incident."""
    candidates: dict[str, list[Fact]] = {}
    for candidate in view["candidate"]:
        candidates.setdefault(candidate.value["series"], []).append(candidate)
    for review in view["review"]:
        found = candidates.get(review.subject, [])
        verdicts = [verdict for one in found if (verdict := view.fact("verdict", one.subject))]
        if len(verdicts) < review.value["candidates"]:
            continue
        incidents = [verdict for verdict in verdicts if verdict.value == "incident"]
        value, grounds = _describe(view, incidents) if incidents else (_tell_quiet(review.value), [])
        sure = min((verdict.confidence for verdict in verdicts), default=1.0)
        because = [review, *found, *verdicts, *grounds]
        yield propose("status", review.subject, value, sure, because=because)


def _tell_quiet(review: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing stands out; that says something only where there was enough for anybody to judge."""
    state = "well" if review["judged_by"] else "too short to tell"
    return {"state": state, "since": None, "why": "", "severity": "", "incidents": 0}


def _describe(view: View, incidents: list[Fact]) -> tuple[dict[str, Any], list[Fact]]:
    """The status that the latest incident gives, and the facts beside the verdicts it rests on."""
    latest = max(incidents, key=lambda fact: _begin(view, fact))
    found = {key: view.fact(key, latest.subject) for key in ("extent", "cause", "severity")}
    extent, cause, severity = found["extent"], found["cause"], found["severity"]
    ended = bool(extent and extent.value["ended"])
    value = {
        "state": "was in trouble" if ended else "in trouble",
        "since": _begin(view, latest),
        "why": cause.value if cause else "not settled",
        "severity": severity.value if severity and severity.value in SEVERITIES else "",
        "incidents": len(incidents),
    }
    return value, [fact for fact in found.values() if fact]


def _begin(view: View, verdict: Fact) -> str:
    candidate = view.fact("candidate", verdict.subject)
    return str(candidate.value["since"]) if candidate else ""
