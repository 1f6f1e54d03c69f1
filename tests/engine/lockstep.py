"""Drives the real engine, and beside it the naive model, through a random case."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from runtime.engine import Commit, Core, Effect, Failure, InboxRow, PackSpec, Proposal, Run, Seed
from runtime.engine.desk import slot_version
from runtime.engine.expiry import rule_that_asks
from runtime.engine.replay import RecordedCycle, replay
from runtime.engine.state import Slot as EngineSlot
from tests.engine.expressions import MEANINGS, MENTIONS
from tests.engine.naive_cycle import Saying, Shown
from tests.engine.naive_job import NaiveJob
from tests.engine.naive_sides import Slot, text
from tests.engine.packs_strategy import KEYS, SUBJECTS, Act, Case
from tests.engine.toys import run_toy

STALE = "0" * 16


def naive_of(pack: PackSpec) -> NaiveJob:
    """The naive model of a pack that uses only the expressions the tests know the meaning of."""
    return NaiveJob(pack, MEANINGS, MENTIONS)


def shown_by(run: Run) -> Shown:
    """What a run is shown by the engine, through the public view, in the plain form toys take."""
    view = run.view
    shown: Shown = {"reads": {}}
    for key in sorted(view.keys):
        facts = view[key]
        found: dict[str, Any] = {
            f.subject: ["fact", text(f.value), round(f.confidence * 1000)] for f in facts
        }
        found |= {s: ["contested"] for s in facts.contested} | {s: ["held"] for s in facts.held}
        assert len(facts) == len(list(facts))
        shown["reads"][key] = found
    if view.item is not None:
        shown["item"] = [text(view.item.value), round(view.item.confidence * 1000)]
    if view.group is not None:
        shown["group"] = [[f.subject, text(f.value), round(f.confidence * 1000)] for f in view.group.items]
    if view.sides is not None:
        sides = [
            [
                text(side.value),
                sorted(
                    [v.agent, str(v.item), round(v.confidence * 1000), text(v.evidence)] for v in side.voices
                ),
            ]
            for side in view.sides.sides
        ]
        shown["sides"] = json.dumps(sorted(sides))
    return shown


def effect_of(case: Case, run: Run) -> Effect:
    """What the toy behind a run returns, as an effect."""
    toy = case.toys[run.agent.name]
    said = run_toy(toy, run.agent, run.item, shown_by(run))
    if said is None:
        return Effect(run.agent.name, run.item, failure=Failure("timeout", "the toy broke", toy.transient))
    return Effect(run.agent.name, run.item, [proposal(one) for one in said])


def proposal(one: Saying) -> Proposal:
    """A saying as the engine takes it."""
    return Proposal(one.key, one.subject, one.value, one.confidence, one.evidence, one.because)


def seeds_of(case: Case) -> list[Seed]:
    """The case's seeds, numbered from 1."""
    return [Seed(n, *seed) for n, seed in enumerate(case.seeds, 1)]


def saying(effect: Effect) -> list[Saying] | None:
    """An effect as the naive model takes it."""
    if effect.failure is not None:
        return None
    said = []
    for p in effect.proposals:
        assert isinstance(p, Proposal)
        because = None if p.because is None else tuple(p.because)
        said.append(Saying(p.key, p.subject, p.value, p.confidence, p.evidence, because))
    return said


def row_of(core: Core, number: int, act: Act) -> InboxRow:
    """A person's act as an inbox row, about one of the slots such an act can be about now."""
    if act.act in ("respond", "reverse"):
        act = replace(act, act=_wanted(core, act))
    slots = _slots_for(core, act)
    key, subject = slots[act.pick % len(slots)]
    slot = core.ledger.keys[key].slots.get(subject)
    version = (
        ""
        if slot is None or act.act in ("undo", "add_fact", "withdraw_fact", "retry", "retry_due", "give_up")
        else slot_version(slot)
    )
    value, none = act.value, act.act == "none"
    if act.act == "decide" and slot is not None and slot.cands and act.pick % 2:
        said = sorted({c.raw for c in slot.cands})
        value = json.loads(said[act.pick % len(said)])
    if act.stale and version:
        version = STALE
    name = "decide" if none else act.act
    agents = [agent.spec.name for agent in core.ledger.agents]
    on = ["", *agents][act.pick % (1 + len(agents))] if name == "give_up" else ""
    if name == "expire":
        on = _rule_of(core, key, subject, act)
    given = None if none else value
    by = "@clock" if name == "expire" else act.by
    return InboxRow(number, name, by, key, subject, given, none, act.confidence, version, on=on)


