"""Notices: what happened beside the page one looked at, and how one wants to be told."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from converge_site.forms.notices import make_notice_form, read_notice_form
from converge_site.fragments.notices import read_bell, read_news, read_notices
from converge_site.people import for_people, person_of
from converge_site.views.refusals import render_refusal, status_of
from converge_site.whole_numbers import read_whole
from runtime.actions import Refused
from runtime.actions.notice_settings import change_notice_settings, mark_seen, send_test_digest


@for_people
@never_cache
def notices(request: HttpRequest) -> HttpResponse:
    """The list and the settings; for htmx, the list alone. Looking changes nothing: the page says it was seen."""
    return _show(request)


def _show(request: HttpRequest, refused: Refused | None = None, typed: bool = False) -> HttpResponse:
    user = person_of(request)
    context = {"section": "notices", "list": read_notices(user, request.GET.dict())}
    if request.headers.get("HX-Request"):
        return render(request, "fragments/_notice_list.html", context)
    context |= {"form": make_notice_form(user, request.POST if typed else None), "refused": refused}
    return render(request, "pages/notices.html", context, status=status_of(refused) if refused else 200)


@for_people
@never_cache
@require_GET
def news(request: HttpRequest) -> HttpResponse:
    """What is new for this person since a notice: their bell and their toasts."""
    after = read_whole(request.GET.get("after", "")) or 0
    found = read_news(person_of(request), after, request.GET.get("at", ""))
    return render(request, "fragments/_news.html", {"news": found})


@for_people
@require_POST
def seen(request: HttpRequest) -> HttpResponse:
    """The page was shown; for htmx, the bell as it is now."""
    mark_seen(person_of(request), read_whole(request.POST.get("upto", "")) or 0)
    if request.headers.get("HX-Request"):
        return render(request, "fragments/_bell.html", {"bell": read_bell(person_of(request))})
    return redirect("notices")


@for_people
@require_POST
def settings(request: HttpRequest) -> HttpResponse:
    """Sets how this person is told; what is refused comes back with what was typed."""
    wanted = read_notice_form(request.POST)
    try:
        change_notice_settings(
            person_of(request), wanted.toasts, wanted.email, wanted.every_minutes, wanted.kinds
        )
    except Refused as refused:
        if refused.code == "forbidden":
            return render_refusal(request, refused, back=reverse("notices"))
        return _show(request, refused, typed=True)
    messages.success(request, "Saved: this is how you are told from now on.")
    return redirect("notices")


@for_people
@require_POST
def test_digest(request: HttpRequest) -> HttpResponse:
    """Sends this person a digest now, to see that it arrives."""
    try:
        address = send_test_digest(person_of(request))
    except Refused as refused:
        return _show(request, refused)
    messages.success(request, f"A test digest is on its way to {address}.")
    return redirect("notices")
