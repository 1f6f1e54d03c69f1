"""A pack whose first agent misbehaves, in the way that a test chooses; the second does its work."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from runtime.agents import Budget, Pack, propose
from runtime.engine import Fact, Proposal, View

faulty = Pack("faulty", tiers=["Done"], answer=["made", "count"], budget=Budget(cycles=12))
faulty.key("given", schema={"type": "integer"}, seed=True)
faulty.key("made", schema={"type": "integer"})
faulty.key("count", schema={"type": "integer"})
faulty.key("secret", schema={"type": "integer"})

GIVEN = [{"key": "given", "subject": "one", "value": 1}]


class Fault:
    """What the agent does when it is called next: a function of its view."""

    act: Callable[[View], Any] = staticmethod(lambda view: None)


@faulty.agent(reads=["given", "count"], writes=["made"], required=True, timeout=0.2)
def misbehave(view: View) -> Any:
    """Does what the test says."""
    return Fault.act(view)


@faulty.each("given", writes=["count"], required=True)
def behave(given: Fact, view: View) -> Proposal:
    """Does its work."""
    return propose("count", given.subject, given.value + 1)


def raise_error(view: View) -> Any:
    raise ValueError(f"no idea about {len(view['given'])} things")


def exit_process(view: View) -> Any:
    raise SystemExit(3)


def divide_by_zero(view: View) -> Iterator[Proposal]:
    yield propose("made", "first", 1)
    yield propose("made", "second", 1 // 0)


def write_elsewhere(view: View) -> list[Proposal]:
    return [propose("secret", "x", 1), propose("made", "x", 1)]


def write_unknown_key(view: View) -> Proposal:
    return propose("nowhere", "x", 1)


def loop_for_ever(view: View) -> Any:
    for _ in itertools.count():
        pass


def propose_for_ever(view: View) -> Iterator[Proposal]:
    for number in itertools.count():
        sum(range(5_000))  # so that its time is over before it has said more than anybody may
        yield propose("made", str(number), number)


async def sleep_for_ever(view: View) -> Any:
    await asyncio.sleep(3_600)


endless = Pack("endless", tiers=["Never"], answer=["tick"], budget=Budget(cycles=9))
endless.key("tick", schema={"type": "integer"}, seed=True)


@endless.each("tick", writes=["tick"], required=True)
def tick(now: Fact, view: View) -> Proposal:
    """Always one more: never a fixed point."""
    return propose("tick", str(now.value + 1), now.value + 1, because=[now])


swing = Pack("swing", tiers=["Never"], answer=["left", "right"])
for _key in ("push", "left", "right"):
    swing.key(_key, schema={"type": "integer"}, seed=_key == "push")


@swing.agent(reads=["push", "right"], writes=["left"], required=True)
def to_the_left(view: View) -> Proposal:
    """One more than the right, of two."""
    right = view.fact("right", "x")
    return propose("left", "x", 1 - right.value if right else 0, because=[("push", "x")])


@swing.agent(reads=["left"], writes=["right"], required=True)
def to_the_right(view: View) -> Iterator[Proposal]:
    """What the left says."""
    left = view.fact("left", "x")
    if left:
        yield propose("right", "x", left.value, because=[("left", "x")])
