"""The Jobs list."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from converge_site.fragments.job_rows import GROUPS, JobFilter, list_context, read_list
from converge_site.people import allowed, for_people
from runtime.models import STATUS_WORDS, Job, Pack


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
        "submitters": _submitters(),
        **list_context(read_list(chosen)),
    }
    return render(request, "pages/jobs.html", context)


def _submitters() -> QuerySet[User]:
    """Who has submitted anything. Asked for each person: a join would read every job."""
    theirs = Job.objects.filter(submitter=OuterRef("pk"))
    return User.objects.filter(Exists(theirs)).order_by("username")[:100]
