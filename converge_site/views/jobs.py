"""The Jobs list."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from converge_site.fragments.job_rows import GROUPS, JobFilter, list_context, read_list
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
        "submitters": get_user_model()
        .objects.filter(jobs__isnull=False)
        .distinct()
        .order_by("username")[:100],
        **list_context(read_list(chosen)),
    }
    return render(request, "pages/jobs.html", context)
