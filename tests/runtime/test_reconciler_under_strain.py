"""The scheduler's round comes to its end, and to the jobs that are due, whatever is wrong beside them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection
from redis import Redis

from runtime import reconciler, recovery
from runtime.engine import ENGINE_VERSION
from runtime.lease import due_jobs
from runtime.models import Job
from runtime.queue import read_queued_ids
from runtime.recovery import wake_due
from tests.runtime.fixtures import Use
from tests.runtime.packs import ECHO_SEEDS, PANEL_SEEDS
from tests.runtime.stage import run, submit, tell


class Endless(BaseException):
    """Ends a round that would not."""


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def packs(use_packs: Use, empty_queue: Redis) -> None:
    use_packs("echo", "panel")


def more_jobs(count: int, **fields: object) -> list[Job]:
    pack = Job.objects.earliest("id").pack
    return Job.objects.bulk_create([Job(pack=pack, **fields) for _ in range(count)])


def test_round_ends_although_no_due_job_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    submit("echo", ECHO_SEEDS)
    more_jobs(2 * recovery.MOST_AT_ONCE + 50, status="recovering", retry_at=1.0)
    tried: list[int] = []

    def add_row(job_id: int, *given: object) -> None:
        tried.append(job_id)
        if len(tried) > 1000:
            raise Endless
        raise OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(recovery, "_add_row", add_row)
    assert wake_due() == 0
    assert len(tried) == len(set(tried)) == recovery.MOST_AT_ONCE


def test_many_jobs_that_cannot_be_told_leave_room_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    submit("echo", ECHO_SEEDS)
    sick = {job.pk for job in more_jobs(recovery.MOST_AT_ONCE - 1, status="recovering", retry_at=1.0)}
    more_jobs(3, status="recovering", retry_at=1.0)
    real, tried = recovery._add_row, []

    def add_row(job_id: int, act: str, receipt: str) -> None:
        tried.append(job_id)
        if job_id in sick:
            raise ValueError("this one cannot be told")
        real(job_id, act, receipt)

    monkeypatch.setattr(recovery, "_add_row", add_row)
    assert wake_due() == 1
    assert len(tried) == len(set(tried))


def test_jobs_of_a_newer_engine_hide_nobody() -> None:
    first = submit("echo", ECHO_SEEDS)
    more_jobs(5, status="queued", engine_version=ENGINE_VERSION + 1)
    last = submit("echo", ECHO_SEEDS)
    assert due_jobs() == [first.pk, last.pk]
    assert due_jobs(limit=2) == [first.pk, last.pk]


def test_rows_for_a_job_of_a_newer_engine_are_left_to_that_engine() -> None:
    job = run(submit("panel", PANEL_SEEDS))
    tell(job, "decide", "otto", key="verdict", subject="doubtful", payload={"value": "yes"})
    tell(job, "cancel", "otto")
    assert due_jobs() == [job.pk], "once, however many rows it has"
    Job.objects.filter(pk=job.pk).update(engine_version=ENGINE_VERSION + 1)
    assert due_jobs() == []


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite tells its plan in words")
def test_due_jobs_are_found_by_index() -> None:
    asked: list[tuple[str, Any]] = []

    def ask(execute: Any, sql: str, given: Any, *more: Any) -> Any:
        asked.append((sql, given))
        return execute(sql, given, *more)

    with connection.execute_wrapper(ask):
        due_jobs()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {asked[0][0]}", asked[0][1])
        plan = [str(row[3]) for row in cursor.fetchall()]
    assert not [line for line in plan if line.startswith("SCAN runtime_job")], plan
    assert not [line for line in plan if line.startswith("SCAN runtime_decision") and "INDEX" not in line], (
        plan
    )


@pytest.mark.parametrize("chore", ["wake_due", "send_digests_due", "sign_settled"])
def test_chore_that_fails_in_any_way_keeps_no_job_waiting(
    chore: str, empty_queue: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit("echo", ECHO_SEEDS)
    empty_queue.flushall()

    def fail() -> None:
        raise KeyError("nobody thought of this")

    monkeypatch.setattr(reconciler, chore, fail)
    assert reconciler.reconcile_once() == 1
    assert read_queued_ids() == frozenset([str(job.pk)])
