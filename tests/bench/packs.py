"""The packs that the queue is measured with, declared as anybody declares theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from runtime.agents import Pack, propose
from runtime.engine import Proposal, View

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
