"""How a job's tools are at the moment: asked for again and again by the page of a job that recovers."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from converge_site.fragments.personal import render_recovering, render_weather
from converge_site.people import for_people
from converge_site.views.job import find_job


@for_people
def weather(request: HttpRequest, job_id: int) -> HttpResponse:
    """Both fragments, the header's first; with `?part=weather` the other alone."""
    job = find_job(job_id)
    if request.GET.get("part") == "weather":
        return HttpResponse(render_weather(request, job))
    return HttpResponse(render_recovering(request, job) + render_weather(request, job))
