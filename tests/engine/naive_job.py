"""A whole job in the naive model: what people do, what falls together, and how far the answer has come."""

from __future__ import annotations

import json
from typing import Any

from runtime.engine.spec import AgentSpec, RuleSpec
from tests.engine.naive_cycle import NaiveCycle, Saying
from tests.engine.naive_sides import Decided, Said, Slot, Voice, strength, text, thousandths

Gap = tuple[str, ...]


class NaiveJob(NaiveCycle):
    """Seeds, inbox rows, unfounded loops, tiers."""

    def seed(self, number: int, one: Saying) -> str:
        """A seed speaks as a voice of its own, without premises."""
        return self.say_from_outside(("@seed", str(number)), one)

    def say_from_outside(self, voice: Voice, one: Saying) -> str:
        """A statement of a person or a seed; its outcome, "" if it repeats itself."""
        slot = (one.key, one.subject)
        if not self.admits_value(voice[0], slot, one, self.standing_values):
            return "rejected"
        before = self.stands(slot)
        old = self.said.get(slot, {}).get(voice)
        new = Said(one.value, thousandths(one.confidence), one.evidence or {})
        if old is not None and old.statement() == new.statement():
            return ""
        self.said.setdefault(slot, {})[voice] = new
        return self.outcome(slot, voice, old, new, before)

    # -- people (D3.7) -----------------------------------------------------------------------------------------

    def decide(self, slot: Slot, value: Any, none: bool, by: str) -> str:
        """A decision; it replaces an earlier one. Schemas and constraints bind it."""
        one = Saying(*slot, value)
        if not all(self.counts_for(rule, by) for rule in self.policies(slot)):
            return "refused"
        if not none and not self.admits_value("@operator", slot, one, self.standing_values):
            return "refused"
        before, rules = self.decisions.get(slot), tuple(rule.name for rule in self.policies(slot))
        self.decisions[slot] = Decided(None if none else value, none, by, 1000, rules)
        if self.stands(slot).status == "refused":
            del self.decisions[slot]
            if before is not None:
                self.decisions[slot] = before
            return "refused"
        return "applied"

    def undo(self, slot: Slot, by: str) -> str:
        """Takes a decision back; where there is none, what was refused or let pass at a deadline."""
        if slot in self.decisions:
            if not all(self.counts_for(rule, by) for rule in self.policies(slot)):
                return "refused"
            del self.decisions[slot]
            return "applied"
        if not any(self.counts_for(rule, by) for rule in self.rules("approval", slot[0])):
            return "refused"
        refused = {answer for answer in self.refused if answer[0] == slot}
        passed = {answer for answer in self.passed if answer[0] == slot}
        self.refused -= refused
        self.passed -= passed
        return "applied" if refused or passed else "refused"

    def approve(self, slot: Slot, by: str) -> str:
        """One person's approval of exactly the value that is held."""
        found = self.stands(slot)
        if found.status != "held":
            return "stale"
        if not any(self.counts_for(rule, by) for rule in self.approval_rules(slot, found)):
            return "refused"
        self.approved.setdefault((slot, text(found.value)), set()).add(by)
        return "applied"

    def refuse(self, slot: Slot, by: str) -> str:
        """Somebody who may approve refuses exactly the value that is held: it never stands (section 3)."""
        found = self.stands(slot)
        if found.status != "held":
            return "stale"
        if not any(self.counts_for(rule, by) for rule in self.approval_rules(slot, found)):
            return "refused"
        self.refused.add((slot, text(found.value)))
        return "applied"

    def expire(self, slot: Slot, name: str) -> str:
        """The deadline of the rule `name` is over: its outcome, if it still asks about this slot."""
        found = self.stands(slot)
        rule = next((r for r in self.pack.rules if r.name == name and name == found.left_to_people_by), None)
        if found.status not in ("contested", "held") or rule is None:
            return "stale"
        outcome = rule.params.get("outcome", "stay")
        if outcome == "stay":
            return "refused"
        if found.status == "held":
            if outcome == "reject":
                self.refused.add((slot, text(found.value)))
            else:
                self.passed.add((slot, text(found.value), name))
            return "applied"
        strengths = sorted(strength(voices) for voices in found.sides.values())
        if outcome == "reject":
            self.decisions[slot] = Decided(None, True, "@clock", 1000, (name,))
        elif strengths[-1] == strengths[-2]:
            return "refused"
        else:
            strongest = max(found.sides.values(), key=strength)
            value = next(iter(strongest.values())).value
            self.decisions[slot] = Decided(value, False, "@clock", strengths[-1], (name,))
        return "applied"

    def add_fact(self, slot: Slot, value: Any, confidence: float, by: str) -> str:
        """A person speaks."""
        outcome = self.say_from_outside(("@person", by), Saying(*slot, value, confidence))
        return "refused" if outcome == "rejected" else "applied"

    def withdraw_fact(self, slot: Slot, by: str) -> str:
        """People withdraw their own and nobody else's."""
        return "refused" if self.said.get(slot, {}).pop(("@person", by), None) is None else "applied"

    def retry(self) -> str:
        """A person asks: every failed voice is due again (D2.1), and nobody is given up."""
        self.retries |= self.failed
        self.given_up.clear()
        return "applied"

    def retry_due(self) -> str:
        """The clock asks: failed voices that may recover are due again (D5.2)."""
        self.retries |= {v for v in self.failed if v[0] in self.transient}
        return "applied"

    def give_up(self, on: str) -> str:
        """Failures that may recover are waited for no more."""
        self.given_up |= {v for v in self.failed if v[0] in self.transient and on in ("", v[0])}
        return "applied"

    def forget_given_up(self) -> None:
        """Who failed no more has recovered."""
        self.given_up &= self.failed

    # -- between phases ----------------------------------------------------------------------------------------

    def forget_idle_rulings(self) -> None:
        """A ruling applies while two sides exist; where they do not, it is as if nobody had been asked (D3.2)."""
        for agent in self.pack.agents:
            if agent.shape != "aggregate":
                continue
            known = {v for v in self.last if v[0] == agent.name} | {
                (a, s[1]) for a, s in self.rulings if a == agent.name
            }
            for voice in known:
                slot = (agent.over, voice[1])
                if len(self.sides(slot)) < 2:
                    self.rulings.pop((agent.name, slot), None)
                    self.last.pop(voice, None)
                    self.settle_attempt(voice)

    def drop_ungrounded(self) -> list[Slot]:
        """At a would-be fixed point: facts that only hold each other up fall together (D3.5)."""
        loose = self.ungrounded()
        for slot in loose:
            found = self.stands(slot)
            falling = [found.side] if found.side is not None else list(found.sides)
            for voice, said in list(self.said[slot].items()):
                if text(said.value) in falling:
                    del self.said[slot][voice]
        return sorted(loose)

    # -- tiers (D4.2) ------------------------------------------------------------------------------------------

    def gaps(self, tier: int) -> set[Gap]:
        """What is missing in a tier's own demands: (what, ...) with the names that belong to it."""
        found: set[Gap] = set()
        eligible = {name for name, _ in self.eligible()}
        for agent in self.pack.agents:
            if self.agent_tier(agent.name) != tier:
                continue
            if agent.name in eligible:
                found.add(("eligible", agent.name))
            elif agent.required:
                if agent.shape == "whole" and (agent.name, None) not in self.last:
                    found.add(("nothing_to_read", agent.name))
                for what, voices in (("failed", self.failed), ("rejected", self.rejected)):
                    found |= {
                        (what, v[0], str(v[1])) for v in voices if v[0] == agent.name and self.may_speak(v)
                    }
            elif self.is_awaited(agent):
                found.add(("awaited", agent.name))
        words = {"contested": "conflict", "held": "hold", "refused": "refused"}
        for slot, stands in self.everything().items():
            if stands.status in words and self.key_tier(slot[0]) == tier:
                found.add((words[stands.status], *slot))
        found |= {("provisional", *slot) for slot in self.provisional() if self.key_tier(slot[0]) == tier}
        for rule in self.pack.rules:
            mine = rule.kind == "invariant" and rule.enabled and rule.params.get("tier", 1) == tier
            if mine and not self.meanings[rule.expression]({}, self.standing_values):
                found.add(("invariant", rule.name))
        return found

    def may_speak(self, voice: Voice) -> bool:
        """Whether anybody waits for the voice: an aggregation agent only where its rule is reached."""
        agent = self.agent(voice[0])
        return agent.shape != "aggregate" or self.asked(agent.name, (agent.over, voice[1]))

    def is_awaited(self, agent: AgentSpec) -> bool:
        """Whether an optional agent that the pack says to wait for failed, may recover and is not given up (D4.3)."""
        if not agent.wait or agent.name not in self.transient:
            return False
        return any(v[0] == agent.name and self.may_speak(v) for v in self.failed - self.given_up)

    def reached(self) -> int:
        """The highest tier that is reached: it and all below have no gap."""
        tier = 0
        while tier < len(self.pack.tiers) and not self.gaps(tier + 1):
            tier += 1
        return tier

    def settled_reason(self) -> str:
        """Why the job stops at a fixed point (D4.5)."""
        if any(
            self.is_broken_for_good(rule)
            for rule in self.pack.rules
            if rule.kind == "invariant" and rule.enabled
        ):
            return "invalid"
        if self.reached() == len(self.pack.tiers):
            return "converged"
        gaps = [gap for tier in range(1, len(self.pack.tiers) + 1) for gap in self.gaps(tier)]
        lasting = {("failed", name, str(item)) for name, item in self.given_up}
        if any(
            gap[0] in ("failed", "awaited") and gap[1] in self.transient and gap not in lasting
            for gap in gaps
        ):
            return "recovering"
        return "waiting" if any(gap[0] in ("conflict", "hold") for gap in gaps) else "partial"

    def is_broken_for_good(self, rule: RuleSpec) -> bool:
        """Whether an invariant fails and nothing it looks at is still open: contested, held, absent, or failed."""
        if self.meanings[rule.expression]({}, self.standing_values):
            return False
        shown = self.keys_shown(sorted(self.mentions[rule.expression]))
        for key, subjects in shown.items():
            if not subjects or any(one != "fact" for one, *_ in subjects.values()):
                return False
            if any(key in self.writes(name) for name, _ in self.failed):
                return False
        return True

    # -- the whole state (D2.8) --------------------------------------------------------------------------------

    def whole_state(self) -> str:
        """Candidates, rulings, last-shown inputs and attempts as one text: equal texts are equal states."""
        return json.dumps(
            [
                sorted(
                    [*slot, str(voice), *said.statement(), sorted(map(str, said.premises))]
                    for slot, voices in self.said.items()
                    for voice, said in voices.items()
                ),
                sorted(
                    [str(at), ruled.seen, *(ruled.said.statement() if ruled.said else ("abstained",))]
                    for at, ruled in self.rulings.items()
                ),
                sorted([str(slot), *decided.statement()] for slot, decided in self.decisions.items()),
                sorted([str(voice), shown] for voice, shown in self.last.items()),
                sorted(map(str, self.failed)),
                sorted(map(str, self.retries)),
                sorted(map(str, self.rejected)),
            ]
        )
