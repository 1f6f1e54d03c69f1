"""The breaker and the limit, on a real Redis-compatible server."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable

import pytest
from django.conf import settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from redis import Redis

from runtime.tools import ToolFailed
from runtime.tools.gate import BreakerState, Busy, RedisGate, Ticket, shared_gate
from runtime.tools.spec import ToolSpec
from tests.waiting import eventually


def tool(**settings: float) -> ToolSpec:
    # Times so long that none passes within a test, unless the test says otherwise.
    quiet = {"failure_threshold": 3, "window": 600.0, "open_seconds": 600.0, "open_max": 6000.0}
    return ToolSpec("search", **{**quiet, "concurrency": 10, "timeout": 600.0, **settings})  # type: ignore[arg-type]


def refusal(gate: RedisGate, spec: ToolSpec) -> ToolFailed:
    with pytest.raises(ToolFailed) as caught:
        gate.enter(spec)
    return caught.value


def fail(gate: RedisGate, spec: ToolSpec, times: int = 1) -> None:
    for _ in range(times):
        assert gate.leave(gate.enter(spec), "failed") is False


def until(holds: Callable[[], bool]) -> None:
    assert eventually(holds, seconds=10)


def is_let_in(gate: RedisGate, spec: ToolSpec) -> bool:
    try:
        gate.leave(gate.enter(spec), "neutral")
    except (Busy, ToolFailed):
        return False
    return True


def test_opens_after_the_threshold_and_says_since_when(gate: RedisGate) -> None:
    spec = tool(open_seconds=15.0)
    fail(gate, spec, 2)
    assert gate.state("search")._replace(in_flight=0) == BreakerState(failures=2)
    fail(gate, spec)
    state = gate.state("search")
    assert (state.status, state.failures, state.tripped_by) == ("open", 3, "")
    assert state.since is not None
    assert state.next_probe == pytest.approx(state.since + 15, abs=0.001)
    assert refusal(gate, spec).cls == "circuit_open"


def test_state_is_shared_and_survives_whoever_made_it(gate: RedisGate) -> None:
    fail(gate, tool(), 3)
    del gate
    other = RedisGate(settings.CONVERGE_REDIS_URL)
    assert refusal(other, tool()).cls == "circuit_open"
    assert shared_gate().state("search").status == "open"


def test_successes_between_failures_do_not_hide_them(gate: RedisGate) -> None:
    spec = tool()
    for _ in range(3):
        fail(gate, spec)
        if gate.state("search").status == "closed":
            gate.leave(gate.enter(spec), "ok")
            gate.leave(gate.enter(spec), "neutral")
    assert gate.state("search").status == "open"


def test_failures_leave_the_window(gate: RedisGate) -> None:
    spec = tool(window=0.2)
    fail(gate, spec, 2)
    until(lambda: gate.state("search").failures == 0)
    fail(gate, spec, 2)
    assert gate.state("search").status == "closed"


def test_from_the_first_failure_on_no_more_are_under_way_than_may_still_fail(gate: RedisGate) -> None:
    spec = tool(failure_threshold=4)
    early = [gate.enter(spec) for _ in range(10)]
    with pytest.raises(Busy):
        gate.enter(spec)
    for ticket in early[1:]:
        gate.leave(ticket, "ok")
    gate.leave(early[0], "failed")
    under_way = [gate.enter(spec) for _ in range(3)]
    with pytest.raises(Busy):
        gate.enter(spec)
    gate.leave(under_way[0], "ok")
    under_way[0] = gate.enter(spec)
    for ticket in under_way:
        gate.leave(ticket, "failed")
    assert gate.state("search").status == "open"


def test_lowered_threshold_does_not_lock_a_tool(gate: RedisGate) -> None:
    fail(gate, tool(failure_threshold=5), 4)
    lowered = tool(failure_threshold=2)
    fail(gate, lowered)
    assert gate.state("search").status == "open"


def test_concurrency_is_a_limit_over_all(gate: RedisGate) -> None:
    spec, other = tool(concurrency=2), RedisGate(settings.CONVERGE_REDIS_URL)
    first, _ = gate.enter(spec), other.enter(spec)
    for each in (gate, other):
        with pytest.raises(Busy) as busy:
            each.enter(spec)
        assert busy.value.retry_in > 0
    gate.leave(first, "ok")
    other.enter(spec)
    assert gate.state("search").in_flight == 2


def test_place_of_a_dead_holder_is_free_again(gate: RedisGate) -> None:
    # timeout + 5 s of grace, less all but a moment.
    spec = tool(concurrency=1, timeout=-4.8)
    lost = gate.enter(spec)
    with pytest.raises(Busy):
        gate.enter(spec)
    until(lambda: is_let_in(gate, spec))
    assert gate.leave(lost, "failed") is False
    assert gate.state("search").failures == 0


def test_probes_go_one_at_a_time_and_close(gate: RedisGate) -> None:
    spec = tool(open_seconds=0.0)
    fail(gate, spec, 3)
    assert gate.state("search").status == "half_open"
    probe = gate.enter(spec)
    for _ in range(5):
        with pytest.raises(Busy):
            gate.enter(spec)
    assert gate.leave(probe, "ok") is True
    assert gate.state("search") == BreakerState()
    gate.enter(spec)
    gate.enter(spec)


def test_as_many_probes_as_configured_must_succeed(gate: RedisGate) -> None:
    spec = tool(open_seconds=0.0, probes=3)
    fail(gate, spec, 3)
    probes = [gate.enter(spec) for _ in range(3)]
    with pytest.raises(Busy):
        gate.enter(spec)
    assert [gate.leave(probe, "ok") for probe in probes[:2]] == [False, False]
    with pytest.raises(Busy):
        gate.enter(spec)
    assert gate.leave(probes[2], "neutral") is False
    assert gate.leave(gate.enter(spec), "ok") is True


def test_fewer_probes_configured_meanwhile_do_not_lock_a_tool(gate: RedisGate) -> None:
    spec = tool(open_seconds=0.0, probes=3)
    fail(gate, spec, 3)
    for _ in range(2):
        gate.leave(gate.enter(spec), "ok")
    spec = tool(open_seconds=0.0, probes=1)
    assert gate.leave(gate.enter(spec), "ok") is True


def test_failed_probe_opens_for_twice_as_long_up_to_the_limit(gate: RedisGate) -> None:
    # Each pause is over before the next question: the probe's own tool says for how long to open.
    fail(gate, tool(open_seconds=0.0), 3)
    since = gate.state("search").since
    lengths = []
    for _ in range(4):
        probe = gate.enter(tool())
        gate.leave(probe._replace(tool=tool(open_seconds=100.0, open_max=700.0)), "failed")
        state = gate.state("search")
        assert (state.status, state.since) == ("open", since)
        lengths.append(round((state.next_probe or 0) - _now(), -1))
        _let_the_pause_pass()
    assert lengths == [200.0, 400.0, 700.0, 700.0]


def _now() -> float:
    seconds, micros = Redis.from_url(settings.CONVERGE_REDIS_URL).time()
    return float(seconds) + float(micros) / 1e6


def _let_the_pause_pass() -> None:
    Redis.from_url(settings.CONVERGE_REDIS_URL).hset("converge:tool:{search}", "next_probe", "0")


def test_late_ends_of_calls_begun_before_change_nothing(gate: RedisGate) -> None:
    spec = tool(open_seconds=0.0)
    late = [gate.enter(spec) for _ in range(3)]
    early = gate.enter(spec)
    gate.leave(early, "failed")
    for _ in range(2):
        gate.leave(late.pop(), "failed")
    assert gate.state("search").status == "half_open"
    probe = gate.enter(spec)
    assert gate.leave(late.pop(), "ok") is False
    assert gate.state("search").status == "half_open"
    gate.leave(probe, "failed")
    assert gate.leave(probe, "ok") is False


def test_late_failures_do_not_keep_a_breaker_open(gate: RedisGate) -> None:
    spec = tool()
    late = [gate.enter(spec) for _ in range(8)]
    for ticket in late[:3]:
        gate.leave(ticket, "failed")
    state = gate.state("search")
    for ticket in late[3:]:
        gate.leave(ticket, "failed")
    assert gate.state("search") == state._replace(in_flight=0)


def test_failures_of_calls_begun_together_leave_the_window(gate: RedisGate) -> None:
    spec = tool(failure_threshold=2, window=0.2)
    early, late = gate.enter(spec), gate.enter(spec)
    gate.leave(early, "failed")
    until(lambda: gate.state("search").failures == 0)
    gate.leave(late, "failed")
    assert gate.state("search").status == "closed"


def test_a_place_is_given_back_once(gate: RedisGate) -> None:
    spec = tool()
    ticket = gate.enter(spec)
    for _ in range(5):
        gate.leave(ticket, "failed")
    assert gate.state("search").failures == 1


def test_pause_holds_back_all_and_is_bounded(gate: RedisGate) -> None:
    spec = tool(open_max=50.0)
    gate.leave(gate.enter(spec), "neutral", pause=1e9)
    failed = refusal(gate, spec)
    assert failed.cls == "rate_limited"
    assert 45 < (failed.retry_after or 0) <= 50
    assert gate.state("search").paused_until == pytest.approx(_now() + 50, abs=5)
    gate.reset("search")
    held = gate.enter(spec)
    gate.leave(gate.enter(spec), "neutral", pause=20)
    gate.leave(held, "neutral", pause=1)
    assert (refusal(gate, spec).retry_after or 0) > 15


def test_short_pause_ends_by_itself(gate: RedisGate) -> None:
    spec = tool()
    gate.leave(gate.enter(spec), "neutral", pause=0.1)
    until(lambda: is_let_in(gate, spec))


def test_tripped_by_hand_stays_open_until_reset(gate: RedisGate) -> None:
    spec = tool(open_seconds=0.0)
    under_way = gate.enter(spec)
    gate.trip("search", "ann")
    state = gate.state("search")
    assert (state.status, state.tripped_by, state.next_probe) == ("open", "ann", None)
    assert refusal(gate, spec).message == "search was switched off by hand."
    assert gate.leave(under_way, "ok") is False
    assert gate.state("search").status == "open"
    gate.reset("search")
    assert gate.state("search") == BreakerState()
    assert is_let_in(gate, spec)


def test_trip_during_a_probe_is_not_undone_by_it(gate: RedisGate) -> None:
    spec = tool(open_seconds=0.0)
    fail(gate, spec, 3)
    probe = gate.enter(spec)
    gate.trip("search", "ann")
    assert gate.leave(probe, "ok") is False
    assert gate.state("search").tripped_by == "ann"
    gate.reset("search")
    fail(gate, spec, 3)
    again = gate.enter(spec)
    gate.reset("search")
    assert gate.leave(again, "ok") is False


def test_states_are_read_in_one_go(gate: RedisGate) -> None:
    fail(gate, tool(), 3)
    states = gate.states(["other", "search"])
    assert (states["other"], states["search"].status) == (BreakerState(), "open")
    assert gate.states([]) == {}


def test_the_same_act_sent_twice_counts_once(gate: RedisGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client repeats an act whose answer was lost."""
    enter, leave = gate._enter, gate._leave
    monkeypatch.setattr(gate, "_enter", lambda keys, args: (enter(keys, args), enter(keys, args))[1])
    monkeypatch.setattr(gate, "_leave", lambda keys, args: (leave(keys, args), leave(keys, args))[0])
    spec = tool(concurrency=1)
    fail(gate, spec)
    assert (gate.state("search").failures, gate.state("search").in_flight) == (1, 0)
    fail(gate, tool(open_seconds=0.0), 2)
    assert gate.leave(gate.enter(spec), "ok") is True


def test_server_that_forgot_its_scripts_is_told_again(gate: RedisGate, redis: Redis) -> None:
    fail(gate, tool())
    redis.script_flush()
    fail(gate, tool())
    assert gate.states(["search"])["search"].failures == 2


@pytest.mark.parametrize("how", ["refuses", "is silent"])
def test_calls_go_on_without_redis(how: str, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if how == "is silent":
            server.listen(5)
        gate = RedisGate(f"redis://127.0.0.1:{server.getsockname()[1]}/0")
        with caplog.at_level(logging.WARNING):
            ticket = gate.enter(tool())
        assert gate.leave(ticket, "failed") is False
        if how == "refuses":
            assert gate.states(["search"]) == {"search": BreakerState()}
            gate.trip("search", "ann")
            gate.reset("search")
    assert "without breaker and limit" in caplog.text


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
