"""What people are asked, and what they said."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from runtime.models.json_field import JSONField


class Conflict(models.Model):
    """A question to people: sides that no rule decides between, or a value that needs approval (D3.4).

    A projection of the journal, written with the cycle that opened, changed or closed it. `version` is that of the
    sides' values; a decision names the version it was made on (D9.2).
    """

    KINDS = [("conflict", "conflict"), ("hold", "hold")]
    STATUSES = [("open", "open"), ("closed", "closed")]

    job = models.ForeignKey("runtime.Job", on_delete=models.CASCADE, related_name="conflicts")
    kind = models.CharField(max_length=10, choices=KINDS, default="conflict")
    key = models.CharField(max_length=100)
    subject = models.TextField()
    version = models.CharField(max_length=64)
    status = models.CharField(max_length=10, choices=STATUSES, default="open")
    sides = JSONField(default=list)
    trace = JSONField(default=list)
    awaiting = models.CharField(
        max_length=100, blank=True, help_text="An aggregation agent that is about to rule."
    )
    need = models.PositiveSmallIntegerField(default=1, help_text="Approvals needed; for holds.")
    rule = models.CharField(max_length=100, blank=True)
    blocks = models.PositiveIntegerField(default=0, help_text="Agents that wait downstream.")
    opened_cycle = models.PositiveIntegerField()
    opened_at = models.DateTimeField()
    closed_cycle = models.PositiveIntegerField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=500, blank=True)
    shape = models.CharField(
        max_length=64,
        blank=True,
        help_text="Who disagrees with whom (see runtime.shapes); equal for like questions.",
    )
    policy = JSONField(
        default=dict,
        blank=True,
        help_text="Parameters of the rule that leaves it to people, for whoever shows it.",
    )
    asked_at = models.FloatField(
        null=True,
        blank=True,
        help_text="Since when people are asked this very question, by the database's clock.",
    )
    deadline_at = models.FloatField(null=True, blank=True)
    expired_at = models.FloatField(
        null=True, blank=True, help_text="When the deadline was seen to have passed."
    )
    remind_at = models.FloatField(null=True, blank=True)
    deferred_until = models.FloatField(
        null=True, blank=True, help_text="Until when it is put off; it comes back when its sides change."
    )
    deferred_by = models.CharField(max_length=150, blank=True)
    deferred_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["opened_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["job", "kind", "key", "subject"],
                condition=models.Q(status="open"),
                name="one_open_question_a_slot",
            )
        ]
        indexes = [
            models.Index(fields=["opened_at"], name="conflict_open", condition=models.Q(status="open")),
            models.Index(fields=["shape", "status"], name="conflict_by_shape"),
            models.Index(fields=["deadline_at"], name="conflict_deadline", condition=models.Q(status="open")),
            models.Index(fields=["remind_at"], name="conflict_reminder", condition=models.Q(status="open")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} on {self.key} / {self.subject}"


class Decision(models.Model):
    """One row of a job's inbox: what a person or the clock asked of it, applied by its runtime in order of id (D7.2).

    `receipt` makes a repeated POST the same row.
    """

    ACTS = [
        (a, a)
        for a in (
            *("decide", "undo", "approve", "refuse", "add_fact", "withdraw_fact", "cancel", "retry"),
            *("retry_due", "give_up", "expire"),  # of the clock, not of people
        )
    ]
    STATUSES = [(s, s) for s in ("pending", "applied", "refused", "stale")]

    job = models.ForeignKey("runtime.Job", on_delete=models.CASCADE, related_name="inbox")
    conflict = models.ForeignKey(
        Conflict, on_delete=models.SET_NULL, null=True, blank=True, related_name="decisions"
    )
    act = models.CharField(max_length=20, choices=ACTS)
    key = models.CharField(max_length=100, blank=True)
    subject = models.TextField(blank=True)
    payload = JSONField(default=dict, blank=True)
    version = models.CharField(max_length=64, blank=True)
    reason = models.TextField(blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="decisions"
    )
    by_name = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    receipt = models.CharField(max_length=100, unique=True)
    status = models.CharField(max_length=10, choices=STATUSES, default="pending")
    applied_cycle = models.PositiveIntegerField(null=True, blank=True)
    message = models.CharField(max_length=500, blank=True)
    kept = JSONField(
        default=list,
        blank=True,
        help_text="Whose side was kept, as runtime.shapes names its speakers; [] for none.",
    )
    batch = models.CharField(
        max_length=100, blank=True, help_text="The receipt of the form that decided several at once."
    )

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["job", "id"], name="inbox_pending", condition=models.Q(status="pending")),
            models.Index(fields=["batch"], name="inbox_by_form", condition=models.Q(batch__gt="")),
        ]

    def __str__(self) -> str:
        return f"{self.act} by {self.by_name}"
