"""Timing in turns, and the profile that says why."""

from __future__ import annotations

import cProfile
import gc
import os
import pstats
from collections.abc import Callable
from pathlib import Path

from tests.bench.result import Line

PROJECT = Path(__file__).resolve().parent.parent.parent
TOP = 5


def in_turns(runs: int, *subjects: Callable[[], float]) -> list[list[float]]:
    """Runs the subjects one after the other, `runs` times, after one round that is not counted: what disturbs the
    machine disturbs all of them alike. Who is first changes from round to round. Each gives its own figure."""
    settle_collector()
    found: list[list[float]] = [[] for _ in subjects]
    for turn in range(runs + 1):
        for place in range(len(subjects)):
            at = (place + turn) % len(subjects)
            gc.collect()
            figure = subjects[at]()
            if turn:
                found[at].append(figure)
    return found


def settle_collector() -> None:
    """Sets the garbage collector as a worker does (runtime/worker.py), for the peers as well. What the imports left
    behind is frozen: a full collection among a peer's modules would be charged to whoever happens to allocate."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 2)


def explained(lines: list[Line]) -> list[Line]:
    """The lines, those that missed their goal with the profile that says why."""
    for line in lines:
        if line.met is False and line.work is not None:
            line.profile = top_of_profile(line.work)
    return lines


def top_of_profile(work: Callable[[], object]) -> list[str]:
    """The functions that cost most by their own time, as lines with their share. The profiler itself weighs on small
    functions, so the shares are a hint at where to look and no measurement."""
    profiler = cProfile.Profile()
    gc.collect()
    profiler.enable()
    work()
    profiler.disable()
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    total = sum(own for _, _, own, _, _ in stats.values()) or 1.0
    ranked = sorted(stats.items(), key=lambda row: -row[1][2])[:TOP]
    return [
        f"{own / total:4.0%}  {calls:>9,} calls  {_named(*where)}" for where, (_, calls, own, _, _) in ranked
    ]


def _named(file: str, line: int, name: str) -> str:
    if file == "~":
        return name
    path = Path(file)
    if path.is_relative_to(PROJECT):
        path = path.relative_to(PROJECT)
    where = str(path).rpartition(f"site-packages{os.sep}")[2]
    return f"{where}:{line} {name}"