def _rule_of(core: Core, key: str, subject: str, act: Act) -> str:
    """The rule that asks about the slot; sometimes another one, as if it had asked when the clock's row was written."""
    slot = core.ledger.keys[key].slots.get(subject)
    asking = rule_that_asks(core.ledger, slot) if slot is not None else None
    names = [rule.name for rule in core.pack.rules if rule.kind in ("operator", "approval")]
    if asking is not None and act.pick % 4:
        return asking.name
    return names[act.pick % len(names)] if names else "nobody's"


def _wanted(core: Core, act: Act) -> str:
    """What the job asks of people now."""
    states = core.ledger.keys.values()
    if act.act == "reverse":
        decided = any(_decided(slot) for state in states for slot in state.slots.values())
        mine = any(_said_by(slot, act.by) for state in states for slot in state.slots.values())
        if decided or mine:
            return "undo" if decided and (act.pick % 2 or not mine) else "withdraw_fact"
        return "add_fact"
    asked = [slot for state in states for slot in (*state.contested, *state.held)]
    if act.pick % 2 and any(rule_that_asks(core.ledger, slot) for slot in asked):
        return "expire"
    if any(state.held for state in states) and act.pick % 3:
        return "refuse" if act.pick % 6 == 5 else "approve"
    if any(state.contested for state in states):
        return "none" if act.pick == 0 else "decide"
    return "add_fact"


def _decided(slot: EngineSlot) -> bool:
    return slot.desk is not None and slot.desk.verdict is not None


def _said_by(slot: EngineSlot, name: str) -> bool:
    return any(c.voice.agent == "@person" and c.voice.item == name for c in slot.cands)


def _slots_for(core: Core, act: Act) -> list[Slot]:
    everywhere = [(k, s) for k in KEYS for s in SUBJECTS]
    known = [slot for state in core.ledger.keys.values() for slot in state.slots.values()]
    found: Iterable[EngineSlot] = ()
    if act.act == "expire":
        open_ones = [s for state in core.ledger.keys.values() for s in (*state.contested, *state.held)]
        found = [s for s in open_ones if rule_that_asks(core.ledger, s)] or open_ones
    elif act.act in ("decide", "none"):
        found = [s for state in core.ledger.keys.values() for s in state.contested]
    elif act.act in ("approve", "refuse"):
        found = [s for state in core.ledger.keys.values() for s in state.held]
    elif act.act == "undo":
        found = [s for s in known if _decided(s)]
    elif act.act == "withdraw_fact":
        found = [s for s in known if _said_by(s, act.by)]
    return sorted((s.key, s.subject) for s in found) or everywhere


class Acts:
    """The case's script of acts, handed out at the cycle they name, or when the job would stop before it."""

    def __init__(self, acts: Sequence[Act]) -> None:
        self.left = sorted(acts, key=lambda a: a.cycle)
        self.given = 0

    def due(self, core: Core, stopped: bool) -> list[InboxRow]:
        """The rows of the cycle that begins now."""
        upto = core.cycle + 1
        if stopped and self.left:
            upto = max(upto, self.left[0].cycle)
        now = [a for a in self.left if a.cycle <= upto]
        self.left = self.left[len(now) :]
        rows = [row_of(core, self.given + n, act) for n, act in enumerate(now, 1)]
        self.given += len(now)
        return rows


def recorded(commits: Iterable[Commit]) -> list[RecordedCycle]:
    """A journal as it is stored: nothing but text and numbers."""
    return [RecordedCycle(c.number, c.first_seq, c.digest, [e.body for e in c.entries]) for c in commits]


def run_engine(
    case: Case, shuffle: int | None = None, pack: PackSpec | None = None, crash_at: int | None = None
) -> tuple[Core, list[Commit]]:
    """The engine alone, to the end of the case.

    Effects come back in the order that `shuffle` seeds. Before cycle `crash_at` the engine is lost, with the cycle it
    had begun, and taken up again from the journal.
    """
    core, acts = Core(pack or case.pack), Acts(case.acts)
    commits: list[Commit] = []
    rows: list[Any] = [*seeds_of(case), *acts.due(core, stopped=False)]
    dice = random.Random(shuffle)
    while True:
        runs = core.begin(rows)
        if core.cycle == crash_at:
            core = replay(case.pack, recorded(commits))
            runs = core.begin(rows)
        effects = [effect_of(case, run) for run in runs]
        if shuffle is not None:
            dice.shuffle(effects)
        commits.append(core.finish(effects))
        stopped = commits[-1].stop is not None
        if stopped and not acts.left:
            return core, commits
        rows = list(acts.due(core, stopped))


def standing(core: Core) -> dict[Slot, tuple[str, int]]:
    """What stands: slot -> (value text, confidence in thousandths)."""
    return {(f.key, f.subject): (text(f.value), round(f.confidence * 1000)) for f in core.facts()}


def bodies(commits: Iterable[Commit]) -> list[dict[str, Any]]:
    """All entries, as parsed JSON."""
    return [json.loads(entry.body) for commit in commits for entry in commit.entries]
