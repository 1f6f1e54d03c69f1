"""What happens to hosts, and what is asked while it lasts and after it."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.databases import wait_for
from tests.chaos.oracle import FINAL, find_violations
from tests.chaos.packs import DEBATE_SEEDS, stroll_seeds
from tests.chaos.people import Book, People
from tests.chaos.watch import Watch
from tests.hosts.house import IDLE_LIMIT, WORKERS, Hosts

VICTIM = "worker-1"
STEPS = 90  # of a job: longer than the victim has it, shorter than its budget (100 cycles)
HELD = 20.0  # seconds that a trouble lasts at least: more than a lease (15)
NOTICED_WITHIN = 30.0  # seconds until a worker says that the database is out of reach; 10 by its settings
ENDED_WITHIN = 120.0  # seconds after healing, on a machine that has other things to do
IN_TRANSACTION = "cycle.in_transaction"


@dataclass(frozen=True)
class Trouble:
    """`cuts`: who does not hear whom; "a>b" is one direction, "a|b" both. `failpoints` are the victim's; what happens
    begins when it strikes. `loses`: whether the victim's job must be taken over."""

    name: str
    cuts: Sequence[str] = ()
    signal: signal.Signals | None = None
    failpoints: str = ""
    loses: bool = False


TROUBLES = (
    Trouble("worker | Redis", [f"{VICTIM}|redis"]),
    Trouble("worker | database", [f"{VICTIM}|database"], loses=True),
    Trouble("worker | Redis and database", [f"{VICTIM}|redis", f"{VICTIM}|database"], loses=True),
    Trouble("what a worker says to the database is lost", [f"{VICTIM}>database"], loses=True),
    Trouble("what the database answers a worker is lost", [f"database>{VICTIM}"], loses=True),
    Trouble(
        "worker | database, inside a transaction",
        [f"{VICTIM}|database"],
        failpoints=f"{IN_TRANSACTION}=delay:3@5",
        loses=True,
    ),
    Trouble("worker stands still inside a transaction", failpoints=f"{IN_TRANSACTION}=stop@5", loses=True),
    Trouble("web | Redis", ["web|redis"]),
    Trouble("web | database", ["web|database"]),
    Trouble("worker killed with -9", signal=signal.SIGKILL, loses=True),
)


@dataclass
class Figures:
    """What came of it. Times are in seconds after the trouble began; None where nothing was to happen."""

    name: str
    taken_over: float | None = None  # somebody else committed a cycle of the victim's job
    noticed: float | None = None  # the victim said that it cannot reach the database
    idle_after: float = 0.0  # the longest that a runnable job was idle once all was healed
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)


def meet(hosts: Hosts, trouble: Trouble, seed: int = 0) -> Figures:
    """Lets it happen to hosts that are well, heals, waits and asks."""
    return _Meeting(hosts, trouble, seed).go()


