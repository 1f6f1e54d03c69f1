"""Oscillation is detected, not waited out (D2.8).

For packs with a loop only: a sum of 128-bit hashes over candidates, rulings, last-shown inputs and attempts, kept up to
date at the cost of the change. A sum does not care for order, so equal states have equal sums however they came about.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from runtime.engine.eligible import Run
from runtime.engine.inputs import Failure
from runtime.engine.ledger import Ledger
from runtime.engine.state import Premises, Shown, Slot

_MASK = (1 << 128) - 1


class Oscillation(NamedTuple):
    """A state that came back: after how many cycles, and which slots and agents swing."""

    period: int
    slots: list[tuple[str, str]]
    agents: list[str]


def mark(*parts: object) -> int:
    """128 bits of the parts' representation."""
    return int.from_bytes(
        hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    )


def _premises_mark(premises: Premises) -> tuple[Any, ...]:
    pairs = tuple((slot.key, slot.subject, raw) for slot, raw in premises.pairs)
    return (premises.default, pairs, premises.block and premises.block.mark)


class Watch:
    """Remembers the states since the last outside input. `sums[key]` is over what the key's slots show now."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.sums: dict[str, int] = dict.fromkeys(ledger.keys, 0)
        self.slots: dict[Slot, int] = {}
        self.voices: dict[tuple[int, str | None], int] = {}
        self.others: dict[int, tuple[int, ...]] = {}
        self.total = 0
        self.seen: dict[int, int] = {}
        self.moves: list[tuple[int, frozenset[tuple[str, str]], frozenset[str]]] = []

    def restart(self) -> None:
        """Outside input: what was seen before does not count any more."""
        self.seen.clear()
        self.moves.clear()

    def note_plan(self, runs: list[Run]) -> None:
        """Before merging: what each agent is shown of the keys it reads is part of the state, and of its premises."""
        for run in runs:
            at = run.voice.at
            seen = tuple(self.sums[k] for k in self.ledger.agents[at].reads)
            self.others[at] = seen
            if run.premises.block is not None:
                run.premises.block.mark = seen

    def note_run(self, run: Run, failure: Failure | None) -> None:
        """A voice was shown its own item, and failed or did not."""
        at = run.voice.at
        self._set_voice((at, run.item), mark("voice", at, run.item, run.shown, failure))

    def note_silence(self, at: int, item: str | None) -> None:
        """A voice fell silent."""
        self._set_voice(
            (at, item), 0
        )  # like one that never ran: both run as soon as there is something to see

    def _set_voice(self, name: tuple[int, str | None], value: int) -> None:
        self.total = (self.total - self.voices.get(name, 0) + value) & _MASK
        self.voices[name] = value

    def note_slots(self, touched: dict[Slot, Shown]) -> None:
        """After merging: the candidates, rulings and decisions of touched slots, and what they show."""
        for slot, before in touched.items():
            value = self._slot_mark(slot)
            self.total = (self.total - self.slots.get(slot, 0) + value) & _MASK
            self.slots[slot] = value
            after = slot.shown()
            if after != before:
                change = mark(slot.subject, after) - mark(slot.subject, before)
                self.sums[slot.key] = (self.sums[slot.key] + change) & _MASK

    def _slot_mark(self, slot: Slot) -> int:
        said = sorted(
            (c.voice.agent, c.voice.item or "", c.raw, c.conf, c.evidence, _premises_mark(c.premises))
            for c in slot.cands
        )
        desk: Any = None
        if slot.desk is not None:
            rulings = sorted(
                (at, r.raw or b"", r.conf, r.sides, _premises_mark(r.premises))
                for at, r in slot.desk.rulings.items()
            )
            verdict = slot.desk.verdict
            said_no = sorted(slot.desk.refusals)
            desk = (rulings, verdict and (verdict.raw, verdict.by), said_no)
            if slot.desk.passed:
                desk = (*desk, sorted((raw, sorted(rules)) for raw, rules in slot.desk.passed.items()))
            if desk == ([], None, []):
                desk = None  # a desk nobody wrote on is none
        return mark(slot.key, slot.subject, said, desk)

    def look(self, cycle: int, changed: list[tuple[str, str]], agents: list[str]) -> Oscillation | None:
        """Whether this very state was seen before; remembers it if not."""
        self.moves.append((cycle, frozenset(changed), frozenset(agents)))
        retries = [(agent.at, sorted(agent.retry, key=str)) for agent in self.ledger.agents if agent.retry]
        state = mark(self.total, tuple(sorted(self.others.items())), retries)
        first = self.seen.setdefault(state, cycle)
        if first == cycle:
            return None
        slots: set[tuple[str, str]] = set()
        names: set[str] = set()
        for at, moved, ran in self.moves:
            if at > first:
                slots |= moved
                names |= ran
        return Oscillation(cycle - first, sorted(slots), sorted(names))
