"""Half open: probes, and calls begun before the breaker opened."""

from __future__ import annotations

import pytest

from runtime.tools.gate import BreakerState, Busy, RedisGate
from tests.tools.gates import fail, let_the_pause_pass, now, tool, until


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
        lengths.append(round((state.next_probe or 0) - now(), -1))
        let_the_pause_pass()
    assert lengths == [200.0, 400.0, 700.0, 700.0]


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
