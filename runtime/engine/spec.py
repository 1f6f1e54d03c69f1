"""What a job is run under: a pack as frozen data (D6.4).

Specs hold no code. An agent's function, prompt or endpoint is found by the agent's name when it is run; the engine
only needs to know what the agent reads and writes, and when it must be asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Shape = Literal["whole", "each", "grouped", "aggregate"]
RuleKind = Literal[
    "constraint",
    "dominance",
    "newer",
    "confidence",
    "aggregation",
    "operator",
    "approval",
    "invariant",
    "discount",
]

SHAPES: tuple[Shape, ...] = ("whole", "each", "grouped", "aggregate")
RESOLUTION_KINDS = ("dominance", "newer", "confidence", "aggregation", "operator")
RULE_KINDS: tuple[RuleKind, ...] = (
    "constraint",
    *RESOLUTION_KINDS,  # type: ignore[assignment]
    "approval",
    "invariant",
    "discount",
)

SEED = "@seed"
PERSON = "@person"
OPERATOR = "@operator"
CLOCK = "@clock"


@dataclass(frozen=True, slots=True)
class KeySpec:
    """A kind of thing that is said. `schema` is a JSON Schema for its values; `{}` admits any JSON value."""

    name: str
    title: str = ""
    description: str = ""
    schema: Mapping[str, Any] = field(default_factory=dict)
    seed: bool = False
    subject_label: str = "Subject"


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One agent as the engine sees it.

    `over` is the key an `each` or `grouped` agent goes through, and the key whose conflicts an `aggregate` agent rules
    on. `reads` are the *other* keys it is shown. `group_by` names the field of an item's value that names its group.
    `wait` is how many seconds the agent's tier waits for it to recover, if it is optional; 0 does not wait (D4.3).
    """

    name: str
    shape: Shape = "whole"
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    over: str = ""
    group_by: str = ""
    tier: int = 1
    required: bool = False
    append: bool = False
    kind: str = "python"
    title: str = ""
    description: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 30.0
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """One rule of governance. `keys` are key names, or `prefix.*`; `expression` is CEL.

    Params by kind: dominance `agents`, `sources` (of evidence field `source`), `evidence` ({field: value});
    newer `field`; confidence `margin` (0..1); aggregation `agent`; approval `count`, and like operator `groups`,
    `exclude_submitter`, `reason` (whether an answer needs one), `deadline` (seconds), `outcome` (at the deadline: stay,
    reject or strongest), `remind` (seconds before it);
    invariant `tier`; discount `incomplete`, `provisional` (factors 0..1). `expression` is what a constraint or an
    invariant demands; for every other kind it is the condition under which the rule applies ("" = always).
    """

    name: str
    kind: RuleKind
    keys: tuple[str, ...] = ()
    priority: int = 100
    params: Mapping[str, Any] = field(default_factory=dict)
    expression: str = ""
    message: str = ""
    enabled: bool = True

    def covers(self, key: str) -> bool:
        """Whether this rule is about `key`."""
        return any(k == key or (k.endswith(".*") and key.startswith(k[:-1])) for k in self.keys)


@dataclass(frozen=True, slots=True)
class TierSpec:
    """A rung of the answer, numbered from 1 by its place in the pack."""

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """Where a run ends at the latest (D2.7). `seconds` is wall time while running, waiting not counted.

    `calls`, requests that were answered, and `tokens` are of tools and over the job's whole life. `recovery_seconds` is
    how long a job that stopped short because of tools is tried again by itself (D5.4).
    """

    cycles: int = 100
    lifetime_cycles: int = 1_000
    facts: int = 10_000
    seconds: float = 600.0
    calls: int = 1_000
    tokens: int = 1_000_000
    recovery_seconds: float = 86_400.0


@dataclass(frozen=True, slots=True)
class PackSpec:
    """A pack as a job froze it. Order of `agents` is pack order (D2.3); `answer` are the keys an answer publishes."""

    name: str
    version: str = "1"
    title: str = ""
    description: str = ""
    keys: tuple[KeySpec, ...] = ()
    agents: tuple[AgentSpec, ...] = ()
    rules: tuple[RuleSpec, ...] = ()
    tiers: tuple[TierSpec, ...] = (TierSpec("Answer"),)
    budget: Budget = Budget()
    answer: tuple[str, ...] = ()
    submitter: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `from_json` makes an equal spec."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PackSpec:
        """The spec that `to_json` wrote. Raises TypeError or KeyError on a foreign object."""

        def tuples(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
            return {**row, **{n: tuple(row[n]) for n in names if n in row}}

        return cls(
            **{
                **data,
                "keys": tuple(KeySpec(**k) for k in data["keys"]),
                "agents": tuple(AgentSpec(**tuples(a, "reads", "writes")) for a in data["agents"]),
                "rules": tuple(RuleSpec(**tuples(r, "keys")) for r in data["rules"]),
                "tiers": tuple(TierSpec(**t) for t in data["tiers"]),
                "budget": Budget(**data["budget"]),
                "answer": tuple(data["answer"]),
            }
        )
