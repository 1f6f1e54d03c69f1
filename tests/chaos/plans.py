"""What is tried: the pairs of every test run, and plans drawn from a seed. Pure: the same seed gives the same plan."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

DATABASES = ("sqlite", "postgresql")
JOBS = ("stroll", "debate", "quiz", "vote")
TRIED = "backtest"  # among a plan's jobs: a rule of the debates is tried on past ones


@dataclass(frozen=True)
class Armed:
    """A failpoint in one member: "worker", "web" or "scheduler". `plan` is as CONVERGE_FAILPOINTS says it."""

    member: str
    plan: str

    @property
    def name(self) -> str:
        """The failpoint's."""
        return self.plan.partition("=")[0]

    @property
    def label(self) -> str:
        """For counting: the place, and what is done there."""
        return f"{self.name}: {self.plan.partition('=')[2].partition('@')[0].partition(':')[0]}"


@dataclass(frozen=True)
class Event:
    """One fault, so many seconds after the start, for so many seconds. `at` below 0: once all failpoints were met."""

    at: float
    fault: str
    seconds: float

    def to_words(self) -> str:
        """For a report."""
        when = "then" if self.at < 0 else f"after {self.at:.1f} s"
        return f"{when}: {self.fault}" + (f", for {self.seconds:g} s" if self.seconds else "")


@dataclass(frozen=True)
class Plan:
    """What one run does. `must_strike`: it goes on submitting jobs until each armed failpoint was met."""

    name: str
    seed: int
    database: str = "sqlite"
    armed: tuple[Armed, ...] = ()
    events: tuple[Event, ...] = ()
    jobs: tuple[str, ...] = ("stroll", "debate", "quiz", "stroll", "cancelled")
    workers: int = 2
    must_strike: bool = False
    pairs: tuple[str, ...] = field(default=())

    def to_json(self) -> list[str]:
        """In words."""
        return [f"{a.member}: {a.plan}" for a in self.armed] + [event.to_words() for event in self.events]


# What may be done where. Only what surroundings really do is raised: an exception that nothing explains ends a job.
WORKER_POINTS: dict[str, tuple[str, ...]] = {
    "queue.after_dequeue": ("kill", "stop", "raise", "delay:2"),
    "worker.after_claim": ("kill", "stop", "raise", "delay:4"),
    "cycle.in_transaction": ("kill", "stop", "raise:OperationalError", "delay:1"),
    "cycle.before_commit": ("kill", "stop", "raise:OperationalError", "delay:1"),
    "cycle.after_commit": ("kill", "stop", "raise:OperationalError", "delay:4"),
    "worker.parked": ("kill", "stop", "delay:4"),
    "queue.before_finish": ("kill", "stop", "raise", "delay:2"),
    "call.before_send": ("kill", "stop", "raise", "delay:1"),
    "call.before_record": ("kill", "stop", "raise:OperationalError", "delay:1"),
    "call.after_record": ("kill", "stop", "raise", "delay:1"),
    "lease.before_renew": ("kill", "stop", "raise:OperationalError", "raise", "delay:4"),
    "event.before_send": ("kill", "stop", "raise:ConnectionError", "delay:2"),
    "backtest.after_claim": ("kill", "stop", "raise:OperationalError", "delay:4"),
    "backtest.before_commit": ("kill", "stop", "raise:OperationalError", "delay:1"),
}
WEB_POINTS: dict[str, tuple[str, ...]] = {
    "submit.before_commit": ("kill", "stop", "raise:OperationalError", "delay:1"),
    "submit.after_commit": ("kill", "stop", "raise", "delay:1"),
    "decision.before_commit": ("kill", "stop", "raise:OperationalError", "delay:1"),
    "decision.after_commit": ("kill", "stop", "raise", "delay:1"),
    "bulk.between": ("kill", "stop", "raise:OperationalError", "delay:1"),
    "queue.before_enqueue": ("kill", "stop", "raise:ConnectionError", "delay:1"),
    "tail.before_read": ("kill", "stop", "raise:OperationalError", "raise", "delay:1"),
    "tail.before_send": ("kill", "stop", "raise:OperationalError", "raise", "delay:1"),
}
SCHEDULER_POINTS: dict[str, tuple[str, ...]] = {
    "reconcile.before_enqueue": ("kill", "stop", "raise:OperationalError", "delay:2"),
    "queue.before_enqueue": ("kill", "stop", "delay:2"),
    "deadline.before_commit": ("kill", "stop", "raise:OperationalError", "delay:1"),
    "deadline.after_commit": ("kill", "stop", "delay:1"),
}
POINTS = {"worker": WORKER_POINTS, "web": WEB_POINTS, "scheduler": SCHEDULER_POINTS}

