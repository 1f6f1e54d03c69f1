"""Who runs in this cycle: the eligible voices of the lowest tier that has any (D2.1, D4.1)."""

from __future__ import annotations

from typing import Any, NamedTuple

from runtime.engine.flush import group_content
from runtime.engine.ledger import AgentState, Ledger
from runtime.engine.resolve import signature
from runtime.engine.spec import AgentSpec
from runtime.engine.state import FACT, Block, Premises, Slot, Voice
from runtime.engine.values import THOUSAND, parse
from runtime.engine.view import Fact, Group, Side, Sides, SideVoice, View


class Run(NamedTuple):
    """One call to make: the agent, the item (subject, group, or disputed subject), and what it is shown.

    `shown` and `premises` are the engine's own: what eligibility compares next time, and what a statement rests on by
    default.
    """

    agent: AgentSpec
    item: str | None
    view: View
    voice: Voice
    shown: Any
    premises: Premises


class Plan(NamedTuple):
    """A cycle's work: runs in canonical order, voices whose input is gone, and the tier; tier 0 is none."""

    tier: int
    runs: list[Run]
    silenced: list[Voice]


NO_PLAN = Plan(0, [], [])

_new = tuple.__new__  # see log.py


def lowest_tier(ledger: Ledger) -> int:
    """The lowest tier with an eligible voice, 0 if nobody is: a fixed point (D2.5)."""
    if ledger.due is None:
        ledger.due = 0
        for tier, awake in enumerate(ledger.awake):
            if awake and _any_awake(ledger, awake):
                ledger.due = tier
                break
    return ledger.due


def _any_awake(ledger: Ledger, awake: dict[int, None]) -> bool:
    """Whether somebody of a tier is eligible; who is not goes to sleep until something it reads changes."""
    for at in list(awake):
        if is_eligible(ledger, ledger.agents[at]):
            return True
        del awake[at]
    return False


def _awake_in(ledger: Ledger, tier: int) -> list[AgentState]:
    awake = ledger.awake[tier]
    if len(awake) == 1:
        return [ledger.agents[next(iter(awake))]]  # the one that made the tier due
    found = [ledger.agents[at] for at in sorted(awake) if is_eligible(ledger, ledger.agents[at])]
    ledger.awake[tier] = {agent.at: None for agent in found}
    return found


def is_eligible(ledger: Ledger, agent: AgentState) -> bool:
    """Whether any voice of `agent` has something to do."""
    if agent.pending or agent.retry:
        return True
    spec = agent.spec
    if spec.shape == "whole":
        if _has_something_to_read(ledger, agent):
            return not agent.ever or bool(agent.dirty) or agent.voice(None).silent
        return agent.ever and not agent.voice(None).silent
    if not agent.dirty:
        return False
    return bool(agent.reached if spec.shape == "aggregate" else _items(ledger, agent))


def _has_something_to_read(ledger: Ledger, agent: AgentState) -> bool:
    reads = agent.spec.reads
    if not reads:
        return True
    keys = ledger.keys
    for key in reads:  # noqa: SIM110 - a generator costs as much as the loop itself
        if keys[key].shown:
            return True
    return False


def _items(ledger: Ledger, agent: AgentState) -> list[str]:
    """Items (or groups) that are there now."""
    if agent.spec.shape == "grouped":
        return [name for name, members in agent.groups.items() if members]
    return [s for s, slot in ledger.keys[agent.spec.over].slots.items() if slot.status == FACT]


def make_plan(ledger: Ledger) -> Plan:
    """The runs of the cycle that begins now."""
    tier = lowest_tier(ledger)
    if not tier:
        return NO_PLAN
    runs: list[Run] = []
    silenced: list[Voice] = []
    for agent in _awake_in(ledger, tier):
        if agent.spec.shape == "whole":
            _plan_whole(ledger, agent, runs, silenced)
        else:
            _plan_items(ledger, agent, runs, silenced)
    return Plan(tier, runs, silenced)


def _plan_whole(ledger: Ledger, agent: AgentState, runs: list[Run], silenced: list[Voice]) -> None:
    voice = agent.voice(None)
    if not _has_something_to_read(ledger, agent):
        silenced.append(voice)
        return
    block = Block(agent.reads) if agent.reads else None
    premises = Premises((), block, True)
    runs.append(_new(Run, (agent.spec, None, View(agent.shown), voice, None, premises)))


def _plan_items(ledger: Ledger, agent: AgentState, runs: list[Run], silenced: list[Voice]) -> None:
    """Voices whose own input differs; all that are there if the other keys differ."""
    names: dict[str | None, None] = {**dict.fromkeys(agent.pending), **agent.retry}
    shape = agent.spec.shape
    if agent.dirty:
        names.update(dict.fromkeys(agent.reached if shape == "aggregate" else _items(ledger, agent)))
    others = agent.shown
    block = Block(agent.reads) if agent.reads else None
    make = {"each": _run_each, "grouped": _run_group, "aggregate": _run_sides}[shape]
    for name in sorted(n for n in names if n is not None):
        run = make(ledger, agent, name, others, block)
        if run is not None:
            runs.append(run)
        elif name in agent.voices and agent.voices[name].ran and not agent.voices[name].silent:
            silenced.append(agent.voices[name])


def _run_each(
    ledger: Ledger, agent: AgentState, name: str, others: dict[str, Any], block: Block | None
) -> Run | None:
    slot = ledger.keys[agent.spec.over].slots.get(name)
    if slot is None or slot.status != FACT or slot.raw is None:
        return None
    premises = Premises(((slot, slot.raw),), block, True)
    view = View(others, item=Fact(slot))
    return _new(Run, (agent.spec, name, view, agent.voice(name), (slot.raw, slot.strength), premises))


def _run_group(
    ledger: Ledger, agent: AgentState, name: str, others: dict[str, Any], block: Block | None
) -> Run | None:
    content = group_content(ledger, agent, name)
    if not content:
        return None
    slots = ledger.keys[agent.spec.over].slots
    pairs = tuple((slots[s], raw) for s, raw, _ in content if raw is not None)
    view = View(others, group=Group(name, [Fact(slot) for slot, _ in pairs]))
    return Run(agent.spec, name, view, agent.voice(name), content, Premises(pairs, block, True))


def _run_sides(
    ledger: Ledger, agent: AgentState, name: str, others: dict[str, Any], block: Block | None
) -> Run | None:
    slot: Slot | None = ledger.keys[agent.spec.over].slots.get(name)
    if slot is None or name not in agent.reached:
        return None
    sides = slot.sides()
    shown = [
        Side(
            parse(raw),
            max(c.conf for c in cands) / THOUSAND,
            [
                SideVoice(c.voice.agent, c.voice.item, c.conf / THOUSAND, parse(c.evidence or b"{}"))
                for c in cands
            ],
        )
        for raw, cands in sides.items()
    ]
    view = View(others, sides=Sides(slot.key, name, shown))
    return Run(agent.spec, name, view, agent.voice(name), signature(sides), Premises((), block, True))
