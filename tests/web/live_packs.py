"""`parade`: a long walk in three tiers, with a gate before each tier but the first at which it waits for a person. Each
step is a cycle of its own and takes its time, so that there is something to watch, and something to disturb."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from runtime.agents import Pack, propose
from runtime.engine import Budget, Fact, Proposal, View

STEPS = int(os.environ.get("PARADE_STEPS", "70"))  # of each tier
PAUSE = float(os.environ.get("PARADE_PAUSE", "0.05"))  # seconds a step takes
WIDTH = int(os.environ.get("PARADE_WIDTH", "22"))  # things seen on each step
_never = threading.Event()

parade = Pack(
    "parade",
    tiers=["Set out", "On the way", "Home"],
    answer=["gate", "mile1", "mile2", "mile3"],
    title="Parade",
    budget=Budget(cycles=100_000, lifetime_cycles=100_000, facts=1_000_000, seconds=36_000),
)
parade.key("start", schema={"type": "integer"}, seed=True)
parade.key("gate", schema={"type": "integer"}, title="Gate")
for _tier in (1, 2, 3):
    parade.key(f"mile{_tier}", schema={"type": "integer"}, title=f"Mile {_tier}")
    parade.key(f"seen{_tier}", schema={"type": "string"}, title=f"Seen on mile {_tier}")
parade.approval("who opens the gate", keys=["gate"], exclude_submitter=False)


def _walk(tier: int) -> Callable[[Fact, View], Iterator[Proposal]]:
    def step(at: Fact, view: View) -> Iterator[Proposal]:
        _never.wait(PAUSE)
        if at.value >= STEPS:
            return
        yield propose(f"mile{tier}", str(at.value + 1), at.value + 1, because=[at])
        for number in range(WIDTH):
            yield propose(f"seen{tier}", f"{at.value}.{number}", f"the {number}th thing of step {at.value}")

    return step


def _gate(tier: int) -> Callable[[Fact, View], Iterator[Proposal]]:
    def ask(at: Fact, view: View) -> Iterator[Proposal]:
        if at.value == STEPS:
            yield propose("gate", str(tier), tier, because=[at])

    return ask


def _set_out(tier: int) -> Callable[[Fact, View], Iterator[Proposal]]:
    def first(opened: Fact, view: View) -> Iterator[Proposal]:
        if opened.value == tier:
            yield propose(f"mile{tier}", "1", 1, because=[opened])

    return first


for _tier in (1, 2, 3):
    if _tier > 1:
        parade.each(
            f"mile{_tier - 1}", name=f"ask at gate {_tier}", writes=["gate"], tier=_tier, required=True
        )(_gate(_tier))
    parade.each(
        "start" if _tier == 1 else "gate", name=f"set out {_tier}", writes=[f"mile{_tier}"], tier=_tier
    )(_set_out(_tier))
    parade.each(
        f"mile{_tier}",
        name=f"walk {_tier}",
        writes=[f"mile{_tier}", f"seen{_tier}"],
        tier=_tier,
        required=True,
        timeout=600,
    )(_walk(_tier))

SEEDS: list[dict[str, Any]] = [{"key": "start", "subject": "town", "value": 1}]
