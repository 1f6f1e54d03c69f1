"""The inbox: every open question across jobs, most blocking first, then oldest; and the badge that counts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import QuerySet

from converge_site.fragments.conflicts import Card, read_cards
from converge_site.whole_numbers import read_whole
from runtime.models import Conflict, Job
from runtime.models.job import ENDED

PAGE = 50


@dataclass(frozen=True, slots=True)
class Inbox:
    """A page of open questions. `jobs` is how many jobs there are at all: an empty inbox says which kind it is."""

    cards: list[Card]
    open: int
    page: int
    pages: int
    job: int | None
    jobs: bool

    @property
    def first(self) -> int:
        """The place of the first question of this page among all."""
        return (self.page - 1) * PAGE + 1

    @property
    def last(self) -> int:
        """The place of its last one."""
        return self.first + len(self.cards) - 1


def _waiting() -> QuerySet[Conflict]:
    """The questions an answer to which still does something."""
    return Conflict.objects.filter(status="open", awaiting="").exclude(job__status__in=ENDED)


def count_open() -> int:
    """How many questions wait for a person. Those an aggregation agent is about to rule on do not."""
    return _waiting().count()


def read_inbox(query: Mapping[str, str]) -> Inbox:
    """The page of the inbox that `query` asks for: `page` from 1, and `job` for the questions of one job alone.

    A number that makes no sense counts as none, and a page beyond the last is the last.
    """
    page, job = read_whole(query.get("page", "")) or 1, read_whole(query.get("job", ""))
    waiting = _waiting().select_related("job", "job__pack")
    if job is not None:
        waiting = waiting.filter(job_id=job)
    total = waiting.count()
    pages = max(1, -(-total // PAGE))
    page = min(max(1, page), pages)
    rows = waiting.order_by("-blocks", "opened_at", "id")[(page - 1) * PAGE : page * PAGE]
    return Inbox(read_cards(list(rows)), total, page, pages, job, total > 0 or Job.objects.exists())
