"""A form that is sent twice is one act (D9.2)."""

import threading

import pytest
from django.db import connections

from runtime.actions import Refused, add_fact, cancel_job, decide_conflict, retry_job
from runtime.models import AuditRecord, Decision, Job
from tests.runtime.fixtures import Use
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.stage import person, question, receipt, run, submit

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(use_packs: Use) -> Job:
    use_packs("panel")
    return run(submit("panel", PANEL_SEEDS))


def test_repeated_decision_is_the_same_row_before_and_after_it_is_applied(job: Job) -> None:
    conflict, otto = question(job), person("otto", "operator")
    rows = []
    for _ in range(2):
        for _ in range(2):
            rows.append(
                decide_conflict(otto, conflict.pk, conflict.version, {"value": "yes"}, "", "form-1").pk
            )
        run(job)
    assert len(set(rows)) == 1
    assert Decision.objects.count() == AuditRecord.objects.filter(act="decide").count() == 1


def test_repeated_cancel_is_the_same_row_though_the_job_has_ended(job: Job) -> None:
    otto = person("otto", "operator")
    first = cancel_job(otto, job.pk, "enough", "form-1")
    assert run(job).status == "cancelled"
    assert cancel_job(otto, job.pk, "enough", "form-1").pk == first.pk
    with pytest.raises(Refused) as refused:
        cancel_job(otto, job.pk, "enough", "form-2")
    assert refused.value.code == "gone"
    assert refused.value.message == f"Job {job.pk} has ended (cancelled); nothing more can be asked of it."


def test_receipt_of_another_act_person_or_job_is_refused(job: Job) -> None:
    otto, other = person("otto", "operator"), submit("panel", PANEL_SEEDS)
    retry_job(otto, job.pk, "form-1")
    for act in (
        lambda: cancel_job(otto, job.pk, "", "form-1"),
        lambda: retry_job(person("ida", "operator"), job.pk, "form-1"),
        lambda: retry_job(otto, other.pk, "form-1"),
    ):
        with pytest.raises(Refused, match="This form was sent before, for something else"):
            act()
    assert Decision.objects.count() == 1


@pytest.mark.parametrize("given", ["", "x" * 101, "a\x00b"])
def test_form_without_a_receipt_is_refused(job: Job, given: str) -> None:
    with pytest.raises(Refused) as refused:
        retry_job(person("otto", "operator"), job.pk, given)
    assert refused.value.field == "receipt"


def test_refused_form_may_be_corrected_and_sent_again(job: Job) -> None:
    otto, again = person("otto", "operator"), receipt()
    with pytest.raises(Refused):
        add_fact(otto, job.pk, "plan", "all", "seven", 1.0, "", again)
    assert add_fact(otto, job.pk, "plan", "all", 7, 1.0, "", again).status == "pending"


@pytest.mark.django_db(transaction=True)
def test_double_click_is_one_row(job: Job, empty_queue: object) -> None:
    otto, conflict = person("otto", "operator"), question(job)
    together, rows = threading.Barrier(4), []

    def click() -> None:
        try:
            together.wait()
            rows.append(
                decide_conflict(otto, conflict.pk, conflict.version, {"value": "yes"}, "", "form-1").pk
            )
        finally:
            connections.close_all()

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows) == 4
    assert len(set(rows)) == Decision.objects.count() == 1
