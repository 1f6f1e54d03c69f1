"""Tier 1: each detector looks at each series, and what they find is lined up in time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from runtime.agents import propose
from runtime.engine import Fact, Group, Proposal, View
from runtime.packs.incident.detectors import BLURRED, DETECTORS, Reading
from runtime.packs.incident.keys import pack
from runtime.packs.incident.rarity import Stretch, block_length, can_judge, find_stretches
from runtime.packs.incident.series import Series, read_chunks, to_seconds, to_text

FOUND = 0.5  # confidence from which a detector puts a candidate up: rather an incident than not

Json = dict[str, Any]


def signal_subject(detector: str, series: str) -> str:
    return f"{detector} on {series}"


def series_of(chunks: Iterable[Fact]) -> Series:
    """The series that these chunks make up."""
    return read_chunks(fact.value for fact in chunks)


def _declare(name: str, find: Callable[[Series], Reading]) -> None:
    summary = (find.__doc__ or "").split("\n\n")[0]

    def look(group: Group, view: View) -> Proposal:
        series = series_of(group.items)
        return propose("signal", signal_subject(name, series.name), _tell(name, series, find(series)))

    pack.grouped(
        "points", by="series", name=name, description=summary, writes=["signal"], tier=1, required=True
    )(look)


def _tell(detector: str, series: Series, reading: Reading) -> Json:
    sees = can_judge(reading)
    return {
        "series": series.name,
        "detector": detector,
        "from": to_text(series.times[0]),
        "to": to_text(series.times[-1]),
        "near": block_length(series.length) * series.step,
        "judges_from": to_text(series.times[reading.blind]) if sees else None,
        "stretches": [_tell_stretch(series, found) for found in find_stretches(reading)] if sees else [],
    }


def _tell_stretch(series: Series, found: Stretch) -> Json:
    return {
        "from": to_text(series.times[found.first]),
        "to": to_text(series.times[found.last]),
        "peak": to_text(series.times[found.peak]),
        "figure": found.figure,
        "confidence": found.confidence,
    }


for _name, _find in DETECTORS.items():
    _declare(_name, _find)


@pack.grouped("signal", by="series", writes=["candidate", "review"], tier=1, required=True)
def line_up(group: Group, view: View) -> Iterator[Proposal]:
    """Puts up every time at which some detector finds a series strange; what overlaps or nearly does is one."""
    signals = [signal.value for signal in group.items]
    found = sorted(
        (
            to_seconds(stretch["from"]),
            to_seconds(stretch["to"]),
            signal["detector"],
            to_seconds(stretch["peak"]),
        )
        for signal in signals
        for stretch in signal["stretches"]
        if stretch["confidence"] >= FOUND
    )
    near = signals[0]["near"]
    observed = to_seconds(signals[0]["to"]) - to_seconds(signals[0]["from"])
    candidates = _join(found, near)
    for stretches in candidates:
        since = to_text(_find_onset(stretches))
        value = {
            "series": group.name,
            "since": since,
            "from": to_text(stretches[0][0]),
            "to": to_text(max(last for _, last, _, _ in stretches)),
            "near": near,
            "found_by": sorted({detector for _, _, detector, _ in stretches}),
            "observed": observed,
        }
        yield propose("candidate", f"{group.name} since {since}", value)
    judged_by = [signal["detector"] for signal in signals if signal["judges_from"] is not None]
    yield propose("review", group.name, {"candidates": len(candidates), "judged_by": judged_by})


_Found = tuple[int, int, str, int]  # first, last, detector, peak


def _join(found: Sequence[_Found], near: int) -> list[list[_Found]]:
    """Overlapping stretches together, and those less than `near` seconds apart."""
    joined: list[list[_Found]] = []
    end = 0
    for one in found:
        if joined and one[0] - end <= near:
            joined[-1].append(one)
        else:
            joined.append([one])
            end = one[1]
        end = max(end, one[1])
    return joined


def _find_onset(stretches: Sequence[_Found]) -> int:
    """Since when: by those that see single points, or else at the peak of those that compare days."""
    sharp = [first for first, _, detector, _ in stretches if detector not in BLURRED]
    return min(sharp) if sharp else min(peak for _, _, _, peak in stretches)
