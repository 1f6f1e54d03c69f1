"""Claims weighed by trust: the probability of each label of a slot."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log
from typing import Any

from runtime.packs.claims.tabulate import OPEN, RANKS, Family, Slot, Table
from runtime.packs.claims.trust import Trust

SOME_NEARNESS = 0.2  # among numbers, how likely the farthest miss is beside the nearest
UNHEARD = 0.001  # the share of a label that was unknown when trust was worked out
MIDDLE_RANK = (RANKS + 1) / 2


class Scales:
    """Trust as logarithms, ready to weigh the slots of a table."""

    def __init__(self, table: Table, trust: Trust) -> None:
        known = [trust.sources.get(name, {}) for name in table.sources]
        coincidence = trust.summary.get("coincidence", 1.0)
        self._independence = trust.summary.get("independence", 1.0)
        self._slope = [source.get("confidence", 0.0) for source in known]
        self._open = [
            (log(source["open"]), log((1 - source["open"]) * coincidence)) if "open" in source else None
            for source in known
        ]
        self._says = [[_read_columns(source, family) for source in known] for family in table.families]
        shares = trust.summary.get("shares", {})
        self._shares = [_read_shares(shares.get(family.name, {}), family) for family in table.families]

    def weigh(self, slot: Slot) -> list[float]:
        """Probabilities of `slot.labels`, in their order. A source not known yet has no weight."""
        scores = self._hear_open(slot) if slot.family == OPEN else self._hear_shared(slot)
        for voice in slot.voices:
            if voice.rank:
                scores[voice.label] += voice.weight * self._slope[voice.source] * (voice.rank - MIDDLE_RANK)
        top = max(scores)
        chances = [exp((score - top) * self._independence) for score in scores]
        whole = sum(chances)
        return [chance / whole for chance in chances]

    def _hear_shared(self, slot: Slot) -> list[float]:
        """For each label, the log likelihood of all that was said if it is the truth, with its share."""
        says, shares = self._says[slot.family], self._shares[slot.family]
        scores = [shares[place] for place in slot.places]
        for voice in slot.voices:
            columns = says[voice.source]
            if columns:
                column = columns[slot.places[voice.label]]
                for index, place in enumerate(slot.places):
                    scores[index] += voice.weight * column[place]
        return scores

    def _hear_open(self, slot: Slot) -> list[float]:
        scores = [0.0] * len(slot.labels)
        for voice in slot.voices:
            known = self._open[voice.source]
            if known is None:
                continue
            right, wrong = known
            for index in range(len(scores)):
                near = log(_soften(slot.closeness[index][voice.label])) if slot.closeness else 0.0
                scores[index] += voice.weight * (right if index == voice.label else wrong + near)
        return scores


def _soften(nearness: float) -> float:
    return SOME_NEARNESS + (1 - SOME_NEARNESS) * nearness


def _read_columns(source: Mapping[str, Any], family: Family) -> list[list[float]]:
    """[said][truth] -> log share; empty for a source not known in this family."""
    shares = source.get("says", {}).get(family.name)
    if shares is None or not family.labels:
        return []
    return [[_read_log(shares.get(truth, {}), said) for truth in family.labels] for said in family.labels]


def _read_shares(shares: Mapping[str, float], family: Family) -> list[float]:
    return [_read_log(shares, label) for label in family.labels]


def _read_log(shares: Mapping[str, float], label: str) -> float:
    return log(shares.get(label, UNHEARD))
