"""Hosts that do not hear each other: no record is torn, and what one held another takes over."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from django.conf import settings

from tests.hosts.house import IDLE_LIMIT
from tests.hosts.network import why_not
from tests.hosts.trouble import TROUBLES

pytestmark = pytest.mark.early

# The one that leaves most behind: a row that is locked in the database. `make hosts` has them all.
WORST = next(trouble for trouble in TROUBLES if trouble.failpoints and trouble.cuts)


def test_worker_that_is_cut_off_inside_a_transaction_is_replaced_and_does_no_harm() -> None:
    if reason := why_not():
        pytest.skip(f"no hosts can be made here: {reason}")
    done = subprocess.run(
        [sys.executable, "-m", "tests.hosts", "--json", str(TROUBLES.index(WORST) + 1)],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-5_000:]
    (figures,) = json.loads(done.stdout.splitlines()[-1])
    assert figures["violations"] == []
    assert figures["taken_over"] < IDLE_LIMIT
    assert figures["noticed"] < settings.CONVERGE_LEASE_SECONDS
