"""Tier 1: what the numbers say about each channel."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from runtime.agents import propose
from runtime.engine import Fact, Group, Proposal, View
from runtime.packs.growth.economics import certainty, elasticity, is_measured, margin_per_euro
from runtime.packs.growth.keys import pack

NOTABLE = 10  # percent of growth from which a trend is one


@pack.each("channel", writes=["economics"], required=True)
def unit_economics(channel: Fact, view: View) -> Proposal:
    """What a customer costs, and what each euro earns."""
    now = channel.value
    earned = margin_per_euro(now)
    value = {
        "spend": now["spend"],
        "cost_per_customer": round(now["spend"] / now["conversions"], 2) if now["conversions"] else None,
        "return": round(earned, 2),
        "profit": round(now["conversions"] * now["margin"] - now["spend"]),
    }
    evidence = {"customers": now["conversions"]}
    return propose("economics", channel.subject, value, certainty(now["conversions"]), evidence=evidence)


@pack.each("channel", writes=["momentum"], required=True)
def momentum(channel: Fact, view: View) -> Proposal:
    """Whether conversions rise, and by more than spend explains."""
    now = channel.value
    growth = now["growth"]
    trend = "rising" if growth >= NOTABLE else "falling" if growth <= -NOTABLE else "flat"
    value = {"trend": trend, "growth": growth, "beyond_spend": round(growth - now["spend_growth"], 1)}
    return propose("momentum", channel.subject, value, certainty(now["conversions"]))


@pack.each("channel", writes=["saturation"], required=True)
def diminishing_returns(channel: Fact, view: View) -> Proposal:
    """What the next euro would earn, from how customers answered when spend last moved."""
    now = channel.value
    answer = elasticity(now)
    measured = is_measured(now)
    value = {
        "elasticity": round(answer, 2),
        "next_euro": round(answer * margin_per_euro(now), 2),
        "measured": measured,
    }
    trust = certainty(now["conversions"]) if measured else 0.4
    evidence = {"growth": now["growth"], "spend_growth": now["spend_growth"]}
    return propose("saturation", channel.subject, value, trust, evidence=evidence)


@pack.grouped("channel", by="audience", writes=["overlap"])
def cannibalisation(group: Group, view: View) -> Iterator[Proposal]:
    """How many of a channel's customers the others of its audience would have caught, by their share of
    the spend."""
    values = {channel.subject: channel.value for channel in group.items}
    total = sum(value["spend"] for value in values.values())
    for channel in group.items:
        others = {name: value["spend"] for name, value in values.items() if name != channel.subject}
        if not others or not total:
            continue
        shared = values[channel.subject]["overlap"] / 100 * sum(others.values()) / total
        strongest = max(others, key=lambda name: (others[name], name))
        value = {"audience": group.name, "shared": round(shared, 2), "mostly_with": strongest}
        yield propose("overlap", channel.subject, value, 0.7, because=group.items)


@pack.agent(reads=["channel"], writes=["relation"], required=True)
def relationships(view: View) -> Iterator[Proposal]:
    """Within an audience, early channels feed later ones that grow, and channels of the same stage
    compete."""
    channels = [(channel, channel.value) for channel in view["channel"]]
    for (one, first), (other, second) in combinations(channels, 2):
        if first["audience"] != second["audience"]:
            continue
        strength = round(min(first["overlap"], second["overlap"]) / 100, 2)
        if first["stage"] == second["stage"]:
            yield _relate("competes", one, other, strength)
            continue
        early, late = (one, other) if _is_earlier(first["stage"], second["stage"]) else (other, one)
        if (second if late is other else first)["growth"] > 0:
            yield _relate("feeds", early, late, strength)


def _is_earlier(stage: str, than: str) -> bool:
    order = ("discover", "convince", "close")
    return order.index(stage) < order.index(than)


def _relate(kind: str, one: Fact, other: Fact, strength: float) -> Proposal:
    sign = "→" if kind == "feeds" else "↔"
    value = {"kind": kind, "from": one.subject, "to": other.subject, "strength": strength}
    return propose("relation", f"{one.subject} {sign} {other.subject}", value, 0.6, because=[one, other])


def _flag(name: str, when: str, words: str, over: str, description: str) -> None:
    pack.cel(
        name,
        over=over,
        writes="flag",
        when=when,
        subject=f'subject + ": {words}"',
        value=f'{{"channel": subject, "flag": "{words}"}}',
        confidence=0.9,
        description=description,
    )


_flag("loses-money", "value.return < 1", "loses money", "economics", "A euro spent earns less than a euro.")
_flag(
    "thin-margin",
    "value.return >= 1 && value.return < 1.2",
    "thin margin",
    "economics",
    "A euro spent earns less than 1.20: a small change makes it a loss.",
)
_flag("small-sample", "value.conversions < 150", "small sample", "channel", "Too few customers to be sure.")
