"""Connections to the database that are lost, and those that stay open with nobody at the other end."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from runtime import recording
from runtime.failpoints import arm, read_failpoints
from runtime.models import Job
from runtime.reconciler import reconcile_once
from runtime.tools import session
from runtime.tools.flaky import FlakyTools
from tests.runtime.fixtures import Use
from tests.runtime.packs import ASKER_SEEDS, ECHO_SEEDS
from tests.runtime.stage import database_url, run, submit
from tests.runtime.test_recovery import tools
from tests.runtime.workers import Workers
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["tools"]


def close_under_it() -> None:
    """What a restart of the database leaves: a connection that is there, and is of no use."""
    connection.ensure_connection()
    assert connection.connection is not None
    connection.connection.close()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no connection that could be cut")
def test_jobs_go_on_after_the_connection_was_cut(tools: FlakyTools) -> None:
    assert run(submit("asker", ASKER_SEEDS)).status == "converged"
    session._records.submit(close_under_it).result()
    job = run(submit("asker", ASKER_SEEDS))
    assert (job.status, job.epoch) == ("converged", 1)
    assert tools.requests("search") == 4


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's one writer cannot be sent away")
def test_a_cycle_s_transaction_is_ended_in_time_whatever_it_does(
    use_packs: Use, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also one that stands still in the midst of a batch, which is not idle to the server."""
    server: Any = connection
    if server.pg_version < recording.PG_WITH_TRANSACTION_TIMEOUT:
        pytest.skip("this PostgreSQL bounds no transactions")
    use_packs("echo")
    monkeypatch.setattr(recording, "TRANSACTION_SECONDS", 0.5)
    arm(read_failpoints("cycle.in_transaction=delay:1.5@1"))
    try:
        job = run(submit("echo", ECHO_SEEDS))
    finally:
        arm({})
    assert (job.status, job.epoch) == ("converged", 1), "it was taken up again"
    assert "is taken up again in" in caplog.text
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_timeout")
        assert cursor.fetchone() == ("0",), "nothing else is bounded"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's one writer cannot be sent away")
def test_a_runtime_stopped_inside_a_transaction_keeps_nobody_from_its_job(
    use_packs: Use, workers: Workers
) -> None:
    """It has the job's row locked, and says nothing more. In a second here, in ten as the settings have it."""
    use_packs("echo")
    joint = "&" if "?" in database_url() else "?"
    soon = f"{database_url()}{joint}options=-c%20idle_in_transaction_session_timeout%3D1s"
    workers.start(1, CONVERGE_FAILPOINTS="cycle.in_transaction=stop@1", CONVERGE_DATABASE_URL=soon)
    job = submit("echo", ECHO_SEEDS)
    assert eventually(lambda: "failpoint cycle.in_transaction" in workers.said), workers.said
    workers.start(1)

    def converged() -> bool:
        reconcile_once()
        return Job.objects.filter(pk=job.pk, status="converged", epoch__gt=1).exists()

    assert eventually(converged, 15), workers.said
