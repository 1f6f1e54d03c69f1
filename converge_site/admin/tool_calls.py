"""The calls that were made of tools, to read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from converge_site.admin.base import ReadingAdmin, link_to, shown_text
from converge_site.admin.site import site
from runtime.models import Tool, ToolCall

MOST_SHOWN = 20_000  # characters of a result


class OfTool(admin.SimpleListFilter):
    """By tool: the names are those of the tools, for the calls are too many to be asked."""

    title = "tool"
    parameter_name = "tool"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Every tool."""
        return [(name, name) for name in Tool.objects.values_list("name", flat=True)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ToolCall]) -> QuerySet[ToolCall]:
        """The calls of the chosen one."""
        return queryset.filter(tool=self.value()) if self.value() else queryset


@admin.register(ToolCall, site=site)
class ToolCallAdmin(ReadingAdmin):
    """Calls of tools, newest first: begun before they were sent, finished before their result was used (D5.5)."""

    list_display = (
        *("job_id", "cycle", "agent", "tool", "status", "failure", "attempts", "http_status"),
        *("tokens_in", "tokens_out", "started_at", "duration_ms"),
    )
    list_filter = (OfTool, "status", "cls")
    search_fields = ("=job__id",)
    search_help_text = "A job's number"
    ordering = ("-id",)
    fields = (
        "page",
        *(
            "cycle",
            "agent",
            "item",
            "number",
            "tool",
            "status",
            "attempts",
            "failure",
            "message",
            "transient",
        ),
        *(
            "http_status",
            "tokens_in",
            "tokens_out",
            "cost",
            "started_at",
            "finished_at",
            "duration_ms",
            "worker",
        ),
        *("shown_digest", "shown_result"),
    )
    readonly_fields = ("page", "failure", "shown_digest", "shown_result")

    @admin.display(description="Job")
    def page(self, call: ToolCall) -> str:
        """A link to the job's own page."""
        return link_to(reverse("job", args=[call.job_id]), f"job {call.job_id}")

    @admin.display(description="Failure class", ordering="cls", empty_value="none")
    def failure(self, call: ToolCall) -> str | None:
        """One of the nine, if it failed."""
        return call.cls or None

    @admin.display(description="Digest of what was asked")
    def shown_digest(self, call: ToolCall) -> str:
        """So that it breaks where the page ends."""
        return shown_text(call.digest, "code")

    @admin.display(description="Result")
    def shown_result(self, call: ToolCall) -> str:
        """What the tool answered, escaped and cut: it is data from outside."""
        cut = call.result[:MOST_SHOWN]
        left = len(call.result) - len(cut)
        more = f"\n… and {left:,} characters more" if left else ""
        return shown_text(cut + more)
