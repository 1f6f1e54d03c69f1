"""Six ways of finding a series strange. Each gives a figure for every point: 0 is ordinary, its sign is the direction,
its size has no unit (`rarity` makes the sizes comparable). None changes when the values are shifted or scaled.

Widths follow the series: `local` points are a 32nd of it, and a day is a day where it has 24 to 2,880 points.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

from runtime.packs.incident.series import Series
from runtime.packs.incident.sliding import find_spread, slide_behind, slide_centred, smooth

FLOOR = 0.5  # of the usual spread
FARTHEST = 1e9  # spreads; beyond it a figure says no more, and might be no number
CLIP = 4.0  # one outlier moves a sum of deviations by no more than this many standard deviations
LEVEL, TREND = 0.3, 0.05  # Holt's smoothing of level and trend
MEMORY = 50  # points over which a forecast remembers its misses
BINS = 16
DAYS = 7  # earlier days that a time of day is compared with
FEWEST_DAYS = 3
FEWEST_EQUAL, FEWEST_MISSING = 6, 3  # points; shorter runs and gaps are nothing


@dataclass(frozen=True, slots=True)
class Reading:
    """A detector's figure for each point, and how many first points it could not judge."""

    figures: Sequence[float]
    blind: int = 0


def _local(series: Series) -> int:
    return min(max(series.length // 32, 20), 300)


def _blind(series: Series) -> Reading:
    return Reading([0.0] * series.length, series.length)


def _find_usual(spreads: Sequence[float], values: Sequence[float]) -> float:
    """The spread of an ordinary stretch; of all values, where ordinary stretches do not move."""
    return sorted(spreads)[len(spreads) // 2] or find_spread(values)


def deviate(value: float, middle: float, spread: float, usual: float) -> float:
    """Distance from the middle in spreads, which count as at least a part of what is usual; 0 where nothing moves."""
    least = max(spread, FLOOR * usual)
    return min(max((value - middle) / least, -FARTHEST), FARTHEST) if least else 0.0


def find_spikes(series: Series) -> Reading:
    """Distance from the median of the points around it, in their robust standard deviations."""
    around = list(slide_centred(series.values, _local(series)))
    usual = _find_usual([spread for _, spread in around], series.values)
    return Reading([deviate(value, *near, usual) for value, near in zip(series.values, around, strict=True)])


def find_shifts(series: Series) -> Reading:
    """Moving mean (EWMA; Roberts, 1959) of the deviations from what was usual before: many small ones one way."""
    memory = _local(series)
    width = max(2 * memory, series.day)
    if series.length < 2 * width:
        return _blind(series)
    before = list(slide_behind(series.values, width, memory))
    usual = _find_usual([spread for _, spread in before], series.values)
    mean = 0.0
    figures = []
    for value, earlier in zip(series.values, before, strict=True):
        deviation = min(max(deviate(value, *earlier, usual), -CLIP), CLIP)
        mean += (deviation - mean) / memory
        figures.append(mean)
    return Reading(figures, width)


def find_unseasonal(series: Series) -> Reading:
    """Distance of the last hour's mean from the same hour of up to seven earlier days."""
    day = series.day
    if not day:
        return _blind(series)
    hour = max(1, day // 24)
    grid, places = _lay_on_grid(series, hour)
    differences = []
    for place in places:
        earlier = [
            mean for back in range(day, (DAYS + 1) * day, day) if (mean := grid.get(place - back)) is not None
        ]
        usual = _median(earlier) if len(earlier) >= FEWEST_DAYS else None
        differences.append(0.0 if usual is None else grid[place] - usual)
    blind = next((at for at, place in enumerate(places) if place >= FEWEST_DAYS * day), series.length)
    spread = max(find_spread(differences[blind:]), FLOOR * find_spread(series.values))
    return Reading([deviate(difference, 0.0, spread, 0.0) for difference in differences], blind)


def _lay_on_grid(series: Series, width: int) -> tuple[dict[int, float], list[int]]:
    """Running means by place on a grid of the usual step, and the place of each point."""
    begin = series.times[0]
    places = [(time - begin) // series.step for time in series.times]
    return dict(zip(places, smooth(series.values, width), strict=True)), places


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def find_surprises(series: Series) -> Reading:
    """What Holt's forecast, one step ahead, missed by, in units of what it missed by before."""
    level, trend = series.values[0], 0.0
    errors = []
    for value in series.values:
        error = value - (level + trend)
        errors.append(error)
        moved = level + trend + LEVEL * error
        trend += TREND * (moved - level - trend)
        level = moved
    usual = find_spread(errors)
    miss = usual
    figures = []
    for error in errors:
        figures.append(deviate(error, 0.0, miss, usual))
        miss += (min(abs(error), CLIP * miss) - miss) / MEMORY
    return Reading(figures, min(_local(series), series.length))


def find_changes(series: Series) -> Reading:
    """How differently the points before and after are distributed (Kolmogorov and Smirnov), a day on each side."""
    width = series.day if series.day and series.length >= 4 * series.day else series.length // 8
    if width < 10:
        return _blind(series)
    ordered = sorted(series.values)
    edges = sorted({ordered[at * series.length // BINS] for at in range(1, BINS)})
    bins = [bisect_right(edges, value) for value in series.values]
    surplus = [0] * (len(edges) + 1)  # points after, less points before, by bin
    for place in range(width):
        surplus[bins[place]] -= 1
        surplus[bins[place + width]] += 1
    figures = [0.0] * series.length
    for place in range(width, series.length - width + 1):
        figures[place if place < series.length else -1] = _distance(surplus) / width * sqrt(width / 2)
        if place + width < series.length:
            surplus[bins[place - width]] += 1
            surplus[bins[place]] -= 2
            surplus[bins[place + width]] += 1
    return Reading(figures, width)


def _distance(surplus: Sequence[int]) -> int:
    """The furthest that the two cumulative counts part, signed: positive where the later values are higher."""
    total = furthest = 0
    for count in surplus:
        total -= count
        if abs(total) > abs(furthest):
            furthest = total
    return furthest


def find_silence(series: Series) -> Reading:
    """How long nothing came, or the very same value over and over, in points; a gap counts at both its ends.

    What never moved before has not stopped.
    """
    figures = [0.0]
    equal, moved = 0, False
    for (earlier, before), (later, value) in pairwise(zip(series.times, series.values, strict=True)):
        missing = max((later - earlier) / series.step - FEWEST_MISSING, 0.0)
        moved = moved or value != before
        equal = equal + 1 if moved and value == before else 0
        figures[-1] = max(figures[-1], missing)
        figures.append(missing or max(float(equal - FEWEST_EQUAL + 1), 0.0))
    return Reading(figures)


DETECTORS: Mapping[str, Callable[[Series], Reading]] = {
    "spikes": find_spikes,
    "shifts": find_shifts,
    "season": find_unseasonal,
    "forecast": find_surprises,
    "change": find_changes,
    "silence": find_silence,
}
BLURRED = ("change", "shifts")  # their figures rise before the time, or after it: they compare long stretches
