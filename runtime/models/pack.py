"""Packs as an admin sees and changes them. A job freezes them into a PackSpec when it is submitted (D6.4)."""

from __future__ import annotations

from django.db import models

from runtime.engine.spec import SHAPES
from runtime.models.json_field import JSONField


class Pack(models.Model):
    """A named kind of decision. `digest` is that of the code's spec when it was last synced."""

    name = models.SlugField(max_length=100, unique=True)
    title = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    version = models.CharField(max_length=50, default="1")
    enabled = models.BooleanField(default=True)
    keys = JSONField(default=list, blank=True)
    tiers = JSONField(default=list, blank=True)
    budget = JSONField(default=dict, blank=True)
    answer = JSONField(default=list, blank=True)
    digest = models.CharField(max_length=64, blank=True)
    changed_fields = JSONField(default=list, blank=True)
    synced_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.title or self.name


class Agent(models.Model):
    """One agent of a pack. `changed_fields` names what an admin set, which a sync leaves alone."""

    ORIGINS = [("code", "code"), ("admin", "admin")]

    pack = models.ForeignKey(Pack, on_delete=models.CASCADE, related_name="agents")
    name = models.CharField(max_length=100)
    position = models.PositiveIntegerField(default=0)
    shape = models.CharField(max_length=20, choices=[(s, s) for s in SHAPES], default="whole")
    kind = models.CharField(max_length=20, default="python")
    enabled = models.BooleanField(default=True)
    tier = models.PositiveSmallIntegerField(default=1)
    required = models.BooleanField(default=False)
    append = models.BooleanField(default=False)
    timeout = models.FloatField(default=30.0, help_text="Seconds one run may take.")
    wait = models.FloatField(
        default=0.0, help_text="Seconds its tier waits for it to recover, if it is optional; 0 does not wait."
    )
    reads = JSONField(default=list, blank=True)
    writes = JSONField(default=list, blank=True)
    over = models.CharField(max_length=100, blank=True)
    group_by = models.CharField(max_length=100, blank=True)
    title = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    config = JSONField(default=dict, blank=True)
    origin = models.CharField(max_length=10, choices=ORIGINS, default="code")
    changed_fields = JSONField(default=list, blank=True)

    class Meta:
        ordering = ["pack", "position"]
        constraints = [models.UniqueConstraint(fields=["pack", "name"], name="agent_name_once_a_pack")]

    def __str__(self) -> str:
        return f"{self.pack.name}: {self.name}"
