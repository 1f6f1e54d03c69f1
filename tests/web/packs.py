"""A pack for pages about slots: two agents that swing for ever, and a key in which anybody may speak."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.agents import Pack, propose
from runtime.engine import Proposal, View

seesaw = Pack("seesaw", tiers=["Level"], answer=["left", "right", "note"], title="Seesaw")
seesaw.key("push", schema={"type": "integer"}, seed=True)
seesaw.key("left", schema={"type": "integer"}, title="Left side")
seesaw.key("right", schema={"type": "integer"}, title="Right side")
seesaw.key("note", schema={"type": "string", "enum": ["calm", "windy", "42"]}, seed=True)
seesaw.key("wish", schema={"type": "string"}, seed=True)
seesaw.approval("a second pair of eyes", keys=["wish"], exclude_submitter=False)

SEEDS = [
    {"key": "push", "subject": "x", "value": 1},
    {"key": "note", "subject": "sky", "value": "calm", "confidence": 0.6},
]


@seesaw.agent(reads=["push", "right"], writes=["left"], required=True)
def lift_left(view: View) -> Proposal:
    """The opposite of the right side."""
    right = view.fact("right", "x")
    return propose("left", "x", 1 - right.value if right else 0, because=[("push", "x")])


@seesaw.agent(reads=["left"], writes=["right"], required=True)
def lift_right(view: View) -> Iterator[Proposal]:
    """What the left side says."""
    left = view.fact("left", "x")
    if left:
        yield propose("right", "x", left.value, because=[("left", "x")])
