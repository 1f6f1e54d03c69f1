"""The timeline of a job on a page of its own: any stretch of cycles, all agents or one, and the same as a table."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from converge_site.fragments.moment import read_moment
from converge_site.fragments.timeline import ZOOMS
from converge_site.fragments.timeline_page import read_window, timeline_context
from converge_site.people import for_people
from converge_site.views.job import find_job


@for_people
def timeline(request: HttpRequest, job_id: int) -> HttpResponse:
    """A stretch of a job's timeline: `from`, `cycles`, `agent`, `row`; `cycle` for a moment of the past."""
    found = find_job(job_id)
    moment = read_moment(found, request.GET.get("cycle", ""))
    window = read_window(found, request.GET.dict())
    is_latest = window.first is None and moment is None
    context = {
        "section": "jobs",
        "job": found,
        "moment": moment,
        "zooms": ZOOMS,
        "page_query": urlencode({"job": job_id}) + (f"&{window.query()}" if window.query() else "")
        if is_latest
        else "",
        **timeline_context(found, moment, window),
    }
    return render(request, "pages/timeline.html", context)
