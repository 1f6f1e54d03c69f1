"""One run: jobs, people and browsers on an installation, faults by plan, then healing, then the eleven questions."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.databases import wait_for
from tests.chaos.faults import FAULTS
from tests.chaos.house import House
from tests.chaos.members import RESUMED_AFTER
from tests.chaos.oracle import FINAL, IDLE_LIMIT, find_violations
from tests.chaos.people import Book, People
from tests.chaos.plans import TRIED, Event, Plan
from tests.chaos.viewers import Viewer
from tests.chaos.watch import Watch

AFTER_HEALING = 60.0  # seconds for everything to end; what is due must begin much sooner (IDLE_LIMIT)
VIEWERS_WITHIN = 5.0  # seconds after healing and the last entry


def _needed_for(missing: set[str]) -> str:
    """A job in which a place is met that was not met yet."""
    part = next(iter(sorted(missing))).partition(".")[0]
    if "lease.before_renew" in missing:
        return "long"
    return {"call": "quiz", "deadline": "vote", "backtest": TRIED}.get(part, "debate")


@dataclass
class Outcome:
    """What came of a run."""

    plan: Plan
    violations: list[str] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)  # faults and failpoints that happened
    jobs: int = 0
    posts: int = 0
    unanswered: int = 0
    takeovers: int = 0
    deaths: int = 0
    longest: float = 0.0
    longest_after: float = 0.0
    reconnects: int = 0
    gaps: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As it is printed."""
        kept = {k: v for k, v in self.__dict__.items() if k not in ("plan", "struck")}
        rounded = {k: round(v, 2) if isinstance(v, float) else v for k, v in kept.items()}
        about = {"name": self.plan.name, "seed": self.plan.seed, "database": self.plan.database}
        return about | {"plan": self.plan.to_json(), "struck": dict(self.struck)} | rounded


