"""Real worker processes for tests: started, watched through the queue, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from runtime.models import Job
from runtime.queue_state import queue_state
from runtime.reconciler import reconcile_once
from tests.runtime.packs import GATE
from tests.runtime.stage import environment, start_manage
from tests.waiting import eventually


class Workers:
    """Starts workers on this test's database. `gate` holds up the pack `walk` in its seventh step until `open_gate`."""

    def __init__(self, directory: Path, packs: Path) -> None:
        directory.mkdir()
        self.gate = directory / "open"
        self.log = directory / "workers.log"
        quick = {"DJANGO_SETTINGS_MODULE": "tests.runtime.quick_settings", GATE: str(self.gate)}
        self.environment = environment(packs, **quick)
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, number: int = 1, **more: str) -> None:
        """Starts so many more, and returns when all listen."""
        environment = {**self.environment, **more}
        self.processes += [start_manage("worker", env=environment, log=self.log) for _ in range(number)]
        pids = {process.pid for process in self.processes if process.poll() is None}
        assert eventually(lambda: pids <= {worker.pid for worker in queue_state().workers}), self.said

    @property
    def said(self) -> str:
        """What they logged."""
        return self.log.read_text()

    def pid_of(self, job: Job) -> int:
        """The process that holds the job."""
        job.refresh_from_db()
        return int(job.worker.rpartition(":")[2])

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Sends a signal to one of them."""
        assert pid in {process.pid for process in self.processes}
        os.kill(pid, number)

    def wait_at_gate(self, seconds: float = 20) -> None:
        """Returns when a worker stands at the gate; the next call waits for another."""
        marker = self.gate.with_name("waiting")

        def stands() -> bool:
            reconcile_once()
            return marker.exists()

        assert eventually(stands, seconds), self.said
        marker.unlink()

    def open_gate(self) -> None:
        """Lets everybody pass, from now on."""
        self.gate.touch()

    def stop(self) -> None:
        """Ends all of them."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait(10)


@pytest.fixture
def workers(tmp_path: Path, installed: Path, empty_queue: Redis) -> Iterator[Workers]:
    """Workers for a test with `transaction=True`: others must see what it commits."""
    found = Workers(tmp_path / "workers", installed)
    try:
        yield found
    finally:
        found.stop()
