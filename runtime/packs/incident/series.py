"""One series of points, and its form as seeds: a few chunks, each well within the bounds of a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

CHUNK = 1_500  # points; with times and values at their longest about 55 KiB of JSON
FEWEST_A_DAY, MOST_A_DAY = 24, 2_880
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one metric in order of time, no time twice. `times` are seconds since 1970 UTC; `step` is the usual
    distance between two, at least 1."""

    name: str
    times: tuple[int, ...]
    values: tuple[float, ...]
    step: int

    @property
    def length(self) -> int:
        return len(self.times)

    @property
    def day(self) -> int:
        """Points a day; 0 where there are too few to know hours by, or so many that comparing days takes too long."""
        points = round(86_400 / self.step)
        return points if FEWEST_A_DAY <= points <= MOST_A_DAY else 0


def make_series(name: str, points: Iterable[tuple[int, float]]) -> Series:
    """A series from points in any order; of several at one time the last counts."""
    latest = dict(points)
    times = tuple(sorted(latest))
    return Series(name, times, tuple(latest[time] for time in times), _find_step(times))


def _find_step(times: Sequence[int]) -> int:
    steps = sorted(later - earlier for earlier, later in pairwise(times))
    return max(1, steps[len(steps) // 2]) if steps else 1


def series_to_seeds(series: Series) -> list[dict[str, Any]]:
    """One seed for each chunk. Regular chunks say `step`, others `at`: seconds since their start."""
    return [_to_seed(series, start) for start in range(0, series.length, CHUNK)]


def _to_seed(series: Series, start: int) -> dict[str, Any]:
    times, values = series.times[start : start + CHUNK], series.values[start : start + CHUNK]
    value: dict[str, Any] = {
        "series": series.name,
        "start": to_text(times[0]),
        "values": list(values),
    }
    if all(later - earlier == series.step for earlier, later in pairwise(times)):
        value["step"] = series.step
    else:
        value["at"] = [time - times[0] for time in times]
    return {"key": "points", "subject": f"{series.name} from {value['start']}", "value": value}


def read_chunks(chunks: Iterable[Mapping[str, Any]]) -> Series:
    """The series again, from the values of its chunks. Raises ValueError for a chunk that does not say when."""
    name, points = "", list[tuple[int, float]]()
    for chunk in chunks:
        name = chunk["series"]
        points.extend(_chunk_points(chunk))
    return make_series(name, points)


def _chunk_points(chunk: Mapping[str, Any]) -> Iterable[tuple[int, float]]:
    start, values = to_seconds(chunk["start"]), chunk["values"]
    if "at" in chunk:
        offsets: Sequence[int] = chunk["at"]
    elif "step" in chunk:
        offsets = range(0, len(values) * chunk["step"], chunk["step"])
    else:
        raise ValueError(f"{chunk['series']} from {chunk['start']} has neither `step` nor `at`; give one")
    if len(offsets) != len(values):
        raise ValueError(
            f"{chunk['series']} from {chunk['start']} has {len(values)} values at {len(offsets)} times"
        )
    return ((start + offset, float(value)) for offset, value in zip(offsets, values, strict=True))


def to_seconds(text: str) -> int:
    """ISO 8601, `2014-04-10 00:04:00` too, as seconds since 1970; without an offset as UTC.

    Raises ValueError or OverflowError for anything else.
    """
    moment = datetime.fromisoformat(text)
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH
    return since.days * 86_400 + since.seconds


def to_text(seconds: int) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, without an offset."""
    return (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