# Faults by name, with how long each lasts (seconds, least and most) and which databases it is for.
SPANS: dict[str, tuple[float, float]] = {
    "worker paused past its lease": (4, 6),
    "all workers paused past their leases": (4, 5),
    "web paused": (1, 3),
    "Redis killed": (0.5, 3),
    "Redis frozen": (2, 6),
    "Redis slow": (2, 4),
    "messages late": (1, 3),
    "database locked": (2, 10),
    "disk full": (2, 5),
    "connection lost before COMMIT": (2, 3),
    "connection lost after COMMIT": (2, 3),
}
EVERYWHERE = (
    "worker killed",
    "all workers killed",
    "scheduler killed",
    "web killed",
    "worker paused past its lease",
    "all workers paused past their leases",
    "web paused",
    "deploy: all told to end",
    "worker with a clock five minutes ahead",
    "worker with a clock five minutes behind",
    "Redis killed",
    "Redis flushed",
    "Redis frozen",
    "Redis slow",
    "messages doubled tenfold",
    "messages late",
    "messages reordered",
    "messages dropped",
    "database locked",
    "disk full",
    "the database's clock jumps ahead five minutes",
    "the database's clock jumps back five minutes",
)
ONLY_ON: dict[str, tuple[str, ...]] = {
    "sqlite": (),
    "postgresql": (
        "PostgreSQL restarted",
        "connections to PostgreSQL cut",
        "connection lost before COMMIT",
        "connection lost after COMMIT",
    ),
}


def database_of(seed: int) -> str:
    """Every fourth seed runs on PostgreSQL."""
    return "postgresql" if seed % 4 == 0 else "sqlite"


def draw_fault(draws: random.Random, database: str, at: float) -> Event:
    """Any fault that this database can have."""
    name = draws.choice(EVERYWHERE + ONLY_ON[database] * 2)
    least, most = SPANS.get(name, (0.0, 0.0))
    return Event(at, name, round(draws.uniform(least, most), 1))


def plan_of_seed(seed: int) -> Plan:
    """One to four failpoints, one to three faults, five to eight jobs."""
    draws = random.Random(f"plan {seed}")
    database = database_of(seed)
    armed: list[Armed] = []
    for _ in range(draws.randrange(1, 5)):
        member = draws.choices(("worker", "web", "scheduler"), (6, 3, 1))[0]
        if member != "worker" and any(a.member == member for a in armed):
            continue
        name = draws.choice(sorted(POINTS[member]))
        act = draws.choice(POINTS[member][name])
        armed.append(Armed(member, f"{name}={act}@{draws.randrange(1, 6)}"))
    events = [
        draw_fault(draws, database, round(draws.uniform(0, 4), 1)) for _ in range(draws.randrange(1, 4))
    ]
    jobs = [draws.choice(JOBS) for _ in range(draws.randrange(4, 7))]
    jobs += [extra for extra in ("cancelled", TRIED) if draws.random() < 0.5]
    return Plan(
        f"seed {seed}", seed, database, tuple(armed), tuple(events), tuple(jobs), draws.randrange(2, 4)
    )


