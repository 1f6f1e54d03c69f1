"""The panels of the job page. Each has one reader and one template, used by the page and by the push (D8.3).

A panel pushed to all viewers holds nothing personal: where a person's own form belongs there is an empty element
with `data-personal`, its address, which the page fills for whoever looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from converge_site.fragments.answers import read_answers
from converge_site.fragments.chart import read_chart
from converge_site.fragments.conflicts import read_conflicts
from converge_site.fragments.context import KeySet, read_context
from converge_site.fragments.job_header import read_header
from converge_site.fragments.journal import Row
from converge_site.fragments.why import read_why
from runtime.models import Job


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its name, its template, and what reads its content."""

    name: str
    template: str
    read: Callable[[Job], Any]


PANELS = (
    Panel("header", "fragments/_job_header.html", read_header),
    Panel("why", "fragments/_why.html", read_why),
    Panel("chart", "fragments/_chart.html", read_chart),
    Panel("conflicts", "fragments/_conflicts.html", read_conflicts),
    Panel("answers", "fragments/_answers.html", read_answers),
)


def render_panel(panel: Panel, job: Job, request: HttpRequest | None = None) -> SafeString:
    """A panel as HTML: for one person if `request` is given, else for all viewers."""
    context = {"panel": panel.read(job), "job": job, "personal": request is not None}
    return render_to_string(panel.template, context, request)


def render_panels(job: Job, request: HttpRequest | None = None) -> dict[str, SafeString]:
    """All panels but the context, by name."""
    return {panel.name: render_panel(panel, job, request) for panel in PANELS}


def render_keys(job: Job, keys: Iterable[str] | None = None) -> dict[str, SafeString]:
    """The context by key name, all keys or some; the same for every viewer."""
    return {key_set.name: render_key(job, key_set) for key_set in read_context(job, keys)}


def render_key(job: Job, key_set: KeySet) -> SafeString:
    """One key of the context as HTML."""
    return render_to_string("fragments/_key.html", {"set": key_set, "job": job})


def render_row(row: Row) -> SafeString:
    """One journal entry as HTML."""
    return render_to_string("fragments/_entry.html", {"row": row})
