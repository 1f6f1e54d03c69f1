"""Looks at all jobs while faults go on: who waits though nobody holds it, who holds what, and who wrote last."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from tests.chaos.house import House

EVERY = 0.15  # seconds


@dataclass
class Idle:
    """A runnable job that nobody worked on."""

    job: int
    since: float
    cycle: int


@dataclass
class Watch:
    """`healed_at` is when the last fault ended; from then on `longest_after` counts what jobs idled (seconds)."""

    house: House
    longest: float = 0.0
    longest_after: float = 0.0
    longest_job: int = 0
    takeovers: int = 0
    healed_at: float | None = None
    broken: str = ""  # why it stopped looking
    blind: int = 0  # looks at which the database did not answer
    claims: dict[int, dict[int, int]] = field(
        default_factory=dict
    )  # job: epoch: cycles committed when it was seen

    def start(self) -> Watch:
        """Begins to look."""
        self._idle: dict[int, Idle] = {}
        self._running: set[int] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()
        return self

    def end(self) -> None:
        """Looks no more."""
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        from django.db import DatabaseError, InterfaceError, connections

        while not self._ended.wait(EVERY):
            try:
                self._look()
            except (DatabaseError, InterfaceError):
                self.blind += 1
                connections.close_all()
            except Exception as error:
                self.broken = f"{type(error).__name__}: {error}"
                raise
        connections.close_all()

    def _look(self) -> None:
        from django.db import connection

        from runtime.lease import clock_sql

        clock = clock_sql()
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                SELECT id, status, epoch, cycle, worker, lease_until IS NOT NULL AND lease_until > {clock},
                  status IN ('queued', 'running') OR (status NOT IN ('cancelled', 'failed') AND EXISTS (
                    SELECT 1 FROM runtime_decision d WHERE d.job_id = runtime_job.id AND d.status = 'pending'))
                FROM runtime_job ORDER BY id DESC LIMIT 400
                """
            )
            rows = cursor.fetchall()
        now = time.monotonic()
        runnable = set()
        for job, status, epoch, cycle, worker, leased, due in rows:
            seen = self.claims.setdefault(job, {})
            if epoch and epoch not in seen:
                self.takeovers += job in self._running  # it went on, and had not stopped in between
                seen[epoch] = cycle
            (self._running.add if status == "running" else self._running.discard)(job)
            if due and not (leased and self.house.is_held(worker)):
                runnable.add(job)
                known = self._idle.get(job)
                if known is None or known.cycle != cycle:
                    self._idle[job] = Idle(job, now, cycle)
                self._note(self._idle[job], now)
        for job in [job for job in self._idle if job not in runnable]:
            del self._idle[job]

    def _note(self, idle: Idle, now: float) -> None:
        if now - idle.since > self.longest:
            self.longest, self.longest_job = now - idle.since, idle.job
        if self.healed_at is not None:
            self.longest_after = max(self.longest_after, now - max(idle.since, self.healed_at))
