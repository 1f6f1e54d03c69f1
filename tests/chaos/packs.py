"""Packs for the fault matrix: slow enough to be disturbed in the middle, and the same every time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

from runtime.agents import Pack, propose
from runtime.engine import Fact, Proposal, View

PAUSE = float(os.environ.get("CHAOS_PAUSE", "0.02"))  # seconds a step takes
_never = threading.Event()

# `stroll`: a chain of cycles.
stroll = Pack("stroll", tiers=["Walked"], answer=["step"])
stroll.key("step", schema={"type": "object"}, seed=True)


@stroll.each("step", writes=["step"], required=True, timeout=600)
def go_on(step: Fact, view: View) -> Proposal | None:
    """One step a cycle."""
    _never.wait(PAUSE)
    at, of = step.value["at"], step.value["of"]
    return propose("step", str(at + 1), {"at": at + 1, "of": of}, because=[step]) if at < of else None


def stroll_seeds(steps: int) -> list[dict[str, Any]]:
    """A walk of so many steps."""
    return [{"key": "step", "subject": "1", "value": {"at": 1, "of": steps}}]


# `debate`: two judges who disagree, a plan that two others must approve, and a walk at the end.
debate = Pack("debate", tiers=["Judged", "Planned"], answer=["verdict", "plan", "round"])
debate.key("case", schema={"type": "object"}, seed=True)
debate.key("verdict", schema={"type": "string", "enum": ["yes", "no", "maybe"]})
debate.key("plan", schema={"type": "integer"})
debate.key("round", schema={"type": "integer"})
debate.operator("people decide", keys=["verdict"])
debate.approval("two others sign", keys=["plan"], count=2, exclude_submitter=True, groups=["operator"])


@debate.each("case", writes=["verdict"], required=True)
def lenient(case: Fact, view: View) -> Proposal:
    """Says yes."""
    return propose("verdict", case.subject, "yes", 0.6)


@debate.each("case", writes=["verdict"], required=True)
def strict(case: Fact, view: View) -> Iterator[Proposal]:
    """Says no where it is told to."""
    _never.wait(PAUSE)
    if case.value.get("doubtful"):
        yield propose("verdict", case.subject, "no", 0.9)


@debate.agent(reads=["verdict"], writes=["plan"], tier=2, required=True)
def count(view: View) -> Proposal:
    """Counts what was said yes to."""
    return propose("plan", "all", sum(verdict.value == "yes" for verdict in view["verdict"]))


@debate.each("plan", writes=["round"], tier=2, required=True)
def carry_out(plan: Fact, view: View) -> Proposal:
    """Begins what was approved."""
    return propose("round", "1", 1, because=[plan])


DEBATE_SEEDS: list[dict[str, Any]] = [
    {"key": "case", "subject": "clear", "value": {}},
    {"key": "case", "subject": "doubtful", "value": {"doubtful": True}},
    {"key": "case", "subject": "odd", "value": {"doubtful": True}},
]

# `quiz`: asks a tool about each question, in three cycles.
quiz = Pack("quiz", tiers=["Asked"], answer=["opinion", "second", "third"])
quiz.tool(
    "oracle",
    url="{flaky_tools}/search",
    attempts=3,
    backoff=0.05,
    allow=["127.0.0.1"],
    timeout=5.0,
    concurrency=32,
)
quiz.key("question", schema={"type": "string"}, seed=True)
for _key in ("opinion", "second", "third"):
    quiz.key(_key, schema={"type": "string", "enum": ["yes", "no"]})
quiz.http("ask", tool="oracle", over="question", writes=["opinion"], required=True)
quiz.http("ask again", tool="oracle", over="opinion", writes=["second"], required=True)
quiz.http("ask once more", tool="oracle", over="second", writes=["third"], required=True)

QUIZ_SEEDS: list[dict[str, Any]] = [
    {"key": "question", "subject": name, "value": f"is it {name}?"} for name in ("big", "old", "red")
]

# `vote`: nobody answers in time, and the rule's outcome comes.
vote = Pack("vote", tiers=["Voted"], answer=["result"])
vote.key("motion", schema={"type": "integer"}, seed=True)
vote.key("ballot", schema={"type": "string"})
vote.key("result", schema={"type": "string"})
vote.operator("until the bell", keys=["ballot"], deadline=2.0, outcome="strongest", remind=1.0)


@vote.each("motion", writes=["ballot"], required=True)
def ayes(motion: Fact, view: View) -> Proposal:
    """Are fewer."""
    return propose("ballot", motion.subject, "aye", 0.6)


@vote.each("motion", writes=["ballot"], required=True)
def noes(motion: Fact, view: View) -> Proposal:
    """Are more."""
    return propose("ballot", motion.subject, "no", 0.8)


@vote.each("ballot", writes=["result"], required=True)
def count_votes(ballot: Fact, view: View) -> Proposal:
    """Tells what was voted."""
    return propose("result", ballot.subject, ballot.value)


VOTE_SEEDS: list[dict[str, Any]] = [{"key": "motion", "subject": f"motion {n}", "value": n} for n in (1, 2)]

PACKS = ("stroll", "debate", "quiz", "vote")
