"""The engine's memory of one job, and the few ways it may change.

Whatever touches a slot goes through `restand`, which notes what the slot showed before; `flush` (flush.py) then carries
the differences to premises and readers. So the cost of a cycle follows the change (D2.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.engine.compiled import Compiled, KeyPlan
from runtime.engine.inputs import Failure
from runtime.engine.log import Log
from runtime.engine.resolve import Standing, resolve
from runtime.engine.spec import AgentSpec
from runtime.engine.state import FACT, Block, Candidate, KeyState, Premises, Shown, Slot, Voice
from runtime.engine.versions import ENGINE_VERSION


class AgentState:
    """What one agent still has to look at.

    `dirty`: slots of its reads that show something else than when it last ran, with what they showed then. `pending`:
    items, groups or disputed subjects whose own input differs. `groups` and `member` are kept for grouped agents.
    """

    __slots__ = (
        "at",
        "dirty",
        "ever",
        "failed",
        "groups",
        "is_plain",
        "member",
        "pending",
        "reached",
        "reads",
        "refused",
        "retry",
        "shown",
        "spec",
        "tier",
        "voices",
        "writes",
    )

    def __init__(self, at: int, spec: AgentSpec, reads: dict[str, KeyState], tier: int) -> None:
        self.at = at
        self.spec = spec
        self.reads = tuple(reads)
        self.shown = reads
        self.is_plain = spec.shape != "aggregate" and not spec.append
        self.tier = tier
        self.writes = frozenset(spec.writes or ((spec.over,) if spec.shape == "aggregate" else ()))
        self.voices: dict[str | None, Voice] = {}
        self.ever = False
        self.dirty: dict[Slot, Shown] = {}
        self.pending: dict[str, None] = {}
        self.retry: dict[str | None, None] = {}
        self.reached: dict[str, None] = {}
        self.groups: dict[str, dict[str, None]] = {}
        self.member: dict[str, str] = {}
        self.failed: dict[str | None, Failure] = {}
        self.refused: dict[str | None, list[tuple[str, str, str]]] = {}

    def forget(self, item: str | None) -> None:
        """Drops what was still to do or to tell about a voice: it runs, or falls silent, now."""
        if self.pending:
            self.pending.pop(item, None)  # type: ignore[arg-type]
        for notes in (self.retry, self.failed, self.refused):
            if notes:
                notes.pop(item, None)

    def open_failures(self) -> dict[str | None, Failure]:
        """The voices whose latest run failed. An aggregation agent's count only where its rule is reached."""
        if self.spec.shape != "aggregate":
            return self.failed
        return {item: failure for item, failure in self.failed.items() if item in self.reached}

    def open_refusals(self) -> dict[str | None, list[tuple[str, str, str]]]:
        """The voices whose latest run said something that was refused, counted like failures."""
        if self.spec.shape != "aggregate":
            return self.refused
        return {item: rows for item, rows in self.refused.items() if item in self.reached}

    def voice(self, item: str | None) -> Voice:
        """The agent's voice on `item`, made when first heard."""
        voice = self.voices.get(item)
        if voice is None:
            voice = self.voices[item] = Voice(self.spec.name, self.at, item)
        return voice