# The pairs of `make test`: in each wave one fault of the surroundings, and failpoints in every kind of process.
def _wave(
    number: int,
    fault: tuple[str, float],
    *plans: str,
    database: str = "sqlite",
    at: float = 0.8,
    jobs: tuple[str, ...] = ("stroll", "debate", "quiz", "cancelled"),
) -> Plan:
    places = {name: member for member, points in reversed(POINTS.items()) for name in points}
    armed = tuple(Armed(places[plan.partition("=")[0]], plan) for plan in plans)
    pairs = tuple(f"{plan} with {fault[0]}" for plan in plans)
    return Plan(fault[0], number, database, armed, (Event(at, *fault),), jobs, 2, True, pairs)


WAVES: tuple[Plan, ...] = (
    _wave(
        1,
        ("Redis killed", 1.0),
        "submit.after_commit=kill@2",
        "cycle.before_commit=kill@3",
        "worker.after_claim=kill@1",
        "queue.before_finish=kill@1",
    ),
    _wave(
        2,
        ("Redis flushed", 0),
        "decision.after_commit=kill@1",
        "queue.after_dequeue=kill@1",
        "cycle.after_commit=kill@2",
        "worker.parked=kill@1",
    ),
    _wave(
        3,
        ("messages dropped", 0),
        "decision.before_commit=kill@1",
        "call.before_record=kill@2",
        "call.after_record=kill@2",
        "cycle.in_transaction=stop@3",
    ),
    _wave(
        4,
        ("worker paused past its lease", 4.0),
        "tail.before_send=raise:OperationalError@2",
        "cycle.before_commit=stop@2",
        "worker.after_claim=stop@2",
        "call.before_send=kill@1",
    ),
    _wave(
        5,
        ("database locked", 4.0),
        "submit.before_commit=kill@1",
        "cycle.in_transaction=raise:OperationalError@2",
        "lease.before_renew=raise@1",
        "queue.after_dequeue=raise@1",
    ),
    _wave(
        6,
        ("disk full", 2.0),
        "tail.before_read=kill@3",
        "cycle.after_commit=stop@2",
        "event.before_send=raise:ConnectionError@1",
        "worker.parked=stop@1",
    ),
    _wave(
        7,
        ("deploy: all told to end", 0),
        "queue.before_enqueue=kill@2",
        "cycle.before_commit=raise:OperationalError@2",
        "call.after_record=stop@1",
        "queue.before_finish=raise@1",
        at=-1,
    ),
    _wave(
        8,
        ("the database's clock jumps back five minutes", 0),
        "tail.before_send=kill@2",
        "cycle.in_transaction=kill@2",
        "call.before_record=raise@1",
        "worker.after_claim=raise@1",
    ),
    _wave(
        9,
        ("messages late", 2.0),
        "bulk.between=kill@1",
        "deadline.after_commit=kill@1",
        "backtest.before_commit=kill@1",
        "backtest.after_claim=stop@1",
        jobs=("debate", "vote", "debate", TRIED),
    ),
)
POSTGRES_WAVES: tuple[Plan, ...] = (
    _wave(
        11,
        ("connection lost after COMMIT", 1.5),
        "decision.after_commit=raise@1",
        "cycle.before_commit=kill@2",
        database="postgresql",
    ),
    _wave(
        12,
        ("PostgreSQL restarted", 0),
        "submit.after_commit=raise@1",
        "cycle.after_commit=kill@2",
        "deadline.before_commit=kill@1",
        jobs=("stroll", "debate", "quiz", "vote", "cancelled"),
        database="postgresql",
    ),
)


# One for each safeguard that tests/chaos/mutations.py takes out.
TWO_WRITERS = Plan(
    # One claims and stands still; the other claims after its lease, and is late: the first one comes back in between.
    "two writers",
    21,
    armed=(Armed("worker", "worker.after_claim=stop@1"), Armed("worker", "worker.after_claim=delay:5@2")),
    jobs=("stroll", "stroll"),
    must_strike=True,
)


def plan_from(asked: dict[str, Any]) -> Plan:
    """The plan that a child process was asked for: {"seed": n} or {"wave": n}."""
    if "seed" in asked:
        return plan_of_seed(int(asked["seed"]))
    return next(wave for wave in (*WAVES, *POSTGRES_WAVES, TWO_WRITERS) if wave.seed == int(asked["wave"]))
