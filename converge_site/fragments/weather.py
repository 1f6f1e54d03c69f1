"""What a job lacks because of its tools, in words: "Tier 3 lacks `evidence.web`: search is down since 14:02".

The shortfalls are the job's own record and the same for everybody. How the tools are at the moment is in no journal,
so these fragments are never pushed: a push leaves them empty, and each page asks for its own, and again every two
seconds while the job recovers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from converge_site.fragments.amounts import list_words
from converge_site.fragments.breakers import Breaker, read_breakers
from converge_site.fragments.failure_words import deed_of_failure
from runtime.models import Answer, Job

TOOLS_NAMED = 4


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What one agent could not say because of one tool. `is_awaited`: it is optional, and the tier waits for it."""

    tier: int
    keys: list[str]
    agent: str
    tool: str
    cls: str
    items: list[str]
    is_transient: bool
    is_awaited: bool
    is_given_up: bool

    @property
    def deed(self) -> str:
        """What the tool did when it was last asked: "timed out"."""
        return deed_of_failure(self.cls)

    @property
    def on(self) -> str:
        """Whose facts are lacking, "" for all."""
        return list_words(self.items)


def find_shortfalls(job: Job) -> list[Shortfall]:
    """What a settled job lacks because of tools, lowest tier first. Empty while a runtime has the job."""
    if job.is_active:
        return []
    newest = Answer.objects.filter(job=job).order_by("-version").only("gaps").first()
    return group_shortfalls(job, [*job.causes, *(newest.gaps if newest else [])])


def is_of_tool(gap: Any) -> bool:
    """Whether a gap is there because of a tool."""
    return isinstance(gap, dict) and bool(gap.get("tool") and gap.get("agent") and gap.get("cls"))


def group_shortfalls(job: Job, gaps: Iterable[Any]) -> list[Shortfall]:
    """One shortfall for each agent and tool, whatever the number of items."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for gap in gaps:
        if is_of_tool(gap):
            groups.setdefault((str(gap["agent"]), str(gap["tool"])), []).append(gap)
    if not groups:
        return []
    agents = {agent["name"]: agent for agent in job.frozen_spec()["agents"]}
    found = [
        Shortfall(
            tier=int(agents.get(agent, {}).get("tier", 0)),
            keys=[str(key) for key in agents.get(agent, {}).get("writes", ())],
            agent=agent,
            tool=tool,
            cls=_telling_class(of_one),
            items=list(dict.fromkeys(str(gap["item"]) for gap in of_one if gap.get("item"))),
            is_transient=any(gap.get("transient") for gap in of_one),
            is_awaited=all(gap.get("what") == "awaited" for gap in of_one),
            is_given_up=any(gap.get("given_up") for gap in of_one),
        )
        for (agent, tool), of_one in groups.items()
    ]
    return sorted(found, key=lambda shortfall: shortfall.tier)


def _telling_class(gaps: list[dict[str, Any]]) -> str:
    """How the tool failed; not that it was left alone after it had, if there is more to tell."""
    classes = [str(gap["cls"]) for gap in gaps]
    return next((cls for cls in classes if cls != "circuit_open"), classes[0])


@dataclass(frozen=True, slots=True)
class Awaited:
    """A tool that a recovering job waits for, and what it did when it was last asked."""

    breaker: Breaker
    cls: str = ""
    deed: str = ""


@dataclass(frozen=True, slots=True)
class Weather:
    """A job's tools at this moment."""

    job: Job
    shortfalls: list[tuple[Shortfall, Breaker]] = field(default_factory=list)
    waits_on: list[Awaited] = field(default_factory=list)
    more_tools: int = 0

    @property
    def is_recovering(self) -> bool:
        """Whether the job goes on by itself; only then does the page ask again and again."""
        return self.job.status == "recovering"

    @property
    def retry_at(self) -> dt.datetime | None:
        """When it is tried again at the latest; None if it is about to."""
        return _moment(self.job.retry_at)

    @property
    def is_due(self) -> bool:
        """Whether that moment has come."""
        retry_at = self.retry_at
        return retry_at is None or retry_at <= dt.datetime.now(dt.UTC)

    @property
    def give_up_at(self) -> dt.datetime | None:
        """When it is tried no more."""
        return _moment(self.job.give_up_at)

    @property
    def since(self) -> dt.datetime | None:
        """Since when it recovers."""
        return _moment(self.job.recovering_since)


def read_weather(job: Job) -> Weather:
    """The weather of one job."""
    shortfalls = find_shortfalls(job)
    waited = job.waits_on.split() if job.status == "recovering" else []
    breakers = read_breakers([*waited, *(shortfall.tool for shortfall in shortfalls)])
    classes = {shortfall.tool: shortfall.cls for shortfall in reversed(shortfalls)}
    awaited = [
        Awaited(breakers[name], cls, deed_of_failure(cls))
        for name in waited[:TOOLS_NAMED]
        for cls in [classes.get(name, "")]
    ]
    return Weather(
        job,
        [(shortfall, breakers[shortfall.tool]) for shortfall in shortfalls],
        awaited,
        more_tools=max(0, len(waited) - TOOLS_NAMED),
    )


def weather_rev(job: Job) -> str:
    """Changes whenever the job's own part of its weather does."""
    return f"{job.status}-{job.answer_version}-{job.entries}-{job.retries}"


def _moment(seconds: float | None) -> dt.datetime | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)
