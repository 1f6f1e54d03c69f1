"""A view as JSON: what an agent outside this process is shown, and a prompt or an expression may name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.engine import Fact, Group, KeySpec, Sides, View
from runtime.engine.spec import AgentSpec

Json = dict[str, Any]


def show_view(agent: AgentSpec, view: View) -> Json:
    """What a run of `agent` is shown, as JSON of its own: `shape`, then `item`, `group`, or `slot` and `sides`,
    then the facts of every key it reads, in order of subject, and the subjects where nothing stands as yet."""
    keys = {key: view[key] for key in view.keys}
    return {
        "shape": agent.shape,
        **_show_own(agent, view),
        "facts": {key: [_show_fact(fact) for fact in facts] for key, facts in keys.items()},
        "contested": {key: found for key, facts in keys.items() if (found := facts.contested)},
        "held": {key: found for key, facts in keys.items() if (found := facts.held)},
    }


def schemas_of(agent: AgentSpec, keys: Mapping[str, KeySpec]) -> dict[str, Json]:
    """The JSON Schema of every key that `agent` may write, in its order; {} admits any value."""
    return {key: dict(keys[key].schema) if key in keys else {} for key in agent.writes or (agent.over,)}


def _show_own(agent: AgentSpec, view: View) -> Json:
    if agent.shape == "each" and view.item is not None:
        return {"item": _show_item(view.item)}
    if agent.shape == "grouped" and view.group is not None:
        return {"group": _show_group(view.group)}
    if agent.shape == "aggregate" and view.sides is not None:
        slot = {"key": view.sides.key, "subject": view.sides.subject}
        return {"slot": slot, "sides": _show_sides(view.sides)}
    return {}


def _show_fact(fact: Fact) -> Json:
    return {"subject": fact.subject, "value": fact.value, "confidence": fact.confidence}


def _show_item(fact: Fact) -> Json:
    return {"key": fact.key, **_show_fact(fact)}


def _show_group(group: Group) -> Json:
    return {"name": group.name, "items": [_show_item(fact) for fact in group.items]}


def _show_sides(disputed: Sides) -> list[Json]:
    return [
        {
            "value": side.value,
            "confidence": side.confidence,
            "voices": [voice._asdict() for voice in side.voices],
        }
        for side in disputed.sides
    ]