class Ledger:
    """Slots, voices, and what has been touched since the last flush."""

    def __init__(self, plan: Compiled, engine_version: int = ENGINE_VERSION) -> None:
        self.plan = plan
        self.engine_version = engine_version
        self.submitter = plan.pack.submitter
        self.keys: dict[str, KeyState] = {name: KeyState() for name in plan.keys}
        self.agents = [
            AgentState(
                at,
                spec,
                {key: self.keys[key] for key in plan.reads[at]},
                plan.keys[spec.over].tier if spec.shape == "aggregate" else spec.tier,
            )
            for at, spec in enumerate(plan.agents)
        ]
        self.awake: list[dict[int, None]] = [{} for _ in range(plan.top_tier + 1)]
        for agent in self.agents:
            self.awake[agent.tier][agent.at] = None
        self.people: dict[tuple[str, str], Voice] = {}
        self.touched: dict[Slot, Shown] = {}
        self.asked: dict[Slot, tuple[int, ...]] = {}
        self.log = Log()
        self.cycle = 0
        self.standing = 0  # facts, contested slots and holds, over all keys
        self.contested = 0
        self.held = 0
        self.due: int | None = None  # the lowest tier with work, None until asked after the last change
        self.loop_loosened = False
        self.shaken: dict[Premises | Block, None] = {}
        self.unanswered: dict[Slot, Shown] = {}
        self.refused_slots: dict[Slot, None] = {}
        self.given_up: dict[
            tuple[int, str | None], str
        ] = {}  # failed voices not waited for any more, and why

    def slot(self, key: str, subject: str) -> Slot:
        """The slot, made when first spoken of. Raises KeyError for an undeclared key."""
        state = self.keys[key]
        slot = state.slots.get(subject)
        if slot is None:
            slot = state.slots[subject] = Slot(key, subject)
            state.order = None
        return slot

    def person(self, kind: str, item: str) -> Voice:
        """The voice of a seed or a person."""
        voice = self.people.get((kind, item))
        if voice is None:
            voice = self.people[kind, item] = Voice(kind, -1, item)
        return voice

    def restand(self, slot: Slot, plan: KeyPlan) -> Standing | None:
        """Works out again what stands in `slot`, after its candidates or its desk changed.

        Gives None in the plain case (one candidate, nobody asked), which costs no more than setting it.
        """
        if slot not in self.touched:
            self.touched[slot] = (slot.status, slot.raw, slot.strength)
        if len(slot.cands) == 1 and slot.desk is None and not plan.approvals:
            cand = slot.cands[0]
            slot.status, slot.raw, slot.strength, slot.would = FACT, cand.raw, cand.conf, None
            if plan.aggregators:
                self.asked.pop(slot, None)
            return None
        found = resolve(slot, plan, self.plan.index, self.submitter)
        slot.status, slot.raw, slot.would = found.status, found.raw, found.would
        slot.strength = (
            found.strength if found.status == FACT else 0
        )  # of what is held nobody is shown anything
        if found.asked:
            self.asked[slot] = found.asked
        else:
            self.asked.pop(slot, None)
        if found.refused:
            self.refused_slots[slot] = None
        else:
            self.refused_slots.pop(slot, None)
        return found

    def put(self, cand: Candidate, old: Candidate | None) -> None:
        """Lets a voice say `cand` in place of `old`."""
        slot = cand.slot
        if old is None:
            slot.cands.append(cand)
        else:
            slot.cands[slot.cands.index(old)] = cand
            self.release(old.premises)
            self.loosen(slot)
        cand.voice.said[slot] = cand
        self.acquire(cand.premises)

    def drop(self, cand: Candidate) -> None:
        """Takes a candidate out of its slot."""
        cand.slot.cands.remove(cand)
        del cand.voice.said[cand.slot]
        self.release(cand.premises)
        self.loosen(cand.slot)

    def rebase(self, cand: Candidate, premises: Premises) -> None:
        """Lets an unchanged statement rest on new premises (D3.5)."""
        self.acquire(premises)
        self.release(cand.premises)
        cand.premises = premises
        self.touched.setdefault(cand.slot, cand.slot.shown())
        self.loosen(cand.slot)

    def loosen(self, slot: Slot) -> None:
        """Notes that a fact on a loop may have lost what held it up from outside (D3.5)."""
        if self.plan.keys[slot.key].on_loop:
            self.loop_loosened = True

    def acquire(self, premises: Premises) -> None:
        """Watches the premises for as long as a statement rests on them."""
        premises.refs += 1
        if premises.refs > 1 or not (premises.pairs or premises.block):
            return
        for slot, raw in premises.pairs:
            if slot.dependents is None:
                slot.dependents = {}
            slot.dependents[premises] = raw
        block = premises.block
        if block is not None:
            block.refs += 1
            if block.refs == 1:
                for key in block.keys:
                    self.keys[key].blocks[block] = None

    def release(self, premises: Premises) -> None:
        """Stops watching when nothing rests on them any more."""
        premises.refs -= 1
        if premises.refs or not (premises.pairs or premises.block):
            return
        for slot, _ in premises.pairs:
            if slot.dependents is not None:
                slot.dependents.pop(premises, None)
        block = premises.block
        if block is not None:
            block.refs -= 1
            if block.refs == 0:
                for key in block.keys:
                    self.keys[key].blocks.pop(block, None)

    def lookups(self) -> Mapping[str, Any]:
        """`fact` and `facts` for CEL expressions, over what stands now."""
        from runtime.engine.values import parse

        def fact(key: str, subject: str) -> Any:
            slot = self.keys[key].slots.get(subject) if key in self.keys else None
            return parse(slot.raw) if slot is not None and slot.status == FACT and slot.raw else None

        def facts(key: str) -> dict[str, Any]:
            slots = self.keys[key].slots if key in self.keys else {}
            return {s: parse(slots[s].raw or b"null") for s in sorted(slots) if slots[s].status == FACT}

        return {"fact": fact, "facts": facts}
