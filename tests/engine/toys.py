"""Toy agents: pure functions of what a voice is shown, small enough that values repeat and conflicts are common."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from runtime.engine.spec import AgentSpec
from tests.engine.naive_cycle import Saying, Shown
from tests.engine.naive_sides import Slot

Seen = tuple[Slot, Any, float]  # a fact as a toy sees it: slot, value, confidence


@dataclass(frozen=True)
class Toy:
    """How a toy agent behaves. `because`: how it names premises; `fails` and `errs`: on which inputs it misbehaves.

    `how`: say (a fixed list of statements), copy (every fact shown), turn (every fact, its value turned by one), count
    (how many facts), best (the greatest number shown), dice (statements drawn by a hash of the input), quiet.
    """

    how: str
    statements: tuple[tuple[str, str, Any, float], ...] = ()
    because: str = "shown"  # shown (the default) | named | nothing
    fails: int = 0  # fails when the hash of the input is a multiple; 0 never
    errs: int = 0  # adds a faulty proposal when the hash of the input is a multiple; 0 never
    fault: str = "foreign"  # foreign | twice | unshown | limits
    salt: int = 0
    transient: bool = False  # whether its failures may be tried again


def run_toy(toy: Toy, agent: AgentSpec, item: str | None, shown: Shown) -> list[Saying] | None:
    """What the toy returns for an input; None if it fails."""
    number = _hash(toy.salt, agent.name, item, shown)
    if toy.fails and number % toy.fails == 0:
        return None
    facts = list(_facts(agent, item, shown))
    said = list(
        _rulings(toy, agent, item, shown, number) if "sides" in shown else _says(toy, agent, facts, number)
    )
    if toy.errs and number // 7 % toy.errs == 0:
        said += _faults(toy, agent, said)
    return said


def _hash(*parts: Any) -> int:
    return int(hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12], 16)


def _facts(agent: AgentSpec, item: str | None, shown: Shown) -> Iterator[Seen]:
    if "item" in shown:
        value, conf = shown["item"]
        yield (agent.over, str(item)), json.loads(value), conf / 1000
    for subject, value, conf in shown.get("group") or ():
        yield (agent.over, subject), json.loads(value), conf / 1000
    for key, subjects in sorted(shown["reads"].items()):
        for subject, (status, *rest) in sorted(subjects.items()):
            if status == "fact":
                yield (key, subject), json.loads(rest[0]), rest[1] / 1000


def _says(toy: Toy, agent: AgentSpec, facts: list[Seen], number: int) -> Iterator[Saying]:
    write = agent.writes[number % len(agent.writes)] if toy.how == "dice" else agent.writes[0]
    everything = tuple(slot for slot, _, _ in facts)
    if toy.how in ("copy", "turn"):
        seen: set[str] = set()
        for slot, value, conf in facts:
            if slot[1] not in seen and slot[0] != write:
                seen.add(slot[1])
                said = value if toy.how == "copy" else turn(value)
                yield Saying(write, slot[1], said, conf, None, _because(toy, (slot,)))
    elif toy.how == "count":
        yield Saying(write, "n", len(facts) % 3, 0.5 + len(facts) % 2 / 4, None, _because(toy, everything))
    elif toy.how == "best":
        numbers = [(v, slot) for slot, v, _ in facts if type(v) in (int, float)]
        if numbers:
            value, slot = max(numbers)
            yield Saying(write, "n", value, 0.6, {"observed_at": value}, _because(toy, (slot,)))
    elif toy.how == "say":
        for key, subject, value, conf in toy.statements:
            yield Saying(key, subject, value, conf, {"source": agent.name}, _because(toy, everything[:1]))
    elif toy.how == "dice":
        for place, (_, subject, value, conf) in enumerate(toy.statements):
            if number >> place & 1:
                evidence = {"observed_at": number >> 4 & 3}
                yield Saying(
                    write, subject, value, conf, evidence, _because(toy, everything[place : place + 1])
                )


def turn(value: Any) -> Any:
    """The next of three numbers; anything else becomes 0."""
    return (value + 1) % 3 if type(value) is int else 0


def _because(toy: Toy, slots: tuple[Slot, ...]) -> tuple[Slot, ...] | None:
    return {"shown": None, "named": slots, "nothing": ()}[toy.because]


def _rulings(toy: Toy, agent: AgentSpec, item: str | None, shown: Shown, number: int) -> Iterator[Saying]:
    sides = json.loads(shown["sides"])
    if toy.how == "quiet":
        return
    if toy.how == "dice" and number % 3 == 0:
        return
    value = json.loads(sides[number % len(sides)][0]) if toy.how in ("copy", "dice") else len(sides) % 3
    yield Saying(
        agent.over,
        str(item),
        value,
        0.7,
        {"source": agent.name},
        _because(toy, ()) if toy.because == "nothing" else None,
    )


def _faults(toy: Toy, agent: AgentSpec, said: list[Saying]) -> list[Saying]:
    write = agent.over if agent.shape == "aggregate" else agent.writes[0]
    if toy.fault == "foreign":
        return [Saying("nobody.writes.this", "s", 1)]
    if toy.fault == "twice":
        return [Saying(write, "twice", 0, 0.5, None, ()), Saying(write, "twice", 1, 0.5, None, ())]
    if toy.fault == "unshown":
        return [Saying(write, "s", 1, 1.0, None, (("nobody.writes.this", "s"),))]
    return [Saying(write, "s", 1, 1.5)]
