"""The arithmetic of channels, with no agent in it.

Customers are taken to follow a power law of spend, `customers = a * spend ** e`, the usual form of
diminishing returns in media planning. Two observations give e; the margin of the next euro is then e times
the average margin per euro.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt
from typing import Any

ASSUMED_ELASTICITY = 0.7  # where spend hardly moved and none can be measured
HIGHEST_ELASTICITY = 1.2  # more is noise, or something else that grew at the same time
LEAST_MOVE = 5.0  # percent that spend must have changed for an elasticity to mean anything
STEPS = 400  # parts of the budget that are handed out one by one


def margin_per_euro(channel: Mapping[str, Any]) -> float:
    """Margin earned for each EUR spent; 0 without spend."""
    spend = float(channel["spend"])
    return channel["conversions"] * channel["margin"] / spend if spend else 0.0


def certainty(count: float) -> float:
    """How far a count can be trusted, 0..1: one less its relative standard error, as for rare events
    (Poisson)."""
    return round(max(0.2, 1 - 1 / sqrt(count)), 2) if count > 0 else 0.2


def is_measured(channel: Mapping[str, Any]) -> bool:
    """Whether spend moved enough to see how customers answered."""
    return (
        abs(channel["spend_growth"]) >= LEAST_MOVE
        and channel["spend_growth"] > -100
        and channel["growth"] > -100
    )


def elasticity(channel: Mapping[str, Any]) -> float:
    """Percent more customers for one percent more spend, within 0 and `HIGHEST_ELASTICITY`."""
    if not is_measured(channel):
        return ASSUMED_ELASTICITY
    found = log(1 + channel["growth"] / 100) / log(1 + channel["spend_growth"] / 100)
    return round(min(max(found, 0.0), HIGHEST_ELASTICITY), 3)


@dataclass(frozen=True, slots=True)
class Curve:
    """One channel for the split: its margin curve, and the bounds that its stance sets. EUR a month."""

    name: str
    spend: float
    customers: float
    margin: float
    elasticity: float
    least: float
    most: float

    def customers_at(self, spend: float) -> float:
        """Expected customers a month at another spend."""
        if not self.spend or not spend:
            return 0.0
        return float(self.customers * (spend / self.spend) ** min(self.elasticity, 1.0))

    def worth_of(self, spend: float, step: float) -> float:
        """Margin per EUR of the next `step` EUR on top of `spend`."""
        return (self.customers_at(spend + step) - self.customers_at(spend)) * self.margin / step


def split_budget(curves: list[Curve], budget: float, worth_it: float) -> dict[str, float]:
    """EUR a month by channel, at most `budget` in all: the least each stance allows, then step by step to
    the channel whose next EUR earns most, as long as it earns `worth_it`. If the least is too much
    already, all shrink alike."""
    spends = {curve.name: curve.least for curve in curves}
    least = sum(spends.values())
    if least > budget:
        return {name: _down(spend * budget / least) for name, spend in spends.items()}
    step = max(1.0, budget / STEPS)
    left = budget - least
    while left >= step:
        best = _best_next(curves, spends, step)
        if best is None or best.worth_of(spends[best.name], step) < worth_it:
            break
        spends[best.name] += step
        left -= step
    return {name: _down(spend) for name, spend in spends.items()}


def _best_next(curves: list[Curve], spends: dict[str, float], step: float) -> Curve | None:
    open_ones = [curve for curve in curves if spends[curve.name] + step <= curve.most]
    return max(open_ones, key=lambda c: (c.worth_of(spends[c.name], step), c.name), default=None)


def _down(spend: float) -> float:
    """Whole hundreds, rounded down, so that rounding never exceeds the budget."""
    return float(spend // 100 * 100)
