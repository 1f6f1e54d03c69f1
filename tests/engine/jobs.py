"""A small job for example tests: agents are plain functions of the view, people are inbox rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from runtime.engine import (
    AgentSpec,
    Commit,
    Core,
    Effect,
    Failure,
    InboxRow,
    KeySpec,
    PackSpec,
    Proposal,
    RuleSpec,
    Run,
    Seed,
    Stop,
    TierSpec,
)
from runtime.engine.desk import slot_version
from runtime.engine.premises import provisional_facts
from tests.engine.twins import MERGED

Says = Callable[[Run], Sequence[Proposal] | Failure]
BROKEN = Failure("agent_error", "it broke")


def pack(
    *agents: AgentSpec,
    rules: Sequence[RuleSpec] = (),
    keys: Sequence[KeySpec | str] = (),
    tiers: int = 1,
    **more: Any,
) -> PackSpec:
    """A pack that declares every key its agents and rules name, and those given."""
    specs = {k.name: k for k in keys if isinstance(k, KeySpec)}
    named = [k for k in keys if isinstance(k, str)]
    for agent in agents:
        named += [*agent.reads, *agent.writes, *([agent.over] if agent.over else [])]
    for rule in rules:
        named += [k for k in rule.keys if not k.endswith("*")]
    for name in named:
        specs.setdefault(name, KeySpec(name))
    ladder = tuple(TierSpec(f"Tier {n}") for n in range(1, tiers + 1))
    return PackSpec(
        "example", keys=tuple(specs.values()), agents=agents, rules=tuple(rules), tiers=ladder, **more
    )


def say(key: str, subject: str, value: Any, confidence: float = 1.0, **more: Any) -> Proposal:
    """A proposal; `evidence=` and `because=` as in Proposal."""
    return Proposal(key, subject, value, confidence, **more)


class Job:
    """One engine under way. `says` maps an agent's name to what it returns for a run, and may change between steps."""

    def __init__(self, spec: PackSpec, says: dict[str, Says | Sequence[Proposal]] | None = None) -> None:
        self.core = Core(spec)
        self.says = dict(says or {})
        self.commits: list[Commit] = []
        self.ran: list[tuple[str, str | None]] = []
        self._seeds = 0
        self._rows = 0

    def seed(self, key: str, subject: str, value: Any, confidence: float = 1.0, **evidence: Any) -> Seed:
        """A seed for `step` or `run`, numbered in order."""
        self._seeds += 1
        return Seed(self._seeds, key, subject, value, confidence, evidence)

    def row(
        self, act: str, key: str = "", subject: str = "", value: Any = None, by: str = "ada", **more: Any
    ) -> InboxRow:
        """An inbox row, numbered in order."""
        self._rows += 1
        return InboxRow(self._rows, act, by, key, subject, value, **more)

    def step(self, *rows: Seed | InboxRow) -> Commit:
        """One cycle."""
        runs = self.core.begin(rows)
        self.ran = [(r.agent.name, r.item) for r in runs]
        self.commits.append(self.core.finish([self._effect(run) for run in runs]))
        return self.commits[-1]

    def run(self, *rows: Seed | InboxRow) -> Stop:
        """Cycles until the job stops."""
        commit = self.step(*rows)
        while commit.stop is None:
            commit = self.step()
        return commit.stop

    def _effect(self, run: Run) -> Effect:
        says = self.says.get(run.agent.name, ())
        said = says(run) if callable(says) else says
        if isinstance(said, Failure):
            return Effect(run.agent.name, run.item, failure=said)
        return Effect(run.agent.name, run.item, list(said))

    # -- looking -----------------------------------------------------------------------------------------------

    def value(self, key: str, subject: str) -> Any:
        """The value that stands, None if none does."""
        fact = self.core.fact(key, subject)
        return fact.value if fact is not None else None

    def status(self, key: str, subject: str) -> str:
        """fact, contested, held or empty."""
        slot = self.core.ledger.keys[key].slots.get(subject)
        return ("empty", "fact", "contested", "held")[slot.status] if slot is not None else "empty"

    def version(self, key: str, subject: str) -> str:
        """What a person sees of the slot when deciding."""
        return slot_version(self.core.ledger.keys[key].slots[subject])

    def provisional(self) -> set[tuple[str, str]]:
        """Slots whose fact is provisional."""
        return {(s.key, s.subject) for s in provisional_facts(self.core.ledger)}

    def last(self, *kinds: str) -> list[dict[str, Any]]:
        """The entries of the last cycle, of these kinds if any are named."""
        return [
            b
            for e in self.commits[-1].entries
            if (b := json.loads(e.body)) and (not kinds or e.kind in kinds)
        ]

    def all(self, *kinds: str) -> list[dict[str, Any]]:
        """All entries of these kinds."""
        return [json.loads(e.body) for c in self.commits for e in c.entries if e.kind in kinds]

    def outcomes(self, agent: str) -> list[str]:
        """How the proposals of an agent (or @seed, @person) ended in the last cycle, in order."""
        return [e["kind"] for e in self.last(*MERGED) if e["agent"] == agent]

    def gaps(self, tier: int = 1) -> list[str]:
        """The kinds of gaps stated when the tier was last judged anew."""
        judged = [e for e in self.all("tier") if e["tier"] == tier]
        return [g["what"] for g in judged[-1]["gaps"]]


def whole(name: str, reads: str = "", writes: str = "", **more: Any) -> AgentSpec:
    """A whole agent; keys as words."""
    return AgentSpec(name, "whole", tuple(reads.split()), tuple(writes.split()), **more)


def each(name: str, over: str, writes: str, reads: str = "", **more: Any) -> AgentSpec:
    """An agent on one item at a time."""
    return AgentSpec(name, "each", tuple(reads.split()), tuple(writes.split()), over=over, **more)


def grouped(name: str, over: str, group_by: str, writes: str, reads: str = "", **more: Any) -> AgentSpec:
    """An agent on one group at a time."""
    return AgentSpec(
        name, "grouped", tuple(reads.split()), tuple(writes.split()), over=over, group_by=group_by, **more
    )


def aggregate(name: str, over: str, reads: str = "", **more: Any) -> AgentSpec:
    """An aggregation agent."""
    return AgentSpec(name, "aggregate", tuple(reads.split()), over=over, **more)


def rule(
    kind: Any, keys: str, expression: str = "", priority: int = 100, name: str = "", **params: Any
) -> RuleSpec:
    """A rule; keys as words, params by name."""
    return RuleSpec(name or f"{kind} {keys}", kind, tuple(keys.split()), priority, params, expression)
