"""What the clock decided is told on the card, and undone like what a person decided."""

from __future__ import annotations

import orjson
import pytest
from django.contrib.auth.models import User
from django.test import Client

from runtime.actions import submit_job
from runtime.deadlines import expire_due
from runtime.lease import database_clock
from runtime.models import Conflict, Decision, Job
from tests.web import cast
from tests.web.cast import run_on
from tests.web.desk import act, page, text_of


@pytest.fixture
def overdue(people: dict[str, User]) -> Job:
    """A job whose operator rule lets the strongest side stand after an hour, which is over."""
    cast.growth_job(people["otto"])  # syncs the packs
    job = submit_job(people["otto"], "growth", cast.sample_seeds(), "In a hurry")
    spec = job.frozen_spec()
    for rule in spec["rules"]:
        if rule["name"] == "an operator decides":
            rule["params"] = {"deadline": 3600, "outcome": "strongest"}
    job.input.spec = orjson.dumps(spec).decode()
    job.input.save()
    job = run_on(job)
    assert Conflict.objects.filter(job=job, deadline_at__isnull=False).count() == 2
    Conflict.objects.filter(job=job, status="open").update(deadline_at=database_clock() - 1)
    return job


def test_a_deadlines_decision_is_told_and_undone(otto: Client, overdue: Job) -> None:
    conflict = Conflict.objects.filter(job=overdue, status="open").order_by("id")[0]
    assert "then the strongest side stands" in text_of(page(otto, conflict))
    assert expire_due() == 2
    assert "The deadline sent: do what the rule says at the deadline" in text_of(page(otto, conflict))
    run_on(overdue)
    said = text_of(page(otto, conflict))
    assert (
        "The deadline passed : nobody decided in time; the strongest side stands , applied in cycle" in said
    )
    assert "the deadline do what the rule says at the deadline" in said
    assert "@clock" not in said
    assert "Make it a rule" not in said
    assert act(otto, conflict, "undo", reason="we were on holiday").status_code == 302
    run_on(overdue)
    assert Decision.objects.get(act="undo").status == "applied"
    assert Conflict.objects.filter(job=overdue, subject=conflict.subject, status="open").exists()
