"""The Jobs list."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from converge_site.fragments.job_filter import STATUS_CHOICES, JobFilter
from converge_site.fragments.job_rows import list_context, read_list
from converge_site.people import allowed, for_people
from runtime.models import Job, Pack

MOST_SUBMITTERS = 100


@for_people
def jobs(request: HttpRequest) -> HttpResponse:
    """What is running, stuck, or waiting for me? Filters live in the URL."""
    chosen = JobFilter.from_query(request.GET.dict())
    may_act = allowed(request.user, "submit")  # operators, who cancel, retry and save views as well
    context = {
        "section": "jobs",
        "filter": chosen,
        "may_act": may_act,
        "statuses": STATUS_CHOICES,
        "packs": Pack.objects.order_by("name").only("name", "title"),
        "tiers": range(6),
        "submitters": _submitters(),
        **list_context(read_list(chosen)),
    }
    return render(request, "pages/jobs.html", context)


def _submitters() -> QuerySet[User]:
    """Who has submitted anything. Asked for each person: a join would read every job."""
    theirs = Job.objects.filter(submitter=OuterRef("pk"))
    return User.objects.filter(Exists(theirs)).order_by("username").only("username")[:MOST_SUBMITTERS]
