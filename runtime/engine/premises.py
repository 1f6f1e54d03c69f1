"""No fact outlives its premises: what is provisional, and what only holds itself up (D3.5).

Both are worked out when somebody must know (on settling), from marks that `flush` keeps. As long as nothing has fallen
that costs nothing; otherwise it costs one pass over the candidates.
"""

from __future__ import annotations

from collections.abc import Iterator

from runtime.engine.ledger import Ledger
from runtime.engine.resolve import signature
from runtime.engine.state import FACT, Block, Candidate, Premises, Ruling, Slot


def provisional_facts(ledger: Ledger) -> dict[Slot, None]:
    """The slots whose fact rests on something that fell: the least set that the rules of D3.5 close."""
    if not _anything_fell(ledger):
        return {}
    return _Spread(ledger).run()


def _anything_fell(ledger: Ledger) -> bool:
    ledger.shaken = {p: None for p in ledger.shaken if p.fallen and p.refs}
    return bool(ledger.shaken) or any(
        ruling_is_stale(ledger.keys[agent.spec.over].slots[subject], agent.at)
        for agent in ledger.agents
        if agent.spec.shape == "aggregate"
        for subject in agent.reached
        if subject in agent.pending or subject in agent.failed or agent.dirty
    )


def ruling_is_stale(slot: Slot, at: int) -> bool:
    """Whether a ruling applies that was made on other sides than these."""
    ruling = slot.desk.rulings.get(at) if slot.desk is not None else None
    return ruling is not None and ruling.raw is not None and ruling.sides != signature(slot.sides())


class _Spread:
    """One pass over all candidates, then outwards from what fell."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.resting: dict[Premises, list[Candidate | Slot]] = {}
        self.watching: dict[Block, list[Premises]] = {}
        self.fallen: dict[Premises, None] = {}
        self.marked: dict[Slot, None] = {}
        self.todo: list[Slot] = []

    def run(self) -> dict[Slot, None]:
        for slot in _all_slots(self.ledger):
            for premises, rests in _premises_of(slot):
                self.resting.setdefault(premises, []).append(rests)
        for premises in self.resting:
            if premises.block is not None:
                self.watching.setdefault(premises.block, []).append(premises)
            if not premises.hold():
                self.fallen[premises] = None
        for premises in list(self.fallen):
            self._recheck(premises)
        for agent in self.ledger.agents:
            if agent.spec.shape == "aggregate":
                for subject in agent.reached:
                    self._check(self.ledger.keys[agent.spec.over].slots[subject])
        while self.todo:
            self._spread_from(self.todo.pop())
        return self.marked

    def _spread_from(self, slot: Slot) -> None:
        for premises, raw in (slot.dependents or {}).items():
            if raw == slot.raw:
                self._fell(premises)
        for block in self.ledger.keys[slot.key].blocks:
            if slot not in block.changed:
                for premises in self.watching.get(block, ()):
                    self._fell(premises)

    def _fell(self, premises: Premises) -> None:
        if premises not in self.fallen:
            self.fallen[premises] = None
            self._recheck(premises)

    def _recheck(self, premises: Premises) -> None:
        for rests in self.resting.get(premises, ()):
            self._check(rests if isinstance(rests, Slot) else rests.slot)

    def _check(self, slot: Slot) -> None:
        if slot not in self.marked and slot.status == FACT and self._is_provisional(slot):
            self.marked[slot] = None
            self.todo.append(slot)

    def _is_provisional(self, slot: Slot) -> bool:
        desk = slot.desk
        if desk is not None and desk.verdict is not None:
            return False
        ruling = standing_ruling(self.ledger, slot)
        if ruling is not None:
            return (
                ruling.premises in self.fallen
                or ruling.sides != signature(slot.sides())
                or all(c.premises in self.fallen for c in slot.cands)
            )
        return all(c.premises in self.fallen for c in slot.cands if c.raw == slot.raw)


def _all_slots(ledger: Ledger) -> Iterator[Slot]:
    for state in ledger.keys.values():
        yield from state.slots.values()


def _premises_of(slot: Slot) -> Iterator[tuple[Premises, Candidate | Slot]]:
    for cand in slot.cands:
        yield cand.premises, cand
    if slot.desk is not None:
        for ruling in slot.desk.rulings.values():
            yield ruling.premises, slot


def standing_ruling(ledger: Ledger, slot: Slot) -> Ruling | None:
    """The ruling by which the slot's fact stands, if it does."""
    asked = ledger.asked.get(slot)
    if not asked or slot.desk is None or slot.status != FACT:
        return None
    ruling = slot.desk.rulings.get(asked[-1])
    if ruling is None or ruling.raw != slot.raw or ruling.refused:
        return None
    return ruling


def unfounded(ledger: Ledger) -> list[Candidate]:
    """Candidates of facts on loops from which no path of premises reaches solid ground: they fall together.

    Asked only at a would-be fixed point, and only if something on a loop was withdrawn or rests on other things now.
    """
    loops = [name for name, plan in ledger.plan.keys.items() if plan.on_loop]
    suspects = [s for name in loops for s in ledger.keys[name].slots.values() if s.status == FACT]
    grounded: dict[Slot, None] = {}
    check = _Ground(ledger, set(loops), grounded)
    growing = True
    while growing:
        growing = False
        for slot in suspects:
            if slot not in grounded and check.holds(slot):
                grounded[slot] = None
                growing = True
    loose = sorted((s for s in suspects if s not in grounded), key=lambda s: (s.key, s.subject))
    return [
        c
        for slot in loose
        for c in slot.cands
        if c.raw == slot.raw or standing_ruling(ledger, slot) is not None
    ]


class _Ground:
    """Whether a slot's fact reaches ground, given those known to."""

    def __init__(self, ledger: Ledger, loops: set[str], grounded: dict[Slot, None]) -> None:
        self.ledger = ledger
        self.loops = loops
        self.grounded = grounded
        self.blocks: dict[Block, tuple[bool, list[Slot]]] = {}

    def holds(self, slot: Slot) -> bool:
        if slot.desk is not None and slot.desk.verdict is not None:
            return True
        ruled = standing_ruling(self.ledger, slot) is not None
        return any(self._rests(c.premises) for c in slot.cands if ruled or c.raw == slot.raw)

    def _rests(self, premises: Premises) -> bool:
        # A premise that has fallen makes its fact provisional, not unfounded: it holds nobody up in a circle.
        if any(s.key not in self.loops or s in self.grounded or s.raw != raw for s, raw in premises.pairs):
            return True
        named = bool(premises.pairs)
        if premises.block is None:
            return not named
        if premises.block.fallen:
            return True
        outside, inside = self._content(premises.block)
        return outside or any(s in self.grounded for s in inside) or not (named or inside)

    def _content(self, block: Block) -> tuple[bool, list[Slot]]:
        """Whether the block held a fact outside the loops, and those it held on them."""
        known = self.blocks.get(block)
        if known is None:
            outside, inside = False, []
            for key in block.keys:
                held = [s for s in self.ledger.keys[key].slots.values() if _was_fact(block, s)]
                if key in self.loops:
                    inside += held
                elif held:
                    outside = True
            known = self.blocks[block] = (outside, inside)
        return known


def _was_fact(block: Block, slot: Slot) -> bool:
    return block.changed[slot] is not None if slot in block.changed else slot.status == FACT
