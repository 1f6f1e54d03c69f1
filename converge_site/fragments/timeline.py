"""The agent timeline: a row an agent, a bar for its runs in a cycle; drawn as SVG, bounded whatever the job's size.

Lengths across are hundredths of the drawing, so that it fits any width; down, they are its own units.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.urls import reverse

from converge_site.fragments.amounts import count_words
from converge_site.fragments.moment import Moment
from converge_site.fragments.timeline_bars import LETTER, NARROWEST, Bar, draw_bar, percent
from converge_site.fragments.timeline_marks import Mark, read_marks
from converge_site.fragments.timeline_runs import CycleSpan, read_spans
from converge_site.fragments.timeline_scale import Fold, Scale, make_scale
from converge_site.whole_numbers import read_whole
from runtime.models import Job

PANEL_CYCLES, PANEL_ROWS, PANEL_BARS = 40, 16, 240
ZOOMS = (10, 20, 40, 80, 160)  # cycles on the page of its own
PAGE_ROWS, PAGE_BARS = 25, 800
LEAD = 10  # cycles read before the first one shown, to number attempts
ROW, HEAD = 26, 40
LABELS = 10  # cycle numbers written out


@dataclass(frozen=True, slots=True)
class Lane:
    """An agent with its bars."""

    agent: str
    href: str
    y: int
    bars: list[Bar] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tick:
    """Where a cycle begins; `label` is its number where there is room for it."""

    x: str
    cycle: int
    label: str


@dataclass(frozen=True, slots=True)
class FoldMark:
    """Folded idle time."""

    x: str
    width: str
    middle: str
    words: str


@dataclass(frozen=True, slots=True)
class Window:
    """What of a timeline is asked for: the first cycle (None: the latest), how many, one agent or rows from `row`."""

    first: int | None = None
    cycles: int = PANEL_CYCLES
    agent: str = ""
    row: int = 0
    rows: int = PANEL_ROWS
    bars: int = PANEL_BARS

    @property
    def is_panel(self) -> bool:
        """Whether it is the panel's, which has no further pages."""
        return self.rows == PANEL_ROWS

    @classmethod
    def from_query(cls, query: Mapping[str, str], agents: Iterable[str]) -> Window:
        """From an address; what cannot be read counts as not given."""
        cycles = read_whole(query.get("cycles", ""))
        agent = query.get("agent", "")
        return cls(
            first=read_whole(query.get("from", "")),
            cycles=cycles if cycles in ZOOMS else PANEL_CYCLES,
            agent=agent if agent in set(agents) else "",
            row=read_whole(query.get("row", "")) or 0,
            rows=PAGE_ROWS,
            bars=PAGE_BARS,
        )

    def query(self, **changed: int | str | None) -> str:
        """The window in an address, with parts changed."""
        parts = {"from": self.first, "cycles": self.cycles, "agent": self.agent, "row": self.row, **changed}
        usual = {"from": None, "cycles": PANEL_CYCLES, "agent": "", "row": 0}
        return urlencode({name: part for name, part in parts.items() if part != usual[name]})


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything the template draws. `lanes` is empty before the first run.

    `earlier` and `later` are the first cycles of the stretches beside this one, None where there is none; `hidden` is
    how many agents ran in it and are not shown, `next_row` where those begin.
    """

    window: Window
    lanes: list[Lane] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    folds: list[FoldMark] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    height: int = 0
    head: int = HEAD
    first: int = 0
    last: int = 0
    newest: int = 0
    hidden: int = 0
    earlier: int | None = None
    later: int | None = None
    next_row: int | None = None
    agents: list[str] = field(default_factory=list)
    began: dt.datetime | None = None
    ended: dt.datetime | None = None
    words: str = ""
    is_full: bool = False

    @property
    def bars(self) -> list[Bar]:
        """All bars, oldest first."""
        every = [bar for lane in self.lanes for bar in lane.bars]
        return sorted(every, key=lambda bar: (bar.run.cycle, bar.run.seq))


def read_timeline(job: Job, moment: Moment | None = None, window: Window | None = None) -> Timeline:
    """The timeline of the latest cycles, now or at `moment`; or of what `window` asks for."""
    window = window or Window()
    newest = moment.cycle if moment else job.cycle
    order = [str(agent["name"]) for agent in job.frozen_spec()["agents"]]
    last = newest if window.first is None else min(newest, max(1, window.first) + window.cycles - 1)
    first = max(1, last - window.cycles + 1)
    read = read_spans(job, max(1, first - LEAD), last)
    spans = _bounded([span for span in read if span.number >= first], window)
    if not spans:
        return Timeline(window, newest=newest, agents=order)
    agents, hidden = _rows(spans, order, window)
    scale = make_scale(
        [(span.started_at, span.duration_ms) for span in spans],
        [ended - began for began, ended in (span.active for span in spans)],
    )
    lanes = [
        Lane(agent, _journal_href(job, agent, moment), HEAD + place * ROW)
        for place, agent in enumerate(agents)
    ]
    by_name = {lane.agent: lane for lane in lanes}
    entries = reverse("entry", args=[job.pk, 0]).removesuffix("0/")
    for span, (x, width) in zip(spans, scale.places, strict=True):
        for run in span.runs:
            if run.agent in by_name:
                by_name[run.agent].bars.append(draw_bar(entries, span, run, x, width))
    shown = spans[0].number, spans[-1].number
    return Timeline(
        window,
        lanes=lanes,
        ticks=_ticks(spans, scale),
        folds=[_fold(fold) for fold in scale.folds],
        marks=read_marks(job, spans, scale.places),
        height=HEAD + len(lanes) * ROW + 4,
        first=shown[0],
        last=shown[1],
        newest=newest,
        hidden=hidden,
        earlier=max(1, shown[0] - window.cycles) if shown[0] > 1 else None,
        later=shown[1] + 1 if shown[1] < newest else None,
        next_row=_next_row(spans, order, window),
        agents=order,
        began=spans[0].started_at,
        ended=spans[-1].ended_at,
        words=_words(shown, lanes),
        is_full=scale.is_full,
    )


def _bounded(spans: list[CycleSpan], window: Window) -> list[CycleSpan]:
    """The latest of the cycles whose bars are few enough together; asked for from the first one on, the earliest."""
    kept: list[CycleSpan] = []
    bars = 0
    for span in spans if window.first is not None else reversed(spans):
        wanted = [run for run in span.runs if not window.agent or run.agent == window.agent]
        bars += min(len(wanted), window.rows)
        if kept and bars > window.bars:
            break
        kept.append(span)
    return sorted(kept, key=lambda span: span.number)


def _rows(spans: list[CycleSpan], order: list[str], window: Window) -> tuple[list[str], int]:
    """The agents to show, in the pack's order, and how many others ran as well."""
    ran = {run.agent for span in spans for run in span.runs}
    if window.agent:
        return [window.agent], len(ran - {window.agent})
    if len(order) <= window.rows:
        return order, 0  # a small pack is shown whole, so that rows stay where they are
    wanted = [agent for agent in order if agent in ran]
    if window.is_panel:
        # Where there is no room for all, who failed comes first, then who ran most.
        bars = Counter(run.agent for span in spans for run in span.runs)
        failed = {run.agent for span in spans for run in span.runs if run.told.failed}
        first = sorted(wanted, key=lambda agent: (agent not in failed, -bars[agent]))[: window.rows]
        agents = [agent for agent in wanted if agent in set(first)]
    else:
        agents = wanted[window.row : window.row + window.rows]
    return agents, len(ran - set(agents))


