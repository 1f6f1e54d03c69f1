"""Many jobs at once: first a page that says what would be done, then the act, then what became of each."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from converge_site.forms.receipts import new_receipt, read_receipt
from converge_site.fragments.bulk_jobs import (
    VERBS,
    BulkPlan,
    plan_matching,
    plan_ticked,
    read_result,
    read_seen,
    remember_asked,
)
from converge_site.fragments.job_filter import JobFilter, read_ids
from converge_site.people import for_people, person_of
from converge_site.views.refusals import render_refusal
from runtime.actions import Refused
from runtime.actions.bulk_jobs import MOST_JOBS, act_on_jobs
from runtime.actions.permissions import may


@for_people
def bulk(request: HttpRequest) -> HttpResponse:
    """GET: what would be done, with its form; nothing is done yet. POST: does it."""
    if request.method == "POST":
        return _act(request)
    act = request.GET.get("act", "")
    if act not in VERBS:
        return redirect("jobs")
    verdict = may(person_of(request), act)
    if not verdict.allowed:
        raise PermissionDenied(verdict.why)
    chosen = JobFilter.from_query(request.GET.dict())
    context = {
        "section": "jobs",
        "plan": _plan(request, act, chosen),
        "back": f"{reverse('jobs')}?{chosen.page_query}",
        "query": chosen.page_query,
        "receipt": new_receipt(),
    }
    return render(request, "pages/bulk_jobs.html", context)


def _plan(request: HttpRequest, act: str, chosen: JobFilter) -> BulkPlan:
    if request.GET.get("all"):
        return plan_matching(act, chosen)
    return plan_ticked(act, read_ids(request.GET.getlist("job"), MOST_JOBS))


def _act(request: HttpRequest) -> HttpResponse:
    """Does it to each job, and leads to what became of them; a form sent twice leads to the same."""
    posted = request.POST
    act, receipt = posted.get("act", ""), read_receipt(posted.get("receipt"))
    query = JobFilter.from_text(posted.get("query", "")).page_query
    try:
        asked = act_on_jobs(
            person_of(request), act, read_seen(posted.get("seen", "")), posted.get("reason", ""), receipt
        )
    except Refused as refused:
        return render_refusal(request, refused, back=f"{reverse('jobs')}?{query}")
    remember_asked(request.session, receipt, act, asked)
    return redirect(reverse("bulk_done", args=[receipt]) + (f"?{query}" if query else ""))


@for_people
def bulk_done(request: HttpRequest, batch: str) -> HttpResponse:
    """What became of each job of a form."""
    found = read_result(request.session, batch)
    if found is None:
        raise Http404("No form with this receipt was sent.")
    chosen = JobFilter.from_query(request.GET.dict())
    context = {"section": "jobs", "result": found, "back": f"{reverse('jobs')}?{chosen.page_query}"}
    return render(request, "pages/bulk_done.html", context)
