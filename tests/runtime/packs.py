"""Packs for tests, offered through entry points as those of any installed package are."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from runtime.agents import Budget, Pack, propose
from runtime.engine import Fact, Proposal, View
from tests.waiting import eventually

# `walk`: a chain of cycles, with a gate in the middle that a test opens by making a file.
STEPS = 14
GATE_AT = 7
GATE = "TEST_GATE"

walk = Pack("walk", tiers=["Walked"], answer=["step"])
walk.key("step", schema={"type": "integer"}, seed=True)


@walk.each("step", writes=["step"], required=True, timeout=600)
def go_on(step: Fact, view: View) -> Proposal | None:
    """One step a cycle."""
    gate = os.environ.get(GATE)
    if step.value == GATE_AT and gate:
        Path(gate).with_name("waiting").touch()
        eventually(Path(gate).exists, seconds=60)
    if step.value >= STEPS:
        return None
    return propose("step", str(step.value + 1), step.value + 1, because=[step])


WALK_SEEDS = [{"key": "step", "subject": "1", "value": 1}]


# `choir`: voices that take a moment each, and disagree; which comes first must not matter.
choir = Pack("choir", tiers=["Sung"], answer=["song", "chorus"])
choir.key("song", schema={"type": "string"}, seed=True)
choir.key("note", schema={"type": "integer"})
choir.key("chorus", schema={"type": "integer"})
choir.confidence("the louder one", keys=["note"], margin=0.01)


def _sing(number: int) -> None:
    @choir.agent(reads=["song"], writes=["note"], name=f"voice-{number}")
    async def voice(view: View) -> list[Proposal]:
        await asyncio.sleep(random.random() / 200)
        return [propose("note", song.subject, number % 4, 0.5 + number / 50) for song in view["song"]]


for _number in range(8):
    _sing(_number)


@choir.agent(reads=["note"], writes=["chorus"], required=True)
async def join(view: View) -> list[Proposal]:
    """Sums what stands."""
    await asyncio.sleep(random.random() / 200)
    return [propose("chorus", note.subject, note.value * 10) for note in view["note"]]


CHOIR_SEEDS = [{"key": "song", "subject": f"song {n}", "value": f"verse {n}"} for n in range(5)]


# `echo`: repeats what it is told; a test can do something while it runs.
echo = Pack("echo", tiers=["Echoed"], answer=["said", "echo"], budget=Budget(lifetime_cycles=10_000))
echo.key("said", schema={"type": ["string", "number"]}, seed=True)
echo.key("echo", schema={"type": ["string", "number"]})
while_it_runs: list[Callable[[], object]] = []


@echo.each("said", writes=["echo"], required=True)
def repeat(said: Fact, view: View) -> Proposal:
    """Calls what a test left for it, once."""
    while while_it_runs:
        while_it_runs.pop()()
    return propose("echo", said.subject, said.value)


ECHO_SEEDS = [{"key": "said", "subject": "hill", "value": "hello"}]


# `panel`: two judges who disagree, a sum of what stands, and a plan that two others must approve.
panel = Pack("panel", tiers=["Judged", "Planned"], answer=["verdict", "plan"])
panel.key("case", schema={"type": "object"}, seed=True)
panel.key("verdict", schema={"type": "string", "enum": ["yes", "no", "maybe"]})
panel.key("plan", schema={"type": "integer"})
panel.operator("people decide", keys=["verdict"])
panel.approval("two others sign", keys=["plan"], count=2, exclude_submitter=True, groups=["operator"])


@panel.each("case", writes=["verdict"], required=True)
def lenient(case: Fact, view: View) -> Proposal:
    """Says yes."""
    return propose("verdict", case.subject, "yes", 0.6)


@panel.each("case", writes=["verdict"], required=True)
def strict(case: Fact, view: View) -> Iterator[Proposal]:
    """Says no where it is told to."""
    if case.value.get("doubtful"):
        yield propose("verdict", case.subject, "no", 0.9)


@panel.agent(reads=["verdict"], writes=["plan"], tier=2, required=True)
def count(view: View) -> Proposal:
    """Counts what was said yes to."""
    return propose("plan", "all", sum(verdict.value == "yes" for verdict in view["verdict"]))


PANEL_SEEDS = [
    {"key": "case", "subject": "clear", "value": {}},
    {"key": "case", "subject": "doubtful", "value": {"doubtful": True}},
]


# `asker`: counts by itself, then asks a tool about each question, and another one that it can do without.
asker = Pack("asker", tiers=["Counted", "Asked"], answer=["length", "opinion", "gloss"])
for _tool in ("oracle", "glossary"):
    asker.tool(_tool, url="http://127.0.0.1:9/search", attempts=1, allow=["127.0.0.1"], timeout=5.0)
asker.key("question", schema={"type": "string"}, seed=True)
asker.key("length", schema={"type": "integer"})
asker.key("opinion", schema={"type": "string", "enum": ["yes", "no"]})
asker.key("gloss", schema={"type": "string"})
asker.discount("less is known", incomplete=0.5)


@asker.each("question", writes=["length"], required=True)
def measure(question: Fact, view: View) -> Proposal:
    """Counts letters."""
    return propose("length", question.subject, len(question.value))


asker.http("ask", tool="oracle", over="question", writes=["opinion"], tier=2, required=True)
asker.http("explain", tool="glossary", over="question", writes=["gloss"], tier=2)

ASKER_SEEDS = [{"key": "question", "subject": name, "value": f"is it {name}?"} for name in ("big", "old")]


# `linger`: asks a tool, and in the same cycle waits at the gate: between a call and its merge.
linger = Pack("linger", tiers=["Asked"], answer=["opinion", "waited"])
linger.tool("oracle", url="http://127.0.0.1:9/search", attempts=1, allow=["127.0.0.1"], timeout=5.0)
linger.key("question", schema={"type": "string"}, seed=True)
linger.key("opinion", schema={"type": "string", "enum": ["yes", "no"]})
linger.key("waited", schema={"type": "boolean"})
linger.http("ask", tool="oracle", over="question", writes=["opinion"], required=True)


@linger.agent(reads=["question"], writes=["waited"], required=True, timeout=600)
async def wait_at_gate(view: View) -> Proposal:
    """Goes on when a test opens the gate."""
    gate = os.environ.get(GATE)
    if gate:
        Path(gate).with_name("waiting").touch()
        await asyncio.to_thread(eventually, Path(gate).exists, 60)
    return propose("waited", "all", True)


# `timed`: what is contested or held has deadlines. No agents: people and seeds speak.
timed = Pack("timed", tiers=["Settled"], answer=["price", "pick", "spend"])
for _name in ("price", "pick", "spend"):
    timed.key(_name, schema={"type": "integer"}, seed=True)
timed.operator("price in time", keys=["price"], deadline=3600, outcome="strongest", remind=600)
timed.operator("pick in time", keys=["pick"], deadline=3600, outcome="stay", groups=["legal"], reason=True)
timed.approval("spend in time", keys=["spend"], deadline=3600, outcome="reject", exclude_submitter=True)


@timed.agent(reads=["price"], writes=["spend"])
def spend_nothing(view: View) -> Proposal | None:
    """Says nothing; a pack needs an agent."""
    return None


TIMED_SEEDS = [
    {"key": "price", "subject": "bread", "value": 3, "confidence": 0.9},
    {"key": "price", "subject": "bread", "value": 4, "confidence": 0.5},
]
