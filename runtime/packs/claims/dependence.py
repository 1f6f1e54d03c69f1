"""How far sources err together: where many are wrong at once, voices count for less than they seem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.packs.claims.tabulate import OPEN, Family, Slot, Table

USUAL_VARIANCE = 5.0  # weight, in voices, of "independent" against what is seen


def measure_dependence(
    table: Table, truths: Sequence[Sequence[tuple[str, float]]], sources: Mapping[str, Any]
) -> float:
    """Variance of the number of right voices a slot over what independent sources of this trust would show.

    At least 1 (independent). It is the dispersion of quasi-likelihood (McCullagh and Nelder, 1989): divided by
    it, evidence is as strong as the same number of independent voices. Probabilities become less extreme; which
    label is likeliest stays.
    """
    right = [[_read_right(sources[name], family) for name in table.sources] for family in table.families]
    seen, expected = USUAL_VARIANCE, USUAL_VARIANCE
    for slot, believed in zip(table.slots, truths, strict=True):
        if believed:
            surplus, variance = _compare(slot, believed, right[slot.family])
            seen += surplus * surplus
            expected += variance
    return max(1.0, seen / expected)


def _read_right(source: Mapping[str, Any], family: Family) -> dict[str, float]:
    """The share of right claims for each truth; under "" for any truth, in the open family."""
    if not family.labels:
        return {"": source.get("open", 0.0)}
    return {label: row[label] for label, row in source.get("says", {}).get(family.name, {}).items()}


def _compare(
    slot: Slot, believed: Sequence[tuple[str, float]], right: Sequence[Mapping[str, float]]
) -> tuple[float, float]:
    """Right voices beyond those expected, and the variance of that if each errs alone."""
    chance = dict(believed)
    truths = [("", 1.0)] if slot.family == OPEN else [(label, p) for label, p in believed if p]
    surplus = variance = 0.0
    for voice in slot.voices:
        shares = right[voice.source]
        mean = spread = 0.0
        for label, p in truths:
            share = shares.get(label, 0.0)
            mean += p * share
            spread += p * share * (1 - share)
        surplus += voice.weight * (chance.get(slot.labels[voice.label], 0.0) - mean)
        variance += voice.weight * voice.weight * spread
    return surplus, variance
