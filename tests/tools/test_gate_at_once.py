"""The gate under many callers at once, and under any order of acts."""

from __future__ import annotations

import threading

from django.conf import settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from redis import Redis

from runtime.tools.gate import Busy, RedisGate, Ticket
from runtime.tools.spec import ToolSpec
from tests.tools.gates import tool


def test_threads_never_share_more_places_than_there_are(gate: RedisGate) -> None:
    spec = tool(concurrency=3)
    inside, most, lock = [0], [0], threading.Lock()

    def work() -> None:
        for _ in range(40):
            try:
                ticket = gate.enter(spec)
            except Busy:
                continue
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            with lock:
                inside[0] -= 1
            gate.leave(ticket, "ok")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < most[0] <= 3
    assert gate.state("search").in_flight == 0


class GateMachine(RuleBasedStateMachine):
    """Whatever the order of acts, a dead or mending tool is never asked more than the breaker permits."""

    threshold, concurrency, probes = 3, 4, 2

    @initialize()
    def begin(self) -> None:
        self.gate = RedisGate(settings.CONVERGE_REDIS_URL)
        self.gate.reset("search")
        Redis.from_url(settings.CONVERGE_REDIS_URL).delete("converge:tool:{search}:slots")
        self.held: list[Ticket] = []
        self.failures = 0
        self.closed = True

    @property
    def spec(self) -> ToolSpec:
        return tool(
            failure_threshold=self.threshold,
            concurrency=self.concurrency,
            probes=self.probes,
            open_seconds=0.0,
        )

    @rule()
    def enter(self) -> None:
        try:
            self.held.append(self.gate.enter(self.spec))
        except Busy:
            # Never without a reason: somebody is under way.
            assert self.held

    @rule(which=st.integers(0, 9), verdict=st.sampled_from(["ok", "failed", "neutral"]))
    def leave(self, which: int, verdict: str) -> None:
        if not self.held:
            return
        ticket = self.held.pop(which % len(self.held))
        was_closed = self.gate.state("search").status == "closed"
        closed = self.gate.leave(ticket, verdict)  # type: ignore[arg-type]
        if was_closed and not ticket.probe and verdict == "failed":
            self.failures += 1
        if closed:
            assert verdict == "ok"
            assert ticket.probe
        if closed or not was_closed:
            self.failures = 0
        self.closed = self.gate.state("search").status == "closed"
        assert self.closed or not was_closed or self.failures == self.threshold

    @invariant()
    def bounds_hold(self) -> None:
        if not hasattr(self, "gate"):
            return
        state = self.gate.state("search")
        assert state.in_flight == len(self.held) <= self.concurrency
        probing: dict[str, int] = {}
        for ticket in self.held:
            if ticket.probe:
                probing[ticket.probe] = probing.get(ticket.probe, 0) + 1
        assert all(count <= self.probes for count in probing.values())
        if state.status == "closed":
            assert state.failures == self.failures < self.threshold


TestGateMachine = GateMachine.TestCase


TestGateMachine.settings = hypothesis_settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
