"""The breaker and the limit, on a real Redis-compatible server."""

from __future__ import annotations

import logging
import socket

import pytest
from django.conf import settings
from redis import Redis

from runtime.tools.gate import BreakerState, Busy, RedisGate, shared_gate
from tests.tools.gates import fail, is_let_in, now, refusal, tool, until


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
    assert gate.state("search").paused_until == pytest.approx(now() + 50, abs=5)
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
