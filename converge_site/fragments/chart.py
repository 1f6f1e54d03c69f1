"""The convergence chart: changes per cycle falling to zero, tiers as rungs, conflicts as marks. Drawn as SVG.

A bar is a link to its moment. A job of more than BARS cycles has several to a bar, which is as high as the highest.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from django.urls import reverse

from converge_site.fragments.amounts import count_words
from converge_site.fragments.moment import Moment
from converge_site.fragments.numbers import n
from runtime.models import Conflict, Cycle, Job

BARS = 80
FEWEST = 10  # a job of three cycles has no bars as wide as a hand
WIDTH, HEIGHT = 440, 158
LEFT, RIGHT, TOP, BOTTOM = 38, 96, 12, 28


class Stretch(NamedTuple):
    """One cycle, or several in one bar. `peak` is the most changes in one of them, `tier` that after the last."""

    first: int
    last: int
    peak: int
    changes: int
    runs: int
    tier: int
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch as drawn, in the chart's own units. `slot` is where a pointer may hit it, from top to bottom."""

    href: str
    title: str
    x: str
    y: str
    width: str
    height: str
    slot_x: str
    slot_width: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Questions to people that opened in one stretch."""

    href: str
    title: str
    points: str


@dataclass(frozen=True, slots=True)
class Rung:
    """A tier on the right-hand scale."""

    y: str
    name: str
    reached: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything the template draws. `bars` is empty before the first cycle; `each` is how many cycles a bar has."""

    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    base: int = HEIGHT - BOTTOM
    room: int = HEIGHT - TOP - BOTTOM
    bars: list[Bar] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    rungs: list[Rung] = field(default_factory=list)
    climb: str = ""
    peak: int = 0
    first: int = 0
    last: int = 0
    last_x: str = ""
    each: int = 1
    words: str = ""


def read_chart(job: Job, moment: Moment | None = None) -> Chart:
    """The chart of all cycles of a job; of those until `moment`, for which `job` is the row as it was."""
    rows = Cycle.objects.filter(job=job)
    if moment is not None:
        rows = rows.filter(number__lte=moment.cycle)
    cycles = list(
        rows.order_by("number").values_list("number", "changes", "runs", "tier", "started_at", "duration_ms")
    )
    if not cycles:
        return Chart()
    each = -(-len(cycles) // BARS)
    stretches = [_stretch(cycles[at : at + each]) for at in range(0, len(cycles), each)]
    opened = _opened(job, cycles[-1][0])
    peak = max(1, *(stretch.peak for stretch in stretches))
    step = (WIDTH - LEFT - RIGHT) / max(len(stretches), FEWEST)
    places = [(stretch, LEFT + place * step) for place, stretch in enumerate(stretches)]
    return Chart(
        bars=[_bar(job, stretch, x, step, peak) for stretch, x in places],
        marks=[
            _mark(job, stretch, count, x + step / 2)
            for stretch, x in places
            if (count := sum(opened[number] for number in range(stretch.first, stretch.last + 1)))
        ],
        rungs=_rungs(job),
        climb=_climb(places, step, job.top_tier),
        peak=peak,
        first=stretches[0].first,
        last=stretches[-1].last,
        last_x=n(places[-1][1] + step / 2),
        each=each,
        words=_words(stretches[-1], sum(opened.values())),
    )


def _stretch(cycles: list[tuple[int, int, int, int, dt.datetime, float]]) -> Stretch:
    number, _, _, tier, started, took = cycles[-1]
    return Stretch(
        first=cycles[0][0],
        last=number,
        peak=max(changes for _, changes, *_ in cycles),
        changes=sum(changes for _, changes, *_ in cycles),
        runs=sum(runs for _, _, runs, *_ in cycles),
        tier=tier,
        at=started + dt.timedelta(milliseconds=took),
    )


def _opened(job: Job, last: int) -> Counter[int]:
    """How many questions opened in each cycle."""
    asked = Conflict.objects.filter(job=job, opened_cycle__lte=last)
    return Counter(asked.values_list("opened_cycle", flat=True))


def _href(job: Job, cycle: int) -> str:
    return f"{reverse('job', args=[job.pk])}?cycle={cycle}"


def _bar(job: Job, stretch: Stretch, x: float, step: float, peak: int) -> Bar:
    # By the square root: a first cycle of 1,000 seeds must not flatten the 3 changes that matter.
    room = HEIGHT - TOP - BOTTOM
    height = room * (stretch.peak / peak) ** 0.5 if stretch.peak else 1.5
    gap = min(2.0, step * 0.2)
    width = min(step - gap, 26.0)
    return Bar(
        _href(job, stretch.last),
        _title(stretch),
        n(x + (step - width) / 2),
        n(HEIGHT - BOTTOM - height),
        n(width),
        n(height),
        n(x),
        n(step),
    )


def _title(stretch: Stretch) -> str:
    told = (
        f"{count_words(stretch.changes, 'change')}, {count_words(stretch.runs, 'run')}, tier {stretch.tier}"
    )
    ended = f"{stretch.at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    if stretch.first == stretch.last:
        return f"Cycle {stretch.last}: {told}; {ended}"
    return f"Cycles {stretch.first} to {stretch.last}: {told}; at most {stretch.peak} changes in one; {ended}"


def _mark(job: Job, stretch: Stretch, count: int, x: float) -> Mark:
    y, r = HEIGHT - BOTTOM, 5.0
    where = (
        f"Cycle {stretch.last}"
        if stretch.first == stretch.last
        else f"Cycles {stretch.first} to {stretch.last}"
    )
    title = f"{where}: {count_words(count, 'question')} to people opened"
    points = f"{n(x)},{n(y - r)} {n(x + r)},{n(y)} {n(x)},{n(y + r)} {n(x - r)},{n(y)}"
    return Mark(_href(job, stretch.last), title, points)


def _rung_y(tier: int, top: int) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * tier / max(1, top)


def _rungs(job: Job) -> list[Rung]:
    tiers = job.frozen_spec()["tiers"]
    return [
        Rung(n(_rung_y(place, len(tiers))), tier["name"], place <= job.tier)
        for place, tier in enumerate(tiers, start=1)
    ]


def _climb(places: list[tuple[Stretch, float]], step: float, top: int) -> str:
    """The tier reached after each cycle, as the points of a stair."""
    points: list[str] = []
    for stretch, x in places:
        y = n(_rung_y(stretch.tier, top))
        points += [f"{n(x)},{y}", f"{n(x + step)},{y}"]
    return " ".join(points)


def _words(latest: Stretch, opened: int) -> str:
    made = f"{count_words(latest.changes, 'change')} and left the job at tier {latest.tier}."
    which = (
        f"Cycle {latest.last}" if latest.first == latest.last else f"Cycles {latest.first} to {latest.last}"
    )
    asked = f" {count_words(opened, 'question')} to people were opened." if opened else ""
    return f"{which} made {made}{asked}"
