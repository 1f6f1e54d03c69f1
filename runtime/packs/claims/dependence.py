"""How far sources err together: on hard slots many are wrong at once, and their voices count for less than they seem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.packs.claims.tabulate import OPEN, Slot, Table

USUAL_VARIANCE = 5.0  # weight, in voices, of "independent" against what is seen


def measure_dependence(
    table: Table, truths: Sequence[Sequence[tuple[str, float]]], sources: Mapping[str, Any]
) -> float:
    """Variance of the number of right voices a slot over what independent sources of this trust would show.

    At least 1 (independent). It is the dispersion of quasi-likelihood (McCullagh and Nelder, 1989): divided by
    it, evidence is as strong as the same number of independent voices. Probabilities become less extreme; which
    label is likeliest stays.
    """
    known = [sources[name] for name in table.sources]
    seen, expected = USUAL_VARIANCE, USUAL_VARIANCE
    for slot, believed in zip(table.slots, truths, strict=True):
        if believed:
            surplus, variance = _compare(table, slot, believed, known)
            seen += surplus * surplus
            expected += variance
    return max(1.0, seen / expected)


def _compare(
    table: Table, slot: Slot, believed: Sequence[tuple[str, float]], known: Sequence[Any]
) -> tuple[float, float]:
    """Right voices beyond those expected, and the variance of that if each errs alone."""
    chance = dict(believed)
    surplus = variance = 0.0
    family = table.families[slot.family].name
    for voice in slot.voices:
        mean = 0.0
        spread = 0.0
        for label, p in believed:
            if not p:
                continue
            if slot.family == OPEN:
                right = known[voice.source]["open"]
            else:
                right = known[voice.source]["says"][family].get(label, {}).get(label, 0.0)
            mean += p * right
            spread += p * right * (1 - right)
        surplus += voice.weight * (chance.get(slot.labels[voice.label], 0.0) - mean)
        variance += voice.weight * voice.weight * spread
    return surplus, variance
