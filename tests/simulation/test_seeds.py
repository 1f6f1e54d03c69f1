"""A thousand histories of a whole installation, chosen by chance, and what must hold after each (PITFALLS, invariants):
the first half. The others are in test_more_seeds.py, for another process.

`python -m tests.simulation --seeds 100000` plays more; a seed that breaks something is printed with the shortest
history that still does, and a line that plays it again.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.simulation.injection import Bench
from tests.simulation.mutations import broken
from tests.simulation.playing import play, play_all, report, shorten

pytestmark = pytest.mark.early


def _simulate(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    return subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)


def test_five_hundred_seeds_break_nothing(bench: Bench) -> None:
    play_all(bench, range(500))


def test_a_seed_is_the_same_history_in_every_process(bench: Bench) -> None:
    seed = 7  # everything at once
    told = report(play(bench, seed))
    for hashes in ("1", "2"):
        said, _ = _simulate("--seed", str(seed), PYTHONHASHSEED=hashes).communicate()
        assert said.rstrip("\n") == told


def test_a_failure_is_told_shortened_and_can_be_played_again(bench: Bench) -> None:
    with broken("lease ignored"):
        found = next(done for done in (play(bench, seed) for seed in range(50)) if done.violation)
        short = shorten(bench, found)
        again = play(bench, short.seed, short.history)
    assert len(short.history) < len(found.history)
    assert str(again.violation) == str(short.violation)
    assert f"python -m tests.simulation --seed {found.seed}\n" in report(short)
    assert play(bench, short.seed, short.history).violation is None, "it is the mutation that breaks it"
