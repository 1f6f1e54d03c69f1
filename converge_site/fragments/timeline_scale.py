"""The scale of a timeline: each cycle gets room by the square root of its runs' time, and idle time is folded.

A cycle may take a tenth of a millisecond and the next one a minute, and a job may wait for a day between two: in
proportion, nothing but the day would be seen.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

FOLDED_AFTER = 2.0  # seconds in which nothing ran
LEAST_ROOM = 14.0  # shortest cycles; less does not fill the width
BY_TIME = 4.0  # how much wider than the shortest the longest cycle is
FOLD_ROOM = 0.9  # of the shortest cycle's


@dataclass(frozen=True, slots=True)
class Fold:
    """Idle time between two cycles. `x` and `width` in hundredths of the drawing."""

    x: float
    width: float
    seconds: float
    began: dt.datetime
    ended: dt.datetime


@dataclass(frozen=True, slots=True)
class Scale:
    """Where each cycle lies: `(x, width)` in hundredths of the drawing, in their order; and the folds."""

    places: list[tuple[float, float]]
    folds: list[Fold]
    is_full: bool


def make_scale(spans: Sequence[tuple[dt.datetime, float]], active: Sequence[float]) -> Scale:
    """The scale for cycles given as (began, milliseconds), in order; in `active` of those, agents ran."""
    longest = max(active, default=0.0) or 1.0
    rooms = [1.0 + BY_TIME * (max(took, 0.0) / longest) ** 0.5 for took in active]
    idle: list[tuple[dt.datetime, float]] = []  # before each cycle: since when, and how many seconds
    for at, (began, _) in enumerate(spans):
        ended = spans[at - 1][0] + dt.timedelta(milliseconds=spans[at - 1][1]) if at else began
        idle.append((ended, (began - ended).total_seconds()))
    total = sum(rooms) + FOLD_ROOM * sum(seconds > FOLDED_AFTER for _, seconds in idle)
    unit = 100.0 / max(total, LEAST_ROOM)
    x = 0.0
    places: list[tuple[float, float]] = []
    folds: list[Fold] = []
    for (since, seconds), (began, _), room in zip(idle, spans, rooms, strict=True):
        if seconds > FOLDED_AFTER:
            folds.append(Fold(x, FOLD_ROOM * unit, seconds, since, began))
            x += FOLD_ROOM * unit
        places.append((x, room * unit))
        x += room * unit
    return Scale(places, folds, total >= LEAST_ROOM)
