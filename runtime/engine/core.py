"""The engine: cycles over one job's ledger, until a fixed point. Pure: values in, values out.

    core = Core(pack)
    while True:
        runs = core.begin(rows)          # apply what came from outside, pick who runs, on one frozen view
        effects = [... run the agents ...]
        commit = core.finish(effects)    # merge serially, judge, and say what to write down
        if commit.stop: break

Order of arrival carries no meaning: `finish` sorts effects into pack order, then item, then as proposed (D2.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from runtime.engine.closing import Closing, Stop
from runtime.engine.compiled import compile_pack
from runtime.engine.conflicts import settle_questions
from runtime.engine.desk import Receipt, apply_row, apply_seed
from runtime.engine.eligible import NO_PLAN, Plan, Run, lowest_tier, make_plan
from runtime.engine.flush import flush
from runtime.engine.inputs import CLOCK_ACTS, Effect, InboxRow, Seed
from runtime.engine.ledger import AgentState, Ledger
from runtime.engine.lint import PackError
from runtime.engine.log import GENESIS, Entry, chain
from runtime.engine.merge import merge_run, withdraw
from runtime.engine.oscillation import Watch
from runtime.engine.premises import unfounded
from runtime.engine.prepare import Prepared, prepare
from runtime.engine.rulings import merge_ruling
from runtime.engine.run_entry import run_entry
from runtime.engine.spec import PackSpec
from runtime.engine.state import FACT, Shown, Slot, Voice
from runtime.engine.versions import CHANGES, ENGINE_VERSION
from runtime.engine.view import Fact


class Commit(NamedTuple):
    """One cycle, ready to be written down in one transaction (D6.1).

    `entries` are numbered from `first_seq`. `changes` counts slots that show something else than before the cycle.
    """

    number: int
    first_seq: int
    entries: list[Entry]
    digest: str
    runs: int
    changes: int
    tier: int
    receipts: list[Receipt]
    stop: Stop | None


class Core:
    """One job's engine, of the version that the job was begun with.

    Raises PackError for a pack that cannot be run, and for a version that is none of this engine's.
    """

    def __init__(self, pack: PackSpec, engine_version: int = ENGINE_VERSION) -> None:
        if engine_version not in CHANGES:
            raise PackError(f"engine version {engine_version} is not known here, only {[*CHANGES]}")
        self.plan = compile_pack(pack)
        self.pack = pack
        self.ledger = Ledger(self.plan)
        self.watch = Watch(self.ledger) if self.plan.has_loops else None
        self.closing = Closing(self.ledger, engine_version)
        self.digest = GENESIS
        self.stop: Stop | None = None
        self._work: Plan = NO_PLAN
        self._receipts: list[Receipt] = []
        self._changed: dict[Slot, Shown] = {}
        self._asked_slots: dict[Slot, None] = {}
        self._first_seq = 1
        self._by_clock = False

    @property
    def cycle(self) -> int:
        """The number of the cycle begun last."""
        return self.ledger.cycle

    @property
    def last_seq(self) -> int:
        """The number of the last entry written."""
        return self.ledger.log.seq - 1

    @property
    def tier(self) -> int:
        """The highest tier reached when last judged; 0 is none."""
        return self.closing.tier

    def begin(self, rows: Iterable[Seed | InboxRow] = ()) -> list[Run]:
        """Begins a cycle: applies `rows` in order, then picks the eligible voices of the lowest tier that has any."""
        ledger = self.ledger
        ledger.cycle += 1
        ledger.log.entries = []
        self._first_seq = ledger.log.seq
        self._receipts = []
        self._changed = {}
        self._asked_slots = {}
        outside = by_person = False
        for row in rows:
            if self.closing.cancelled:
                break  # whatever was asked after the cancel is not answered by a job that has ended
            if type(row) is Seed:
                apply_seed(ledger, row)
                outside = by_person = True
            elif isinstance(row, InboxRow):
                receipt = apply_row(ledger, row)
                self._receipts.append(receipt)
                outside = outside or receipt.result == "applied"
                by_person |= row.act not in CLOCK_ACTS
                self.closing.cancelled |= row.act == "cancel"
        self._by_clock = outside and not by_person
        if outside:
            self.closing.restart()
            if self.watch is not None:
                self.watch.restart()
        self._flush()
        self._work = NO_PLAN if self.closing.cancelled else make_plan(ledger)
        if self.watch is not None:
            self.watch.note_plan(self._work.runs)
        return self._work.runs

    def finish(self, effects: Sequence[Effect], stop: Stop | None = None) -> Commit:
        """Merges the effects of the runs that `begin` gave out, and closes the cycle.

        `stop` ends the job for a cause outside the engine (wall time, a lost pack); it is ranked with the engine's own.
        Raises ValueError unless there is exactly one effect for each run.
        """
        ledger, work = self.ledger, self._work
        prepared = self._prepare(effects)
        for voice in work.silenced:
            self._silence(voice)
        at = 0
        while at < len(prepared):  # agents in pack order, each with one run entry before its voices' merges
            end = at
            while end < len(prepared) and prepared[end].agent is prepared[at].agent:
                end += 1
            self._merge_agent(prepared[at].agent, prepared[at:end])
            at = end
        self._flush()
        if ledger.loop_loosened:
            self._drop_unfounded()
        if self._asked_slots:
            settle_questions(ledger, self._asked_slots)
        if self._by_clock and not any((s.status, s.raw, s.strength) != b for s, b in self._changed.items()):
            self.closing.idle += 1  # a day of trying again must not use up a job's life (D5.4)
        self._work = NO_PLAN
        swing = None
        if self.watch is not None and (prepared or work.silenced):
            names = sorted({p.agent.spec.name for p in prepared})
            swing = self.watch.look(ledger.cycle, [(s.key, s.subject) for s in self._changed], names)
        self.stop = self.closing.close(work.tier, swing, stop, self._changed)
        entries = ledger.log.entries
        self.digest = chain(self.digest, [e.body for e in entries])
        changes = 0
        for slot, before in self._changed.items():
            if (slot.status, slot.raw, slot.strength) != before:
                changes += 1
        first, ran, tier = self._first_seq, len(prepared), self.closing.tier
        return Commit(
            ledger.cycle, first, entries, self.digest, ran, changes, tier, self._receipts, self.stop
        )

    def _flush(self) -> None:
        touched = self.ledger.touched
        if not touched:
            return
        if self.watch is not None:
            self.watch.note_slots(touched)
        for slot in touched:
            if slot.desk is not None or len(slot.cands) > 1 or slot.status != FACT:
                self._asked_slots[slot] = None
        for slot, before, _ in flush(self.ledger):
            self._changed.setdefault(slot, before)

    def _prepare(self, effects: Sequence[Effect]) -> list[Prepared]:
        ledger, runs = self.ledger, self._work.runs
        if len(effects) != len(runs):
            raise ValueError(f"{len(runs)} runs were given out, {len(effects)} effects came back")
        if len(runs) == 1 and effects[0].agent == runs[0].agent.name and effects[0].item == runs[0].item:
            prepared = [prepare(ledger, runs[0], effects[0])]
        else:
            by_voice = {(e.agent, e.item): e for e in effects}
            try:
                prepared = [prepare(ledger, run, by_voice[run.agent.name, run.item]) for run in runs]
            except KeyError as missing:
                raise ValueError(f"no effect came back for the run {missing}") from None
        for run in runs:
            run.view.close()
        return prepared

    def _merge_agent(self, agent: AgentState, done: list[Prepared]) -> None:
        ledger = self.ledger
        ledger.log.add(run_entry(ledger, agent, done))
        ledger.awake[agent.tier].pop(agent.at, None)  # whatever it merges wakes who must look again
        ledger.due = None
        if agent.dirty and agent.spec.shape == "aggregate":
            self._forget_absent(agent, done)
        agent.dirty.clear()
        agent.ever = True
        rules = agent.spec.shape == "aggregate"
        for one in done:
            run = one.run
            voice, item = run.voice, run.item
            agent.forget(item)
            voice.ran, voice.silent, voice.shown = True, False, run.shown
            if voice.refused:
                voice.refused = []
            if one.failure is not None:
                agent.failed[item] = one.failure
                if rules and item is not None:  # nobody is about to rule any more: it is up to people
                    self._asked_slots[ledger.slot(agent.spec.over, item)] = None
            if self.watch is not None:
                self.watch.note_run(run, one.failure)
            if one.failure is not None:
                continue
            if rules:
                merge_ruling(ledger, one)
            else:
                merge_run(ledger, one)
            if voice.refused:
                agent.refused[item] = voice.refused

    @staticmethod
    def _forget_absent(agent: AgentState, done: list[Prepared]) -> None:
        """Slots whose rule is not reached now were not shown the other keys as they are: due when it is again."""
        there = {one.run.item for one in done}
        for item, voice in agent.voices.items():
            if item not in there:
                voice.shown = None

    def _silence(self, voice: Voice) -> None:
        """A voice whose input is gone says nothing any more, without a call (D2.6)."""
        ledger = self.ledger
        agent = ledger.agents[voice.at]
        fields: dict[str, Any] = {"kind": "run", "agent": voice.agent, "ran": 0, "silenced": 1}
        if voice.item is not None:
            fields["item"] = voice.item
        ledger.log.add(fields)
        for cand in list(voice.said.values()):
            withdraw(ledger, cand, "what it was said about is gone")
        ledger.due = None
        voice.silent, voice.shown = True, None
        agent.forget(voice.item)
        if agent.spec.shape == "whole":
            agent.dirty.clear()
        if self.watch is not None:
            self.watch.note_silence(voice.at, voice.item)

    def _drop_unfounded(self) -> None:
        """At a would-be fixed point, facts that only hold each other up fall together (D3.5)."""
        while self.ledger.loop_loosened and not lowest_tier(self.ledger):
            self.ledger.loop_loosened = False
            loose = unfounded(self.ledger)
            for cand in loose:
                withdraw(self.ledger, cand, "nothing but a circle of facts held it up", unfounded=True)
            self._flush()

    def fact(self, key: str, subject: str) -> Fact | None:
        """What stands in a slot."""
        slot = self.ledger.keys[key].slots.get(subject)
        return Fact(slot) if slot is not None and slot.status == FACT else None

    def facts(self) -> list[Fact]:
        """Everything that stands, by key (in pack order), then subject."""
        return [
            Fact(state.slots[subject])
            for state in self.ledger.keys.values()
            for subject in state.in_order()
            if state.slots[subject].status == FACT
        ]
