"""Looks at the world from outside after every act: what must hold at every moment, and what idles for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.models import Job
from tests.simulation.browsers import panels_of
from tests.simulation.injection import Bench
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

IDLE_SECONDS = 20.0  # invariant 9, on one machine
SEEN_SECONDS = 5.0  # invariant 8
STOPPED = frozenset(
    (
        "waiting",
        "recovering",
        "converged",
        "partial",
        "oscillating",
        "exhausted",
        "invalid",
        "failed",
        "cancelled",
    )
)
ENDED = ("cancelled", "failed")
# The clock comes out of SQL, where seconds went through days.
EPSILON = 0.01

_ROWS = """
    SELECT j.id, j.status, j.epoch, j.lease_until, j.cycle, j.entries, j.retry_at, j.worker,
        (SELECT count(*) FROM runtime_decision d WHERE d.job_id = j.id AND d.status = 'pending'),
        (SELECT count(*) FROM runtime_cycle c WHERE c.job_id = j.id),
        (SELECT total(attempts) FROM runtime_toolcall t WHERE t.job_id = j.id)
    FROM runtime_job j ORDER BY j.id
"""


# What the clock owes somebody: questions past their deadline, and backtests that nobody is at.
_OVERDUE = """
    SELECT 'question ' || c.id, c.deadline_at FROM runtime_conflict c JOIN runtime_job j ON j.id = c.job_id
    WHERE c.status = 'open' AND c.awaiting = '' AND c.expired_at IS NULL AND c.deadline_at <= ?
        AND j.status NOT IN ('cancelled', 'failed')
        AND NOT EXISTS (SELECT 1 FROM runtime_decision d WHERE d.job_id = c.job_id AND d.status = 'pending')
    UNION ALL SELECT 'backtest ' || id, touched_at FROM runtime_backtest WHERE status IN ('queued', 'running')
    ORDER BY 1
"""
_TIMED = """
    SELECT c.id FROM runtime_conflict c JOIN runtime_job j ON j.id = c.job_id
    WHERE c.status = 'open' AND c.deadline_at IS NOT NULL AND c.expired_at IS NULL
        AND j.status NOT IN ('cancelled', 'failed') ORDER BY c.id LIMIT 1
"""


class Row(NamedTuple):
    """A job's row, how much mail it has, how many cycles are in its journal and requests in its record of calls."""

    id: int
    status: str
    epoch: int
    lease_until: float | None
    cycle: int
    entries: int
    retry_at: float | None
    worker: str
    mail: int
    cycles: int
    requests: float


