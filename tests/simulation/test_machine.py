"""The same world under Hypothesis, which chooses what happens and, where something breaks, the simplest way to it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.simulation.healing import heal
from tests.simulation.injection import Bench
from tests.simulation.oracle import check
from tests.simulation.world import World

NAMES = st.sampled_from(("worker-1", "worker-2", "scheduler", "web"))
SOME = st.integers(0, 999)
FUSE = st.integers(0, 14)
_benches: list[Bench] = []


@pytest.fixture(scope="module", autouse=True)
def _laid_out(bench: Bench) -> Iterator[None]:
    _benches.append(bench)
    yield
    _benches.clear()


class Installation(RuleBasedStateMachine):
    """Every rule is an act; after the last one all heals, and everything is checked."""

    @initialize(
        pack=st.integers(0, 2),
        seeds=st.integers(1, 2),
        first=st.integers(0, 3),
        work=st.sampled_from((0.0, 4.0, 20.0)),
    )
    def begin(self, pack: int, seeds: int, first: int, work: float) -> None:
        bench = _benches[-1]
        bench.clear()
        self.world = World(bench)
        self.world.do(("pace", work, 0.2))
        self.world.do(("submit", 0, pack, seeds, first))
        self.step(some=0, turns=8)

    @rule(some=SOME, turns=st.integers(1, 12))
    def step(self, some: int, turns: int) -> None:
        """Some threads go on, in an order that `some` chooses."""
        chance = random.Random(some)
        for _ in range(turns):
            ready = self.world.ready_tasks()
            if ready:
                self.world.do(("turn", chance.choice(ready).name))

    @rule(pack=st.integers(0, 2), seeds=st.integers(1, 2), first=st.integers(0, 3))
    def submit(self, pack: int, seeds: int, first: int) -> None:
        self.world.do(("submit", 1, pack, seeds, first))

    @rule(by=st.integers(0, 2), job=SOME, choice=SOME)
    def look_and_decide(self, by: int, job: int, choice: int) -> None:
        self.world.do(("wish", by, job, choice))
        self.world.do(("post", -1))

    @rule(wish=SOME)
    def post_again(self, wish: int) -> None:
        self.world.do(("post", wish))

    @rule(seconds=st.sampled_from((0.3, 2.0, 6.0)))
    def tick(self, seconds: float) -> None:
        self.world.do(("tick", seconds))

    @rule()
    def expire_leases(self) -> None:
        self.world.do(("tick", 16.0))

    @rule(name=NAMES, fuse=FUSE, task=SOME)
    def crash(self, name: str, fuse: int, task: int) -> None:
        self.world.do(("kill", name, fuse, task))

    @rule(name=NAMES)
    def start(self, name: str) -> None:
        self.world.do(("start", name))

    @rule(name=NAMES, stops=st.booleans())
    def stop_or_continue(self, name: str, stops: bool) -> None:
        self.world.do(("stop" if stops else "cont", name))

    @rule(name=NAMES)
    def terminate(self, name: str) -> None:
        self.world.do(("term", name))

    @rule(name=NAMES, fuse=FUSE, is_done=st.booleans(), task=SOME)
    def lose_database(self, name: str, fuse: int, is_done: bool, task: int) -> None:
        self.world.do(("lose", name, fuse, is_done, task))

    @rule(at=SOME, times=st.sampled_from((1, 9)))
    def duplicate(self, at: int, times: int) -> None:
        self.world.do(("double", at, times))

    @rule(at=SOME)
    def drop(self, at: int) -> None:
        self.world.do(("drop", at))

    @rule(at=SOME)
    def deliver_late(self, at: int) -> None:
        self.world.do(("late", at))

    @rule(is_out=st.booleans())
    def redis(self, is_out: bool) -> None:
        self.world.do(("redis", is_out))

    @rule(is_down=st.booleans())
    def tool(self, is_down: bool) -> None:
        self.world.do(("tool", is_down))

    @rule(job=SOME)
    def open_page(self, job: int) -> None:
        self.world.do(("open", job))

    @rule(at=SOME)
    def read_frame(self, at: int) -> None:
        self.world.do(("read", at))

    @rule(at=SOME, quietly=st.booleans())
    def cut_and_reconnect(self, at: int, quietly: bool) -> None:
        self.world.do(("cut", at, quietly))
        self.world.do(("connect", at))

    @invariant()
    def nothing_broken(self) -> None:
        if hasattr(self, "world"):
            self.world.observer.look()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                heal(self.world)
                check(self.world)
            finally:
                self.world.end()


Installation.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestInstallation = Installation.TestCase
