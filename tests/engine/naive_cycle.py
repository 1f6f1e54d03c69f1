"""The cycle of the naive model: who is shown what, who is eligible, and how effects are merged (D2, section 3)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jsonschema_rs

from tests.engine.naive import Naive
from tests.engine.naive_sides import Premise, Ruled, Said, Slot, Stands, Voice, sides_text, text, thousandths

Shown = dict[str, Any]


@dataclass(frozen=True)
class Saying:
    """One proposal as an agent returned it: plain data, checked by nobody yet."""

    key: str
    subject: str
    value: Any
    confidence: float = 1.0
    evidence: Any = None
    because: tuple[Slot, ...] | None = None


class NaiveCycle(Naive):
    """Eligibility and merging, recomputed from scratch each cycle."""

    def keys_shown(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """key -> subject -> what is shown of the slot, slots that show nothing left out."""
        shown: dict[str, dict[str, Any]] = {key: {} for key in keys}
        for slot, found in self.everything().items():
            if slot[0] in shown and found.shown is not None:
                shown[slot[0]][slot[1]] = list(found.shown)
        return shown

    def voices(self) -> list[Voice]:
        """Every voice that could be asked now, or that ran and may have to be silenced, in canonical order."""
        found: list[Voice] = []
        for agent in self.pack.agents:
            items = {item for name, item in self.last if name == agent.name}
            if agent.shape == "whole":
                items.add(None)
            elif agent.shape == "each":
                items |= set(self.keys_shown([agent.over])[agent.over])
            elif agent.shape == "grouped":
                items |= set(self.groups(agent.over, agent.group_by))
            else:
                items |= {s for k, s in self.slots() if k == agent.over}
            found += [(agent.name, item) for item in sorted(items, key=lambda i: i or "")]
        return found

    def groups(self, key: str, group_by: str) -> dict[str, list[list[Any]]]:
        """Group name -> its facts as [subject, value text, confidence]."""
        groups: dict[str, list[list[Any]]] = {}
        for slot, found in self.everything().items():
            if slot[0] != key or found.status != "fact" or not isinstance(found.value, Mapping):
                continue
            if found.value.get(group_by) is not None:
                name = found.value[group_by]
                name = name if isinstance(name, str) else text(name)
                groups.setdefault(name, []).append([slot[1], text(found.value), found.conf])
        return groups

    def shown(self, voice: Voice) -> Shown | None:
        """What a voice would be shown now, as plain JSON; None if it has nothing to speak about."""
        agent = self.agent(voice[0])
        shown: Shown = {"reads": self.keys_shown(self.reads(agent.name))}
        if agent.shape == "whole":
            return shown if not agent.reads or any(shown["reads"][key] for key in agent.reads) else None
        if agent.shape == "each":
            found = self.stands((agent.over, voice[1]))
            return {**shown, "item": [text(found.value), found.conf]} if found.status == "fact" else None
        if agent.shape == "grouped":
            group = self.groups(agent.over, agent.group_by).get(voice[1])
            return {**shown, "group": group} if group else None
        slot = (agent.over, voice[1])
        return {**shown, "sides": sides_text(self.sides(slot))} if self.asked(agent.name, slot) else None

    def asked(self, agent: str, slot: Slot) -> bool:
        """Whether the resolution of a slot reaches a rule that this aggregation agent answers."""
        mine = self.rulings.pop((agent, slot), None)
        try:
            return self.stands(slot).awaiting == agent
        finally:
            if mine is not None:
                self.rulings[agent, slot] = mine

    def eligible(self) -> list[Voice]:
        """Voices whose input differs from what their last completed run was shown, or which never ran (D2.1)."""
        return [v for v in self.voices() if self.must_run(v, self.input_text(v))]

    def must_run(self, voice: Voice, now: str | None) -> bool:
        """Whether a voice is eligible; one with nothing to speak about is, while it still has something to lose."""
        if now is None:
            return voice in self.last and self.agent(voice[0]).shape != "aggregate"
        return voice in self.retries or self.last.get(voice) != now

    def input_text(self, voice: Voice) -> str | None:
        """The input of a voice as one comparable text, None if silenced."""
        shown = self.shown(voice)
        return None if shown is None else json.dumps(shown, sort_keys=True)

    def due(self) -> list[Voice]:
        """The eligible voices of the lowest tier that has any (D4.1)."""
        eligible = self.eligible()
        lowest = min((self.agent_tier(name) for name, _ in eligible), default=0)
        return [v for v in eligible if self.agent_tier(v[0]) == lowest]

    # -- merging -----------------------------------------------------------------------------------------------

    def merge(self, effects: Mapping[Voice, list[Saying] | None]) -> dict[tuple[Voice, int], str]:
        """Merges a cycle; a `None` effect is a failure. Voices that are due but have no effect are silenced.

        Returns the outcome of each proposal by (voice, its place in the run); "" for an unchanged repetition.
        """
        due = self.due()
        inputs = {v: self.input_text(v) for v in due}
        frozen = Frozen(self)
        outcomes: dict[tuple[Voice, int], str] = {}
        for voice in due:
            if inputs[voice] is None:
                self.silence(voice)
        for voice in due:
            if inputs[voice] is None:
                continue
            said = effects[voice]
            self.last[voice] = inputs[voice] or ""
            self.settle_attempt(voice)
            if said is None:
                self.failed.add(voice)
                continue
            for place, outcome in self.merge_run(voice, said, frozen).items():
                outcomes[voice, place] = outcome
                if outcome == "rejected":
                    self.rejected.add(voice)
        return outcomes

    def admits_value(
        self, agent: str, slot: Slot, one: Saying, facts: Callable[[str], Mapping[str, Any]]
    ) -> bool:
        """Limits, schema and constraints: they bind agents, seeds and people alike (D3.3, D3.7)."""
        schema = next((k.schema for k in self.pack.keys if k.name == slot[0]), None)
        if (
            schema is None
            or not 0 <= one.confidence <= 1
            or not jsonschema_rs.is_valid(dict(schema), one.value)
        ):
            return False
        context = {
            "agent": agent,
            "key": slot[0],
            "subject": slot[1],
            "value": one.value,
            "confidence": thousandths(one.confidence) / 1000,
            "evidence": one.evidence or {},
        }
        return all(self.meanings[r.expression](context, facts) for r in self.rules("constraint", slot[0]))

    def silence(self, voice: Voice) -> None:
        """Takes back what a voice said without asking it, and forgets that it ever ran."""
        for voices in self.said.values():
            voices.pop(voice, None)
        self.last.pop(voice, None)
        self.settle_attempt(voice)

    def settle_attempt(self, voice: Voice) -> None:
        """What went wrong in a voice's earlier run counts no more."""
        self.failed.discard(voice)
        self.rejected.discard(voice)
        self.retries.discard(voice)

    def merge_run(self, voice: Voice, run: list[Saying], frozen: Frozen) -> dict[int, str]:
        """Merges one run: what is not said any more goes first, then what is said, as proposed."""
        agent = self.agent(voice[0])
        refused = {p for p, one in enumerate(run) if not frozen.admits(voice, one, run)}
        if agent.shape == "aggregate":
            return self.merge_ruling(voice, run, refused, frozen)
        speaks = {(one.key, one.subject) for p, one in enumerate(run) if p not in refused}
        struck = {(one.key, one.subject) for p, one in enumerate(run) if p in refused}
        for slot, voices in self.said.items():
            if voice in voices and slot not in speaks:
                kept = agent.append and slot not in struck and frozen.all_hold(voices[voice].premises)
                if not kept:
                    del voices[voice]
        outcomes = dict.fromkeys(refused, "rejected")
        for place, one in enumerate(run):
            if place not in refused:
                outcomes[place] = self.say(voice, one, frozen)
        return outcomes

    def say(self, voice: Voice, one: Saying, frozen: Frozen) -> str:
        """One admitted proposal; the outcome as in the table of section 3."""
        slot = (one.key, one.subject)
        new = Said(one.value, thousandths(one.confidence), one.evidence or {}, frozen.premises(voice, one))
        before = self.stands(slot)
        old = self.said.get(slot, {}).get(voice)
        if old is not None and old.statement() == new.statement():
            if not frozen.all_hold(old.premises):
                self.said[slot][voice] = replace(old, premises=new.premises)
            return ""
        self.said.setdefault(slot, {})[voice] = new
        return self.outcome(slot, voice, old, new, before)

    def outcome(self, slot: Slot, voice: Voice, old: Said | None, new: Said, before: Stands) -> str:
        """The first outcome of the table that applies to a candidate just added."""
        after = self.stands(slot)
        mine = text(new.value)
        decided = self.decisions.get(slot)
        if decided is not None and (decided.none or text(decided.value) != mine):
            return "overruled"
        if after.status == "refused" and text(after.value) == mine:
            return "overruled"
        if after.status == "contested":
            return "contested"
        if text(after.value) != mine:
            return "lost"
        if after.status != "fact":
            return "held"
        stood = before.is_fact(mine)
        others = set(before.sides.get(mine, {})) - {voice}
        if stood and (others or before.side is None):
            return "confirmed"
        if old is not None and before.is_fact(text(old.value)):
            return "revised"
        return "won" if len(after.sides) > 1 and after.by != "decision" else "accepted"

    def merge_ruling(
        self, voice: Voice, run: list[Saying], refused: set[int], frozen: Frozen
    ) -> dict[int, str]:
        """One run of an aggregation agent: a ruling, an abstention, or something refused, which is neither."""
        slot = (self.agent(voice[0]).over, voice[1])
        seen = sides_text(frozen.sides[slot])
        self.rulings.pop((voice[0], slot), None)
        if refused:
            return dict.fromkeys(range(len(run)), "rejected")
        if not run:
            self.rulings[voice[0], slot] = Ruled(None, seen)
            return {}
        one = run[0]
        said = Said(one.value, thousandths(one.confidence), one.evidence or {}, frozen.premises(voice, one))
        self.rulings[voice[0], slot] = Ruled(said, seen)
        return {0: "ruled"}


