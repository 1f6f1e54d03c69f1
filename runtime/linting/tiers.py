"""Tiers that no job can reach, and tiers that say nothing."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.engine.compiled import Compiled, Rule
from runtime.linting.findings import Finding, quote
from runtime.linting.reach import UNKNOWN, Reach


def lint_tiers(plan: Compiled, reach: Reach) -> Iterator[Finding]:
    """One finding a tier, with all that keeps it from being reached. The tiers above it are not named again."""
    for number, tier in enumerate(plan.pack.tiers, start=1):
        named = f"Tier {number} ({tier.name})"
        invariants = [r for r in plan.invariants if int(r.spec.params.get("tier", 1)) == number]
        causes = [*_agent_causes(plan, reach, number), *(c for r in invariants for c in _broken(r, reach))]
        if causes:
            above = ", and so none above it" if number < len(plan.pack.tiers) else ""
            text = f"{named} can never be reached{above}: {'; '.join(causes)}."
            yield Finding("warning", "tier_never_reached", text, "tier", (str(number),))
        elif not invariants and not any(agent.tier == number for agent in plan.agents):
            with_which = f"tier {number - 1} is" if number > 1 else "a job runs"
            text = f"{named} has no agent and no invariant: it is reached whenever {with_which}. Fill or drop it."
            yield Finding("warning", "tier_empty", text, "tier", (str(number),))


def _agent_causes(plan: Compiled, reach: Reach, number: int) -> Iterator[str]:
    for agent in plan.agents:
        if agent.tier != number or not agent.required:
            continue
        if agent.name not in reach.running:
            if agent.shape == "whole":
                yield f"its required agent `{agent.name}` can never run"
            continue
        keys = agent.writes or (agent.over,)
        rules = [reach.refusal(key, agent.name) for key in keys]
        if keys and all(rules):
            names = dict.fromkeys(rule.spec.name for rule in rules if rule)
            yield f"whatever its required agent `{agent.name}` says is refused by {quote(names)}"


def _broken(rule: Rule, reach: Reach) -> Iterator[str]:
    """Why an invariant is false in every job, if it is."""
    value = reach.value_of(rule)
    if value is UNKNOWN or value is True:
        return
    absent = reach.absent(rule)
    over = f", since nothing is ever there under {quote(absent)}" if absent else ""
    yield f"its invariant `{rule.spec.name}` never holds{over}"