class _Meeting:
    def __init__(self, hosts: Hosts, trouble: Trouble, seed: int) -> None:
        self.hosts, self.trouble = hosts, trouble
        self.figures = Figures(trouble.name)
        self.book, self.watch = Book(), Watch(hosts)  # type: ignore[arg-type]
        self.people = People(hosts, self.book, random.Random(seed))  # type: ignore[arg-type]

    def go(self) -> Figures:
        began = time.monotonic()
        if self.trouble.failpoints:
            self.hosts.start_worker(VICTIM, self.trouble.failpoints)
        self.said = len(self.hosts.log_of(VICTIM))
        self.watch.start()
        self.people.start_answering()
        try:
            self._begin()
            self._last()
            self._heal()
            self._settle()
        except RuntimeError as error:
            self.figures.violations.append(f"9: {error}")
        finally:
            self.hosts.network.heal()
            self.people.end()
            self.watch.end()
        self.figures.violations += find_violations(self.book, self.watch)
        self.figures.idle_after = self.watch.longest_after
        self.figures.seconds = time.monotonic() - began
        return self.figures

    def _begin(self) -> None:
        """A long job for the victim, and none for the other but what it took before; then it happens."""
        for _ in range(4):
            job = self.people.submit("stroll", stroll_seeds(STEPS))
            _insist(lambda job=job: self._begun(job), 30, f"job {job} is not begun")  # type: ignore[misc]
            if self._held() is not None:
                break
        else:
            raise RuntimeError(f"{VICTIM} takes no job")
        if self.trouble.failpoints:
            _insist(lambda: f"failpoint {IN_TRANSACTION}" in self._says(), 60, "the failpoint is not met")
        held = self._held()
        if held is None:
            raise RuntimeError(f"{VICTIM} has let go of its job before anything happened")
        self.job, self.epoch, self.cycle = held
        for cut in self.trouble.cuts:
            one, _, other = cut.replace(">", "|").partition("|")
            self.hosts.network.cut(one, other, both_ways=">" not in cut)
        if self.trouble.signal is not None:
            self.hosts.processes[VICTIM].send_signal(self.trouble.signal)
        self.since = time.monotonic()

    def _last(self) -> None:
        """While it lasts: nobody waits for it who need not."""
        if not any("web" in cut and "database" in cut for cut in self.trouble.cuts):
            self.people.submit("stroll", stroll_seeds(10))
            self.people.submit("debate", DEBATE_SEEDS)
        if self.trouble.loses:
            _insist(self._is_taken_over, IDLE_LIMIT, f"job {self.job} is not taken over")
            self.figures.taken_over = time.monotonic() - self.since
        else:
            _insist(lambda: self._cycle() > self.cycle, IDLE_LIMIT, f"job {self.job} does not go on")
        if any(VICTIM in cut and "database" in cut for cut in self.trouble.cuts):
            _insist(self._has_noticed, NOTICED_WITHIN, f"{VICTIM} hangs")
        wait_for(lambda: False, HELD - (time.monotonic() - self.since))

    def _heal(self) -> None:
        self.hosts.network.heal()
        self.hosts.processes[VICTIM].send_signal(signal.SIGCONT)
        if self.trouble.signal is not None:
            self.hosts.start_worker(VICTIM)
        _insist(self.hosts.is_ready, IDLE_LIMIT, "the pages do not answer after all was healed")
        self.watch.healed_at = time.monotonic()

    def _settle(self) -> None:
        """Everything ends, and both workers work again."""
        from runtime.models import Job

        def all_ended() -> bool:
            return Job.objects.filter(pk__in=self.book.jobs, status__in=FINAL).count() == len(self.book.jobs)

        wait_for(all_ended, ENDED_WITHIN)  # the oracle names those that did not
        for host in WORKERS:
            _insist(lambda host=host: self._works(host), IDLE_LIMIT, f"{host} works no more")  # type: ignore[misc]
        wait_for(all_ended, ENDED_WITHIN)

    def _works(self, host: str) -> bool:
        """Whether a host's worker is given one of two short jobs."""
        from runtime.models import Job

        jobs = [self.people.submit("stroll", stroll_seeds(10)) for _ in WORKERS]
        mine = Job.objects.filter(pk__in=jobs, worker__startswith=f"{host}:")
        return wait_for(mine.exists, 10)

    # The victim and its job

    def _says(self) -> str:
        return self.hosts.log_of(VICTIM)[self.said :]

    def _held(self) -> tuple[int, int, int] | None:
        """Number, epoch and cycle of a long job that the victim has begun."""
        from runtime.models import Job

        found = Job.objects.filter(
            pk__in=self.book.jobs, status="running", cycle__gte=2, worker__startswith=f"{VICTIM}:"
        )
        row = found.filter(pack__name="stroll").values_list("id", "epoch", "cycle").first()
        return row and (int(row[0]), int(row[1]), int(row[2]))

    def _begun(self, job: int) -> bool:
        from runtime.models import Job

        return Job.objects.filter(pk=job, cycle__gte=2).exists()

    def _cycle(self) -> int:
        from runtime.models import Job

        return int(Job.objects.values_list("cycle", flat=True).get(pk=self.job))

    def _is_taken_over(self) -> bool:
        from runtime.models import Cycle

        self._has_noticed()
        return Cycle.objects.filter(job_id=self.job, epoch__gt=self.epoch).exists()

    def _has_noticed(self) -> bool:
        """Whether it has said that it cannot reach the database: its job's lease, the job or the queue did."""
        words = "could not be renewed", "is taken up again in", "no job is taken until"
        if self.figures.noticed is None and any(word in self._says() for word in words):
            self.figures.noticed = time.monotonic() - self.since
        return self.figures.noticed is not None


def _insist(holds: Callable[[], Any], seconds: float, otherwise: str) -> None:
    if not wait_for(holds, seconds, every=0.1):
        raise RuntimeError(f"{otherwise}, {seconds:g} s on")
