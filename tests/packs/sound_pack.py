"""A sound pack, for planting one defect at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from runtime.engine import AgentSpec, KeySpec, PackSpec, RuleSpec, TierSpec
from runtime.lint_pack import Finding, lint_pack
from runtime.linting.findings import CODES

# A sound pack: `in` is submitted; `look` and `doubt` judge each of it and may disagree, a rule or a person settles
# that, and `sum` concludes in tier 2.
KEYS = (KeySpec("in", seed=True), KeySpec("view"), KeySpec("out"))


LOOK = AgentSpec("look", "each", over="in", writes=("view",), required=True)


DOUBT = AgentSpec("doubt", "each", over="in", writes=("view",))


SUM = AgentSpec("sum", reads=("view",), writes=("out",), tier=2, required=True)


MARGIN = RuleSpec("margin", "confidence", ("view",), 10, {"margin": 0.2})


SOUND = PackSpec(
    "sound",
    keys=KEYS,
    agents=(LOOK, DOUBT, SUM),
    rules=(MARGIN,),
    tiers=(TierSpec("Views"), TierSpec("Sum")),
    answer=("out",),
)


ASKED = AgentSpec("settle", "aggregate", over="view")


def plus(
    keys: Iterable[KeySpec] = (),
    agents: Iterable[AgentSpec] = (),
    rules: Iterable[RuleSpec] = (),
    **changes: Any,
) -> PackSpec:
    """The sound pack with something more, or something else."""
    return replace(
        SOUND,
        keys=(*SOUND.keys, *keys),
        agents=(*SOUND.agents, *agents),
        rules=(*SOUND.rules, *rules),
        **changes,
    )


def ruled(
    kind: Any, keys: tuple[str, ...] = ("view",), expression: str = "", priority: int = 50, **params: Any
) -> PackSpec:
    """The sound pack with one more rule, named `new`."""
    return plus(rules=[RuleSpec("new", kind, keys, priority, params, expression)])


def said(spec: PackSpec, **options: Any) -> list[tuple[str, str]]:
    """The findings, shortly: code, and what they are about."""
    return [(f.code, " ".join(f.names)) for f in lint_pack(spec, **options)]


def the_one(spec: PackSpec, **options: Any) -> Finding:
    (found,) = lint_pack(spec, **options)
    assert found.code in CODES
    assert found.text.endswith((".", "why=…)."))
    return found