def _next_row(spans: list[CycleSpan], order: list[str], window: Window) -> int | None:
    if window.agent or window.is_panel or len(order) <= window.rows:
        return None
    ran = {run.agent for span in spans for run in span.runs}
    after = window.row + window.rows
    return after if after < len(ran) else None


def _ticks(spans: list[CycleSpan], scale: Scale) -> list[Tick]:
    every = max(1, -(-len(spans) // LABELS))
    ticks, free = [], -1.0
    for place, (span, (x, _)) in enumerate(zip(spans, scale.places, strict=True)):
        label = str(span.number) if place % every == 0 and x >= free else ""
        if label:
            free = x + (len(label) * LETTER + 8) / NARROWEST
        ticks.append(Tick(percent(x), span.number, label))
    return ticks


def _fold(fold: Fold) -> FoldMark:
    words = f"Nothing ran for {_idle_words(fold.seconds)}: {fold.began:%Y-%m-%d %H:%M:%S} to {fold.ended:%H:%M:%S} UTC"
    return FoldMark(percent(fold.x), percent(fold.width), percent(fold.x + fold.width / 2), words)


def _idle_words(seconds: float) -> str:
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if seconds < 120:
        return f"{seconds:.0f} s"
    if minutes < 120:
        return f"{minutes} min"
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"


def _journal_href(job: Job, agent: str, moment: Moment | None) -> str:
    then = {"cycle": moment.cycle} if moment else {}
    return f"{reverse('journal', args=[job.pk])}?{urlencode({'agent': agent, **then})}"


def _words(shown: tuple[int, int], lanes: list[Lane]) -> str:
    bars = [bar for lane in lanes for bar in lane.bars]
    failed = sum(1 for bar in bars if bar.run.told.failed)
    active = sum(1 for lane in lanes if lane.bars)
    told = f"{count_words(active, 'agent')} ran in cycles {shown[0]} to {shown[1]}"
    return f"{told}; {failed} of {len(bars)} bars show failures." if failed else f"{told}; none failed."
