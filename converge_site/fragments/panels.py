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
from converge_site.fragments.moment import Moment
from converge_site.fragments.moment_bar import read_bar
from converge_site.fragments.then import job_then
from converge_site.fragments.timeline import read_timeline
from converge_site.fragments.why import read_why
from runtime.models import Job


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its name, its template, and what reads its content."""

    name: str
    template: str
    read: Callable[[Job, Moment | None], Any]


PANELS = (
    Panel("moment", "fragments/_moment.html", read_bar),
    Panel("header", "fragments/_job_header.html", read_header),
    Panel("why", "fragments/_why.html", read_why),
    Panel("chart", "fragments/_chart.html", read_chart),
    Panel("conflicts", "fragments/_conflicts.html", read_conflicts),
    Panel("answers", "fragments/_answers.html", read_answers),
    Panel("timeline", "fragments/_timeline.html", read_timeline),
)


def render_panel(
    panel: Panel, job: Job, request: HttpRequest | None = None, moment: Moment | None = None, kept: str = ""
) -> SafeString:
    """A panel as HTML: for one person if `request` is given, else for all viewers; as of `moment`, or now.

    Of a moment, `job` is the row as it was then (see `job_then`), nothing on the panel can be acted on, and `kept` is
    what links to other moments take along, as a query that ends in "&".
    """
    context = {
        "panel": panel.read(job, moment),
        "job": job,
        "moment": moment,
        "kept": kept,
        "personal": request is not None and moment is None,
    }
    return render_to_string(panel.template, context, request)


def render_panels(
    job: Job, request: HttpRequest | None = None, moment: Moment | None = None, kept: str = ""
) -> dict[str, SafeString]:
    """All panels but the context, by name; as of `moment`, or now."""
    job = job_then(job, moment)
    return {panel.name: render_panel(panel, job, request, moment, kept) for panel in PANELS}


def render_keys(
    job: Job, keys: Iterable[str] | None = None, moment: Moment | None = None
) -> dict[str, SafeString]:
    """The context by key name, all keys or some; the same for every viewer."""
    sets = read_context(job, keys, moment)
    return {key_set.name: render_key(job, key_set, moment) for key_set in sets}


def render_key(job: Job, key_set: KeySet, moment: Moment | None = None) -> SafeString:
    """One key of the context as HTML."""
    if not key_set.drawn:  # what was read is remembered, and so is how it looks
        context = {"set": key_set, "job": job, "moment": moment}
        key_set.drawn.append(render_to_string("fragments/_key.html", context))
    return key_set.drawn[0]


def render_row(row: Row) -> SafeString:
    """One journal entry as HTML."""
    return render_to_string("fragments/_entry.html", {"row": row})
