"""What a job found in one series, beside windows that people labelled, and beside the plainest of detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Any

from runtime.engine.values import BoundsError, load_json
from runtime.packs.incident.rarity import block_length
from runtime.packs.incident.series import Series, to_seconds

SIGMAS = 3.0  # of the baseline
MAX_BYTES = 16 * 1024 * 1024

Span = tuple[int, int]  # first and last second


@dataclass(frozen=True, slots=True)
class Score:
    """`found` spans beside `windows`: how many windows at least one span meets, and how many spans meet none."""

    found: int
    hit: int
    false_alarms: int


def score_spans(found: Sequence[Span], windows: Sequence[Span]) -> Score:
    hit = sum(any(meets(span, window) for span in found) for window in windows)
    false_alarms = sum(not any(meets(span, window) for window in windows) for span in found)
    return Score(len(found), hit, false_alarms)


def meets(one: Span, other: Span) -> bool:
    """Whether they have a second in common."""
    return one[0] <= other[1] and one[1] >= other[0]


def span_of(candidate: Mapping[str, Any]) -> Span:
    """From when on a candidate says there is trouble, to its end."""
    return to_seconds(candidate["since"]), to_seconds(candidate["to"])


def find_outliers(series: Series) -> list[Span]:
    """The baseline: points more than three standard deviations from the mean, joined over the same distance as
    candidates are."""
    mean, deviation = fmean(series.values), pstdev(series.values)
    far = [
        time
        for time, value in zip(series.times, series.values, strict=True)
        if abs(value - mean) > SIGMAS * deviation
    ]
    near = block_length(series.length) * series.step
    spans: list[Span] = []
    for time in far:
        if spans and time - spans[-1][1] <= near:
            spans[-1] = (spans[-1][0], time)
        else:
            spans.append((time, time))
    return spans


def read_windows(text: str) -> dict[str, list[Span]]:
    """Windows by name of series or file, from `{"name": [["2014-04-10 00:04:00", "…"], …]}`.

    Raises ValueError, with a sentence for people, for anything else.
    """
    try:
        data = load_json(text, MAX_BYTES)
    except BoundsError as error:
        raise ValueError(f"It {error}.") from None
    if not isinstance(data, dict):
        raise ValueError('It is no object; write {"name": [["from", "to"], …], …}.')
    return {name: _read_spans(name, rows) for name, rows in data.items()}


def _read_spans(name: str, rows: Any) -> list[Span]:
    spans = []
    for row in rows if isinstance(rows, list) else [rows]:
        try:
            begin, end = (to_seconds(text) for text in row)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{name}: {str(row)[:80]} is no window; write [from, to] as ISO 8601.") from None
        if begin > end:
            raise ValueError(f"{name}: the window from {row[0]} ends before it begins.")
        spans.append((begin, end))
    return spans
