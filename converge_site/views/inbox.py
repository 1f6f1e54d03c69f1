"""The inbox."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from converge_site.fragments.inbox import read_inbox
from converge_site.people import for_people


@for_people
def inbox(request: HttpRequest) -> HttpResponse:
    """Every open question across jobs, most blocking and oldest first."""
    page, job = request.GET.get("page", ""), request.GET.get("job", "")
    found = read_inbox(_number(page) or 1, _number(job))
    return render(request, "pages/inbox.html", {"section": "inbox", "inbox": found, "personal": True})


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else None
