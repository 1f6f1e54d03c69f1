"""Engine and naive model, cycle by cycle on the same inputs, compared after every phase."""

from __future__ import annotations

import json
from typing import Any

from runtime.engine import Commit, Core, InboxRow, Seed
from runtime.engine.eligible import lowest_tier
from runtime.engine.premises import provisional_facts
from tests.engine.lockstep import STALE, Acts, effect_of, naive_of, saying, seeds_of, shown_by, standing
from tests.engine.naive_cycle import Saying
from tests.engine.naive_job import Gap
from tests.engine.naive_sides import Slot, text
from tests.engine.packs_strategy import Case

MERGED = ("rejected", "overruled", "contested", "held", "lost", "confirmed", "revised", "won", "accepted")


class Twins:
    """One case run twice at once. Any difference is an AssertionError that names it."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.core = Core(case.pack)
        self.model = naive_of(case.pack)
        self.model.transient = {name for name, toy in case.toys.items() if toy.transient}
        self.acts = Acts(case.acts)
        self.states: dict[str, int] = {}
        self.commits: list[Commit] = []
        self.versions: dict[int, str] = {}
        self.swing_by: int | None = None
        self.cycles = 0

    def run(self) -> None:
        """To the end of the case."""
        rows = self.first_rows()
        while True:
            stopped = self.step(rows).stop is not None
            if stopped and not self.acts.left:
                return
            rows = [*self.people(stopped)]

    def first_rows(self) -> list[Seed | InboxRow]:
        """What the first cycle begins with."""
        return [*seeds_of(self.case), *self.people(stopped=False)]

    def people(self, stopped: bool) -> list[InboxRow]:
        """What people do next, with what they see now noted."""
        rows = self.acts.due(self.core, stopped)
        for row in rows:
            old = row.version == STALE
            self.versions[row.id] = "an older one" if old else self.model.version((row.key, row.subject))
        return rows

    def step(self, rows: list[Seed | InboxRow]) -> Commit:
        """One cycle of both."""
        runs = self.core.begin(rows)
        told = self.apply(rows)
        due = self.model.due()
        speaking = [v for v in due if self.model.input_text(v) is not None]
        assert [(r.agent.name, r.item) for r in runs] == speaking, "eligible voices"
        for run in runs:
            assert shown_by(run) == self.model.shown((run.agent.name, run.item)), f"shown to {run.agent.name}"
        effects = [effect_of(self.case, run) for run in runs]
        merged = self.model.merge({(e.agent, e.item): saying(e) for e in effects})
        commit = self.core.finish(effects)
        self.commits.append(commit)
        assert commit.receipts == [] or [r.result for r in commit.receipts] == [
            result for row, result in zip(rows, told, strict=True) if isinstance(row, InboxRow)
        ], "receipts"
        self.model.forget_idle_rulings()
        while not self.model.eligible() and self.model.drop_ungrounded():
            self.model.forget_idle_rulings()
        self.model.forget_given_up()
        self.compare_outcomes(commit, merged)
        self.compare_state()
        self.compare_judgement(commit)
        self.compare_repetition(commit, bool(due), "applied" in told)
        self.compare_stop(commit, "applied" in told)
        return commit

    def apply(self, rows: list[Seed | InboxRow]) -> list[str]:
        """Applies the rows to the model; their results in order."""
        told = [self.apply_row(row) for row in rows]
        self.model.forget_idle_rulings()
        return told

    def apply_row(self, row: Seed | InboxRow) -> str:
        """One row; "applied" for seeds, which count as outside input."""
        model = self.model
        if isinstance(row, Seed):
            model.seed(row.number, Saying(row.key, row.subject, row.value, row.confidence, row.evidence))
            return "applied"
        slot = (row.key, row.subject)
        if row.version and self.versions[row.id] != model.version(slot):
            return "stale"
        if row.act == "decide":
            return model.decide(slot, row.value, row.none, row.by)
        if row.act == "undo":
            return model.undo(slot, row.by)
        if row.act == "expire":
            return model.expire(slot, row.on)
        if row.act == "approve":
            return model.approve(slot, row.by)
        if row.act == "refuse":
            return model.refuse(slot, row.by)
        if row.act == "add_fact":
            return model.add_fact(slot, row.value, row.confidence, row.by)
        if row.act == "give_up":
            return model.give_up(row.on)
        if row.act == "retry_due":
            return model.retry_due()
        return model.withdraw_fact(slot, row.by) if row.act == "withdraw_fact" else model.retry()

    # -- comparisons -------------------------------------------------------------------------------------------

    def compare_outcomes(self, commit: Commit, merged: dict[tuple[Any, int], str]) -> None:
        """Every proposal of an agent ended in the outcome the design names; rulings are compared by their effect."""
        told: dict[tuple[str, Any], list[str]] = {}
        for entry in commit.entries:
            body = json.loads(entry.body)
            if entry.kind in MERGED and not entry.agent.startswith("@") and not body.get("ruling"):
                told.setdefault((entry.agent, body.get("item")), []).append(entry.kind)
        expected: dict[tuple[str, Any], list[str]] = {}
        for (voice, _), outcome in sorted(merged.items(), key=lambda pair: (str(pair[0][0]), pair[0][1])):
            if outcome not in ("", "ruled"):
                expected.setdefault(voice, []).append(outcome)
        assert told == expected, "outcomes"

    def compare_state(self) -> None:
        """What stands, conflicts, holds, refusals, provisional marks."""
        stands = self.model.everything()
        facts = {s: (text(f.value), f.conf) for s, f in stands.items() if f.status == "fact"}
        assert standing(self.core) == facts, "facts"
        ledger = self.core.ledger
        for name, found in (
            ("contested", {(s.key, s.subject) for state in ledger.keys.values() for s in state.contested}),
            ("held", {(s.key, s.subject) for state in ledger.keys.values() for s in state.held}),
            ("refused", {(s.key, s.subject) for s in ledger.refused_slots}),
        ):
            assert found == {s for s, f in stands.items() if f.status == name}, name
        assert {(s.key, s.subject) for s in provisional_facts(ledger)} == self.model.provisional(), (
            "provisional"
        )
        assert lowest_tier(ledger) == min(
            (self.model.agent_tier(n) for n, _ in self.model.eligible()), default=0
        )

    def compare_judgement(self, commit: Commit) -> None:
        """Tiers up to which nobody is eligible are judged, each with exactly the gaps the model finds."""
        due = lowest_tier(self.core.ledger)
        upto = len(self.case.pack.tiers) if commit.stop is not None or not due else due - 1
        if not upto:
            assert not any(e.kind in ("tier", "answer") for e in commit.entries), (
                "judged while tier 1 is at work"
            )
            assert commit.tier == 0
            return
        reached = min(self.model.reached(), upto)
        assert commit.tier == reached, "tier"
        told = {}
        for entry in commit.entries:
            if entry.kind == "tier":
                body = json.loads(entry.body)
                told[body["tier"]] = {gap_of(g) for g in body["gaps"] if g["what"] != "tier"}
                assert body["reached"] == (body["tier"] <= reached)
                assert not (body["reached"] and body["gaps"]), "a tier is claimed with a gap"
        for tier, gaps in told.items():
            assert gaps == self.model.gaps(tier), f"gaps of tier {tier}"

    def compare_repetition(self, commit: Commit, worked: bool, outside: bool) -> None:
        """`oscillating` only when the whole state came back and work was left, and within a period of its return."""
        if outside:
            self.states.clear()
            self.swing_by = None
        if not worked:
            return
        first = self.states.setdefault(self.model.whole_state(), commit.number)
        swinging = first < commit.number and bool(self.model.eligible())
        if swinging and self.swing_by is None:
            self.swing_by = 2 * commit.number - first
        if commit.stop is not None and commit.stop.reason == "oscillating":
            assert swinging, "an oscillation is claimed, but the whole state is new"
        else:
            assert self.swing_by is None or commit.number < self.swing_by, "an oscillation is not seen"

    def compare_stop(self, commit: Commit, outside: bool) -> None:
        """Why it stopped, the first reason that applies (D4.5); that it goes on while there is work and budget."""
        self.cycles = 1 if outside else self.cycles + 1
        reason = commit.stop.reason if commit.stop is not None else None
        if not self.model.eligible():
            assert reason == self.model.settled_reason(), "reason"
        elif reason != "oscillating":
            spent = self.cycles >= self.case.pack.budget.cycles
            assert reason == ("exhausted" if spent else None), "goes on"


def gap_of(gap: dict[str, Any]) -> Gap:
    """A stated gap in the model's words."""
    what = gap["what"]
    if what in ("failed", "rejected"):
        return (what, gap["agent"], str(gap.get("item")))
    if what in ("eligible", "nothing_to_read", "awaited"):
        return (what, gap["agent"])
    return (what, gap["rule"]) if what == "invariant" else (what, gap["key"], gap["subject"])


def contested_slots(core: Core) -> set[Slot]:
    """Slots whose sides disagree and nothing decides."""
    return {(s.key, s.subject) for state in core.ledger.keys.values() for s in state.contested}
