"""The admin's own site: admins only, by the one function that decides (D9.1), and the one sign-in page."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.sites import UnfoldAdminSite

from runtime.actions import may

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Configuration", ("Pack", "Agent", "GovernanceRule", "Tool")),
    ("People", ("User", "Group")),
    (
        "Records (read-only)",
        ("AuditRecord", "Job", "Cycle", "Entry", "Conflict", "Decision", "Answer", "ToolCall"),
    ),
)


class ConvergeAdminSite(UnfoldAdminSite):
    """Opens to whoever may configure; a stranger signs in first, and anybody else is told why not."""

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether this person may configure."""
        return bool(may(request.user, "configure"))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The site's own sign-in; somebody who is signed in and still here has no business here."""
        if request.user.is_authenticated:
            verdict = may(request.user, "configure")
            if not verdict:
                raise PermissionDenied(verdict.why)
            return HttpResponseRedirect(reverse("admin:index"))
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """One sign-out for the whole site."""
        return HttpResponseRedirect(reverse("sign_out"), status=307)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """Models by what people come for, not by the app that holds them."""
        apps: list[dict[str, Any]] = super().get_app_list(request, app_label)
        if app_label is not None:
            return apps
        models = {model["object_name"]: model for app in apps for model in app["models"]}
        return [
            {
                "name": title,
                "app_label": title,
                "app_url": "",
                "has_module_perms": True,
                "models": [models[name] for name in names if name in models],
            }
            for title, names in GROUPS
        ]


site = ConvergeAdminSite()
