"""The Jobs list: filters that live in the URL, one page of rows by keyset, and what an empty page says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.utils import timezone

from converge_site.whole_numbers import read_whole
from runtime.models import Job, JobStatus, Pack

PAGE = 40
MOST_TIER = 999
STUCK_AFTER = dt.timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are listed; "" means all. `before` and `after` are job ids: pages by keyset, newest first."""

    status: str = ""
    pack: str = ""
    tier: str = ""
    submitter: str = ""
    q: str = ""
    before: int = 0
    after: int = 0

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Reads the filter from a URL's query; what makes no sense counts as not given."""
        status = query.get("status", "")
        tier = read_whole(query.get("tier", ""), most=MOST_TIER)
        return cls(
            status=status if status in JobStatus.values or status in GROUPS else "",
            pack=query.get("pack", "")[:100],
            tier="" if tier is None else str(tier),
            submitter=query.get("submitter", "")[:150],
            q=query.get("q", "").strip()[:200],
            before=read_whole(query.get("before", "")) or 0,
            after=read_whole(query.get("after", "")) or 0,
        )

    @property
    def fields(self) -> dict[str, str]:
        """The filter without its place in the pages; what is not set is left out."""
        named = {
            "status": self.status,
            "pack": self.pack,
            "tier": self.tier,
            "submitter": self.submitter,
            "q": self.q,
        }
        return {name: value for name, value in named.items() if value}

    @property
    def query(self) -> str:
        """The fields as a query string."""
        return urlencode(self.fields)

    def apply(self, jobs: QuerySet[Job]) -> QuerySet[Job]:
        """The jobs that match, wherever their page."""
        if self.status:
            jobs = jobs.filter(status__in=GROUPS.get(self.status, (self.status,)))
        if self.pack:
            jobs = jobs.filter(pack__name=self.pack)
        if self.tier:
            jobs = jobs.filter(tier=int(self.tier))
        if self.submitter:
            jobs = jobs.filter(submitter__username=self.submitter)
        if self.q:
            number = read_whole(self.q)
            numbered = Q() if number is None else Q(pk=number)
            jobs = jobs.filter(Q(title__icontains=self.q) | Q(reason__icontains=self.q) | numbered)
        return jobs


# Groups of statuses that people ask for together.
GROUPS: dict[str, tuple[str, ...]] = {
    "active": (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.RECOVERING),
    "stuck": (JobStatus.OSCILLATING, JobStatus.EXHAUSTED, JobStatus.INVALID, JobStatus.FAILED),
}


@dataclass(frozen=True, slots=True)
class JobList:
    """One page of the list. `found` jobs match, of `total`; `stuck` jobs are queued and nobody takes them."""

    filter: JobFilter
    jobs: list[Job] = field(default_factory=list)
    found: int = 0
    total: int = 0
    stuck: int = 0
    newer: str = ""
    older: str = ""


def read_list(chosen: JobFilter) -> JobList:
    """The page of jobs the filter asks for: at most PAGE, newest first."""
    matching = chosen.apply(Job.objects.all())
    total = Job.objects.count()
    found = matching.count() if chosen.fields else total
    jobs, more_older, more_newer = _read_jobs(matching, chosen)
    return JobList(
        chosen,
        jobs,
        found,
        total,
        stuck=_count_stuck(),
        newer=_link(chosen, after=jobs[0].pk) if jobs and more_newer else "",
        older=_link(chosen, before=jobs[-1].pk) if jobs and more_older else "",
    )


def _read_jobs(matching: QuerySet[Job], chosen: JobFilter) -> tuple[list[Job], bool, bool]:
    """The rows, and whether older and newer ones exist."""
    rows = matching.select_related("pack", "submitter").defer("causes")
    if chosen.after:
        upward = list(rows.filter(pk__gt=chosen.after).order_by("pk")[: PAGE + 1])
        return list(reversed(upward[:PAGE])), True, len(upward) > PAGE
    if chosen.before:
        rows = rows.filter(pk__lt=chosen.before)
    downward = list(rows.order_by("-pk")[: PAGE + 1])
    return downward[:PAGE], len(downward) > PAGE, bool(chosen.before)


def _count_stuck() -> int:
    """Jobs queued for a while although no job is running: nobody takes them."""
    if Job.objects.filter(status=JobStatus.RUNNING).exists():
        return 0
    return Job.objects.filter(status=JobStatus.QUEUED, updated_at__lt=timezone.now() - STUCK_AFTER).count()


def _link(chosen: JobFilter, **place: int) -> str:
    return "?" + urlencode({**chosen.fields, **place})


def list_context(page: JobList) -> dict[str, Any]:
    """What the list's template needs, on the page and in a push."""
    samples = [] if page.total else list(Pack.objects.filter(enabled=True).order_by("name"))
    return {"list": page, "samples": samples}
