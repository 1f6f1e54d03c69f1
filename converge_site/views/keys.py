"""The keys that do something, as a page; with script the same list opens on any page by `?`."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from converge_site.people import for_people


@for_people
def keys(request: HttpRequest) -> HttpResponse:
    """The list of keys."""
    return render(request, "pages/keys.html", {"section": "keys"})
