"""What an action refused, as an answer of HTTP."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from runtime.actions import Refused

STATUS = {"forbidden": 403, "stale": 409, "gone": 410, "invalid": 422}
_TITLES = {
    403: "Not yours to do",
    409: "It has changed meanwhile",
    410: "Nothing more to do here",
    422: "That does not work",
}


def status_of(refused: Refused) -> int:
    """The HTTP status of a refusal."""
    return STATUS.get(refused.code, 422)


def render_refusal(request: HttpRequest, refused: Refused, back: str = "") -> HttpResponse:
    """A refusal as a page of its own, where no form can show it."""
    status = status_of(refused)
    return render_error(request, status, _TITLES[status], refused.message, back)


def render_error(request: HttpRequest, status: int, title: str, message: str, back: str = "") -> HttpResponse:
    """An error page in the look of all others."""
    context = {"status": status, "title": title, "message": message, "back": back}
    return render(request, "pages/error.html", context, status=status)
