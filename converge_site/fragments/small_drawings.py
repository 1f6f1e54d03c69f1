"""The two drawings of a job's row: its tier ladder and its recent activity. Lengths in the drawing's own units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from converge_site.fragments.numbers import n

SPARK_BARS = 30


def draw_ladder(tier: int, top: int) -> dict[str, Any]:
    """Rising bars, one a tier: `on` draws those that are reached, `off` the others."""
    top = min(top, 8)
    drawn: dict[bool, list[str]] = {True: [], False: []}
    for place in range(1, top + 1):
        height = 5 + 13 * place / top
        drawn[place <= tier].append(f"M{(place - 1) * 8} 18v-{n(height)}h6v{n(height)}z")
    return {"width": max(6, top * 8 - 2), "on": "".join(drawn[True]), "off": "".join(drawn[False])}


def draw_spark(activity: Sequence[Any]) -> dict[str, Any]:
    """The changes of the latest 30 cycles, right-aligned, by the square root so that small ones show.

    One path: a list draws forty of these, and an element a bar was most of its page.
    """
    counts = [int(count) for count in activity[-SPARK_BARS:] if isinstance(count, int | float)]
    peak = max([1, *counts])
    start = 92 - 3 * len(counts)
    bars = [
        f"M{start + 3 * place} 19v-{n(h)}h2.4v{n(h)}z"
        for place, h in enumerate(18 * (count / peak) ** 0.5 for count in counts)
        if h > 0
    ]
    words = (
        f"Changes in the latest {len(counts)} cycles; the last made {counts[-1]}"
        if counts
        else "No cycle yet"
    )
    return {"path": "".join(bars), "words": words}
