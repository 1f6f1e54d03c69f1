"""The packs that are measured, and the engine driven without anything around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from runtime.engine import (
    AgentSpec,
    Budget,
    Commit,
    Core,
    Effect,
    InboxRow,
    KeySpec,
    PackSpec,
    Proposal,
    Seed,
    View,
)

# No budget is what is measured here.
BOUNDLESS = Budget(cycles=10**9, lifetime_cycles=10**9, facts=10**9, seconds=10**9)
VALUE = "a small fact"

Saying = Callable[[View], Sequence[Proposal]]


def chain(length: int) -> PackSpec:
    """Each agent reads what the one before it wrote, and adds one fact: `length` cycles of one merge."""
    keys = tuple(KeySpec(f"k{at}") for at in range(length + 1))
    agents = (AgentSpec(f"a{at}", reads=(f"k{at}",), writes=(f"k{at + 1}",)) for at in range(length))
    return PackSpec("chain", keys=keys, agents=tuple(agents), budget=BOUNDLESS)


def fan_out(width: int) -> PackSpec:
    """All agents read the seed, and each adds one fact: one cycle of `width` merges."""
    keys = (KeySpec("k0"), *(KeySpec(f"k{at + 1}") for at in range(width)))
    agents = (AgentSpec(f"a{at}", reads=("k0",), writes=(f"k{at + 1}",)) for at in range(width))
    return PackSpec("fan-out", keys=keys, agents=tuple(agents), budget=BOUNDLESS)


def one_fact(pack: PackSpec) -> dict[str, Saying]:
    """An agent's function each: one fact about one subject."""

    def saying(key: str) -> Saying:
        return lambda view: [Proposal(key, "x", VALUE)]

    return {agent.name: saying(agent.writes[0]) for agent in pack.agents}


def many_facts(pack: PackSpec, facts: int) -> dict[str, Saying]:
    """An agent's function each: the same `facts` proposals whenever it is asked, made beforehand."""

    def saying(key: str) -> Saying:
        said = [Proposal(key, f"subject {at}", {"n": at, "text": VALUE}, 0.5) for at in range(facts)]
        return lambda view: said

    return {agent.name: saying(agent.writes[0]) for agent in pack.agents}


def seeds(count: int, key: str = "k0") -> list[Seed]:
    """Seeds about as many subjects."""
    return [Seed(at, key, f"seed {at}", VALUE) for at in range(1, count + 1)]


def drive(core: Core, functions: dict[str, Saying], rows: Iterable[Seed | InboxRow]) -> Commit:
    """Cycles until the engine stops, whole agents called inline; gives the last commit."""
    while True:
        runs = core.begin(rows)
        rows = ()
        commit = core.finish([Effect(r.agent.name, r.item, functions[r.agent.name](r.view)) for r in runs])
        if commit.stop is not None:
            assert commit.stop.reason == "converged", commit.stop
            return commit


def seconds_of(work: Callable[[], Any]) -> float:
    """How long one call takes, by the wall clock."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
