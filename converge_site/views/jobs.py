"""The Jobs list."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from converge_site.fragments.job_rows import GROUPS, JobFilter, JobList, read_list
from converge_site.people import allowed, for_people
from runtime.models import STATUS_WORDS, Pack


@for_people
def jobs(request: HttpRequest) -> HttpResponse:
    """What is running, stuck, or waiting for me? Filters live in the URL."""
    chosen = JobFilter.from_query(request.GET.dict())
    context = {
        "section": "jobs",
        "filter": chosen,
        "may_submit": allowed(request.user, "submit"),
        "statuses": {name: name.capitalize() for name in GROUPS} | STATUS_WORDS,
        "packs": Pack.objects.order_by("name").only("name", "title"),
        "tiers": range(6),
        "submitters": get_user_model().objects.filter(jobs__isnull=False).distinct().order_by("username")[:100],
        **list_context(read_list(chosen)),
    }
    return render(request, "pages/jobs.html", context)


def list_context(page: JobList) -> dict[str, Any]:
    """What the list's fragment needs, on the page and in a push."""
    samples = [] if page.total else list(Pack.objects.filter(enabled=True).order_by("name"))
    return {"list": page, "samples": samples}
