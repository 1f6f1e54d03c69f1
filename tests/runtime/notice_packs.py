"""Packs about who is asked: an umpire that rules on some conflicts, and a purse that one group opens."""

from __future__ import annotations

from typing import Any

from runtime.agents import Pack, propose, ruling
from runtime.engine import Fact, Proposal, View

umpires = Pack("umpires", tiers=["Called"], answer=["call"])
umpires.key("ball", schema={"type": "string"}, seed=True)
umpires.key("call", schema={"enum": ["in", "out"]})


@umpires.each("ball", writes=["call"])
def near(ball: Fact, view: View) -> Proposal:
    """Says in."""
    return propose("call", ball.subject, "in", 0.6)


@umpires.each("ball", writes=["call"])
def far(ball: Fact, view: View) -> Proposal:
    """Says out."""
    return propose("call", ball.subject, "out", 0.9)


@umpires.aggregate("call")
def umpire(sides: Any, view: View) -> Any:
    """Rules where it is clear, and abstains where it is odd."""
    return ruling("in", 0.8) if sides.subject == "clear" else None


purse = Pack("purse", tiers=["Paid"], answer=["payment"])
purse.key("wish", schema={"type": "integer"}, seed=True)
purse.key("payment", schema={"type": "integer"})
purse.approval("the treasurers", keys=["payment"], groups=["Finance"], exclude_submitter=False)


@purse.each("wish", writes=["payment"], required=True)
def pay(wish: Fact, view: View) -> Proposal:
    """What was wished for."""
    return propose("payment", wish.subject, wish.value, 0.9)
