"""The arithmetic of channels, with no agent in it.

Customers are taken to follow a power law of spend, `customers = a * spend ** e`, the usual form of
diminishing returns in media planning. Two observations give e; the margin of the next euro is then e times
the average margin per euro.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import log, sqrt
from typing import Any

ASSUMED_ELASTICITY = 0.7  # where spend hardly moved and none can be measured
HIGHEST_ELASTICITY = 1.2  # more is noise, or something else that grew at the same time
LEAST_MOVE = 5.0  # percent that spend must have changed for an elasticity to mean anything
PART = 100.0  # EUR a month; a split in finer parts would only look exact
STEPS = 2_000  # into which the budget is handed out, at most


def margin_per_euro(channel: Mapping[str, Any]) -> float:
    """Margin earned for each EUR spent; 0 without spend."""
    spend = float(channel["spend"])
    return channel["conversions"] * channel["margin"] / spend if spend else 0.0


def certainty(count: float) -> float:
    """How far a count can be trusted, 0..1: 1 less its relative standard error, as for rare events (Poisson)."""
    return round(max(0.2, 1 - 1 / sqrt(count)), 2) if count > 0 else 0.2


def is_measured(channel: Mapping[str, Any]) -> bool:
    """Whether spend moved enough to see how customers answered."""
    changed, grew = channel["spend_growth"], channel["growth"]
    return bool(abs(changed) >= LEAST_MOVE and changed > -100 and grew > -100)


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
    """EUR a month by channel, at most `budget` in all: first the least that each stance allows, then step by
    step to the channel whose next EUR earns most, as long as it earns `worth_it`. Where the least is too much
    already, all shrink alike."""
    least = sum(curve.least for curve in curves)
    shrink = min(1.0, budget / least) if least else 1.0
    spends = {curve.name: _whole_parts(curve.least * shrink, PART) for curve in curves}
    step = PART * max(1.0, budget // (PART * STEPS))
    left = budget - sum(spends.values())
    queue = [_offer(curve, spends, step) for curve in curves if shrink == 1.0]
    heapify(queue)
    while queue and left >= step:
        loss, name, curve = heappop(queue)
        if spends[name] + step > curve.most or -loss < worth_it:
            continue
        spends[name] += step
        left -= step
        heappush(queue, _offer(curve, spends, step))
    return spends


def _offer(curve: Curve, spends: Mapping[str, float], step: float) -> tuple[float, str, Curve]:
    """A channel's place in the queue: the more its next step earns, the earlier; of equals, by name."""
    return -curve.worth_of(spends[curve.name], step), curve.name, curve


def _whole_parts(spend: float, part: float) -> float:
    """Rounded down, so that rounding never exceeds the budget."""
    return spend // part * part
