"""What a tool has answered is never asked again, whatever becomes of the worker that asked (D5.5)."""

from __future__ import annotations

import signal

import pytest

from runtime.models import Job, Tool, ToolCall
from runtime.tools.flaky import FlakyTools
from runtime.verifying import verify_job
from tests.runtime.fixtures import Use
from tests.runtime.packs import ASKER_SEEDS
from tests.runtime.stage import submit
from tests.runtime.workers import Workers
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def test_worker_killed_between_call_and_merge_leaves_the_answer_for_the_next(
    use_packs: Use, workers: Workers
) -> None:
    use_packs("linger")
    with FlakyTools() as tools:
        Tool.objects.filter(name="oracle").update(url=f"{tools.url}/search")
        workers.start(2)
        job = submit("linger", ASKER_SEEDS)
        workers.wait_at_gate()
        assert eventually(lambda: ToolCall.objects.filter(job=job, status="done").count() == 2), workers.said
        first = workers.pid_of(job)
        workers.signal(first, signal.SIGKILL)
        workers.wait_at_gate()
        assert workers.pid_of(job) != first
        workers.open_gate()
        assert eventually(lambda: Job.objects.get(pk=job.pk).status == "converged"), workers.said
        assert tools.requests("search") == 2

        undisturbed = submit("linger", ASKER_SEEDS)
        assert eventually(lambda: Job.objects.get(pk=undisturbed.pk).status == "converged"), workers.said
    undisturbed.refresh_from_db()
    job.refresh_from_db()
    assert job.calls == 2
    verify_job(job)
    assert job.digest == undisturbed.digest
