"""Carries what changed in touched slots to premises and readers: once after inbox rows, once after merging.

Between two flushes nobody is shown anything, so a change that is undone in between reaches no one (D2.1).
"""

from __future__ import annotations

from runtime.engine.ledger import AgentState, Ledger
from runtime.engine.resolve import signature
from runtime.engine.state import ABSENT, CONTESTED, EMPTY, FACT, HELD, KeyState, Shown, Slot
from runtime.engine.values import canonical, parse


def flush(ledger: Ledger) -> list[tuple[Slot, Shown, Shown]]:
    """Settles the touched slots; gives those that show something else than before, as (slot, before, after)."""
    changed: list[tuple[Slot, Shown, Shown]] = []
    touched, ledger.touched = ledger.touched, {}
    ledger.due = None
    regroup: dict[int, dict[str, None]] = {}
    plans, keys, agents, awake = ledger.plan.keys, ledger.keys, ledger.agents, ledger.awake
    for slot, before in touched.items():
        plan = plans[slot.key]
        after = (slot.status, slot.raw, slot.strength)
        if after != before:
            changed.append((slot, before, after))
            ledger.loop_loosened |= plan.on_loop
            state = keys[slot.key]
            _count(ledger, state, slot, before[0], after[0])
            if (slot.dependents or state.blocks) and before[1] != after[1]:
                _shake_premises(ledger, state, slot, before[1], after[1])
            for at in plan.readers:
                agent = agents[at]
                if agent.ever:
                    _note(agent.dirty, slot, before, after)
                awake[agent.tier][at] = None
            for at in plan.visitors:
                _tell_visitor(ledger, ledger.agents[at], slot, regroup)
            if plan.answers:
                _note(ledger.unanswered, slot, before, after)
        for at in plan.aggregators:
            _tell_aggregator(ledger, ledger.agents[at], slot)
    for at, names in regroup.items():
        _regroup(ledger, ledger.agents[at], names)
    return changed


def _count(ledger: Ledger, state: KeyState, slot: Slot, before: int, after: int) -> None:
    state.changed_at = ledger.cycle
    if before == after:
        return
    state.shown += (after != EMPTY) - (before != EMPTY)
    ledger.standing += (after == FACT) - (before == FACT)
    if before >= CONTESTED or after >= CONTESTED:
        _file(ledger, state, slot, before, after)


def _file(ledger: Ledger, state: KeyState, slot: Slot, before: int, after: int) -> None:
    """Keeps the lists of contested and held slots."""
    if before in (CONTESTED, HELD):
        (state.contested if before == CONTESTED else state.held).pop(slot, None)
    if after in (CONTESTED, HELD):
        (state.contested if after == CONTESTED else state.held)[slot] = None
    ledger.contested += (after == CONTESTED) - (before == CONTESTED)
    ledger.held += (after == HELD) - (before == HELD)


def _shake_premises(
    ledger: Ledger, state: KeyState, slot: Slot, before: bytes | None, after: bytes | None
) -> None:
    """A premise falls when its value no longer stands there, and is good again if it returns (D3.5)."""
    if slot.dependents:
        for premises, raw in slot.dependents.items():
            premises.fallen += (raw == before) - (raw == after)
            if premises.fallen:
                ledger.shaken[premises] = None
    for block in state.blocks:
        if slot not in block.changed:
            block.changed[slot] = before
            if before is not None:
                block.fallen += 1
                ledger.shaken[block] = None
        elif block.changed[slot] == after:
            del block.changed[slot]
            block.fallen -= after is not None


def _note(dirty: dict[Slot, Shown], slot: Slot, before: Shown, after: Shown) -> None:
    """Keeps for each slot what it showed at first, and forgets it when it shows that again."""
    first = dirty.get(slot)
    if first is None:
        dirty[slot] = before
    elif first == after:
        del dirty[slot]


def _tell_visitor(ledger: Ledger, agent: AgentState, slot: Slot, regroup: dict[int, dict[str, None]]) -> None:
    ledger.awake[agent.tier][agent.at] = None
    if agent.spec.shape == "grouped":
        names = regroup.setdefault(agent.at, {})
        name = group_of(slot, agent.spec.group_by)
        old = agent.member.pop(slot.subject, None)
        if old is not None:
            agent.groups[old].pop(slot.subject, None)
            names[old] = None
        if name is not None:
            agent.member[slot.subject] = name
            agent.groups.setdefault(name, {})[slot.subject] = None
            names[name] = None
        return
    voice = agent.voices.get(slot.subject)
    if slot.status == FACT:
        due = voice is None or not voice.ran or voice.silent or voice.shown != (slot.raw, slot.strength)
    else:
        due = voice is not None and voice.ran and not voice.silent
    _mark(agent, slot.subject, due)


def _mark(agent: AgentState, item: str, due: bool) -> None:
    if due:
        agent.pending[item] = None
    else:
        agent.pending.pop(item, None)


def group_of(slot: Slot, field: str) -> str | None:
    """The group an item belongs to: a field of its value, as text. None if it has none or shows no fact."""
    if slot.status != FACT or slot.raw is None or not slot.raw.startswith(b"{"):
        return None
    value = parse(slot.raw).get(field)
    if value is None:
        return None
    return value if isinstance(value, str) else canonical(value).decode()


def group_content(ledger: Ledger, agent: AgentState, name: str) -> tuple[tuple[str, bytes | None, int], ...]:
    """What a group's voice is shown of its items, in canonical order."""
    slots = ledger.keys[agent.spec.over].slots
    return tuple((s, slots[s].raw, slots[s].strength) for s in sorted(agent.groups.get(name, ())))


def _regroup(ledger: Ledger, agent: AgentState, names: dict[str, None]) -> None:
    for name in names:
        voice = agent.voices.get(name)
        content = group_content(ledger, agent, name)
        if content:
            _mark(agent, name, voice is None or not voice.ran or voice.silent or voice.shown != content)
        else:
            _mark(agent, name, voice is not None and voice.ran and not voice.silent)


def _tell_aggregator(ledger: Ledger, agent: AgentState, slot: Slot) -> None:
    """An aggregation agent is due where its rule was reached with sides it has not seen (D3.2)."""
    ledger.awake[agent.tier][agent.at] = None
    desk = slot.desk
    sides = slot.sides()
    if len(sides) < 2:
        agent.reached.pop(slot.subject, None)
        agent.pending.pop(slot.subject, None)
        if desk is not None:
            desk.rulings.pop(agent.at, None)
        voice = agent.voices.get(slot.subject)
        if voice is not None:
            voice.ran = False
            agent.failed.pop(slot.subject, None)
            agent.refused.pop(slot.subject, None)
        return
    if agent.at not in ledger.asked.get(slot, ()):
        agent.reached.pop(slot.subject, None)
        agent.pending.pop(slot.subject, None)
        return
    agent.reached[slot.subject] = None
    voice = agent.voices.get(slot.subject)
    _mark(agent, slot.subject, voice is None or not voice.ran or voice.shown != signature(sides))


__all__ = ["ABSENT", "flush", "group_content", "group_of"]
