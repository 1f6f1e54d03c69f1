"""Opening forms of the admin, changing some of them, and sending them, as a browser would."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.urls import reverse


def page(name: str, *args: Any) -> str:
    return reverse(f"admin:{name}", args=args)


def errors(response: HttpResponse) -> dict[str, list[str]]:
    form = response.context["adminform"].form  # type: ignore[attr-defined]
    return dict(form.errors)


def fields(response: HttpResponse, **changes: Any) -> dict[str, Any]:
    """What a browser would send back from a form, with `changes`."""
    form = response.context["adminform"].form  # type: ignore[attr-defined]
    sent = {}
    for bound in form:
        value = bound.value()
        if value is None or value is False:
            continue
        sent[bound.html_name] = "on" if value is True else value
    return {**sent, "why": "a test", **{name: value for name, value in changes.items() if value is not None}}


def save(browser: Client, address: str, **changes: Any) -> HttpResponse:
    """Open a form, change some of it, and send it."""
    data = fields(browser.get(address), **changes)
    for name in [name for name, value in changes.items() if value is None]:
        data.pop(name, None)
    return browser.post(address, data)  # type: ignore[return-value]