class Observer:
    """`turn_of` is the process that had the last turn; `longest_idle` is in seconds, after healing began; `takeovers`
    counts jobs that another runtime took over in the midst of a cycle."""

    def __init__(self, bench: Bench, world: World) -> None:
        self._bench, self._world = bench, world
        self._seen = -1
        self.turn_of = ""
        self.rows: dict[int, Row] = {}
        self._healed_at = 0.0
        self._idle_since: dict[int, float] = {}
        self._behind_since: dict[int, float] = {}
        self.longest_idle = 0.0
        self.takeovers = 0

    def look(self) -> None:
        """Compares what is written now with what was written before."""
        database = self._bench.database
        if database.changes == self._seen:
            return
        self._seen = database.changes
        before, self.rows = self.rows, {row[0]: Row(*row) for row in database.ask(_ROWS)}
        for row in self.rows.values():
            if row.status in STOPPED and row.lease_until is not None:
                raise Violation(10, f"job {row.id} is {row.status} and holds a lease")
            if row.cycles != row.cycle:
                raise Violation(11, f"job {row.id} is at cycle {row.cycle}, and its journal at {row.cycles}")
            old = before.get(row.id)
            if old is not None and row != old:
                self._compare(old, row)

    def _compare(self, old: Row, row: Row) -> None:
        now = self._bench.turns.now
        if row.epoch < old.epoch or row.cycle < old.cycle or row.entries < old.entries:
            raise Violation(3, f"job {row.id} goes back, from {old} to {row}")
        is_handed_over = row.status == "queued" and self.turn_of == old.worker
        if row.epoch > old.epoch:
            if not is_handed_over and old.lease_until is not None and old.lease_until > now + EPSILON:
                left = old.lease_until - now
                raise Violation(
                    3, f"job {row.id} is claimed by {row.worker}, {left:.1f} s before its lease ends"
                )
            self.takeovers += old.status == "running"
            if old.status in ENDED:
                raise Violation(3, f"job {row.id} is claimed, and it is {old.status}")
        is_stranger = self.turn_of != row.worker and self.turn_of in self._world.worker_names
        its = (old.status, old.lease_until, old.cycle, old.requests)
        if is_stranger and its != (row.status, row.lease_until, row.cycle, row.requests):
            raise Violation(3, f"{self.turn_of} makes {row} of {old}, and {row.worker} has it")
        if row.cycle > old.cycle:
            if row.cycle > old.cycle + 1:
                raise Violation(
                    3, f"job {row.id} takes several cycles at once, from {old.cycle} to {row.cycle}"
                )
            self._check_author(row)

    def _check_author(self, row: Row) -> None:
        asked = "SELECT epoch FROM runtime_cycle WHERE job_id = ? AND number = ?"
        ((epoch,),) = self._bench.database.ask(asked, row.id, row.cycle)
        if epoch != row.epoch:
            raise Violation(
                3, f"cycle {row.cycle} of job {row.id} is appended under epoch {epoch}; {row.epoch} has it"
            )

    # -- idleness ----------------------------------------------------------------------------------------------

    def begin_healing(self) -> None:
        """From now on nothing may idle for long."""
        self._healed_at = self._bench.turns.now
        self._idle_since.clear()

    def look_at_idle_jobs(self) -> None:
        """Before time passes: jobs that somebody should be at, and nobody is; pages that are behind."""
        now = self._bench.turns.now
        idle = {row.id for row in self.rows.values() if self._is_runnable(row) and not self._is_held(row)}
        self._idle_since = {job: self._idle_since.get(job, now) for job in idle}
        for job, since in self._idle_since.items():
            self.longest_idle = max(self.longest_idle, now - since)
            if now - since > IDLE_SECONDS:
                raise Violation(9, f"{self._told(self.rows[job])} idles for {now - since:.1f} s")
        for what, since in self._overdue():
            since = max(since, self._healed_at)
            self.longest_idle = max(self.longest_idle, now - since)
            if now - since > IDLE_SECONDS:
                raise Violation(9, f"{what} is left lying for {now - since:.1f} s")
        behind = {
            at for at, page in enumerate(self._world.browsers) if page.last != self.rows[page.job_id].entries
        }
        self._behind_since = {at: self._behind_since.get(at, now) for at in behind}
        for at, since in self._behind_since.items():
            page = self._world.browsers[at]
            if now - since > SEEN_SECONDS:
                head = self.rows[page.job_id].entries
                raise Violation(
                    8, f"a page of job {page.job_id} is at {page.last} for {now - since:.1f} s, of {head}"
                )

    def _is_runnable(self, row: Row) -> bool:
        if row.status in ("queued", "running"):
            return True
        if row.status == "recovering" and row.retry_at is not None and row.retry_at <= self._bench.turns.now:
            return True
        return row.status not in ENDED and row.mail > 0

    def _is_held(self, row: Row) -> bool:
        """Whether somebody alive is at work on it."""
        return row.status == "running" and self._world.held.get(row.worker) == row.id

    def _overdue(self) -> list[tuple[str, float]]:
        """What nobody is at, and since when somebody should be; where there is a scheduler, whose task it is."""
        if "scheduler" not in self._world.names:
            return []
        held = {f"backtest {pk}" for pk in self._world.slices.values()}
        found = self._bench.database.ask(_OVERDUE, self._bench.turns.now)
        return [(what, since) for what, since in found if what not in held]

    def is_at_rest(self) -> bool:
        """Whether nobody has anything to do, and every page shows what there is."""
        return not self.tell_unrest()

    def tell_unrest(self) -> str:
        """What is not at rest, in words."""
        for row in self.rows.values():
            if self._is_runnable(row) or row.status == "recovering":
                return self._told(row)
        if self._bench.redis.waiting:
            return f"the queue holds {self._bench.redis.waiting}"
        if self._world.held or self._world.slices:
            return f"workers hold {self._world.held} and the backtests {self._world.slices}"
        for what, _ in self._overdue():
            return f"{what} is not done"
        if self._world.leaves_to_clock and (rows := self._bench.database.ask(_TIMED)):
            return f"question {rows[0][0]} waits for its deadline"
        for page in self._world.browsers:
            if page.last != self.rows[page.job_id].entries or page.panels != self._panels_now(page.job_id):
                return f"a page of job {page.job_id} shows entries up to {page.last} and {page.panels}"
        return ""

    def _panels_now(self, job_id: int) -> dict[str, Any]:
        return panels_of(Job.objects.get(pk=job_id))

    @staticmethod
    def _told(row: Row) -> str:
        retry = "" if row.retry_at is None else f", due again at {row.retry_at:.1f}"
        return f"job {row.id} ({row.status}, {row.mail} rows in its inbox, epoch {row.epoch}{retry})"