class Run:
    """One run on an installation that is up."""

    def __init__(self, house: House, plan: Plan) -> None:
        self.house, self.plan = house, plan
        self.draws = random.Random(f"run {plan.seed} {plan.name}")
        self.book = Book()
        self.watch = Watch(house)
        self.people = People(house, self.book, self.draws)
        self.viewers: list[Viewer] = []
        self.outcome = Outcome(plan)

    def go(self) -> Outcome:
        """Does what the plan says, heals, waits and asks. Never raises for what the installation does wrong."""
        began = time.monotonic()
        struck_before = Counter(self.house.strikes())
        deaths = sum(m.deaths for m in self.house.keeper.members.values())
        self._arm()
        self.watch.start()
        self.people.start_answering()
        try:
            self._disturb(struck_before)
            self._heal()
            self._settle()
        except RuntimeError as error:
            self.outcome.violations.append(f"9: {error}")
        finally:
            self.people.end()
            self.watch.end()
            for viewer in self.viewers:
                viewer.end()
        out = self.outcome
        struck = Counter(self.house.strikes()) - struck_before
        out.struck.update(
            {armed.label: struck[armed.name] for armed in self.plan.armed if struck[armed.name]}
        )
        out.violations += find_violations(self.book, self.watch, self.viewers)
        out.jobs, out.posts = len(self.book.jobs), sum(post.times for post in self.book.posts)
        out.unanswered = sum(post.unanswered for post in self.book.posts)
        out.takeovers, out.longest = self.watch.takeovers, self.watch.longest
        out.longest_after = self.watch.longest_after
        out.deaths = sum(m.deaths for m in self.house.keeper.members.values()) - deaths
        out.reconnects = sum(max(0, viewer.connections - 1) for viewer in self.viewers)
        out.gaps = sum(viewer.gaps for viewer in self.viewers)
        out.seconds = time.monotonic() - began
        return out

    def _arm(self) -> None:
        """Failpoints go into members that are started anew; those of one member go together."""
        self.house.set_workers(max(self.plan.workers, sum(a.member == "worker" for a in self.plan.armed)))
        spare = list(self.house.workers)
        for armed in self.plan.armed:
            member = {"web": self.house.web, "scheduler": self.house.scheduler}.get(
                armed.member
            ) or spare.pop(0)
            self.house.keeper.restart(member, armed.plan)
        if not wait_for(self.house.is_ready, 60):
            raise RuntimeError("the installation does not come up")

    def _disturb(self, struck_before: Counter[str]) -> None:
        early = [event for event in self.plan.events if event.at >= 0]
        threads = [threading.Thread(target=self._strike, args=(event,), daemon=True) for event in early]
        for thread in threads:
            thread.start()
        for kind in self.plan.jobs:
            self._submit(kind)
        if self.plan.must_strike:
            self._insist_on(struck_before)
        for event in self.plan.events:
            if event.at < 0:
                self._submit("stroll")
                self._strike(event)
        for thread in threads:
            thread.join(120)
            if thread.is_alive():
                raise RuntimeError("a fault does not end")
        # Whoever stopped itself is left standing past its lease, and goes on by the keeper's hand.
        wait_for(lambda: not self.house.stands_still(), RESUMED_AFTER + 3)

    def _strike(self, event: Event) -> None:
        from django.db import Error, connections

        wait_for(lambda: False, event.at)
        fault = FAULTS[event.fault]
        try:
            fault.act(self.house, self.draws, event.seconds)
            self.outcome.struck[event.fault] += 1
        except Error:
            pass  # another fault was in its way: it did not happen
        finally:
            connections.close_all()

    def _insist_on(self, before: Counter[str]) -> None:
        """More jobs, until every armed failpoint was met."""
        wanted = {armed.name for armed in self.plan.armed}
        for _ in range(12):
            missing = wanted - set(Counter(self.house.strikes()) - before)
            if not missing:
                return
            self._submit(_needed_for(missing))
            wait_for(lambda: not wanted - set(Counter(self.house.strikes()) - before), 1.5)
        if missing := wanted - set(Counter(self.house.strikes()) - before):
            self.outcome.violations.append(f"0: the plan was not carried out, never met: {sorted(missing)}")

    def _submit(self, kind: str) -> None:
        from tests.chaos.packs import DEBATE_SEEDS, QUIZ_SEEDS, VOTE_SEEDS, stroll_seeds

        if kind == TRIED:
            threading.Thread(target=self.people.try_rule, args=("debate",), daemon=True).start()
            return
        if kind == "cancelled":
            job = self.people.submit("stroll", stroll_seeds(400))
            threading.Thread(target=self._cancel, args=(job,), daemon=True).start()
        else:
            steps = self.draws.randrange(8, 20)
            seeds = {"stroll": stroll_seeds(steps), "debate": DEBATE_SEEDS, "quiz": QUIZ_SEEDS}
            seeds["vote"], seeds["long"] = VOTE_SEEDS, stroll_seeds(60)
            job = self.people.submit("stroll" if kind == "long" else kind, seeds[kind])
        if len(self.viewers) < 3:
            manner = ("quick", "slow", "half-open")[len(self.viewers)]
            self.viewers.append(Viewer(self.house, job, manner).start())
            if manner != "quick":
                self.outcome.struck[f"{manner} browser"] += 1

    def _cancel(self, job: int) -> None:
        wait_for(lambda: False, 1.0 + self.draws.random())
        self.people.cancel(job)

    def _heal(self) -> None:
        from django.db import connections

        self.house.heal()
        for viewer in self.viewers:
            viewer.manner = "quick"
        connections.close_all()  # our own may be cut as well
        for member in (self.house.web, self.house.scheduler, *self.house.workers):
            if member.process is not None and member.process.failpoints:
                # Whoever is armed still leaves as a worker that is replaced does.
                member.signal(signal.SIGTERM)
        if not wait_for(self.house.is_ready, 60):
            raise RuntimeError("the pages do not answer a minute after all was healed")
        self.watch.healed_at = time.monotonic()

    def _settle(self) -> None:
        from runtime.models import Backtest, Job

        def all_ended() -> bool:
            with self.book.lock:
                jobs, backtests = list(self.book.jobs), list(self.book.backtests)
            if Backtest.objects.filter(pk__in=backtests).exclude(status="done").exists():
                return False
            return Job.objects.filter(pk__in=jobs, status__in=FINAL).count() == len(jobs)

        if not wait_for(all_ended, AFTER_HEALING + IDLE_LIMIT):
            return  # the oracle names those that did not
        heads = dict(Job.objects.filter(pk__in=self.book.jobs).values_list("id", "entries"))

        def all_shown() -> bool:
            return all(viewer.last >= heads[viewer.job] for viewer in self.viewers)

        if not wait_for(all_shown, VIEWERS_WITHIN):
            for viewer in self.viewers:
                if viewer.last < heads[viewer.job]:
                    text = f"8: {viewer} is at {viewer.last} of {heads[viewer.job]}"
                    self.outcome.violations.append(text)
