"""What a job asks of tools, and how it recovers, on a real PostgreSQL: the same tests, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.conf import settings

pytestmark = pytest.mark.early

SAME = ("test_recovery", "test_recovery_under_strain", "test_paid_once", "test_lost_connection")


@pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="it is what runs now")
def test_tools_and_recovery_hold_on_postgres(postgres_url: str) -> None:
    files = [f"tests/runtime/{name}.py" for name in SAME]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files],
        cwd=settings.BASE_DIR,
        env=os.environ | {"TEST_DATABASE_URL": postgres_url},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5_000:]
    assert " passed" in done.stdout
