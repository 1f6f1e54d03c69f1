"""Tier 2: where each channel stands. Two agents judge from different signals; a third rules where they
disagree."""

from __future__ import annotations

from runtime.agents import Ruling, propose, ruling
from runtime.engine import Fact, Proposal, Sides, View
from runtime.packs.growth.keys import pack

ROOM_LEFT = 1.5  # margin of the next euro from which there is clearly room
WORN_OUT = 0.85  # and below which the channel is saturated


def _in_steps(confidence: float) -> float:
    """Confidence in steps of 0.05: the figures behind it are no finer."""
    return round(round(min(max(confidence, 0.0), 0.95) * 20) / 20, 2)


@pack.each("momentum", reads=["economics"], writes=["outlook"], tier=2, required=True)
def opportunity(momentum: Fact, view: View) -> Proposal | None:
    """Judges by growth: what rises and pays is promising, what falls is fading."""
    economics = view.fact("economics", momentum.subject)
    if economics is None:
        return None
    numbers = economics.value
    growth = momentum.value["growth"]
    trend = momentum.value["trend"]
    word = (
        "promising"
        if trend == "rising" and numbers["return"] >= 1
        else "fading"
        if trend == "falling"
        else "steady"
    )
    sure = 0.5 if word == "steady" else 0.5 + abs(growth) / 200
    evidence = {"growth": growth, "return": numbers["return"], "spend": numbers["spend"]}
    because = [momentum, economics]
    return propose("outlook", momentum.subject, word, _in_steps(sure), evidence=evidence, because=because)


@pack.each("saturation", reads=["economics"], writes=["outlook"], tier=2, required=True)
def headroom(saturation: Fact, view: View) -> Proposal | None:
    """Judges by what the next euro earns; says nothing where spend never moved, or where it is no clear
    case."""
    economics = view.fact("economics", saturation.subject)
    curve = saturation.value
    if economics is None or not curve["measured"] or WORN_OUT <= curve["next_euro"] < ROOM_LEFT:
        return None
    word = "saturated" if curve["next_euro"] < WORN_OUT else "promising"
    sure = 0.5 + (1 - curve["next_euro"] if word == "saturated" else (curve["next_euro"] - 1) / 4)
    evidence = {
        "next_euro": curve["next_euro"],
        "elasticity": curve["elasticity"],
        "spend": economics.value["spend"],
    }
    because = [saturation, economics]
    return propose("outlook", saturation.subject, word, _in_steps(sure), evidence=evidence, because=because)


@pack.aggregate(
    "outlook",
    reads=["economics", "overlap"],
    priority=20,
    when="sides.all(side, side.voices.all(voice, voice.evidence.spend < 40000))",
    rule="small stakes are weighed",
)
def weigh(sides: Sides, view: View) -> Ruling | None:
    """Rules by what a channel returns after overlap; abstains where that is close to break-even."""
    economics = view.fact("economics", sides.subject)
    if economics is None:
        return None
    overlap = view.fact("overlap", sides.subject)
    kept = 1.0 if overlap is None else 1 - overlap.value["shared"]
    earned = round(economics.value["return"] * kept, 2)
    words = {side.value for side in sides.sides}
    evidence = {"return_after_overlap": earned}
    if earned >= 1.3:
        best = "promising" if "promising" in words else "steady" if "steady" in words else "saturated"
        return ruling(best, 0.7, evidence=evidence)
    if earned < 1.0:
        return ruling("fading" if "fading" in words else "saturated", 0.7, evidence=evidence)
    return None
