"""A job: one decision, run by one runtime at a time."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from runtime.models.json_field import JSONField


class JobStatus(models.TextChoices):
    """Where a job is. Those from `waiting` on are the stop reasons of D4.5."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    RECOVERING = "recovering"
    CONVERGED = "converged"
    PARTIAL = "partial"
    OSCILLATING = "oscillating"
    EXHAUSTED = "exhausted"
    INVALID = "invalid"
    FAILED = "failed"
    CANCELLED = "cancelled"


STATUS_WORDS: dict[str, str] = {
    "queued": "Queued",
    "running": "Running",
    "waiting": "Waiting for people",
    "recovering": "Recovering",
    "converged": "Converged",
    "partial": "Partial answer",
    "oscillating": "Oscillating",
    "exhausted": "Out of budget",
    "invalid": "Invalid",
    "failed": "Failed",
    "cancelled": "Cancelled",
}

ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)
ENDED = (JobStatus.CANCELLED, JobStatus.FAILED)


class Job(models.Model):
    """The job's row: who owns it (epoch and lease, D7.1) and a summary of its journal.

    The summary is written in the transaction of each cycle; the journal alone is the truth (D6.1). What the job was
    given lies in a row of its own, `JobInput`: it may be megabytes, and this row is rewritten every cycle.
    """

    pack = models.ForeignKey("runtime.Pack", on_delete=models.PROTECT, related_name="jobs")
    title = models.CharField(max_length=200, blank=True)
    submitter = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="jobs"
    )
    status = models.CharField(max_length=20, choices=JobStatus.choices, default=JobStatus.QUEUED)
    reason = models.CharField(max_length=500, blank=True)
    causes = JSONField(default=list, blank=True)
    tier = models.PositiveSmallIntegerField(default=0)
    top_tier = models.PositiveSmallIntegerField(default=1)
    cycle = models.PositiveIntegerField(default=0)
    entries = models.PositiveBigIntegerField(default=0)
    facts = models.PositiveIntegerField(default=0)
    conflicts_open = models.PositiveIntegerField(default=0)
    holds_open = models.PositiveIntegerField(default=0)
    answer_version = models.PositiveIntegerField(default=0)
    digest = models.CharField(max_length=64, blank=True)
    activity = JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)
    epoch = models.PositiveBigIntegerField(default=0)
    lease_until = models.FloatField(
        null=True, blank=True, help_text="Seconds since 1970, by the database's clock."
    )
    worker = models.CharField(max_length=200, blank=True)
    ran_seconds = models.FloatField(
        default=0.0, help_text="Wall time spent running since outside input came."
    )
    retry_at = models.FloatField(
        null=True, blank=True, help_text="When a recovering job is tried again, by the database's clock."
    )
    give_up_at = models.FloatField(
        null=True, blank=True, help_text="When a recovering job next stops waiting for something."
    )
    recovering_since = models.FloatField(null=True, blank=True)
    awaited = JSONField(
        default=dict,
        blank=True,
        help_text="Since when each optional agent is waited for, by the database's clock.",
    )
    retries = models.PositiveIntegerField(default=0, help_text="Tries since it began to recover.")
    waits_on = models.CharField(
        max_length=500, blank=True, help_text="Names of the tools it waits for, each between spaces."
    )
    calls = models.PositiveIntegerField(default=0, help_text="Calls of tools.")
    tokens = models.PositiveBigIntegerField(default=0)
    cost = models.FloatField(default=0.0)
    engine_version = models.PositiveIntegerField(default=1)
    submit_key = models.CharField(max_length=100, unique=True, null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["status", "-id"], name="job_by_status"),
            models.Index(fields=["pack", "-id"], name="job_by_pack"),
            models.Index(fields=["submitter", "-id"], name="job_by_submitter"),
            models.Index(fields=["settled_at"], name="job_by_settling"),
            # Several filters of the Jobs page at once are looked up in it alone, without a look at the rows.
            models.Index(fields=["tier", "status", "pack", "submitter", "id"], name="job_for_lists"),
            models.Index(fields=["retry_at"], name="job_recovering", condition=models.Q(status="recovering")),
        ]

    def __str__(self) -> str:
        return self.title or f"{self.pack.name} #{self.pk}"

    @property
    def status_words(self) -> str:
        """The status as people say it."""
        return STATUS_WORDS[self.status]

    @property
    def is_active(self) -> bool:
        """Whether a runtime has it, or will take it without anybody's help."""
        return self.status in ACTIVE

    @property
    def is_ended(self) -> bool:
        """Whether nothing more can be asked of it."""
        return self.status in ENDED

    @property
    def spec(self) -> str:
        """The frozen pack, as JSON text."""
        return self.input.spec

    @property
    def seeds(self) -> str:
        """The seeds as submitted, as JSON text."""
        return self.input.seeds

    def frozen_spec(self) -> dict[str, Any]:
        """The pack this job runs under, as `PackSpec.to_json` wrote it."""
        import orjson

        spec: dict[str, Any] = orjson.loads(self.spec)
        return spec


class JobInput(models.Model):
    """What a job was submitted with: `spec`, the pack as it was frozen (`PackSpec.to_json`), and `seeds`; JSON text,
    never changed (D6.4)."""

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True, related_name="input")
    spec = models.TextField()
    seeds = models.TextField()

    def __str__(self) -> str:
        return f"input of job {self.job_id}"
