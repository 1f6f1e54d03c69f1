"""Tools: how the outside world is, over all runtimes; and one tool in full, with its switch."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from converge_site.forms.tools import check_can_reset, check_can_trip, read_reason, remember_receipt
from converge_site.fragments.breakers import STATE_WORDS, forget_breakers
from converge_site.fragments.personal import render_tool_forms
from converge_site.fragments.tool_board import ToolFilter, read_board
from converge_site.fragments.tool_calls import ENDINGS, CallFilter
from converge_site.fragments.tool_page import ToolView, read_settings, read_tool, read_users
from converge_site.people import for_people, person_of
from converge_site.views.refusals import render_refusal, status_of
from runtime.actions import Refused
from runtime.actions.permissions import require
from runtime.actions.tools import reset_tool, trip_tool
from runtime.models import Tool


@for_people
def tools(request: HttpRequest) -> HttpResponse:
    """Every tool."""
    board = read_board(ToolFilter.from_query(request.GET.dict()))
    return render(request, "pages/tools.html", {"section": "tools", "board": board, "states": STATE_WORDS})


@for_people
def tool(request: HttpRequest, name: str) -> HttpResponse:
    """One tool; for htmx, what changes by itself."""
    found = get_object_or_404(Tool, name=name)
    return _show(request, found)


@for_people
def forms(request: HttpRequest, name: str) -> HttpResponse:
    """The forms alone, for a page whose breaker has changed."""
    return HttpResponse(render_tool_forms(request, _view_of(request, get_object_or_404(Tool, name=name))))


def _view_of(request: HttpRequest, found: Tool) -> ToolView:
    return read_tool(found, CallFilter.from_query(request.GET.dict()))


def _show(request: HttpRequest, found: Tool, act: str = "", refused: Refused | None = None) -> HttpResponse:
    view = _view_of(request, found)
    context = {
        "section": "tools",
        "tool": found,
        "view": view,
        "endings": ENDINGS,
        "tool_forms": render_tool_forms(request, view, act, refused),
    }
    if request.headers.get("HX-Request"):
        return render(request, "fragments/_tool.html", context)
    context |= {"settings": read_settings(found), "users": read_users(found.name)}
    return render(request, "pages/tool.html", context, status=status_of(refused) if refused else 200)


Operate = Callable[[User, ToolView, str], None]


def _operate(request: HttpRequest, name: str, act: str, operate: Operate, done: str) -> HttpResponse:
    """Does what a form asks for, once; what is refused comes back on the page with what was typed."""
    found = get_object_or_404(Tool, name=name)
    forget_breakers()
    try:
        require(person_of(request), "operate_tool")
        if remember_receipt(request):
            operate(person_of(request), _view_of(request, found), read_reason(request.POST))
    except Refused as refused:
        if refused.code in ("forbidden", "gone"):
            return render_refusal(request, refused, back=reverse("tool", args=[name]))
        return _show(request, found, act, refused)
    finally:
        forget_breakers()
    messages.success(request, done)
    return redirect("tool", name)


@for_people
@require_POST
def trip(request: HttpRequest, name: str) -> HttpResponse:
    """Opens a tool's breaker by hand, over all runtimes."""
    return _operate(
        request, name, "trip", _trip, f"{name} is tripped: no call of it is sent until it is reset."
    )


def _trip(user: User, view: ToolView, reason: str) -> None:
    check_can_trip(view)
    trip_tool(user, view.row.tool.name, reason)


@for_people
@require_POST
def reset(request: HttpRequest, name: str) -> HttpResponse:
    """Closes a tool's breaker by hand, and wakes the jobs that wait for it."""
    return _operate(
        request, name, "reset", _reset, f"{name} is reset: calls go through, waiting jobs are tried again."
    )


def _reset(user: User, view: ToolView, reason: str) -> None:
    check_can_reset(view)
    reset_tool(user, view.row.tool.name, reason)
