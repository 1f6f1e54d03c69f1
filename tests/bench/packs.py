"""The packs that the queue is measured with, declared as anybody declares theirs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from runtime.agents import Pack, propose
from runtime.engine import Budget, Fact, Proposal, View

AGENTS = 20


def _step(key: str) -> Callable[[View], Iterator[Proposal]]:
    def step(view: View) -> Iterator[Proposal]:
        yield propose(key, "x", "a small fact")

    return step


def _chain(name: str, length: int) -> Pack:
    """Each agent reads what the one before it wrote, and adds one fact."""
    pack = Pack(name)
    for at in range(length + 1):
        pack.key(f"k{at}", seed=at == 0)
    for at in range(length):
        pack.agent(name=f"a{at}", reads=[f"k{at}"], writes=[f"k{at + 1}"])(_step(f"k{at + 1}"))
    return pack


chain = _chain("bench-chain", AGENTS)
small = _chain("bench-small", 1)

# A fact a cycle, and so many of them a second by the clock, whatever a cycle costs. Each says when it was said.
STREAM_PACE = 100
stream = Pack(
    "bench-stream",
    budget=Budget(cycles=10**7, lifetime_cycles=10**7, facts=10**7, seconds=1e6),
    answer=["step"],
)
stream.key("start", schema={"type": "integer"}, seed=True)
stream.key("step", schema={"type": "object"})
_due = [0.0]
_never = threading.Event()


@stream.each("start", name="set out", writes=["step"], required=True)
def set_out(start: Fact, view: View) -> Proposal:
    """The first step."""
    return propose("step", "1", {"n": 1, "of": start.value, "at": time.time()})


@stream.each("step", name="go on", writes=["step"], required=True, timeout=600)
def go_on(step: Fact, view: View) -> Iterator[Proposal]:
    """The next step, when it is due."""
    now = time.monotonic()
    _due[0] = max(_due[0] + 1 / STREAM_PACE, now - 0.1)
    _never.wait(max(0.0, _due[0] - now))
    n, of = step.value["n"] + 1, step.value["of"]
    if n <= of:
        yield propose("step", str(n), {"n": n, "of": of, "at": time.time()})
