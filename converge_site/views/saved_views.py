"""The team's views of the Jobs page: all of them, a new one, and one less."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from converge_site.fragments.job_filter import JobFilter
from converge_site.people import allowed, for_people, person_of
from converge_site.views.refusals import render_refusal, status_of
from runtime.actions import Refused
from runtime.actions.permissions import require
from runtime.actions.saved_views import MOST_NAME, MOST_VIEWS, delete_view, may_delete, save_view
from runtime.models import SavedView


@for_people
def saved_views(request: HttpRequest) -> HttpResponse:
    """GET: every view, what it stands for and whose it is. POST: saves the filter of the form under a name."""
    if request.method != "POST":
        return _show(request, JobFilter.from_query(request.GET.dict()))
    try:
        require(person_of(request), "save_view")
        chosen = JobFilter.from_text(request.POST.get("query", ""))
        view = save_view(person_of(request), request.POST.get("name", ""), chosen.query)
    except Refused as refused:
        if refused.code == "forbidden":
            return render_refusal(request, refused, back=reverse("jobs"))
        return _show(request, JobFilter.from_text(request.POST.get("query", "")), refused)
    messages.success(request, f"Saved for all as “{view.name}”.")
    return redirect(f"{reverse('jobs')}?{view.query}")


def _show(request: HttpRequest, chosen: JobFilter, refused: Refused | None = None) -> HttpResponse:
    user = person_of(request)
    known = list(SavedView.objects.all())
    rows = [(view, JobFilter.from_text(view.query).words, may_delete(user, view)) for view in known]
    context = {
        "section": "jobs",
        "rows": rows,
        "filter": chosen,
        "may_save": allowed(user, "save_view"),
        "refused": refused,
        "typed": request.POST.get("name", "") if refused else "",
        "most_name": MOST_NAME,
        "most": MOST_VIEWS,
    }
    return render(request, "pages/saved_views.html", context, status=status_of(refused) if refused else 200)


@for_people
@require_POST
def delete(request: HttpRequest, view_id: int) -> HttpResponse:
    """Takes a view away for all; the jobs it showed stay as they are."""
    try:
        name = delete_view(person_of(request), view_id)
    except Refused as refused:
        return render_refusal(request, refused, back=reverse("saved_views"))
    messages.success(request, f"The view “{name}” is deleted.")
    return redirect("saved_views")
