"""A group stays while a job may still ask it: the job keeps the rule that it froze, and nobody else may answer."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User

from runtime.actions import Refused, cancel_job, decide_conflict
from runtime.actions.people import delete_group, rename_group
from runtime.actions.rules import retire_rule
from runtime.models import Conflict, GovernanceRule, Job
from tests.runtime.fixtures import Use
from tests.runtime.stage import person, question, receipt, run, submit

pytestmark = pytest.mark.django_db

PICK = [
    {"key": "pick", "subject": "bread", "value": 3, "confidence": 0.9},
    {"key": "pick", "subject": "bread", "value": 4, "confidence": 0.5},
]


@pytest.fixture
def root() -> User:
    return person("root", "admin")


@pytest.fixture
def legal(use_packs: Use) -> Group:
    """A group that one rule asks, and its one member."""
    use_packs("timed")
    person("lena", "operator").groups.add(Group.objects.create(name="legal"))
    return Group.objects.get(name="legal")


def retire_asking(root: User) -> None:
    found = GovernanceRule.objects.get(name="pick in time")
    retire_rule(root, found.pk, "no longer", version=found.version)


def refused(root: User, group: Group) -> str:
    """What both acts say; "" where they would be done (and are taken back)."""
    told = set()
    for deed in (lambda: rename_group(root, group.pk, "law"), lambda: delete_group(root, group.pk)):
        with pytest.raises(Refused) as refusal:
            deed()
        assert refusal.value.code == "invalid" and refusal.value.field == "name"
        told.add(str(refusal.value))
    assert len(told) == 1
    return told.pop()


def answer(job: Job) -> Job:
    row = question(job)
    lena = User.objects.get(username="lena")
    decide_conflict(lena, row.pk, row.version, {"value": 3}, "cheaper", receipt())
    return run(job)


def test_a_question_keeps_its_group_when_the_rule_is_retired(root: User, legal: Group) -> None:
    job = run(submit("timed", PICK))
    assert "timed/pick in time asks this group; retire" in refused(root, legal)
    retire_asking(root)
    said = refused(root, legal)
    assert f"Job #{job.pk} may still ask this group, by the rule “pick in time”" in said
    assert "Answer what is asked and let it end, or cancel it" in said
    assert answer(job).status == "converged"
    rename_group(root, legal.pk, "law")
    delete_group(root, legal.pk)
    assert not Group.objects.filter(name__in=("legal", "law")).exists()


def test_jobs_that_may_yet_ask_keep_it_until_the_last_has_ended(root: User, legal: Group) -> None:
    waiting, queued = run(submit("timed", PICK)), submit("timed", PICK[:1])
    retire_asking(root)
    assert f"Job #{waiting.pk} and 1 more may still" in refused(root, legal)
    cancel_job(root, waiting.pk, "enough", receipt())
    run(waiting)
    assert f"Job #{queued.pk} may still" in refused(root, legal)
    run(queued)
    delete_group(root, legal.pk)


def test_a_settled_job_with_an_open_question_keeps_it_and_a_cancelled_one_does_not(
    root: User, legal: Group
) -> None:
    job = run(submit("timed", PICK))
    retire_asking(root)
    Job.objects.filter(pk=job.pk).update(status="partial")
    assert f"Job #{job.pk} may still" in refused(root, legal)
    Job.objects.filter(pk=job.pk).update(status="failed")
    assert Conflict.objects.filter(status="open").exists(), "nobody can answer it any more"
    delete_group(root, legal.pk)


def test_another_group_is_free_and_so_is_one_that_only_seems_to_be_named(root: User, legal: Group) -> None:
    run(submit("timed", PICK))
    retire_asking(root)
    for name in ("Legal", "price", "leg", 'le"gal', "lé"):
        group = Group.objects.create(name=name)
        rename_group(root, group.pk, f"{name} two")
        delete_group(root, group.pk)
