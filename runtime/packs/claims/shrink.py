"""Empirical Bayes: how far a source's own counts are trusted against what is usual for all sources."""

from __future__ import annotations

from collections.abc import Sequence
from math import lgamma

STRENGTHS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


def learn_strength(counts: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float:
    """The prior's weight, in claims, under which the counts are likeliest (Dirichlet-multinomial, on a grid).

    Each item is (counts, usual shares). Where sources differ from what is usual more than chance explains, the
    weight is small and each is taken as it is; where they do not, it is large and all are taken as usual.
    """
    useful = [(sum(count), count, usual) for count, usual in counts if sum(count) > 0]
    return max(STRENGTHS, key=lambda strength: (_likelihood(strength, useful), strength))


def _likelihood(strength: float, items: Sequence[tuple[float, Sequence[float], Sequence[float]]]) -> float:
    total = 0.0
    at_strength = lgamma(strength)
    for size, counts, usual in items:
        total += at_strength - lgamma(strength + size)
        for count, share in zip(counts, usual, strict=True):
            if count > 1e-9 and share > 0:
                prior = strength * share
                total += lgamma(prior + count) - lgamma(prior)
    return total


def shrink(counts: Sequence[float], usual: Sequence[float], strength: float) -> list[float]:
    """Shares that lie between the counts' own and the usual ones; they sum to 1 as `usual` does."""
    whole = sum(counts) + strength
    return [(count + strength * share) / whole for count, share in zip(counts, usual, strict=True)]
