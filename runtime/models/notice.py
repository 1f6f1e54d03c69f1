"""What people are told beside the pages they look at: questions opened, deadlines that come near, tiers lost."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from runtime.models.json_field import JSONField


class Notice(models.Model):
    """One thing to tell, written in the transaction in which it came about; several of a kind in one cycle are one."""

    KINDS = [(k, k) for k in ("question", "deadline", "expired", "tier_lost")]

    kind = models.CharField(max_length=10, choices=KINDS)
    job = models.ForeignKey("runtime.Job", on_delete=models.CASCADE, related_name="notices")
    conflict = models.ForeignKey(
        "runtime.Conflict", on_delete=models.CASCADE, null=True, related_name="notices"
    )
    count = models.PositiveIntegerField(default=1)
    text = models.CharField(max_length=500)
    groups = models.TextField(
        blank=True,
        help_text="Whose members are asked, each name between line breaks; nothing for all operators.",
    )
    spares_submitter = models.BooleanField(default=False, help_text="Whoever submitted the job is not asked.")
    about = JSONField(default=list, blank=True, help_text="Ids of the questions it tells of.")
    tier = models.PositiveSmallIntegerField(default=0, help_text="The lowest tier that was lost.")
    at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.text


class NoticeSetting(models.Model):
    """How one person wants to be told. `seen` and `mailed` are the last notices shown and mailed."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="notice_setting"
    )
    toasts = models.BooleanField(default=True)
    email = models.BooleanField(default=False)
    every_minutes = models.PositiveIntegerField(default=30)
    kinds = JSONField(default=list, blank=True, help_text="What is mailed; [] for all.")
    seen = models.PositiveBigIntegerField(default=0)
    mailed = models.PositiveBigIntegerField(default=0)
    mailed_at = models.FloatField(default=0.0, help_text="By the database's clock.")

    def __str__(self) -> str:
        return f"notices for {self.user}"
