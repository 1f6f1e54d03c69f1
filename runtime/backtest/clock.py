"""What deadlines of the changed rules would have done (D9.2).

The record tells that a deadline has passed by what the clock ruled then. To the very question that it ruled on, the
changed rules would have said what they say happens at their deadline, if that is over by then too. Whatever else a
deadline would have done is not on record: how long people had is written nowhere.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from runtime.backtest.flips import IN_TIME
from runtime.engine import Core
from runtime.engine.compiled import Compiled, KeyPlan
from runtime.engine.conflicts import awaiting
from runtime.engine.expiry import rule_that_asks, strongest_side
from runtime.engine.policies import asked_by
from runtime.engine.resolve import Standing
from runtime.engine.rules import side_strength
from runtime.engine.spec import CLOCK, RuleSpec
from runtime.engine.state import CONTESTED, HELD, Desk, Slot, Verdict

UNKNOWN = "unknown"


class Fate(NamedTuple):
    """What becomes at its deadline of a question that is open in the record, and would be under the changed rules.

    It is about a value that waits for approval, `raw`, or about the sides if that is None. `outcome` is what the rule
    `name` of the changed ones says: "reject", "strongest" with the `side` and its strength, "" if it stays open; or
    "unknown" where the record cannot tell by its own deadline. `is_doubtful` if it may be over before that of the
    record.
    """

    raw: bytes | None
    name: str
    outcome: str
    side: bytes | None = None
    strength: int = 0
    is_doubtful: bool = False


class Clock:
    """Follows what the clock rules in the record, and keeps what it would have ruled."""

    def __init__(self, core: Core, changed: Compiled) -> None:
        self.core, self.changed = core, changed
        self._open: dict[Slot, Fate] = {}
        self._ruled: dict[Slot, dict[Hashable, Fate]] = {}

    def hear(self, slot: Slot) -> bool:
        """Looks for what the clock has ruled since the last look, or what was undone of it. Gives whether it ruled."""
        said = _said_by_clock(slot.desk) if slot.desk is not None else {}
        known = self._ruled.get(slot, {})
        if not said and not known:
            return False
        news = said.keys() - known.keys()
        kept = {sign: fate for sign, fate in known.items() if sign in said}
        for sign in news:
            kept[sign] = self._fate_of(slot, said[sign])
        self._ruled[slot] = kept
        return bool(news)

    def _fate_of(self, slot: Slot, raw: bytes | None) -> Fate:
        """What the changed rules say of the question that the record's clock has just ruled on."""
        fate = self._open.get(slot)
        if fate is None or fate.raw != raw:
            return Fate(raw, "", "")  # they would not have asked it
        verdict = slot.desk.verdict if slot.desk is not None else None
        if raw is None and verdict is not None and verdict.raw is not None:
            return fate._replace(side=verdict.raw, strength=verdict.strength)
        return fate

    def desk_of(self, slot: Slot) -> Desk | None:
        """The slot's desk, with what the clock would have ruled in place of what it has."""
        ruled = self._ruled.get(slot)
        if slot.desk is None or not ruled:
            return slot.desk
        was, desk = slot.desk, Desk()
        desk.approvals, desk.rulings = was.approvals, was.rulings
        desk.refusals = {raw: by for raw, by in was.refusals.items() if by != CLOCK}
        desk.verdict = None if _is_clocks(was.verdict) else was.verdict
        for fate in ruled.values():
            _rule(desk, fate)
        return desk

    def note(self, slot: Slot, would: Standing | None) -> Fate | None:
        """Keeps what becomes of the slot's question, if `would` asks the same; gives that. None where the record asks
        nobody, or no people yet."""
        fate = None
        is_open = slot.status == HELD or (slot.status == CONTESTED and not awaiting(self.core.ledger, slot))
        if would is not None and is_open and would.status == slot.status:
            fate = self._foresee(slot, would)
        if fate is None:
            self._open.pop(slot, None)
        else:
            self._open[slot] = fate
        return fate

    def _foresee(self, slot: Slot, would: Standing) -> Fate | None:
        raw = slot.would if slot.status == HELD else None
        if raw is not None and raw != would.would:
            return None
        rule = asking_rule(would, self.changed.keys[slot.key])
        if rule is None or rule.params.get("deadline") is None:
            return Fate(raw, "", "")
        side = strongest_side(slot) if raw is None else raw
        outcome = _outcome(rule, side)
        if not outcome:
            return Fate(raw, "", "")
        was = rule_that_asks(self.core.ledger, slot)
        theirs = float(was.params["deadline"]) if was is not None and _outcome(was, side) else None
        ours = float(rule.params["deadline"])
        if theirs is not None and ours > theirs:
            return Fate(raw, rule.name, UNKNOWN)
        strength = side_strength(slot.sides()[side]) if raw is None and side is not None else 0
        return Fate(raw, rule.name, outcome, side, strength, theirs is None or ours < theirs)

    def doubt(self, slot: Slot, would: Standing) -> dict[str, Any] | None:
        """What is told where the record's deadline was over, and that of the changed rules was not."""
        for fate in self._ruled.get(slot, {}).values():
            asks = (CONTESTED, None, None) if fate.raw is None else (HELD, fate.raw, fate.name)
            if fate.outcome == UNKNOWN and (would.status, would.would, would.rule) == asks:
                return told_in_doubt(fate.name)
        return None


