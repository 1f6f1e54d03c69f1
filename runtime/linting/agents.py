"""Agents that never run or never get a word in, waits for nothing, and tools."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from runtime.engine.compiled import Compiled
from runtime.engine.spec import AgentSpec
from runtime.linting.findings import Finding, quote
from runtime.linting.reach import Reach, cannot_group

TOOL_KINDS = ("http", "llm", "mcp")
NO_TOOL_KINDS = ("cel",)


def lint_agents(plan: Compiled, reach: Reach) -> Iterator[Finding]:
    """Whether each agent can be called, be heard, and what its wait is for."""
    for agent in plan.agents:
        if agent.name not in reach.running:
            yield Finding(
                "warning", "agent_never_runs", _why_never(agent, plan, reach), "agent", (agent.name,)
            )
        else:
            yield from _refusals(agent, reach)
        if agent.wait:
            yield from _lint_wait(agent)


def _why_never(agent: AgentSpec, plan: Compiled, reach: Reach) -> str:
    named = f"The agent `{agent.name}` can never run"
    if agent.shape == "aggregate":
        return f"{named}: {_why_unasked(agent, plan, reach)}"
    if agent.shape == "whole":
        keys = quote(agent.reads)
        why = _never_there(agent.reads, plan, reach)
        return f"{named}: all it reads is {keys}, and {why}. Let it read something that can be there."
    if agent.over not in reach.present:
        return (
            f"{named}: it goes over `{agent.over}`, and {_never_there((agent.over,), plan, reach)}. "
            "Let it go over a key that can be there, or see to that key." + _still_reached(agent)
        )
    assert cannot_group(agent, plan.keys[agent.over].spec)
    return (
        f"{named}: it groups `{agent.over}` by `{agent.group_by}`, and the schema of that key admits no such field. "
        "Correct the field or the schema."
    )


def _never_there(keys: Collection[str], plan: Compiled, reach: Reach) -> str:
    writers = [a.name for a in plan.agents if a.shape != "aggregate" and set(keys) & set(a.writes)]
    if writers:
        return f"nothing is ever there, since {quote(writers)} cannot run or {_be(writers)} always refused"
    if not reach.seedable.isdisjoint(keys):
        return "whatever is submitted there is refused"
    return "nobody writes that" if len(keys) == 1 else "nobody writes any of that"


def _be(names: Collection[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _why_unasked(agent: AgentSpec, plan: Compiled, reach: Reach) -> str:
    rules = [r for r in plan.keys[agent.over].resolution if r.spec.params.get("agent") == agent.name]
    speakers = reach.speakers(agent.over)
    if not rules:
        return (
            f"no aggregation rule that is switched on names it. Add one on `{agent.over}`, or drop the agent."
        )
    if len(speakers) < 2:
        who = f"only `{speakers[0]}` speaks about" if speakers else "nobody speaks about"
        return f"{who} `{agent.over}`, so it never has sides to rule between. Let others write the key, or drop it."
    rule = rules[-1]
    asked = plan.keys[agent.over].resolution
    first = next((r for r in asked if r.spec.kind == "operator" and reach.applies(r, agent.over)), None)
    if first is None or reach.applies(rule, agent.over) is False:
        return f"the condition of its rule `{rule.spec.name}` is never true. Correct it, or drop the agent."
    return f"its rule `{rule.spec.name}` is never reached, since `{first.spec.name}` comes first. Change their order."


def _still_reached(agent: AgentSpec) -> str:
    """Nobody misses a voice that is never called: only whole agents owe their tier a run (D4.2)."""
    return f" It is required, and yet tier {agent.tier} is reached without it." if agent.required else ""


def _refusals(agent: AgentSpec, reach: Reach) -> Iterator[Finding]:
    for key in dict.fromkeys(agent.writes or (agent.over,)):
        rule = reach.refusal(key, agent.name)
        if rule is not None:
            text = (
                f"Whatever the agent `{agent.name}` says about `{key}` is refused by the constraint "
                f"`{rule.spec.name}`: `{rule.spec.expression}` is never true of it. Correct the constraint, or let the "
                "agent write another key."
            )
            yield Finding("warning", "agent_always_refused", text, "agent", (agent.name,))


def _lint_wait(agent: AgentSpec) -> Iterator[Finding]:
    named = f"The agent `{agent.name}` has a wait of {agent.wait:g} s"
    if agent.required:
        text = (
            f"{named} and is required: its tier waits for it in any case. Drop the wait, or make it optional."
        )
        yield Finding("note", "wait_for_nothing", text, "agent", (agent.name,))
    elif agent.kind in NO_TOOL_KINDS:
        text = f"{named} and calls no tool, so there is nothing to wait for. Drop the wait."
        yield Finding("warning", "wait_for_nothing", text, "agent", (agent.name,))
    elif agent.kind not in TOOL_KINDS:
        text = (
            f"{named} and names no tool. Unless its code calls one, there is nothing to wait for: only failures of "
            "tools pass by themselves. Drop the wait if so."
        )
        yield Finding("note", "wait_for_nothing", text, "agent", (agent.name,))


def lint_tools(plan: Compiled, tools: Collection[str]) -> Iterator[Finding]:
    """Tools that agents name and nobody declares, and the other way round. `tools` are those declared."""
    called: dict[str, str] = {}
    for agent in plan.agents:
        tool = agent.config.get("tool")
        if agent.kind in TOOL_KINDS and isinstance(tool, str):
            called[tool] = agent.name
            if tool not in tools:
                text = (
                    f"The agent `{agent.name}` calls the tool `{tool}`, which is not declared, so every run of it "
                    "fails. Declare the tool or correct the name."
                )
                yield Finding("warning", "tool_unknown", text, "agent", (agent.name,))
    by_hand = any(agent.kind == "python" for agent in plan.agents)
    for tool in sorted(set(tools) - set(called)):
        unless = ", unless one in Python does so in its code" if by_hand else ""
        text = f"No agent names the tool `{tool}`{unless}. Drop it if nobody calls it."
        yield Finding("note" if by_hand else "warning", "tool_unused", text, "tool", (tool,))
