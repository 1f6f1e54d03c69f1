"""The thread that records calls outlives its database connection."""

from __future__ import annotations

import pytest
from django.db import connection

from runtime.tools import session
from runtime.tools.flaky import FlakyTools
from tests.runtime.packs import ASKER_SEEDS
from tests.runtime.stage import run, submit
from tests.runtime.test_recovery import tools

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
