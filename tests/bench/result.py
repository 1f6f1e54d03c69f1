"""What a benchmark reports: lines with a figure, what stands beside it, and the goal."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Line:
    """One row of the table.

    `figure` is the median of `runs`, in `unit`. `beside` is the peer's figure in the same unit, measured in the same
    run unless `given` says that it is a published constant. `ratio` is what the goal speaks about. `met` is None where
    there is no goal or nothing to compare with. `work` runs the thing once more, for the profile of a missed goal.
    """

    title: str
    unit: str
    figure: float
    runs: list[float] = field(default_factory=list)
    peer: str = ""
    beside: float | None = None
    given: bool = False
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None
    note: str = ""
    profile: list[str] = field(default_factory=list)
    work: Callable[[], object] | None = None

    def to_json(self) -> dict[str, Any]:
        """The line as a JSON object; `low` and `high` are the extremes of the runs."""
        return {
            "title": self.title,
            "unit": self.unit,
            "figure": rounded(self.figure),
            "runs": len(self.runs),
            "low": rounded(min(self.runs, default=self.figure)),
            "high": rounded(max(self.runs, default=self.figure)),
            "peer": self.peer,
            "beside": rounded(self.beside),
            "given": self.given,
            "ratio": rounded(self.ratio),
            "goal": self.goal,
            "met": self.met,
            "note": self.note,
            "profile": self.profile,
        }


def measured(title: str, unit: str, runs: Sequence[float], **more: Any) -> Line:
    """A line whose figure is the median of `runs`."""
    return Line(title, unit, statistics.median(runs), list(runs), **more)


def rounded(number: float | None) -> float | None:
    """Four significant digits: more would claim what no run shows."""
    return None if number is None else float(f"{number:.4g}")
