"""A naive model of the engine, written from DESIGN sections 2-4 and kept as dull as possible.

Everything is recomputed from the candidates on every question: there are no indexes, no queues and no caches. It
shares nothing with `runtime.engine` but the spec types. It is slow on purpose; its only merit is that a person can
check it against the design line by line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runtime.engine.spec import RESOLUTION_KINDS, AgentSpec, PackSpec, RuleSpec
from tests.engine.naive_sides import (
    Decided,
    Meaning,
    Ruled,
    Said,
    Slot,
    Stands,
    Voice,
    decide,
    reachable,
    sides_text,
    strength,
    text,
)


class Naive:
    """The state of a job, and every question the tests ask of it."""

    def __init__(self, pack: PackSpec, meanings: Mapping[str, Meaning], mentions: Mapping[str, set[str]]):
        self.pack = pack
        self.meanings = meanings
        self.mentions = mentions
        self.said: dict[Slot, dict[Voice, Said]] = {}
        self.rulings: dict[tuple[str, Slot], Ruled] = {}
        self.decisions: dict[Slot, Decided] = {}
        self.approved: dict[tuple[Slot, str], set[str]] = {}
        self.passed: set[tuple[Slot, str, str]] = set()  # slot, value, rule whose deadline let it stand
        self.refused: set[tuple[Slot, str]] = set()
        self.last: dict[Voice, str] = {}
        self.failed: set[Voice] = set()
        self.retries: set[Voice] = set()
        self.rejected: set[Voice] = set()
        self.transient: set[str] = set()  # agents whose failures may be tried again
        self.given_up: set[Voice] = set()

    # -- what stands (section 3) -------------------------------------------------------------------------------

    def slots(self) -> list[Slot]:
        """Every slot anything was ever said or decided about, in canonical order."""
        return sorted({s for s, v in self.said.items() if v} | set(self.decisions))

    def sides(self, slot: Slot) -> dict[str, dict[Voice, Said]]:
        """The candidates of a slot, by equal value."""
        sides: dict[str, dict[Voice, Said]] = {}
        for voice, said in self.said.get(slot, {}).items():
            sides.setdefault(text(said.value), {})[voice] = said
        return sides

    def stands(self, slot: Slot) -> Stands:
        """What stands in a slot: a function of the candidates, rulings, decisions and approvals."""
        found = self._would_stand(slot)
        if found.status != "fact":
            return found
        rules = self.approval_rules(slot, found)
        if rules and (slot, text(found.value)) in self.refused:
            found.status = "refused"
            return found
        for rule in sorted(rules, key=lambda r: r.priority):
            passed = (slot, text(found.value), rule.name) in self.passed
            if not passed and len(self.approvals(slot, found, rule)) < rule.params.get("count", 1):
                found.status, found.left_to_people_by = "held", rule.name
                return found
        return found

    def policies(self, slot: Slot) -> list[RuleSpec]:
        """The rules under which somebody decides the slot now (D9.2)."""
        found = self.stands(slot)
        asked = [rule for rule in self.resolution_rules(slot[0]) if rule.kind == "operator"]
        if slot in self.decisions:
            asked = [rule for rule in asked if rule.name in self.decisions[slot].rules]
        elif found.status == "contested":
            asked = [rule for rule in asked if found.left_to_people_by in ("", rule.name)]
        undecided = found.status == "held" and slot not in self.decisions
        holding = found.left_to_people_by if undecided else ""
        return [*asked, *(rule for rule in self.rules("approval", slot[0]) if rule.name == holding)]

    def _would_stand(self, slot: Slot) -> Stands:
        sides = self.sides(slot)
        decided = self.decisions.get(slot)
        if decided is not None:
            if decided.none:
                return Stands(sides=sides, by="decision")
            return Stands("fact", decided.value, decided.conf, sides, None, "decision")
        if not sides:
            return Stands()
        if len(sides) == 1:
            return self._side_stands(sides, next(iter(sides)), "one", "")
        for rule in self.resolution_rules(slot[0]):
            if rule.expression and not self.holds(rule, self.slot_context(slot, sides)):
                continue
            if rule.kind == "operator":
                return Stands("contested", sides=sides, left_to_people_by=rule.name)
            if rule.kind == "aggregation":
                ruled = self.rulings.get((rule.params["agent"], slot))
                if ruled is not None and ruled.said is not None:
                    value, conf = ruled.said.value, ruled.said.conf
                    return Stands("fact", value, conf, sides, None, "aggregation", rule.name, ruled)
                if ruled is not None and ruled.seen == sides_text(sides):
                    continue
                return Stands("contested", sides=sides, awaiting=rule.params["agent"])
            winner = decide(rule, sides)
            if winner is not None:
                return self._side_stands(sides, winner, rule.kind, rule.name)
        return Stands("contested", sides=sides)

    @staticmethod
    def _side_stands(sides: dict[str, dict[Voice, Said]], winner: str, by: str, rule: str) -> Stands:
        voices = sides[winner]
        value = next(iter(voices.values())).value
        return Stands("fact", value, strength(voices), sides, winner, by, rule)

    def version(self, slot: Slot) -> str:
        """What a person saw when deciding: the set of the sides' values (D3.4), or the value a hold asks about."""
        found = self.stands(slot)
        decided = self.decisions.get(slot)
        asked = text(found.value) if found.status == "held" else sorted(self.sides(slot))
        return json.dumps([asked, decided and decided.statement()[:2]])

    def resolution_rules(self, key: str) -> list[RuleSpec]:
        """The rules asked about a conflict on `key`, in the order they are asked."""
        rules = [
            (rule.priority, place, rule)
            for place, rule in enumerate(self.pack.rules)
            if rule.kind in RESOLUTION_KINDS and rule.enabled and rule.covers(key)
        ]
        return [rule for _, _, rule in sorted(rules, key=lambda r: r[:2])]

    def rules(self, kind: str, key: str) -> list[RuleSpec]:
        """The enabled rules of one kind that are about `key`."""
        return [r for r in self.pack.rules if r.kind == kind and r.enabled and r.covers(key)]

    def holds(self, rule: RuleSpec, context: Mapping[str, Any]) -> bool:
        """Whether the rule's expression holds in a context."""
        return self.meanings[rule.expression](context, self.standing_values)

    def standing_values(self, key: str) -> dict[str, Any]:
        """subject -> value of the facts of a key, as `facts("key")` gives them in an expression."""
        return {
            s[1]: found.value
            for s, found in self.everything().items()
            if s[0] == key and found.status == "fact"
        }

    def slot_context(self, slot: Slot, sides: Mapping[str, Mapping[Voice, Said]]) -> dict[str, Any]:
        """What the condition of a resolution rule sees."""
        return {"key": slot[0], "subject": slot[1], "sides": sides}

    # -- approval ----------------------------------------------------------------------------------------------

    def approval_rules(self, slot: Slot, found: Stands) -> list[RuleSpec]:
        """The approval rules that are about the value that would stand."""
        context = {"key": slot[0], "subject": slot[1], "value": found.value, "confidence": found.conf / 1000}
        return [
            rule
            for rule in self.rules("approval", slot[0])
            if not rule.expression or self.holds(rule, context)
        ]

    def approvals(self, slot: Slot, found: Stands, rule: RuleSpec) -> set[str]:
        """Whose approval of that very value counts; a decision for it is its author's approval (D3.7)."""
        names = set(self.approved.get((slot, text(found.value)), set()))
        decided = self.decisions.get(slot)
        by_a_person = decided is not None and decided.by != "@clock"
        if by_a_person and not decided.none and text(decided.value) == text(found.value):
            names.add(decided.by)
        return {name for name in names if self.counts_for(rule, name)}

    def counts_for(self, rule: RuleSpec, name: str) -> bool:
        """Whether this person's approval counts under a rule (D9.2)."""
        mine = rule.params.get("exclude_submitter") and name == self.pack.submitter
        return not mine and not rule.params.get("groups")  # nobody here is in a group

    # -- doubt (D3.5) ------------------------------------------------------------------------------------------

    def everything(self) -> dict[Slot, Stands]:
        """What every slot comes to."""
        return {slot: self.stands(slot) for slot in self.slots()}

    def provisional(self) -> set[Slot]:
        """The slots whose standing fact is provisional: the least fixed point."""
        stands = self.everything()
        facts = {slot: found for slot, found in stands.items() if found.status == "fact"}
        doubted: set[Slot] = set()
        while True:
            more = {slot for slot, found in facts.items() if self._doubted(found, facts, doubted)}
            if more == doubted:
                return doubted
            doubted = more

    def _doubted(self, found: Stands, facts: Mapping[Slot, Stands], doubted: set[Slot]) -> bool:
        def shaky(said: Said) -> bool:
            return any(s in doubted or s not in facts or not facts[s].is_fact(v) for s, v in said.premises)

        if found.by == "decision":
            return False
        if found.ruling is not None:
            stale = found.ruling.seen != sides_text(found.sides)
            every = [said for voices in found.sides.values() for said in voices.values()]
            own = found.ruling.said is not None and shaky(found.ruling.said)
            return stale or own or all(shaky(said) for said in every)
        assert found.side is not None
        return all(shaky(said) for said in found.sides[found.side].values())

    def ungrounded(self) -> set[Slot]:
        """Facts on a loop of the pack's graph that only hold each other up.

        A premise that has fallen holds nothing up, but neither is it part of a circle: a voice that cannot run leaves
        what it said provisional, which is told by the mark and not by withdrawing it.
        """
        loop = self.loop_keys()
        facts = {slot: found for slot, found in self.everything().items() if found.status == "fact"}
        on_loop = {slot for slot in facts if slot[0] in loop}
        grounded: set[Slot] = set()
        while True:
            more = {slot for slot in on_loop if self._grounded(facts[slot], facts, loop, grounded)}
            if more == grounded:
                return on_loop - grounded
            grounded = more

    @staticmethod
    def _grounded(found: Stands, facts: Mapping[Slot, Stands], loop: set[str], grounded: set[Slot]) -> bool:
        if found.by == "decision":
            return True
        rests_on = (
            [said for voices in found.sides.values() for said in voices.values()]
            if found.side is None
            else list(found.sides[found.side].values())
        )
        return any(
            not said.premises
            or any(
                s[0] not in loop or s in grounded or not (s in facts and facts[s].is_fact(v))
                for s, v in said.premises
            )
            for said in rests_on
        )

    def loop_keys(self) -> set[str]:
        """Keys from which the pack's graph (what is read -> what is written) leads back to themselves.

        An aggregation agent is shown the sides of its key, which are no facts: they are no edge.
        """
        edges = {
            (read, written)
            for agent in self.pack.agents
            for read in {
                *self.reads(agent.name),
                *([agent.over] if agent.shape in ("each", "grouped") else []),
            }
            for written in self.writes(agent.name)
        }
        return {k for k in {a for a, _ in edges} if k in reachable(k, edges)}

    # -- the pack's graph --------------------------------------------------------------------------------------

    def agent(self, name: str) -> AgentSpec:
        """The spec of an agent."""
        return next(a for a in self.pack.agents if a.name == name)

    def writes(self, name: str) -> tuple[str, ...]:
        """The keys an agent may say something about; an aggregation agent rules on its own key only."""
        agent = self.agent(name)
        return (agent.over,) if agent.shape == "aggregate" else agent.writes

    def reads(self, name: str) -> list[str]:
        """The other keys an agent is shown, those that constraints on its writes mention included (D3.3)."""
        agent = self.agent(name)
        keys = set(agent.reads)
        for written in self.writes(name):
            for rule in self.rules("constraint", written):
                keys |= self.mentions.get(rule.expression, set())
        return sorted(keys)

    def key_tier(self, key: str) -> int:
        """The lowest tier among the writers of a key; 1 if nobody writes it."""
        tiers = [a.tier for a in self.pack.agents if a.shape != "aggregate" and key in a.writes]
        return min(tiers, default=1)

    def agent_tier(self, name: str) -> int:
        """An agent's tier; an aggregation agent's is that of its key."""
        agent = self.agent(name)
        return self.key_tier(agent.over) if agent.shape == "aggregate" else agent.tier
