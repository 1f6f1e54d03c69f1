"""`up` as anybody runs it: a worker that is killed keeps its job from going on for less than twenty seconds."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runtime.rehearsal import Rehearsal
from tests.chaos.packs import PACKS, stroll, stroll_seeds
from tests.runtime.stage import offer
from tests.waiting import eventually
from tests.web.stack import Stack

WITHIN = 20.0  # seconds: a lease (15), the scheduler's round (2), and a margin
SEEDS = stroll_seeds(60)


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """`up` with one worker, which its supervisor starts again."""
    offer(tmp_path / "installed", {name: f"tests.chaos.packs:{name}" for name in PACKS})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "installed"))
    monkeypatch.setenv("CHAOS_PAUSE", "0.2")
    home = tmp_path / "home"
    home.mkdir()
    running = Stack(home)
    try:
        running.start()
        yield running
    finally:
        running.stop()


def test_killed_worker_s_job_goes_on_within_twenty_seconds(up: Stack) -> None:
    seeds = up.home / "seeds.json"
    seeds.write_text(json.dumps(SEEDS))
    job = json.loads(up.manage("submit", "stroll", "--seeds", str(seeds), "--json").splitlines()[-1])["id"]
    assert eventually(lambda: row_of(up, job)["cycle"] >= 3, 60)
    held = row_of(up, job)
    os.kill(int(held["worker"].rpartition(":")[2]), signal.SIGKILL)
    since = time.monotonic()

    def goes_on() -> bool:
        now = row_of(up, job)
        return bool(now["epoch"] > held["epoch"] and now["last_epoch"] == now["epoch"])

    assert eventually(goes_on, WITHIN), (up.home / "up.log").read_text()[-3000:]
    print(f"taken over after {time.monotonic() - since:.1f} s")
    assert eventually(lambda: row_of(up, job)["status"] == "converged", 60)
    alone = Rehearsal(stroll.spec(), SEEDS, stroll.functions)
    alone.run()
    assert row_of(up, job)["digest"] == alone.core.digest
    up.manage("verify", str(job))


def row_of(up: Stack, job: int) -> dict[str, Any]:
    """The job as the database has it, and `last_epoch`, under which its last cycle was committed."""
    last = "SELECT epoch FROM runtime_cycle c WHERE c.job_id = j.id ORDER BY number DESC LIMIT 1"
    sql = (
        f"SELECT cycle, epoch, worker, status, digest, ({last}) AS last_epoch FROM runtime_job j WHERE id = ?"
    )
    with closing(
        sqlite3.connect(f"file:{up.home / 'converge.sqlite3'}?mode=ro", uri=True, timeout=10)
    ) as database:
        database.row_factory = sqlite3.Row
        return dict(database.execute(sql, (job,)).fetchone())
