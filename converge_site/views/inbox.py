"""The inbox."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from converge_site.fragments.inbox import read_inbox
from converge_site.people import for_people


@for_people
def inbox(request: HttpRequest) -> HttpResponse:
    """Every open question across jobs, most blocking and oldest first."""
    found = read_inbox(request.GET.dict())
    return render(request, "pages/inbox.html", {"section": "inbox", "inbox": found, "personal": True})
