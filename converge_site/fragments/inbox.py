"""The inbox: every open question across jobs, most blocking first, then oldest; and the badge that counts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.db.models import QuerySet

from converge_site.fragments.conflicts import Card, read_cards
from converge_site.fragments.precedents import PrecedentView, read_precedents
from converge_site.whole_numbers import read_whole
from runtime.actions.deferring import put_off
from runtime.models import Conflict, Job
from runtime.models.job import ENDED

PAGE = 50


@dataclass(frozen=True, slots=True)
class Inbox:
    """A page of open questions: those that wait, or with `deferred` those that are put off. `put_off` counts the
    latter, of the same job. `jobs` is whether there are jobs at all: an empty inbox says which kind it is."""

    cards: list[Card]
    open: int
    page: int
    pages: int
    job: int | None
    jobs: bool
    deferred: bool = False
    put_off: int = 0
    precedents: list[PrecedentView] = field(default_factory=list)

    @property
    def query(self) -> str:
        """What the address of each page of it holds beside the page."""
        chosen = {"deferred": "1"} if self.deferred else {}
        return urlencode(chosen | ({"job": str(self.job)} if self.job is not None else {}))

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
    """How many questions wait for a person. Those an aggregation agent is about to rule on do not, nor those that are
    put off."""
    return _waiting().exclude(put_off()).count()


def read_inbox(query: Mapping[str, str]) -> Inbox:
    """The page of the inbox that `query` asks for: `page` from 1, `job` for the questions of one job alone, and
    `deferred` for those that are put off.

    A number that makes no sense counts as none, and a page beyond the last is the last.
    """
    page, job = read_whole(query.get("page", "")) or 1, read_whole(query.get("job", ""))
    deferred = query.get("deferred") == "1"
    waiting = _waiting().select_related("job", "job__pack", "job__submitter")
    if job is not None:
        waiting = waiting.filter(job_id=job)
    aside = waiting.filter(put_off())
    chosen = aside if deferred else waiting.exclude(put_off())
    total = chosen.count()
    put_off_count = total if deferred else aside.count()
    pages = max(1, -(-total // PAGE))
    page = min(max(1, page), pages)
    order = ("deferred_until", "id") if deferred else ("-blocks", "opened_at", "id")
    rows = chosen.order_by(*order)[(page - 1) * PAGE : page * PAGE]
    jobs = total > 0 or Job.objects.exists()
    cards = read_cards(list(rows))
    proposals = [] if job is not None or deferred else read_precedents()
    return Inbox(cards, total, page, pages, job, jobs, deferred, put_off_count, proposals)
