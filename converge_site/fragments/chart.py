"""The convergence chart: changes per cycle falling to zero, tiers as rungs, conflicts as marks. Drawn as SVG."""

from __future__ import annotations

from dataclasses import dataclass, field

from converge_site.fragments.numbers import n
from runtime.models import Conflict, Cycle, Job

CYCLES = 80
WIDTH, HEIGHT = 440, 150
LEFT, RIGHT, TOP, BOTTOM = 38, 88, 12, 22


@dataclass(frozen=True, slots=True)
class Bar:
    """The changes of one cycle. Lengths in the chart's own units."""

    number: int
    changes: int
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Conflicts opened in one cycle."""

    cycle: int
    count: int
    points: str


@dataclass(frozen=True, slots=True)
class Rung:
    """A tier on the right-hand scale."""

    y: str
    name: str
    reached: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything the template draws. `bars` is empty before the first cycle."""

    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    base: int = HEIGHT - BOTTOM
    bars: list[Bar] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    rungs: list[Rung] = field(default_factory=list)
    climb: str = ""
    peak: int = 0
    peak_y: int = TOP
    first: int = 0
    last: int = 0
    words: str = ""


def read_chart(job: Job) -> Chart:
    """The chart of a job's latest CYCLES cycles."""
    newest = (
        Cycle.objects.filter(job=job).order_by("-number").values_list("number", "changes", "tier")[:CYCLES]
    )
    cycles = sorted(newest)
    if not cycles:
        return Chart()
    peak = max(1, *(changes for _, changes, _ in cycles))
    step = (WIDTH - LEFT - RIGHT) / max(len(cycles), 10)
    opened: dict[int, int] = {}
    for number in Conflict.objects.filter(job=job, opened_cycle__gte=cycles[0][0]).values_list(
        "opened_cycle", flat=True
    ):
        opened[number] = opened.get(number, 0) + 1
    where = {number: LEFT + place * step for place, (number, _, _) in enumerate(cycles)}
    return Chart(
        bars=[_bar(number, changes, where[number], step, peak) for number, changes, _ in cycles],
        marks=[_mark(c, count, where[c] + step / 2) for c, count in sorted(opened.items()) if c in where],
        rungs=_rungs(job),
        climb=_climb([(where[number], tier) for number, _, tier in cycles], step, job.top_tier),
        peak=peak,
        first=cycles[0][0],
        last=cycles[-1][0],
        words=_words(cycles, opened),
    )


def _bar(number: int, changes: int, x: float, step: float, peak: int) -> Bar:
    # By the square root: a first cycle of 1,000 seeds must not flatten the 3 changes that matter.
    room = HEIGHT - TOP - BOTTOM
    height = room * (changes / peak) ** 0.5 if changes else 1.5
    gap = min(2.0, step * 0.2)
    width = min(step - gap, 26.0)
    return Bar(number, changes, n(x + (step - width) / 2), n(HEIGHT - BOTTOM - height), n(width), n(height))


def _mark(cycle: int, count: int, x: float) -> Mark:
    y, r = HEIGHT - BOTTOM, 5.0
    return Mark(cycle, count, f"{n(x)},{n(y - r)} {n(x + r)},{n(y)} {n(x)},{n(y + r)} {n(x - r)},{n(y)}")


def _rung_y(tier: int, top: int) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * tier / max(1, top)


def _rungs(job: Job) -> list[Rung]:
    tiers = job.frozen_spec()["tiers"]
    return [
        Rung(n(_rung_y(place, len(tiers))), tier["name"], place <= job.tier)
        for place, tier in enumerate(tiers, start=1)
    ]


def _climb(tiers: list[tuple[float, int]], step: float, top: int) -> str:
    """The tier reached after each cycle, as the points of a stair."""
    points: list[str] = []
    for x, tier in tiers:
        y = n(_rung_y(tier, top))
        points += [f"{n(x)},{y}", f"{n(x + step)},{y}"]
    return " ".join(points)


def _words(cycles: list[tuple[int, int, int]], opened: dict[int, int]) -> str:
    number, changes, tier = cycles[-1]
    conflicts = f" {sum(opened.values())} questions to people were opened." if opened else ""
    return f"Cycle {number} made {changes} changes and left the job at tier {tier}.{conflicts}"
