"""A pack made ready to run: who reads what, which rules are about which key, in which order (once per job)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from runtime.engine.expr import Expression, ExpressionError, compile_expression
from runtime.engine.lint import PackError, check_pack
from runtime.engine.loops import keys_on_loops
from runtime.engine.spec import RESOLUTION_KINDS, AgentSpec, KeySpec, PackSpec, RuleSpec

PROPOSAL_NAMES = ("agent", "confidence", "evidence", "key", "subject", "value")
SLOT_NAMES = ("key", "sides", "subject")
VALUE_NAMES = ("confidence", "key", "subject", "value")

_NAMES_BY_KIND = {"constraint": PROPOSAL_NAMES, "approval": VALUE_NAMES, "invariant": (), "discount": ()}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its expression compiled; `needs` is a margin in thousandths or a count of approvals."""

    spec: RuleSpec
    expression: Expression | None
    needs: int = 0


@dataclass(slots=True)
class KeyPlan:
    """Everything the engine asks about a key: its rules in order of priority, its readers, its tier."""

    spec: KeySpec
    schema: jsonschema_rs.Validator | None = None
    resolution: list[Rule] = field(default_factory=list)
    constraints: list[Rule] = field(default_factory=list)
    approvals: list[Rule] = field(default_factory=list)
    readers: list[int] = field(default_factory=list)  # agents shown the whole key
    visitors: list[int] = field(default_factory=list)  # each and grouped agents that go through it
    aggregators: list[int] = field(default_factory=list)
    tier: int = 1
    on_loop: bool = False
    answers: bool = False

    @property
    def is_checked(self) -> bool:
        """Whether a schema or a constraint binds what is said."""
        return self.schema is not None or bool(self.constraints)


@dataclass(slots=True)
class Compiled:
    """The pack's indexes. Agents are numbered in pack order; `reads[i]` includes what constraints make i read."""

    pack: PackSpec
    keys: dict[str, KeyPlan]
    agents: list[AgentSpec]
    index: dict[str, int]
    reads: list[tuple[str, ...]]
    invariants: list[Rule]
    discounts: list[Rule]
    has_loops: bool

    @property
    def top_tier(self) -> int:
        """The number of the highest tier."""
        return len(self.pack.tiers)


def expression_names(kind: str) -> tuple[str, ...]:
    """The variables that an expression of a rule of this kind may use, beside `fact` and `facts`."""
    return _NAMES_BY_KIND.get(kind, SLOT_NAMES)


def compile_pack(pack: PackSpec) -> Compiled:
    """Indexes for `pack`. Raises PackError, naming the first thing that is wrong and the way out."""
    check_pack(pack)
    keys = {k.name: KeyPlan(k, _compile_schema(k)) for k in pack.keys}
    rules = [_compile_rule(r, keys) for r in _in_order(pack.rules) if r.enabled]
    for name, plan in keys.items():
        covering = [r for r in rules if r.spec.covers(name)]
        plan.resolution = [r for r in covering if r.spec.kind in RESOLUTION_KINDS]
        plan.constraints = [r for r in covering if r.spec.kind == "constraint"]
        plan.approvals = [r for r in covering if r.spec.kind == "approval"]
    reads = [_reads(agent, keys) for agent in pack.agents]
    _index_readers(pack.agents, keys, reads)
    _place_in_tiers(pack, keys)
    loops = keys_on_loops(
        (_inputs(a, r), a.writes or (a.over,)) for a, r in zip(pack.agents, reads, strict=True)
    )
    for name in loops:
        keys[name].on_loop = True
    return Compiled(
        pack=pack,
        keys=keys,
        agents=list(pack.agents),
        index={a.name: i for i, a in enumerate(pack.agents)},
        reads=reads,
        invariants=[r for r in rules if r.spec.kind == "invariant"],
        discounts=[r for r in rules if r.spec.kind == "discount"],
        has_loops=bool(loops),
    )


def _in_order(rules: Iterable[RuleSpec]) -> list[RuleSpec]:
    return [r for _, _, r in sorted((r.priority, at, r) for at, r in enumerate(rules))]


def _compile_rule(rule: RuleSpec, keys: dict[str, KeyPlan]) -> Rule:
    expression = None
    if rule.expression:
        try:
            expression = compile_expression(rule.expression, expression_names(rule.kind))
        except ExpressionError as error:
            raise PackError(f"rule `{rule.name}`: {error}") from None
        if expression.keys and rule.kind not in ("constraint", "invariant"):
            raise PackError(
                f"rule `{rule.name}`: only constraints and invariants look facts up; a condition sees its slot alone"
            )
        for key in expression.keys:
            if key not in keys:
                raise PackError(
                    f"rule `{rule.name}` looks up the key `{key}`, which the pack does not declare"
                )
    return Rule(rule, expression, _needs(rule.kind, rule.params))


def _needs(kind: str, params: Any) -> int:
    if kind == "confidence":
        return round(float(params.get("margin", 0)) * 1000)
    return int(params.get("count", 1)) if kind == "approval" else 0


def _compile_schema(key: KeySpec) -> jsonschema_rs.Validator | None:
    if not key.schema:
        return None
    try:
        return jsonschema_rs.validator_for(dict(key.schema))
    except (ValueError, jsonschema_rs.ValidationError) as error:
        raise PackError(f"key `{key.name}`: its schema is no JSON Schema: {error}") from None


def _reads(agent: AgentSpec, keys: dict[str, KeyPlan]) -> tuple[str, ...]:
    """What the agent declares, and the keys that constraints on what it writes mention (D3.3)."""
    found = dict.fromkeys(agent.reads)
    for key in agent.writes or (agent.over,):
        for rule in keys[key].constraints:
            found.update(dict.fromkeys(rule.expression.keys if rule.expression else ()))
    return tuple(found)


def _inputs(agent: AgentSpec, reads: tuple[str, ...]) -> tuple[str, ...]:
    """What an agent's outcome follows from. A ruling changes no side, so an aggregation agent is no loop by itself."""
    return (*reads, agent.over) if agent.over and agent.shape != "aggregate" else reads


def _index_readers(
    agents: tuple[AgentSpec, ...], keys: dict[str, KeyPlan], reads: list[tuple[str, ...]]
) -> None:
    for at, agent in enumerate(agents):
        for key in reads[at]:
            keys[key].readers.append(at)
        if agent.shape == "aggregate":
            keys[agent.over].aggregators.append(at)
        elif agent.over:
            keys[agent.over].visitors.append(at)


def _place_in_tiers(pack: PackSpec, keys: dict[str, KeyPlan]) -> None:
    answer = set(pack.answer or (k for a in pack.agents for k in a.writes))
    lowest: dict[str, int] = {}
    for agent in pack.agents:
        for key in agent.writes:
            lowest[key] = min(agent.tier, lowest.get(key, agent.tier))
    for name, plan in keys.items():
        plan.tier = lowest.get(name, 1)
        plan.answers = name in answer