def told_in_doubt(name: str) -> dict[str, Any]:
    """An unknown side as JSON, where it hangs on the deadline of the rule `name`."""
    why = "its deadline is another one, and how long people had is not on record"
    return {"status": "unknown", "agent": "people", "rule": name, "why": why}


def asking_rule(standing: Standing, plan: KeyPlan) -> RuleSpec | None:
    """The rule under which people are asked about what is contested or held; None if by no rule."""
    name = standing.rule if standing.status == HELD else asked_by(standing.trace)
    return next((r.spec for r in (*plan.approvals, *plan.resolution) if r.spec.name == name), None)


def told_by_clock(standing: Standing, desk: Desk | None) -> dict[str, Any]:
    """Which rule's deadline made it so, and how, as JSON; {} if none did."""
    if desk is None:
        return {}
    if _is_clocks(desk.verdict) and desk.verdict is not None:
        if standing.status == HELD:
            return {}
        return {"rule": desk.verdict.rules[0], "why": f"nobody decided {IN_TIME}"}
    if standing.refused and standing.would is not None and desk.refusals.get(standing.would) == CLOCK:
        return {"rule": standing.rule, "why": f"nobody answered {IN_TIME}"}
    passed = [*desk.passed.get(standing.raw, ())] if standing.raw is not None else []
    return {"rule": passed[-1], "why": f"nobody answered {IN_TIME}"} if passed else {}


def _outcome(rule: RuleSpec | None, side: bytes | None) -> str:
    """What a rule does to its question at its deadline; "" for nothing. Without a `side` none is the strongest."""
    if rule is None or rule.params.get("deadline") is None:
        return ""
    outcome = rule.params.get("outcome", "stay")
    return str(outcome) if outcome == "reject" or (outcome == "strongest" and side is not None) else ""


def _rule(desk: Desk, fate: Fate) -> None:
    """Writes on a desk what the clock would have ruled."""
    if fate.outcome not in ("reject", "strongest"):
        return
    if fate.raw is not None and fate.outcome == "reject":
        desk.refusals[fate.raw] = CLOCK
    elif fate.raw is not None:
        desk.passed.setdefault(fate.raw, {})[fate.name] = None
    elif fate.outcome == "reject":
        desk.verdict = Verdict(None, CLOCK, (), (fate.name,))
    else:
        desk.verdict = Verdict(fate.side, CLOCK, (), (fate.name,), fate.strength)


def _is_clocks(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.by == CLOCK


def _said_by_clock(desk: Desk) -> dict[Hashable, bytes | None]:
    """What the clock has ruled that was not undone: each with the value it was about, None for the sides."""
    said: dict[Hashable, bytes | None] = {}
    if _is_clocks(desk.verdict):
        said[desk.verdict] = None  # itself, for a second one may say the same
    for raw, names in desk.passed.items():
        said.update({("passed", raw, name): raw for name in names})
    said.update({("refused", raw): raw for raw, by in desk.refusals.items() if by == CLOCK})
    return said
