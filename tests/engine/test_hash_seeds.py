"""The digest is the same in every process, whatever its PYTHONHASHSEED (D2.4)."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

from hypothesis import Phase, given, settings

from tests.engine.lockstep import run_engine
from tests.engine.packs_strategy import Case, cases, circles

ROOT = Path(__file__).parents[2]
SCRIPT = """
import pickle, sys
from tests.engine.lockstep import run_engine
for case in pickle.load(open(sys.argv[1], "rb")):
    print(run_engine(case)[0].digest)
"""


def drawn() -> list[Case]:
    """A few random cases of both sorts."""
    found: list[Case] = []

    @settings(max_examples=25, phases=[Phase.generate], derandomize=True, database=None)
    @given(cases(), circles())
    def collect(one: Case, other: Case) -> None:
        found.extend((one, other))

    collect()
    return found


def test_digests_do_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    chosen = drawn()
    stored = tmp_path / "cases.pickle"
    stored.write_bytes(pickle.dumps(chosen))
    here = [run_engine(case)[0].digest for case in chosen]
    for seed in ("0", "1", "4242"):
        command = [sys.executable, "-c", SCRIPT, str(stored)]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == here