class Frozen:
    """What all voices of a cycle see, and what their proposals are checked against (D2.2, D3.3)."""

    def __init__(self, model: NaiveCycle):
        self.model = model
        self.stood = model.everything()
        self.sides = {slot: model.sides(slot) for slot in model.slots()}
        self.shown_facts = {v: self._shown_facts(v) for v in model.due() if model.shown(v) is not None}

    def _shown_facts(self, voice: Voice) -> dict[Slot, str]:
        agent = self.model.agent(voice[0])
        keys = self.model.reads(voice[0])
        found = {s: text(f.value) for s, f in self.stood.items() if f.status == "fact" and s[0] in keys}
        if agent.shape == "each":
            slot = (agent.over, voice[1])
            found[slot] = text(self.stood[slot].value)
        elif agent.shape == "grouped":
            for subject, value, _ in self.model.groups(agent.over, agent.group_by)[voice[1]]:
                found[agent.over, subject] = value
        return found

    def all_hold(self, premises: frozenset[Premise]) -> bool:
        """Whether every premise stands with its value in the frozen view."""
        return all(slot in self.stood and self.stood[slot].is_fact(value) for slot, value in premises)

    def premises(self, voice: Voice, one: Saying) -> frozenset[Premise]:
        """What a proposal rests on: what it names, else all that its run was shown."""
        shown = self.shown_facts[voice]
        slots = shown if one.because is None else one.because
        return frozenset((slot, shown[slot]) for slot in slots)

    def admits(self, voice: Voice, one: Saying, run: list[Saying]) -> bool:
        """Whether a proposal is not `rejected`."""
        slot = (one.key, one.subject)
        if one.key not in self.model.writes(voice[0]):
            return False
        if sum((o.key, o.subject) == slot for o in run) > 1:
            return False
        agent = self.model.agent(voice[0])
        if agent.shape == "aggregate" and one.subject != voice[1]:
            return False
        if one.because is None:
            if agent.append:
                return False
        elif not set(one.because) <= set(self.shown_facts[voice]):
            return False
        return self.model.admits_value(voice[0], slot, one, self.standing_values)

    def standing_values(self, key: str) -> dict[str, Any]:
        """subject -> value of what stood when the cycle began."""
        return {s[1]: f.value for s, f in self.stood.items() if s[0] == key and f.status == "fact"}
