"""Numbered anytime answers (D4.4)."""

from __future__ import annotations

from django.db import models

from runtime.models.json_field import JSONField


class Answer(models.Model):
    """What a job could say at one moment. Its facts are those that stood at entry `seq`; `marks` are the exceptions:
    facts that are provisional or rest on incomplete input, with their discounted confidence (D3.8)."""

    job = models.ForeignKey("runtime.Job", on_delete=models.CASCADE, related_name="answers")
    version = models.PositiveIntegerField()
    tier = models.PositiveSmallIntegerField()
    cycle = models.PositiveIntegerField()
    seq = models.PositiveBigIntegerField()
    facts = models.PositiveIntegerField(default=0)
    gaps = JSONField(default=list)
    marks = JSONField(default=list)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["job", "-version"]
        constraints = [models.UniqueConstraint(fields=["job", "version"], name="answer_version_once_a_job")]

    def __str__(self) -> str:
        return f"job {self.job_id}, answer {self.version}"
