"""The journal: cycles and their entries. Rows are inserted by the store and never changed (D3.1, D6.1)."""

from __future__ import annotations

from typing import Any

import orjson
from django.db import models

from runtime.models.json_field import JSONField


class Cycle(models.Model):
    """One committed cycle: the range of its entries and the digest of the chain up to it (D6.2)."""

    job = models.ForeignKey("runtime.Job", on_delete=models.CASCADE, related_name="cycles")
    number = models.PositiveIntegerField()
    first_seq = models.PositiveBigIntegerField()
    last_seq = models.PositiveBigIntegerField()
    runs = models.PositiveIntegerField(default=0)
    changes = models.PositiveIntegerField(default=0)
    tier = models.PositiveSmallIntegerField(default=0)
    digest = models.CharField(max_length=64)
    epoch = models.PositiveBigIntegerField(default=0)
    worker = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField()
    duration_ms = models.FloatField(default=0.0)
    timings = JSONField(
        default=list,
        blank=True,
        help_text="For each agent that ran: name, began, ended (ms since the cycle began), runs, "
        "requests to tools, number of its run entry.",
    )

    class Meta:
        ordering = ["job", "number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="cycle_once_a_job")]

    def __str__(self) -> str:
        return f"job {self.job_id}, cycle {self.number}"


class Entry(models.Model):
    """One journal entry. `body` is its canonical JSON, over which the digest runs; the columns repeat parts of it.

    `now` says what the slot shows after the entry ("fact", "contested", "held", "empty"), or "" if nothing changed.
    """

    job = models.ForeignKey("runtime.Job", on_delete=models.CASCADE, related_name="journal", db_index=False)
    seq = models.PositiveBigIntegerField()
    cycle = models.PositiveIntegerField()
    kind = models.CharField(max_length=20)
    agent = models.CharField(max_length=100, blank=True)
    item = models.TextField(blank=True)
    key = models.CharField(max_length=100, blank=True)
    subject = models.TextField(blank=True)
    now = models.CharField(max_length=10, blank=True)
    body = models.TextField()

    class Meta:
        ordering = ["job", "seq"]
        verbose_name_plural = "entries"
        constraints = [models.UniqueConstraint(fields=["job", "seq"], name="seq_once_a_job")]
        indexes = [
            # All entries of a slot, and what each slot shows: with `now` that is read from the index alone.
            models.Index(fields=["job", "key", "subject", "seq", "now"], name="entry_by_slot"),
        ]

    def __str__(self) -> str:
        return f"job {self.job_id}, entry {self.seq}: {self.kind}"

    @property
    def data(self) -> dict[str, Any]:
        """The entry's body as an object."""
        body: dict[str, Any] = orjson.loads(self.body)
        return body
