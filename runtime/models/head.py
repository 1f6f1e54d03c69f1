"""Signed heads: what this installation vouched for, and when. Appended by runtime/heads.py, never changed."""

from __future__ import annotations

from django.db import models


class Head(models.Model):
    """One signed head. `line` is the signed line itself; the columns repeat parts of it.

    `job_id` is no foreign key: a head outlives its job, or deleting a job would leave no trace.
    """

    number = models.PositiveBigIntegerField(primary_key=True)
    job_id = models.PositiveBigIntegerField()
    cycle = models.PositiveIntegerField()
    line = models.TextField()

    class Meta:
        ordering = ["number"]
        indexes = [models.Index(fields=["job_id", "cycle"], name="head_of_job")]

    def __str__(self) -> str:
        return f"head {self.number}: job {self.job_id}, cycle {self.cycle}"
