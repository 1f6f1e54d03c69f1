"""Who did what, when and why (D9.3)."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from runtime.models.json_field import JSONField


class AuditRecord(models.Model):
    """One act of a person. `target` reads like `job:12` or `rule:growth/clear margin`."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    who = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    who_name = models.CharField(max_length=150)
    act = models.CharField(max_length=50)
    target = models.CharField(max_length=300)
    detail = JSONField(default=dict, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.who_name} {self.act} {self.target}"
