"""The job page and what belongs to one job: journal, entries, slots, context, answers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from converge_site.fragments.context import read_key
from converge_site.fragments.journal import Page, read_page, row_of
from converge_site.fragments.journal_filter import OUTCOME_GROUPS, SORTS, Filter
from converge_site.fragments.moment import Moment, read_moment
from converge_site.fragments.panels import render_keys, render_panels
from converge_site.fragments.premises import read_premises
from converge_site.people import allowed, for_people
from converge_site.whole_numbers import read_whole
from runtime.models import Entry, Job

MOST_PAGES = 100_000


def find_job(job_id: int) -> Job:
    """The job with its pack and submitter; 404 if there is none."""
    return get_object_or_404(Job.objects.select_related("pack", "submitter"), pk=job_id)


@for_people
def job(request: HttpRequest, job_id: int) -> HttpResponse:
    """One job, as it converges; with `?cycle=N` as it was after that cycle."""
    found = find_job(job_id)
    moment = moment_of(request, found)
    chosen = Filter.from_query(request.GET.dict())
    journal = read_page(found, chosen, moment=moment)
    kept = f"{chosen.query}&" if moment and chosen else ""
    # The journal is read first: whatever is committed after it comes by the socket, from its cursor.
    context = {
        "section": "jobs",
        "job": found,
        "moment": moment,
        "panels": render_panels(found, request, moment, kept),
        "key_sets": list(render_keys(found, moment=moment).values()),
        "may_add": moment is None and allowed(request.user, "add_fact", job=found),
        "journal_action": reverse("job", args=[job_id]),
        **journal_context(found, journal),
    }
    return render(request, "pages/job.html", context)


def moment_of(request: HttpRequest, found: Job) -> Moment | None:
    """The moment that the address names with `?cycle=N`; None for the present. 404 if there is no such cycle."""
    return read_moment(found, request.GET.get("cycle"))


@for_people
def journal(request: HttpRequest, job_id: int) -> HttpResponse:
    """The journal on a page of its own; for htmx, the older entries alone."""
    found = find_job(job_id)
    before, after = (read_whole(request.GET.get(name, "")) for name in ("before", "after"))
    chosen, moment = Filter.from_query(request.GET.dict()), moment_of(request, found)
    page = read_page(found, chosen, before, after=after, moment=moment)
    if request.headers.get("HX-Request"):
        return render(request, "fragments/_journal_chunk.html", {"journal": page})
    context = {
        "section": "jobs",
        "job": found,
        "moment": moment,
        "is_live": moment is None and before is None and not page.newer,
        "journal_action": reverse("journal", args=[job_id]),
    }
    return render(request, "pages/journal.html", context | journal_context(found, page))


def journal_context(found: Job, page: Page) -> dict[str, Any]:
    """The journal's rows and what its filters offer."""
    spec = found.frozen_spec()
    return {
        "journal": page,
        "kinds": SORTS,
        "outcomes": OUTCOME_GROUPS,
        "agents": [agent["name"] for agent in spec["agents"]] + ["@seed", "@person", "@operator"],
        "keys": [key["name"] for key in spec["keys"]],
    }


@for_people
def entry(request: HttpRequest, job_id: int, seq: int) -> HttpResponse:
    """One journal entry in full: the permanent address of something that was said."""
    found = find_job(job_id)
    said = get_object_or_404(Entry, job=found, seq=seq)
    context = {
        "section": "jobs",
        "job": found,
        "entry": said,
        "body": said.data,
        "row": row_of(said),
        "premises": read_premises(said),
        "previous": seq - 1 if seq > 1 else None,
        "next": seq + 1 if seq < found.entries else None,
    }
    return render(request, "pages/entry.html", context)


@for_people
def context(request: HttpRequest, job_id: int) -> HttpResponse:
    """All that stands in one key, or stood after `?cycle=N`, page by page, searchable by subject."""
    found = find_job(job_id)
    text = request.GET.get("q", "").strip()[:200]
    moment = moment_of(request, found)
    page = read_whole(request.GET.get("page", ""), MOST_PAGES) or 1
    key_set = read_key(found, request.GET.get("key", ""), text, moment=moment, page=page)
    if key_set is None:
        raise Http404("The job's pack has no such key.")
    query = {"key": key_set.name, "q": text, "cycle": moment.cycle if moment else ""}
    context = {
        "section": "jobs",
        "job": found,
        "set": key_set,
        "q": text,
        "moment": moment,
        "page": page,
        "query": urlencode({name: part for name, part in query.items() if part}),
    }
    return render(request, "pages/context.html", context)
