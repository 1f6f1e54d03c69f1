"""Who is asking: roles in words, and the gate in front of every page.

What a person may do is decided in one place, `runtime.actions.permissions.may`; this module only asks it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from runtime.actions.permissions import may, role_of
from runtime.models import Conflict, Job

__all__ = ["allowed", "for_people", "person_of", "role_of"]

P = ParamSpec("P")
R = TypeVar("R", bound=HttpResponseBase)


def person_of(request: HttpRequest) -> User:
    """The signed-in person of a request that passed `for_people`."""
    return cast(User, request.user)


def for_people(
    view: Callable[Concatenate[HttpRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """The gate in front of every page: a stranger signs in first, and a person must be allowed to look."""

    @wraps(view)
    def gated(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        verdict = may(person_of(request), "view")
        if not verdict.allowed:
            raise PermissionDenied(verdict.why)
        return view(request, *args, **kwargs)

    return gated


def allowed(user: Any, act: str, *, job: Job | None = None, conflict: Conflict | None = None) -> bool:
    """Whether to offer an act at all; the action asks again when it is done."""
    return bool(may(user, act, job=job, conflict=conflict).allowed)
