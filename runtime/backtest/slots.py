"""What would stand in a slot under the changed rules, with the very candidates that the record holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from runtime.backtest.clock import Clock, told_by_clock, told_in_doubt
from runtime.backtest.flips import Flip, look_of, look_under, told, value_told
from runtime.engine import Commit, Core
from runtime.engine.compiled import Compiled, KeyPlan
from runtime.engine.log import Entry
from runtime.engine.resolve import Standing, resolve, signature
from runtime.engine.spec import CLOCK
from runtime.engine.state import CONTESTED, EMPTY, FACT, HELD, Desk, Slot, Verdict
from runtime.engine.values import parse


class Asked(NamedTuple):
    """A conflict that is open in the record since cycle `since`. `would` tells what the changed rules would let stand
    instead, first in cycle `first`, and `raw` is its value; None where people would have to be asked as well, or an
    agent."""

    since: int
    first: int
    would: dict[str, Any] | None
    raw: bytes | None


class Decided(NamedTuple):
    """A verdict that ended an open conflict: what was `asked`, and the flip it took the place of, if any. `is_named`
    tells whether it is named as a flip itself."""

    verdict: Verdict
    asked: Asked
    merge: Flip | None
    is_named: bool


Unknown = dict[str, Any] | None  # what is told where the record does not say what would stand


class SlotWatch:
    """Compares every slot of the covered keys whenever something was said about it."""

    def __init__(self, core: Core, changed: Compiled, keys: frozenset[str]) -> None:
        self.core, self.changed, self.keys = core, changed, keys
        self.clock = Clock(core, changed)
        self._found: dict[tuple[str, Slot], Flip] = {}
        self._asked: dict[Slot, Asked] = {}
        self._decided: dict[Slot, Decided] = {}
        self._doubts: dict[Slot, Flip] = {}  # questions that are open and may be over under the changed rules
        self._waited: set[Slot] = set()  # those of them that a job that had stopped waited for
        rulers = [a for a in changed.agents if a.shape == "aggregate" and a.over in keys]
        self._over = {agent.name: agent.over for agent in rulers}

    def look(self, commit: Commit) -> None:
        """Compares what this cycle touched."""
        for slot in self._touched(commit.entries):
            self._compare(slot, commit.number)
        if commit.stop is not None:
            self._waited.update(self._doubts)

    def flips(self) -> Iterator[Flip]:
        """All flips, each with whether it lasts."""
        still = self._doubts.keys() & self._waited
        for slot in still:
            self._found.setdefault(("unknown", slot), self._doubts[slot])
        for (kind, slot), flip in self._found.items():
            is_open = kind == "unknown" and slot in still
            yield flip._replace(lasting=is_open or self._lasts(kind, slot))

    def _touched(self, entries: list[Entry]) -> list[Slot]:
        """The slots whose candidates, rulings or desk this cycle may have changed, as its entries name them."""
        names: dict[tuple[str, str], None] = {}
        for entry in entries:
            if entry.key in self.keys:
                names[entry.key, entry.subject] = None
            elif entry.kind == "run" and entry.agent in self._over and b'"abstained"' in entry.body:
                over = self._over[entry.agent]
                names.update(dict.fromkeys((over, item) for item in parse(entry.body)["abstained"]))
        found = (self.core.ledger.keys[key].slots.get(subject) for key, subject in names)
        return [slot for slot in found if slot is not None]

    def _compare(self, slot: Slot, cycle: int) -> None:
        has_ruled = self.clock.hear(slot)
        would, unknown = self._would(slot)
        asked = self._asked.pop(slot, None) or self._take_back(slot)
        if asked is not None:
            self._note_decision(slot, asked)
        self._note_answer(slot)
        is_other = look_of(slot) != look_under(would)
        if slot.status == CONTESTED:
            since = cycle if asked is None else asked.since
            settles = unknown is None and would.status not in (CONTESTED, HELD)
            first = asked.first if asked is not None and asked.first else cycle if settles else 0
            self._asked[slot] = Asked(since, first, self._told(slot, would) if settles else None, would.raw)
        self._note_deadline(slot, would if unknown is None else None, cycle, has_ruled)
        if unknown is not None:
            self._add(slot, "unknown", "unknown", cycle, unknown)
        elif is_other:
            self._add(slot, *kind_of(slot, would.status), cycle, self._told(slot, would))

    def _would(self, slot: Slot) -> tuple[Standing, Unknown]:
        """What would stand; and what is told instead if that hangs on what is not on record."""
        return self._under(slot, self.clock.desk_of(slot))

    def _under(self, slot: Slot, desk: Desk | None) -> tuple[Standing, Unknown]:
        would = self._resolve(slot, desk)
        unheard = self._unheard(slot, would) if would.asked else ""
        return would, {"status": "unknown", "agent": unheard} if unheard else self.clock.doubt(slot, would)

    def _resolve(self, slot: Slot, desk: Desk | None) -> Standing:
        """What would stand with that desk."""
        was, slot.desk = slot.desk, desk
        try:
            return self._stand(slot, self.changed.keys[slot.key])
        finally:
            slot.desk = was

    def _stand(self, slot: Slot, plan: KeyPlan) -> Standing:
        return resolve(slot, plan, self.core.plan.index, self.core.ledger.submitter)

    def _told(self, slot: Slot, would: Standing) -> dict[str, Any]:
        return told(would) | told_by_clock(would, self.clock.desk_of(slot))

    def _unheard(self, slot: Slot, would: Standing) -> str:
        """The agent that would first be asked and whose answer is not on record, "" for none."""
        rulings = slot.desk.rulings if slot.desk is not None else {}
        for at in would.asked:
            if at in self.core.ledger.asked.get(slot, ()):
                continue  # in the record it is asked the same
            ruling = rulings.get(at)
            if ruling is None or ruling.sides != signature(slot.sides()):
                return self.changed.agents[at].name
        return ""

    def _add(self, slot: Slot, kind: str, turn: str, cycle: int, after: dict[str, Any]) -> None:
        """Keeps the first flip of its kind in a slot."""
        if (kind, slot) not in self._found:
            self._found[kind, slot] = self._flip(slot, kind, turn, cycle, after)

    def _flip(self, slot: Slot, kind: str, turn: str, cycle: int, after: dict[str, Any]) -> Flip:
        question = {CONTESTED: "conflict", HELD: "hold"}.get(slot.status, "")
        before = self._before(slot)
        return Flip(kind, turn, slot.key, slot.subject, cycle, before, after, False, question, cycle)

    def _before(self, slot: Slot) -> dict[str, Any]:
        """What the slot shows in the record."""
        standing = self._stand(slot, self.core.plan.keys[slot.key])
        shown = told(standing) | told_by_clock(standing, slot.desk)
        verdict = slot.desk.verdict if slot.desk is not None else None
        if verdict is not None and verdict.by != CLOCK:
            shown["by"] = verdict.by
        return shown

    def _note_decision(self, slot: Slot, asked: Asked) -> None:
        """People were asked and have decided, where the changed rules would have asked nobody. What a deadline ruled is
        no decision of people."""
        verdict = slot.desk.verdict if slot.desk is not None else None
        if verdict is None:
            return
        is_named = asked.would is not None and verdict.by != CLOCK
        merge = self._found.get(("merge", slot)) if is_named else None
        if merge is not None and merge.turn == "settled" and merge.cycle >= asked.since:
            del self._found["merge", slot]  # the same question, which is now known to have been answered
        else:
            merge = None
        self._decided[slot] = Decided(verdict, asked, merge, is_named)
        if is_named and asked.would is not None:
            turn = "same" if asked.raw == verdict.raw else "otherwise"
            before = {"status": "decided", "by": verdict.by, **_ruled(verdict)}
            named = ("decision", turn, slot.key, slot.subject)
            self._found["decision", slot] = Flip(
                *named, asked.first, before, asked.would, False, "conflict", asked.first
            )

    def _take_back(self, slot: Slot) -> Asked | None:
        """The question that was decided, where that was undone or decided anew: as if nobody had answered it yet."""
        decided = self._decided.get(slot)
        if decided is None or (slot.desk is not None and slot.desk.verdict is decided.verdict):
            return None
        del self._decided[slot]
        if decided.is_named:
            del self._found["decision", slot]
        if decided.merge is not None:
            self._found["merge", slot] = decided.merge
        return decided.asked

    def _note_answer(self, slot: Slot) -> None:
        """What people said of a value that would not have waited for them; nothing where a deadline answered."""
        flip = self._found.get(("hold", slot))
        raw = slot.raw if slot.status == FACT else slot.would
        if flip is None or flip.turn != "freed" or raw is None or slot.desk is None:
            return
        held = {name: flip.before[name] for name in ("value", "brief") if name in flip.before}
        if not value_told(raw).items() >= held.items():
            return
        if slot.status == HELD:
            flip.before.pop("answer", None)  # it was undone, and is asked again
        elif slot.status == EMPTY and slot.desk.refusals.get(raw, CLOCK) != CLOCK:
            flip.before.setdefault("answer", "refused")
        elif slot.status == FACT and raw not in slot.desk.passed:
            flip.before.setdefault("answer", "approved")

    def _note_deadline(self, slot: Slot, would: Standing | None, cycle: int, has_ruled: bool) -> None:
        """Watches questions that a deadline of the changed rules may have ended before people, or agents, did."""
        fate = self.clock.note(slot, would)
        is_doubtful = fate is not None and fate.is_doubtful
        if slot in self._doubts and (has_ruled or not is_doubtful):
            self._end_doubt(slot, is_settled=has_ruled)
        if fate is not None and is_doubtful and slot not in self._doubts:
            self._doubts[slot] = self._flip(slot, "unknown", "unknown", cycle, told_in_doubt(fate.name))

    def _end_doubt(self, slot: Slot, is_settled: bool) -> None:
        """The question is over. It is settled if that was by the record's own deadline: then the other was over too."""
        flip = self._doubts.pop(slot)
        if slot in self._waited and not is_settled:
            self._found.setdefault(("unknown", slot), flip)
        self._waited.discard(slot)

    def _lasts(self, kind: str, slot: Slot) -> bool:
        desk = self.clock.desk_of(slot)
        would, unknown = self._under(slot, _without_verdict(desk) if kind == "decision" else desk)
        if unknown is not None:
            return kind == "unknown"
        return kind != "unknown" and look_of(slot) != look_under(would)


def _without_verdict(desk: Desk | None) -> Desk | None:
    """The desk if nobody had decided: nobody would have been asked."""
    if desk is None:
        return None
    other = Desk()
    other.approvals, other.refusals = desk.approvals, desk.refusals
    other.passed, other.rulings = desk.passed, desk.rulings
    return other


def kind_of(slot: Slot, would: int) -> tuple[str, str]:
    """The kind and the turn of a difference, from a slot of the record and the status that it would have."""
    if would == CONTESTED:
        return "merge", "asked"
    if would == HELD:
        return "hold", "held"
    if slot.status == HELD or (slot.status == EMPTY and slot.would is not None):  # waits, or was refused
        return "hold", "freed"
    return "merge", "settled" if slot.status == CONTESTED else "another"


def _ruled(verdict: Verdict) -> dict[str, Any]:
    return {"none": True} if verdict.raw is None else value_told(verdict.raw)
