"""A viewer looks on, an operator acts, an inactive account does nothing (D9.1)."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser

from runtime import actions
from runtime.actions import Refused, may
from runtime.models import AuditRecord, Conflict, Decision, Job
from tests.runtime.fixtures import Use
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.stage import person, question, receipt, run, submit

pytestmark = pytest.mark.django_db

ACTS: dict[str, Callable[[Any, Job, Conflict], object]] = {
    "decide": lambda u, j, c: actions.decide_conflict(u, c.pk, c.version, {"value": "yes"}, "", receipt()),
    "decide_slot": lambda u, j, c: actions.decide_slot(
        u, j.pk, "verdict", "x", "", {"value": "yes"}, "", receipt()
    ),
    "undo": lambda u, j, c: actions.undo_decision(u, j.pk, "verdict", "doubtful", "", receipt()),
    "approve": lambda u, j, c: actions.answer_hold(u, c.pk, c.version, True, "", receipt()),
    "add_fact": lambda u, j, c: actions.add_fact(u, j.pk, "verdict", "x", "yes", 1.0, "", receipt()),
    "withdraw_fact": lambda u, j, c: actions.withdraw_fact(u, j.pk, "verdict", "x", "", receipt()),
    "cancel": lambda u, j, c: actions.cancel_job(u, j.pk, "", receipt()),
    "retry": lambda u, j, c: actions.retry_job(u, j.pk, receipt()),
}


@pytest.fixture
def job(use_packs: Use) -> Job:
    use_packs("panel")
    return run(submit("panel", PANEL_SEEDS))


@pytest.mark.parametrize("act", ACTS)
def test_viewer_is_refused_and_leaves_no_trace(job: Job, act: str) -> None:
    audited = AuditRecord.objects.count()
    with pytest.raises(Refused) as refused:
        ACTS[act](person("vera", "viewer"), job, question(job))
    assert refused.value.code == "forbidden"
    assert "needs the role operator; you are signed in as a viewer." in refused.value.message
    assert not Decision.objects.exists()
    assert AuditRecord.objects.count() == audited


@pytest.mark.parametrize("act", ACTS)
def test_account_that_was_switched_off_is_refused(job: Job, act: str) -> None:
    gone = person("gone", "operator")
    gone.is_active = False
    for user in (gone, person("new", ""), AnonymousUser()):
        with pytest.raises(Refused, match="Sign in with an account that has a role"):
            ACTS[act](user, job, question(job))


@pytest.mark.parametrize("act", [act for act in ACTS if act != "approve"])
def test_operator_and_admin_may_and_it_is_recorded(job: Job, act: str) -> None:
    for name, role in (("ida", "operator"), ("ada", "admin")):
        Decision.objects.all().delete()
        ACTS[act](person(name, role), job, question(job))
        record = AuditRecord.objects.latest("id")
        assert record.who_name == name
        assert record.target.startswith(f"job:{job.pk}")
        assert Decision.objects.get().by_name == name


def test_roles_are_groups_and_a_superuser_is_an_admin() -> None:
    roles = {"vera": "viewer", "otto": "operator", "ada": "admin"}
    for name, role in roles.items():
        allowed = [act for act in actions.ACTS if may(person(name, role), act)]
        wanted = {
            "viewer": {"view"},
            "operator": set(actions.ACTS) - {"configure"},
            "admin": set(actions.ACTS),
        }[role]
        assert set(allowed) == wanted
    root = person("root", "")
    root.is_superuser = True
    assert all(may(root, act) for act in actions.ACTS)
    with pytest.raises(ValueError, match="unknown act"):
        may(root, "destroy")
