"""About thirty pairs of a failpoint and a fault, on real processes; after each wave of them all eleven invariants.

The waves run in processes of their own, as `make chaos ARGS='--waves'` runs them: an installation for each database.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.plans import POSTGRES_WAVES, WAVES, Plan
from tests.chaos.report import repro_of

pytestmark = [
    pytest.mark.early,
    pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="the waves choose their databases"),
]

ROOT = Path(__file__).resolve().parents[2]
PAIRS = [(wave, pair) for wave in (*WAVES, *POSTGRES_WAVES) for pair in wave.pairs]


@pytest.fixture(scope="module")
def outcomes() -> dict[int, dict[str, Any]]:
    """What came of each wave, by its number."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--at-once", "2", "--waves"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    try:
        told = json.loads(done.stdout.splitlines()[-1])["all"]
    except (ValueError, IndexError, KeyError):
        pytest.fail(f"the waves did not end:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return {outcome["asked"]["wave"]: outcome for outcome in told}


@pytest.mark.parametrize(("wave", "pair"), PAIRS, ids=[pair for _, pair in PAIRS])
def test_nothing_is_lost_doubled_or_left_lying(
    wave: Plan, pair: str, outcomes: dict[int, dict[str, Any]]
) -> None:
    outcome = outcomes[wave.seed]
    assert not outcome["violations"], f"again: {repro_of(outcome)}"
    place = pair.partition("=")[0]
    assert any(name.startswith(f"{place}:") for name in outcome["struck"]), "the failpoint was met"
    assert wave.events[0].fault in outcome["struck"], "the fault happened"
