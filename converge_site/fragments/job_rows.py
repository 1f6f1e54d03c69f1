"""The Jobs list: one page of rows, how many there are, and what an empty page says."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from converge_site.fragments import job_search
from converge_site.fragments.job_filter import GROUPS, JobFilter
from converge_site.fragments.job_search import NONE, PAGE, Tally, count_up_to, find_page
from converge_site.fragments.samples import PackSamples, read_samples
from converge_site.fragments.standstill import Standstill, find_standstill
from converge_site.fragments.words import Look, look_of_status
from runtime.models import Job, SavedView

__all__ = ["GROUPS", "PAGE", "JobFilter", "JobList", "JobRow", "list_context", "read_list", "render_list"]

ROW_COLUMNS = (
    *("title", "pack__name", "pack__title", "submitter__username", "status", "waits_on", "tier", "top_tier"),
    *("activity", "cycle", "facts", "conflicts_open", "holds_open", "created_at", "updated_at"),
)
ROWS_KEPT = 2_000  # about 5 MB of text


@dataclass(frozen=True, slots=True)
class JobRow:
    """Everything that a row shows: rows that are equal look the same."""

    pk: int
    name: str
    pack: str
    submitter: str
    status: str
    waits_on: str
    tier: int
    top_tier: int
    activity: tuple[int, ...]
    cycle: int
    facts: int
    open: int
    created_at: dt.datetime
    updated_at: dt.datetime

    @property
    def look(self) -> Look:
        """How its status is shown."""
        return look_of_status(self.status)


@dataclass(frozen=True, slots=True)
class JobList:
    """One page of the list: `found` jobs match, of `total`.

    `since` is the oldest job looked at for a text, 0 if all were.
    """

    filter: JobFilter
    rows: list[JobRow] = field(default_factory=list)
    found: Tally = NONE
    total: Tally = NONE
    standstill: Standstill | None = None
    newer: str = ""
    older: str = ""
    since: int = 0

    @property
    def html(self) -> list[SafeString]:
        """The rows, each rendered once for all who see it."""
        return [_render_row(row) for row in self.rows]

    @property
    def window(self) -> str:
        """How many jobs are looked through for a text."""
        return f"{job_search.WINDOW:,}"


def read_list(chosen: JobFilter) -> JobList:
    """The page of jobs the filter asks for: at most PAGE, newest first."""
    found = find_page(chosen)
    return JobList(
        chosen,
        read_rows(found.ids),
        found.tally,
        count_up_to(Job.objects.all()) if chosen.fields else found.tally,
        standstill=find_standstill(),
        newer=f"?{chosen.at(after=found.newer).page_query}" if found.newer else "",
        older=f"?{chosen.at(before=found.older).page_query}" if found.older else "",
        since=found.since,
    )


def read_rows(ids: list[int]) -> list[JobRow]:
    """The rows of these jobs, in this order."""
    jobs = Job.objects.filter(pk__in=ids).select_related("pack", "submitter").only(*ROW_COLUMNS)
    rows = {job.pk: _row_of(job) for job in jobs}
    return [rows[pk] for pk in ids if pk in rows]


def _row_of(job: Job) -> JobRow:
    return JobRow(
        job.pk,
        job.title or str(job.pack),
        job.pack.name,
        job.submitter.username if job.submitter else "someone who left",
        job.status,
        job.waits_on.strip(),
        job.tier,
        job.top_tier,
        tuple(job.activity),
        job.cycle,
        job.facts,
        job.conflicts_open + job.holds_open,
        job.created_at,
        job.updated_at,
    )


@lru_cache(maxsize=ROWS_KEPT)
def _render_row(row: JobRow) -> SafeString:
    """A row as HTML: of a list that is pushed twice a second few rows differ from the last time."""
    return render_to_string("fragments/_job_row.html", {"row": row})


def list_context(page: JobList) -> dict[str, Any]:
    """What the list's template needs, on the page and in a push."""
    samples: list[PackSamples] = [] if page.total else read_samples()
    return {"list": page, "samples": samples, "views": list(SavedView.objects.all())}


def render_list(chosen: JobFilter) -> str:
    """What a push to those who look at a page of the list holds."""
    context = list_context(read_list(chosen))
    views = render_to_string("fragments/_saved_views.html", context)
    return views + render_to_string("fragments/_job_list.html", context)
