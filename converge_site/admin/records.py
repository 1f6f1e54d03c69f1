"""What happened, to read: the audit log, jobs, their journal and what people decided."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.urls import reverse

from converge_site.admin.base import ReadingAdmin, link_to, shown_text
from converge_site.admin.site import site
from runtime.models import Answer, AuditRecord, Conflict, Cycle, Decision, Entry, Job


@admin.register(AuditRecord, site=site)
class AuditRecordAdmin(ReadingAdmin):
    """Who did what, when and why."""

    list_display = ("at", "who_name", "act", "target", "reason")
    list_filter = ("act", "who_name")
    search_fields = ("who_name", "target", "reason")
    fields = ("at", "who_name", "act", "target", "reason", "shown_detail")
    readonly_fields = ("shown_detail",)

    @admin.display(description="Detail")
    def shown_detail(self, record: AuditRecord) -> str:
        """What was changed, from what to what."""
        return _pretty(record.detail)


@admin.register(Job, site=site)
class JobAdmin(ReadingAdmin):
    """Jobs; their own page tells more."""

    list_display = (
        "id",
        "title",
        "pack",
        "status",
        "tier",
        "cycle",
        "facts",
        "submitter",
        "created_at",
        "page",
    )
    list_filter = ("status", "pack")
    list_select_related = ("pack", "submitter")
    search_fields = ("title",)
    fields = (
        "page",
        "title",
        "pack",
        "submitter",
        "status",
        "reason",
        "tier",
        "top_tier",
        "cycle",
        "entries",
        "facts",
        "conflicts_open",
        "holds_open",
        "shown_digest",
        "created_at",
        "started_at",
        "settled_at",
        "epoch",
        "worker",
        "shown_spec",
    )
    readonly_fields = ("page", "shown_digest", "shown_spec")

    @admin.display(description="Page")
    def page(self, job: Job) -> str:
        """A link to the job's own page."""
        return link_to(reverse("job", args=[job.pk]), f"job {job.pk}")

    @admin.display(description="Digest")
    def shown_digest(self, job: Job) -> str:
        """Of the journal, so that it breaks where the page ends."""
        return shown_text(job.digest, "code")

    @admin.display(description="Frozen pack")
    def shown_spec(self, job: Job) -> str:
        """The pack as the job froze it."""
        return _pretty(job.frozen_spec())


@admin.register(Entry, site=site)
class EntryAdmin(ReadingAdmin):
    """The journal, newest first. `?job__id=7` shows one job's."""

    list_display = ("job_id", "seq", "cycle", "kind", "agent", "key", "subject", "now")
    list_filter = ("kind", "now")
    search_fields = ("=job__id", "agent", "key")
    search_help_text = "A job's number, an agent or a key"
    ordering = ("-id",)
    fields = ("job", "seq", "cycle", "kind", "agent", "item", "key", "subject", "now", "shown_body")
    readonly_fields = ("shown_body",)

    @admin.display(description="Body")
    def shown_body(self, entry: Entry) -> str:
        """The entry as it is digested."""
        return _pretty(entry.data)


@admin.register(Cycle, site=site)
class CycleAdmin(ReadingAdmin):
    """Committed cycles with their digests."""

    list_display = (
        "job_id",
        "number",
        "first_seq",
        "last_seq",
        "runs",
        "changes",
        "tier",
        "epoch",
        "worker",
        "digest",
    )
    search_fields = ("=job__id",)
    search_help_text = "A job's number"
    ordering = ("-id",)


@admin.register(Conflict, site=site)
class ConflictAdmin(ReadingAdmin):
    """Questions to people."""

    list_display = ("id", "job_id", "kind", "key", "subject", "status", "opened_at", "closed_at", "outcome")
    list_filter = ("kind", "status")
    search_fields = ("=job__id", "subject")
    ordering = ("-id",)


@admin.register(Decision, site=site)
class DecisionAdmin(ReadingAdmin):
    """What people said, and what became of it."""

    list_display = (
        "id",
        "job_id",
        "act",
        "key",
        "subject",
        "by_name",
        "created_at",
        "status",
        "applied_cycle",
        "reason",
    )
    list_filter = ("act", "status")
    search_fields = ("=job__id", "by_name", "subject", "reason")
    ordering = ("-id",)


@admin.register(Answer, site=site)
class AnswerAdmin(ReadingAdmin):
    """Published answers."""

    list_display = ("job_id", "version", "tier", "cycle", "facts", "created_at")
    search_fields = ("=job__id",)
    ordering = ("-id",)


def _pretty(value: Any) -> str:
    """JSON to read, escaped: what agents and people said is data."""
    return shown_text(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True))
