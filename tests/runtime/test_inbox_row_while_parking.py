"""A row that comes while a runtime has the job, or while it parks, is applied without anybody's help (D7.2)."""

import threading
from typing import Any

import pytest
from django.db import connections

from runtime import queue, store
from runtime.actions import add_fact, cancel_job
from runtime.models import Decision, Entry, Job
from runtime.verifying import verify_job
from runtime.worker import run_job
from tests.runtime.fixtures import Use
from tests.runtime.packs import ECHO_SEEDS, while_it_runs
from tests.runtime.stage import person, receipt, submit


@pytest.fixture(autouse=True)
def packs(use_packs: Use) -> Any:
    use_packs("echo")
    yield
    while_it_runs.clear()


def say(job: Job, text: str) -> Decision:
    return add_fact(person("otto", "operator"), job.pk, "said", text, text, 1.0, "", receipt())


@pytest.mark.django_db
def test_row_that_comes_in_the_last_cycle_is_applied_before_the_runtime_lets_go() -> None:
    job = submit("echo", ECHO_SEEDS)
    while_it_runs.append(lambda: say(job, "late"))
    assert run_job(job.pk) == "converged"
    row = Decision.objects.get(job=job)
    assert row.status == "applied"
    assert Entry.objects.filter(job=job, kind="stop").count() == 2, "it had stopped once before"
    assert Entry.objects.filter(job=job, key="echo", subject="late").exists()


@pytest.mark.django_db
def test_row_that_comes_while_a_job_is_being_cancelled_is_told_so() -> None:
    job = submit("echo", ECHO_SEEDS)
    run_job(job.pk)
    say(job, "one more")  # so that an agent runs
    cancel_job(person("otto", "operator"), job.pk, "enough", receipt())
    assert run_job(job.pk) == "cancelled"
    assert not Decision.objects.filter(job=job, status="pending").exists()


@pytest.mark.django_db
def test_row_that_misses_the_cancelled_cycle_is_refused_and_not_left_pending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = submit("echo", ECHO_SEEDS)
    run_job(job.pk)
    cancel_job(person("otto", "operator"), job.pk, "enough", receipt())
    read = store.pending_rows

    def read_and_be_late(job_id: int) -> Any:
        found = read(job_id)
        say(job, "a moment too late")
        return found

    monkeypatch.setattr(store, "pending_rows", read_and_be_late)
    assert run_job(job.pk) == "cancelled"
    late = Decision.objects.get(job=job, act="add_fact")
    assert (late.status, late.message) == ("refused", "The job had ended before this was applied.")
    job.refresh_from_db()
    verify_job(job)


@pytest.mark.django_db(transaction=True)
def test_rows_that_rain_on_a_running_job_are_each_applied_once(empty_queue: object) -> None:
    job, rain = submit("echo", ECHO_SEEDS), 25

    def pour() -> None:
        try:
            for number in range(rain):
                say(job, f"drop {number}")
        finally:
            connections.close_all()

    thread = threading.Thread(target=pour)
    thread.start()
    while thread.is_alive():
        queue.work(burst=True)
    thread.join()
    queue.work(burst=True)
    job.refresh_from_db()
    assert job.status == "converged"
    assert list(Decision.objects.filter(job=job).values_list("status", flat=True)) == ["applied"] * rain
    told = [entry.data["row"] for entry in Entry.objects.filter(job=job, kind="inbox")]
    assert sorted(told) == list(Decision.objects.filter(job=job).order_by("pk").values_list("pk", flat=True))
    assert Entry.objects.filter(job=job, key="echo", kind="accepted").count() == rain + 1
    verify_job(job)
