"""A soak: jobs all the time, a fault every few seconds, and what the processes use while it lasts."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.databases import wait_for
from tests.chaos.faults import FAULTS
from tests.chaos.house import House
from tests.chaos.members import usage_of
from tests.chaos.oracle import FINAL, IDLE_LIMIT, find_violations, replay_elsewhere
from tests.chaos.packs import DEBATE_SEEDS, QUIZ_SEEDS, VOTE_SEEDS, stroll_seeds
from tests.chaos.people import Book, People
from tests.chaos.plans import POINTS, draw_fault
from tests.chaos.viewers import Viewer
from tests.chaos.watch import Watch

FAULT_EVERY = 5.0  # seconds
JOBS_A_MINUTE = 50
LOOK_EVERY = 5.0
WORKERS = 3
FAILPOINTS = 0.3  # share of faults that are a failpoint in a process started anew
OLDEST_VIEWED = 12  # jobs that somebody watches at a time
# In the second half these stay away, and faults spare one worker: something must grow old enough to be measured.
SPARED_LATER = ("web killed", "scheduler killed", "deploy: all told to end")
MATTERS = 60.0  # seconds that a process must have lived for its slope to say anything


@dataclass
class Series:
    """What one process used: (seconds, MB, open files)."""

    name: str
    points: list[tuple[float, float, int]] = field(default_factory=list)

    @property
    def lived(self) -> float:
        """Seconds."""
        return self.points[-1][0] - self.points[0][0]

    @property
    def slope(self) -> float:
        """MB a minute, by least squares, without the first half minute in which everything is loaded."""
        kept = [(t, mb) for t, mb, _ in self.points if t - self.points[0][0] >= 30] or [(0.0, 0.0)]
        mean_t, mean_mb = sum(t for t, _ in kept) / len(kept), sum(mb for _, mb in kept) / len(kept)
        spread = sum((t - mean_t) ** 2 for t, _ in kept)
        return 60 * sum((t - mean_t) * (mb - mean_mb) for t, mb in kept) / spread if spread else 0.0

    def to_json(self) -> dict[str, Any]:
        """A row of the table."""
        return {
            "name": self.name,
            "first": round(self.points[0][1], 1),
            "last": round(self.points[-1][1], 1),
            "slope": round(self.slope, 2),
            "files": max(files for _, _, files in self.points),
            "lived": round(self.lived),
        }


class Soak:
    """Runs for so many seconds, on an installation with the lease that is shipped."""

    def __init__(self, house: House, seconds: int, seed: int) -> None:
        self.house, self.seconds, self.seed = house, seconds, seed
        self.draws = random.Random(f"soak {seed}")
        self.book, self.watch = Book(), Watch(house)
        self.people = People(house, self.book, random.Random(seed), twice=0.1)
        self.struck: Counter[str] = Counter()
        self.series: dict[tuple[str, int], Series] = {}
        self.viewers: list[Viewer] = []
        self.late = 0  # submissions that had to wait for the pages
        self._over = threading.Event()

    def go(self) -> dict[str, Any]:
        """Runs, heals, waits, asks; gives the figures."""
        self.house.set_workers(WORKERS)
        self.watch.start()
        self.people.start_answering()
        self.began = time.monotonic()
        threads = [
            threading.Thread(target=act, name=act.__name__, daemon=True)
            for act in (self._submit_all, self._strike_all, self._look_all)
        ]
        for thread in threads:
            thread.start()
        self._over.wait(self.seconds)
        self._over.set()
        for thread in threads:
            thread.join(120)
        settled = self._settle()
        self.people.end()
        self.watch.end()
        for viewer in self.viewers:
            viewer.end()
        violations = find_violations(self.book, self.watch, self.viewers) + replay_elsewhere(self.seed + 1)
        return self._figures(violations, settled)

    def _settle(self) -> float:
        """Heals, and waits until everything has ended; gives the seconds that took."""
        from django.db import connections

        from runtime.models import Job

        connections.close_all()
        self.house.heal()
        for viewer in self.viewers:
            viewer.manner = "quick"
        wait_for(self.house.is_ready, 60)
        self.watch.healed_at = healed = time.monotonic()

        def all_ended() -> bool:
            return not Job.objects.filter(pk__in=self.book.jobs).exclude(status__in=FINAL).exists()

        wait_for(all_ended, 120 + IDLE_LIMIT)
        took = time.monotonic() - healed
        heads = dict(Job.objects.filter(pk__in=[v.job for v in self.viewers]).values_list("id", "entries"))
        wait_for(lambda: all(v.last >= heads[v.job] for v in self.viewers), 15)
        for viewer in self.viewers:
            if viewer.last < heads[viewer.job]:
                viewer.faults.append(f"{viewer} is at {viewer.last} of {heads[viewer.job]}")
        return took

    def _submit_all(self) -> None:
        pause, kinds = 60 / JOBS_A_MINUTE, random.Random(f"jobs {self.seed}")
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due += pause
            if due < time.monotonic() - pause:
                self.late += 1
            kind = kinds.choices(("stroll", "debate", "quiz", "vote"), (6, 2, 2, 1))[0]
            seeds = {
                "stroll": stroll_seeds(kinds.randrange(5, 30)),
                "debate": DEBATE_SEEDS,
                "quiz": QUIZ_SEEDS,
                "vote": VOTE_SEEDS,
            }
            try:
                job = self.people.submit(kind, seeds[kind])
            except RuntimeError:
                continue  # the oracle names what was never answered
            if len(self.viewers) < OLDEST_VIEWED:
                manner = ("quick", "slow", "half-open")[len(self.viewers) % 3]
                self.viewers.append(Viewer(self.house, job, manner).start())
                if manner != "quick":
                    self.struck[f"{manner} browser"] += 1

    def _strike_all(self) -> None:
        due = time.monotonic() + FAULT_EVERY
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due += FAULT_EVERY
            threading.Thread(target=self._strike, daemon=True).start()

    def _strike(self) -> None:
        from django.db import Error, connections

        try:
            if self.draws.random() < FAILPOINTS:
                self._arm()
                return
            self.house.sparing = time.monotonic() - self.began > self.seconds / 2
            event = draw_fault(self.draws, self.house.kind, 0)
            while self.house.sparing and event.fault in SPARED_LATER:
                event = draw_fault(self.draws, self.house.kind, 0)
            FAULTS[event.fault].act(self.house, self.draws, event.seconds)
            self.struck[event.fault] += 1
        except Error:
            pass  # another fault was in its way: it did not happen
        finally:
            connections.close_all()

    def _arm(self) -> None:
        kind = self.draws.choices(("worker", "web", "scheduler"), (6, 2, 1))[0]
        house = self.house
        member = {"web": house.web, "scheduler": house.scheduler}.get(kind) or self.draws.choice(
            house.workers
        )
        name = self.draws.choice(sorted(POINTS[kind]))
        act = self.draws.choice(POINTS[kind][name])
        self.house.keeper.restart(member, f"{name}={act}@{self.draws.randrange(1, 20)}")
        self.struck[f"{name}: {act.partition(':')[0]} (armed)"] += 1

    def _look_all(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            for member in list(self.house.keeper.members.values()):
                process = member.process
                if (
                    process is not None and (used := usage_of(process.pid)) and used["rss"] > 1
                ):  # else it is ending
                    series = self.series.setdefault((member.name, process.pid), Series(member.name))
                    series.points.append((time.monotonic() - self.began, used["rss"], used["files"]))

    def _figures(self, violations: list[str], settled: float) -> dict[str, Any]:
        from runtime.models import Cycle, Job

        longest: dict[str, Series] = {}
        for (name, _), series in self.series.items():
            if name not in longest or series.lived > longest[name].lived:
                longest[name] = series
        kinds: defaultdict[str, int] = defaultdict(int)
        for status in Job.objects.filter(pk__in=self.book.jobs).values_list("status", flat=True):
            kinds[status] += 1
        deaths = {member.name: member.deaths for member in self.house.keeper.members.values()}
        slopes = [s.slope for s in self.series.values() if s.lived >= MATTERS]
        return {
            "name": "soak",
            "database": self.house.kind,
            "seconds": self.seconds,
            "seed": self.seed,
            "jobs": dict(kinds),
            "cycles": Cycle.objects.filter(job_id__in=self.book.jobs).count(),
            "posts": sum(post.times for post in self.book.posts),
            "unanswered": sum(post.unanswered for post in self.book.posts),
            "late_submissions": self.late,
            "faults": sum(self.struck.values()),
            "struck": dict(self.struck),
            "failpoints_that_struck": sum(self.house.strikes().values()),
            "deaths": deaths,
            "takeovers": self.watch.takeovers,
            "longest_idle": round(self.watch.longest, 1),
            "longest_idle_after_healing": round(self.watch.longest_after, 1),
            "ended_within": round(settled, 1),
            "steepest_slope": round(max(slopes, default=0.0), 2),
            "most_open_files": max((f for s in self.series.values() for _, _, f in s.points), default=0),
            "viewers_reconnected": sum(max(0, viewer.connections - 1) for viewer in self.viewers),
            "series": [longest[name].to_json() for name in sorted(longest)],
            "violations": violations,
        }
