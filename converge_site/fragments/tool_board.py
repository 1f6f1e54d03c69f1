"""Tools as people watch them: the breaker, what the last hour's calls came to, how long they took, who waits."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Self
from urllib.parse import urlencode

from django.db.models import Count, Sum
from django.utils import timezone

from converge_site.fragments.breakers import STATE_WORDS, Breaker, read_breakers
from converge_site.fragments.failure_words import look_of_failure
from converge_site.fragments.words import Look
from runtime.models import Job, JobStatus, Tool, ToolCall

SPAN = dt.timedelta(hours=1)
TIMED = 1_000  # latest calls of that time whose duration is looked at


@dataclass(frozen=True, slots=True)
class Stats:
    """The calls of one tool in the last hour. Durations are milliseconds of the last attempt; None without any."""

    calls: int = 0
    attempts: int = 0
    failed: int = 0
    classes: list[tuple[Look, int]] = field(default_factory=list)
    median: float | None = None
    p95: float | None = None


@dataclass(frozen=True, slots=True)
class ToolRow:
    """One tool as listed."""

    tool: Tool
    breaker: Breaker
    stats: Stats
    waiting: int


@dataclass(frozen=True, slots=True)
class ToolFilter:
    """Which tools are listed; "" means all. Lives in the URL."""

    q: str = ""
    state: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Reads the filter; what makes no sense counts as not given."""
        state = query.get("state", "")
        return cls(query.get("q", "").strip()[:100], state if state in STATE_WORDS else "")

    def __bool__(self) -> bool:
        return bool(self.q or self.state)

    @property
    def query(self) -> str:
        """The filter as a query string, in its one form."""
        return urlencode({name: text for name, text in (("q", self.q), ("state", self.state)) if text})

    def takes(self, tool: Tool, breaker: Breaker) -> bool:
        """Whether the tool is listed."""
        text = f"{tool.name} {tool.title}".casefold()
        return self.q.casefold() in text and self.state in ("", breaker.state)


@dataclass(frozen=True, slots=True)
class ToolBoard:
    """The list. `total` is how many tools there are at all; `is_blind` while no breaker can be read."""

    filter: ToolFilter
    rows: list[ToolRow] = field(default_factory=list)
    total: int = 0
    is_blind: bool = False
    stopped: list[ToolRow] = field(default_factory=list)


def read_board(chosen: ToolFilter) -> ToolBoard:
    """The tools that the filter takes, by name."""
    tools = list(Tool.objects.order_by("name"))
    breakers = read_breakers(tool.name for tool in tools)
    shown = [tool for tool in tools if chosen.takes(tool, breakers[tool.name])]
    rows = read_rows(shown, breakers)
    return ToolBoard(
        chosen,
        rows,
        len(tools),
        is_blind=any(breaker.state == "unknown" for breaker in breakers.values()),
        stopped=[row for row in rows if row.waiting and row.breaker.stops_calls],
    )


def read_rows(tools: Sequence[Tool], breakers: Mapping[str, Breaker]) -> list[ToolRow]:
    """Some tools with what belongs to each."""
    names = [tool.name for tool in tools]
    stats, waiting = read_stats(names), count_waiting(names)
    return [ToolRow(tool, breakers[tool.name], stats[tool.name], waiting[tool.name]) for tool in tools]


def count_waiting(names: Iterable[str]) -> Counter[str]:
    """How many recovering jobs wait for each tool."""
    wanted = set(names)
    waits = Job.objects.filter(status=JobStatus.RECOVERING).exclude(waits_on="").order_by()
    found: Counter[str] = Counter()
    for names_of_group, jobs in waits.values_list("waits_on").annotate(jobs=Count("pk")):
        for name in wanted & set(names_of_group.split()):
            found[name] += jobs
    return found


def read_stats(names: Sequence[str]) -> dict[str, Stats]:
    """The last hour of each tool."""
    since = timezone.now() - SPAN
    calls = ToolCall.objects.filter(tool__in=names, started_at__gte=since).order_by()
    counted: dict[str, list[tuple[str, str, int, int]]] = defaultdict(list)
    for tool, status, cls, number, sent in calls.values_list("tool", "status", "cls").annotate(
        number=Count("pk"), sent=Sum("attempts")
    ):
        counted[tool].append((status, cls, number, sent or 0))
    return {name: _stats(counted[name], _durations(name, since)) for name in names}


def _durations(name: str, since: dt.datetime) -> list[float]:
    timed = ToolCall.objects.filter(
        tool=name, started_at__gte=since, finished_at__isnull=False, attempts__gt=0
    )
    return sorted(timed.order_by("-started_at").values_list("duration_ms", flat=True)[:TIMED])


def _stats(counted: list[tuple[str, str, int, int]], durations: list[float]) -> Stats:
    classes: Counter[str] = Counter()
    for status, cls, number, _ in counted:
        if status == "failed":
            classes[cls] += number
    return Stats(
        calls=sum(number for _, _, number, _ in counted),
        attempts=sum(sent for _, _, _, sent in counted),
        failed=sum(classes.values()),
        classes=[
            (look_of_failure(cls), n) for cls, n in sorted(classes.items(), key=lambda c: (-c[1], c[0]))
        ],
        median=_rank(durations, 0.5),
        p95=_rank(durations, 0.95),
    )


def _rank(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of all do not exceed."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None
