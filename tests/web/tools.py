"""Tools, calls and recovering jobs as rows, for pages that show them; the breakers are real, in the run's Redis."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

from django.utils import timezone

from converge_site.fragments.breakers import forget_breakers
from runtime.models import Answer, Job, Tool, ToolCall
from runtime.tools.gate import shared_gate
from runtime.tools.spec import ToolSpec


def make_tool(name: str = "search", **settings: Any) -> Tool:
    """A tool whose breaker is closed and untouched."""
    shared_gate().reset(name)
    forget_breakers()
    row = {"url": "https://search.example.org/v1", "title": "", "origin": "admin", **settings}
    return Tool.objects.update_or_create(name=name, defaults=row)[0]


def break_tool(tool: Tool, open_seconds: float = 180.0) -> None:
    """Opens a tool's breaker as workers do, by one failure."""
    spec = ToolSpec(tool.name, failure_threshold=1, open_seconds=open_seconds)
    shared_gate().leave(shared_gate().enter(spec), "failed")
    forget_breakers()


def pause_tool(tool: Tool, seconds: float = 60.0) -> None:
    """Lets a tool ask for rest."""
    spec = ToolSpec(tool.name)
    shared_gate().leave(shared_gate().enter(spec), "neutral", pause=seconds)
    forget_breakers()


def make_call(job: Job, tool: str = "search", **fields: Any) -> ToolCall:
    """A finished call of half a minute ago; `cls` makes it a failed one."""
    at = timezone.now() - dt.timedelta(seconds=30)
    number = ToolCall.objects.count() + 1
    row = {
        "cycle": 1,
        "agent": "web-search",
        "item": "",
        "number": number,
        "digest": f"{number:064d}",
        "status": "failed" if fields.get("cls") else "done",
        "attempts": 1,
        "started_at": at,
        "finished_at": at,
        "duration_ms": 120.0,
    }
    return ToolCall.objects.create(job=job, tool=tool, **(row | fields))


def tool_gap(item: str = "ants", **fields: Any) -> dict[str, Any]:
    """A gap of the required agent `web-search` of the pack `scouts`, as the engine states it."""
    text = f"`web-search` failed on {item}: search did not answer in time. (timeout)"
    gap = {"what": "failed", "agent": "web-search", "item": item, "cls": "timeout", "tool": "search"}
    return gap | {"transient": True, "text": text} | fields


def make_recovering(job: Job, gaps: list[dict[str, Any]] | None = None, **fields: Any) -> Job:
    """The job as a runtime parks it when a tool is down: at tier 2 of 3, tried again in three minutes."""
    now = time.time()
    row = {
        "status": "recovering",
        "tier": 2,
        "reason": "`web-search` failed on ants: search did not answer in time. (timeout).",
        "causes": [tool_gap()] if gaps is None else gaps,
        "waits_on": " search ",
        "retry_at": now + 180,
        "give_up_at": now + 86_400,
        "recovering_since": now - 300,
        "retries": 2,
    }
    Job.objects.filter(pk=job.pk).update(**(row | fields))
    Answer.objects.filter(job=job).update(gaps=[tool_gap()] if gaps is None else gaps)
    return Job.objects.select_related("pack", "submitter").get(pk=job.pk)
