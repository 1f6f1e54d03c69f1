"""Tier 3: from outlooks to a plan somebody can sign."""

from __future__ import annotations

from typing import Any

from runtime.agents import propose
from runtime.engine import Fact, Proposal, View
from runtime.packs.growth.economics import Curve, elasticity, split_budget
from runtime.packs.growth.keys import STANCES, pack

# How far spend may move, as factors of today's: the least and the most of each stance, by risk appetite.
BOUNDS: dict[str, dict[str, tuple[float, float]]] = {
    "cautious": {
        "scale": (1.0, 1.4),
        "grow": (1.0, 1.2),
        "keep": (0.9, 1.05),
        "trim": (0.7, 0.9),
        "stop": (0.3, 0.5),
    },
    "balanced": {
        "scale": (1.0, 1.8),
        "grow": (1.0, 1.4),
        "keep": (0.8, 1.1),
        "trim": (0.5, 0.8),
        "stop": (0.0, 0.0),
    },
    "bold": {
        "scale": (1.2, 3.0),
        "grow": (1.0, 2.0),
        "keep": (0.6, 1.1),
        "trim": (0.3, 0.7),
        "stop": (0.0, 0.0),
    },
}
WORTH_IT = {"profit": 1.0, "customers": 0.7}  # margin the next euro must earn to be spent
LONG = 6  # months from which feeding other channels counts


def _company(view: View) -> Fact | None:
    return next(iter(view["company"]), None)


@pack.each(
    "outlook",
    reads=["company", "economics", "relation", "evidence.web"],
    writes=["stance"],
    tier=3,
    required=True,
)
def take_stance(outlook: Fact, view: View) -> Proposal | None:
    """What to do with a channel, from its outlook, what it earns, whom it feeds, and what the web says. Where the web
    is silent, the numbers alone have their say; the answer then counts the stance as incomplete."""
    company = _company(view)
    economics = view.fact("economics", outlook.subject)
    if company is None or economics is None:
        return None
    word, earned = outlook.value, economics.value["return"]
    fed = [
        relation
        for relation in view["relation"]
        if relation.value["kind"] == "feeds" and relation.value["from"] == outlook.subject
    ]
    feeds = bool(fed) and company.value["horizon"] >= LONG
    found = view.fact("evidence.web", outlook.subject)
    interest = found.value["interest"] if found is not None else "unknown"
    stance = _one_step_down(_stance(word, earned)) if interest == "falling" else _stance(word, earned)
    if stance == "stop" and feeds:
        stance = "trim"
    sure = (
        min(outlook.confidence, found.confidence) if interest == "falling" and found else outlook.confidence
    )
    evidence = {"outlook": word, "return": earned, "feeds_others": feeds, "interest": interest}
    because = [outlook, company, economics, *fed, *([found] if found is not None else [])]
    return propose("stance", outlook.subject, stance, sure, evidence=evidence, because=because)


def _one_step_down(stance: str) -> str:
    """The next more careful stance. Interest that rises moves nothing up: the numbers already show what it pays."""
    return STANCES[min(STANCES.index(stance) + 1, len(STANCES) - 1)]


def _stance(word: str, earned: float) -> str:
    if earned < 0.6:
        return "stop"
    if word == "promising":
        return "scale" if earned >= 1.5 else "grow"
    if word == "steady":
        return "keep" if earned >= 1 else "trim"
    return "trim" if word == "saturated" or earned >= 1 else "stop"


@pack.agent(
    reads=["company", "outlook", "stance", "evidence.web"], writes=["strategy"], tier=3, required=True
)
def strategise(view: View) -> Proposal | None:
    """One strategy from all stances; none while a channel's outlook is undecided. It says on which channels the web
    was silent: with that, whoever reads it, a language model too, need read nothing else."""
    company = _company(view)
    stances = {stance.subject: stance.value for stance in view["stance"]}
    if company is None or view["outlook"].contested or not stances or len(stances) < len(view["outlook"]):
        return None
    named = {word: [name for name, stance in stances.items() if stance == word] for word in STANCES}
    back, keep, cut = named["scale"] + named["grow"], named["keep"], named["trim"] + named["stop"]
    headline = f"Back {_listed(back)}; keep {_listed(keep)}; cut {_listed(cut)}."
    sure = round(sum(stance.confidence for stance in view["stance"]) / len(stances), 2)
    interest = {found.subject: found.value["interest"] for found in view["evidence.web"]}
    value = {
        "headline": headline,
        "back": back,
        "keep": keep,
        "cut": cut,
        "falling": [name for name in stances if interest.get(name) == "falling"],
        "unchecked": [name for name in stances if name not in interest],
    }
    return propose("strategy", company.subject, value, sure)


def _listed(names: list[str]) -> str:
    if not names:
        return "nothing"
    return (
        names[0]
        if len(names) == 1
        else f"{', '.join(names[:2])}" + (f" and {len(names) - 2} more" * (len(names) > 2))
    )


@pack.agent(reads=["channel", "company", "stance", "strategy"], writes=["plan.split"], tier=3, required=True)
def split(view: View) -> Proposal | None:
    """Splits the budget so that the next euro earns the same everywhere, within what the stances allow."""
    company = _company(view)
    if company is None or not view["strategy"]:
        return None
    curves = [_curve(channel, view, company.value["risk"]) for channel in view["channel"]]
    known = [curve for curve in curves if curve is not None]
    spends = split_budget(known, company.value["budget"], WORTH_IT[company.value["goal"]])
    total = sum(spends.values())
    value = {"total": total, "unspent": company.value["budget"] - total, "channels": spends}
    return propose("plan.split", "budget", value, 0.8)


def _curve(channel: Fact, view: View, risk: str) -> Curve | None:
    stance = view.fact("stance", channel.subject)
    if stance is None:
        return None
    now = channel.value
    least, most = BOUNDS[risk][stance.value]
    spend = float(now["spend"])
    return Curve(
        channel.subject,
        spend,
        now["conversions"],
        now["margin"],
        elasticity(now),
        least * spend,
        most * spend,
    )


@pack.agent(reads=["channel", "company", "strategy", "plan.split"], writes=["plan"], tier=3, required=True)
def draw_plan(view: View) -> Proposal | None:
    """The plan to sign: what moves, what it should bring."""
    company = _company(view)
    split = view.fact("plan.split", "budget")
    strategy = next(iter(view["strategy"]), None)
    if company is None or split is None or strategy is None:
        return None
    spends = split.value["channels"]
    channels = {channel.subject: channel.value for channel in view["channel"] if channel.subject in spends}
    expected = {name: _expected(now, spends[name]) for name, now in channels.items()}
    earned = sum(expected[name] * now["margin"] for name, now in channels.items())
    value = {
        "headline": strategy.value["headline"],
        "spend": split.value["total"],
        "customers": round(sum(expected.values())),
        "profit": round(earned - split.value["total"]),
        "moves": _moves({name: now["spend"] for name, now in channels.items()}, spends),
    }
    return propose("plan", company.subject, value, strategy.confidence)


def _expected(now: dict[str, Any], spend: float) -> float:
    curve = Curve("", now["spend"], now["conversions"], now["margin"], elasticity(now), 0, 0)
    return curve.customers_at(spend)


def _moves(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """What changes, the largest change first."""
    changes = {name: after[name] - before[name] for name in before if abs(after[name] - before[name]) >= 100}
    order = sorted(changes, key=lambda name: (-abs(changes[name]), name))
    return [f"{name}: {before[name]:,.0f} → {after[name]:,.0f} EUR" for name in order]
