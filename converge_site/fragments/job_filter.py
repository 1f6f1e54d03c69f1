"""Which jobs the Jobs page lists: a filter that lives in the URL, and the queries it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.db.models import F, Q, QuerySet

from converge_site.readable import UnreadableQuery, read_query
from converge_site.whole_numbers import read_whole
from runtime.models import STATUS_WORDS, Job, JobStatus, Pack

MOST_TIER = 999
MOST_QUERY = 2_000  # characters

# Groups of statuses that people ask for together.
GROUPS: dict[str, tuple[str, ...]] = {
    "active": (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.RECOVERING),
    "stuck": (JobStatus.OSCILLATING, JobStatus.EXHAUSTED, JobStatus.INVALID, JobStatus.FAILED),
}
STATUS_CHOICES: dict[str, str] = {name: name.capitalize() for name in GROUPS} | STATUS_WORDS


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

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Reads it from a query string; none from what nobody can read."""
        try:
            query = read_query(text[:MOST_QUERY])
        except UnreadableQuery:
            return cls()
        return cls.from_query({name: str(query[name]) for name in query})

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
        """The fields as a query string, in the one form that all ways to write this filter share."""
        return urlencode(self.fields)

    @property
    def page_query(self) -> str:
        """The fields and the place in the pages: those who look at the same page say the same."""
        place = {"before": self.before, "after": self.after}
        return urlencode({**self.fields, **{name: at for name, at in place.items() if at}})

    @property
    def words(self) -> str:
        """The filter in words; "" for none."""
        said = {
            "status": STATUS_CHOICES.get(self.status, "").lower(),
            "pack": f"pack {self.pack}",
            "tier": f"tier {self.tier}",
            "submitter": f"by {self.submitter}",
            "q": f"“{self.q}”",
        }
        return ", ".join(said[name] for name in self.fields)

    def at(self, *, before: int = 0, after: int = 0) -> Self:
        """The same filter, at another place in the pages."""
        return replace(self, before=before, after=after)

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses listed; () for all."""
        return GROUPS.get(self.status, (self.status,)) if self.status else ()

    def apply(self, jobs: QuerySet[Job]) -> QuerySet[Job]:
        """The jobs that match, wherever their page."""
        if self.q:
            jobs = jobs.filter(self.text)
        return self.apply_fields(jobs)

    def apply_fields(self, jobs: QuerySet[Job]) -> QuerySet[Job]:
        """The jobs that match all but the text, by an index for each field."""
        if self.status:
            jobs = jobs.filter(status__in=self.statuses)
        if self.tier:
            jobs = jobs.filter(tier=int(self.tier))
        return jobs.filter(**self._ids())

    def scan(self) -> QuerySet[Job]:
        """The same jobs, found in the one index that holds all these columns.

        Without statistics SQLite would take the index of one field and look at each of its jobs' rows, ten times as
        long: no index serves these conditions, so it reads that one through. Only the columns of `job_for_lists` may be
        asked for.
        """
        jobs = Job.objects.order_by()
        if self.tier:
            jobs = jobs.filter(tier=int(self.tier))
        if self.status:
            jobs = jobs.exclude(status__in=sorted(set(JobStatus.values) - set(self.statuses)))
        for name, number in self._ids().items():
            jobs = jobs.alias(**{f"in_{name}": F(name) + 0}).filter(**{f"in_{name}": number})
        return jobs

    def _ids(self) -> dict[str, int]:
        """Ids of the pack and the submitter that are named; 0, which is nobody's, where there is none such."""
        ids: dict[str, int] = {}
        if self.pack:
            ids["pack_id"] = Pack.objects.filter(name=self.pack).values_list("pk", flat=True).first() or 0
        if self.submitter:
            found = User.objects.filter(username=self.submitter).values_list("pk", flat=True).first()
            ids["submitter_id"] = found or 0
        return ids

    @property
    def text(self) -> Q:
        """What a job's title or reason must hold, or its number be."""
        said = Q(title__icontains=self.q) | Q(reason__icontains=self.q)
        return said if self.number is None else said | Q(pk=self.number)

    @property
    def number(self) -> int | None:
        """The number of a job, if that is what the text is."""
        return read_whole(self.q.removeprefix("#"))


def read_ids(texts: Sequence[str], most: int) -> list[int]:
    """Job numbers from a form's fields, each once and in the order given, at most `most`; what is none is left out."""
    found = dict.fromkeys(number for text in texts if (number := read_whole(text)))
    return list(found)[:most]
