"""Rules as data: what each says now, every version it had, and what a draft would have changed in past jobs."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from runtime.engine.spec import RULE_KINDS
from runtime.models.json_field import JSONField


class RuleState(models.TextChoices):
    """A rule's life. Jobs freeze only active rules; active and retired ones are not edited any more."""

    DRAFT = "draft"
    ACTIVE = "active"
    RETIRED = "retired"


class GovernanceRule(models.Model):
    """One rule of governance as data. The meaning of `params` is told in `runtime.engine.spec.RuleSpec`.

    `replaces` is the rule that retires when this draft is activated. A job that is submitted after `expires_at` does
    not freeze it any more. `learned_from` is the question whose decision it was drafted from.
    `before` is the rule directly before which it is asked, for as long as both have one priority.
    """

    ORIGINS = [("code", "code"), ("admin", "admin")]

    pack = models.ForeignKey("runtime.Pack", on_delete=models.CASCADE, related_name="rules")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=20, choices=[(k, k) for k in RULE_KINDS])
    keys = JSONField(default=list, blank=True)
    priority = models.IntegerField(default=100)
    params = JSONField(default=dict, blank=True)
    expression = models.TextField(blank=True)
    message = models.CharField(max_length=500, blank=True)
    state = models.CharField(max_length=10, choices=RuleState.choices, default=RuleState.ACTIVE)
    version = models.PositiveIntegerField(default=1)
    expires_at = models.DateTimeField(null=True, blank=True)
    replaces = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="drafts"
    )
    before = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    learned_from = models.ForeignKey(
        "runtime.Conflict", on_delete=models.SET_NULL, null=True, blank=True, related_name="rules"
    )
    shape = models.CharField(
        max_length=64, blank=True, help_text="The shape of the questions it was drafted for."
    )
    origin = models.CharField(max_length=10, choices=ORIGINS, default="code")
    position = models.PositiveIntegerField(default=0)
    changed_fields = JSONField(default=list, blank=True)

    class Meta:
        ordering = ["pack", "priority", "position", "id"]
        constraints = [models.UniqueConstraint(fields=["pack", "name"], name="rule_name_once_a_pack")]

    def __str__(self) -> str:
        return f"{self.pack.name}: {self.name}"

    @property
    def is_active(self) -> bool:
        """Whether jobs freeze it, until it expires."""
        return self.state == RuleState.ACTIVE


class RuleVersion(models.Model):
    """What a rule said from some moment on: its settings and state, who made it so, and why. Never changed."""

    rule = models.ForeignKey(GovernanceRule, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    said = JSONField(default=dict, help_text="Its settings, by name.")
    state = models.CharField(max_length=10, choices=RuleState.choices)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    by_name = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["rule", "-number"]
        constraints = [models.UniqueConstraint(fields=["rule", "number"], name="rule_version_once")]

    def __str__(self) -> str:
        return f"{self.rule} version {self.number}"


class Backtest(models.Model):
    """A rule tried on past jobs: what would have been merged or decided otherwise. Done in slices by the workers.

    `change` is what is different about the rules, and `jobs` the ids of the jobs it is tried on, newest first: both as
    they were when it was begun. `cursor` is the last job gone through. `jobs_done` counts all gone through, `skipped`
    those of them that could not be compared, for the reasons that `reasons` counts. `counts` are the flips by kind and
    turn, `lasting` those that would still be different at the end of their job; the first of them are kept as rows.

    While it is "queued" a slice may be taken up, while it is "running" somebody is at one; `touched_at` is when that
    began, and which slice it is.
    """

    STATUSES = [(s, s) for s in ("queued", "running", "done", "failed", "cancelled")]

    rule = models.ForeignKey(GovernanceRule, on_delete=models.CASCADE, related_name="backtests")
    rule_version = models.PositiveIntegerField()
    change = JSONField(default=dict)
    status = models.CharField(max_length=10, choices=STATUSES, default="queued")
    message = models.CharField(max_length=500, blank=True)
    jobs = JSONField(default=list)
    cursor = models.PositiveBigIntegerField(null=True, blank=True)
    jobs_total = models.PositiveIntegerField(default=0)
    jobs_done = models.PositiveIntegerField(default=0)
    jobs_flipped = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    reasons = JSONField(default=dict, blank=True)
    flips = models.PositiveIntegerField(default=0)
    lasting = models.PositiveIntegerField(default=0)
    counts = JSONField(default=dict, blank=True)
    seconds = models.FloatField(default=0.0, help_text="Spent at work, over all slices.")
    tries = models.PositiveSmallIntegerField(
        default=0, help_text="Slices taken up since one was last finished."
    )
    receipt = models.CharField(max_length=100, unique=True, null=True, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    by_name = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.FloatField(
        default=0.0, help_text="When a slice was last taken up or finished, by the database's clock."
    )
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["touched_at"],
                name="backtest_under_way",
                condition=models.Q(status__in=["queued", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return f"backtest {self.pk} of {self.rule}"

    @property
    def is_under_way(self) -> bool:
        """Whether there is more to come."""
        return self.status in ("queued", "running")


class BacktestFlip(models.Model):
    """One slot of a past job in which the rule would have made a difference, at the first cycle in which it would.

    `kind`, `turn`, `before` and `after` are told in `runtime.backtest.flips`.
    """

    backtest = models.ForeignKey(Backtest, on_delete=models.CASCADE, related_name="found")
    job = models.ForeignKey("runtime.Job", on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=20)
    turn = models.CharField(max_length=20)
    key = models.CharField(max_length=100, blank=True)
    subject = models.TextField(blank=True)
    cycle = models.PositiveIntegerField()
    before = JSONField(default=dict)
    after = JSONField(default=dict)
    lasting = models.BooleanField(default=False, help_text="Whether it would still differ at the job's end.")
    conflict = models.ForeignKey("runtime.Conflict", on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["backtest_id", "-job_id", "id"]
        indexes = [models.Index(fields=["backtest", "-job", "id"], name="flip_by_backtest")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.key} / {self.subject} in job {self.job_id}"
