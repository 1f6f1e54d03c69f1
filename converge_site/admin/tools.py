"""Tools: where they are, how long to wait for them, when to leave them alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from unfold.widgets import UnfoldAdminExpandableTextareaWidget, UnfoldAdminTextInputWidget

from converge_site.admin.base import (
    ActingAdmin,
    GuardedForm,
    link_to,
    shown_changes,
)
from converge_site.admin.fields import NamesField
from converge_site.admin.site import site
from runtime.actions import Refused
from runtime.actions.tool_checks import (
    LIMITS,
    OWN_VARIABLES,
    NotKept,
    check_allowed,
    check_header,
    check_prefix,
    check_url,
    check_variable,
)
from runtime.actions.tools import (
    NEW_TOOL_SETTINGS,
    TOOL_SETTINGS,
    add_tool,
    change_tool,
    check_new_tool,
    check_tool_change,
    delete_tool,
)
from runtime.models import Tool
from runtime.tools.guard import SIMULATOR

EVERY_CALL = "Changes are for every call from now on, also of jobs that run already."

HELP = {
    "name": "Letters, digits, - and _. It stays: agents and records name the tool by it.",
    "kind": "http: an agent behind an HTTP address. llm: an OpenAI-compatible chat endpoint. mcp: an MCP server "
    "(streamable HTTP).",
    "url": f"http or https, a host and a path at most. {SIMULATOR} at the beginning means the simulator of this "
    "installation.",
    "model": "For kind llm: the model that is asked.",
    "timeout": "Seconds that one attempt may take.",
    "attempts": "Requests at most for one call; only passing failures are tried again.",
    "backoff": "Seconds before the second attempt, doubled for each further one.",
    "backoff_max": "Seconds that a wait is at most; a longer Retry-After is not waited out.",
    "jitter": "The share of a wait that is left to chance.",
    "failure_threshold": "Failures within the window that open the breaker, over all runtimes.",
    "window": "Seconds within which failures are counted.",
    "open_seconds": "Seconds that it stays open at first, doubled after each probe that failed.",
    "open_max": "Seconds that it stays open at most.",
    "probes": "Calls that are let through at a time when it is half open; as many successes close it.",
    "concurrency": "Calls that all runtimes together may have under way.",
    "max_bytes": "The longest answer that is read.",
    "price_in": "For a million tokens read.",
    "price_out": "For a million tokens written.",
    "secret_env": "The NAME of the environment variable that holds it where the workers run, never the secret. Names "
    f"that begin with {' or '.join(OWN_VARIABLES)} are the service's own.",
    "secret_header": "The header that carries it.",
    "secret_prefix": "What stands before it in the header, such as Bearer and a space.",
    "enabled": "Calls of a disabled tool fail at once.",
}

PRIVATE = ("secret_env", "secret_header", "secret_prefix")  # fields that people paste secrets into

CHECKS: dict[str, Callable[[str], None]] = {
    "url": lambda text: check_url(text.strip()),
    "allow": lambda text: check_allowed([part.strip() for part in text.split(",") if part.strip()]),
    "secret_env": lambda text: check_variable(text.strip()),
    "secret_header": lambda text: check_header(text.strip()),
    "secret_prefix": check_prefix,
}


class ToolForm(GuardedForm):
    """A tool."""

    allow = NamesField(
        label="Allowed private hosts",
        required=False,
        help_text="Private addresses are refused unless they are listed: host, host:port or a network such as "
        "10.1.0.0/16, with commas between them.",
    )
    secret_prefix = forms.CharField(
        required=False,
        strip=False,
        initial="Bearer ",
        help_text=HELP["secret_prefix"],
        widget=UnfoldAdminTextInputWidget,
    )

    class Meta:
        model = Tool
        fields = NEW_TOOL_SETTINGS
        help_texts = {
            name: f"{text} {LIMITS[name]}." if name in LIMITS else text for name, text in HELP.items()
        }
        widgets = {"description": UnfoldAdminExpandableTextareaWidget}
        labels = {
            "url": "Address",
            "secret_env": "Secret's variable",
            "price_in": "Price of input",
            "price_out": "Price of output",
            "backoff_max": "Longest backoff",
            "open_seconds": "Seconds open",
            "open_max": "Longest open",
            "max_bytes": "Longest answer, bytes",
        }

    def check_typed(self, name: str, typed: str) -> None:
        """Of an address and of hosts a mistake may be shown again; of what belongs to the secret, none."""
        super().check_typed(name, typed)
        if name not in CHECKS:
            return
        try:
            CHECKS[name](typed)
        except NotKept:
            raise
        except Refused as refusal:
            if name in PRIVATE:
                raise NotKept(name, refusal.message) from None

    def check_with_action(self, cleaned: dict[str, Any]) -> None:
        """Ask `change_tool`, or `add_tool`."""
        if self.instance.pk:
            check_tool_change(self.by, Tool.objects.get(pk=self.instance.pk), self.changes())
        else:
            check_new_tool(self.by, self.settings())

    def settings(self) -> dict[str, Any]:
        """All that the form says of a new tool."""
        return {name: self.cleaned_data[name] for name in NEW_TOOL_SETTINGS}

    def changes(self) -> dict[str, Any]:
        """What was changed, but for what cannot be."""
        return {name: value for name, value in super().changes().items() if name in TOOL_SETTINGS}


@admin.register(Tool, site=site)
class ToolAdmin(ActingAdmin):
    """Tools come from code or from an admin, who may change both and delete the latter."""

    form = ToolForm
    list_display = ("name", "kind", "url", "enabled", "secret", "origin", "shown_changes", "page")
    list_filter = ("kind", "enabled", "origin")
    search_fields = ("name", "title", "description", "url")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *(("name", "kind"), "title", "description", "enabled"),
                    *("url", "model", "allow", "page", "shown_changes"),
                ),
                "description": EVERY_CALL,
            },
        ),
        ("Secret", {"fields": ("secret_env", "shown_secret", ("secret_header", "secret_prefix"))}),
        (
            "Attempts",
            {"fields": (("timeout", "attempts"), ("backoff", "backoff_max"), ("jitter", "max_bytes"))},
        ),
        (
            "Breaker and limit, over all runtimes",
            {
                "fields": (
                    ("failure_threshold", "window"),
                    ("open_seconds", "open_max"),
                    ("probes", "concurrency"),
                )
            },
        ),
        ("Prices, for language models", {"fields": (("price_in", "price_out"),)}),
        (None, {"fields": ("why",)}),
    )

    def act(self, request: HttpRequest, row: Any, form: Any, change: bool) -> Tool:
        """`change_tool`, or `add_tool`."""
        why = form.cleaned_data["why"]
        if change:
            return change_tool(form.by, row.pk, form.changes(), why)
        return add_tool(form.by, form.settings(), why)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A tool keeps its name and kind."""
        shown = ("page", "shown_secret", "shown_changes")
        return shown if obj is None else ("name", "kind", *shown)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """A tool that is not there yet has no page and no secret to look for."""
        if obj is not None:
            return self.fieldsets
        hidden = ("page", "shown_secret", "shown_changes")
        return tuple(
            (title, {**options, "fields": tuple(name for name in options["fields"] if name not in hidden)})
            for title, options in self.fieldsets
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A tool from code would come back; it is disabled instead."""
        return obj is not None and obj.origin == "admin" and self.has_change_permission(request, obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """`delete_tool`."""
        delete_tool(request.user, obj.pk, "deleted in the admin")

    @admin.display(description="Secret", empty_value="none", ordering="secret_env")
    def secret(self, tool: Tool) -> str | None:
        """The same in short."""
        return f"{tool.secret_env} {_is_set(tool)}" if tool.secret_env else None

    @admin.display(description="Secret", empty_value="none")
    def shown_secret(self, tool: Tool) -> str | None:
        """Whether the variable is set in this web process, and nothing of what it holds."""
        if not tool.secret_env:
            return None
        return (
            f"{tool.secret_env} {_is_set(tool)} in this web process; workers have an environment of their own"
        )

    @admin.display(description="State")
    def page(self, tool: Tool) -> str:
        """A link to the tool's own page: breaker, calls, who waits."""
        return link_to(reverse("tool", args=[tool.name]), "breaker and calls")

    @admin.display(description="Set here")
    def shown_changes(self, tool: Tool) -> str:
        """What an admin set."""
        return shown_changes(tool)


def _is_set(tool: Tool) -> str:
    return "is set" if os.environ.get(tool.secret_env) else "is not set"
