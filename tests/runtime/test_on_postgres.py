"""The parts of the suite that lean on SQL most, on a real PostgreSQL: the same tests, in a process of their own.

`make test-postgres` runs all of it there.
"""

from __future__ import annotations

import subprocess

import pytest
from django.conf import settings
from django.db import connection

from tests.postgres_server import on_postgres, pytest_command

pytestmark = pytest.mark.early

# Claims, leases and fences; inboxes, receipts and forms about several; deadlines, notices and their cursors; slices of
# backtests; JSON columns; pages that count, sort and search; several processes.
SAME = (
    "tests/runtime/test_claim.py",
    "tests/runtime/test_fencing.py",
    "tests/runtime/test_inbox_row_while_parking.py",
    "tests/runtime/test_lost_connection.py",
    "tests/runtime/test_many_workers.py",
    "tests/runtime/test_deadlines.py",
    "tests/runtime/test_notice_cursors.py",
    "tests/runtime/test_notices.py",
    "tests/runtime/test_backtest_slices.py",
    "tests/runtime/test_projections.py",
    "tests/runtime/test_reconciler.py",
    "tests/runtime/test_recovery.py",
    "tests/runtime/test_resume.py",
    "tests/runtime/test_run_times.py",
    "tests/runtime/test_standing.py",
    "tests/actions/test_bulk.py",
    "tests/actions/test_deferring.py",
    "tests/actions/test_receipts.py",
    "tests/actions/test_stale_decisions.py",
    "tests/actions/test_submit.py",
    "tests/audit/test_heads.py::test_of_two_schedulers_at_once_one_signs",
    "tests/audit/test_heads.py::test_jobs_are_signed_in_portions_and_each_once",
    "tests/web/test_jobs_list.py",
    "tests/web/test_live_tailer.py",
)


@pytest.mark.skipif(connection.vendor == "postgresql", reason="it is what runs now")
def test_what_leans_on_the_database_holds_on_postgres(postgres_url: str) -> None:
    done = subprocess.run(
        pytest_command(["-q", "-x", *SAME]),
        cwd=settings.BASE_DIR,
        env=on_postgres(postgres_url),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5_000:]
    assert " passed" in done.stdout
