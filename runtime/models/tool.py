"""Tools as an admin configures them, and the record of what was asked of them (D5.1, D5.5)."""

from __future__ import annotations

from django.db import models

from runtime.engine.inputs import FAILURE_CLASSES
from runtime.models.json_field import JSONField
from runtime.tools.spec import KINDS


class Tool(models.Model):
    """An external dependency. The meaning of each setting is told in `runtime.tools.spec.ToolSpec`.

    Tools are not frozen with a job: a mended address helps the jobs that wait for it.
    """

    ORIGINS = [("code", "code"), ("admin", "admin")]

    name = models.SlugField(max_length=50, unique=True)
    title = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=10, choices=[(k, k) for k in KINDS], default="http")
    url = models.CharField(max_length=500, blank=True)
    model = models.CharField(max_length=200, blank=True)
    timeout = models.FloatField(default=10.0)
    attempts = models.PositiveSmallIntegerField(default=3)
    backoff = models.FloatField(default=0.5)
    backoff_max = models.FloatField(default=10.0)
    jitter = models.FloatField(default=0.25)
    failure_threshold = models.PositiveSmallIntegerField(default=5)
    window = models.FloatField(default=60.0)
    open_seconds = models.FloatField(default=15.0)
    open_max = models.FloatField(default=300.0)
    probes = models.PositiveSmallIntegerField(default=1)
    concurrency = models.PositiveSmallIntegerField(default=4)
    allow = JSONField(default=list, blank=True)
    secret_env = models.CharField(max_length=100, blank=True)
    secret_header = models.CharField(max_length=100, default="Authorization", blank=True)
    secret_prefix = models.CharField(max_length=50, default="Bearer ", blank=True)
    max_bytes = models.PositiveIntegerField(default=1_000_000)
    price_in = models.FloatField(default=0.0)
    price_out = models.FloatField(default=0.0)
    enabled = models.BooleanField(default=True)
    origin = models.CharField(max_length=10, choices=ORIGINS, default="admin")
    changed_fields = JSONField(default=list, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.title or self.name


class ToolCall(models.Model):
    """One call of a tool by one run: begun before it is sent, finished before its result is merged (D5.5).

    `digest` is that of what was asked, so a result is used again only for the very same question. `number` counts the
    calls of one run from 1. `result` is canonical JSON text, "" until the call succeeded.
    """

    STATUSES = [(s, s) for s in ("started", "done", "failed")]

    job = models.ForeignKey("runtime.Job", on_delete=models.CASCADE, related_name="tool_calls")
    cycle = models.PositiveIntegerField()
    agent = models.CharField(max_length=100)
    item = models.TextField(blank=True)
    number = models.PositiveSmallIntegerField()
    digest = models.CharField(max_length=64)
    tool = models.CharField(max_length=50)
    status = models.CharField(max_length=10, choices=STATUSES, default="started")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Requests that were sent.")
    cls = models.CharField(max_length=20, choices=[(c, c) for c in FAILURE_CLASSES], blank=True)
    message = models.CharField(max_length=500, blank=True)
    transient = models.BooleanField(default=False)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    tokens_in = models.PositiveIntegerField(default=0)
    tokens_out = models.PositiveIntegerField(default=0)
    cost = models.FloatField(default=0.0)
    result = models.TextField(blank=True)
    worker = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    duration_ms = models.FloatField(default=0.0, help_text="Of the last attempt.")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["job", "cycle", "agent", "item", "number", "digest"], name="call_once_a_run"
            )
        ]
        indexes = [
            models.Index(fields=["tool", "-started_at"], name="call_by_tool"),
        ]

    def __str__(self) -> str:
        return f"job {self.job_id}, cycle {self.cycle}: {self.agent} calls {self.tool}"
