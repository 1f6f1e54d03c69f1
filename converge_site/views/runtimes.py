"""Runtimes: who works, on what, and why nothing moves where nothing does."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from converge_site.fragments.runtimes import read_runtimes
from converge_site.people import for_people


@for_people
def runtimes(request: HttpRequest) -> HttpResponse:
    """Every worker, the queue and the scheduler."""
    return render(request, "pages/runtimes.html", {"section": "runtimes", "view": read_runtimes()})
