"""The two drawings of a job's row: its tier ladder and its recent activity. Lengths in the drawing's own units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from converge_site.fragments.numbers import n

SPARK_BARS = 30


def draw_ladder(tier: int, top: int) -> dict[str, Any]:
    """Rising bars, one a tier, `on` where reached."""
    top = min(top, 8)
    bars = []
    for place in range(1, top + 1):
        height = 5 + 13 * place / top
        bars.append({"x": (place - 1) * 8, "y": n(18 - height), "height": n(height), "on": place <= tier})
    return {"width": max(6, top * 8 - 2), "bars": bars}


def draw_spark(activity: Sequence[Any]) -> dict[str, Any]:
    """The changes of the latest 30 cycles, right-aligned, by the square root so that small ones show."""
    counts = [int(count) for count in activity[-SPARK_BARS:] if isinstance(count, int | float)]
    peak = max([1, *counts])
    start = 92 - 3 * len(counts)
    bars = [
        {"x": start + 3 * place, "y": n(19 - h), "height": n(h)}
        for place, h in enumerate(18 * (count / peak) ** 0.5 for count in counts)
        if h > 0
    ]
    words = (
        f"Changes in the latest {len(counts)} cycles; the last made {counts[-1]}"
        if counts
        else "No cycle yet"
    )
    return {"bars": bars, "words": words}
