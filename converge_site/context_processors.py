"""What the frame around every page needs."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from converge_site.fragments.inbox import count_open
from converge_site.fragments.notices import read_bell
from converge_site.people import role_of


def page_frame(request: HttpRequest) -> dict[str, Any]:
    """The nonce of the page's scripts, the person's role, how many questions wait, and the bell.

    Lazy where it costs a query: pages without the frame (the admin, the sign-in) never ask.
    """
    role = SimpleLazyObject(lambda: role_of(request.user))
    return {
        "csp_nonce": getattr(request, "csp_nonce", ""),
        "role": role,
        "is_admin": SimpleLazyObject(lambda: role == "admin"),
        "inbox_count": SimpleLazyObject(count_open),
        "bell": SimpleLazyObject(lambda: read_bell(request.user)),
    }
