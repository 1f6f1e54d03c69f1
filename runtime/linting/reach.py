"""What can be there and who can run, worked out from a pack alone: a least fixed point that begins with the seeds.

Whatever is outside it is never there, whatever agents say; only a person may add it by hand, and that is not counted.
Expressions are evaluated with what is known without a job: the key, who speaks, and that a key which is never there
holds nothing. Where that settles the result, it is settled in every job; everything else is an error, and so unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.engine.compiled import Compiled, Rule
from runtime.engine.expr import ExpressionError
from runtime.engine.spec import SEED, AgentSpec, KeySpec

UNKNOWN: Any = object()  # also what a look-up gives whose result is not known: CEL takes no such value
OWN_SUBJECT = "subject"  # what a CEL agent says about the very item it is called with


class Reach:
    """`present` are the keys that can hold a fact, `running` the names of the agents that can be called."""

    def __init__(self, plan: Compiled) -> None:
        self.plan = plan
        named = [key.name for key in plan.pack.keys if key.seed]
        self.seedable = frozenset(named or plan.keys)  # as where jobs are submitted: none named means all
        self.present: set[str] = set()
        self.running: set[str] = set()
        while self._grow():
            pass

    def speakers(self, key: str) -> list[str]:
        """The voices that may have a candidate in one and the same slot of `key`, agents in pack order. An agent that
        is called for each item or group has many voices, and is listed twice; so are seeds, each of which is one."""
        found = [SEED, SEED] if self._can_say(SEED, key) else []
        for agent in self.plan.agents:
            if agent.shape != "aggregate" and key in agent.writes and self._can_say(agent.name, key):
                found += [agent.name] * (2 if _speaks_often(agent) else 1)
        return found

    def is_said(self, key: str) -> bool:
        """Whether anybody who can speak tries to say something about `key`, be it refused or not."""
        writers = (agent for agent in self.plan.agents if agent.shape != "aggregate" and key in agent.writes)
        return key in self.seedable or any(agent.name in self.running for agent in writers)

    def absent(self, rule: Rule) -> list[str]:
        """The keys that the rule looks up and where nothing is ever there."""
        return [key for key in (rule.expression.keys if rule.expression else ()) if key not in self.present]

    def value_of(self, rule: Rule, **known: Any) -> Any:
        """What the rule's expression gives in every job; UNKNOWN if that depends on the job. No expression is true."""
        if rule.expression is None:
            return True
        try:
            return rule.expression.evaluate(known, {"fact": self._fact, "facts": self._facts})
        except ExpressionError:
            return UNKNOWN

    def applies(self, rule: Rule, key: str) -> bool | None:
        """Whether a resolution rule applies to every slot of `key` (True), to none (False), or to some (None)."""
        value = self.value_of(rule, key=key)
        return None if value is UNKNOWN else value is True

    def refuses(self, rule: Rule, key: str, speaker: str) -> bool | None:
        """Whether a constraint refuses all that `speaker` says about `key` (True), nothing of it (False), or some."""
        value = self.value_of(rule, key=key, agent=speaker)
        return None if value is UNKNOWN else value is not True

    def refusal(self, key: str, speaker: str) -> Rule | None:
        """The first constraint that refuses all that `speaker` says about `key`."""
        return next(
            (rule for rule in self.plan.keys[key].constraints if self.refuses(rule, key, speaker)), None
        )

    def is_asked(self, agent: AgentSpec) -> bool:
        """Whether a conflict can ever reach an aggregation agent."""
        if len(self.speakers(agent.over)) < 2:
            return False
        for rule in self.plan.keys[agent.over].resolution:
            applies = self.applies(rule, agent.over)
            if rule.spec.kind == "operator" and applies:
                return False
            if (
                rule.spec.params.get("agent") == agent.name
                and rule.spec.kind == "aggregation"
                and applies is not False
            ):
                return True
        return False

    def _grow(self) -> bool:
        """One round; whether anything new can be there or run. What was unknown may settle less, never more."""
        before = len(self.present), len(self.running)
        self.running.update(agent.name for agent in self.plan.agents if self._can_run(agent))
        for key in self.plan.keys:
            if key not in self.present and self.speakers(key):
                self.present.add(key)
        return (len(self.present), len(self.running)) != before

    def _can_run(self, agent: AgentSpec) -> bool:
        if agent.shape == "whole":
            return not agent.reads or any(key in self.present for key in agent.reads)
        if agent.shape == "aggregate":
            return self.is_asked(agent)
        return agent.over in self.present and not cannot_group(agent, self.plan.keys[agent.over].spec)

    def _can_say(self, speaker: str, key: str) -> bool:
        able = key in self.seedable if speaker == SEED else speaker in self.running
        return able and self.refusal(key, speaker) is None

    def _fact(self, key: str, subject: str) -> Any:
        return UNKNOWN if key in self.present else None

    def _facts(self, key: str) -> Any:
        return UNKNOWN if key in self.present else {}


def cannot_group(agent: AgentSpec, key: KeySpec) -> bool:
    """Whether no value that the key's schema admits can have the field that a grouped agent groups by."""
    if agent.shape != "grouped" or not isinstance(key.schema, Mapping):
        return False
    types = key.schema.get("type", "object")
    if "object" not in ([types] if isinstance(types, str) else types):
        return True
    closed = key.schema.get("additionalProperties") is False and not key.schema.get("patternProperties")
    return closed and agent.group_by not in key.schema.get("properties", {})


def _speaks_often(agent: AgentSpec) -> bool:
    """Whether several voices of one agent may speak about the same slot."""
    if agent.shape == "whole":
        return False
    return agent.kind != "cel" or agent.config.get("subject", OWN_SUBJECT) != OWN_SUBJECT
