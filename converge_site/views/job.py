"""The job page and what belongs to one job: journal, entries, slots, context, answers."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from converge_site.fragments.context import read_key
from converge_site.fragments.journal import Filter, Page, read_page, row_of
from converge_site.fragments.panels import render_keys, render_panels
from converge_site.fragments.premises import read_premises
from converge_site.fragments.words import KIND_LOOKS
from converge_site.people import allowed, for_people
from converge_site.whole_numbers import read_whole
from runtime.models import Entry, Job

CONTEXT_ROWS = 500


def find_job(job_id: int) -> Job:
    """The job with its pack and submitter; 404 if there is none."""
    return get_object_or_404(Job.objects.select_related("pack", "submitter"), pk=job_id)


@for_people
def job(request: HttpRequest, job_id: int) -> HttpResponse:
    """One job, as it converges."""
    found = find_job(job_id)
    journal = read_page(found, Filter.from_query(request.GET.dict()))
    # The journal is read first: whatever is committed after it comes by the socket, from its cursor.
    context = {
        "section": "jobs",
        "job": found,
        "panels": render_panels(found, request),
        "key_sets": list(render_keys(found).values()),
        "may_add": allowed(request.user, "add_fact", job=found),
        "journal_action": reverse("job", args=[job_id]),
        **journal_context(found, journal),
    }
    return render(request, "pages/job.html", context)


@for_people
def journal(request: HttpRequest, job_id: int) -> HttpResponse:
    """The journal on a page of its own; for htmx, the older entries alone."""
    found = find_job(job_id)
    before = read_whole(request.GET.get("before", ""))
    page = read_page(found, Filter.from_query(request.GET.dict()), before)
    if request.headers.get("HX-Request"):
        return render(request, "fragments/_journal_chunk.html", {"journal": page})
    context = {
        "section": "jobs",
        "job": found,
        "before": before,
        "journal_action": reverse("journal", args=[job_id]),
    }
    return render(request, "pages/journal.html", context | journal_context(found, page))


def journal_context(found: Job, page: Page) -> dict[str, Any]:
    """The journal's rows and what its filters offer."""
    spec = found.frozen_spec()
    return {
        "journal": page,
        "kinds": list(KIND_LOOKS),
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
    """All that stands in one key, searchable by subject."""
    found = find_job(job_id)
    text = request.GET.get("q", "").strip()[:200]
    key_set = read_key(found, request.GET.get("key", ""), text, CONTEXT_ROWS)
    if key_set is None:
        raise Http404("The job's pack has no such key.")
    return render(request, "pages/context.html", {"section": "jobs", "job": found, "set": key_set, "q": text})
